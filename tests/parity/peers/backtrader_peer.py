"""Run the cases of backtrader on backtrader itself and print what came of them as JSON.

Only the public interface of backtrader is used: its feed of CSV files, a strategy, and the broker's setters.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import backtrader as bt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cases

COSTS = {"commission", "commission_per_share", "slippage", "volume_limit"}
"""What backtrader has a setting for."""

KINDS = {
    "market": bt.Order.Market,
    "limit": bt.Order.Limit,
    "stop": bt.Order.Stop,
    "stop_limit": bt.Order.StopLimit,
    "trailing_stop": bt.Order.StopTrail,
}

DONE = (bt.Order.Partial, bt.Order.Completed)


class Script(bt.Strategy):
    """Sends the orders of a case, each after the bar of its session, and writes down every execution."""

    params = (("case", None),)

    def __init__(self) -> None:
        self.sent: dict[str, Any] = {}
        self.seen: dict[int, int] = {}
        self.trades: list[dict[str, object]] = []
        self.feeds = dict(zip(self.p.case.bars, self.datas, strict=True))

    def prenext(self) -> None:
        """Send before every symbol has had a bar, too: a case says when."""
        self._send()

    def next(self) -> None:
        """Send what is due."""
        self._send()

    def _send(self) -> None:
        today = max(feed.datetime.date(0) for feed in self.datas if len(feed))
        for order in self.p.case.orders:
            # With a late symbol one session can be seen twice; an order is sent once.
            if order.sent == today and order.name not in self.sent:
                self._send_one(order)
            elif order.sent == today and order.type == "cancel":
                self.cancel(self.sent[order.name])

    def _send_one(self, order: cases.Order) -> None:
        data = self.feeds[order.symbol]
        if order.type == "target_percent":
            self.sent[order.name] = self.order_target_percent(data=data, target=order.quantity)
            return
        terms = {"exectype": KINDS[order.type], **self._prices(order), **self._links(order)}
        if order.good_till is not None:
            # A plain date is its midnight for backtrader, and would end the order one session earlier.
            terms["valid"] = dt.datetime.combine(order.good_till, dt.time.max)
        send = self.buy if order.side == "buy" else self.sell
        self.sent[order.name] = send(data=data, size=order.quantity, **terms)

    def _prices(self, order: cases.Order) -> dict[str, float]:
        given = order.prices
        if order.type == "trailing_stop":
            names = {"trail_amount": "trailamount", "trail_fraction": "trailpercent"}
            return {names[key]: value for key, value in given.items()}
        if order.type == "stop_limit":
            return {"price": given["stop_price"], "plimit": given["limit_price"]}
        return dict(zip(("price",), given.values(), strict=False))

    def _links(self, order: cases.Order) -> dict[str, object]:
        """Return the terms of a bracket or a group.

        Backtrader hands a parent and its children to the broker together, with the last of them; the children
        of one parent cancel each other without being asked to.
        """
        head = order.parent or order.name
        family = [each for each in self.p.case.orders if (each.parent or each.name) == head]
        links: dict[str, object] = {}
        if len(family) > 1:
            links["transmit"] = order is family[-1]
        if order.parent is not None:
            links["parent"] = self.sent[order.parent]
        elif order.oco is not None:
            links["oco"] = self.sent[order.oco]
        return links

    def notify_order(self, order: bt.Order) -> None:
        """Write down the executions that are new since the last notice of this order."""
        if order.status not in DONE:
            return
        bits = list(order.executed.exbits)
        for bit in bits[self.seen.get(order.ref, 0) :]:
            self.trades.append(
                {
                    "session": bt.num2date(bit.dt).date().isoformat(),
                    "symbol": order.data._name,
                    "side": "buy" if bit.size > 0 else "sell",
                    "quantity": float(abs(bit.size)),
                    "price": bit.price,
                    "commission": bit.closedcomm + bit.openedcomm,
                }
            )
        self.seen[order.ref] = len(bits)


def feed(bars: list[cases.Bar], path: Path) -> bt.feeds.GenericCSVData:
    """Return daily bars, by way of a file: so backtrader stamps them itself, with the end of the session."""
    rows = [f"{bar.session},{bar.open},{bar.high},{bar.low},{bar.close},{bar.volume}" for bar in bars]
    path.write_text("\n".join(["date,open,high,low,close,volume", *rows, ""]), encoding="utf-8")
    return bt.feeds.GenericCSVData(
        dataname=str(path), dtformat="%Y-%m-%d", timeframe=bt.TimeFrame.Days, openinterest=-1
    )


def set_costs(broker: bt.brokers.BackBroker, case: cases.Case) -> None:
    """Set commission, slippage and volume; of slippage with the defaults of its setter.

    These are slip_open on, slip_limit on, slip_match on, slip_out off.
    """
    if unknown := sorted(set(case.costs) - COSTS):
        message = f"{case.name}: backtrader has no {', '.join(unknown)}"
        raise ValueError(message)
    if "commission" in case.costs:
        broker.setcommission(commission=case.costs["commission"])
    if "commission_per_share" in case.costs:
        fixed = bt.CommInfoBase.COMM_FIXED
        broker.setcommission(commission=case.costs["commission_per_share"], commtype=fixed, stocklike=True)
    if "slippage" in case.costs:
        broker.set_slippage_perc(case.costs["slippage"])
    if "volume_limit" in case.costs:
        broker.set_filler(bt.fillers.FixedBarPerc(perc=100 * case.costs["volume_limit"]))


def run(case: cases.Case, folder: Path) -> dict[str, object]:
    """Run one case; its data are written into `folder`."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker.setcash(case.cash)
    set_costs(cerebro.broker, case)
    for symbol, bars in case.bars.items():
        cerebro.adddata(feed(bars, folder / f"{symbol}.csv"), name=symbol)
    cerebro.addstrategy(Script, case=case)
    script = cerebro.run()[0]
    broker = cerebro.broker
    held = {symbol: broker.getposition(data).size for symbol, data in script.feeds.items()}
    return {
        "trades": script.trades,
        "final_value": broker.getvalue(),
        "final_cash": broker.getcash(),
        "positions": {symbol: float(size) for symbol, size in held.items() if size},
    }


def main() -> None:
    """Print the outcome of every case."""
    with tempfile.TemporaryDirectory() as folder:
        found = {case.name: run(case, Path(folder)) for case in cases.read("backtrader")}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
