"""Both engines give the same tables where positions are rolled and contracts expire."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ml4t.core.plugins import PluginManager

from .agreement import agreed
from .counts import random_cases
from .margins import MARGINS
from .markets import BEFORE_MIDNIGHT, FIRST_DAY, Ask, Case, cases
from .test_margin import KINDS, Called, accounts, by_calls

AT = st.sampled_from(["next_open", "settlement"])
SEEN: Counter[str] = Counter()


@st.composite
def rolled(draw: st.DrawFn) -> Case:
    """Draw a case whose instruments are contracts: two or three rolls, and mostly their expiries."""
    case = (
        draw(accounts(draw(KINDS), draw(by_calls(MARGINS))))
        if draw(st.booleans())
        else draw(cases(draw(KINDS)))
    )
    symbols = sorted({row[0] for row in case.rows})
    assume(len(symbols) > 1)
    is_daily = draw(st.integers(0, 3)) > 0
    days = sorted(draw(st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True)))
    if case.kind != "day":
        # Their rows begin half an hour before the session of this day opens.
        first = (BEFORE_MIDNIGHT.date() - FIRST_DAY).days + 1
        days = draw(st.sampled_from([[first], [first], [first, first + 1]]))
    rolls, last_trades, rows = [], [], case.rows
    for day in days:
        one, two = draw(st.permutations(symbols))[:2]
        rolls.append((day, one, two, draw(AT) if is_daily else "next_open"))
    if case.kind == "day":
        for symbol in draw(st.lists(st.sampled_from(symbols), max_size=2, unique=True)):
            # It may be rolled in its last session, not into it or out of it later.
            last = draw(
                st.integers(max([day for day, one, two, _ in rolls if symbol in (one, two)] + [1]), 11)
            )
            last_trades.append((symbol, last))
            rows = tuple(row for row in rows if row[0] != symbol or row[1] <= last)
    money = case.money and attrs.evolve(case.money, currencies=case.money.currencies[:1] * 3)
    # Something is held by then.
    held = [Ask("market", symbol, draw(st.sampled_from([0, 5, 10, 35, -10, -35]))) for symbol in symbols]
    script = (*((0, ask) for ask in held if ask.quantity), *case.script)
    # Mostly the account can carry it.
    account = case.account | ({"initial_cash": 1_000_000} if draw(st.integers(0, 3)) else {})
    settled = case.settled if is_daily else ()
    if is_daily and draw(st.booleans()):
        places = st.tuples(st.sampled_from(symbols), st.sampled_from([0, 333, 450, 600, 999]))
        prices = {
            place: draw(st.sampled_from([300, 987, 1013])) for place in draw(st.lists(places, max_size=6))
        }
        settled = tuple((*place, cents) for place, cents in prices.items())
    return attrs.evolve(
        case,
        account=account,
        rows=rows,
        rolls=tuple(rolls),
        last_trades=tuple(last_trades),
        actions=(),
        script=script,
        settlements=("daily" if is_daily else "on_close",) * 3,
        settled=settled,
        money=money,
    )


@random_cases(60)
@given(case=rolled())
def test_the_engines_agree_on_rolls_and_expiries(plugins: PluginManager, case: Case) -> None:
    tables = agreed(case, plugins, Called)
    if tables is None:
        return
    orders, trips = tables["orders"].filter(tag="roll"), tables["round_trips"]
    SEEN.update({"runs": 1, "rolled": orders.height > 0, "expired": "expiry" in trips["exit_reason"]})
    codes = {code for code in tables["order_events"]["reason_code"] if code in ("ROLLED", "CONTRACT_EXPIRED")}
    SEEN.update(codes)
    phases: Any = tables["fills"].join(orders.select("order_id"), on="order_id", how="semi")["phase"]
    SEEN.update(f"at {phase}" for phase in set(phases))


def test_enough_of_many_cases_rolled_and_expired() -> None:
    if SEEN["runs"] < 200:
        pytest.skip("fewer than 200 random cases: ML4T_ORACLE_CASES asks for more")
    assert SEEN["rolled"] * 8 > SEEN["runs"], SEEN
    assert SEEN["expired"] * 40 > SEEN["runs"], SEEN
    assert min(SEEN[name] for name in ("ROLLED", "CONTRACT_EXPIRED", "at open", "at close")) > 3, SEEN
