"""The executable specification of ml4t: an engine in plain Python, written to be read.

It takes the same description of a run as the native engine and must give the same tables, row by row. Numbers
are Python integers and fractions; nothing is fast and nothing is clever. `ml4t.reference.engine` has the
eleven phases of an instant, each a method; start there.
"""

from __future__ import annotations

from ml4t.reference.engine import Run

__all__ = ["Run"]
