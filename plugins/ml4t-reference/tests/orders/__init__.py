"""Orders of every kind on the reference engine, worked by hand."""
