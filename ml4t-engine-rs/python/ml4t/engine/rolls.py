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
    ``spread`` (to - from: nobody's gain or loss), ``slippage`` (what the fills of both were worse than their
    references by, spread, slippage and impact, in price and spread over ``quantity``: times that and the
    multiplier it is money), ``fees`` (of both, in the currency of the contracts), and the numbers of the
    orders, ``from_order_id`` and ``to_order_id``.

    Where a contract is left before anything of it was opened, only the next one is: what closes is null.
    """
    import polars as pl

    worse = (pl.col("spread") + pl.col("slippage") + pl.col("impact")) * pl.col("quantity")
    costs = fills.group_by("order_id").agg(fees=pl.col("fee").sum(), lost=worse.sum())
    is_closing = pl.col("instructions") == "reduce_only"
    legs = (
        orders.filter(pl.col("tag") == "roll", pl.col("order_type") == "market")
        .join(costs, on="order_id", how="left", maintain_order="left")
        .select(
            "book",
            "symbol",
            "order_id",
            "quantity",
            pl.col("fees", "lost").fill_null(0.0),
            ts_event="ts_submitted",
            price="avg_fill_price",
            is_closing=is_closing,
            is_long=(pl.col("side") == "sell") == is_closing,
            # The number of the order that opens, of both.
            opening=pl.col("order_id") + is_closing,
        )
    )
    # Two orders with numbers in a row, of one position at one instant, are one roll.
    roll = ["ts_event", "book", "opening", "is_long"]
    closed, opened = (
        legs.filter(each).drop("is_closing") for each in (pl.col("is_closing"), ~pl.col("is_closing"))
    )
    names = ["symbol", "order_id", "quantity", "fees", "lost", "price"]
    pairs = (
        closed.rename({name: f"from_{name}" for name in names})
        .join(opened.rename({name: f"to_{name}" for name in names}), on=roll, how="full", coalesce=True)
        .sort("ts_event", "opening")
    )
    units = pl.coalesce("from_quantity", "to_quantity")
    of_both = {name: pl.sum_horizontal(f"from_{name}", f"to_{name}") for name in ("fees", "lost")}
    return pairs.select(
        "ts_event",
        "book",
        pl.col("from_symbol").alias("from"),
        pl.col("to_symbol").alias("to"),
        pl.when("is_long").then(units).otherwise(-units).alias("quantity"),
        "from_price",
        "to_price",
        (pl.col("to_price") - pl.col("from_price")).alias("spread"),
        (of_both["lost"] / units).alias("slippage"),
        of_both["fees"].alias("fees"),
        "from_order_id",
        "to_order_id",
    )
