"""What strategy kernels ask for: orders, brackets, changes and targets, and what is refused."""

from __future__ import annotations

import datetime as dt

import attrs
import numpy as np
import polars as pl
import pytest

from ml4t.core.errors import ConfigError, ModelError, OrderError, StrategyError
from ml4t.native import Action, Life, OrderType, native_model
from ml4t.native.structs import Made

backtest = pytest.importorskip("ml4t.backtest")
pytest.importorskip("numba")

TABLES = ("orders", "order_events", "fills", "ledger", "positions", "portfolio_history", "round_trips")
DAYS = [dt.date(2024, 3, day) for day in (4, 5, 6, 7, 8, 11, 12, 13, 14, 15)]
FIRST = "2024-03-04T21:00:00Z"

# The arguments of a kernel have no types of their own.
# ruff: noqa: PLR0913


def prices(*closes: float, symbol: str = "ABC", **columns: Made) -> pl.DataFrame:
    """Sessions that open at the close before and reach one beyond both."""
    opens = [closes[0], *closes[:-1]]
    return pl.DataFrame(
        {
            "symbol": symbol,
            "session": DAYS[: len(closes)],
            "open": opens,
            "high": [max(pair) + 1.0 for pair in zip(opens, closes, strict=True)],
            "low": [min(pair) - 1.0 for pair in zip(opens, closes, strict=True)],
            "close": list(closes),
            "volume": 1e5,
        }
        | columns
    )


FLAT = prices(*[50.0] * 8)
WAVES = pl.concat(
    [
        prices(50.0, 52.0, 55.0, 53.0, 49.0, 47.0, 50.0, 54.0, 57.0, 52.0),
        prices(20.0, 19.0, 22.0, 25.0, 27.0, 24.0, 20.0, 17.0, 18.0, 23.0, symbol="XYZ"),
    ]
)


def result(strategy: Made, frame: pl.DataFrame, native: str, **options: Made) -> Made:
    config = options.pop("config", {})
    feed = backtest.DataFeed(frame, stamp="session", instruments=options.pop("instruments", None))
    return backtest.run(strategy, feed, config=config | {"backtest": {"native": native}}, **options)


def same(one: Made, other: Made) -> None:
    for name in TABLES:
        assert one.table(name).equals(other.table(name)), name


def both(strategy: Made, frame: pl.DataFrame, **options: Made) -> Made:
    """Run a kernel as machine code and in Python; both are the same."""
    compiled, plain = (result(strategy, frame, native, **dict(options)) for native in ("require", "never"))
    assert (compiled.execution_paths["strategy"], plain.execution_paths["strategy"]) == ("capsule", "python")
    same(compiled, plain)
    return compiled


# --------------------------------------------------------------------------------------------- brackets


