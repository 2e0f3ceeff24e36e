"""Plain data into attrs classes."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest

from ml4t.core.errors import ConfigError, Finding
from ml4t.core.structuring import Checked, DurationNs, json_schema, structure
from ml4t.core.types import ModelKind


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


@attrs.frozen
class Inner:
    size: int
    name: str = "x"


@attrs.frozen(kw_only=True)
class Outer:
    flag: bool = False
    count: int = 0
    rate: float = 0.0
    exact: Decimal = Decimal(0)
    ratio: Fraction = Fraction(1)
    color: Color = Color.RED
    kind: ModelKind = ModelKind.FEE
    mode: Literal["a", "b"] = "a"
    day: date | None = None
    moment: datetime | None = None
    either: date | datetime | None = None
    path: Path | None = None
    wait: DurationNs | None = None
    inner: Inner | None = None
    inners: tuple[Inner, ...] = ()
    pair: tuple[int, str] = (0, "")
    names: list[str] = attrs.field(factory=list)
    table: Mapping[str, int] = attrs.field(factory=dict)
    free: Any = None


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("flag", True, True),
        ("count", 3, 3),
        ("rate", 3, 3.0),
        ("rate", float("inf"), float("inf")),
        ("exact", 0.1, Decimal("0.1")),
        ("exact", "0.10", Decimal("0.1")),
        ("ratio", "1/3", Fraction(1, 3)),
        ("color", "green", Color.GREEN),
        ("color", Color.GREEN, Color.GREEN),
        ("kind", ModelKind.FILL, ModelKind.FILL),
        ("mode", "b", "b"),
        ("day", "2020-01-31", date(2020, 1, 31)),
        ("either", "2020-01-31", date(2020, 1, 31)),
        ("either", "2020-01-31T12:00:00+00:00", datetime.fromisoformat("2020-01-31T12:00:00Z")),
        ("path", "a/b", Path("a/b")),
        ("wait", "5m", 300 * 10**9),
        ("inner", {"size": 1}, Inner(1)),
        ("inner", Inner(2), Inner(2)),
        ("inners", [{"size": 1}, {"size": 2, "name": "y"}], (Inner(1), Inner(2, "y"))),
        ("pair", [1, "a"], (1, "a")),
        ("names", ["a", "b"], ["a", "b"]),
        ("table", {"a": 1}, {"a": 1}),
        ("free", {"a": [1]}, {"a": (1,)}),
    ],
)
def test_values_of_every_type_are_read(key: str, value: object, expected: object) -> None:
    assert getattr(structure({key: value}, Outer), key) == expected


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("flag", 1, "expected true or false, found 1"),
        ("flag", "true", "expected true or false, found 'true'"),
        ("count", "3", "expected a whole number, found '3'"),
        ("count", 3.0, "expected a whole number, found 3.0"),
        ("count", True, "expected a whole number, found True"),
        ("rate", "3", "expected a number, found '3'"),
        ("rate", True, "expected a number, found True"),
        ("rate", float("nan"), "expected a number, found nan"),
        ("rate", 10**400, "expected a number, found 1000"),
        ("exact", "x", "expected a finite number, found 'x'"),
        ("ratio", "1/0", "expected a fraction such as 1/3, found '1/0'"),
        ("color", "rde", "expected one of the allowed values, found 'rde'"),
        ("color", "RED", "expected one of the allowed values, found 'RED'"),
        ("kind", 99, "expected one of the allowed values, found 99"),
        ("mode", "c", "expected one of the allowed values, found 'c'"),
        ("day", "31.1.2020", "expected a date such as 2020-01-31, found '31.1.2020'"),
        ("day", datetime(2020, 1, 31), "expected a date such as 2020-01-31, found datetime"),
        ("moment", "2020-01-31T12:00", "expected an instant such as 2020-01-31T14:30:00Z, found"),
        (
            "either",
            5,
            "expected a date such as 2020-01-31 or an instant such as 2020-01-31T14:30:00Z, found 5",
        ),
        ("path", "s3://bucket/x", "expected a local path, found 's3://bucket/x'"),
        ("path", 5, "expected a local path, found 5"),
        ("wait", 5, "expected a duration such as"),
        ("inner", 5, "expected a table, found 5"),
        ("inners", {"size": 1}, "expected a list, found {'size': 1}"),
        ("pair", [1], "expected a list of 2 values, found [1]"),
        ("table", [1], "expected a table, found [1]"),
        ("table", {1: 1}, "expected a table, found {1: 1}"),
    ],
)
def test_values_of_a_wrong_type_are_refused_with_the_value_found(
    key: str, value: object, message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        structure({key: value}, Outer)
    (finding,) = refused.value.findings
    assert finding.path == key
    assert finding.message.startswith(message)


def test_tables_are_read_as_immutable_mappings() -> None:
    table = structure({"table": {"a": 1}}, Outer).table
    with pytest.raises(TypeError):
        table["b"] = 2  # type: ignore[index]


def test_faults_at_every_depth_are_collected_with_their_paths() -> None:
    document = {
        "cuont": 1,
        "rate": "x",
        "inner": {"size": "1", "nmae": "y"},
        "inners": [{"size": 1}, {}, {"size": None, "extra": 1}],
        "table": {"a": "1", "b": 2, "c": []},
        "pair": ["1", 2],
    }
    with pytest.raises(ConfigError) as refused:
        structure(document, Outer)
    found = {finding.path: (finding.code, finding.nearest) for finding in refused.value.findings}
    assert found == {
        "cuont": ("unknown_key", "count"),
        "rate": ("invalid_type", None),
        "inner.size": ("invalid_type", None),
        "inner.nmae": ("unknown_key", "name"),
        "inners[1].size": ("missing", None),
        "inners[2].size": ("invalid_type", None),
        "inners[2].extra": ("unknown_key", None),
        "table.a": ("invalid_type", None),
        "table.c": ("invalid_type", None),
        "pair[0]": ("invalid_type", None),
        "pair[1]": ("invalid_type", None),
    }


def test_allowed_and_nearest_are_given_for_choices_and_keys() -> None:
    with pytest.raises(ConfigError) as refused:
        structure({"color": "gren", "flagg": 1}, Outer)
    color, key = refused.value.findings
    assert (color.allowed, color.nearest, color.found) == (("red", "green"), "green", "gren")
    assert (key.allowed[:2], key.nearest) == (("flag", "count"), "flag")


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(ConfigError) as refused:
        structure({"count": "x" * 500}, Outer)
    assert len(str(refused.value)) < 200


@attrs.frozen
class Ordered(Checked):
    low: int
    high: int = 10

    @classmethod
    def cross_check(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        if {"low", "high"} <= values.keys() and values["low"] > values["high"]:
            yield Finding(path="low", message=f"above high = {values['high']}")


def test_rules_between_fields_hold_for_files_and_for_python() -> None:
    for make in (lambda: structure({"low": 11}, Ordered), lambda: Ordered(11)):
        with pytest.raises(ConfigError, match="low: above high = 10"):
            make()


def test_rules_between_fields_are_reported_beside_other_faults() -> None:
    with pytest.raises(ConfigError) as refused:
        structure({"low": 11, "extra": 1}, Ordered)
    assert [finding.path for finding in refused.value.findings] == ["extra", "low"]


def test_a_rule_stays_silent_when_a_field_it_needs_is_wrong() -> None:
    with pytest.raises(ConfigError) as refused:
        structure({"low": "11"}, Ordered)
    assert [finding.code for finding in refused.value.findings] == ["invalid_type"]


@attrs.frozen
class Validated:
    rate: float = attrs.field(default=0.0, validator=attrs.validators.ge(0))
    _secret: int = 1


def test_validators_of_attrs_are_findings_too() -> None:
    with pytest.raises(ConfigError) as refused:
        structure({"rate": -1.0}, Validated)
    assert "must be >= 0" in refused.value.findings[0].message


def test_private_fields_have_their_public_name() -> None:
    assert structure({"secret": 2}, Validated)._secret == 2


def test_annotations_that_exist_for_the_type_checker_only_are_explained() -> None:
    @attrs.frozen
    class Unresolvable:
        value: "NotImported"  # type: ignore[name-defined]  # noqa: F821, UP037

    with pytest.raises(TypeError, match="not imported at run time: name 'NotImported'"):
        structure({"value": 1}, Unresolvable)


def test_the_schema_describes_parameters() -> None:
    schema = json_schema(Inner)
    assert schema == {
        "type": "object",
        "properties": {"size": {"type": "integer"}, "name": {"type": "string", "default": "x"}},
        "additionalProperties": False,
        "required": ["size"],
    }
    properties = json_schema(Outer)["properties"]
    assert properties["color"] == {"enum": ["red", "green"]}
    assert properties["inner"] == {"anyOf": [schema, {"type": "null"}]}
    assert properties["inners"] == {"type": "array", "items": schema}
    assert properties["rate"] == {"type": "number", "default": 0.0}
    assert properties["free"] == {}
