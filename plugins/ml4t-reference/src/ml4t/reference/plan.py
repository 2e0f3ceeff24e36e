"""The plan: everything that a run reads, parsed once and never changed.

`ml4t.engine.compile.describe` writes a run as one nested dictionary. Here it becomes frozen classes with
plain lists and whole numbers. What the dictionary asks for and this engine does not know is refused by name.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import attrs

from ml4t.core.errors import ConfigError, DataError
from ml4t.core.policies import BuyingPower, Conversion, Policies
from ml4t.core.types import DataKind, LotPolicy
from ml4t.reference.currencies import Currencies, rows_of
from ml4t.reference.margin_terms import MarginRate, MarginTerms, read_rates, read_terms
from ml4t.reference.models import Models, average_days, read_models
from ml4t.reference.numbers import CASH_EXPONENT, as_float, half_even, scaled, units_of_float
from ml4t.reference.sessions import Sessions
from ml4t.reference.timestamp import text_of
from ml4t.reference.unsettled import TradeSettlement, read

__all__ = ["Account", "Action", "BorrowRate", "CashFlow", "Effect", "Feed", "FundingRate", "Instrument"]
__all__ += ["Plan", "Roll", "Sessions", "Settlement", "SettlementPrice", "Signals"]

_SECTIONS = ["instruments", "feeds", "kept", "signals", "actions", "calendars", "nav_calendar"]
_SECTIONS += ["base_currency", "currencies", "fx_rates"]
# How much memory tables may take is of no concern here, and which are kept is what reads them.
_SECTIONS += ["seed", "record_ns", "keeps_tables", "table_memory", "warm_from_ns", "account", "policies"]
_SECTIONS += ["fill_model", "slippage_model", "impact_model", "fee_model", "latency_models", "algorithms"]
_SECTIONS += ["settlements", "rolls", "cash_flows", "funding", "borrow"]
_SECTIONS += ["borrow_model", "funding_model", "interest_models", "fx_model"]
_SECTIONS += ["margin_model", "liquidation_model", "margin_rates"]
# Older descriptions have one model of interest, that of the base currency.
_SECTIONS += ["interest_model"]

VALUE_COLUMNS = {
    DataKind.BAR: ("open", "high", "low", "close", "volume"),
    DataKind.QUOTE: ("bid_price", "ask_price", "bid_size", "ask_size"),
    DataKind.TRADE: ("price", "size"),
    DataKind.CONTEXT: (),
}


class Settlement(enum.Enum):
    """When the gains and losses of a position become cash."""

    UPFRONT = "upfront"  #: the position is paid for, and what it brings is paid in full
    DAILY = "daily"  #: variation margin, at each settlement price
    ON_CLOSE = "on_close"  #: as it is closed


@attrs.frozen(kw_only=True)
class Instrument:
    """A tradable thing; its prices are whole numbers of `10**-price_exponent`, its quantities likewise."""

    index: int  #: position in the plan; instruments are sorted by symbol
    symbol: str
    currency: str
    price_exponent: int
    quantity_exponent: int
    multiplier: Fraction  #: money per unit of price and quantity
    tick: int  #: smallest step of an order's price, in price units
    lot: int  #: smallest step of an order's quantity, in quantity units
    allows_negative_prices: bool
    is_borrowed: bool  #: whether who sells it short borrows it
    rolls_over: bool  #: whether its funding is the rollover of a currency pair
    settlement: Settlement
    calendar: int  #: position of its calendar in the plan
    latency: Mapping[str, int | tuple[int, ...]]
    """Quantiles in ns of `submit`, `modify`, `cancel`, one alone for always that; or the index of a model."""
    venue: int  #: position of its venue among those of the run
    matching: int | None  #: position of the feed that fills its orders and sets its marks
    prints: int | None  #: position of the feed of trade ticks that fills what rests beside its quotes

    @property
    def is_margined(self) -> bool:
        """Whether positions are not paid for."""
        return self.settlement is not Settlement.UPFRONT

    def price(self, units: int | Fraction) -> float:
        """Return a price as a float."""
        return as_float(units, self.price_exponent)

    def quantity(self, units: int | Fraction) -> float:
        """Return a quantity as a float."""
        return as_float(units, self.quantity_exponent)

    def cash(self, price: int, quantity: int) -> int:
        """Return price x quantity x multiplier in cash units: exact, for the decimals add up to 18."""
        exact = self.worth(price, quantity)
        assert exact.denominator == 1
        return int(exact)

    def worth(self, price: Fraction | int, quantity: Fraction | int) -> Fraction:
        """Return the same for a price or a quantity that need not be a whole number of units."""
        decimals = CASH_EXPONENT - self.price_exponent - self.quantity_exponent
        return Fraction(price) * quantity * self.multiplier * Fraction(10**decimals)


@attrs.frozen(kw_only=True)
class Feed:
    """The rows of one feed, sorted by `ts_event`.

    Attributes
    ----------
    columns : dict of str to list
        `ts_event`, `ts_arrival` (equal to `ts_event` where the source has none), `ts_open` (bars only),
        `instrument` (not for context), then the value columns of the kind and the features of `extra`; values
        are floats, NaN where missing.
    extra : tuple of str
        Names of the features, in the order of the source.
    """

    index: int  #: position in the plan; feeds are in the order in which rows of one instant are taken
    name: str
    kind: DataKind
    interval_ns: int | None
    columns: dict[str, list[Any]] = attrs.field(repr=False)
    extra: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.columns["ts_event"])

    @property
    def is_late(self) -> bool:
        """Whether some row arrives after it was complete."""
        return bool(self.columns["ts_arrival"] != self.columns["ts_event"])

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the float columns: those of the kind, then the features."""
        return (*(name for name in VALUE_COLUMNS[self.kind] if name in self.columns), *self.extra)


