"""Efficacy: courses of clinical scores."""
