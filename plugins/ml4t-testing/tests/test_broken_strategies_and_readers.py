"""Every claim about strategies and readers fails for one that is broken in just this way."""

from __future__ import annotations

import datetime as dt
import itertools
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import attrs
import polars as pl
import pytest

from ml4t.core.errors import DataError
from ml4t.core.strategy import Strategy
from ml4t.native import Action, native_model
from ml4t.testing import Capabilities, ReaderCompliance, StrategyCompliance

Made = Any
ALONE = Capabilities(not_registered=True, no_native=True)
NATIVE = Capabilities(not_registered=True)
CHANCE = random.Random(7)


class Sound(Strategy):
    """Buys below 50 and sells above."""

    def __init__(self, quantity: float = 10.0) -> None:
        self.quantity = quantity

    def on_data(self, timestamp: Made, data: Made, context: Made, broker: Made) -> None:
        for symbol in data:
            wanted = self.wanted(symbol, data.get_latest_price(symbol))
            broker.order_target_quantity(symbol, wanted)

    def wanted(self, symbol: str, price: float) -> float:
        return self.quantity if price < 50.0 else 0.0


def refuses(test: str, strategy: Made, capabilities: Capabilities = ALONE, **members: Made) -> str:
    """Run one test of the suite on a strategy; return how it fails."""
    members = {"strategy": strategy, "capabilities": capabilities, **members}
    made = type("TestBroken", (StrategyCompliance,), members)()
    with pytest.raises(pytest.fail.Exception) as refused:
        getattr(made, test)(strategy)
    claim, _, remedy = str(refused.value).partition("\n\nWhat to do: ")
    assert claim and len(remedy) > 10, str(refused.value)
    return str(refused.value)


def test_the_sound_strategy_passes_what_the_broken_ones_fail() -> None:
    made = type("TestSound", (StrategyCompliance,), {"strategy": Sound, "capabilities": ALONE})()
    for name in [name for name in dir(made) if name.startswith("test_")]:
        try:
            getattr(made, name)(Sound)
        except pytest.skip.Exception:
            continue


def test_a_strategy_that_no_plugin_offers_is_not_found() -> None:
    text = refuses("test_it_is_found_by_its_name", Sound, Capabilities(no_native=True))
    assert "no plugin offers the strategy 'Sound'" in text


def test_a_strategy_that_no_module_holds_is_noticed() -> None:
    class Inner(Sound):
        pass

    Inner.__module__ = "json"
    text = refuses("test_a_configuration_can_name_it", Inner, Capabilities(no_native=True))
    assert "cannot run by its name" in text


def test_a_strategy_that_never_trades_is_noticed() -> None:
    class Idle(Sound):
        def wanted(self, symbol: str, price: float) -> float:
            return 0.0

    assert "Idle does not trade" in refuses("test_it_trades_in_a_run", Idle)


def test_chance_without_a_seed_is_noticed() -> None:
    class Lucky(Sound):
        def wanted(self, symbol: str, price: float) -> float:
            return float(CHANCE.randint(0, 9))

    text = refuses("test_equal_runs_give_equal_tables", Lucky)
    assert "two runs of Lucky on the same data differ" in text


def test_a_look_at_the_future_is_noticed() -> None:
    class Prophet(Sound):
        """Knows how many rows there are in all."""

        def on_start(self) -> None:
            self.rows = FRAMES[-1].height

        def wanted(self, symbol: str, price: float) -> float:
            return float(self.rows)

    def result(self: StrategyCompliance, strategy: Made, frame: Made, **options: Made) -> Made:
        FRAMES.append(frame)
        return StrategyCompliance.result(self, strategy, frame, **options)

    FRAMES: list[pl.DataFrame] = []
    text = refuses("test_a_decision_does_not_depend_on_what_comes_after_it", Prophet, result=result)
    assert "trades differently up to" in text


