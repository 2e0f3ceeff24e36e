"""Latency models: what they are asked, when messages arrive by what they answer, and what is refused.

The market is a quote every millisecond. An order meets the first quote after it has arrived; a change or a
cancel does what it does at its arrival, to the nanosecond.
"""

from __future__ import annotations

import datetime as dt
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs
import polars as pl
import pytest

from ml4t.backtest import DataFeed, Engine, Instrument, Results, Strategy
from ml4t.core import ModelSpec, hookimpl
from ml4t.core.cli import main
from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.models import LatencyArgs, LatencyModel, LatencyOut
from ml4t.core.plugins import PluginManager, load_plugins
from ml4t.reference.randoms import philox

Make = Callable[..., Engine]
Step = Callable[[Any], object]

T0 = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
T0_NS = int(T0.timestamp()) * 10**9
MS = 1_000_000
SEED = (2**31 + 5) * 2**32 + 7


def quotes(symbols: Sequence[str] = ("A",), *, count: int = 60, **options: Any) -> DataFeed:  # noqa: ANN401
    """Return quotes of 10.00 to 10.02, one a millisecond and symbol."""
    rows = [
        {"symbol": symbol, "timestamp": T0 + dt.timedelta(milliseconds=n)} | SIDES
        for n in range(count)
        for symbol in symbols
    ]
    settings = {"kind": "quote", "stamp": "event", "calendar": "24/7", **options}
    return DataFeed(pl.DataFrame(rows), **settings)


SIDES = {"bid_price": 10.0, "ask_price": 10.02, "bid_size": 100.0, "ask_size": 100.0}


class Script(Strategy):
    """Does at the n-th quote, counted from 0, what step n says."""

    def __init__(self, steps: Mapping[int, Step]) -> None:
        self.steps = dict(steps)
        self.calls = 0

    def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
        if step := self.steps.get(self.calls):
            step(broker)
        self.calls += 1


@attrs.frozen
class Fixed:
    """So many milliseconds for an order, a change and a cancel."""

    submit: float = 0.0
    modify: float = 0.0
    cancel: float = 0.0

    def evaluate(self, ctx: LatencyArgs) -> LatencyOut:
        return LatencyOut(getattr(self, ctx.message) * MS)


def telling(answer: Callable[[LatencyArgs], object]) -> Any:  # noqa: ANN401 - of many kinds
    """Return a model that answers what this returns, and keeps every question in `pages`."""

    @attrs.frozen
    class Telling:
        pages: ClassVar[list[LatencyArgs]] = []

        def evaluate(self, ctx: LatencyArgs) -> object:
            self.pages.append(ctx)
            return answer(ctx)

    return Telling()


def at_once(ctx: LatencyArgs) -> LatencyOut:
    return LatencyOut(0.0)


@pytest.fixture
def run(engine: Make) -> Callable[..., Results]:
    """Run steps on quotes; `latency` is a setting, `model` an object."""

    def go(
        steps: Mapping[int, Step],
        *,
        feed: DataFeed | None = None,
        model: object = None,
        latency: object = None,
        **backtest: object,
    ) -> Results:
        broker: dict[str, Any] = {"allows_short": True}
        broker |= {} if latency is None else {"latency": latency}
        models = {} if model is None else {"latency": model}
        made = engine(
            lambda: Script(steps), feed or quotes(), broker=broker, backtest=backtest, models=models
        )
        return made.run()

    return go


Run = Callable[..., Results]


def after(column: pl.Series) -> list[float]:
    """Return instants as milliseconds of the market."""
    return [(ns - T0_NS) / MS for ns in column.dt.epoch("ns")]


def events(results: Results, code: str) -> list[float]:
    """Return when something happened to orders, in milliseconds."""
    return after(results.table("order_events").filter(pl.col("reason_code") == code)["ts_event"])


# -- when messages arrive --------------------------------------------------------------------------------


