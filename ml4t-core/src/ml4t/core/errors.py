"""The exception tree.

Every error raised on purpose derives from `Ml4tError` and, where Python has one, from the built-in that a
caller would expect, so that generic handlers keep working. A message says what was wrong, the value found,
what is allowed, and what to do next.
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterable

import attrs

__all__ = ["AccountingError", "ArgumentError", "ConfigError", "ConfigWarning", "DataError"]
__all__ += ["EngineInternalError"]
__all__ += ["EngineStateError", "Finding", "Ml4tError", "ModelError", "NumericOverflowError", "OrderError"]
__all__ += ["PluginError", "PluginWarning", "ResultsError", "Severity", "StaleViewError", "StrategyError"]
__all__ += ["UnknownNameError", "nearest", "unknown_name"]

_MAX_LISTED = 20
# Share of letters in common from which a name counts as misspelled; of three letters, one is a third already.
_ALIKE, _ALIKE_SHORT, _SHORT = 0.75, 0.6, 3


class Severity(enum.Enum):
    """Whether a finding stops the run."""

    ERROR = "error"
    WARNING = "warning"


@attrs.frozen(kw_only=True)
class Finding:
    """One fault of a configuration, located."""

    path: str  #: where, for example `data_feeds[0].stamp`; empty for the document as a whole
    message: str  #: a phrase that completes the path
    #: for programs; also unknown_key, missing, invalid_type, unknown_name, syntax
    code: str = "invalid_value"
    severity: Severity = Severity.ERROR
    found: str | None = None  #: the offending text
    allowed: tuple[str, ...] = ()  #: all texts that would be accepted, where that is a list
    nearest: str | None = None  #: the accepted text closest to what was found
    plugin: str | None = None  #: who reported it; None for the kernel
    line: int | None = None  #: line of the file, counted from 1

    def under(self, prefix: str) -> Finding:
        """Return the same finding with `prefix` put before its path."""
        joint = "." if self.path and prefix and not self.path.startswith("[") else ""
        return attrs.evolve(self, path=f"{prefix}{joint}{self.path}")

    def __str__(self) -> str:
        text = f"{self.path}: {self.message}" if self.path else self.message
        text += f"; allowed: {_listed(self.allowed)}" if self.allowed else ""
        text += f"; did you mean {self.nearest!r}?" if self.nearest is not None else ""
        text += f" (line {self.line})" if self.line is not None else ""
        return text + (f" [plugin {self.plugin}]" if self.plugin is not None else "")


class Ml4tError(Exception):
    """Root of all errors that ml4t raises on purpose."""


class ConfigError(Ml4tError, ValueError):
    """A configuration is wrong. `findings` holds every fault, `source` names what was read, if anything."""

    def __init__(self, findings: str | Finding | Iterable[Finding], source: str | None = None) -> None:
        if isinstance(findings, str):
            findings = Finding(path="", message=findings)
        self.findings = (findings,) if isinstance(findings, Finding) else tuple(findings)
        self.source = source
        # Positional arguments are what pickle passes back to the constructor.
        super().__init__(self.findings, source)

    def __str__(self) -> str:
        lines = [str(finding) for finding in self.findings]
        head = f"{self.source}: " if self.source else ""
        return head + lines[0] if len(lines) == 1 else "\n  ".join([f"{head}{len(lines)} problems", *lines])


class DataError(Ml4tError, ValueError):
    """A number, a time, market data, a signal or a corporate action is not what it must be."""


class OrderError(Ml4tError, ValueError):
    """An order request cannot be expressed, for example a limit order without a limit price."""


class ArgumentError(Ml4tError, TypeError):
    """An argument is of a kind that cannot be meant: a number where a mapping belongs."""


class UnknownNameError(Ml4tError, KeyError):
    """A name is not known; the message lists the known names and the nearest."""

    def __str__(self) -> str:
        # KeyError would show the message in quotes.
        return str(self.args[0]) if self.args else ""


class PluginError(Ml4tError):
    """A plugin cannot be loaded, or broke the contract of a hook."""


class ModelError(Ml4tError):
    """A model raised, or answered with something that is not a number."""


class StaleViewError(Ml4tError, RuntimeError):
    """A data view was used after the instant it belonged to."""


class StrategyError(Ml4tError):
    """A strategy class cannot be loaded, built or run."""


class NumericOverflowError(Ml4tError, OverflowError):
    """An amount does not fit the integers that hold it."""


class AccountingError(Ml4tError):
    """An accounting identity does not hold: a bug of ml4t, never of its user."""


class EngineStateError(Ml4tError, RuntimeError):
    """A call came at a time when it has no meaning, for example an order before the run began."""


class EngineInternalError(Ml4tError):
    """The engine failed for a reason of its own and cannot be used further."""


class ResultsError(Ml4tError):
    """Results cannot be saved, loaded or read."""


class ConfigWarning(UserWarning):
    """A configuration can run, but probably does not mean what it says."""


class PluginWarning(UserWarning):
    """A plugin was skipped because it could not be loaded."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like `name`, ignoring case, or None when none is close.

    Close is what shares three quarters of the letters; three fifths are enough where one of the two begins
    with the other, and for a name of up to three letters.
    """
    by_fold: dict[str, str] = {}
    for candidate in sorted(known):
        by_fold.setdefault(candidate.casefold(), candidate)
    text = name.casefold()
    for guess in difflib.get_close_matches(text, by_fold, n=1, cutoff=_ALIKE_SHORT):
        alike = difflib.SequenceMatcher(None, guess, text).ratio()
        is_part = guess.startswith(text) or text.startswith(guess)
        if len(text) <= _SHORT or alike >= _ALIKE or is_part:
            return by_fold[guess]
    return None


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """Build the error for a name, of a `kind` such as "slippage model", that is not among the known ones."""
    names = sorted(set(known))
    guess = nearest(name, names) if isinstance(name, str) else None
    hint = f"; did you mean {guess!r}?" if guess is not None else ""
    return UnknownNameError(f"unknown {kind} {name!r}; known: {_listed(names)}{hint}")


def _listed(names: Iterable[str]) -> str:
    texts = list(names)
    shown = ", ".join(texts[:_MAX_LISTED]) or "none"
    return f"{shown} and {len(texts) - _MAX_LISTED} more" if len(texts) > _MAX_LISTED else shown
