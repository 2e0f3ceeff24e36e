"""Write docs/reference/fill-table.md from the scenario files: order type x kind of data x policy, row by row.

    python tests/scenarios/fill_table.py            # write the page
    python tests/scenarios/fill_table.py --check    # compare; a test does the same

A row is an order of a scenario and what came of it, as the scenario claims and both engines do.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

if __package__:
    from .files import OrderAsk, Row, Scenario, load_files
else:
    sys.path.insert(0, str(Path(__file__).parent))
    from files import OrderAsk, Row, Scenario, load_files

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reference" / "fill-table.md"
HEAD = """\
# The fill table

Every row is an order of a [scenario](../contributing/testing.md): on which data and under which policies it
was sent, and what came of it. The scenario, in `tests/scenarios/<file>.toml` under the name given, holds the
bars and the derivation by hand; the engine and the executable specification both do what it says. Nothing
here is written by hand: `python tests/scenarios/fill_table.py`.

Policies and models that are not named have their defaults. A fill reads quantity at price, with the event
that filled it where a bar has several: its open, its range or its close. `-` is an order that did not fill.
"""
TYPES = (
    ("market", "Market"),
    ("limit", "Limit"),
    ("stop", "Stop"),
    ("stop_limit", "Stop-limit"),
    ("trailing_stop", "Trailing stop"),
    ("trailing_stop_limit", "Trailing stop-limit"),
    ("market_if_touched", "Market if touched"),
    ("limit_if_touched", "Limit if touched"),
)
COLUMNS = "| settings | data | order | what came of it | scenario |\n|---|---|---|---|---|\n"
KINDS = (("bars", "bars"), ("quotes", "quotes"), ("trades", "prints"))
ACCOUNT = ("buying_power", "latency", "allows_short", "leverage")
MODELS = ("slippage_model", "impact_model", "commission_model", "fill_model")


def kinds_of(scenario: Scenario) -> str:
    """Kinds of data that the scenario has."""
    return " and ".join(label for name, label in KINDS if scenario.tables[name].rows)


def settings_of(scenario: Scenario) -> str:
    """Policies, models and account settings that are not the default."""
    broker: Mapping[str, Any] = scenario.broker
    parts = [f"{key} = {value}" for key, value in broker.get("policies", {}).items()]
    for key in MODELS:
        if (table := broker.get(key)) is not None:
            inside = ", ".join(f"{name} {value}" for name, value in table.items() if name != "type")
            parts.append(f"{table['type']}({inside})")
    parts += [f"{key} = {_words(broker[key])}" for key in ACCOUNT if key in broker]
    return ", ".join(parts)


def _words(value: object) -> str:
    """Write a setting, also a table in tables, in one line."""
    if isinstance(value, Mapping):
        return f"({', '.join(f'{name} {_words(each)}' for name, each in value.items())})"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def type_of(ask: OrderAsk) -> str:
    """Type of an order: named, or told by its prices."""
    named = str(ask.terms.get("order_type", ""))
    named = getattr(ask.terms.get("order_type"), "value", named)
    plain = {"market_on_open": "market", "market_on_close": "market"}
    plain |= {"limit_on_open": "limit", "limit_on_close": "limit"}
    if named:
        return plain.get(named, named)
    has_limit, has_stop = "limit_price" in ask.terms, "stop_price" in ask.terms
    return {(True, True): "stop_limit", (True, False): "limit", (False, True): "stop"}.get(
        (has_limit, has_stop), "market"
    )


def outcome_of(number: int, scenario: Scenario) -> str:
    """What the scenario says of an order: its fills, and how it ended where that is not with them."""
    fills: list[Row] = [row for row in _rows(scenario, "fills") if row.get("order") == str(number)]
    shown = [
        f"{row.get('quantity', 'filled')} at {row['price']}"
        + (f" ({row['phase']})" if row.get("phase") else "")
        for row in fills
        if "price" in row
    ]
    events = [row for row in _rows(scenario, "events") if row.get("order") == str(number)]
    end = events[-1] if events else {}
    if end.get("status") in ("rejected", "canceled", "expired"):
        shown.append(f"{end['status']} `{end['reason']}`" if end.get("reason") else str(end["status"]))
    return "; ".join(shown) or "-"


def _rows(scenario: Scenario, table: str) -> tuple[Row, ...]:
    found = scenario.expect.get(table)
    return found.rows if found is not None else ()


def rows_of(scenarios: list[Scenario]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each order of each scenario: its type, and its row."""
    for scenario in scenarios:
        if "fills" not in scenario.expect and "events" not in scenario.expect:
            continue
        number = 0
        for ask in scenario.asks:
            if not isinstance(ask.does, OrderAsk):
                continue
            number += 1
            words = ask.text.split(maxsplit=3)[-1]
            where = f"{scenario.file.removesuffix('.toml')}: {scenario.name.replace('_', ' ')}"
            yield (
                type_of(ask.does),
                (settings_of(scenario), kinds_of(scenario), words, outcome_of(number, scenario), where),
            )


def page() -> str:
    """Return the text of the page."""
    rows = list(rows_of(load_files(HERE.glob("*.toml"))))
    parts = [HEAD, *_overview(rows)]
    for kind, title in TYPES:
        found = sorted(row for of, row in rows if of == kind)
        if found:
            parts.append(f"\n## {title}\n\n{COLUMNS}")
            parts += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |\n" for row in found]
    if lost := sorted({of for of, _ in rows} - {kind for kind, _ in TYPES}):
        message = f"order types without a section: {', '.join(lost)}"
        raise ValueError(message)
    return "".join(parts)


def _overview(rows: list[tuple[str, tuple[str, ...]]]) -> Iterator[str]:
    """Count the rows of every type of order and kind of data."""
    kinds = sorted({row[1] for _, row in rows})
    yield f"\n| rows | {' | '.join(kinds)} |\n|---|{'---|' * len(kinds)}\n"
    for kind, title in TYPES:
        counts = [sum(of == kind and row[1] == data for of, row in rows) for data in kinds]
        yield f"| {title} | {' | '.join(str(count) if count else '' for count in counts)} |\n"


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--check", action="store_true")
    text = page()
    if parser.parse_args().check:
        return int(PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
