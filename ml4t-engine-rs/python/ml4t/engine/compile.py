"""Describe a run to the simulator.

The simulator reads one nested dictionary: instruments, columns, calendars, policies, models. This module
writes it from the configuration and the assembled market data, and nothing else writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from ml4t.backtest.calendars import SessionTable
from ml4t.backtest.data.assemble import DAY_NS
from ml4t.backtest.data.tables import FeedTable, MarketData
from ml4t.backtest.latency import Latency
from ml4t.core.config import NativePolicy, RecordCadence, RunConfig
from ml4t.core.errors import ConfigError, DataError, Finding, Ml4tError, ModelError, nearest
from ml4t.core.instrument import Instrument
from ml4t.core.policies import PrintFills
from ml4t.core.types import AssetClass, DataKind, ModelKind
from ml4t.core.values import decimal_text, format_ns, parse_duration, to_decimal
from ml4t.engine._engine import native_table
from ml4t.engine.portfolio_models import PORTFOLIO, portfolio_terms
from ml4t.engine.settlement import settlement_terms

if TYPE_CHECKING:
    import polars as pl

__all__ = ["INTEREST", "LATENCY", "ChosenModel", "describe", "model_path", "settlement_of", "warm_from_ns"]

HOUR_NS = 3_600_000_000_000
NEVER_NS = 2**63 - 1
SETTLEMENT_OF_CLASS = {
    AssetClass.FUTURE: "daily",
    AssetClass.PERPETUAL: "on_close",
    AssetClass.FX: "on_close",
}
# Who sells a derivative short, or one currency for another, borrows nothing.
BORROWED = (AssetClass.EQUITY, AssetClass.ETF, AssetClass.CRYPTO)
_LETTERS_OF_PAIR = re.compile(r"[A-Z]{3}([A-Z]{3})")
LATENCY = "latency "
"""Begin of the names of latency models among those of a run; their place in `broker.latency` follows."""
INTEREST = "interest "
"""Likewise of interest models of other currencies than the base; the currency follows."""


@attrs.frozen(kw_only=True)
class ChosenModel:
    """A model of the run and how it is executed.

    Attributes
    ----------
    kind : str
        `fill`, `slippage`, `impact`, `fee`, `latency`, `borrow`, `funding`, `interest`, `fx`, `margin`,
        `liquidation`, `executor` or `strategy`.
    model : object
        The attrs-frozen model.
    origin : object or None
        The model as it was configured, where the one that runs was made of it.
    builtin : str or None
        Name of the function table compiled into the engine.
    capsule : object or None
        The model's own function table, where it has one and none is compiled in.
    abi : str or None
        Version of the native interface that this table was built for.
    """

    kind: str
    model: Any
    origin: Any = None
    builtin: str | None = None
    capsule: object = None
    abi: str | None = None

    @property
    def path(self) -> str:
        """What executes the model: `builtin`, `capsule` or `python`."""
        if self.builtin is not None:
            return "builtin"
        return "python" if self.capsule is None else "capsule"

    @property
    def configured(self) -> Any:  # noqa: ANN401 - a model of any class
        """The model as it was configured."""
        return self.model if self.origin is None else self.origin

    @property
    def params(self) -> dict[str, Any]:
        """Parameters of the configured model by name."""
        return _params_of(self.configured)


def _params_of(model: Any) -> dict[str, Any]:  # noqa: ANN401 - a model of any class
    if attrs.has(type(model)):
        return attrs.asdict(model)
    # A strategy that is a table says itself what decides beside its rows.
    parameters: dict[str, Any] = model.parameters()
    return parameters


def model_path(kind: str, model: object, native: NativePolicy, *, runs_native: bool = True) -> ChosenModel:
    """Decide once what executes a model; an engine that is not native itself runs all of them in Python.

    Raises
    ------
    ConfigError
        If only native models are allowed and this one has no native form.
    ModelError
        If its native form is none that the engine can use.
    """
    if native is not NativePolicy.NEVER and runs_native:
        if builtin := getattr(model, "native_builtin", None):
            return ChosenModel(kind=kind, model=model, builtin=builtin)
        if capsule := _capsule(kind, model):
            _, (major, minor) = native_table(model, capsule, ModelKind[kind.upper()].value)
            return ChosenModel(kind=kind, model=model, capsule=capsule, abi=f"{major}.{minor}")
    if native is NativePolicy.REQUIRE:
        why = f" ({missing})" if (missing := getattr(model, "native_missing", None)) else ""
        message = (
            f'{kind} model {type(model).__name__} runs in Python{why}, and backtest.native = "require" '
            'allows native models only; set it to "prefer", or choose a model with a native form'
        )
        raise ConfigError(Finding(path="backtest.native", message=message, found=native.value))
    return ChosenModel(kind=kind, model=model)


def _capsule(kind: str, model: object) -> object:
    """Ask a model for its own function table; None where it has none."""
    make = getattr(model, "__ml4t_model_v1__", None)
    if make is None:
        return None
    number = ModelKind[kind.upper()].value
    try:
        return make(number)
    except Ml4tError:
        raise
    except Exception as error:
        message = f"{kind} model {type(model).__name__}: __ml4t_model_v1__({number}) raised {error!r}"
        raise ModelError(message) from error


def describe(
    config: RunConfig, data: MarketData, models: Mapping[str, ChosenModel], *, warm_from: int
) -> dict[str, Any]:
    """Write the description of a run.

    Parameters
    ----------
    config : RunConfig
        The configuration.
    data : MarketData
        Universe, columns, calendars.
    models : Mapping of str to ChosenModel
        Keys `fill`, `slippage`, `fee`, and `impact`, `borrow`, `funding`, `interest`, `fx`, `margin`,
        `liquidation` where there is such a model; of latency models `LATENCY` and their place, of interest
        models of other currencies `INTEREST` and the currency.
    warm_from : int
        Instant until which orders are refused, ns UTC.
    """
    given = {"funding": (data.funding, "paid", "PerpetualFunding")}
    given["borrow"] = (data.borrow, "paid", "BorrowFee")
    given["margin"] = (data.margin_rates, "needed", "FuturesMargin")
    for kind, (rates, what, example) in given.items():
        if rates is not None and kind not in models:
            message = (
                f"{kind} rates are given, and no model says what is {what}; set broker.{kind}_model, for "
                f'example to {{ type = "{example}" }}'
            )
            raise config.refused([Finding(path=f"broker.{kind}_model", message=message, code="missing")])
    if "margin" in models:
        _refuse_paid_upfront(config, data.instruments, models["margin"].model)
    _refuse_other_currency(data.instruments)
    calendars = [table.name for table in data.calendars]
    account = config.broker
    waits = [kind for kind in models if kind.startswith(LATENCY)]
    interests = {kind.removeprefix(INTEREST): kind for kind in models if kind.startswith(INTEREST)}
    base = config.backtest.base_currency
    if "interest" in models:
        interests[base] = "interest"
    named = [kind for kind in models if kind not in waits and kind not in interests.values()]
    flows = [each | {"currency": each["currency"] or base} for each in _rows(data.flows)]
    currencies = (
        {each["currency"] for each in flows}
        | {each.currency for each in data.instruments}
        | {*account.initial_balances}
        | {*interests}
    )
    latencies = _latencies(config, data.instruments, waits)
    return {
        "instruments": [
            _instrument(instrument, calendars.index(instrument.calendar), matching)
            | {"prints": _prints(number, config, data), "latency": latencies[_venue(instrument)]}
            for number, (instrument, matching) in enumerate(zip(data.instruments, data.matching, strict=True))
        ],
        "feeds": [_feed(feed) for feed in data.feeds],
        "kept": data.kept,
        "signals": _signals(data),
        "actions": _actions(data),
        "funding": _rows(data.funding, other="mark"),
        "borrow": _rows(data.borrow, other="available"),
        "fx_rates": data.fx,
        "settlements": _settlements(data),
        "margin_rates": _rows(data.margin_rates, rate="initial", other="maintenance"),
        "rolls": _rolls(data),
        "cash_flows": flows,
        "currencies": [base, *sorted(currencies - {base})],
        "calendars": [_calendar(table) for table in data.calendars],
        "nav_calendar": calendars.index(data.nav_calendar),
        "base_currency": base,
        "seed": config.backtest.seed,
        "record_ns": _record_ns(config.backtest.record, data),
        "keeps_tables": config.backtest.record is not RecordCadence.NAV,
        "table_memory": config.backtest.table_memory,
        "warm_from_ns": warm_from,
        "account": {
            "initial_cash": decimal_text(account.initial_cash),
            "lot_policy": account.lot_policy.value,
            "allows_short": account.allows_short,
            "buying_power": account.buying_power.value,
            "leverage": decimal_text(account.leverage),
            "posting_quantum": decimal_text(account.posting_quantum),
            "conversion": account.conversion.value,
            "recall_sessions": account.recall_sessions,
            "settlement": settlement_terms(config),
            "initial_balances": {
                name: decimal_text(to_decimal(amount)) for name, amount in account.initial_balances.items()
            },
        },
        "policies": {name: value.value for name, value in attrs.asdict(account.policies).items()},
        "latency_models": [_model(models[kind]) for kind in waits],
        "interest_models": {name: _model(models[kind]) for name, kind in sorted(interests.items())},
        **{f"{kind}_model": _model(models[kind]) for kind in named},
    }


def settlement_of(instrument: Instrument) -> str:
    """Return how what a position has gained becomes cash: as declared, else by the asset class."""
    return instrument.settlement or SETTLEMENT_OF_CLASS.get(instrument.asset_class, "upfront")


def _instrument(instrument: Instrument, calendar: int, matching: int | None) -> dict[str, Any]:
    return {
        "symbol": instrument.symbol,
        "currency": instrument.currency,
        "settlement": settlement_of(instrument),
        "price_exponent": instrument.price_exponent,
        "quantity_exponent": instrument.quantity_exponent,
        "multiplier": decimal_text(instrument.multiplier),
        "tick_size": decimal_text(instrument.tick_size),
        "lot_size": decimal_text(instrument.lot_size),
        "allows_negative_prices": instrument.allows_negative_prices,
        "is_borrowed": instrument.asset_class in BORROWED,
        "rolls_over": instrument.asset_class is AssetClass.FX,
        "calendar": calendar,
        "matching": None if matching is None or matching < 0 else matching,
    }


def _prints(number: int, config: RunConfig, data: MarketData) -> int | None:
    """Return the feed of trade ticks that fills resting limits of an instrument, where the policy asks."""
    found = data.prints[number]
    if config.broker.policies.print_fills is PrintFills.NONE or not found:
        return None
    if len(found) > 1:
        instrument, policy = data.instruments[number], config.broker.policies.print_fills.value
        names = " and ".join(data.feeds[index].name for index in found)
        quotes = data.feeds[data.matching[number]].name
        message = (
            f"{instrument.symbol}: the feeds {names} hold its trade ticks beside the quotes of feed {quotes}"
            f", and print_fills = {policy!r} lets the prints of one of them fill what rests; declare "
            "matches_orders=False on that feed alone, and leave it out on the other trade ticks"
        )
        if instrument.matching_source is None:
            # Without a word on it the other trade ticks could match orders as well as the quotes.
            message += f"; declare matches_orders=True on {quotes}, which orders meet"
        raise DataError(message)
    return found[0]


def _venue(instrument: Instrument) -> str:
    return instrument.calendar if instrument.venue is None else instrument.venue


def _latencies(
    config: RunConfig, instruments: Iterable[Instrument], models: Sequence[str]
) -> dict[str, dict[str, list[int] | int]]:
    """Return by venue the quantiles of orders, changes and cancels in ns, or the index of a model.

    And the venue's own number. One quantile alone means always that.
    Instruments of a venue share them, since a universe may have thousands.

    Raises
    ------
    ConfigError
        If latencies are given for venues that no instrument of the run has.
    """
    latency = Latency.of(config.broker.latency)
    if models and not latency.models:
        # One that was given as an object stands for all.
        latency = Latency(model={})
    venues = tuple(sorted({_venue(each) for each in instruments}))
    findings = [
        Finding(
            path=f"broker.latency.venues.{name}",
            message="no instrument of the run has this venue",
            found=name,
            allowed=venues,
            nearest=nearest(name, venues),
        )
        for name in latency.venues
        if name not in venues
    ]
    if findings:
        raise config.refused(findings)
    found: dict[str, dict[str, list[int] | int]] = {}
    for number, venue in enumerate(venues):
        waits = latency.at(venue).items()
        each = {n: models.index(LATENCY + w) if isinstance(w, str) else list(w) for n, w in waits}
        found[venue] = {**each, "venue": number}
    return found


def _feed(feed: FeedTable) -> dict[str, Any]:
    return {
        "name": feed.name,
        "kind": feed.kind.value,
        "interval_ns": feed.interval_ns,
        "frame": feed.frame,
        "extra": list(feed.extra),
    }


def _signals(data: MarketData) -> dict[str, Any] | None:
    if data.signals is None:
        return None
    signals = data.signals
    return {"frame": signals.frame, "names": list(signals.names), "versions": list(signals.versions)}


def _rows(table: pl.DataFrame | None, *, rate: str = "rate", other: str = "other") -> list[dict[str, Any]]:
    """Return the rows of a table, if there is one; columns of its kind get their own names."""
    return [] if table is None else table.rename({"rate": rate, "other": other}, strict=False).to_dicts()


def _actions(data: MarketData) -> pl.DataFrame | None:
    """Return the corporate actions.

    Raises
    ------
    DataError
        Shares of a margined instrument, or for one, are given away: nobody has paid for them.
    """
    if data.actions is None:
        return None
    exchanged = data.actions.filter(data.actions["into"] != data.actions["instrument"])
    for row in exchanged.iter_rows(named=True):
        gives, given = data.instruments[row["instrument"]], data.instruments[row["into"]]
        for each in (gives, given):
            if settlement_of(each) != "upfront":
                message = (
                    f"corporate actions: {gives.symbol} gives shares of {given.symbol} at "
                    f"{format_ns(row['ts'])}, and the settlement of {each.symbol} is "
                    f"{settlement_of(each)!r}; only what is paid for is exchanged"
                )
                raise DataError(message)
    return data.actions


def _rolls(data: MarketData) -> list[dict[str, Any]]:
    """Return the rolls.

    Raises
    ------
    DataError
        A contract is paid for, so that another one cannot take its position over, or is not settled daily
        and is to be rolled at a settlement price.
    """
    rows = [] if data.rolls is None else data.rolls.to_dicts()
    for row in rows:
        for each in (data.instruments[row[side]] for side in ("from", "to")):
            allowed = ("daily",) if row["roll_at"] == "settlement" else ("daily", "on_close")
            if settlement_of(each) not in allowed:
                message = (
                    f"rolls: {each.symbol} is rolled at {format_ns(row['ts'])} with roll_at "
                    f"{row['roll_at']!r}, and its settlement is {settlement_of(each)!r} "
                    f"({each.asset_class.value}); allowed are {', '.join(allowed)}: declare "
                    f"Instrument({each.symbol!r}, asset_class='future', ...)"
                )
                raise DataError(message)
    return rows


def _settlements(data: MarketData) -> list[dict[str, Any]]:
    """Return the settlement prices; the other column of rates says nothing here.

    Raises
    ------
    DataError
        One is of an instrument that is not settled daily, or no price that its instrument can have.
    """
    if data.settlements is None:
        return []
    rows = data.settlements.select("ts", "instrument", price="rate").to_dicts()
    for row in rows:
        instrument = data.instruments[row["instrument"]]
        where = f"settlement prices: {instrument.symbol} has one at {format_ns(row['ts'])}"
        advice = f"drop the row, or declare Instrument({instrument.symbol!r}, "
        if settlement_of(instrument) != "daily":
            message = f"{where}, and its settlement is {settlement_of(instrument)!r} "
            message += f"({instrument.asset_class.value}); {advice}settlement='daily')"
            raise DataError(message)
        if row["price"] <= 0 and not instrument.allows_negative_prices:
            message = f"{where} of {row['price']}, expected a price above zero; {advice}"
            message += "allows_negative_prices=True)"
            raise DataError(message)
    return rows


def _calendar(table: SessionTable) -> dict[str, Any]:
    breaks = {"breaks": table.breaks.rechunk()} if table.breaks.height else {}
    return {"name": table.name, "frame": table.numbers, **breaks}


def _model(chosen: ChosenModel) -> dict[str, Any]:
    params = _params_of(chosen.model) if chosen.builtin is not None else {}
    terms = portfolio_terms(chosen.kind, chosen.model) if chosen.kind in PORTFOLIO else {}
    capsule = chosen.capsule
    return {"object": chosen.model, "builtin": chosen.builtin, "params": params, "capsule": capsule, **terms}


def _refuse_paid_upfront(config: RunConfig, instruments: Iterable[Instrument], model: object) -> None:
    """Refuse instruments that are paid for in a run whose positions are closed at a price."""
    if not getattr(model, "liquidates_at_price", False):
        return
    if names := [each.symbol for each in instruments if settlement_of(each) == "upfront"]:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        message = (
            f"{type(model).__name__} closes positions at their price of liquidation, which has a meaning "
            f"where nothing is paid for them, and paid upfront are {shown}; choose another margin model, or "
            "declare Instrument(..., settlement='daily') or 'on_close'"
        )
        raise config.refused([Finding(path="broker.margin_model", message=message)])


def _refuse_other_currency(instruments: Iterable[Instrument]) -> None:
    """Refuse a currency pair whose prices are in another currency than its second.

    Raises
    ------
    DataError
        Yen would be booked as dollars.
    """
    for each in instruments:
        if each.asset_class is not AssetClass.FX:
            continue
        found = _LETTERS_OF_PAIR.fullmatch("".join(filter(str.isalpha, each.symbol)))
        if found is not None and found[1] != each.currency:
            message = (
                f"{each.symbol} has asset_class 'fx' and currency {each.currency!r}, and a price of this "
                f"pair is an amount of {found[1]}: declare Instrument({each.symbol!r}, asset_class='fx', "
                f"currency={found[1]!r}, ...)"
            )
            raise DataError(message)


def _record_ns(cadence: RecordCadence, data: MarketData) -> int | None:
    """Distance of portfolio rows in ns; 0 for every step, None for session closes only."""
    if cadence is RecordCadence.AUTO:
        return 0 if all(_is_daily(feed) for feed in data.feeds) else HOUR_NS
    return {RecordCadence.STEP: 0, RecordCadence.HOUR: HOUR_NS}.get(cadence)


def _is_daily(feed: FeedTable) -> bool:
    if feed.kind is DataKind.CONTEXT:
        return True
    return feed.kind is DataKind.BAR and feed.interval_ns is not None and feed.interval_ns >= DAY_NS


def warm_from_ns(warmup: int | str, sessions: SessionTable, *, start_ns: int) -> int:
    """Return the instant until which orders are refused.

    Parameters
    ----------
    warmup : int or str
        Sessions of the NAV calendar, or a duration such as `"20d"`, counted from the begin of the run.
    sessions : SessionTable
        The NAV calendar.
    start_ns : int
        Begin of the run.

    Raises
    ------
    ConfigError
        If it is negative or neither of the two.
    """
    allowed = "expected a number of sessions, zero or more, or a duration such as '20d'"
    if isinstance(warmup, bool) or not isinstance(warmup, int | str):
        msg = f"warmup = {warmup!r}; {allowed}"
        raise ConfigError(msg)
    if isinstance(warmup, str):
        try:
            length = parse_duration(warmup)
        except ValueError as error:
            msg = f"warmup: {error}; {allowed}"
            raise ConfigError(msg) from error
        return start_ns + _not_negative(length, warmup, allowed)
    if _not_negative(warmup, warmup, allowed) == 0:
        return start_ns
    closes = sessions.frame["close_ns"]
    closes = closes.filter(closes > start_ns)
    # More sessions than the calendar has left: the whole run is warm-up.
    return int(closes[warmup - 1]) if warmup <= len(closes) else NEVER_NS


def _not_negative(number: int, found: object, allowed: str) -> int:
    if number < 0:
        msg = f"warmup = {found!r}; {allowed}"
        raise ConfigError(msg)
    return number