def test_an_order_is_active_when_its_delay_is_over(run: Run) -> None:
    # Sent at 3 ms, active at 6.5 ms: the quote of 7 ms is the first that it meets.
    found = run({3: lambda broker: broker.buy("A", 1)}, model=Fixed(submit=3.5))
    assert after(found.fills["ts_event"]) == [7.0]
    assert after(found.table("order_events").filter(pl.col("status") == "accepted")["ts_event"]) == [3.0]


def test_a_quote_at_the_instant_of_arrival_is_not_met(run: Run) -> None:
    found = run({3: lambda broker: broker.buy("A", 1)}, model=Fixed(submit=3))
    assert after(found.fills["ts_event"]) == [7.0]


def test_orders_changes_and_cancels_have_delays_of_their_own(run: Run) -> None:
    def later(broker: Any) -> None:  # noqa: ANN401
        broker.cancel_order(broker.open_orders[0])
        # A second cancel is no message.
        broker.cancel_order(broker.open_orders[0])

    steps: dict[int, Step] = {
        2: lambda broker: broker.buy("A", 1, limit_price=9.0),
        8: lambda broker: broker.modify_order(broker.open_orders[0], limit_price=9.5),
        14: later,
    }
    found = run(steps, model=Fixed(submit=3, modify=2.5, cancel=4.000_001))
    assert events(found, "REPLACE_REQUESTED") == [8.0]
    assert events(found, "REPLACED") == [10.5]
    assert events(found, "CANCEL_REQUESTED") == [14.0]
    assert events(found, "CANCELED_BY_REQUEST") == [18.000_001]


def test_a_part_of_a_nanosecond_is_cut_off(run: Run) -> None:
    steps: dict[int, Step] = {
        2: lambda broker: broker.buy("A", 1, limit_price=9.0),
        8: lambda broker: broker.cancel_order(broker.open_orders[0]),
    }
    model = telling(lambda ctx: LatencyOut(1_500_000.999 if ctx.message == "cancel" else 0.0))
    (event,) = run(steps, model=model).table("order_events").tail(1)["ts_event"].dt.epoch("ns")
    assert event == T0_NS + 8 * MS + 1_500_000


def test_less_than_a_nanosecond_is_at_once(run: Run) -> None:
    steps: dict[int, Step] = {
        2: lambda broker: broker.buy("A", 1, limit_price=9.0),
        8: lambda broker: broker.cancel_order(broker.open_orders[0]),
    }
    found = run(steps, model=telling(lambda ctx: LatencyOut(0.999)))
    assert events(found, "CANCEL_REQUESTED") == []
    assert events(found, "CANCELED_BY_REQUEST") == [8.0]


def test_messages_about_one_order_do_not_overtake_one_another(run: Run) -> None:
    # The cancel would be there at 4 ms, and the order is at 12 ms.
    steps: dict[int, Step] = {
        2: lambda broker: broker.buy("A", 1, limit_price=9.0),
        3: lambda broker: broker.cancel_order(broker.open_orders[0]),
    }
    assert events(run(steps, model=Fixed(submit=10, cancel=1)), "CANCELED_BY_REQUEST") == [12.0]


def test_messages_about_different_orders_do(run: Run) -> None:
    slow_first = telling(lambda ctx: LatencyOut(9.0 * MS if ctx.side > 0 else 1.0 * MS))
    steps: dict[int, Step] = {
        2: lambda broker: broker.buy("A", 1),
        3: lambda broker: broker.sell("A", 1),
    }
    found = run(steps, model=slow_first).fills
    # The buy is there at 11 ms, the sell at 4 ms.
    assert found["side"].to_list() == ["sell", "buy"]
    assert after(found["ts_event"]) == [5.0, 12.0]


# -- what a model is asked -------------------------------------------------------------------------------