@native_model(kind="strategy", columns=("close",))
@attrs.frozen
class Brackets:
    """Buys what it does not hold, with a stop and a target that wait for it and cancel each other."""

    below: float = 3.0
    above: float = 4.0

    @staticmethod
    def kernel(
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
        n = 0
        for i in changed:
            is_working = False
            for k in range(len(open_orders)):
                is_working = is_working or open_orders[k].asset == i
            if positions[i] != 0.0 or is_working:
                continue
            first = 1000 * (int(ctx.instant) + 1) + 10 * int(i)
            for k in range(3):
                orders[n + k].action = Action.NEW
                orders[n + k].asset = i
                orders[n + k].client_id = first + k
                orders[n + k].quantity = 10.0 if k == 0 else -10.0
                if k > 0:
                    orders[n + k].parent = first
                    orders[n + k].group = first
            orders[n].order_type = OrderType.MARKET
            orders[n + 1].order_type = OrderType.STOP
            orders[n + 1].stop_price = columns[0, i] - params.below
            orders[n + 2].order_type = OrderType.LIMIT
            orders[n + 2].limit_price = columns[0, i] + params.above
            n += 3
        return n


class BracketsInCallbacks(backtest.Strategy):  # type: ignore[misc, name-defined]
    """The same through the broker."""

    def on_data(self, timestamp: Made, data: Made, context: Made, broker: Made) -> None:
        working = {order.asset for order in broker.open_orders}
        for symbol, row in data.items():
            if broker.get_position(symbol) is None and symbol not in working:
                entry = broker.buy(symbol, 10)
                broker.bracket(entry, stop_price=row["close"] - 3.0, limit_price=row["close"] + 4.0)


def test_a_bracket_is_a_group_whose_orders_wait_for_a_parent() -> None:
    found = both(Brackets, WAVES)
    same(found, result(BracketsInCallbacks, WAVES, "prefer"))
    ended = found.orders.filter(pl.col("parent_order_id").is_not_null()).group_by("status").len()
    ends = dict(ended.iter_rows())
    assert ends["filled"] >= 3
    assert ends["canceled"] >= 3, "the other one of each group"


# ------------------------------------------------------------------------------------ changes and cancels


@native_model(kind="strategy", columns=("low",))
@attrs.frozen
class Follows:
    """A limit that moves with the market, grows once, and is taken back after five sessions."""

    @staticmethod
    def kernel(
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
        step = int(ctx.instant)
        orders[0].asset = 1
        orders[0].client_id = 7
        if step == 0:
            orders[0].action = Action.NEW
            orders[0].order_type = OrderType.LIMIT
            orders[0].quantity = 4.0
            orders[0].limit_price = columns[0, 1] - 5.0
            return 1
        if step == 5:
            orders[0].action = Action.CANCEL
            return 1
        if step > 5:
            return 0
        orders[0].action = Action.MODIFY
        if step == 2:
            orders[0].quantity = 9.0
        elif step == 3:
            # Nothing changes; it is a change all the same.
            return 1
        else:
            orders[0].limit_price = columns[0, 1] - 5.0
        return 1


def test_an_order_is_changed_and_canceled_by_its_number() -> None:
    found = both(Follows, WAVES)
    assert found.orders.select("symbol", "quantity", "limit_price", "status").rows() == [
        ("XYZ", 9.0, 19.0, "canceled")
    ]
    changes = found.order_events.filter(pl.col("reason_code") == "REPLACED")
    assert changes.height == 4


def test_what_is_complete_cannot_be_changed_and_nothing_happens() -> None:
    @native_model(kind="strategy")
    @attrs.frozen
    class Late:
        @staticmethod
        def kernel(
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
            orders[0].client_id = 1
            if ctx.instant == 0:
                orders[0].action = Action.NEW
                orders[0].order_type = OrderType.MARKET
                orders[0].quantity = 1.0
                return 1
            orders[0].action = Action.CANCEL if ctx.instant % 2 == 0 else Action.MODIFY
            orders[0].quantity = 5.0
            return 1

    found = both(Late, FLAT)
    assert found.orders.select("quantity", "status").rows() == [(1.0, "filled")]


# -------------------------------------------------------------------------------------------- quantities


@native_model(kind="strategy")
@attrs.frozen
class Asks:
    """One order at the first instant, of any kind."""

    action: int = 1
    quantity: float = 1.0
    order_type: int = 1
    life: int = 0
    asset: int = 0
    limit_price: float | None = None
    stop_price: float | None = None
    client_id: int = 0
    parent: int = 0
    later: float = 0.0

    @staticmethod
    def kernel(
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
        if ctx.instant == 0:
            orders[0].action = params.action
            orders[0].quantity = params.quantity
            orders[0].order_type = params.order_type
            orders[0].life = params.life
            orders[0].asset = params.asset
            orders[0].limit_price = params.limit_price
            orders[0].stop_price = params.stop_price
            orders[0].client_id = params.client_id
            orders[0].parent = params.parent
            return 1
        if ctx.instant == 2 and params.later != 0.0:
            orders[0].action = Action.TARGET
            orders[0].quantity = params.later
            return 1
        return 0


def lots_of(size: str) -> list[Made]:
    from ml4t.core.instrument import Instrument

    return [Instrument("ABC", lot_size=size, quantity_exponent=1)]


@pytest.mark.parametrize(
    ("first", "later", "filled"),
    [
        (300.0, 150.0, [300.0, 200.0]),  # to 100
        (299.99, -250.0, [200.0, 400.0]),  # to 200, then to -200
        (99.0, 0.7, []),
        (-180.0, 180.0, [100.0, 200.0]),
    ],
)
def test_a_target_is_cut_to_whole_lots_towards_zero(first: float, later: float, filled: list[float]) -> None:
    made = Asks(action=int(Action.TARGET), quantity=first, later=later)
    shorts = {"broker": {"allows_short": True}}
    found = both(made, FLAT, instruments=lots_of("100"), config=shorts)
    assert found.fills["quantity"].to_list() == filled


@pytest.mark.parametrize(("quantity", "lot"), [(50.0, "100"), (12.5, "1")])
def test_a_quantity_of_no_whole_lots_that_can_be_kept_is_rejected(quantity: float, lot: str) -> None:
    found = both(Asks(quantity=quantity), FLAT, instruments=lots_of(lot))
    assert found.orders.select("quantity", "status", "reason_code").rows() == [
        (quantity, "rejected", "OFF_LOT")
    ]


@pytest.mark.parametrize("native", ["require", "never"])
def test_a_quantity_with_more_decimals_than_the_instrument_keeps_is_rejected(native: str) -> None:
    found = result(Asks(quantity=-0.25), FLAT, native, instruments=lots_of("1"))
    assert found.orders.select("side", "status", "reason_code").rows() == [("sell", "rejected", "OFF_LOT")]
    assert found.orders["reason"][0].startswith("quantity 0.25 is not a multiple of lot_size 1 (ABC")
    assert found.fills.is_empty()


def test_prices_are_kept_at_the_decimals_of_the_instrument() -> None:
    """40 x 1.02 is 40.800000000000004 as a float; a price off the tick stays off it."""
    found = both(Asks(order_type=int(OrderType.LIMIT), limit_price=40.0 * 1.02), FLAT)
    assert found.orders.select("limit_price", "status").rows() == [(40.8, "canceled")]
    found = both(Asks(order_type=int(OrderType.LIMIT), limit_price=40.1234567894), FLAT)
    assert found.orders.select("limit_price", "reason_code").rows() == [(40.123456789, "OFF_TICK")]


@pytest.mark.parametrize("life", Life)
def test_orders_live_as_long_as_they_say(life: Life) -> None:
    # A day ends at the close after the first; an open and a close are those of the next session.
    found = both(Asks(order_type=int(OrderType.LIMIT), limit_price=40.0, life=int(life)), FLAT)
    status = "canceled" if life in (Life.GTC, Life.IOC, Life.FOK) else "expired"
    assert found.orders.select("time_in_force", "status").rows() == [(life.name.lower(), status)]


@pytest.mark.parametrize("kind", OrderType)
def test_every_type_of_order_arrives_as_itself(kind: OrderType) -> None:
    limit = 45.0 if "LIMIT" in kind.name else None
    stop = 46.0 if kind not in (OrderType.MARKET, OrderType.LIMIT) else None
    found = both(Asks(order_type=int(kind), limit_price=limit, stop_price=stop), FLAT)
    assert found.orders.select("order_type", "limit_price", "stop_price").rows() == [
        (kind.name.lower(), limit, stop)
    ]


def test_the_records_of_a_call_are_blank() -> None:
    """A limit order is followed by a market order, which takes no price."""

    @native_model(kind="strategy")
    @attrs.frozen
    class Alternates:
        @staticmethod
        def kernel(
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
            orders[0].action = Action.NEW
            orders[0].quantity = 1.0
            orders[0].order_type = OrderType.MARKET
            if ctx.instant % 2 == 0:
                orders[0].order_type = OrderType.LIMIT
                orders[0].limit_price = 40.0
            return 1

    found = both(Alternates, FLAT)
    assert found.orders["limit_price"].to_list() == [40.0, None] * 4


# ------------------------------------------------------------------------------------------------ errors


RANGE = " and within the instrument's range"
TARGET = "; it must be a number of units within the instrument's range"


@pytest.mark.parametrize("native", ["require", "never"])
@pytest.mark.parametrize(
    ("made", "text"),
    [
        (Asks(action=9), "action 9 of an order record is not known"),
        (Asks(action=0), "action 0 of an order record is not known"),
        (Asks(asset=1), "asset 1 of an order record; this run has 1, from 0"),
        (Asks(order_type=7), "order_type 7 of an order record is not known"),
        (Asks(life=6), "life 6 of an order record is not known"),
        (Asks(quantity=0.0), f"ABC: quantity 0 of an order record; it must be above zero{RANGE}"),
        (Asks(quantity=float("nan")), f"ABC: quantity NaN of an order record; it must be above zero{RANGE}"),
        (Asks(quantity=1e30), f"ABC: quantity 1e30 of an order record; it must be above zero{RANGE}"),
        (Asks(limit_price=float("inf")), "ABC: limit_price inf of an order record leaves its range"),
        (Asks(stop_price=-1e12), "ABC: stop_price -1000000000000 of an order record leaves its range"),
        (
            Asks(action=int(Action.CANCEL), client_id=5),
            "an order record names order 5, which it has not sent",
        ),
        (Asks(action=int(Action.MODIFY)), "an order record names order 0, which it has not sent"),
        (Asks(parent=3), "an order record names order 3, which it has not sent"),
        (Asks(action=int(Action.TARGET), quantity=float("nan")), f"ABC: target NaN{TARGET}"),
        (Asks(action=int(Action.TARGET), quantity=float("-inf")), f"ABC: target -inf{TARGET}"),
        (
            Asks(action=int(Action.TARGET), quantity=-1e22),
            f"ABC: target -1e22{TARGET}",
        ),
    ],
)
def test_a_record_that_asks_for_nothing_known_names_kernel_and_instant(
    made: Asks, text: str, native: str
) -> None:
    with pytest.raises(ModelError) as raised:
        result(made, FLAT, native)
    assert str(raised.value) == f"kernel Asks version 1, {FIRST}: {text}"
    notes = "\n".join(raised.value.__notes__)
    assert f"Asks ran as {'capsule' if native == 'require' else 'python'}" in notes
    assert raised.value.partial_results.status == "failed"  # type: ignore[attr-defined]


@pytest.mark.parametrize("native", ["require", "never"])
def test_an_order_without_the_price_that_its_type_needs_is_refused(native: str) -> None:
    with pytest.raises(OrderError, match=r"a stop order needs a stop_price \(ABC"):
        result(Asks(order_type=int(OrderType.STOP)), FLAT, native)


@native_model(kind="strategy", columns=("close",), errors={2: "the close is too high"})
@attrs.frozen
class Fails:
    """Fails at the third instant, in one way or another."""

    answer: int = 0
    index: int = 0

    @staticmethod
    def kernel(
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
        if ctx.instant < 2:
            return 0
        orders[params.index].action = Action.CANCEL
        return params.answer


@pytest.mark.parametrize("native", ["require", "never"])
@pytest.mark.parametrize(
    ("made", "text"),
    [
        (Fails(answer=-2), "the close is too high"),
        (Fails(answer=-5), "the kernel answered -5, which errors= does not name; known: -2"),
        (
            Fails(answer=67),
            "the kernel answered (more records than have room|67 order records, and 66 have room)",
        ),
        (Fails(index=66), "the kernel raised (an exception; a run with|IndexError)"),
    ],
)
def test_the_error_of_a_kernel_stops_the_run_with_its_sentence(made: Fails, text: str, native: str) -> None:
    """Two records of every instrument have room, and 64 more."""
    with pytest.raises(ModelError, match=f"^kernel Fails version 1, 2024-03-06T21:00:00Z: {text}") as raised:
        result(made, FLAT, native)
    assert raised.value.partial_results.portfolio_history.height == 3  # type: ignore[attr-defined]


def test_in_python_the_exception_of_a_kernel_is_the_cause() -> None:
    with pytest.raises(ModelError, match="the kernel raised IndexError") as raised:
        result(Fails(index=66), FLAT, "never")
    assert isinstance(raised.value.__cause__, IndexError)


@pytest.mark.parametrize("native", ["require", "never"])
def test_what_is_no_strategy_is_refused(native: str) -> None:
    @native_model(kind="fee")
    @attrs.frozen
    class Free:
        @staticmethod
        def kernel(params: Made, state: Made, ctx: Made, out: Made) -> int:
            return 1

    with pytest.raises(StrategyError, match="which is no Strategy"):
        result(Free, FLAT, native)
    with pytest.raises(StrategyError, match=r"params .* go with a class, not with an instance"):
        result(Asks(), FLAT, native, params={"quantity": 2.0})
    with pytest.raises(StrategyError, match=r"its parameters: action, quantity, .* did you mean 'quantity'"):
        result(Asks, FLAT, native, params={"quantiti": 2.0})


def test_only_a_strategy_has_a_form_in_python() -> None:
    assert hasattr(Asks, "python_strategy")

    @attrs.frozen
    class Bare:
        def __ml4t_model_v1__(self, kind: int) -> object:
            return Asks().__ml4t_model_v1__(kind)  # type: ignore[attr-defined]

    assert result(Bare(), FLAT, "require").orders.height == 1
    with pytest.raises(StrategyError, match=r"Bare has native code only, which this run does not use"):
        result(Bare(), FLAT, "never")

    @attrs.frozen
    class Absent:
        native_missing = "it was not built"

        def __ml4t_model_v1__(self, kind: int) -> None:
            return None

    with pytest.raises(ConfigError, match=r"strategy model Absent runs in Python \(it was not built\)"):
        result(Absent(), FLAT, "require")


# ----------------------------------------------------------------------------------------------- warm-up


@native_model(kind="strategy")
@attrs.frozen
class Patient:
    """Buys one at every instant, and says how long that is too early."""

    warmup: int = 3

    @staticmethod
    def kernel(
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
        orders[0].action = Action.NEW
        orders[0].order_type = OrderType.MARKET
        orders[0].quantity = 1.0
        return 1


def test_orders_are_refused_until_the_kernel_is_warm() -> None:
    found = both(Patient, FLAT)
    assert found.orders["reason_code"].to_list()[:4] == ["WARM_UP", "WARM_UP", "", ""]
    none = both(Patient(warmup=0), FLAT)
    assert "WARM_UP" not in none.orders["reason_code"].to_list()


def test_an_instrument_without_rows_yet_is_nan_and_changes_nothing(rng: np.random.Generator) -> None:
    late = pl.concat([FLAT, prices(*[20.0] * 8, symbol="XYZ")[4:]])
    found = both(Brackets(below=15.0), late)
    assert [ts.day for ts in found.orders["ts_submitted"]] == [4] * 3 + [8] * 3
