"""The executable specification: the engine in plain Python, written to be read."""

from __future__ import annotations

from ml4t.reference.errors import NotCovered
from ml4t.reference.simulate import Api, ModelSet, ReferenceResult, simulate

__all__ = ["Api", "ModelSet", "NotCovered", "ReferenceResult", "simulate"]
