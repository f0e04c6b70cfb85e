"""What plates of every kind share: files of instruments as text and tables, wells, names of samples, control charts."""
