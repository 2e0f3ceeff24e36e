"""Scenario files: what README.md says, parsed and checked; nothing is guessed and nothing is skipped."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, Any

import attrs

from ml4t.core.config import MODEL_KEYS, BrokerSection
from ml4t.core.errors import Ml4tError
from ml4t.core.plugins import PluginManager, load_plugins
from ml4t.core.policies import Policies
from ml4t.core.structuring import key_of, readable_fields
from ml4t.core.types import ModelKind, OrderStatus, Side
from ml4t.core.values import to_ns
from ml4t.engine._engine import reason_codes

if TYPE_CHECKING:
    from pathlib import Path

KEYS = (
    *("sessions", "nav_calendar", "instruments", "bars", "quotes", "trades", "actions"),
    *("account", "policies", "slippage", "impact", "fee", "fill", "seed", "asks"),
    *("borrow", "funding", "interest", "borrow_rates", "funding_rates"),
    *("base_currency", "fx", "fx_rates", "interest_models", "settlement_prices", "cash_flows"),
    *("margin", "liquidation", "margin_rates", "rolls"),
)

# Columns of the tables of inputs, the required ones first; `?` marks those with a default.
INPUTS = {
    "sessions": "calendar label opens closes rests? resumes?",
    "instruments": """symbol tick_size? lot_size? price_exponent? quantity_exponent? multiplier?
        allows_negative_prices? calendar? venue? matching? currency? settlement? asset_class? last_trade?""",
    "bars": "symbol opens ends open high low close volume feed? arrives?",
    "quotes": "symbol time bid ask feed? arrives? bid_size? ask_size?",
    "trades": "symbol time price feed? arrives? size?",
    "actions": "symbol ex_date effective kind value pay_date? paid? into? amount? withheld?",
    "borrow_rates": "symbol time rate available?",
    "funding_rates": "symbol time rate short_rate? mark?",
    "fx_rates": "pair time rate",
    "settlement_prices": "symbol time price",
    "margin_rates": "symbol time initial maintenance",
    "cash_flows": "time amount currency?",
    "rolls": "session from to roll_at?",
    "asks": "sent from what",
}

# Expected tables: which table of the results each is, and which column of it each column is.
OUTPUTS: dict[str, tuple[str, dict[str, str]]] = {
    "events": (
        "order_events",
        {"time": "ts_event", "order": "order_id", "status": "status", "reason": "reason_code"},
    ),
    "fills": (
        "fills",
        {"time": "ts_event", "order": "order_id", "reference": "reference_price"}
        | {name: name for name in ("symbol", "side", "quantity", "price", "spread", "slippage", "fee")}
        | {"impact": "impact", "permanent": "permanent_impact"}
        | {name: name for name in ("notional", "liquidity", "phase")},
    ),
    "postings": (
        "ledger",
        {"time": "ts_event", "order": "order_id"}
        | {name: name for name in ("kind", "debit", "credit", "symbol", "currency", "amount")},
    ),
    "portfolio": (
        "portfolio_history",
        {"time": "ts_event", "realized": "realized_pnl", "unrealized": "unrealized_pnl"}
        | {name: name for name in ("session", "cash", "receivable", "equity", "carry")}
        | {name: name for name in ("fx_pnl", "fx_costs", "open_pnl", "gross_exposure")},
    ),
    "positions": (
        "positions",
        {"mark": "mark_price", "value": "market_value"}
        | {name: name for name in ("session", "symbol", "quantity")},
    ),
    "attribution": (
        "attribution",
        {name: name for name in ("session", "symbol", "price", "spread", "slippage", "impact", "fees")}
        | {name: name for name in ("dividends", "borrow", "funding", "interest", "external", "total")}
        | {name: name for name in ("fx", "fx_costs", "roll")},
    ),
    "balances": (
        "balances",
        {name: name for name in ("session", "currency", "cash", "receivable", "long_value")}
        | {name: name for name in ("short_value", "open_pnl", "fx_rate", "value")},
    ),
    "cash_flows": (
        "cash_flows",
        {"time": "ts_event"} | {name: name for name in ("currency", "amount", "value", "equity")},
    ),
    "margin": (
        "margin",
        {name: name for name in ("session", "equity", "initial", "maintenance", "overnight", "excess")},
    ),
    "margin_calls": (
        "margin_calls",
        {"time": "ts_event"} | {name: name for name in ("kind", "status", "equity", "requirement", "amount")},
    ),
    "conversions": (
        "conversions",
        {"time": "ts_event", "sent": "ts_submitted", "id": "conversion_id"}
        | {name: name for name in ("currency", "amount", "value", "cost", "symbol", "cause", "status")},
    ),
    "round_trips": (
        "round_trips",
        {"entered": "ts_entry", "exited": "ts_exit"}
        | {name: name for name in ("symbol", "direction", "quantity", "entry_price", "exit_price")}
        | {name: name for name in ("gross_pnl", "fees", "net_pnl", "currency", "fx_rate")},
    ),
}
TIMES = frozenset({"time", "sent", "entered", "exited"})
TEXTS = frozenset({"symbol", "session", "kind", "debit", "credit", "currency"})

# Cells of the expected tables that are one of a few words.
STATUSES = tuple(
    status.value for status in OrderStatus if status not in (OrderStatus.CREATED, OrderStatus.SUBMITTED)
)
WORDS = {
    "status": (*STATUSES, "executed", "refused", "warning", "issued", "met", "liquidation"),
    "cause": ("automatic", "asked"),
    "reason": ("", *(code for code, _ in reason_codes())),
    "side": tuple(side.value for side in Side),
    "direction": ("long", "short"),
    "liquidity": ("maker", "taker"),
    "phase": ("open", "range", "close", "quote", "trade"),
}
MODELS = {
    "slippage": ModelKind.SLIPPAGE,
    "impact": ModelKind.IMPACT,
    "fee": ModelKind.FEE,
    "fill": ModelKind.FILL,
    "borrow": ModelKind.BORROW,
    "funding": ModelKind.FUNDING,
    "interest": ModelKind.INTEREST,
    "fx": ModelKind.FX,
    "margin": ModelKind.MARGIN,
    "liquidation": ModelKind.LIQUIDATION,
}
ACCOUNT = (
    "initial_cash",
    "lot_policy",
    "allows_short",
    "leverage",
    "buying_power",
    "posting_quantum",
    "latency",
    "conversion",
    "recall_sessions",
    "settlement",
    "initial_balances",
)
CALLS = ("data", "fill")
RULES = ("stop_loss", "take_profit", "trailing_stop")
ACTIONS = {"split": "split", "dividend": "cash_dividend", "delisting": "delisting"}
ACTIONS |= {each: each for each in ("spin_off", "stock_merger")}

_TIME = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?")

Row = dict[str, str]


class ScenarioError(Exception):
    """A scenario file is not what README.md describes; the message says where, and what is allowed."""


@attrs.frozen
class Table:
    """A table of text: its columns in their sequence, and its rows."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@attrs.frozen(kw_only=True)
