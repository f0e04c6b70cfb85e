"""Summaries over subjects."""
