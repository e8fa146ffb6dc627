"""Policy files: issuance, attestation, FIDO metadata."""
