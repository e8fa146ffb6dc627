"""The events feed and its receivers."""