@attrs.frozen(kw_only=True)
class Signals:
    """Predictions, sorted by `ts_arrival`; `names` and `versions` are what two of the columns index.

    `columns` has `ts_arrival`, `ts_event`, `instrument`, `name`, `score`, `confidence`, `version`.
    """

    columns: dict[str, list[Any]] = attrs.field(repr=False)
    names: tuple[str, ...]
    versions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.columns["ts_arrival"])


class Effect(enum.Enum):
    """What a corporate action does.

    A stock dividend is a split. A merger for cash or a delisting pays out; one for shares is an exchange, and
    so is a new symbol. A dated contract expires by itself.
    """

    SPLIT = "split"
    CASH_DIVIDEND = "cash_dividend"
    CASH_OUT = "cash_out"
    SPIN_OFF = "spin_off"
    EXCHANGE = "exchange"
    EXPIRY = "expiry"


@attrs.frozen(kw_only=True)
class Action:
    """A corporate action; `ratio` is new units per old, `amount` money per unit of price.

    Of a spin-off and of an exchange the new units are of the instrument `into`, elsewhere it is `instrument`.
    """

    ts: int  #: 00:00 exchange-local of the ex-date; of an expiry the close or settlement of its last session
    instrument: int
    kind: Effect
    ratio: Fraction
    amount: str  #: decimal text; of a cash-out empty where the last price is paid
    pay_ts: int
    into: int  #: position in the plan
    withholding: Fraction  #: of a cash dividend that a long position gets, from 0 to 1


@attrs.frozen(kw_only=True)
class SettlementPrice:
    """The price at which positions of a daily instrument are settled at an instant."""

    ts: int
    instrument: int
    price: int  #: price units


@attrs.frozen(kw_only=True)
class Roll:
    """Positions go from one contract into another."""

    ts: int  #: as its session opens
    old: int  #: position of the contract in the plan
    new: int
    at_settlement: bool  #: at the settlement prices of both; otherwise at the next opens


@attrs.frozen(kw_only=True)
class CashFlow:
    """A payment from outside, or to there."""

    ts: int
    currency: str
    amount: int  #: cash units; below zero it is taken out


