"""What a look at data found: one finding per kind of fault and symbol, with its first row."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import attrs
import polars as pl
from attrs import frozen

from ml4t.backtest.lint.codes import CODES
from ml4t.core.values import format_ns

__all__ = ["LintFinding", "LintReport", "LintSeverity", "finding", "of_symbols", "one_of_symbols"]

SHOWN_SYMBOLS = 10


class LintSeverity(enum.Enum):
    """How sure a finding is.

    ERROR: results would be wrong, or a feed refuses the rows. DOUBT: it looks wrong, and honest data can look
    like it.
    """

    ERROR = "error"
    DOUBT = "doubt"


@frozen(kw_only=True)
class LintFinding:
    """One kind of fault in one symbol.

    Attributes
    ----------
    code
        Stable name of the kind; see :data:`ml4t.backtest.lint.CODES`.
    severity
        Whether it is certain.
    found
        What was found, with the values.
    symbol
        Whose rows; None where it is of all of them.
    at
        Session (``2024-03-04``) or instant (ISO 8601 in UTC) of the first such row; None without one.
    row
        Its number in its file, from 0.
    file
        Which file; None where there is one only.
    value
        The value found there.
    count
        How many rows are like it.
    """

    code: str
    severity: LintSeverity
    found: str
    symbol: str | None = None
    at: str | None = None
    row: int | None = None
    file: str | None = None
    value: float | None = None
    count: int = 1

    @property
    def why(self) -> str:
        """What it does to a backtest."""
        return CODES[self.code].why

    @property
    def fix(self) -> str:
        """What to do."""
        return CODES[self.code].fix

    @property
    def where(self) -> str:
        """Symbol, time and row, as far as there are any."""
        of = f" of {self.file}" if self.file else ""
        row = None if self.row is None else f"row {self.row}{of}"
        return ", ".join(part for part in (self.symbol, self.at, row) if part) or "all rows"

    def __str__(self) -> str:
        more = "" if self.count == 1 else f" ({self.count:,} such rows)"
        return f"{self.severity.value} {self.code}: {self.where}: {self.found}{more}"


@frozen(kw_only=True, repr=False)
class LintReport:
    """What :func:`ml4t.backtest.lint` found.

    Attributes
    ----------
    name
        The source.
    rows, symbols
        How many were looked at.
    findings
        Errors first, then by code, symbol and time.
    """

    name: str
    rows: int
    symbols: int
    findings: tuple[LintFinding, ...]

    @property
    def errors(self) -> tuple[LintFinding, ...]:
        """The findings that are certain."""
        return tuple(each for each in self.findings if each.severity is LintSeverity.ERROR)

    @property
    def doubts(self) -> tuple[LintFinding, ...]:
        """The findings that may be right as they are."""
        return tuple(each for each in self.findings if each.severity is LintSeverity.DOUBT)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes found, sorted."""
        return tuple(sorted({each.code for each in self.findings}))

    @property
    def is_clean(self) -> bool:
        """Whether there is no error; there may be doubts."""
        return not self.errors

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        findings = [
            {**attrs.asdict(each), "severity": each.severity.value, "why": each.why, "fix": each.fix}
            for each in self.findings
        ]
        return {"name": self.name, "rows": self.rows, "symbols": self.symbols, "findings": findings}

    def to_json(self) -> str:
        """Return the report as JSON; values that are no numbers are null."""
        plain = self.to_dict()
        for each in plain["findings"]:
            if each["value"] is not None and not abs(each["value"]) < float("inf"):
                each["value"] = None
        return json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)

    def __repr__(self) -> str:
        rows = f"{self.rows:,} row{'' if self.rows == 1 else 's'}"
        of = f"{self.symbols} symbol{'' if self.symbols == 1 else 's'}"
        counts = ", ".join(
            f"{len(found)} {word}{'' if len(found) == 1 else 's'}"
            for word, found in (("error", self.errors), ("doubt", self.doubts))
        )
        lines = [f"{self.name}: {rows} of {of}: {counts}"]
        for severity in LintSeverity:
            for code in self.codes:
                mine = [each for each in self.findings if each.code == code and each.severity is severity]
                if not mine:
                    continue
                lines += [f"  {each}" for each in mine[:SHOWN_SYMBOLS]]
                if len(mine) > SHOWN_SYMBOLS:
                    lines.append(f"  and {len(mine) - SHOWN_SYMBOLS} more symbols with {code}")
                lines += [f"      why: {CODES[code].why}", f"      do:  {CODES[code].fix}"]
        return "\n".join(lines)


def at_of(row: Mapping[str, Any]) -> str | None:
    """Return the session of a row, or its instant where its time of day counts."""
    if row.get("label") is not None:
        return str(row["label"])
    return None if row.get("ts") is None else format_ns(row["ts"])


def finding(
    code: str,
    severity: LintSeverity,
    row: Mapping[str, Any],
    found: str,
    *,
    value: float | None = None,
    count: int = 1,
) -> LintFinding:
    """Return the finding about a row of a table."""
    return LintFinding(
        code=code,
        severity=severity,
        found=found,
        symbol=row.get("symbol"),
        at=at_of(row),
        row=row.get("row"),
        file=row.get("file"),
        value=None if value is None else float(value),
        count=count,
    )


def one_of_symbols(hits: pl.DataFrame) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the first of the hits of each symbol, in the order of the table, and how many it has."""
    counts = dict(hits.group_by("symbol").len().iter_rows())
    for row in hits.unique("symbol", keep="first", maintain_order=True).iter_rows(named=True):
        yield row, counts[row["symbol"]]


def of_symbols(
    hits: pl.DataFrame,
    code: str,
    severity: LintSeverity,
    say: Callable[[dict[str, Any]], str],
    *,
    value: str | None = None,
) -> Iterator[LintFinding]:
    """Yield one finding per symbol of the rows that were hit, which come in the order of the table."""
    for row, count in one_of_symbols(hits):
        shown = None if value is None else row[value]
        yield finding(code, severity, row, say(row), value=shown, count=count)


def in_order(findings: Collection[LintFinding]) -> tuple[LintFinding, ...]:
    """Return errors first, then by code, symbol and time."""
    return tuple(
        sorted(
            findings,
            key=lambda each: (
                each.severity is not LintSeverity.ERROR,
                each.code,
                each.symbol or "",
                each.at or "",
                each.row or 0,
            ),
        )
    )
