"""Plain data into attrs classes, with every fault found in one pass.

cattrs dispatches on types; the hooks here differ from its own in two ways. They are strict: text never turns
into a number, nor a number into text. And they do not stop: a class is read field by field, unknown keys,
missing keys and wrong values are collected with their paths, and one `ConfigError` carries them all.
"""

from __future__ import annotations

import enum
import functools
import math
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NewType, TypeVar, Union, get_args, get_origin

import attrs

from ml4t.core.errors import ConfigError, DataError, Finding, nearest
from ml4t.core.values import (
    MAX_DIGITS,
    FrozenMapping,
    is_vast,
    parse_duration,
    shown,
    to_decimal,
    to_fraction,
)

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")
DurationNs = NewType("DurationNs", int)  #: nanoseconds, written as text such as 15m in configuration

_KEY, _ALIAS, _INTERNAL = "ml4t_key", "ml4t_alias", "ml4t_internal"
_MAX_SHOWN = 80
_MAX_DEPTH, _MAX_VALUES = 64, 250_000
# What a table of parameters may hold beside numbers: all of it has a text in a manifest.
_PLAIN = (str, bool, int, date, time, Path, enum.Enum, types.NoneType)


def setting(
    default: Any = attrs.NOTHING,  # noqa: ANN401
    *,
    key: str | None = None,
    alias: str | None = None,
    convert: Callable[[Any], Any] | None = None,
) -> Any:  # noqa: ANN401
    """Declare a keyword-only field; in files it is called `key` or `alias` where that is not its name."""
    return attrs.field(default=default, kw_only=True, converter=convert, metadata={_KEY: key, _ALIAS: alias})


def internal(default: Any) -> Any:  # noqa: ANN401
    """Declare a field that files cannot set and that does not count in comparisons."""
    return attrs.field(default=default, kw_only=True, eq=False, repr=False, metadata={_INTERNAL: True})


