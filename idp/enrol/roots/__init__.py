"""Root credentials: binding, changing and removing them."""