class OrderAsk:
    """`buy 100 XYZ limit 95.00 day`: the keywords of the broker's method, orders by their numbers."""

    side: str
    quantity: str
    symbol: str
    terms: Mapping[str, Any]


@attrs.frozen
class ModifyAsk:
    """`modify 1 limit 96.00`: the order that was sent as the first, and what changes."""

    number: int
    changes: Mapping[str, str]


@attrs.frozen
class CancelAsk:
    """`cancel 1`: the order that was sent as the first; `cancel stop_loss`: the live order of that rule."""

    which: int | str


@attrs.frozen
class RulesAsk:
    """`rules stop_loss 0.05`: fractions by the name of the rule; none of them takes the rules away."""

    fractions: Mapping[str, float]


@attrs.frozen
class ConvertAsk:
    """`convert EUR 1000`: buys so much of a currency for the base currency, or sells it below zero."""

    currency: str
    amount: str


@attrs.frozen(kw_only=True)
class Ask:
    """What the strategy does in one of its calls."""

    sent_ns: int
    call: str
    text: str
    does: OrderAsk | CancelAsk | ModifyAsk | RulesAsk | ConvertAsk


@attrs.frozen(kw_only=True)
class Scenario:
    """One claim: the data, what is asked, and what must come of it."""

    name: str
    file: str
    why: str
    sessions: Table
    nav_calendar: str | None
    base_currency: str
    seed: int
    tables: Mapping[str, Table]
    broker: Mapping[str, Any]
    asks: tuple[Ask, ...]
    expect: Mapping[str, Table]


# Files ------------------------------------------------------------------------------------------------


