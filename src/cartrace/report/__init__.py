"""The page that people read, and the exports."""
