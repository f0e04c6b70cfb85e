"""How far and how fast an antibody declined."""