def test_a_model_is_told_what_leaves_when_for_which_instrument_and_venue(run: Run) -> None:
    instruments = [Instrument("A", calendar="24/7", venue="XCME"), Instrument("B", calendar="24/7")]
    feed = quotes(("A", "B"), instruments=instruments)
    model = telling(at_once)
    steps: dict[int, Step] = {
        2: lambda broker: broker.buy("A", 1, limit_price=9.0),
        4: lambda broker: broker.sell("B", 1, limit_price=11.0),
        5: lambda broker: broker.modify_order(broker.open_orders[0], limit_price=9.5),
        6: lambda broker: broker.cancel_order(broker.open_orders[1]),
    }
    run(steps, feed=feed, model=model)
    # Venues by name: "24/7", the calendar of B, comes before "XCME".
    assert [(p.ts_ns, p.message, p.side, p.asset, p.venue) for p in model.pages] == [
        (T0_NS + 2 * MS, "submit", 1, 0, 1),
        (T0_NS + 4 * MS, "submit", -1, 1, 0),
        (T0_NS + 5 * MS, "modify", 1, 0, 1),
        (T0_NS + 6 * MS, "cancel", -1, 1, 0),
    ]
    assert all(isinstance(page, LatencyArgs) for page in model.pages)


def test_an_order_that_is_refused_when_it_is_sent_is_no_message(run: Run) -> None:
    model = telling(at_once)
    found = run({2: lambda broker: broker.buy("A", 10**9)}, model=model)
    assert found.orders["status"].to_list() == ["rejected"]
    assert model.pages == []


def test_a_child_acts_without_a_message_and_a_cancel_of_it_has_a_delay(run: Run) -> None:
    def open_pair(broker: Any) -> None:  # noqa: ANN401
        parent = broker.buy("A", 1)
        broker.sell("A", 1, limit_price=11.0, parent=parent)

    model = telling(lambda ctx: LatencyOut(2.0 * MS))
    steps: dict[int, Step] = {
        2: open_pair,
        10: lambda broker: broker.cancel_order(broker.open_orders[0]),
    }
    found = run(steps, model=model)
    assert [(page.message, page.side) for page in model.pages] == [("submit", 1), ("cancel", -1)]
    assert events(found, "CANCELED_BY_REQUEST") == [12.0]