def load_files(paths: Iterable[Path]) -> list[Scenario]:
    """Return the scenarios of all files; names are unique over all of them."""
    found: dict[str, Scenario] = {}
    for path in sorted(paths):
        for scenario in load_text(path.read_text(encoding="utf-8"), path.name):
            if (first := found.get(scenario.name)) is not None:
                msg = f"{path.name}: the name {scenario.name!r} is used in {first.file} already"
                raise ScenarioError(msg)
            found[scenario.name] = scenario
    return list(found.values())


def load_text(text: str, file: str) -> list[Scenario]:
    """Return the scenarios of one file."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"{file}: {error}"
        raise ScenarioError(msg) from None
    _known(document, ("defaults", "scenario"), file)
    defaults = document.get("defaults", {})
    _known(defaults, KEYS, f"{file}: defaults")
    found = []
    for number, given in enumerate(document.get("scenario", []), start=1):
        where = f"{file}: {given.get('name') or f'scenario {number}'}"
        found.append(_scenario(defaults, given, file, where))
    names = [scenario.name for scenario in found]
    for name in names:
        if names.count(name) > 1:
            msg = f"{file}: the name {name!r} is used twice"
            raise ScenarioError(msg)
    return found


def _scenario(defaults: Mapping[str, Any], given: Mapping[str, Any], file: str, where: str) -> Scenario:
    _known(given, ("name", "why", *KEYS, "expect"), where)
    for key in ("name", "why"):
        if not isinstance(given.get(key), str) or not given[key].strip():
            msg = f"{where}: {key} must be a text that is not empty"
            raise ScenarioError(msg)
    merged = {**defaults, **given}
    tables = {name: _input(name, merged.get(name), where) for name in INPUTS}
    if not tables["sessions"].rows:
        msg = f"{where}: sessions is required: every session the data touch"
        raise ScenarioError(msg)
    return Scenario(
        name=given["name"],
        file=file,
        why=given["why"].strip(),
        sessions=tables["sessions"],
        nav_calendar=merged.get("nav_calendar"),
        base_currency=str(merged.get("base_currency", "USD")),
        seed=_seed(merged.get("seed", 0), where),
        tables=tables,
        broker=_broker(merged, where),
        asks=_asks(tables["asks"], where),
        expect=_expected(given.get("expect"), where),
    )


def _seed(given: object, where: str) -> int:
    if type(given) is not int or given < 0:
        msg = f"{where}: seed must be a whole number of zero or more, found {given!r}"
        raise ScenarioError(msg)
    return given


def _input(name: str, text: object, where: str) -> Table:
    layout = INPUTS[name].split()
    required = [column for column in layout if not column.endswith("?")]
    allowed = [column.rstrip("?") for column in layout]
    if text is None:
        return Table(columns=tuple(allowed), rows=())
    table = parse_table(text, f"{where}: {name}")
    _known(table.columns, allowed, f"{where}: {name}", what="column")
    if missing := [column for column in required if column not in table.columns]:
        msg = f"{where}: {name} lacks the columns {', '.join(missing)}"
        raise ScenarioError(msg)
    return table


def parse_table(text: object, where: str) -> Table:
    """Return a table of cells separated by `|`."""
    if not isinstance(text, str) or not text.strip():
        msg = f"{where}: expected a table, a header and rows of cells separated by |"
        raise ScenarioError(msg)
    lines = [line for line in text.splitlines() if line.strip()]
    header, *rows = [tuple(cell.strip() for cell in line.split("|")) for line in lines]
    if len(set(header)) < len(header) or not all(header):
        msg = f"{where}: a column is named twice or not at all in {lines[0].strip()!r}"
        raise ScenarioError(msg)
    for line, row in zip(lines[1:], rows, strict=True):
        if len(row) != len(header):
            msg = f"{where}: {len(row)} cells under {len(header)} columns in {line.strip()!r}"
            raise ScenarioError(msg)
    return Table(columns=header, rows=tuple(dict(zip(header, row, strict=True)) for row in rows))


# Configuration ----------------------------------------------------------------------------------------


def _broker(merged: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the section `[broker]` of the configuration."""
    account, policies = merged.get("account", {}), merged.get("policies", {})
    _known(account, ACCOUNT, f"{where}: account")
    _known(policies, [key_of(field) for field in readable_fields(Policies)], f"{where}: policies")
    broker: dict[str, Any] = {**account, "policies": policies}
    keys = {name: MODEL_KEYS[kind] for name, kind in MODELS.items()}
    for name, kind in MODELS.items():
        if name in merged:
            _check_model(kind, merged[name], f"{where}: {name}")
            broker[keys[name]] = merged[name]
    if "interest_models" in merged:
        for name, table in merged["interest_models"].items():
            _check_model(ModelKind.INTEREST, table, f"{where}: interest_models.{name}")
        broker["interest_models"] = merged["interest_models"]
    _known(broker, [key_of(field) for field in readable_fields(BrokerSection)], where)
    return broker


