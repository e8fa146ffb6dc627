"""Claims, `acr` and the assurance claims."""
