"""The front door: what an engine is made from, that every run starts afresh, and what a run reports."""

from __future__ import annotations

import datetime as dt
import gc
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest

from ml4t.backtest import (
    Broker,
    Context,
    DataFeed,
    Engine,
    FillEvent,
    MarketEvent,
    OrderEvent,
    PITData,
    Results,
    RunConfig,
    Strategy,
    Timestamp,
    run,
    schedule,
)
from ml4t.backtest.core import RustEngine
from ml4t.core.config import load_config
from ml4t.core.errors import (
    ConfigError,
    DataError,
    EngineStateError,
    PluginError,
    StrategyError,
    UnknownNameError,
)
from ml4t.core.instrument import Instrument
from ml4t.core.schedule import Schedule
from ml4t.core.schemas import TABLES

Build = Callable[..., DataFeed]
Make = Callable[..., Engine]

SOURCE = """
from ml4t.backtest import Strategy

class Buys(Strategy):
    def __init__(self, quantity=1):
        self.quantity = quantity

    def on_data(self, timestamp, data, context, broker):
        if not broker.open_orders and not broker.positions:
            broker.buy("A", self.quantity)

class Other(Strategy):
    pass

not_a_strategy = 5

def factory(quantity=1):
    return Buys(quantity)
"""


class Buys(Strategy):
    """Buys once, and counts its calls in an attribute."""

    def __init__(self, quantity: float = 1) -> None:
        self.quantity = quantity
        self.calls = 0

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        self.calls += 1
        if self.calls == 1:
            broker.buy("A", self.quantity)


@pytest.fixture
def market(daily: Build) -> DataFeed:
    return daily({"A": [10, 11, 12, 13]})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "strategies.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    package = tmp_path / "quant_house"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "alpha.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield "quant_house.alpha"
    for name in ("quant_house.alpha", "quant_house"):
        sys.modules.pop(name, None)


# -- strategies in all their forms -----------------------------------------------------------------------


def quantity_of(results: Results) -> float:
    return float(results.fills["quantity"].item())


def test_a_strategy_is_a_class_with_parameters(engine: Make, market: DataFeed) -> None:
    assert quantity_of(engine(Buys, market).run()) == 1.0
    assert quantity_of(engine(Buys, market, params={"quantity": 7}).run()) == 7.0


def test_a_strategy_is_a_factory(engine: Make, market: DataFeed) -> None:
    assert quantity_of(engine(lambda: Buys(3), market).run()) == 3.0
    assert quantity_of(engine(lambda n: Buys(2 * n), market, params={"n": 4}).run()) == 8.0


def test_a_strategy_is_an_instance_which_the_first_run_uses(engine: Make, market: DataFeed) -> None:
    strategy = Buys(5)
    made = engine(strategy, market)
    assert quantity_of(made.run()) == 5.0
    assert strategy.calls == 4
    # Another run gets what the instance was before the first.
    assert quantity_of(made.run()) == 5.0
    assert strategy.calls == 4


def test_a_strategy_is_a_class_of_a_module_by_its_name(engine: Make, market: DataFeed, module: str) -> None:
    assert quantity_of(engine(f"{module}:Buys", market).run()) == 1.0
    assert quantity_of(engine(f"{module}:Buys", market, params={"quantity": 2}).run()) == 2.0


def test_a_strategy_is_a_class_of_a_file_by_its_name(engine: Make, market: DataFeed, source: Path) -> None:
    assert quantity_of(engine(f"{source}:Buys", market, params={"quantity": 2}).run()) == 2.0


def test_a_relative_file_counts_from_the_working_directory(
    engine: Make, market: DataFeed, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source.parent)
    assert quantity_of(engine("strategies.py:Buys", market).run()) == 1.0


