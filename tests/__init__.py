"""The tests, by kind: see `make test`."""