def _check_model(kind: ModelKind, table: object, where: str) -> None:
    known = sorted(each.spec.name for each in plugins().registry() if each.kind == kind.label)
    if not isinstance(table, Mapping) or not isinstance(table.get("type"), str):
        msg = f'{where}: expected a table {{ type = "..." }}; types are {", ".join(known)}'
        raise ScenarioError(msg)
    try:
        plugins().build_model(kind, table)
    except Ml4tError as error:
        msg = f"{where}: {error}; types are {', '.join(known)}"
        raise ScenarioError(msg) from None


@cache
def plugins() -> PluginManager:
    """Return the plugins of the environment, loaded once."""
    return load_plugins()


# Asks -------------------------------------------------------------------------------------------------


def _asks(table: Table, where: str) -> tuple[Ask, ...]:
    asks: list[Ask] = []
    for row in table.rows:
        place = f"{where}: ask {row['what']!r}"
        _known([row["from"]], CALLS, place, what="call")
        asks.append(
            Ask(
                sent_ns=instant(row["sent"], place),
                call=row["from"],
                text=f"{row['sent']} {row['from']} {row['what']}",
                does=_ask(row["what"].split(), place),
            )
        )
    sent = 0
    for ask in asks:
        sent += isinstance(ask.does, OrderAsk)
        if any(not 1 <= number <= sent for number in _numbers_of(ask.does)):
            msg = f"{where}: ask {ask.text!r} comes before that order was sent"
            raise ScenarioError(msg)
    return tuple(asks)


def _numbers_of(does: OrderAsk | CancelAsk | ModifyAsk | RulesAsk | ConvertAsk) -> list[int]:
    """Return the numbers of the orders that an ask names."""
    if isinstance(does, OrderAsk):
        # It counts itself among those that were sent.
        return [does.terms[name] for name in LINKS if name in does.terms]
    if isinstance(does, ModifyAsk):
        return [does.number]
    return [does.which] if isinstance(does, CancelAsk) and isinstance(does.which, int) else []


def _ask(words: list[str], where: str) -> OrderAsk | CancelAsk | ModifyAsk | RulesAsk | ConvertAsk:
    if words[:1] == ["convert"] and len(words) == 3:
        number(words[2], where)
        return ConvertAsk(words[1], words[2])
    if words[:1] == ["cancel"] and len(words) == 2 and words[1].isdecimal():
        return CancelAsk(int(words[1]))
    if words[:1] == ["cancel"] and len(words) == 2 and words[1] in RULES:
        return CancelAsk(words[1])
    if words[:1] == ["modify"] and len(words) > 3 and words[1].isdecimal():
        terms = _terms(words[2:], ("quantity", "limit", "stop", "trail", "offset"), where)
        return ModifyAsk(int(words[1]), terms)
    if words[:1] == ["rules"] and len(words) > 1:
        return RulesAsk({} if words[1:] == ["none"] else _fractions(words[1:], where))
    if len(words) >= 3 and words[0] in ("buy", "sell"):
        number(words[1], where)
        return _order(words[0], words[1], words[2], words[3:], where)
    msg = (
        f"{where}: expected 'buy 100 XYZ' or 'sell 100 XYZ' with any of 'limit 95.00', 'stop 101.00', 'day' "
        "and the other terms of README.md; 'modify 1 limit 96.00'; "
        "'cancel 1', 'cancel stop_loss', 'rules stop_loss 0.05 take_profit 0.10 trailing_stop 0.08', "
        "'rules none', 'convert EUR 1000'"
    )
    raise ScenarioError(msg)


# Words of an order, and the keywords that they stand for.
VALUES = {
    "quantity": "quantity",
    "limit": "limit_price",
    "stop": "stop_price",
    "touch": "stop_price",
    "trail": "trail_amount",
    "trail_fraction": "trail_fraction",
    "offset": "limit_offset",
    "activate": "activation_price",
    "display": "display_quantity",
    "until": "expire_at",
}
LINKS = ("parent", "oco", "ouo")
FLAGS = ("post_only", "reduce_only", "all_or_none", "adjust_for_dividend")
LIVES = ("day", "ioc", "fok", "opg", "cls")