def test_variables_of_the_class_are_noticed_in_threads() -> None:
    class Shared(Sound):
        calls: ClassVar[itertools.count[int]] = itertools.count()

        def wanted(self, symbol: str, price: float) -> float:
            return float(next(self.calls) % 1_000)

    text = refuses("test_runs_in_threads_give_the_tables_of_one_alone", Shared)
    assert "disturb one another in 4 threads" in text


def test_parameters_of_any_name_are_noticed() -> None:
    class Open(Sound):
        def __init__(self, **anything: Made) -> None:
            super().__init__()

    assert "Open accepts no_such_parameter" in refuses("test_an_unknown_parameter_is_refused", Open)


def test_a_run_that_stops_without_volume_is_noticed() -> None:
    class NeedsVolume(Sound):
        def on_data(self, timestamp: Made, data: Made, context: Made, broker: Made) -> None:
            for symbol in data:
                broker.order_target_quantity(symbol, 1e6 // data[symbol].volume)

    text = refuses("test_data_without_volume_is_survived", NeedsVolume)
    assert "without volume NeedsVolume raises" in text


def kernel() -> Made:
    """A kernel that wants 10 units of what is below 50."""
    pytest.importorskip("numba")

    @attrs.frozen
    class Kernel:
        quantity: float = 10.0

        @staticmethod
        def kernel(  # noqa: PLR0913 - the arguments of every strategy kernel
            params: Made,
            state: Made,
            ctx: Made,
            changed: Made,
            columns: Made,
            positions: Made,
            open_orders: Made,
            fills: Made,
            orders: Made,
        ) -> int:
            for k in range(len(changed)):
                orders[k].action = Action.TARGET
                orders[k].asset = changed[k]
                orders[k].quantity = params.quantity if columns[0, changed[k]] < 50.0 else 0.0
            return len(changed)

    return native_model(kind="strategy", columns=("close",))(Kernel)


def test_a_kernel_that_trades_otherwise_than_its_form_in_python_is_noticed() -> None:
    test = "test_native_code_and_python_give_the_same_tables"
    cls = kernel()
    made = type("T", (StrategyCompliance,), {"strategy": cls, "capabilities": NATIVE})()
    made.test_native_code_and_python_give_the_same_tables(cls)
    cls.python_strategy = lambda self: Sound(10.0)
    made.test_native_code_and_python_give_the_same_tables(cls)
    cls.python_strategy = lambda self: Sound(11.0)
    assert "Kernel trades differently as native code, in the tables" in refuses(test, cls, NATIVE)
    assert "Kernel has native code" in refuses(test, cls, ALONE)
    no_python = attrs.evolve(NATIVE, no_python=True)
    assert "Kernel has python_strategy" in refuses(test, cls, no_python)
    assert "Sound is written in Python" in refuses(test, Sound, NATIVE)
    del cls.python_strategy
    assert "no form in Python" in refuses(test, cls, NATIVE)


def test_what_is_no_class_is_no_strategy() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"TestNone\.strategy is None"):
        type("TestNone", (StrategyCompliance,), {})().checked_strategy()


# -- readers -----------------------------------------------------------------------------------------------


def read(uri: str, *, columns: tuple[str, ...] = ()) -> pl.DataFrame:
    """A sound reader of one CSV file."""
    path = Path(uri.removeprefix("one:"))
    if not path.exists():
        msg = f"there is no file at {path}; expected a CSV file"
        raise DataError(msg)
    return pl.read_csv(path, try_parse_dates=True)


def write_bars(folder: Path) -> str:
    """Write three bars of a symbol and return their address."""
    days = [dt.date(2024, 3, day) for day in (4, 5, 6)]
    prices = {name: [20.0, 21.0, 20.0] for name in ("open", "high", "low", "close")}
    frame = pl.DataFrame({"symbol": ["ABC"] * 3, "session": days, **prices, "volume": [1e6] * 3})
    frame.write_csv(folder / "bars.csv")
    return f"one:{folder / 'bars.csv'}"


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """The address of three bars."""
    return write_bars(tmp_path)


