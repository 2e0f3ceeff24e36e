"""Hostile input: whatever is given, there is a complete run or an error that says what was wrong."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

from hypothesis import HealthCheck, settings

__all__ = ["no_hang", "part"]

LONGEST = 10
"""Seconds of the processor that one example may take."""


def part(divisor: int) -> settings:
    """Return the settings of a test that takes a part of the examples of the profile, for they are dear."""
    fixtures = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=max(2, settings().max_examples // divisor), suppress_health_check=fixtures)


@contextlib.contextmanager
def no_hang() -> Iterator[None]:
    """Raise where Python code takes too long; only where the system has timers."""

    def stop(*_: object) -> None:
        message = f"not done after {LONGEST} seconds"
        raise AssertionError(message)

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