def documented(order: int, number: int, attempt: int) -> tuple[float, ...]:
    """Return the draws of an occasion as the page says: two blocks, of each two numbers of 53 bits."""
    found = []
    for third in (2 * number, 2 * number + 1):
        counter = (order % 2**32, order // 2**32, third, attempt)
        a0, a1, a2, a3 = philox(counter, (SEED % 2**32, SEED // 2**32))
        found += [(a0 * 2**32 + a1) >> 11, (a2 * 2**32 + a3) >> 11]
    return tuple(k / 2**53 for k in found)


def test_draws_are_those_of_the_order_the_message_and_the_attempt(run: Run) -> None:
    model = telling(at_once)
    steps: dict[int, Step] = {
        2: lambda broker: broker.buy("A", 10**9),  # refused, and counted
        3: lambda broker: broker.buy("A", 1, limit_price=9.0),
        4: lambda broker: broker.modify_order(broker.open_orders[0], limit_price=9.5),
        5: lambda broker: broker.modify_order(broker.open_orders[0], limit_price=9.25),
        6: lambda broker: broker.cancel_order(broker.open_orders[0]),
    }
    run(steps, model=model, seed=SEED)
    occasions = [(1, 16, 0), (1, 17, 0), (1, 17, 1), (1, 18, 0)]
    assert [page.random for page in model.pages] == [documented(*occasion) for occasion in occasions]
    draws = [number for page in model.pages for number in page.random]
    assert len(set(draws)) == 16
    assert all(0 <= number < 1 for number in draws)


def test_a_repeated_run_is_the_same_and_another_seed_another(run: Run) -> None:
    model = telling(lambda ctx: LatencyOut(20.0 * MS * ctx.random[0]))
    steps: dict[int, Step] = {n: lambda broker: broker.buy("A", 1) for n in range(0, 30, 3)}
    one, again, other = (run(steps, model=model, seed=seed).fills for seed in (1, 1, 2))
    assert one.equals(again)
    assert not one["ts_event"].equals(other["ts_event"])


# -- of a configuration ----------------------------------------------------------------------------------


PLUGIN = """
import attrs
from ml4t.core import ModelSpec, hookimpl
from ml4t.core.cli import main
from ml4t.core.models import LatencyOut

@attrs.frozen
class Ms:
    ms: float = attrs.field(default=1.0, validator=attrs.validators.ge(0.0))

    def evaluate(self, ctx):
        return LatencyOut(self.ms * 1e6)

@attrs.define
class Counts:
    asked: int = attrs.field(default=0, init=False)

    def clone(self):
        return Counts()

    def evaluate(self, ctx):
        self.asked += 1
        return LatencyOut(self.asked * 1e6)

@hookimpl
def ml4t_register_models():
    found = (("Ms", Ms), ("Counts", Counts))
    return [ModelSpec("latency", name, f"ml4t_desk_delays:{name}") for name, _ in found]
"""


class Other:
    """A plugin that offers the model `Ms` of the desk, too."""

    @hookimpl
    def ml4t_register_models(self) -> list[ModelSpec]:
        return [ModelSpec("latency", "Ms", "ml4t_desk_delays:Ms")]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PluginManager]:
    """Install the plugin `desk` of ml4t-desk 1.2, which offers latency models."""
    info = tmp_path / "site" / "ml4t_desk-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ml4t-desk\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[ml4t]\ndesk = ml4t_desk_delays\n")
    (tmp_path / "site" / "ml4t_desk_delays.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield load_plugins()
    sys.modules.pop("ml4t_desk_delays", None)


def of_both(manager: PluginManager, latency: object, steps: Mapping[int, Step], **parts: Any) -> Results:  # noqa: ANN401
    """Run with the venues XCME of A and 24/7 of B."""
    instruments = [Instrument("A", calendar="24/7", venue="XCME"), Instrument("B", calendar="24/7")]
    feed = quotes(("A", "B"), instruments=instruments)
    config = {"broker": {"latency": latency}, **parts}
    return Engine(feed, lambda: Script(steps), config=config, plugins=manager).run()


def both(what: str) -> dict[int, Step]:
    """Return steps that send orders for A and B at 2 ms, and that change or cancel both at 30 ms."""

    def send(broker: Any) -> None:  # noqa: ANN401
        for symbol in "AB":
            broker.buy(symbol, 1, limit_price=9.0)

    def change(broker: Any) -> None:  # noqa: ANN401
        for order in broker.open_orders:
            if what == "modify":
                broker.modify_order(order, limit_price=9.5)
            else:
                broker.cancel_order(order)

    return {2: send, 30: change}


def arrivals(results: Results, code: str) -> dict[int, float]:
    """Return the instant of an event by the number of its order."""
    rows = results.table("order_events").filter(pl.col("reason_code") == code)
    return dict(zip(rows["order_id"], after(rows["ts_event"]), strict=True))


def test_a_model_of_a_plugin_is_asked_for_every_message(desk: PluginManager) -> None:
    latency = {"model": {"type": "Ms", "ms": 4.0}}
    assert arrivals(of_both(desk, latency, both("cancel")), "CANCELED_BY_REQUEST") == {1: 34.0, 2: 34.0}
    assert arrivals(of_both(desk, latency, both("modify")), "REPLACED") == {1: 34.0, 2: 34.0}


def test_delays_of_a_venue_win_over_the_model_outside_and_the_rest_is_its(desk: PluginManager) -> None:
    latency = {"model": {"type": "Ms", "ms": 4.0}, "venues": {"XCME": {"modify": "1ms"}}}
    assert arrivals(of_both(desk, latency, both("modify")), "REPLACED") == {1: 31.0, 2: 34.0}
    assert arrivals(of_both(desk, latency, both("cancel")), "CANCELED_BY_REQUEST") == {1: 34.0, 2: 34.0}


def test_a_model_of_a_venue_wins_over_delays_and_the_model_outside(desk: PluginManager) -> None:
    venue = {"XCME": {"model": {"type": "desk:Ms", "ms": 7.0}}}
    outside: list[dict[str, Any]] = [{"cancel": "2ms"}, {"model": {"type": "Ms", "ms": 2.0}}]
    for settings in outside:
        found = of_both(desk, {**settings, "venues": venue}, both("cancel"))
        assert arrivals(found, "CANCELED_BY_REQUEST") == {1: 37.0, 2: 32.0}


def test_the_manifest_names_every_model_its_plugin_and_its_parameters(desk: PluginManager) -> None:
    venue = {"XCME": {"model": {"type": "Ms", "ms": 7.0}}}
    found = of_both(desk, {"model": {"type": "Ms"}, "venues": venue}, {})
    used = [each for each in found.manifest["models"] if each["kind"] == "latency"]
    origin = ("type", "plugin", "distribution", "version", "path", "abi")
    wanted = ["desk:Ms", "desk", "ml4t-desk", "1.2", "python", None]
    assert [[each[name] for name in origin] for each in used] == [wanted, wanted]
    assert [each["params"] for each in used] == [{"ms": 1.0}, {"ms": 7.0}]
    note = "latency model Ms runs in Python, under the interpreter lock"
    assert found.manifest["warnings"].count(note) == 2
    assert found.execution_paths["latency"] == "python"


def test_a_stored_configuration_has_the_schema_of_every_latency_model(desk: PluginManager) -> None:
    venue = {"XCME": {"model": {"type": "Ms", "ms": 7.0}}, "24/7": {"cancel": "3ms"}}
    found = of_both(desk, {"model": {"type": "Ms"}, "venues": venue}, both("cancel"))
    stored = found.manifest["config"]
    assert stored["broker"]["latency"] == {
        "model": {"type": "Ms", "schema_version": 1},
        "venues": {
            "XCME": {"model": {"type": "Ms", "ms": 7.0, "schema_version": 1}},
            "24/7": {"cancel": "3ms"},
        },
    }
    again = of_both(desk, stored["broker"]["latency"], both("cancel"))
    assert again.manifest["config"] == stored
    assert again.table("order_events").equals(found.table("order_events"))


def test_a_latency_model_of_an_older_schema_is_migrated_and_the_manifest_says_so(
    desk: PluginManager,
) -> None:
    class Newer:
        @hookimpl
        def ml4t_register_models(self) -> list[ModelSpec]:
            return [ModelSpec("latency", "Wait", "ml4t_desk_delays:Ms", schema_version=2)]

        @hookimpl
        def ml4t_migrate_model(self, params: Mapping[str, Any], from_version: int) -> dict[str, Any]:
            return {"ms": params["seconds"] * 1_000}

    desk.register(Newer(), "newer")
    old = {"type": "Wait", "seconds": 0.004, "schema_version": 1}
    found = of_both(desk, {"venues": {"XCME": {"model": old}}}, both("cancel"))
    assert arrivals(found, "CANCELED_BY_REQUEST") == {1: 34.0, 2: 30.0}
    present = {"type": "Wait", "ms": 4.0, "schema_version": 2}
    assert found.manifest["config"]["broker"]["latency"] == {"venues": {"XCME": {"model": present}}}
    note = "latency model newer:Wait: its parameters of schema 1 were migrated to schema 2 by plugin newer"
    assert note in found.manifest["warnings"]


# -- what is refused in a configuration ------------------------------------------------------------------


def faults(manager: PluginManager, latency: object) -> dict[str, str]:
    with pytest.raises(ConfigError) as refused:
        of_both(manager, latency, {})
    return {each.path: each.message for each in refused.value.findings}


def test_a_model_stands_alone(desk: PluginManager) -> None:
    beside = "the model decides it; leave out one of the two"
    table = {"type": "Ms"}
    assert faults(desk, {"model": table, "submit": "1ms", "cancel": "1ms"}) == {
        "broker.latency.submit": beside,
        "broker.latency.cancel": beside,
    }
    assert faults(desk, {"venues": {"XCME": {"model": table, "modify": "0s"}}}) == {
        "broker.latency.venues.XCME.modify": beside
    }


def test_a_type_that_nobody_offers_names_those_that_are_offered(desk: PluginManager) -> None:
    assert faults(desk, {"model": {"type": "Mss"}}) == {
        "broker.latency.model.type": "unknown latency 'Mss'; known: Counts, Ms; did you mean 'Ms'?"
    }


def test_a_name_that_two_plugins_offer_is_ambiguous_and_a_full_one_is_not(desk: PluginManager) -> None:
    desk.register(Other(), "other")
    (told,) = faults(desk, {"venues": {"XCME": {"model": {"type": "Ms"}}}}).items()
    assert told[0] == "broker.latency.venues.XCME.model.type"
    assert "desk:Ms" in told[1]
    assert "other:Ms" in told[1]
    found = of_both(desk, {"model": {"type": "other:Ms"}}, both("cancel"))
    assert arrivals(found, "CANCELED_BY_REQUEST") == {1: 31.0, 2: 31.0}


@pytest.mark.parametrize("place", ["model", "venues.XCME.model"])
def test_parameters_are_checked_where_they_stand(desk: PluginManager, place: str) -> None:
    def latency(table: object) -> dict[str, Any]:
        return {"model": table} if place == "model" else {"venues": {"XCME": {"model": table}}}

    path = f"broker.latency.{place}"
    assert "unknown key" in faults(desk, latency({"type": "Ms", "mss": 1.0}))[f"{path}.mss"]
    assert "expected a number" in faults(desk, latency({"type": "Ms", "ms": "1"}))[f"{path}.ms"]
    # A validator of attrs speaks for the class.
    assert faults(desk, latency({"type": "Ms", "ms": -1.0})) == {path: "'ms' must be >= 0.0: -1.0"}
    assert faults(desk, latency({"ms": 1.0})) == {f"{path}.type": "required, but missing"}
    assert list(faults(desk, latency("Ms"))) == [path]


TOML = """
[backtest]
nav_calendar = "24/7"

[broker.latency]
submit = "1ms"

[broker.latency.venues."24/7"]
model = {{ {params} }}

[[data_feeds]]
name = "quotes"
type = "ParquetFeed"
kind = "quote"
path = "quotes.parquet"
stamp = "event"
calendar = "24/7"

[[strategies]]
name = "buys"
type = "strategies.py:Buys"
"""
BUYS = """
from ml4t.backtest import Strategy

class Buys(Strategy):
    def on_data(self, timestamp, data, context, broker):
        if not broker.open_orders and not broker.positions:
            broker.buy("A", 1, limit_price=9.0)
        elif broker.open_orders:
            broker.cancel_order(broker.open_orders[0])
"""


@pytest.fixture
def command(
    desk: PluginManager, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], tuple[int, str]]:
    """Return a function that gives the latency model parameters and runs `ml4t run`."""
    rows = [{"symbol": "A", "timestamp": T0 + dt.timedelta(milliseconds=n)} | SIDES for n in range(20)]
    pl.DataFrame(rows).write_parquet(tmp_path / "quotes.parquet")
    (tmp_path / "strategies.py").write_text(BUYS)

    def go(params: str) -> tuple[int, str]:
        path = tmp_path / "run.toml"
        table = params if "type" in params else f'type = "Ms", {params}'
        path.write_text(TOML.format(params=table))
        status = main(["run", str(path), "--no-report", "--output", str(tmp_path / "results")])
        return status, capsys.readouterr().err

    return go


def test_a_configuration_file_names_a_model(
    command: Callable[[str], tuple[int, str]], tmp_path: Path
) -> None:
    assert command("ms = 2.5") == (0, "")
    found = Results.load(tmp_path / "results")
    # Sent at 0 ms, active at 1 ms; the cancel leaves at 1 ms and is there at 3.5 ms.
    assert events(found, "CANCELED_BY_REQUEST")[0] == 3.5
    assert found.execution_paths["latency"] == "python"


@pytest.mark.parametrize(
    ("params", "path", "words"),
    [
        ("ms = -1.0", "", "must be >= 0.0"),
        ("mss = 1.0", ".mss", "unknown key"),
        ('ms = "1"', ".ms", "expected a number"),
        ('type = "Mss"', ".type", "unknown latency 'Mss'; known: Counts, Ms; did you mean 'Ms'?"),
        ("schema_version = 2", ".schema_version", "they were written by a newer ml4t-desk"),
    ],
)
def test_a_fault_in_a_file_names_its_line(
    command: Callable[[str], tuple[int, str]], params: str, path: str, words: str
) -> None:
    status, err = command(params)
    assert status == 1
    (told,) = [line for line in err.splitlines() if f"broker.latency.venues.24/7.model{path}: " in line]
    assert "run.toml: " in told
    # A key that the file has several times has no line.
    assert told.endswith("(line 9)") == (path != ".type")
    assert words in told


# -- objects ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("latency", ["1ms", {"cancel": "1ms"}, {"venues": {"24/7": {"submit": "1ms"}}}])
def test_an_object_beside_a_configured_latency_is_refused(run: Run, latency: object) -> None:
    with pytest.raises(ConfigError, match=r"broker\.latency: a latency model was given as an object"):
        run({}, model=Fixed(), latency=latency)


def test_an_object_stands_for_all_messages_and_beside_no_latency(run: Run) -> None:
    steps = {3: lambda broker: broker.buy("A", 1)}
    assert after(run(steps, model=Fixed(submit=3.5), latency="0s").fills["ts_event"]) == [7.0]
    assert isinstance(Fixed(), LatencyModel)


@pytest.mark.parametrize("given", [object(), 5, "1ms", Fixed, lambda ctx: LatencyOut(0.0)])
def test_what_is_no_model_is_refused(run: Run, given: object) -> None:
    with pytest.raises(ConfigError, match=r"latency model .* must be an instance of an attrs class with a"):
        run({}, model=given)


def test_a_class_that_can_change_needs_clone(run: Run) -> None:
    @attrs.define
    class Counting:
        asked: int = 0

        def evaluate(self, ctx: LatencyArgs) -> LatencyOut:
            self.asked += 1
            return LatencyOut(self.asked * 1.0 * MS)

    with pytest.raises(ConfigError, match=r"latency model .*can change, so that a run would begin where"):
        run({}, model=Counting())


def test_a_state_is_copied_for_every_run_and_not_told_of_fills(run: Run) -> None:
    @attrs.define
    class Slower:
        """A millisecond more with every message."""

        asked: int = attrs.field(default=0, init=False)

        def clone(self) -> Slower:
            return Slower()

        def observe(self, fill: object) -> None:
            raise AssertionError

        def evaluate(self, ctx: LatencyArgs) -> LatencyOut:
            self.asked += 1
            return LatencyOut(self.asked * 1.0 * MS)

    model = Slower()
    steps = {n: lambda broker: broker.buy("A", 1) for n in (0, 10, 20)}
    for _ in range(2):
        # There at 1, 12 and 23 ms.
        assert after(run(steps, model=model).fills["ts_event"]) == [2.0, 13.0, 24.0]
    assert model.asked == 0


def test_two_places_with_one_class_have_each_a_state_of_their_own(desk: PluginManager) -> None:
    table = {"type": "Counts"}
    found = of_both(desk, {"model": table, "venues": {"XCME": {"model": table}}}, both("cancel"))
    # The cancel is the second message that each of the two is asked about.
    assert arrivals(found, "CANCELED_BY_REQUEST") == {1: 32.0, 2: 32.0}


def test_a_model_in_python_is_refused_where_only_native_ones_may_run(run: Run) -> None:
    with pytest.raises(ConfigError, match=r"backtest\.native: latency model Fixed runs in Python, and"):
        run({}, model=Fixed(), native="require")
    assert run({}, model=Fixed(), native="never").execution_paths["latency"] == "python"


# -- what is no answer -----------------------------------------------------------------------------------

WHERE = r"model Telling, A, order 1, 2024-01-02T00:00:00\.002000000Z: "


def ask(run: Run, answer: Callable[[LatencyArgs], object]) -> None:
    run({2: lambda broker: broker.buy("A", 1)}, model=telling(answer))


@pytest.mark.parametrize("delay", [math.nan, math.inf, -math.inf, -1.0, -1e-9, 2.0**63, 1e300])
def test_a_delay_that_is_none_stops_the_run(run: Run, delay: float) -> None:
    with pytest.raises(ModelError, match=WHERE + r"delay_ns .*; it must be 0 or more, and within 64 bits"):
        ask(run, lambda ctx: LatencyOut(delay))


def test_minus_zero_is_zero(run: Run) -> None:
    ask(run, lambda ctx: LatencyOut(-0.0))


def test_a_delay_beyond_the_data_never_arrives(run: Run) -> None:
    found = run({2: lambda broker: broker.buy("A", 1)}, model=telling(lambda ctx: LatencyOut(3.6e12)))
    assert found.fills.is_empty()
    assert found.orders["reason_code"].to_list() == ["END_OF_DATA"]


def test_a_delay_that_leaves_the_range_of_time_does_not_break_the_run(run: Run) -> None:
    largest = math.nextafter(2.0**63, 0.0)
    found = run({2: lambda broker: broker.buy("A", 1)}, model=telling(lambda ctx: LatencyOut(largest)))
    assert found.fills.is_empty()


@pytest.mark.parametrize("answer", [None, 5.0, "1ms", (), FileNotFoundError])
def test_another_class_of_answer_stops_the_run(run: Run, answer: object) -> None:
    with pytest.raises(ModelError, match=WHERE + "evaluate answered .*; expected LatencyOut"):
        ask(run, lambda ctx: answer)


@pytest.mark.parametrize("delay", [None, "5", [1.0]])
def test_a_delay_that_is_no_number_stops_the_run(run: Run, delay: Any) -> None:  # noqa: ANN401
    with pytest.raises(ModelError, match=WHERE + "evaluate answered LatencyOut with delay_ns = .*; expected"):
        ask(run, lambda ctx: LatencyOut(delay))


def test_what_a_model_raises_stops_the_run_and_is_the_cause(run: Run) -> None:
    def answer(ctx: LatencyArgs) -> LatencyOut:
        return LatencyOut(1 // ctx.venue)

    with pytest.raises(ModelError, match=WHERE + "ZeroDivisionError: integer division") as stopped:
        ask(run, answer)
    assert isinstance(stopped.value.__cause__, ZeroDivisionError)


def test_an_error_names_the_order_of_a_cancel_and_its_time(run: Run) -> None:
    steps: dict[int, Step] = {
        2: lambda broker: broker.buy("A", 1, limit_price=9.0),
        4: lambda broker: broker.sell("A", 1, limit_price=11.0),
        8: lambda broker: broker.cancel_order(broker.open_orders[1]),
    }
    model = telling(lambda ctx: LatencyOut(-5.0 if ctx.message == "cancel" else 0.0))
    with pytest.raises(
        ModelError, match=r"A, order 2, 2024-01-02T00:00:00\.008000000Z: delay_ns -5; it must"
    ):
        run(steps, model=model)