class TestSoundReader(ReaderCompliance):
    reader = staticmethod(read)
    scheme = "one"
    missing = "one:/no/such/file.csv"
    capabilities = Capabilities(not_registered=True)

    @pytest.fixture
    def uri(self, tmp_path: Path) -> str:
        return write_bars(tmp_path)


def reader_refuses(test: str, reader: Callable[..., Made], *arguments: str, **members: Made) -> str:
    """Run one test of the suite on a reader; return how it fails."""
    members = {"reader": staticmethod(reader), "scheme": "one", "capabilities": ALONE, **members}
    made = type("TestBroken", (ReaderCompliance,), members)()
    with pytest.raises(pytest.fail.Exception) as refused:
        getattr(made, test)(*arguments)
    claim, _, remedy = str(refused.value).partition("\n\nWhat to do: ")
    assert claim and len(remedy) > 10, str(refused.value)
    return str(refused.value)


def test_a_reader_that_no_plugin_offers_is_not_found() -> None:
    text = reader_refuses("test_it_is_found_by_its_scheme", read, capabilities=Capabilities())
    assert "no plugin offers the reader 'one'" in text


def test_a_reader_whose_rows_change_is_noticed(uri: str) -> None:
    calls = itertools.count()

    def moody(uri: str) -> pl.DataFrame:
        return read(uri).with_columns(volume=pl.lit(float(next(calls))))

    assert "twice gives different rows" in reader_refuses(
        "test_reading_twice_gives_the_same_rows", moody, uri
    )
    test = "test_readers_in_threads_give_the_same_rows"
    assert "in 4 threads gives different rows" in reader_refuses(test, moody, uri)


@pytest.mark.parametrize(
    ("reader", "claim"),
    [
        (lambda uri: pl.read_csv(uri), "raised FileNotFoundError"),
        (lambda uri: read("one:/elsewhere"), "the error does not name one:/no/such/place"),
        (lambda uri: pl.DataFrame(), "one:/no/such/place was read"),
    ],
)
def test_an_address_where_nothing_is_must_be_refused_by_name(reader: Callable[..., Made], claim: str) -> None:
    test = "test_what_is_not_there_is_an_error_that_names_it"
    assert claim in reader_refuses(test, reader, missing="one:/no/such/place")


def test_options_of_any_name_are_noticed(uri: str) -> None:
    def loose(uri: str, **options: Made) -> pl.DataFrame:
        return read(uri)

    assert "no_such_option is accepted" in reader_refuses("test_an_unknown_option_is_refused", loose, uri)


def test_a_reader_that_changes_its_options_is_noticed(uri: str) -> None:
    def greedy(uri: str, *, columns: list[str]) -> pl.DataFrame:
        columns.append("volume")
        return read(uri)

    test = "test_it_does_not_change_what_it_was_given"
    assert "changes the values" in reader_refuses(test, greedy, uri, options={"columns": ["close"]})


def test_a_table_that_is_no_data_stops_the_backtest(uri: str) -> None:
    def wide(uri: str) -> pl.DataFrame:
        return read(uri).drop("close")

    made = type("T", (ReaderCompliance,), {"reader": staticmethod(wide)})()
    with pytest.raises(DataError, match="close"):
        made.test_a_backtest_runs_on_what_it_reads(uri)


def test_what_has_no_address_is_no_suite() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"TestNone\.uri is None"):
        type("TestNone", (ReaderCompliance,), {})().checked_uri()


def test_every_claim_of_both_suites_is_looked_at_in_this_file() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    names = {name for suite in (StrategyCompliance, ReaderCompliance) for name in dir(suite)}
    missing = [name for name in names if name.startswith("test_") and not re.search(rf"\b{name}\b", text)]
    assert missing == []
