"""Tests of the device client and of the demonstrations, without and with a running Ramet."""
