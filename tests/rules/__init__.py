"""Rules: pure, mostly Hypothesis, no database."""
