"""Hardware attestation statements, one module a format."""