class Checked:
    """Base of attrs classes with rules between fields, for instances from files and from Python alike."""

    __slots__ = ()

    def __attrs_post_init__(self) -> None:
        names = [field.name for field in attrs.fields(type(self))]  # type: ignore[arg-type]
        if findings := list(self.cross_check({name: getattr(self, name) for name in names})):
            names = [getattr(self, key, None) for key in ("symbol", "name")]
            label = next((f" {name!r}" for name in names if isinstance(name, str)), "")
            raise ConfigError(findings, f"{type(self).__name__}{label}")

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Yield the faults between fields.

        `values` has the attributes by name, defaults included; those that could not be read are absent, and
        a rule that needs one of them stays silent.
        """
        yield from ()


def structure(data: object, cls: type[T]) -> T:
    """Build an instance of an attrs class from plain data, or raise ConfigError with all its faults."""
    result: T = _read(data, cls)
    return result


def unreadable(document: Mapping[str, Any]) -> Finding | None:
    """Return why a document cannot be read to its end or written down; None for any sensible one.

    Tables can hold themselves, lists of YAML can repeat one another without end, and text can hold half of a
    surrogate pair.
    """
    pending: list[tuple[str, object, int]] = [("", document, 0)]
    count = 0
    while pending:
        path, value, depth = pending.pop()
        count += 1
        if fault := _unwritable(value):
            return Finding(path=path, message=fault)
        if depth > _MAX_DEPTH or count > _MAX_VALUES:
            limit = f"{_MAX_DEPTH} levels" if depth > _MAX_DEPTH else f"{_MAX_VALUES:,} values"
            message = f"holds more than {limit}, or repeats itself without end"
            return Finding(path=re.split(r"[.\[]", path)[0], message=message, code="nesting")
        if isinstance(value, Mapping):
            for key, item in value.items():
                name = key if isinstance(key, str) and key and key.isprintable() else shown(key)
                if fault := _unwritable(key):
                    return Finding(path=f"{path}.{name}".lstrip("."), message=fault)
                pending.append((f"{path}.{name}".lstrip("."), item, depth + 1))
        elif isinstance(value, list | tuple):
            pending.extend((f"{path}[{index}]", item, depth + 1) for index, item in enumerate(value))
    return None


def _unwritable(value: object) -> str:
    """Return what is wrong with a value or key that no file could hold."""
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return f"expected a text, found half of a surrogate pair in {shown(value)}"
    is_long = isinstance(value, int) and abs(value) >= 10**MAX_DIGITS
    if is_long or (isinstance(value, Decimal) and is_vast(value)):
        return f"expected a number of at most {MAX_DIGITS:,} digits"
    return ""


def readable_fields(cls: type[Any]) -> list[attrs.Attribute[Any]]:
    """Return the fields of a class that plain data can set, with their types resolved."""
    try:
        resolved = attrs.resolve_types(cls)
    except NameError as error:
        msg = f"annotations of {cls.__qualname__} need names that are not imported at run time: {error}"
        raise TypeError(msg) from error
    return [field for field in attrs.fields(resolved) if field.init and not field.metadata.get(_INTERNAL)]


def key_of(field: attrs.Attribute[Any]) -> str:
    """Return the name a field has in files."""
    return field.metadata.get(_KEY) or field.alias or field.name


def read_fields(data: Mapping[str, Any], cls: type[Any]) -> tuple[list[Finding], dict[str, Any]]:
    """Read what can be read of a class; return the faults, and the good values by constructor argument."""
    findings: list[Finding] = []
    values: dict[str, Any] = {}
    known: dict[str, Any] = {}
    accepted: dict[str, str] = {}
    for field in readable_fields(cls):
        key = key_of(field)
        alias: str = field.metadata.get(_ALIAS) or key
        accepted |= {key: key, alias: key}
        if alias != key and alias in data and key in data:
            findings.append(Finding(path=alias, message=f"given twice, also as {key!r}; keep one"))
        given = alias if alias in data else key
        if given in data:
            try:
                known[field.name] = values[field.alias or field.name] = _read(data[given], field.type)
            except ConfigError as error:
                findings.extend(finding.under(given) for finding in error.findings)
        elif field.default is attrs.NOTHING:
            findings.append(Finding(path=key, message="required, but missing", code="missing"))
        else:
            known[field.name] = field.default
    # YAML may hold keys of any kind.
    keys: Iterable[Any] = data
    for key in (key for key in keys if key not in accepted):
        guess, allowed = nearest(str(key), accepted), tuple(dict.fromkeys(accepted.values()))
        path = key if isinstance(key, str) and key else shown(key)
        unknown = Finding(path=path, message="unknown key", code="unknown_key", found=str(key))
        findings.append(attrs.evolve(unknown, allowed=allowed, nearest=guess))
    if issubclass(cls, Checked):
        findings.extend(cls.cross_check(known))
    return findings, values


def wrong(
    value: object, what: str, *, code: str = "invalid_type", allowed: Iterable[str] = ()
) -> ConfigError:
    """Build the error for one value that is not `what` was expected."""
    text = value if isinstance(value, str) else repr(value)
    text = text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
    message = f"expected {what}, found {repr(text) if isinstance(value, str) else text}"
    names = tuple(allowed)
    guess = nearest(value, names) if isinstance(value, str) else None
    return ConfigError(Finding(path="", message=message, code=code, found=text, allowed=names, nearest=guess))


# -- hooks: each takes a value and a type, and returns an instance of the type or raises ConfigError ----


def _read(value: object, cls: Any) -> Any:  # noqa: ANN401
    return _converter().structure(value, Any if cls is None else cls)


def _read_class(data: object, cls: type[Any]) -> Any:  # noqa: ANN401
    if isinstance(data, cls):
        return data
    if not isinstance(data, Mapping):
        raise wrong(data, "a table")
    findings, values = read_fields(data, cls)
    if not findings:
        try:
            return cls(**values)
        except ConfigError as error:
            findings.extend(error.findings)
        except (TypeError, ValueError) as error:
            # The validators of attrs put the attribute among the arguments of their error.
            path = next((arg.name for arg in error.args if isinstance(arg, attrs.Attribute)), "")
            findings.append(Finding(path=path, message=str(error.args[0] if error.args else error)))
    raise ConfigError(findings)


def _scalar(what: str, accepts: Callable[[Any], bool], convert: Callable[[Any], Any]) -> Any:  # noqa: ANN401
    """Make the hook of a scalar type: a value it `accepts` is converted, any other is not `what`."""

    def read(value: object, cls: object) -> object:
        if _is_choice(cls):
            # cattrs gives an IntEnum to the hook of int.
            return _read_choice(value, cls)
        try:
            if accepts(value):
                return convert(value)
        except DataError as error:
            fault = Finding(path="", message=str(error), code="invalid_type", found=str(value))
            raise ConfigError(fault) from None
        except (ValueError, OverflowError):
            pass
        raise wrong(value, what)

    return read


def _date(value: Any) -> date:  # noqa: ANN401
    return date.fromisoformat(value) if isinstance(value, str) else value


def _instant(value: Any) -> datetime:  # noqa: ANN401
    moment: datetime = datetime.fromisoformat(value) if isinstance(value, str) else value
    if moment.utcoffset() is None:
        raise ValueError
    # The first and the last day of the calendar may be out of reach in UTC.
    moment.astimezone(UTC)
    return moment


def _is(*classes: type, but: type = types.NoneType) -> Callable[[object], bool]:
    return lambda value: isinstance(value, classes) and not isinstance(value, but)


_SCALARS: Mapping[Any, Any] = {
    bool: _scalar("true or false", _is(bool), bool),
    int: _scalar("a whole number", _is(int, but=bool), int),
    float: _scalar("a number", lambda x: _is(int, float, but=bool)(x) and x == x, float),
    str: _scalar("a text", _is(str), str),
    Path: _scalar("a local path", lambda x: _is(str, Path)(x) and "://" not in str(x), Path),
    date: _scalar("a date such as 2020-01-31", _is(str, date, but=datetime), _date),
    datetime: _scalar("an instant such as 2020-01-31T14:30:00Z", _is(str, datetime), _instant),
    Decimal: _scalar("a number", lambda _: True, to_decimal),
    Fraction: _scalar("a fraction", lambda _: True, to_fraction),
    DurationNs: _scalar("a duration", lambda _: True, parse_duration),
}


def _choices(cls: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return what an enum or a Literal accepts, by its text in files."""
    if get_origin(cls) is Literal:
        return {str(choice): choice for choice in get_args(cls)}
    return {str(member.value): member for member in cls}


