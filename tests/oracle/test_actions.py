"""Both engines give the same tables where shares become shares of another instrument."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ml4t.core.errors import DataError
from ml4t.core.plugins import PluginManager

from .agreement import Outcome, agreed
from .counts import random_cases
from .markets import Ask, Case, Script, cases, outcome_of

PRICED = ("limit", "stop", "stop_limit", "market_if_touched", "limit_if_touched")
SEEN: Counter[str] = Counter()


@st.composite
def following(draw: st.DrawFn, script: tuple[tuple[int, Ask], ...]) -> tuple[tuple[int, Ask], ...]:
    """Let half of the orders with a price follow dividends."""
    found = []
    for call, ask in script:
        if ask.what in PRICED and draw(st.booleans()):
            found.append((call, attrs.evolve(ask, terms=(*ask.terms, ("adjust_for_dividend", True)))))
        else:
            found.append((call, ask))
    return tuple(found)


@st.composite
def given_away(draw: st.DrawFn) -> Case:
    """Draw a case in one currency in which an instrument gives shares of another, or becomes them."""
    case = draw(cases("day"))
    symbols = sorted({row[0] for row in case.rows})
    assume(len(symbols) > 1 and not any(act[2] == "delisting" for act in case.actions))
    giver, into = draw(st.permutations(symbols))[:2]
    day = draw(st.integers(2, 8))
    kind = draw(st.sampled_from(["spin_off", "spin_off", "stock_merger", "symbol_change"]))
    row: dict[str, Any] = {"symbol": giver, "day": day, "kind": kind, "into": into}
    if kind != "symbol_change":
        row["ratio"] = draw(st.sampled_from(["1/4", "3/5", "1", "2", "7/3", "1/100"]))
    if kind == "spin_off" or (kind == "stock_merger" and draw(st.booleans())):
        row["amount"] = draw(st.sampled_from(["0.25", "1.5", "0.1234567891", "4"]))
    taxed = {
        "symbol": giver if kind == "spin_off" and draw(st.booleans()) else into,
        "day": day + draw(st.integers(0, 1)),
        "kind": "cash_dividend",
        "amount": "0.37",
        "withholding": draw(st.sampled_from(["0.15", "0.333", "1"])),
    }
    rows, acts = case.rows, case.actions
    # In which shares a ratio counts has to be clear; dividends leave them alone.
    acts = tuple(act for act in acts if act[1] != day or act[2] == "cash_dividend")
    if kind != "spin_off":
        rows = tuple(each for each in rows if each[0] != giver or each[1] < day)
        acts = tuple(act for act in acts if act[0] != giver or act[1] <= day)
    if draw(st.booleans()):
        # Nothing is known of its price before.
        rows = tuple(each for each in rows if each[0] != into or each[1] >= day)
    assume({giver, into} <= {each[0] for each in rows})
    # Mostly something is held by then, of the other instrument sometimes, too.
    held = [Ask("market", giver, draw(st.sampled_from([0, 5, 10, 35, -10, -35, 101])))]
    held += [Ask("market", into, draw(st.sampled_from([0, 0, 10, -5, -20])))]
    script = (*((0, ask) for ask in held if ask.quantity), *case.script)
    money = case.money and attrs.evolve(case.money, currencies=case.money.currencies[:1] * 3)
    return attrs.evolve(
        case,
        rows=rows,
        actions=acts,
        given=(row, *((taxed,) if draw(st.booleans()) else ())),
        script=draw(following(script)),
        overnight=False,
        settlements=(None, None, None),
        settled=(),
        money=money,
        holding=None,
    )


def tables_or_error(case: Case, engine: str, plugins: PluginManager, script: type[Script]) -> Outcome:
    """Return the tables of a run, or what was wrong with it: a spin-off may be worth more than its giver."""
    try:
        return outcome_of(case, engine, plugins, script)
    except DataError as error:
        return str(error)


@random_cases(40)
@given(case=given_away())
def test_the_engines_agree_on_shares_that_are_given_away(plugins: PluginManager, case: Case) -> None:
    tables = agreed(case, plugins, outcome=tables_or_error)
    if tables is None:
        SEEN["errors"] += 1
        return
    kinds = tables["ledger"]["kind"].to_list()
    SEEN.update({"runs": 1, "transfers": "transfer" in kinds, "taxes": "withholding" in kinds})


def test_enough_of_many_cases_did_what_they_are_about() -> None:
    if SEEN["runs"] < 200:
        pytest.skip("fewer than 200 random cases: ML4T_ORACLE_CASES asks for more")
    assert SEEN["transfers"] * 5 > SEEN["runs"], SEEN
    assert SEEN["taxes"] * 50 > SEEN["runs"], SEEN
