"""Where the result came from: every change of net asset value, by instrument and by what caused it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from ml4t.report.markup import Cell, escape, number, section, table, toned

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ml4t.backtest import Results

__all__ = ["attribution"]

_PARTS = {
    "price": "Price",
    "dividends": "Dividends",
    "spread": "Spread",
    "slippage": "Slippage",
    "impact": "Impact",
    "fees": "Fees",
    "borrow": "Borrow",
    "funding": "Funding",
    "interest": "Interest",
    "fx": "Currencies",
    "fx_costs": "Conversions",
    "roll": "Rolls",
    "external": "Paid in",
}
_TO_ZERO = 0.005


def attribution(results: Results, *, most: int) -> str:
    """Return what each instrument contributed, those that moved most first, and their sum."""
    rows = results.attribution
    if rows.is_empty():
        return ""
    names = [*_PARTS, "total"]
    sums = rows.group_by("symbol").agg(pl.col(names).sum()).with_columns(pl.col(names).cast(pl.Float64))
    of_instruments = sums.drop_nulls("symbol").sort(pl.col("total").abs(), "symbol", descending=[True, False])
    shown, others = of_instruments.head(most), of_instruments.slice(most)
    lines: list[tuple[str, Mapping[str, Any]]] = [(row["symbol"], row) for row in shown.iter_rows(named=True)]
    if others.height:
        lines.append((f"{others.height:,} others", _sum(others, names)))
    lines += [("The account", row) for row in sums.filter(pl.col("symbol").is_null()).iter_rows(named=True)]
    lines.append(("Sum", _sum(sums, names)))
    # What a run does not have needs no column.
    used = [name for name in _PARTS if any(abs(row[name]) >= _TO_ZERO for _, row in lines)]
    body = table(
        [list(_cells(label, row, [*used, "total"])) for label, row in lines],
        head=("<", *(_PARTS[name] for name in used), "Total"),
        element_id="attribution-table",
        classes="long",
        caption="Contributions to the change of net asset value",
    )
    note = (
        f"What each part did to the net asset value, in {escape(results.currency)}; costs are below zero. "
        "Price is at reference prices, before spread, slippage and impact. The parts add up to the change "
        "exactly; by session they are in <code>results.attribution</code>."
    )
    return section("Where the result came from", body, element_id="attribution", note=note)


def _sum(rows: pl.DataFrame, names: list[str]) -> Mapping[str, Any]:
    return rows.select(pl.col(names).sum()).row(0, named=True)


def _cells(label: str, row: Mapping[str, Any], names: list[str]) -> Iterable[Cell]:
    yield Cell(escape(label), "text strong", heading=True)
    for name in names:
        value = row[name]
        is_nothing = abs(value) < _TO_ZERO
        text = "\N{EN DASH}" if is_nothing else number(f"{value:,.2f}")
        yield Cell(text, "" if is_nothing else toned(value), key=repr(value))