@attrs.frozen(kw_only=True)
class FundingRate:
    """What a position pays or gets at an instant, as its market says."""

    ts: int
    instrument: int
    rate: float  #: of long positions, which pay it where it is above zero
    short_rate: float  #: of short positions, which get it where it is above zero
    mark: float  #: NaN where the source has none


@attrs.frozen(kw_only=True)
class BorrowRate:
    """What borrowing an instrument costs from an instant on, as a fraction per year."""

    ts: int
    instrument: int
    rate: float  #: NaN where none is known from here on
    available: float  #: units that can be borrowed, infinite where nothing is said


@attrs.frozen(kw_only=True)
class Account:
    """What the account may do."""

    initial_cash: int  #: units of 1e-18 of the base currency
    initial_balances: Mapping[str, int]  #: of other currencies, likewise
    lot_policy: LotPolicy
    allows_short: bool
    buying_power: BuyingPower
    leverage: Fraction  #: counts with `equity` alone
    conversion: Conversion
    posting_quantum: int  #: units of 1e-18
    recall_sessions: int | None = None  #: closes after which what is lent no longer is bought in; None: never
    settlement: TradeSettlement | None = None  #: None where trades settle at once

    def posted(self, exact: Fraction) -> int:
        """Round an amount of cash units to the posting quantum, half to even."""
        return half_even(exact / self.posting_quantum) * self.posting_quantum


