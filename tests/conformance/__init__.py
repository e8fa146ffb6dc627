"""Relying parties that others wrote, against what `make run` serves."""
