"""What an account may carry of positions that are not paid for: by its equity, and by its cash."""

from __future__ import annotations

from typing import Any

import pytest

from .margins import gains, margined
from .purses import FlatFee, Row, Step, both, buy, cash, codes, column, convert, model, nothing, play, sell
from .test_power_in_currencies import powers

REFUSED = "INSUFFICIENT_BUYING_POWER"
UNPAID = "INSUFFICIENT_CASH"

#: One contract is 5,000 dollars, one share is 10.
FLAT = {"USD.A": [10.0] * 5, "USD.F": [100.0] * 5}

Account = dict[str, Any]
CASH: Account = {}  #: 10,000 dollars, leverage 1, nothing sold short
LOOSE: Account = {"buying_power": "cash", "allows_short": True}
EQUITY: Account = {"leverage": "2", "allows_short": True}


def spec_of(account: Account, paths: dict[str, list[float]] = FLAT, **others: Any) -> Row:  # noqa: ANN401
    """Return a future beside a share."""
    return margined(paths, account=account, only=["USD.F"], **others)


# -- by equity -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [buy, sell])
@pytest.mark.parametrize(("quantity", "code"), [(4, ""), (5, REFUSED)])
def test_leverage_bounds_the_notional(order: Any, quantity: int, code: str) -> None:  # noqa: ANN401
    assert codes(play(spec_of(EQUITY), order("USD.F", quantity))) == [code]


def test_what_is_carried_counts_with_its_notional_and_what_it_has_gained() -> None:
    """2 at 100; at 120 they have gained 2,000 and are 12,000 of 2 x 12,000; then 1,200 shares fit."""
    spec = spec_of(EQUITY, {"USD.A": [10.0] * 5, "USD.F": [100.0, 100.0, 120.0, 120.0, 120.0]})
    assert powers(spec, buy("USD.F", 2), nothing, nothing) == [20_000, 10_000, 12_000, 12_000]
    steps = [buy("USD.F", 2), nothing, both(buy("USD.A", 1201), buy("USD.A", 1200))]
    assert codes(play(spec, *steps)) == ["", REFUSED, ""]
    # The same where gains are not settled yet.
    spec["instruments"][1]["settlement"] = "on_close"
    assert powers(spec, buy("USD.F", 2), nothing, nothing) == [20_000, 10_000, 12_000, 12_000]


@pytest.mark.parametrize(("sold", "code"), [(8, ""), (9, REFUSED)])
def test_a_market_order_that_flips_needs_what_it_opens_less_what_it_closes(sold: int, code: str) -> None:
    """4 held are all of the power: 8 sold close 4 and open 4, 9 open one too many."""
    assert codes(play(spec_of(EQUITY), buy("USD.F", 4), sell("USD.F", sold))) == ["", code]


@pytest.mark.parametrize(("opened", "code"), [(100, ""), (101, UNPAID)])
def test_a_fill_has_to_be_carried_at_its_price(opened: float, code: str) -> None:
    """4 at 100 are 20,000; at 101 they are 20,200, at the price of the fill and not at the mark."""
    paths = {"USD.F": [100.0, opened, opened]}
    assert codes(play(margined(paths, account=EQUITY), buy("USD.F", 4))) == [code]
    # A fee takes what is left.
    charged = margined(paths, account=EQUITY, fee_model=model(FlatFee(1.0)))
    assert codes(play(charged, buy("USD.F", 4))) == [UNPAID]


def test_what_only_closes_is_always_carried() -> None:
    """2 short at 100 and 2 x 50 x 100 lost: nothing is left, and both are bought back."""
    spec = margined({"USD.F": [100.0, 100.0, 200.0, 200.0]}, account=EQUITY)
    tables = play(spec, sell("USD.F", 2), nothing, buy("USD.F", 2))
    assert codes(tables) == ["", ""]
    assert gains(tables) == [("variation_margin", 3, -10_000)]


def test_without_bounds_nothing_is_refused() -> None:
    spec = spec_of({"buying_power": "unlimited", "allows_short": True})
    assert codes(play(spec, buy("USD.F", 1000), sell("USD.F", 5000))) == ["", ""]


