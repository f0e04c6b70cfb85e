"""Immunoassays: plate readers, calibration curves, titres, acceptance, limits."""
