"""People, groups and sources: every write."""
