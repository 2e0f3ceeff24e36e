"""Results in the shapes that pyfolio and quantstats document."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = ["PyfolioInputs", "pyfolio_inputs", "quantstats_returns"]


class PyfolioInputs(NamedTuple):
    """The three first arguments of `pyfolio.create_full_tear_sheet`.

    Attributes
    ----------
    returns : pandas.Series
        Simple returns per session; index: midnight UTC of the session.
    positions : pandas.DataFrame
        Market value held at each session's close: a column per symbol, and `cash`, which holds everything
        else, so that a row adds up to NAV. Same index as `returns`.
    transactions : pandas.DataFrame
        A row per fill: `amount` (signed quantity), `price`, `symbol`; index: time of the fill, UTC. pyfolio
        values a transaction as amount x price, which for futures leaves out the multiplier.
    """

    returns: pd.Series
    positions: pd.DataFrame
    transactions: pd.DataFrame


def pyfolio_inputs(
    *,
    returns: pl.DataFrame,
    nav: pl.DataFrame,
    positions: pl.DataFrame,
    fills: pl.DataFrame,
    balances: pl.DataFrame,
) -> PyfolioInputs:
    """Build pyfolio's inputs from the tables of a run, in its base currency."""
    import pandas as pd
    import polars as pl

    index = pd.DatetimeIndex(returns["session"].to_list(), tz="UTC", name="date").as_unit("ns")
    symbols = sorted(positions["symbol"].unique().to_list())
    if balances.height:
        # Whoever is held has been traded, and a fill says in which currency.
        currencies = fills.select("symbol", "currency").unique()
        rates = balances.select("session", "currency", "fx_rate").unique()
        rated = positions.join(currencies, on="symbol", maintain_order="left")
        positions = rated.join(rates, on=["session", "currency"], maintain_order="left")
        positions = positions.with_columns(pl.col("market_value") * pl.col("fx_rate"))
    # Books are added up: pyfolio knows one account.
    held = positions.group_by("session", "symbol").agg(pl.col("market_value").sum())
    wide = nav.select("session", "nav").join(
        held.pivot(on="symbol", on_columns=symbols, index="session", values="market_value")
        if symbols
        else held.select("session").unique(),
        on="session",
        how="left",
        maintain_order="left",
    )
    wide = wide.with_columns(pl.col(symbol).fill_null(0.0) for symbol in symbols)
    cash = pl.col("nav") - pl.sum_horizontal(pl.col(symbols)) if symbols else pl.col("nav")
    table = wide.with_columns(cash=cash).select(*symbols, "cash")
    signed = pl.when(pl.col("side") == "buy").then(pl.col("quantity")).otherwise(-pl.col("quantity"))
    price = pl.col("price") * pl.col("fx_rate")
    traded = fills.select("ts_event", "symbol", price=price, amount=signed)
    times = pd.DatetimeIndex(traded["ts_event"].to_numpy(), name="date").tz_localize("UTC")
    return PyfolioInputs(
        pd.Series(returns["return"].to_numpy(), index=index, name="returns"),
        pd.DataFrame({name: table[name].to_numpy() for name in table.columns}, index=index),
        pd.DataFrame(
            {
                "amount": traded["amount"].to_numpy(),
                "price": traded["price"].to_numpy(),
                "symbol": traded["symbol"].to_list(),
            },
            index=times,
        ),
    )


def quantstats_returns(returns: pl.DataFrame, *, name: str) -> pd.Series:
    """Return session returns as quantstats takes them: index without time zone, one row per session."""
    import pandas as pd

    index = pd.DatetimeIndex(returns["session"].to_list(), name="Date").as_unit("ns")
    return pd.Series(returns["return"].to_numpy(), index=index, name=name)