@attrs.frozen(kw_only=True)
class Plan:
    """A run, ready to be simulated."""

    instruments: tuple[Instrument, ...]
    feeds: tuple[Feed, ...]
    signals: Signals | None
    actions: tuple[Action, ...]
    settlements: tuple[SettlementPrice, ...]  #: by time, then instrument
    rolls: tuple[Roll, ...]  #: by time, then the contract that is left
    cash_flows: tuple[CashFlow, ...]  #: by time, each after the begin of the run
    funding: tuple[FundingRate, ...]  #: by time, then instrument
    borrow: tuple[BorrowRate, ...]  #: likewise
    margin_rates: tuple[MarginRate, ...]  #: likewise
    margin: MarginTerms
    calendars: tuple[Sessions, ...]
    nav_calendar: int  #: position of the calendar whose session closes make the NAV
    account: Account
    policies: Policies
    models: Models
    seed: int
    record_ns: int | None  #: distance of portfolio rows; 0 for every step, None for session closes only
    warm_from_ns: int  #: orders before it are refused
    currencies: Currencies

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Plan:
        """Parse the description of a run.

        Raises
        ------
        ConfigError
            If it asks for something that this engine does not know.
        """
        for name in spec:
            if name not in _SECTIONS:
                message = f"the reference engine does not cover {name!r}; it covers {', '.join(_SECTIONS)}"
                raise ConfigError(message)
        instruments = tuple(_instrument(index, each) for index, each in enumerate(spec["instruments"]))
        currencies = Currencies.of(spec)
        account, models = _account(spec["account"]), read_models(spec)
        for instrument in instruments:
            currencies.refuse_others(instrument.currency, f"{instrument.symbol} settles in it")
        for currency in account.initial_balances:
            currencies.refuse_others(currency, "the account begins with a balance of it")
        if currencies.base in account.initial_balances:
            message = f"what the account begins with of {currencies.base} is initial_cash, not a balance"
            raise ConfigError(message)
        for currency in models.interest:
            currencies.refuse_others(currency, "it has an interest model")
        flows = tuple(_cash_flow(each) for each in spec.get("cash_flows", ()))
        for flow in flows:
            currencies.refuse_others(flow.currency, "something is paid in or taken out in it")
        feeds = tuple(_feed(index, each) for index, each in enumerate(spec["feeds"]))
        if average_days(models.fill):
            _refuse_quotes(instruments, feeds)
        return cls(
            instruments=instruments,
            feeds=feeds,
            signals=None if spec["signals"] is None else _signals(spec["signals"]),
            actions=tuple(_action(each) for each in rows_of(spec["actions"])),
            settlements=tuple(_settlement(instruments, each) for each in spec.get("settlements", ())),
            rolls=tuple(_roll(each) for each in spec.get("rolls", ())),
            cash_flows=flows,
            funding=tuple(FundingRate(**each) for each in spec.get("funding", ())),
            borrow=tuple(BorrowRate(**each) for each in spec.get("borrow", ())),
            margin_rates=read_rates(spec, [each.symbol for each in instruments]),
            margin=read_terms(spec),
            calendars=tuple(Sessions.of(each) for each in spec["calendars"]),
            nav_calendar=spec["nav_calendar"],
            account=account,
            policies=_policies(spec["policies"]),
            models=models,
            seed=spec["seed"],
            record_ns=spec["record_ns"],
            warm_from_ns=spec["warm_from_ns"],
            currencies=currencies,
        )

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of all instruments, in the order of their positions."""
        return tuple(instrument.symbol for instrument in self.instruments)


def _instrument(index: int, spec: Mapping[str, Any]) -> Instrument:
    return Instrument(
        index=index,
        symbol=spec["symbol"],
        currency=spec["currency"],
        price_exponent=spec["price_exponent"],
        quantity_exponent=spec["quantity_exponent"],
        multiplier=Fraction(spec["multiplier"]),
        tick=scaled(spec["tick_size"], spec["price_exponent"]),
        lot=scaled(spec["lot_size"], spec["quantity_exponent"]),
        allows_negative_prices=spec["allows_negative_prices"],
        is_borrowed=spec["is_borrowed"],
        rolls_over=spec["rolls_over"],
        settlement=_kind_of_settlement(spec),
        calendar=spec["calendar"],
        latency={name: _wait(spec["latency"][name]) for name in ("submit", "modify", "cancel")},
        venue=spec["latency"]["venue"],
        matching=spec["matching"],
        prints=spec["prints"],
    )


def _kind_of_settlement(spec: Mapping[str, Any]) -> Settlement:
    """Return how an instrument settles; one of an older description is paid for."""
    given, kinds = spec.get("settlement", Settlement.UPFRONT.value), [kind.value for kind in Settlement]
    if given not in kinds:
        message = f"{spec['symbol']}: settlement {given!r} is not covered; covered are {', '.join(kinds)}"
        raise ConfigError(message)
    return Settlement(given)


def _settlement(instruments: Sequence[Instrument], spec: Mapping[str, Any]) -> SettlementPrice:
    instrument, price = instruments[spec["instrument"]], float(spec["price"])
    if instrument.settlement is not Settlement.DAILY:
        message = f"{instrument.symbol} has settlement prices and settles {instrument.settlement.value}"
        raise DataError(message)
    if not math.isfinite(price):
        message = f"settlement price {price} of {instrument.symbol} at {text_of(spec['ts'])} must be finite"
        raise DataError(message)
    units = units_of_float(price, instrument.price_exponent)
    return SettlementPrice(ts=spec["ts"], instrument=instrument.index, price=units)


def _roll(spec: Mapping[str, Any]) -> Roll:
    if spec["roll_at"] not in ("next_open", "settlement"):
        message = f"roll_at {spec['roll_at']!r} is not covered; covered are next_open, settlement"
        raise ConfigError(message)
    at_settlement = spec["roll_at"] == "settlement"
    return Roll(ts=spec["ts"], old=spec["from"], new=spec["to"], at_settlement=at_settlement)


def _cash_flow(spec: Mapping[str, Any]) -> CashFlow:
    return CashFlow(ts=spec["ts"], currency=spec["currency"], amount=scaled(spec["amount"], CASH_EXPONENT))


def _wait(given: int | Sequence[int]) -> int | tuple[int, ...]:
    """Return the index of a latency model, or quantiles in ns."""
    return given if isinstance(given, int) else tuple(given)


def _refuse_quotes(instruments: Sequence[Instrument], feeds: Sequence[Feed]) -> None:
    """Refuse a cap on an average volume where orders meet quotes."""
    for instrument in instruments:
        if instrument.matching is not None and feeds[instrument.matching].kind is DataKind.QUOTE:
            message = (
                f"{instrument.symbol}: its orders meet quotes, which have no volume, and the fill model "
                "asks for the average volume of a day (average_days); use a cap of the size shown"
            )
            raise ConfigError(message)


def _lists(frame: Any) -> dict[str, list[Any]]:  # noqa: ANN401 - a frame of any library with to_dict or columns
    return {name: frame[name].to_list() for name in frame.columns}


def _feed(index: int, spec: Mapping[str, Any]) -> Feed:
    kinds = [kind.value for kind in DataKind]
    if spec["kind"] not in kinds:
        message = f"feed {spec['name']}: kind {spec['kind']!r} is not covered; covered are {', '.join(kinds)}"
        raise DataError(message)
    columns = _lists(spec["frame"])
    columns.setdefault("ts_arrival", list(columns["ts_event"]))
    return Feed(
        index=index,
        name=spec["name"],
        kind=DataKind(spec["kind"]),
        interval_ns=spec["interval_ns"],
        columns=columns,
        extra=tuple(spec["extra"]),
    )


def _signals(spec: Mapping[str, Any]) -> Signals:
    return Signals(
        columns=_lists(spec["frame"]), names=tuple(spec["names"]), versions=tuple(spec["versions"])
    )


def _action(spec: Mapping[str, Any]) -> Action:
    kinds = [kind.value for kind in Effect]
    if spec["kind"] not in kinds:
        message = f"corporate action {spec['kind']!r} is not covered; covered are {', '.join(kinds)}"
        raise DataError(message)
    return Action(
        ts=spec["ts"],
        instrument=spec["instrument"],
        kind=Effect(spec["kind"]),
        ratio=Fraction(spec["ratio_num"], spec["ratio_den"]),
        amount=spec["amount"],
        pay_ts=spec["pay_ts"],
        # Older descriptions have neither of them.
        into=spec.get("into", spec["instrument"]),
        withholding=Fraction(spec.get("withholding", "0")),
    )


def _account(spec: Mapping[str, Any]) -> Account:
    _refuse_others("account", spec, [field.name for field in attrs.fields(Account)])
    spec = {"conversion": Conversion.WHEN_SHORT.value, "initial_balances": {}, **spec}
    kinds = {"lot_policy": LotPolicy, "buying_power": BuyingPower, "conversion": Conversion}
    for name, kind in kinds.items():
        values = [member.value for member in kind]
        if spec[name] not in values:
            message = f"{name} {spec[name]!r} is not covered; covered are {', '.join(values)}"
            raise ConfigError(message)
    return Account(
        initial_cash=scaled(spec["initial_cash"], 18),
        initial_balances={name: scaled(text, 18) for name, text in spec["initial_balances"].items()},
        lot_policy=LotPolicy(spec["lot_policy"]),
        allows_short=spec["allows_short"],
        buying_power=BuyingPower(spec["buying_power"]),
        leverage=Fraction(spec["leverage"]),
        conversion=Conversion(spec["conversion"]),
        posting_quantum=scaled(spec["posting_quantum"], 18),
        recall_sessions=spec.get("recall_sessions"),
        settlement=read(spec.get("settlement")),
    )


def _policies(spec: Mapping[str, str]) -> Policies:
    defaults = attrs.asdict(Policies())
    _refuse_others("policies", spec, list(defaults))
    chosen = {}
    for name, text in spec.items():
        kind = type(defaults[name])
        values = [member.value for member in kind]
        if text not in values:
            message = f"policy {name} = {text!r} is not covered; covered are {', '.join(values)}"
            raise ConfigError(message)
        chosen[name] = kind(text)
    return Policies(**chosen)


def _refuse_others(where: str, spec: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in spec:
        if name not in known:
            message = f"the reference engine does not cover {where}.{name}; it covers {', '.join(known)}"
            raise ConfigError(message)
