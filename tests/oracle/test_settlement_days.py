"""Both engines give the same tables on random accounts that go by cash and whose trades settle later."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import event, given
from hypothesis import strategies as st

from ml4t.backtest import Broker, Context, PITData, Timestamp
from ml4t.core.plugins import PluginManager

from .agreement import agreed
from .counts import random_cases
from .flows import Flow
from .markets import Ask, Case, Script, cases

DAYS = st.sampled_from(
    [1, 2, 3, 5, 30, 1, 2, 3, 5, 0, {"2024-01-01": 3, "2024-01-05": 2}, {"2024-01-04": 2, "2024-03-04": 4}]
)
USES = st.sampled_from(["good_faith", "good_faith", "held", "usable"])


class Settled(Script):
    """Writes down what has settled, too."""

    def on_data(self, timestamp: Timestamp, data: PITData, context: Context, broker: Broker) -> None:
        super().on_data(timestamp, data, context, broker)
        self.record(settled=broker.get_cash(settled=True))
        for currency in self.currencies():
            self.record(**{f"settled_{currency}": broker.get_cash(currency, settled=True)})

    def currencies(self) -> list[str]:
        money = self.case.money
        return [] if money is None else sorted({money.currency(row[0]) for row in self.case.rows})


@st.composite
def payments(draw: st.DrawFn, currencies: list[str]) -> tuple[Flow, ...]:
    """Draw payments, of which few take out more than is there."""
    amounts = ["1000", "30", "-0.01", "-20", "-100", "0.0000000001", "250.55"]
    return tuple(
        (draw(st.integers(1, 1000)), draw(st.sampled_from(amounts)), draw(st.sampled_from(currencies)))
        for _ in range(draw(st.sampled_from([0, 0, 1, 2, 3])))
    )


@st.composite
def turnovers(draw: st.DrawFn, case: Case) -> tuple[tuple[int, Ask], ...]:
    """Draw what turns an account over: from one share to the next with nearly all of it, and parts back."""
    symbols = sorted({row[0] for row in case.rows})
    found = [(0, Ask("percent", symbols[0], 45))]
    for call in range(1, max(row[1] for row in case.rows)):
        # By turns, so that what is bought is sold soon.
        before, symbol = symbols[(call - 1) % len(symbols)], symbols[call % len(symbols)]
        bought = Ask("percent", symbol, draw(st.sampled_from([45, 45, 30, 15])))
        sold = Ask("market", before, -draw(st.sampled_from([1, 5, 10, 20])))
        swap = [Ask("weights", symbol, 54)] if len(symbols) > 1 else [Ask("close", symbol), bought]
        chosen = draw(st.sampled_from([swap, swap, [sold, bought], [Ask("close", before), bought], [bought]]))
        found += [(call, ask) for ask in chosen]
    return tuple(found)


@st.composite
def settling(draw: st.DrawFn) -> Case:
    """Draw a case with an account that goes by cash, in one currency or two."""
    case = draw(cases(draw(st.sampled_from(["day", "day", "day", "hour", "quote", "trade"]))))
    account: dict[str, Any] = {k: v for k, v in case.account.items() if k not in ("leverage", "buying_power")}
    for name in ("latency", "policies"):
        # Of all of them together little is sold before it has settled.
        if draw(st.booleans()):
            account.pop(name, None)
    if account.get("allows_short") or draw(st.booleans()):
        account["buying_power"] = "cash"
    account["initial_cash"] = draw(st.sampled_from([1_000, 300, 5_000]))
    money = case.money
    if money is not None:
        money = attrs.evolve(money, currencies=(*money.currencies[:2], money.currencies[0]))
    return attrs.evolve(
        case,
        account=account,
        money=money,
        script=(*draw(turnovers(case)), *case.script),
        holding=None,
        flows=draw(payments(["", *(money.currencies if money is not None else ())])),
        settlement={"days": draw(DAYS), "unsettled": draw(USES)},
    )


@random_cases(40)
@given(case=settling())
def test_the_engines_agree_on_what_has_settled(plugins: PluginManager, case: Case) -> None:
    tables = agreed(case, plugins, Settled)
    if tables is None:
        return
    codes = set(tables["order_events"]["reason_code"])
    event(f"good-faith violations: {'GOOD_FAITH_VIOLATION' in codes}")
