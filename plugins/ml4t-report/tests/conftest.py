"""Runs of the engine on real prices, and a reader of the page."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ml4t.backtest import DataFeed, Results, Strategy, datasets, run
from ml4t.core.schedule import month_start
from ml4t.report import HtmlReport

SYMBOLS = ("AAPL", "IBM", "MSFT")


class Rotate(Strategy):
    """Every month: most in the stock that rose most over the last quarter, a little short in the worst."""

    def __init__(self, short: float = 0.2) -> None:
        self.short = short

    def on_start(self) -> None:
        self.closes: dict[str, deque[float]] = {symbol: deque(maxlen=63) for symbol in SYMBOLS}
        self.schedule(rule=month_start())

    def on_daily_close(self) -> None:
        for symbol, closes in self.closes.items():
            closes.append(self.data[symbol]["close"])

    def on_rebalance_trigger(self) -> None:
        change = {symbol: c[-1] / c[0] for symbol, c in self.closes.items() if len(c) == c.maxlen}
        if len(change) == len(SYMBOLS):
            worst, middle, best = sorted(change, key=change.__getitem__)
            self.broker.order_target_weights({best: 0.6, middle: 0.0, worst: -self.short})


@pytest.fixture(scope="session")
def backtest() -> Callable[..., Results]:
    """Return a function that runs a strategy on the shipped prices, with costs."""

    def go(
        strategy: type[Strategy] = Rotate,
        *,
        backtest: Mapping[str, Any] | None = None,
        broker: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Results:
        feed = DataFeed(
            datasets.us_equity_daily(),
            stamp="session",
            symbols=list(SYMBOLS),
            actions=datasets.us_equity_actions(),
        )
        config = {
            "backtest": {"name": "rotation", **(backtest or {})},
            "broker": {
                "initial_cash": 1_000_000,
                "allows_short": True,
                "slippage_model": {"type": "BasisPoints", "bps": 2.0},
                "commission_model": {"type": "PerShare", "fee": 0.005, "minimum": 1.0},
                **(broker or {}),
            },
            "report": {"risk_free": 0.02},
        }
        return run(strategy, feed, config=config, params=params)

    return go


@pytest.fixture(scope="session")
def results(backtest: Callable[..., Results]) -> Results:
    """Return a rotation over thirteen years, filled optimistically so that it carries a warning."""
    return backtest(broker={"policies": {"fill_timing": "same_close"}})


@pytest.fixture(scope="session")
def page_file(results: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of that run."""
    return HtmlReport().write(results, tmp_path_factory.mktemp("report") / "report.html")


class Page(HTMLParser):
    """What a page says: its elements with ids, the cells of its tables, its scripts and its visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[tuple[str, str | None]]]] = {}
        self.data: dict[str, str] = {}
        self.words: list[str] = []
        self._inside: list[str] = []
        self._script: str | None = None
        self._table = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if identity := given.get("id"):
            self.ids.append(identity)
        if tag in {"script", "style"}:
            self._inside.append(tag)
            self._script = given.get("id") if given.get("type") == "application/json" else None
        if tag == "table":
            self._table = str(identity)
            self.tables[self._table] = []
        elif tag == "tr":
            self.tables[self._table].append([])
        elif tag in {"td", "th"}:
            self.tables[self._table][-1].append(("", given.get("data-key")))

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style"}:
            self._inside.pop()
            self._script = None
        elif tag == "table":
            self._table = ""

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.data[self._script] = self.data.get(self._script, "") + data
        if self._inside:
            return
        self.words.append(data)
        if self._table and self.tables[self._table] and self.tables[self._table][-1]:
            text, key = self.tables[self._table][-1][-1]
            self.tables[self._table][-1][-1] = (text + data.strip(), key)

    @property
    def text(self) -> str:
        """The visible text."""
        return " ".join("".join(self.words).split())

    def figure(self, name: str) -> dict[str, Any]:
        """Return the figure of a chart."""
        found: dict[str, Any] = json.loads(self.data[f"{name}-data"])
        return found

    def traces(self, name: str) -> dict[str, dict[str, Any]]:
        """Return the traces of a chart by name."""
        return {trace["name"]: trace for trace in self.figure(name)["data"]}


@pytest.fixture(scope="session")
def read() -> type[Page]:
    """Return the reader of pages."""
    return Page


@pytest.fixture(scope="session")
def page(page_file: Path) -> Page:
    """Return the report of the run, read."""
    return Page(page_file.read_text(encoding="utf-8"))
