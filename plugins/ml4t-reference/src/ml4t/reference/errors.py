"""What the reference refuses."""

from __future__ import annotations

from ml4t.core.errors import Ml4tError


class NotCovered(Ml4tError, NotImplementedError):
    """A run asks for something that the reference does not implement; the message names it."""

    def __init__(self, feature: str) -> None:
        self.feature = feature
        super().__init__(f"the reference engine does not cover {feature}; run it with the native engine")
