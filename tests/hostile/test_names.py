"""Names nobody knows and parts of another kind: refused before the run, with those that are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ml4t.backtest import (
    CompositeRule,
    Engine,
    Results,
    StopLoss,
    Strategy,
    TakeProfit,
    load_config,
    schedule,
)
from ml4t.core.errors import ConfigError, DataError, Ml4tError, StrategyError, UnknownNameError

from .inputs import Buys, by_session, daily, kept, refused, run

# --------------------------------------------------------------------------- the data


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"calendar": "NYSEE"}, ["calendar 'NYSEE' is not known", "'NYSE'", "24/7"]),
        ({"calendar": 3}, ["calendar", "3"]),
        ({"symbols": ["XYY"]}, ["symbols names 'XYY'", "did you mean 'XYZ'?"]),
        ({"columns": {"close": "clsoe"}}, ["'clsoe'", "did you mean 'close'?"]),
        ({"fields": ["volum"]}, ["fields names 'volum'", "no column"]),
        ({"range_check": "wide"}, ["range_check 'wide'", "refuse, widen, keep", "did you mean 'widen'?"]),
        ({"instrument_defaults": {"tik_size": 1}}, ["instrument_defaults of XYZ", "tik_size"]),
        ({"instruments": ["XYZ"]}, ["instruments: 'XYZ' is no Instrument", "Instrument('ES'"]),
    ],
)
def test_a_name_that_a_feed_does_not_know_is_refused(options: dict[str, Any], parts: list[str]) -> None:
    with refused(DataError, *parts):
        run(by_session(daily(), **options))


GIVEN: dict[str, Any] = {"None": None, "int": 3, "str": "prices.parquet", "DataFrame": daily()}


@pytest.mark.parametrize("kind", GIVEN)
def test_something_that_is_no_feed_is_refused_with_how_to_make_one(kind: str) -> None:
    with refused(DataError, f"{kind} is no feed", "DataFeed(prices, stamp=..., interval=...)"):
        run(GIVEN[kind])


def test_a_feed_and_a_strategy_in_the_wrong_order_are_refused() -> None:
    with refused(StrategyError, "expected a Strategy", "found DataFeed"):
        run(by_session(daily()), by_session(daily()))


@pytest.mark.parametrize(
    ("parts", "error", "texts"),
    [
        ({"signals": 3}, DataError, ["signals: int is no frame", "polars, pandas and pyarrow"]),
        ({"actions": 3}, DataError, ["corporate actions: int is no frame"]),
        ({"instruments": 3}, DataError, ["instruments: 3 is no Instrument"]),
        ({"calendars": ["XNYS"]}, DataError, ["calendars: 'XNYS' is no calendar", "given by name"]),
        ({"models": 3}, ConfigError, ["models = 3", "fill, slippage, impact, fee"]),
        ({"models": {"slipage": 3}}, ConfigError, ["'slipage'", "fill, slippage, impact, fee"]),
        ({"models": {"slippage": 3}}, ConfigError, ["slippage model 3", "evaluate(ctx)"]),
        ({"params": 3}, StrategyError, ["params = 3", "keywords of the constructor"]),
        ({"config": 3}, ConfigError, ["found 3", ".toml"]),
        ({"config": "nowhere.toml"}, ConfigError, ["nowhere.toml", "No such file"]),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_a_part_of_another_kind_is_refused(
    parts: dict[str, Any], error: type[Ml4tError], texts: list[str]
) -> None:
    with refused(error, *texts):
        run(by_session(daily()), **parts)


# --------------------------------------------------------------------------- the configuration

CONFIGS: list[tuple[dict[str, Any], list[str]]] = [
    ({"brokr": {}}, ["brokr: unknown key", "did you mean 'broker'?"]),
    ({"broker": {"inital_cash": 1}}, ["broker.inital_cash: unknown key", "did you mean 'initial_cash'?"]),
    (
        {"broker": {"policies": {"fill_timing": "nextopen"}}},
        ["broker.policies.fill_timing", "'nextopen'", "next_open, next_close, same_close"],
    ),
    (
        {"broker": {"slippage_model": {"type": "VolumeShares"}}},
        ["broker.slippage_model.type", "'VolumeShares'", "did you mean 'VolumeShare'?"],
    ),
    (
        {"broker": {"slippage_model": {"type": "VolumeShare", "volume_limt": 0.1}}},
        ["broker.slippage_model.volume_limt", "did you mean 'volume_limit'?"],
    ),
    (
        {"broker": {"slippage_model": {"type": "VolumeShare", "volume_limit": -1}}},
        ["broker.slippage_model.volume_limit", "above 0 and at most 1", "-1"],
    ),
    ({"broker": {"commission_model": {"type": "PerShare", "fee": "x"}}}, ["commission_model.fee", "'x'"]),
    ({"backtest": {"engine": "rsut"}}, ["backtest.engine", "'rsut'", "did you mean 'rust'?"]),
    ({"backtest": {"required_plugins": ["ml4t-nothing>=1"]}}, ["ml4t-nothing", "pip install"]),
    ({"backtest": {"seed": 2**64}}, ["backtest.seed", str(2**64), "2**64 - 1"]),
    ({"broker": {"latency": "-5m"}}, ["broker.latency", "-5m", "zero or more"]),
    ({"broker": {"latency": {"cancl": "5m"}}}, ["broker.latency.cancl", "did you mean 'cancel'?"]),
    (
        {"broker": {"latency": {"submit": {"distribution": "normal"}}}},
        ["broker.latency.submit.distribution", "'normal'", "uniform, exponential, lognormal"],
    ),
    (
        {"broker": {"latency": {"submit": {"quantiles": ["2s", "1s"]}}}},
        ["broker.latency.submit.quantiles[1]", "(2s) or more", "found 1s"],
    ),
    (
        {"broker": {"latency": {"venues": {"XNYZ": {"submit": "1s"}, "XCME": {}}}}},
        [
            "broker.latency.venues.XNYZ",
            "no instrument",
            "allowed: XNYS",
            "did you mean 'XNYS'?",
            "venues.XCME",
        ],
    ),
    ({"report": {"risk_free": "x"}}, ["report.risk_free", "'x'"]),
]


@pytest.mark.parametrize(("config", "parts"), CONFIGS, ids=[str(config) for config, _ in CONFIGS])
def test_a_setting_that_is_none_is_refused_with_its_place(config: dict[str, Any], parts: list[str]) -> None:
    with refused(ConfigError, *parts):
        run(by_session(daily()), config=config)


def test_all_wrong_settings_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({"brokr": {}, "backtest": {"seed": -1}, "broker": {"leverage": 0}})
    assert len(caught.value.findings) == 3


def test_an_unknown_nav_calendar_is_refused() -> None:
    with refused(ConfigError, "backtest.nav_calendar: calendar 'XNYX' is not known", "'XNYS'"):
        run(by_session(daily()), config={"backtest": {"nav_calendar": "XNYX"}})


def test_an_unknown_benchmark_is_refused_before_the_run_and_not_after_it() -> None:
    called: list[int] = []

    class Counts(Buys):
        def on_data(self, *args: Any) -> None:  # noqa: ANN401
            called.append(1)

    with refused(UnknownNameError, "unknown symbol 'SPY'", "known: XYZ"):
        run(by_session(daily()), Counts, config={"report": {"benchmark": "SPY"}})
    assert not called, "an hour of computing would have been lost"


# --------------------------------------------------------------------------- inside a run


def in_a_callback(action: Any) -> type[Strategy]:  # noqa: ANN401 - a function of the broker and the view
    class Asks(Buys):
        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:  # noqa: ANN401
            super().on_data(timestamp, data, context, broker)
            if timestamp.day == 4:
                action(self, broker, data)

    return Asks


ASKED: dict[str, tuple[Any, list[str]]] = {
    "an order": (lambda s, b, d: b.buy("XYY", 1), ["symbol 'XYY'", "did you mean 'XYZ'?"]),
    "a position": (lambda s, b, d: b.get_position("XYY"), ["symbol 'XYY'"]),
    "weights": (lambda s, b, d: b.order_target_weights({"XYY": 1}), ["symbol 'XYY'"]),
    "a row": (lambda s, b, d: d["XYY"], ["symbol 'XYY'", "did you mean 'XYZ'?"]),
    "a field": (lambda s, b, d: d["XYZ"]["clsoe"], ["'clsoe'", "did you mean 'close'?"]),
    "a history": (lambda s, b, d: d.history("clsoe", 1, "XYZ"), ["'clsoe'", "did you mean 'close'?"]),
    "a log level": (lambda s, b, d: s.log("x", level="warn"), ["'warn'", "did you mean 'warning'?"]),
}


@pytest.mark.parametrize("what", ASKED)
def test_an_unknown_name_in_a_callback_is_refused_there_and_keeps_the_results(what: str) -> None:
    action, parts = ASKED[what]
    engine = Engine(by_session(daily()), in_a_callback(action))
    with refused(UnknownNameError, *parts, "raised in on_data, at 2024-01-04T21:00:00Z") as caught:
        engine.run()
    assert kept(engine, caught).fills.height == 2


# --------------------------------------------------------------------------- values with a meaning


@pytest.mark.parametrize("rule", [StopLoss, TakeProfit])
@pytest.mark.parametrize("pct", [0, -0.1, float("nan"), float("inf"), "x", None, True, "1e-12"])
def test_a_fraction_of_a_rule_that_is_none_is_refused_where_it_is_written(rule: Any, pct: Any) -> None:  # noqa: ANN401
    with refused(ConfigError, f"{rule.__name__}(pct={pct!r})", "fraction", "above 0", "9 decimals"):
        rule(pct=pct)


def test_percent_in_place_of_a_fraction_is_refused_with_the_fraction() -> None:
    with refused(ConfigError, "StopLoss(pct=5)", "below 1", "5 percent is 0.05"):
        StopLoss(pct=5)


@pytest.mark.parametrize("rules", [3, [3]])
def test_something_that_is_no_rule_is_refused(rules: Any) -> None:  # noqa: ANN401
    with refused(ConfigError, "list of rules", "found 3"):
        CompositeRule(rules)


@pytest.mark.parametrize(
    ("make", "error", "part"),
    [
        (lambda: schedule.every("0m"), ConfigError, "above zero"),
        (lambda: schedule.every("x"), DataError, "'15m'"),
        (lambda: schedule.every_sessions(0), ConfigError, "found 0"),
        (lambda: schedule.every_sessions("x"), ConfigError, "found 'x'"),  # type: ignore[arg-type]
        (lambda: schedule.month_end(at="noon"), UnknownNameError, "known: close, open"),
    ],
)
def test_a_rule_of_time_that_is_none_is_refused(make: Any, error: type[Ml4tError], part: str) -> None:  # noqa: ANN401
    with refused(error, part):
        make()


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("Buys", ["'Buys'", "package.module:Class"]),
        ("nowhere:Buys", ["cannot import 'nowhere'"]),
        ("nowhere.py:Buys", ["nowhere.py does not exist"]),
        ("fails.py:Buys", ["cannot import", "ZeroDivisionError: division by zero"]),
        ("syntax.py:Buys", ["cannot import", "SyntaxError", "line 1"]),
    ],
)
def test_a_strategy_that_cannot_be_imported_is_refused(
    target: str, parts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fails.py").write_text("1 / 0\n")
    (tmp_path / "syntax.py").write_text("def broken(:\n")
    with refused(StrategyError, *parts):
        run(by_session(daily()), target)


def test_results_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with refused(Ml4tError, f"there is no folder {tmp_path / 'run'}"):
        Results.load(tmp_path / "run")
