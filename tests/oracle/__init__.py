"""The engine against the executable specification, on random input."""