def test_a_relative_file_counts_from_the_folder_of_the_configuration(
    market: DataFeed, source: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    config = load_config({}, root=source.parent)
    assert quantity_of(run("strategies.py:Buys", market, config=config)) == 1.0


def test_two_files_of_one_name_are_two_strategies(engine: Make, market: DataFeed, tmp_path: Path) -> None:
    quantities = []
    for number in (2, 3):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "mine.py").write_text(SOURCE.replace("quantity=1", f"quantity={number}"))
        quantities.append(engine(f"{folder / 'mine.py'}:Buys", market))
    assert [quantity_of(made.run()) for made in quantities] == [2.0, 3.0]


def test_the_source_of_a_strategy_is_in_the_manifest(
    engine: Make, market: DataFeed, source: Path, module: str
) -> None:
    results = engine(f"{source}:Buys", market, params={"quantity": 2}).run()
    entry = results.manifest["strategy"]
    assert entry["params"] == {"quantity": 2}
    assert entry["type"].endswith(":Buys")
    before = entry["source_sha256"]
    assert engine(f"{module}:Buys", market).run().manifest["strategy"]["source_sha256"] == before
    source.write_text(SOURCE + "\n# changed\n")
    after = engine(f"{source}:Buys", market).run().manifest["strategy"]["source_sha256"]
    assert len(before) == len(after) == 64
    assert before != after


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (
            "{module}:Byus",
            UnknownNameError,
            r"unknown strategy in quant_house.alpha 'Byus'; known: Buys, Other",
        ),
        (
            "{source}:Byus",
            UnknownNameError,
            r"unknown strategy in .*strategies.py 'Byus'; .*did you mean 'Buys'\?",
        ),
        ("{module}:not_a_strategy", StrategyError, "expected a subclass of ml4t.backtest.Strategy, found 5"),
        ("{module}:factory", StrategyError, "expected a subclass of ml4t.backtest.Strategy"),
        ("quant_house.beta:Buys", StrategyError, "cannot import 'quant_house.beta'"),
        ("nowhere.py:Buys", StrategyError, "strategy file .*nowhere.py does not exist"),
        ("quant_house.alpha", StrategyError, "module:Class"),
        ("Buys", StrategyError, "module:Class"),
        (":Buys", StrategyError, "module:Class"),
        ("", StrategyError, "module:Class"),
    ],
)
def test_a_name_that_leads_to_no_strategy_says_why(  # noqa: PLR0913 - fixtures and a row
    engine: Make,
    market: DataFeed,
    source: Path,
    module: str,
    target: str,
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        engine(target.format(source=source, module=module), market)


def test_a_strategy_file_that_cannot_be_read_as_python_is_named(
    engine: Make, market: DataFeed, tmp_path: Path
) -> None:
    path = tmp_path / "broken.py"
    path.write_text("class Buys(:\n")
    with pytest.raises((SyntaxError, StrategyError), match=r"broken\.py|invalid syntax"):
        engine(f"{path}:Buys", market)
    path.write_text("import nothing_of_this_name\n")
    with pytest.raises(StrategyError, match="nothing_of_this_name"):
        engine(f"{path}:Buys", market)


def test_an_instance_that_cannot_be_copied_serves_one_run(engine: Make, market: DataFeed) -> None:
    class Holds(Buys):
        def __init__(self) -> None:
            super().__init__(5)
            # As connections and compiled models do, a lock refuses to be copied.
            self.lock = threading.Lock()

    made = engine(Holds(), market)
    assert quantity_of(made.run()) == 5.0
    with pytest.raises(StrategyError, match="cannot be copied"):
        made.run()


def test_an_instance_that_has_run_is_refused_by_another_engine(engine: Make, market: DataFeed) -> None:
    # It carries what it remembers of its run; a second one would begin with that.
    strategy = Buys(5)
    engine(strategy, market).run()
    with pytest.raises(StrategyError, match="pass the class"):
        engine(strategy, market).run()


@pytest.mark.parametrize("strategy", [5, None, object()])
def test_what_is_no_strategy_is_refused(engine: Make, market: DataFeed, strategy: Strategy) -> None:
    with pytest.raises(StrategyError, match="expected a Strategy subclass, a factory or an instance"):
        engine(strategy, market)


def test_a_factory_must_make_a_strategy(engine: Make, market: DataFeed) -> None:
    with pytest.raises(StrategyError, match="returned 5, which is no Strategy"):
        engine(lambda: 5, market).run()


def test_parameters_go_with_a_class_and_not_with_an_instance(engine: Make, market: DataFeed) -> None:
    with pytest.raises(StrategyError, match=r"params \['quantity'\] go with a class"):
        engine(Buys(1), market, params={"quantity": 2})


def test_the_base_class_itself_is_a_strategy_that_does_nothing(engine: Make, market: DataFeed) -> None:
    results = engine(Strategy, market).run()
    assert (results.status, results.orders.height) == ("complete", 0)
    assert results.portfolio_history["equity"].unique().to_list() == [100_000.0]


# -- every run starts afresh -----------------------------------------------------------------------------


class Hoards(Strategy):
    """Keeps everything it can get hold of."""

    seen: list[Any]

    def on_start(self) -> None:
        self.seen = []
        self.subscribe(event_type="bar")

    def on_bar(self, event: MarketEvent) -> None:
        self.seen.append(event)

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        context.count = getattr(context, "count", 0) + 1
        self.record(count=context.count)
        self.log(f"{len(self.seen)}")
        broker.order_target_quantity("A", context.count)
        broker.buy("A", 1, limit_price=1, tag=f"{context.count}")


def tables_of(results: Results) -> dict[str, Any]:
    return {name: results.table(name) for name in TABLES}


def test_an_average_of_volumes_is_refused_where_orders_meet_quotes(engine: Make) -> None:
    prices = {"bid_price": [9.9], "ask_price": [10.1], "bid_size": [100.0], "ask_size": [100.0]}
    stamp = dt.datetime(2024, 3, 5, 15, tzinfo=dt.UTC)
    frame = pl.DataFrame({"symbol": ["A"], "timestamp": [stamp], **prices})
    feed = DataFeed(frame, kind="quote", stamp="event", name="quotes")
    cap = {"type": "Default", "volume_limit": 0.1}
    engine(Buys, feed, broker={"fill_model": cap}).run()
    averaged = {"fill_model": cap | {"average_days": 2}}
    with pytest.raises(ConfigError, match=r"A: its orders meet quotes, which have no volume.*average_days"):
        engine(Buys, feed, broker=averaged).run()


STAMP = dt.datetime(2024, 3, 5, 15, tzinfo=dt.UTC)


def prints_of(name: str, *, matches_orders: bool | None = None) -> DataFeed:
    frame = pl.DataFrame({"symbol": ["A"], "timestamp": [STAMP], "price": [10.0], "size": [5.0]})
    return DataFeed(frame, kind="trade", stamp="event", name=name, matches_orders=matches_orders)


def quotes_of(*, matches_orders: bool | None = None) -> DataFeed:
    frame = pl.DataFrame({"symbol": ["A"], "timestamp": [STAMP], "bid_price": [9.9], "ask_price": [10.1]})
    return DataFeed(frame, kind="quote", stamp="event", name="quotes", matches_orders=matches_orders)


def test_several_feeds_of_prints_that_could_fill_what_rests_are_refused_with_what_to_set(
    engine: Make,
) -> None:
    touch = {"policies": {"print_fills": "touch"}}
    both = [quotes_of(), *(prints_of(name, matches_orders=False) for name in ("nyse", "arca"))]
    with pytest.raises(DataError) as refused:
        engine(Buys, both, broker=touch).run()
    assert str(refused.value) == (
        "A: the feeds arca and nyse hold its trade ticks beside the quotes of feed quotes, and print_fills = "
        "'touch' lets the prints of one of them fill what rests; declare matches_orders=False on that feed "
        "alone, and leave it out on the other trade ticks; declare matches_orders=True on quotes, which "
        "orders meet"
    )
    # What the message asks for runs, and so do both where no print fills.
    asked = [quotes_of(matches_orders=True), prints_of("nyse", matches_orders=False), prints_of("arca")]
    assert engine(Buys, asked, broker=touch).run().status == "complete"
    assert engine(Buys, both).run().status == "complete"


def test_what_orders_meet_is_not_asked_for_where_an_instrument_says_it(engine: Make) -> None:
    quoted = Instrument("A", matching_source="quotes")
    with pytest.raises(DataError, match=r"leave it out on the other trade ticks$"):
        engine(
            Buys,
            [quotes_of(), prints_of("nyse"), prints_of("arca")],
            instruments=[quoted],
            broker={"policies": {"print_fills": "through"}},
        ).run()


@pytest.mark.parametrize("form", ["class", "factory", "instance"])
def test_a_second_run_of_an_engine_is_the_first_one_again(engine: Make, market: DataFeed, form: str) -> None:
    strategy: Any = {"class": Hoards, "factory": lambda: Hoards(), "instance": Hoards()}[form]
    made = engine(strategy, market)
    first, second = made.run(), made.run()
    assert first is not second
    for name, table in tables_of(first).items():
        assert table.equals(second.table(name)), name
    assert first.manifest == second.manifest
    # The results of the first run are still those.
    assert first.recorded["value"].to_list() == [1.0, 2.0, 3.0, 4.0]


def test_two_engines_on_one_feed_share_nothing(engine: Make, market: DataFeed) -> None:
    one, other = engine(Hoards, market), engine(Hoards, market)
    assert tables_of(one.run())["orders"].equals(tables_of(other.run())["orders"])


def test_the_data_of_an_engine_is_read_once(engine: Make, market: DataFeed) -> None:
    made = engine(Buys, market)
    assert made.data is made.data
    made.run()
    assert made.results is not None
    assert made.data.symbols == ("A",)


def test_results_of_the_last_run_stay_with_the_engine(engine: Make, market: DataFeed) -> None:
    made = engine(Buys, market)
    assert made.results is None
    results = made.run()
    assert made.results is results


@pytest.mark.parametrize(
    "rules", [(), (schedule.session_close("0m"), schedule.every("8h"))], ids=["plain", "scheduled"]
)
def test_what_a_run_held_is_free_once_it_is_forgotten(
    engine: Make, market: DataFeed, rules: tuple[Schedule, ...]
) -> None:
    class Holds(Buys):
        def on_start(self) -> None:
            for rule in rules:
                self.schedule(rule=rule)
                self.schedule(self.look, rule=rule)

        def look(self) -> None:
            self.kept = (self.data, self.data["A"], self.broker)

        def on_order(self, event: OrderEvent) -> None:
            self.last = event

    made = Holds()
    strategy = weakref.ref(made)
    results = engine(lambda made=made: made, market).run()
    assert results.orders.height == 1
    del made
    gc.collect()
    # A sweep makes thousands of runs; each that stayed would keep its prices and tables.
    assert strategy() is None


# -- what a run is told and tells ------------------------------------------------------------------------


def test_progress_is_told_as_a_part_and_ends_with_all_of_it(engine: Make, daily: Build) -> None:
    parts: list[float] = []
    engine(Buys, daily({"A": [10.0] * 5_000})).run(progress=parts.append)
    assert parts == sorted(parts)
    assert all(0.0 <= part <= 1.0 for part in parts)
    assert parts[-1] == 1.0
    short: list[float] = []
    engine(Buys, daily({"A": [10.0] * 5})).run(progress=short.append)
    assert short[-1] == 1.0


def test_an_exception_of_the_progress_callback_ends_the_run(engine: Make, daily: Build) -> None:
    def stop(part: float) -> None:
        raise KeyboardInterrupt

    made = engine(Buys, daily({"A": [10.0] * 5_000}))
    with pytest.raises(KeyboardInterrupt):
        made.run(progress=stop)
    assert made.results is not None
    assert made.results.status == "interrupted"


def test_run_info_tells_durations_and_sizes(engine: Make, market: DataFeed) -> None:
    info = engine(Buys, market).run().run_info
    counts = info["counts"]
    assert {name: counts[name] for name in ("rows", "orders", "fills")} == {
        "rows": 4,
        "orders": 1,
        "fills": 1,
    }
    assert set(info["durations_s"]) == {"load", "assemble", "run", "finish"}
    assert all(seconds >= 0 for seconds in info["durations_s"].values())


@pytest.mark.parametrize("form", [dict, RunConfig, "toml", "path"])
def test_a_configuration_comes_in_any_form(market: DataFeed, tmp_path: Path, form: object) -> None:
    table = {"broker": {"initial_cash": 5_000}}
    path = tmp_path / "run.toml"
    path.write_text("[broker]\ninitial_cash = 5_000\n")
    config = {dict: table, RunConfig: load_config(table), "toml": str(path), "path": path}[form]
    results = Engine(market, Strategy, config=config).run()
    assert results.portfolio_history["equity"].unique().to_list() == [5_000.0]


def test_an_unknown_setting_is_refused_with_the_nearest(market: DataFeed) -> None:
    with pytest.raises(ConfigError, match=r"broker\.inital_cash: unknown key.*did you mean 'initial_cash'\?"):
        Engine(market, Strategy, config={"broker": {"inital_cash": 5}})


def test_a_required_plugin_must_be_there(market: DataFeed) -> None:
    with pytest.raises((PluginError, ConfigError), match="ml4t-nowhere"):
        Engine(market, Strategy, config={"backtest": {"required_plugins": ["ml4t-nowhere>=1"]}})


def test_an_instrument_of_another_currency_needs_rates(engine: Make, daily: Build) -> None:
    wanted = "no fx rates lead from EUR to the base currency USD: none is given; add rates of EURUSD"
    with pytest.raises(ConfigError, match=wanted):
        engine(Strategy, daily({"A": [10]}, currency="EUR")).run()


def test_what_is_no_feed_is_refused(engine: Make) -> None:
    with pytest.raises(DataError, match="is no feed; wrap prices as DataFeed"):
        engine(Strategy, ["prices.parquet"]).run()


# -- an engine that drives plain callbacks ---------------------------------------------------------------


def test_a_registered_function_is_called_at_every_instant(market: DataFeed) -> None:
    calls = []

    def callback(timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        calls.append((timestamp.day, data["A"]["close"], broker.get_cash()))
        if len(calls) == 1:
            broker.buy("A", 1)

    native = RustEngine(market, {"broker": {"initial_cash": 100}})
    native.register_callback(callback)
    results = native.run()
    assert calls == [(2, 10.0, 100.0), (3, 11.0, 89.0), (4, 12.0, 89.0), (5, 13.0, 89.0)]
    assert results.fills["price"].to_list() == [11.0]


def test_a_registered_method_brings_its_strategy_with_it(market: DataFeed) -> None:
    class Counts(Buys):
        fills = 0

        def on_fill(self, event: FillEvent) -> None:
            self.fills += 1

    strategy = Counts()
    native = RustEngine(market)
    native.register_callback(strategy.on_data)
    native.run()
    assert (strategy.calls, strategy.fills) == (4, 1)


def test_a_second_run_of_a_registered_method_is_the_first_one_again(market: DataFeed) -> None:
    native = RustEngine(market)
    native.register_callback(Buys(3).on_data)
    first, second = native.run(), native.run()
    assert quantity_of(first) == quantity_of(second) == 3.0


def test_an_engine_without_a_callback_says_what_to_do(market: DataFeed) -> None:
    with pytest.raises(EngineStateError, match=r"call engine\.register_callback"):
        RustEngine(market).run()


@attrs.define
class AttrsStrategy(Strategy):
    """A strategy may be an attrs class: with slots it still can be bound."""

    quantity: float = 2.0

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        if not broker.positions and not broker.open_orders:
            broker.buy("A", self.quantity)


def test_a_strategy_may_be_an_attrs_class(engine: Make, market: DataFeed) -> None:
    assert quantity_of(engine(AttrsStrategy, market, params={"quantity": 4}).run()) == 4.0


# -- cost ------------------------------------------------------------------------------------------------


def asks_for_open_orders(broker: Broker, step: int) -> None:
    broker.buy("A", 1)
    assert len(broker.open_orders) <= 2


def tags_every_order(broker: Broker, step: int) -> None:
    broker.buy("A", 1, tag=f"decision {step}")


def asks_for_reasons(broker: Broker, step: int) -> None:
    assert broker.sell("A", 10**9).reason == ""
    if step:
        assert broker.get_order(step).reason_code == "SHORT_NOT_ALLOWED"
        assert "may not sell short" in broker.get_order(step).reason


@pytest.mark.bench
@pytest.mark.parametrize("use", [asks_for_open_orders, tags_every_order, asks_for_reasons])
def test_a_step_costs_no_more_after_many_orders_than_after_few(
    engine: Make, daily: Build, use: Callable[[Broker, int], None]
) -> None:
    class Uses(Strategy):
        def __init__(self) -> None:
            self.step = 0

        def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
            use(broker, self.step)
            self.step += 1

    def seconds(count: int) -> float:
        # One lot: every NAV adds all lots up again.
        account = {"initial_cash": 10**9, "lot_policy": "average"}
        made = engine(Uses, daily({"A": [10.0] * count}), broker=account)
        return float(made.run().run_info["durations_s"]["run"])

    seconds(100)
    few, many = min(seconds(2_000) for _ in range(3)), min(seconds(16_000) for _ in range(2))
    # Eight times the steps; if each of them looked at all orders so far, that were 64 times the work.
    assert many < 20 * few


def test_an_instance_whose_callback_holds_on_to_it_serves_one_run(engine: Make, market: DataFeed) -> None:
    class Bound(Strategy):
        def __init__(self) -> None:
            self.on_data = lambda *_: self.seen.append(1)  # type: ignore[method-assign]
            self.seen: list[int] = []

    made = engine(Bound(), market)
    made.run()
    with pytest.raises(StrategyError, match="on_data of this Bound is a function that holds on to"):
        made.run()


def test_a_callback_whose_names_are_not_bound_yet_can_be_copied(engine: Make, market: DataFeed) -> None:
    class Free(Strategy):
        def __init__(self) -> None:
            self.on_stop = lambda: later if False else None  # type: ignore[method-assign]
            return
            later = 1

    made = engine(Free(), market)
    assert [made.run().status for _ in range(2)] == ["complete"] * 2


def test_what_a_run_adds_to_a_parameter_is_nothing_to_the_next(market: DataFeed) -> None:
    lengths: list[int] = []

    class Adds(Strategy):
        def __init__(self, seen: list[int]) -> None:
            self.seen = seen

        def on_data(self, *_: Any) -> None:  # noqa: ANN401
            self.seen.append(1)

        def on_stop(self) -> None:
            lengths.append(len(self.seen))

    made = Engine(market, Adds, params={"seen": []})
    manifests = [made.run().manifest["strategy"] for _ in range(2)]
    assert lengths[0] == lengths[1] > 0
    assert manifests[0] == manifests[1]
    assert manifests[0]["params"] == {"seen": []}


def test_a_benchmark_of_days_around_the_clock_begins_with_the_run(daily: Build) -> None:
    feed = daily({"A": [10.0, 11.0, 12.0]})
    results = run(Strategy, feed, config={"report": {"benchmark": "A"}})
    assert results.benchmark is not None
    assert results.benchmark["return"].to_list() == pytest.approx([0.0, 0.1, 12 / 11 - 1])
