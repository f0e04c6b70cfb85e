"""Clones: from the infusion product into the blood, B cells that return, integration sites of the vector."""
