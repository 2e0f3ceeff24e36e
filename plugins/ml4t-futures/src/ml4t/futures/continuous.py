"""One series out of the bars of many contracts, adjusted backwards, for signals."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs
import polars as pl

from ml4t.core.errors import DataError, Finding, nearest
from ml4t.core.structuring import Checked
from ml4t.core.values import shown
from ml4t.futures.bars import PRICES, ContractBars
from ml4t.futures.chain import FuturesChain
from ml4t.futures.front import FrontContract
from ml4t.futures.schedule import RollRule, RollSchedule

__all__ = ["ContinuousFuture"]

_CHOICES = {
    "adjustment": ("ratio", "difference", "none"),
    "priced_at": ("previous_close", "roll_close"),
    "gaps": ("refuse", "leave"),
    "roll_at": ("next_open", "settlement"),
}


@attrs.frozen
class ContinuousFuture(Checked):
    """The front contracts of a chain as one series, for signals only: no order fills at an adjusted price.

    Prices before a roll are brought to the level of the contract rolled to, with the closes of both contracts
    on one session. `ratio` multiplies by `to / from`, which keeps percentage returns and needs prices above
    zero; `difference` adds `to - from`, which keeps differences in price (the "Panama" method); `none`
    leaves prices as they are, with a gap at each roll. The latest contract is never changed.

    Parameters
    ----------
    root : str
        Of the chain.
    rule : RollRule
        Which contract is in front: `BeforeExpiry`, `BeforeFirstNotice`, `VolumeCrossover`,
        `OpenInterestCrossover`, or one of your own.
    chain : FuturesChain
        The contracts.
    adjustment : str
        `ratio`, `difference` or `none`.
    priced_at : str
        Session whose closes price a roll: `previous_close`, the one before the new contract is in front, or
        `roll_close`, the first of the new contract.
    roll_at : str
        At which prices a run rolls positions: `next_open`, those at which both contracts open the first
        session of the new one, or `settlement`, their settlement prices of that session.

    Raises
    ------
    ConfigError
        If a parameter is none of these, or the chain is of another root.

    Notes
    -----
    Sources: quant.stackexchange.com, question 40456, for the ratio (its corn prices are the example below);
    zipline-reloaded, whose continuous futures multiply by `1 + (to - from) / from` (`mul`) or add
    `to - from` (`add`).

    Examples
    --------
    >>> from ml4t.futures import BeforeExpiry, FuturesContract
    >>> terms = {"root": "ZC", "multiplier": 50, "tick_size": 0.25, "settlement": "physical"}
    >>> dates = {"ZCN8": "2018-07-13", "ZCZ8": "2018-12-14"}
    >>> contracts = [
    ...     FuturesContract(symbol, last_trade=day, calendar="CBOT_Agriculture", **terms)
    ...     for symbol, day in dates.items()
    ... ]
    >>> corn = ContinuousFuture("ZC", BeforeExpiry(21), chain=FuturesChain("ZC", contracts))
    >>> closes = {"ZCN8": [367.25, 377.5, 376.0], "ZCZ8": [388.25, 398.25, 397.0]}
    >>> rows = [
    ...     {"session": dt.date(2018, 6, 11 + k), "contract": symbol, "volume": 1.0}
    ...     | dict.fromkeys(("open", "high", "low", "close"), prices[k])
    ...     for symbol, prices in closes.items()
    ...     for k in range(3)
    ... ]
    >>> corn.series(pl.DataFrame(rows)).select("session", "contract", pl.col("close").round(4)).rows()[0]
    (datetime.date(2018, 6, 11), 'ZCN8', 387.4366)
    """

    root: str
    rule: RollRule
    chain: FuturesChain = attrs.field(kw_only=True)
    adjustment: Literal["ratio", "difference", "none"] = attrs.field(default="ratio", kw_only=True)
    priced_at: Literal["previous_close", "roll_close"] = attrs.field(default="previous_close", kw_only=True)
    roll_at: Literal["next_open", "settlement"] = attrs.field(default="next_open", kw_only=True)

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Yield every fault of the given fields."""
        root, rule, chain = values.get("root"), values.get("rule"), values.get("chain")
        if not isinstance(chain, FuturesChain):
            yield Finding(path="chain", message=f"expected a FuturesChain, found {shown(chain)}")
        elif root != chain.root:
            message = f"{root!r} is not the root of the chain, which is {chain.root!r}"
            yield Finding(path="root", message=message, found=shown(root))
        if not isinstance(rule, RollRule) or isinstance(rule, type):
            message = f"expected a rule such as BeforeExpiry(5), found {shown(rule)}"
            yield Finding(path="rule", message=message, found=shown(rule))
        for path in ("adjustment", "priced_at", "roll_at"):
            yield from _choice(path, values.get(path))

    def schedule(self, bars: pl.DataFrame, as_of: dt.date | None = None) -> RollSchedule:
        """Return which contract is in front on which session of `bars`, up to the session `as_of`.

        A rule of somebody else that goes back to an earlier contract is a DataError.
        """
        return self._schedule(self._read(bars, as_of))

    def front(self, bars: pl.DataFrame, as_of: dt.date | None = None) -> FrontContract:
        """Return what says which contract stands for the root at an instant, for a strategy to trade."""
        return FrontContract.of(self.root, self.schedule(bars, as_of), self.chain.calendar)

    def roll_plan(self, bars: pl.DataFrame, as_of: dt.date | None = None) -> pl.DataFrame:
        """Return the rolls as a run takes them: `run(..., rolls=future.roll_plan(bars))`.

        Columns: `session`, the first of the new contract, `from`, `to`, `roll_at`. A rule decides a session
        from earlier ones alone, so that the whole plan may be given to a run beforehand.
        """
        return self.schedule(bars, as_of).rolls.with_columns(roll_at=pl.lit(self.roll_at))

    def rolls(self, bars: pl.DataFrame, as_of: dt.date | None = None) -> pl.DataFrame:
        """Return the rolls with their prices, sorted.

        Columns: `session`, the first of the new contract, `from`, `to`, `priced_on` Date, `from_price`,
        `to_price` Float64.
        """
        read = self._read(bars, as_of)
        read.need("close", reader="ContinuousFuture")
        return self._priced(read, self._schedule(read))

    def series(
        self,
        bars: pl.DataFrame,
        as_of: dt.date | None = None,
        *,
        gaps: Literal["refuse", "leave"] = "refuse",
    ) -> pl.DataFrame:
        """Return the continuous series.

        Parameters
        ----------
        bars
            Bars of the contracts, daily or within a day, in any sequence: `session` Date, the label of the
            session a bar belongs to; `contract` or `symbol` String; `open`, `high`, `low`, `close`, `volume`;
            what the rule reads; columns of instants, without which a contract has one bar per session. Give
            settlement prices as `close` where they are to price the rolls. Rows of contracts that the chain
            does not have are not looked at.
        as_of
            A session: the series as it was known after its close, from no row of a later session. None: all
            of it. An adjusted price changes with later rolls, so a model that is trained on the whole series
            and then tested has seen levels that nobody knew; changes within one `as_of` are safe.
        gaps
            What to do where the front contract has no bar in a session in which another contract has one:
            `refuse`, or `leave` the session out.

        Returns
        -------
        polars.DataFrame
            One row per bar of the front contract, sorted: `session`, the columns of instants, `open`, `high`,
            `low`, `close` adjusted, `volume` as it was, `contract`, `factor` and `offset`. The raw price is
            `(price - offset) / factor`; the factor is 1 but for `ratio`, the offset 0 but for `difference`.

        Raises
        ------
        DataError
            If bars are not as described, a session is none of the calendar, the chain ends too early, a price
            is missing where it is needed, or `ratio` meets a price at or below zero. The message names
            contract and session.
        """
        if findings := list(_choice("gaps", gaps)):
            raise DataError(str(findings[0]))
        read = self._read(bars, as_of)
        read.need(*PRICES, "volume", reader="ContinuousFuture")
        schedule = self._schedule(read)
        rows = read.frame.join(schedule.front, on=["session", "contract"], how="semi", maintain_order="left")
        if gaps == "refuse":
            self._refuse_gaps(rows, schedule)
        self._check_prices(rows)
        changes = self._changes(schedule, self._priced(read, schedule))
        keys = ["session", *read.times]
        values = [(pl.col(name) * pl.col("factor") + pl.col("offset")).alias(name) for name in PRICES]
        placed = rows.join(changes, on="contract", how="left", maintain_order="left")
        return placed.select(*keys, *values, "volume", "contract", "factor", "offset")

    def _read(self, bars: pl.DataFrame, as_of: dt.date | None) -> ContractBars:
        # An instant is a date to Python; which session it lies in is for a calendar to say.
        if as_of is not None and type(as_of) is not dt.date:
            message = (
                f"as_of is {shown(as_of)}; expected the date of a session, whose rows are the last known"
            )
            raise DataError(message)
        return ContractBars.read(bars, self.chain, as_of)

    def _schedule(self, read: ContractBars) -> RollSchedule:
        schedule = self.rule.schedule(self.chain, read.frame)
        places = {symbol: place for place, symbol in enumerate(self.chain.symbols)}
        front = schedule.front["contract"].unique(maintain_order=True).to_list()
        if strange := [symbol for symbol in front if symbol not in places]:
            message = f"{self.rule} put {strange[0]!r} in front, which the chain of {self.root} does not have"
            raise DataError(message)
        for roll in schedule.rolls.iter_rows(named=True):
            if places[roll["to"]] < places[roll["from"]]:
                message = (
                    f"{self.rule} rolls from {roll['from']} back to {roll['to']} on {roll['session']}; "
                    "a rule may only go to later contracts"
                )
                raise DataError(message)
        return schedule

    def _priced(self, read: ContractBars, schedule: RollSchedule) -> pl.DataFrame:
        """Return the rolls with the closes that price them."""
        before = schedule.front.select("session", priced_on=pl.col("session").shift(1))
        rolls = schedule.rolls.join(before, on="session", how="left", maintain_order="left")
        if self.priced_at == "roll_close":
            rolls = rolls.with_columns(priced_on=pl.col("session"))
        closes = read.closes().rename({"session": "priced_on"})
        for side in ("from", "to"):
            of_side = closes.rename({"contract": side, "price": f"{side}_price"})
            rolls = rolls.join(of_side, on=["priced_on", side], how="left", maintain_order="left")
        for roll in rolls.iter_rows(named=True):
            for side in ("from", "to"):
                self._check_price(roll, side)
        return rolls

    def _check_price(self, roll: Mapping[str, Any], side: str) -> None:
        price, contract = roll[f"{side}_price"], roll[side]
        if self.adjustment == "none":
            return
        about = f"the roll from {roll['from']} to {roll['to']} on {roll['session']}"
        if price is None or price != price:
            message = (
                f"{contract} has no close in session {roll['priced_on']}, which prices {about}. Add the bar, "
                f"or price rolls at another session: priced_at is {self.priced_at!r}, allowed are "
                f"{', '.join(_CHOICES['priced_at'])}"
            )
            raise DataError(message)
        if self.adjustment == "ratio" and price <= 0:
            raise DataError(_no_ratio("close", price, contract, roll["priced_on"]) + f" (it prices {about})")

    def _changes(self, schedule: RollSchedule, rolls: pl.DataFrame) -> pl.DataFrame:
        """Return `contract`, `factor`, `offset`: what brings each contract to the level of the last one."""
        contracts = schedule.front["contract"].unique(maintain_order=True).to_list()
        factors, offsets = [1.0], [0.0]
        for roll in reversed(rolls.rows(named=True)):
            one, two = roll["from_price"], roll["to_price"]
            factors.append(factors[-1] * (two / one) if self.adjustment == "ratio" else 1.0)
            offsets.append(offsets[-1] + (two - one) if self.adjustment == "difference" else 0.0)
        changes = {"contract": contracts, "factor": factors[::-1], "offset": offsets[::-1]}
        schema = {"contract": pl.String(), "factor": pl.Float64(), "offset": pl.Float64()}
        return pl.DataFrame(changes, schema=schema)

    def _refuse_gaps(self, rows: pl.DataFrame, schedule: RollSchedule) -> None:
        lacking = schedule.front.join(rows, on="session", how="anti")
        if lacking.height:
            session, contract = lacking.row(0)
            message = (
                f"{contract} is in front in session {session} by {self.rule} and has no bar, while another "
                f"contract has one ({lacking.height} such sessions). Take contracts that do not trade out of "
                "the chain (FuturesChain.in_months), add the bars, or pass gaps='leave'"
            )
            raise DataError(message)

    def _check_prices(self, rows: pl.DataFrame) -> None:
        """Refuse prices that are missing, or not above zero where they are multiplied."""
        for name in PRICES:
            price = pl.col(name).cast(pl.Float64)
            missing = rows.filter(price.is_null() | ~price.is_finite())
            if missing.height:
                row = missing.row(0, named=True)
                message = (
                    f"{name} of {row['contract']} in session {row['session']} is {row[name]} "
                    f"({missing.height} such); expected a finite number. Correct it, or drop the row"
                )
                raise DataError(message)
            if self.adjustment == "ratio" and (low := rows.filter(price <= 0)).height:
                row = low.row(0, named=True)
                raise DataError(_no_ratio(name, row[name], row["contract"], row["session"]))


def _no_ratio(name: str, price: float, contract: str, session: dt.date) -> str:
    return (
        f"{name} of {contract} in session {session} is {price}; adjusting by ratio needs prices above zero. "
        "Use adjustment='difference', or a rule that rolls earlier"
    )


def _choice(path: str, value: object) -> Iterator[Finding]:
    allowed = _CHOICES[path]
    if value not in allowed:
        guess = nearest(value, allowed) if isinstance(value, str) else None
        message = f"found {shown(value)}"
        yield Finding(path=path, message=message, found=shown(value), allowed=allowed, nearest=guess)
