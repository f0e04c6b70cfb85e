"""Transgene PCR: instrument exports, standard curves, digital PCR, acceptance, limits."""
