"""What is said over HTTP, in process; tests are named for the attack."""
