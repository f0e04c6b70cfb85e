"""Expansion, decline and persistence of CAR-T cells, course by course."""