def _read_choice(value: object, cls: Any) -> object:  # noqa: ANN401
    choices = _choices(cls)
    if isinstance(value, str | int | enum.Enum) and value in choices.values():
        return value
    if not isinstance(value, str) or value not in choices:
        raise wrong(value, "one of the allowed values", code="invalid_value", allowed=choices)
    return choices[value]


def _collect(items: Iterable[tuple[str, object, Any]]) -> list[Any]:
    """Read (path, value, type) triples; raise all their faults together."""
    findings: list[Finding] = []
    values: list[Any] = []
    for path, value, cls in items:
        try:
            values.append(_read(value, cls))
        except ConfigError as error:
            findings.extend(finding.under(path) for finding in error.findings)
    if findings:
        raise ConfigError(findings)
    return values


def _read_sequence(value: object, cls: Any) -> Any:  # noqa: ANN401
    args = get_args(cls) or (Any, ...)
    fixed = get_origin(cls) is tuple and Ellipsis not in args
    if not isinstance(value, list | tuple) or (fixed and len(value) != len(args)):
        raise wrong(value, f"a list of {len(args)} values" if fixed else "a list")
    items = _collect((f"[{i}]", item, args[i if fixed else 0]) for i, item in enumerate(value))
    return tuple(items) if (get_origin(cls) or cls) is tuple else items


def _read_mapping(value: object, cls: Any) -> FrozenMapping:  # noqa: ANN401
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise wrong(value, "a table")
    item_type = get_args(cls)[1] if get_args(cls) else Any
    items = _collect((key, item, item_type) for key, item in value.items())
    return FrozenMapping(dict(zip(value, items, strict=True)))


