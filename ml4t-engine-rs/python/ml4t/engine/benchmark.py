"""A symbol of the run as its benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml4t.core.errors import ConfigError, Finding, unknown_name
from ml4t.core.types import DataKind
from ml4t.engine.performance import rates_at_closes

if TYPE_CHECKING:
    import polars as pl

    from ml4t.backtest.data import MarketData

__all__ = ["converted_returns", "symbol_returns"]


def symbol_returns(data: MarketData, symbol: str) -> pl.DataFrame:
    """Return what holding one symbol returned in each session of the NAV calendar: `session`, `return`.

    Prices are those of the symbol's matching source: closes of bars, middles of quotes, trades. A dividend is
    reinvested at the close of its ex-date, a split multiplies the shares, so that raw prices give the total
    return. Holding begins at the close of the first session, whose return is therefore 0. Costs are not
    deducted.

    Raises
    ------
    UnknownNameError
        If the run has no such symbol.
    ConfigError
        If the symbol has no price by the close of the first session.
    """
    import polars as pl

    if symbol not in data.symbols:
        raise unknown_name("symbol", symbol, data.symbols)  # noqa: EM101
    calendar = next(table.frame for table in data.calendars if table.name == data.nav_calendar)
    first, last = data.span_ns
    closes = (
        # A session that closes as the run begins is no part of it.
        calendar.filter((pl.col("close_ns") > first) & (pl.col("open_ns") <= last))
        .select(session="label", ts=pl.col("close_ns"))
        .join_asof(_prices(data, symbol), on="ts")
    )
    if closes["price"].has_nulls():
        dated = closes.drop_nulls("price")["session"]
        since = f"before {dated[0]}" if len(dated) else "at all"
        message = (
            f"{symbol} has no price {since}, and the run begins with {closes['session'][0]}; choose a symbol "
            "that covers the run, or begin later"
        )
        raise ConfigError(Finding(path="report.benchmark", message=message, found=symbol))
    shares, paid = _entitlements(data, symbol, closes["ts"])
    held = closes.with_columns(shares=pl.Series(shares), paid=pl.Series(paid))
    worth = pl.col("price") * pl.col("shares") + pl.col("paid")
    change = worth / pl.col("price").shift(1) - 1.0
    return held.select("session", change.fill_null(0.0).alias("return"))


def converted_returns(returns: pl.DataFrame, currency: str, balances: pl.DataFrame) -> pl.DataFrame:
    """Return what holding a symbol returned to an account that is kept in another currency.

    Each return times the change of the rate since the close before, both as `balances` of the run has them at
    the closes: (1 + return) x rate / rate before - 1. NaN before the first rate.

    Parameters
    ----------
    returns
        Of `symbol_returns`, in `currency`.
    balances
        Of the run; empty where it has one currency alone.
    """
    import polars as pl

    if balances.is_empty():
        return returns
    rates = rates_at_closes(balances, currency)
    found = returns.join(rates, on="session", how="left", maintain_order="left")
    moved = (1.0 + pl.col("return")) * pl.col("fx_rate") / pl.col("fx_rate").shift(1) - 1.0
    return found.select("session", moved.fill_null(0.0).alias("return"))


def _prices(data: MarketData, symbol: str) -> pl.DataFrame:
    """Return the prices of a symbol at the times when they were complete: `ts`, `price`."""
    import polars as pl

    number = data.symbols.index(symbol)
    table = data.feeds[data.matching[number]]
    price = {
        DataKind.BAR: pl.col("close"),
        DataKind.QUOTE: (pl.col("bid_price") + pl.col("ask_price")) / 2,
        DataKind.TRADE: pl.col("price"),
    }[table.kind]
    rows = table.frame.filter(pl.col("instrument") == number)
    return rows.select(ts="ts_event", price=price).filter(pl.col("price").is_not_nan())


def _entitlements(data: MarketData, symbol: str, closes: pl.Series) -> tuple[list[float], list[float]]:
    """Return, per session, what one share held at the close before became: shares, and cash paid."""
    import polars as pl

    shares, paid = [1.0] * len(closes), [0.0] * len(closes)
    if data.actions is None:
        return shares, paid
    actions = data.actions.filter(pl.col("instrument") == data.symbols.index(symbol))
    # The first close at or after an action; an action before the first close concerns nobody.
    sessions = closes.search_sorted(actions["ts"], side="left")
    for session, action in zip(sessions, actions.iter_rows(named=True), strict=True):
        if action["amount"] == "":
            # Delisted at its last price, which it keeps.
            continue
        if 0 < session < len(closes):
            paid[session] += shares[session] * float(action["amount"])
            is_end = action["kind"] == "cash_out"
            shares[session] *= 0.0 if is_end else action["ratio_num"] / action["ratio_den"]
    return shares, paid
