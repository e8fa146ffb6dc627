"""The derived certificate: its pages, its issuing, EST."""
