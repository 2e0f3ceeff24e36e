"""The contracts of one root, in the sequence in which they expire."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import attrs

from ml4t.core.errors import ConfigError, DataError, Finding, nearest, unknown_name
from ml4t.core.structuring import Checked
from ml4t.core.values import shown
from ml4t.futures.contracts import FuturesContract
from ml4t.futures.months import MONTH_CODES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl

    from ml4t.core.instrument import Instrument

__all__ = ["FuturesChain"]

_ONE_OF_EACH = {"calendar": "sessions are counted on one calendar", "currency": "prices are in one currency"}


def _tuple(value: Any) -> Any:  # noqa: ANN401
    return tuple(value) if isinstance(value, list | tuple) else value


@attrs.frozen
class FuturesChain(Checked):
    """The contracts of one root, sorted by their last trade.

    Parameters
    ----------
    root : str
        Of every contract.
    contracts : sequence of FuturesContract
        At least one, each symbol and each last trade once, the earliest first; first notices in the same
        sequence; one calendar and one currency.

    Raises
    ------
    ConfigError
        If they are not so; it lists every fault by the place of the contract.

    Examples
    --------
    >>> import datetime as dt
    >>> import polars as pl
    >>> dates = {"ESZ3": dt.date(2013, 12, 20), "ESH4": dt.date(2014, 3, 21)}
    >>> table = pl.DataFrame({"symbol": list(dates), "last_trade": list(dates.values())})
    >>> terms = {"multiplier": 50, "tick_size": 0.25, "calendar": "CME_Equity", "settlement": "cash"}
    >>> chain = FuturesChain.from_frame(table, "ES", **terms)
    >>> chain.symbols
    ('ESZ3', 'ESH4')
    """

    root: str
    contracts: tuple[FuturesContract, ...] = attrs.field(converter=_tuple)

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Yield every fault of the contracts."""
        root, contracts = values.get("root"), values.get("contracts", ())
        if not isinstance(root, str) or not root:
            yield Finding(path="root", message=f"expected a text, found {shown(root)}", found=shown(root))
        if not isinstance(contracts, tuple) or not contracts:
            yield Finding(path="contracts", message=f"expected at least one, found {shown(contracts)}")
            return
        wrong = [k for k, each in enumerate(contracts) if not isinstance(each, FuturesContract)]
        for k in wrong:
            found = shown(contracts[k])
            yield Finding(path=f"contracts[{k}]", message=f"expected a FuturesContract, found {found}")
        if not wrong:
            yield from _faults_of_each(root, contracts)
            yield from _faults_of_sequence(contracts)

    @classmethod
    def from_frame(cls, frame: pl.DataFrame, root: str, **constants: Any) -> FuturesChain:  # noqa: ANN401
        """Build the chain of a table with one row per contract, in any sequence.

        Parameters
        ----------
        frame
            Columns are named as the fields of `FuturesContract`. Where there is a column `root`, the rows of
            other roots are left out.
        root
            Of the chain.
        **constants
            Fields that are the same for every contract.

        Raises
        ------
        DataError
            A column is unknown, missing, or given twice, or no row is of the root.
        ConfigError
            Contracts have faults; all of them are listed, by the symbol of their row.
        """
        _check_columns(frame.columns, constants)
        rows = frame.to_dicts()
        if "root" in frame.columns:
            roots = sorted({str(row["root"]) for row in rows})
            rows = [row for row in rows if row["root"] == root]
            if not rows:
                raise DataError(_no_rows(root, roots))
        findings: list[Finding] = []
        contracts: list[FuturesContract] = []
        for row in rows:
            try:
                contracts.append(FuturesContract(**({"root": root} | constants | row)))
            except ConfigError as error:
                findings += [each.under(str(row["symbol"])) for each in error.findings]
        if findings:
            raise ConfigError(findings, f"contracts of {root}")
        return cls(root, sorted(contracts, key=lambda contract: contract.last_trade))

    def __len__(self) -> int:
        return len(self.contracts)

    def __iter__(self) -> Iterator[FuturesContract]:
        return iter(self.contracts)

    def __getitem__(self, symbol: str) -> FuturesContract:
        """Return the contract of a symbol; one that is not in the chain is an UnknownNameError."""
        for contract in self.contracts:
            if contract.symbol == symbol:
                return contract
        kind = f"contract of {self.root}"
        raise unknown_name(kind, symbol, self.symbols)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the contracts, the earliest last trade first."""
        return tuple(contract.symbol for contract in self.contracts)

    @property
    def calendar(self) -> str:
        """Name of the calendar of all contracts."""
        return self.contracts[0].calendar

    def in_months(self, codes: str) -> FuturesChain:
        """Return the chain of the contracts that deliver in certain months, such as "GJMQVZ".

        For roots that list months which hardly trade: gold lists every month and trades in even ones.

        Raises
        ------
        DataError
            A letter is no month code, the month of a contract is not known, or no contract is left.
        """
        if strange := [letter for letter in codes if letter not in MONTH_CODES]:
            message = f"{strange[0]!r} of {codes!r} is no month code; allowed are {MONTH_CODES}"
            raise DataError(message)
        months = {contract.symbol: contract.delivery_month for contract in self.contracts}
        for symbol, month in months.items():
            if month is None:
                message = (
                    f"the delivery month of {symbol} is not known: its symbol does not name it. Give the "
                    "field month of the contract, for example 2013-12"
                )
                raise DataError(message)
        kept = [each for each in self.contracts if (m := months[each.symbol]) is not None and m.code in codes]
        if not kept:
            found = sorted({month.code for month in months.values() if month is not None})
            message = f"no contract of {self.root} delivers in {codes!r}; they deliver in {''.join(found)}"
            raise DataError(message)
        return FuturesChain(self.root, kept)

    def instruments(self, **fields: Any) -> tuple[Instrument, ...]:  # noqa: ANN401
        """Return the contracts as what the engine trades; `fields` are further ones of `Instrument`."""
        return tuple(contract.instrument(**fields) for contract in self.contracts)


def _faults_of_each(root: object, contracts: tuple[FuturesContract, ...]) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for k, contract in enumerate(contracts):
        path = f"contracts[{k}]"
        if contract.root != root:
            message = f"{contract.symbol} is of root {contract.root!r}, the chain of {root!r}"
            yield Finding(path=path, message=message, found=contract.root)
        if (first := seen.setdefault(contract.symbol, k)) != k:
            message = f"{contract.symbol} is already contracts[{first}]; each symbol once"
            yield Finding(path=path, message=message, found=contract.symbol)
        for name, why in _ONE_OF_EACH.items():
            if (found := getattr(contract, name)) != (common := getattr(contracts[0], name)):
                message = f"{contract.symbol} has {name} {found!r}, contracts[0] has {common!r}; {why}"
                yield Finding(path=path, message=message, found=found)


def _faults_of_sequence(contracts: tuple[FuturesContract, ...]) -> Iterator[Finding]:
    for k, (one, two) in enumerate(pairwise(contracts), start=1):
        if two.last_trade <= one.last_trade and two.symbol != one.symbol:
            what = "as" if two.last_trade == one.last_trade else "after"
            message = (
                f"{one.symbol} before it trades last on {one.last_trade}, {what} {two.symbol} on "
                f"{two.last_trade}; sort by last_trade, which from_frame does, and keep one of each date"
            )
            yield Finding(path=f"contracts[{k}]", message=message, found=str(two.last_trade))
    given = [(k, each.first_notice) for k, each in enumerate(contracts) if each.first_notice is not None]
    for (before, one_day), (k, day) in pairwise(given):
        if day <= one_day:
            message = (
                f"first notice of {contracts[k].symbol} on {day} is not after that of "
                f"{contracts[before].symbol} on {one_day}"
            )
            yield Finding(path=f"contracts[{k}]", message=message, found=str(day))


def _check_columns(columns: list[str], constants: Mapping[str, Any]) -> None:
    """Refuse names that no contract has, that are given twice, or that are missing."""
    fields = {field.name: field for field in attrs.fields(FuturesContract)}
    for name in (*columns, *constants):
        if name not in fields:
            guess = nearest(name, fields)
            hint = f"; did you mean {guess!r}?" if guess else ""
            message = f"{name!r} is no field of a contract, which are {', '.join(fields)}{hint}"
            raise DataError(message)
    if twice := sorted(set(columns) & set(constants)):
        message = f"{twice[0]} is a column of the table and given as {constants[twice[0]]!r}; give it once"
        raise DataError(message)
    required = {name for name, field in fields.items() if field.default is attrs.NOTHING} - {"root"}
    if missing := sorted(required - set(columns) - set(constants)):
        message = (
            f"the table of contracts has no {', '.join(missing)}; add columns, or give what is the same for "
            f"every contract by name. It has {', '.join(columns)}"
        )
        raise DataError(message)
    if "symbol" in constants:
        message = "symbol must be a column of the table: every contract has its own"
        raise DataError(message)


def _no_rows(root: str, roots: list[str]) -> str:
    return f"no row of the table is of root {root!r}; it has {', '.join(roots) or 'no rows'}"
