"""Depletion metrics of all courses."""
