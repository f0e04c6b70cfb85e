"""Clinical observations: CRS, ICANS, ICAHT and CTCAE grades by day, recovery, scores of the disease."""
