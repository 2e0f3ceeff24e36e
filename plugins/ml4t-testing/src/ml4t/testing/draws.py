"""Random questions to models, like those of a run, and random bars; equal seeds draw the same."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

import attrs

from ml4t.core.models import FeeArgs, FillArgs, ImpactArgs, ObservedFill, SlippageArgs
from ml4t.core.types import ModelKind

__all__ = ["Args", "Draw", "bars", "changed"]

Args: TypeAlias = FillArgs | SlippageArgs | ImpactArgs | FeeArgs
NAN = math.nan
FIRST_NS = 1_700_000_000_000_000_000
DAY_NS = 86_400_000_000_000
BAR_PHASES = ("open", "range", "close")
ASSETS = 3


def changed(args: Any, **values: Any) -> Any:  # noqa: ANN401
    """Return a question with other values."""
    return attrs.evolve(args, **values)


@attrs.frozen(kw_only=True)
class Draw:
    """Draws questions of one kind of model.

    Attributes
    ----------
    kind : ModelKind
        Fill, slippage, impact or fee.
    knows_bar : bool
        Whether volume and range are known at the open, as for a model with `needs_volume`.
    knows_averages : bool
        Whether average volume and volatility are known, as for a model with `average_days`.
    only_bars : bool
        Whether to leave out quotes and prints.
    """

    kind: ModelKind
    knows_bar: bool = False
    knows_averages: bool = False
    only_bars: bool = False

    def questions(self, seed: int, count: int) -> list[Args]:
        """Return questions in the sequence of their instants."""
        random = Random(seed)
        makers: dict[ModelKind, Callable[[Random, int], Args]] = {
            ModelKind.FILL: self._fill,
            ModelKind.SLIPPAGE: self._slippage,
            ModelKind.IMPACT: self._impact,
            ModelKind.FEE: self._fee,
        }
        make = makers[self.kind]
        return [make(random, FIRST_NS + step * DAY_NS // 4) for step in range(count)]

    def _market(self, random: Random, phase: str) -> dict[str, float]:
        """Return prices, volume and averages as they are known in a phase."""
        price = round(math.exp(random.gauss(3.5, 1.0)), 2) + 0.5
        known = dict.fromkeys(("open", "high", "low", "close", "volume", "bid", "ask"), NAN)
        volume = float(random.randint(1, 500_000))
        if phase in BAR_PHASES:
            known["open"] = price
            if phase == "close" or self.knows_bar:
                known["high"] = round(price * random.uniform(1.0, 1.05), 2)
                known["low"] = round(price * random.uniform(0.95, 1.0), 2)
                known["close"] = round(random.uniform(known["low"], known["high"]), 2)
                known["volume"] = volume
        elif phase == "quote":
            known |= {"bid": round(price - 0.02, 2), "ask": round(price + 0.02, 2), "volume": volume}
        else:
            known |= {"close": price, "volume": volume}
        averages = {"average_volume": NAN, "volatility": NAN}
        if self.knows_averages:
            averages = {
                "average_volume": random.uniform(1e4, 1e6),
                "volatility": random.uniform(0.002, 0.05),
            }
        used = float(random.randint(0, int(volume) // 4)) if not math.isnan(known["volume"]) else 0.0
        return known | averages | {"price": price, "volume_used": used, "tick_size": 0.01}

    def _phase(self, random: Random) -> str:
        return random.choice(BAR_PHASES if self.only_bars else (*BAR_PHASES, "quote", "trade"))

    def _fill(self, random: Random, ts_ns: int) -> FillArgs:
        phase, side = self._phase(random), random.choice((1, -1))
        market: dict[str, Any] = self._market(random, phase)
        market.pop("volatility")
        order_type = random.choice(("market", "limit"))
        if order_type == "limit":
            market["limit_price"] = round(market["price"] + side * random.choice((0.0, 0.05)), 2)
        if phase == "quote":
            volume = market["volume"]
            market |= {"bid_size": volume, "ask_size": volume + 1.0, "volume": NAN}
        elif phase == "trade":
            market |= {"size": market["volume"], "volume": NAN}
        return FillArgs(
            ts_ns=ts_ns,
            side=side,
            order_type=order_type,
            phase=phase,
            leaves_quantity=float(random.randint(1, 20_000)),
            session_used=float(random.randint(0, 500)),
            liquidity=random.choice(("taker", "maker")),
            **market,
        )

    def _slippage(self, random: Random, ts_ns: int) -> SlippageArgs:
        phase = self._phase(random)
        market = self._market(random, phase)
        return SlippageArgs(
            ts_ns=ts_ns,
            side=random.choice((1, -1)),
            quantity=float(random.randint(1, 20_000)),
            reference_price=market.pop("price"),
            phase=phase,
            multiplier=random.choice((1.0, 1.0, 50.0)),
            **market,
        )

    def _impact(self, random: Random, ts_ns: int) -> ImpactArgs:
        plain = attrs.asdict(self._slippage(random, ts_ns))
        filled = float(random.randint(0, 5_000))
        return ImpactArgs(
            **plain,
            asset=random.randrange(ASSETS),
            order_quantity=plain["quantity"] + filled,
            order_filled_quantity=filled,
            displacement=random.uniform(-0.5, 0.5),
        )

    def _fee(self, random: Random, ts_ns: int) -> FeeArgs:
        price = round(math.exp(random.gauss(3.5, 1.0)), 2) + 0.5
        quantity, multiplier = float(random.randint(1, 20_000)), random.choice((1.0, 1.0, 50.0))
        filled = float(random.choice((0, random.randint(1, 5_000))))
        return FeeArgs(
            ts_ns=ts_ns,
            side=random.choice((1, -1)),
            quantity=quantity,
            price=price,
            multiplier=multiplier,
            notional=quantity * price * multiplier,
            liquidity=random.choice(("taker", "maker")),
            order_filled_quantity=filled,
            order_notional=filled * price * multiplier,
            order_fees=filled * 0.005,
            month_quantity=float(random.randint(0, 10_000_000)),
            month_notional=random.uniform(0.0, 1e9),
        )

    def fill_of(self, args: Args, random: Random, number: int) -> ObservedFill:
        """Return a fill as a run would book it after a question."""
        price = getattr(args, "reference_price", getattr(args, "price", NAN))
        quantity = getattr(args, "quantity", getattr(args, "leaves_quantity", 1.0))
        return ObservedFill(
            ts_ns=args.ts_ns,
            side=args.side,
            asset=getattr(args, "asset", 0),
            order_id=number,
            price=price,
            quantity=quantity,
            multiplier=getattr(args, "multiplier", 1.0),
            fee=round(random.uniform(0.0, 5.0), 2),
            slippage=round(random.uniform(0.0, 0.05), 4),
            impact=round(random.uniform(0.0, 0.05), 4),
            liquidity="taker",
        )

    def nonsense(self, seed: int, count: int) -> list[Args]:
        """Return questions that no run would ask: infinite, negative and missing numbers anywhere."""
        random = Random(seed)
        strange = (math.inf, -math.inf, NAN, -1.0, 0.0, 1e308, -1e308, 5e-324)
        found = []
        for args in self.questions(seed + 1, count):
            numbers = [field.name for field in attrs.fields(type(args)) if field.type in (float, "float")]
            chosen = random.sample(numbers, random.randint(1, len(numbers)))
            values: dict[str, Any] = {name: random.choice(strange) for name in chosen}
            values["side"] = random.choice((1, -1, 0))
            values["ts_ns"] = random.choice((args.ts_ns, 0, -(2**63), 2**63 - 1))
            if hasattr(args, "asset"):
                values["asset"] = random.choice((0, 2**32 - 1))
            found.append(changed(args, **values))
        return found


def bars(seed: int, *, sessions: int = 60, symbols: tuple[str, ...] = ("ABC", "XYZ")) -> Any:  # noqa: ANN401
    """Return daily bars of instruments that wander, as a polars frame; the last symbol is listed later."""
    import polars as pl

    random = Random(seed)
    rows = []
    for symbol in symbols:
        close = 50.0
        first = sessions // 4 if symbol == symbols[-1] and len(symbols) > 1 else 0
        for day in range(first, sessions):
            opened = round(max(close + random.gauss(0.0, 0.4), 1.0), 2)
            close = round(max(opened + random.gauss(0.0, 0.6), 1.0), 2)
            high = round(max(opened, close) + random.uniform(0.0, 0.5), 2)
            low = round(max(min(opened, close) - random.uniform(0.0, 0.4), 0.5), 2)
            volume = float(random.randint(500, 50_000))
            session = dt.date(2024, 1, 1) + dt.timedelta(days=day)
            rows.append((symbol, session, opened, high, low, close, volume))
    names = ["symbol", "session", "open", "high", "low", "close", "volume"]
    return pl.DataFrame(rows, schema=names, orient="row")
