"""Antibody metrics of all courses."""