def _order(side: str, quantity: str, symbol: str, rest: list[str], where: str) -> OrderAsk:
    known = (*(word for word in VALUES if word != "quantity"), *LINKS, *FLAGS, *LIVES)
    terms = _terms(rest, known, where)
    is_limit, words = "limit_price" in terms, set(rest)
    if "touch" in words:
        terms["order_type"] = "limit_if_touched" if is_limit else "market_if_touched"
    elif words & {"trail", "trail_fraction"}:
        terms["order_type"] = "trailing_stop_limit" if "offset" in words else "trailing_stop"
    if "until" in words:
        terms["time_in_force"] = "gtd"
    return OrderAsk(side=side, quantity=quantity, symbol=symbol, terms=terms)


def _terms(words: list[str], known: tuple[str, ...], where: str) -> dict[str, Any]:
    terms: dict[str, Any] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        _known([word], known, where, what="word")
        name = "time_in_force" if word in LIVES else VALUES.get(word, word)
        takes_value = word in VALUES or word in LINKS
        if name in terms or (takes_value and not left):
            msg = f"{where}: {word!r} is given twice or without a price"
            raise ScenarioError(msg)
        if word in LIVES:
            terms[name] = word
        elif word in FLAGS:
            terms[name] = True
        elif word in LINKS:
            terms[name] = int(number(left.pop(0), where))
        elif word == "until":
            terms[name] = f"{left.pop(0)}:00+00:00"
        else:
            number(left[0], where)
            terms[name] = left.pop(0)
    return terms


def _fractions(words: list[str], where: str) -> dict[str, float]:
    names, values = words[::2], words[1::2]
    _known(names, RULES, where, what="rule")
    if len(names) != len(values) or len(set(names)) < len(names):
        msg = f"{where}: each rule is given once, with one fraction"
        raise ScenarioError(msg)
    return {name: float(number(value, where)) for name, value in zip(names, values, strict=True)}


# Expected ---------------------------------------------------------------------------------------------


def _expected(given: object, where: str) -> dict[str, Table]:
    if not isinstance(given, Mapping) or not {"events", "fills"} <= given.keys():
        msg = f"{where}: expect must have the tables events and fills"
        raise ScenarioError(msg)
    _known(given, OUTPUTS, f"{where}: expect", what="table")
    tables = {}
    for name, text in given.items():
        place = f"{where}: {name}"
        table = parse_table(text, place)
        _known(table.columns, OUTPUTS[name][1], place, what="column")
        for row in table.rows:
            for column, cell in row.items():
                _check_cell(column, cell, place)
        tables[name] = table
    return tables


def _check_cell(column: str, cell: str, where: str) -> None:
    if column in WORDS:
        _known([cell], WORDS[column], where, what=column)
    elif column in TIMES:
        instant(cell, where)
    elif column == "session":
        day(cell or "2024-01-01", where)
    elif column not in TEXTS and cell:
        number(cell, where)


# Cells ------------------------------------------------------------------------------------------------


def instant(text: str, where: str) -> int:
    """Return `YYYY-MM-DD HH:MM[:SS[.fraction]]`, UTC, in nanoseconds."""
    if (match := _TIME.fullmatch(text)) is None:
        msg = f"{where}: {text!r} is not a time YYYY-MM-DD HH:MM[:SS[.fraction]]"
        raise ScenarioError(msg)
    date, clock, seconds, fraction = match.groups()
    moment = f"{date}T{clock}:{seconds or '00'}+00:00"
    return to_ns(dt.datetime.fromisoformat(moment)) + int((fraction or "").ljust(9, "0"))


def day(text: str, where: str) -> dt.date:
    """Return a date `YYYY-MM-DD`."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        msg = f"{where}: {text!r} is not a date YYYY-MM-DD"
        raise ScenarioError(msg) from None


def number(text: str, where: str) -> Decimal:
    """Return a finite number, exactly as written."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        msg = f"{where}: {text!r} is not a number"
        raise ScenarioError(msg)
    return value


def _known(found: Iterable[str], allowed: Iterable[str], where: str, *, what: str = "key") -> None:
    listed = list(allowed)
    for name in found:
        if name not in listed:
            msg = f"{where}: unknown {what} {name!r}; allowed are {', '.join(map(repr, listed))}"
            raise ScenarioError(msg)