# -- by cash -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("account", [CASH, LOOSE])
@pytest.mark.parametrize(("quantity", "code"), [(2, ""), (3, REFUSED)])
def test_a_notional_may_be_as_large_as_the_cash(account: Account, quantity: int, code: str) -> None:
    assert codes(play(spec_of(account), buy("USD.F", quantity))) == [code]


@pytest.mark.parametrize(("quantity", "code"), [(2, ""), (3, REFUSED)])
def test_a_sale_that_opens_needs_as_much_as_a_purchase(quantity: int, code: str) -> None:
    assert codes(play(spec_of(LOOSE), sell("USD.F", quantity))) == [code]


@pytest.mark.parametrize("account", [CASH, LOOSE])
@pytest.mark.parametrize(("shares", "code"), [(500, ""), (501, REFUSED)])
def test_what_carries_a_future_buys_no_shares(account: Account, shares: int, code: str) -> None:
    """One future at 5,000 of 10,000 leaves 5,000, working or filled."""
    spec = spec_of(account)
    assert codes(play(spec, buy("USD.F", 1), buy("USD.A", shares))) == ["", code]
    assert codes(play(spec, both(buy("USD.F", 1), buy("USD.A", shares)))) == ["", code]
    assert powers(spec, buy("USD.F", 1)) == [10_000, 5000]
    assert powers(spec, buy("USD.F", 1, limit_price=80)) == [10_000, 6000]


@pytest.mark.parametrize(("shares", "code"), [(500, ""), (501, REFUSED)])
def test_cash_that_bought_shares_carries_no_future(shares: int, code: str) -> None:
    assert codes(play(spec_of(CASH), buy("USD.A", shares), buy("USD.F", 1))) == ["", code]


def test_a_future_that_is_sold_frees_what_carried_it() -> None:
    """At market at once, also for what is sent beside it; a limit frees nothing before it fills."""
    both_ways = [(sell("USD.F", 2), ""), (sell("USD.F", 2, limit_price=100), REFUSED)]
    for order, code in both_ways:
        tables = play(spec_of(CASH), buy("USD.F", 2), both(order, buy("USD.A", 1000)))
        assert codes(tables) == ["", "", code]


def test_an_account_without_short_positions_sells_what_it_has_for_nothing() -> None:
    """Shares took all cash that the future has left: its sale by a limit sets nothing aside."""
    steps = [buy("USD.F", 1), buy("USD.A", 500), sell("USD.F", 1, limit_price=120)]
    assert powers(spec_of(CASH), *steps) == [10_000, 5000, 0, 0]
    assert codes(play(spec_of(CASH), *steps, nothing)) == ["", "", "END_OF_DATA"]


@pytest.mark.parametrize(("opened", "fee", "code"), [(100, 0.0, ""), (101, 0.0, UNPAID), (100, 1.0, UNPAID)])
def test_a_future_fills_as_far_as_cash_carries_it(opened: float, fee: float, code: str) -> None:
    spec = margined({"USD.F": [100.0, opened, opened]}, account=CASH, fee_model=model(FlatFee(fee)))
    assert codes(play(spec, buy("USD.F", 2))) == [code]


def test_a_part_of_a_future_is_what_cash_carries() -> None:
    spec = margined({"USD.F": [100.0, 101.0, 101.0]}, account=CASH, policies={"insufficient_cash": "partial"})
    assert column(play(spec, buy("USD.F", 5)), "fills", "quantity") == [1]


def test_a_rise_of_the_notional_is_paid_before_shares_are() -> None:
    """A perpetual of 5,000 that rises to 6,000 holds 6,000 of the cash, and has brought nothing of it yet.

    At intake 400 shares at 10 fit; they open at 10.01 and do not. A sale of shares is paid in any case.
    """
    paths = {"USD.A": [10.0, 10.0, 10.0, 10.01, 10.0], "USD.F": [100.0, 100.0, 120.0, 120.0, 140.0]}
    spec = spec_of(CASH, paths, settlement="on_close")
    steps = [both(buy("USD.F", 1), buy("USD.A", 100)), nothing, both(buy("USD.A", 301), buy("USD.A", 300))]
    tables = play(spec, *steps, sell("USD.A", 100))
    assert codes(tables) == ["", "", REFUSED, UNPAID, ""]
    assert powers(spec, *steps[:1], nothing, nothing, nothing)[1:] == [4000, 3000, 3000, 2000]


