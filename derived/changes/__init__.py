"""Every legal move of a credential or an account."""
