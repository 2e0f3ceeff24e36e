"""Rules of the market as readable tables, run through every engine."""
