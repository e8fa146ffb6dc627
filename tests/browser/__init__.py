"""The pages in real Chromium, against a served Ramet and the demo relying party."""
