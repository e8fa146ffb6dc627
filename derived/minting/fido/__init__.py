"""FIDO attestation and metadata."""
