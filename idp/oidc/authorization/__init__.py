"""The authorization endpoint, its decision and the device flow."""
