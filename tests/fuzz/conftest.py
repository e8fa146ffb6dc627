"""The live Ramet that odd bytes are sent to."""

from tests.live import live

__all__ = ["live"]
