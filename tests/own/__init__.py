"""Managing one's own authenticators: who may, who is told, what comes back."""