def _read_plain(value: object, _: Any) -> Any:  # noqa: ANN401
    """Read a value of any kind that a file can hold, tables and lists included."""
    if isinstance(value, Mapping):
        items = _collect((str(key), item, Any) for key, item in value.items())
        return FrozenMapping(dict(zip(value, items, strict=True)))
    if isinstance(value, list | tuple):
        return tuple(_collect((f"[{index}]", item, Any) for index, item in enumerate(value)))
    if isinstance(value, float | Decimal):
        if not math.isfinite(value):
            raise wrong(value, "a finite number")
    elif not isinstance(value, _PLAIN) and not attrs.has(type(value)):
        raise wrong(value, "a text, a number, true or false, a date, a list or a table")
    return value


def _read_union(value: object, cls: Any) -> Any:  # noqa: ANN401
    if value is None and types.NoneType in get_args(cls):
        return None
    errors: list[ConfigError] = []
    members = [member for member in get_args(cls) if member is not types.NoneType]
    # A table is meant for the tables among them and anything else for the others, so only those complain.
    is_table = isinstance(value, Mapping) or attrs.has(type(value))
    meant = [m for m in members if (attrs.has(m) or _is_mapping(m) if is_table else not attrs.has(m))]
    for member in meant or members:
        try:
            return _read(value, member)
        except ConfigError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    wanted = [each.findings[0].message.removeprefix("expected ").rsplit(", found ", 1)[0] for each in errors]
    raise wrong(value, " or ".join(wanted))


def _is_sequence(cls: Any) -> bool:  # noqa: ANN401
    return (get_origin(cls) or cls) in (tuple, list)


def _is_mapping(cls: Any) -> bool:  # noqa: ANN401
    return (get_origin(cls) or cls) in (dict, Mapping, FrozenMapping)


def _is_choice(cls: Any) -> bool:  # noqa: ANN401
    return get_origin(cls) is Literal or (isinstance(cls, type) and issubclass(cls, enum.Enum))


def _is_union(cls: Any) -> bool:  # noqa: ANN401
    return get_origin(cls) in (Union, types.UnionType)


@functools.cache
def _converter() -> Converter:
    """Build the converter that holds the hooks above; cattrs is imported only now."""
    from cattrs import Converter

    converter = Converter()
    converter.register_structure_hook_func(attrs.has, _read_class)
    converter.register_structure_hook_func(_is_sequence, _read_sequence)
    converter.register_structure_hook_func(_is_mapping, _read_mapping)
    converter.register_structure_hook_func(_is_choice, _read_choice)
    converter.register_structure_hook_func(_is_union, _read_union)
    converter.register_structure_hook_func(lambda cls: cls is Any, _read_plain)
    for scalar, hook in _SCALARS.items():
        converter.register_structure_hook(scalar, hook)
    return converter


_JSON_TYPES: Mapping[Any, str] = {bool: "boolean", int: "integer", float: "number", types.NoneType: "null"}


def json_schema(cls: type[Any]) -> dict[str, Any]:
    """Describe the parameters of an attrs class as a JSON Schema object."""
    properties: dict[str, Any] = {}
    for field in readable_fields(cls):
        properties[key_of(field)] = described = _type_schema(field.type)
        if isinstance(field.default, bool | int | float | str):
            described["default"] = field.default
    required = [key_of(field) for field in readable_fields(cls) if field.default is attrs.NOTHING]
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": required} if required else {})


def _type_schema(cls: Any) -> dict[str, Any]:  # noqa: ANN401
    if _is_union(cls):
        return {"anyOf": [_type_schema(member) for member in get_args(cls)]}
    if _is_choice(cls):
        return {"enum": list(_choices(cls))}
    if _is_sequence(cls):
        return {"type": "array", "items": _type_schema((*get_args(cls), Any)[0])}
    if _is_mapping(cls):
        return {"type": "object"}
    if isinstance(cls, type) and attrs.has(cls):
        return json_schema(cls)
    return {} if cls in (None, Any) else {"type": _JSON_TYPES.get(cls, "string")}
