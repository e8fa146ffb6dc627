"""The live Ramet that the races run against."""

from tests.live import live

__all__ = ["live"]
