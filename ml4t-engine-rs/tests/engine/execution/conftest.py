"""An algorithm that answers what a table says, and a run in which it works one order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import polars as pl
import pytest

from ml4t.backtest import DataFeed
from ml4t.backtest.executors import Answer, ChildOrder, ExecutorArgs

Now = Any  # what a step of a script is given; see the conftest above
Feeds = Any  # a feed, or several
MIDNIGHT = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


@attrs.frozen(eq=False)
class Scripted:
    """Answers call by call what a table says, else nothing; or what a function says. Keeps its questions."""

    answers: Any = attrs.field(factory=dict, repr=False)
    average_days: int = 0
    asked: list[ExecutorArgs] = attrs.field(factory=list, repr=False, init=False)

    def evaluate(self, ctx: ExecutorArgs, /) -> Answer:
        self.asked.append(ctx)
        if callable(self.answers):
            found: Answer = self.answers(ctx)
            return found
        answer: Answer = self.answers.get(ctx.call, ())
        return answer


@attrs.frozen
class Worked:
    """A finished run: the questions that were asked, the handle of the order, and the results."""

    algorithm: Scripted
    handle: Any
    results: Any
    returned: Mapping[int, Any]

    @property
    def asked(self) -> list[ExecutorArgs]:
        return self.algorithm.asked

    def told(self, *names: str) -> list[Any]:
        """Return one field of every question, or several as tuples."""
        rows = [tuple(getattr(ctx, name) for name in names) for ctx in self.asked]
        return [row[0] for row in rows] if len(names) == 1 else rows

    @property
    def orders(self) -> list[tuple[Any, ...]]:
        """Quantity, what filled, status and code of every order of the run."""
        return list(self.results.orders.select("quantity", "filled_quantity", "status", "reason_code").rows())

    @property
    def fills(self) -> list[tuple[float, float]]:
        """Quantity and price of every fill of the run."""
        return list(self.results.fills.select("quantity", "price").rows())


Table = Mapping[int, Answer] | Callable[[ExecutorArgs], Answer]


@pytest.fixture(scope="session")
def scripted() -> type[Scripted]:
    """Return the class of the algorithm."""
    return Scripted


@pytest.fixture
def work(play: Callable[..., Any]) -> Callable[..., Worked]:
    """Return a function that lets an algorithm work an order of `A` from step `at` on, beside other steps."""

    def go(  # noqa: PLR0913
        feed: Feeds,
        quantity: float = 100,
        answers: Table | None = None,
        *,
        at: int = 0,
        average_days: int = 0,
        tag: str | None = None,
        steps: Mapping[int, Callable[[Any], object]] | None = None,
        **parts: object,
    ) -> Worked:
        algorithm = Scripted(answers or {}, average_days)

        def begin(now: Now) -> Now:
            now.strategy.handle = now.broker.execute("A", quantity, algorithm, tag=tag)
            return now.strategy.handle

        run = play({at: begin, **(steps or {})}, feed, **parts)
        return Worked(algorithm, run[at], run.results, run.script.returned)

    return go


@pytest.fixture(scope="session")
def market() -> Callable[..., DataFeed]:
    """Return a builder of feeds of `A` from rows of (hours since midnight of 1 January 2024, *numbers)."""
    columns = {
        "bar": ("open", "high", "low", "close", "volume"),
        "quote": ("bid_price", "ask_price", "bid_size", "ask_size"),
        "trade": ("price", "size"),
    }

    def build(
        kind: str, rows: Sequence[tuple[float, ...]], *, late: Sequence[float] = (), **options: object
    ) -> DataFeed:
        made = []
        for n, (hours, *numbers) in enumerate(rows):
            at = MIDNIGHT + dt.timedelta(hours=hours)
            row: dict[str, Any] = {"symbol": "A", "ts_event": at}
            if kind == "bar":
                row["ts_open"] = at - dt.timedelta(hours=1)
                price, volume = numbers
                numbers = [price, price, price, price, volume]
            if late:
                row["ts_arrival"] = at + dt.timedelta(hours=late[n])
            names = columns[kind][: len(numbers)]
            made.append(row | dict(zip(names, map(float, numbers), strict=True)))
        settings: dict[str, Any] = {
            "kind": kind,
            "stamp": "event",
            "calendar": "24/7",
            "name": kind,
            **options,
        }
        return DataFeed(pl.DataFrame(made), **settings)

    return build


@pytest.fixture(scope="session")
def child() -> Callable[..., ChildOrder]:
    """Return a short way to write an order: quantity, and a limit price if there is one."""

    def make(quantity: float, limit: float | None = None, number: int = 0, **more: Now) -> ChildOrder:
        if limit is not None:
            more |= {"order_type": "limit", "limit_price": limit}
        return ChildOrder(quantity=quantity, client_id=number, **more)

    return make
