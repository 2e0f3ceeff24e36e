"""Random runs with positions that are not paid for: books that balance, and what settling does not change."""

from __future__ import annotations

import random
from typing import Any

import pytest

from .margins import margined
from .purses import FlatFee, Row, day, model, play
from .test_power_in_currencies import check_books, random_run

KINDS = ["upfront", "daily", "on_close"]


def settle_some(spec: Row) -> None:
    """Let some instruments of a random run settle, one of the daily ones at prices of its own."""
    chance = random.Random(str(spec["fx_rates"]))
    for each in spec["instruments"]:
        each["settlement"] = chance.choice(KINDS)
    daily = [at for at, each in enumerate(spec["instruments"]) if each["settlement"] == "daily"]
    spec["settlements"] = [
        {"ts": day(at), "instrument": which, "price": round(chance.uniform(20, 60), 2)}
        for at in (1, 2.5, 4, 5, 8, 9.5)
        for which in daily[:1]
    ]
    spec["account"]["lot_policy"] = chance.choice(["fifo", "lifo", "average", "highest_cost"])


@pytest.mark.parametrize("seed", range(60))
def test_books_balance_and_every_change_is_explained(seed: int) -> None:
    check_books(random_run(seed, settle_some))


def test_random_runs_reach_what_they_are_for() -> None:
    runs = [random_run(seed, settle_some) for seed in range(60)]
    margins = [row for run in runs for row in run["ledger"] if row["kind"] == "variation_margin"]
    assert {row["debit"] for row in margins} == {"cash", "realized_pnl"}
    kinds = [
        {row["kind"] for row in run["ledger"] if "inventory" not in (row["debit"], row["credit"])}
        for run in runs
    ]
    assert set().union(*kinds) >= {"realized", "cash_out", "cash_in_lieu", "dividend", "conversion"}
    reasons = {row["reason_code"] for run in runs for row in run["orders"]}
    assert {"INSUFFICIENT_CASH", "INSUFFICIENT_BUYING_POWER"} <= reasons


def random_orders(seed: int, settlement: str, prices: list[Row]) -> dict[str, list[Row]]:
    """Play one random script on an account without bounds, whatever settles how."""
    chance = random.Random(seed)
    path = [round(chance.uniform(20, 60), 2) for _ in range(12)]
    opens = [round(price + chance.uniform(-5, 5), 2) for price in path]
    account = {"buying_power": "unlimited", "allows_short": True, "posting_quantum": "0.000000001"}
    account |= {"lot_policy": chance.choice(["fifo", "lifo", "average", "highest_cost"])}
    spec = margined({"USD.F": path}, opens=opens, settlement=settlement, account=account)
    spec |= {"settlements": prices if settlement == "daily" else [], "fee_model": model(FlatFee(0.37))}
    split = {"ts": day(5), "instrument": 0, "kind": "split", "ratio_num": 2, "ratio_den": 3, "amount": ""}
    spec["actions"] = [split | {"pay_ts": 0}]
    if seed % 2:
        end = {"ts": day(9), "instrument": 0, "kind": "cash_out", "ratio_num": 1, "ratio_den": 1}
        spec["actions"].append(end | {"amount": "31.5", "pay_ts": 0})

    def step(broker: Any) -> None:  # noqa: ANN401
        if chance.random() < 0.5:
            broker.submit_order("USD.F", chance.choice([-8, -5, -2, 1, 3, 7]))
        else:
            broker.order_target_percent("USD.F", round(chance.uniform(-0.9, 0.9), 2))

    return play(spec, *[step] * 12)


@pytest.mark.parametrize("seed", range(30))
def test_when_gains_become_cash_changes_nothing_but_cash(seed: int) -> None:
    """Equity, exposure, fills, round trips and attribution are those of an instrument that is paid for."""
    chance = random.Random(-seed)
    own = [{"ts": day(at), "instrument": 0, "price": chance.uniform(20, 60)} for at in (2, 3.5, 5, 6, 9)]
    paid = random_orders(seed, "upfront", [])
    for settlement, prices in (("daily", []), ("daily", own), ("on_close", [])):
        found = random_orders(seed, settlement, prices)
        for name in ("fills", "orders", "round_trips", "attribution"):
            assert found[name] == paid[name]
        for name in ("equity", "fees", "gross_exposure", "net_exposure", "leverage"):
            assert [row[name] for row in found["portfolio_history"]] == [
                row[name] for row in paid["portfolio_history"]
            ]
        for name in ("quantity", "avg_price", "mark_price", "market_value"):
            assert [row[name] for row in found["positions"]] == [row[name] for row in paid["positions"]]
        for row in found["portfolio_history"]:
            assert row["long_value"] == row["short_value"] == 0
            assert row["equity"] == pytest.approx(row["cash"] + row["open_pnl"])
