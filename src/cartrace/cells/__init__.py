"""Single-cell libraries: constructs, CAR molecules, CAR calls, quality, cell types, composition over time."""
