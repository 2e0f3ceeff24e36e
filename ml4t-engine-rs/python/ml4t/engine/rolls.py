"""Rolls of a run, put together of the two orders of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

from ml4t.core.values import format_ns

__all__ = ["roll_table", "undone_rolls"]


def undone_rolls(orders: pl.DataFrame, waiting: Iterable[tuple[str, str, int]]) -> list[str]:
    """Say of each roll that was not done, or not all of it, why, where the strategy traded its contract.

    `waiting` are those that waited for settlement prices when the run ended: the symbols of both contracts,
    and the instant since when.
    """
    import polars as pl

    traded = set(orders.filter(pl.col("filled_quantity") > 0)["symbol"])
    notes = [
        f"The roll of {old} into {new}, due {format_ns(since)}, was never done: from then on no instant "
        "settled both contracts. Give settlement prices of both for one instant, or roll at next_open."
        for old, new, since in waiting
        if old in traded
    ]
    legs = orders.filter(
        pl.col("tag") == "roll",
        pl.col("order_type") == "market",
        pl.col("filled_quantity") < pl.col("quantity"),
        # The next roll of the position has taken its place.
        pl.col("reason_code") != "ROLLED",
    )
    notes += [
        f"Order {leg['order_id']} of a roll, {leg['side']} {leg['quantity']:g} {leg['symbol']} sent "
        f"{leg['ts_submitted']}, ended {leg['status']} with {leg['filled_quantity']:g} filled: the position "
        "was not rolled as planned. Its contract may have no bars after that, or a cap on volume."
        for leg in legs.iter_rows(named=True)
    ]
    return notes


def roll_table(orders: pl.DataFrame, fills: pl.DataFrame) -> pl.DataFrame:
    """Return a row per roll, by time.

    The broker sends the two orders of a roll one after the other, with the tag `roll`: one that closes, and
    one that opens. Columns: ``ts_event`` (when they were sent), ``book``, ``from``, ``to``, ``quantity`` (of
    the position, below zero for a short one), ``from_price`` and ``to_price`` (averages; null before a fill),
    ``spread`` (to - from: nobody's gain or loss), ``slippage`` (what both fills were worse than their
    references by, per unit and in price: spread, slippage and impact), ``fees`` (of both, in the currency of
    the contracts), and the numbers of the orders, ``from_order_id`` and ``to_order_id``.
    """
    import polars as pl

    worse = (pl.col("spread") + pl.col("slippage") + pl.col("impact")) * pl.col("quantity")
    costs = fills.group_by("order_id").agg(
        fees=pl.col("fee").sum(), slippage=worse.sum() / pl.col("quantity").sum()
    )
    legs = (
        orders.filter(pl.col("tag") == "roll", pl.col("order_type") == "market")
        .join(costs, on="order_id", how="left", maintain_order="left")
        .with_columns(pl.col("fees", "slippage").fill_null(0.0))
    )
    names = {"symbol": "{}", "avg_fill_price": "{}_price", "order_id": "{}_order_id"}
    opened = legs.select(
        "book",
        *(pl.col(name).alias(form.format("to")) for name, form in names.items()),
        next_id=pl.col("order_id"),
        to_side="side",
        to_sent="ts_submitted",
        to_fees="fees",
        to_slippage="slippage",
    )
    closed = legs.filter(pl.col("instructions") == "reduce_only").select(
        "book",
        *(pl.col(name).alias(form.format("from")) for name, form in names.items()),
        "quantity",
        "side",
        "ts_submitted",
        "fees",
        "slippage",
        next_id=pl.col("order_id") + 1,
    )
    pairs = closed.join(opened, on=["book", "next_id"], how="inner", maintain_order="left").filter(
        pl.col("side") != pl.col("to_side"),
        pl.col("ts_submitted") == pl.col("to_sent"),
        pl.col("from") != pl.col("to"),
    )
    return pairs.select(
        pl.col("ts_submitted").alias("ts_event"),
        "book",
        "from",
        "to",
        pl.when(pl.col("side") == "sell").then(pl.col("quantity")).otherwise(-pl.col("quantity")),
        "from_price",
        "to_price",
        (pl.col("to_price") - pl.col("from_price")).alias("spread"),
        pl.col("slippage") + pl.col("to_slippage"),
        pl.col("fees") + pl.col("to_fees"),
        "from_order_id",
        "to_order_id",
    )
