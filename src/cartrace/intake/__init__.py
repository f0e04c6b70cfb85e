"""Laboratory files and sheets in, checked measurements out."""