def test_a_daily_gain_is_cash_that_carries_more() -> None:
    """5,000 become 6,000 and 1,000 of them are paid: what is free stays 5,000."""
    spec = spec_of(CASH, {"USD.A": [10.0] * 4, "USD.F": [100.0, 100.0, 120.0, 120.0]})
    assert powers(spec, buy("USD.F", 1), nothing)[1:] == [5000, 5000]


# -- by cash, in several currencies --------------------------------------------------------------------------


EURO = {"EUR.F": [100.0] * 4, "EUR.A": [10.0] * 4}
RATES = [(0, "EUR/USD", 1.1)]


def euro(*, conversion: str = "when_short", euros: str = "10000", dollars: str = "10000") -> Row:
    """Return a future of 5,000 EUR and a share of 10 EUR, for an account in dollars."""
    account = {"conversion": conversion, "initial_balances": {"EUR": euros}, "initial_cash": dollars}
    return margined(EURO, RATES, account=account, only=["EUR.F"])


@pytest.mark.parametrize("conversion", ["when_short", "always", "never"])
def test_a_foreign_future_is_carried_by_cash_of_the_base_currency(conversion: str) -> None:
    """5,000 EUR are 5,500 USD of 10,000; the 10,000 EUR, worth 11,000, stay free."""
    spec = euro(conversion=conversion)
    assert powers(spec, buy("EUR.F", 1, limit_price=100)) == [21_000, 15_500]
    assert powers(spec, buy("EUR.F", 1, limit_price=80)) == [21_000, 16_600]
    assert codes(play(spec, buy("EUR.F", 2), buy("EUR.F", 1), buy("EUR.A", 1000))) == [REFUSED, "", ""]


def test_working_orders_of_a_foreign_future_take_no_cash_of_their_currency() -> None:
    spec = euro()
    future, shares = buy("EUR.F", 1, limit_price=80), buy("EUR.A", 1000, limit_price=9.9)
    # 4,400 USD for the one; 9,900 of 10,000 EUR for the other.
    assert powers(spec, both(future, shares))[1] == pytest.approx(5600 + 110)
    # Another one needs 5,500 of 5,600, and then there is no other.
    assert codes(play(spec, both(future, shares), buy("EUR.F", 1), buy("EUR.F", 1)))[2:] == ["", REFUSED]


@pytest.mark.parametrize(("shares", "code"), [(1409, ""), (1410, REFUSED)])
def test_euros_are_not_bought_with_what_carries_a_future(shares: int, code: str) -> None:
    """4,500 USD are free beside a future, which buys 4,090.90 EUR beside 10,000 of cash: 1,409 shares."""
    assert codes(play(euro(), buy("EUR.F", 1), buy("EUR.A", shares))) == ["", code]


def test_nor_at_the_fill() -> None:
    """At 10.01 1,409 shares need 4,104.09 EUR more: 4,514.50 USD, and 4,500 are free."""
    spec = margined(
        EURO | {"EUR.A": [10.0, 10.0, 10.01, 10.01]},
        RATES,
        account={"initial_balances": {"EUR": "10000"}},
        only=["EUR.F"],
    )
    assert codes(play(spec, buy("EUR.F", 1), buy("EUR.A", 1409), buy("EUR.A", 1))) == ["", UNPAID, ""]


def test_a_conversion_asked_for_may_take_the_cash_that_carries_a_future() -> None:
    """It is no order; what it leaves carries no other one, and what only closes is carried."""
    spec = margined(EURO, [*RATES, (2.5, "EUR/USD", 1.1)], account=CASH, only=["EUR.F"])
    ask: Step = both(convert("EUR", 9000), buy("EUR.F", 1))
    tables = play(spec, buy("EUR.F", 1), ask, both(buy("EUR.F", 1), sell("EUR.F", 1)))
    assert column(tables, "conversions", "status") == ["executed"]
    assert cash(tables, "USD") == 100
    assert codes(tables) == ["", REFUSED, REFUSED, ""]
