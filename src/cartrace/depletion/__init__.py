"""How deep and how long B-lineage cells and immunoglobulins were gone."""
