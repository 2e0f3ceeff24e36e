"""Read the cases; standard library only, because the environments of the peers hold nothing of ml4t."""

from __future__ import annotations

import datetime as dt
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

CASES = Path(__file__).parent / "cases"
TYPES = ("market", "limit", "stop", "stop_limit", "trailing_stop", "cancel", "target_percent")
PRICES = ("limit_price", "stop_price", "trail_amount", "trail_fraction")
COSTS = (
    "commission",
    "commission_per_share",
    "commission_minimum",
    "commission_per_order",
    "slippage",
    "spread",
    "volume_limit",
    "price_impact",
    "lot_size",
    "minimum_quantity",
)


@dataclass(frozen=True)
class Bar:
    """A session of one symbol."""

    session: dt.date
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True)
class Order:
    """What is decided after the bar of `sent`; of a cancel, `name` is the order to take back."""

    sent: dt.date
    name: str
    symbol: str
    side: str
    quantity: float
    type: str
    prices: dict[str, float] = field(default_factory=dict)
    parent: str | None = None
    oco: str | None = None
    good_till: dt.date | None = None


@dataclass(frozen=True)
class Case:
    """Bars by symbol, and the orders of a script in their sequence."""

    name: str
    why: str
    cash: float
    costs: dict[str, float]
    bars: dict[str, list[Bar]]
    orders: list[Order]

    @property
    def sessions(self) -> list[dt.date]:
        """Sessions on which any symbol has a bar."""
        return sorted({bar.session for bars in self.bars.values() for bar in bars})


def read(peer: str) -> list[Case]:
    """Return the cases of a peer: of `<peer>.toml`, then of the files `<peer>_*.toml` by name."""
    paths = [CASES / f"{peer}.toml", *sorted(CASES.glob(f"{peer}_*.toml"))]
    found = [case for path in paths for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]]
    cases = [_case(each) for each in found]
    names = [case.name for case in cases]
    if len(set(names)) != len(names):
        message = f"{peer}: two cases have the same name"
        raise ValueError(message)
    return cases


def _case(raw: dict[str, object]) -> Case:
    name = str(raw["name"])
    unknown = sorted(set(raw) - {"name", "why", "cash", "costs", "bars", "orders"})
    costs = {key: float(value) for key, value in dict(raw.get("costs", {})).items()}  # type: ignore[call-overload]
    unknown += sorted(set(costs) - set(COSTS))
    if unknown:
        message = f"{name}: {', '.join(unknown)} is not known"
        raise ValueError(message)
    bars = {symbol: [_bar(line) for line in _lines(text)] for symbol, text in dict(raw["bars"]).items()}  # type: ignore[call-overload]
    orders = [_order(name, line) for line in _lines(str(raw.get("orders", "")))]
    return Case(name, str(raw["why"]), float(str(raw["cash"])), costs, bars, orders)


def _lines(text: str) -> list[list[str]]:
    return [[part.strip() for part in line.split("|")] for line in text.strip().splitlines() if line.strip()]


def _bar(line: list[str]) -> Bar:
    session, prices, volume = line
    first, high, low, last = (float(price) for price in prices.split())
    return Bar(dt.date.fromisoformat(session), first, high, low, last, float(volume))


def _order(case: str, line: list[str]) -> Order:
    sent, name, symbol, side, quantity, kind = line[:6]
    terms = dict(part.split("=", 1) for part in (line[6].split() if len(line) > 6 else []))
    if kind not in TYPES:
        message = f"{case}: {kind} is no type; types are {', '.join(TYPES)}"
        raise ValueError(message)
    prices = {key: float(terms.pop(key)) for key in PRICES if key in terms}
    parent, oco = terms.pop("parent", None), terms.pop("oco", None)
    until = terms.pop("good_till", None)
    if terms:
        message = f"{case}: the terms {', '.join(terms)} are not known"
        raise ValueError(message)
    size = 0.0 if quantity == "-" else float(quantity)
    good_till = None if until is None else dt.date.fromisoformat(until)
    day = dt.date.fromisoformat(sent)
    return Order(day, name, symbol, side, size, kind, prices, parent, oco, good_till)
