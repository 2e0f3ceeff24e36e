"""The exception tree and its messages."""

from __future__ import annotations

import inspect
import pickle

import pytest

from ml4t.core import errors
from ml4t.core.errors import ConfigError, Finding, Ml4tError, UnknownNameError, nearest, unknown_name

TREE = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, Exception)]


def test_every_error_derives_from_the_one_root() -> None:
    assert [cls for cls in TREE if not issubclass(cls, (Ml4tError, Warning))] == []
    assert len(TREE) > 15


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("ConfigError", ValueError),
        ("DataError", ValueError),
        ("OrderError", ValueError),
        ("UnknownNameError", KeyError),
        ("StaleViewError", RuntimeError),
        ("EngineStateError", RuntimeError),
        ("NumericOverflowError", OverflowError),
    ],
)
def test_errors_are_the_builtin_a_caller_expects(name: str, builtin: type[Exception]) -> None:
    assert issubclass(getattr(errors, name), builtin)


def test_a_finding_reads_as_a_sentence() -> None:
    finding = Finding(
        path="broker.policies.fill_timing",
        message="expected one of the allowed values, found 'next_opn'",
        allowed=("next_open", "next_close"),
        nearest="next_open",
        line=7,
        plugin="acme",
    )
    assert str(finding) == (
        "broker.policies.fill_timing: expected one of the allowed values, found 'next_opn'; allowed:"
        " next_open, next_close; did you mean 'next_open'? (line 7) [plugin acme]"
    )


@pytest.mark.parametrize(
    ("path", "prefix", "joined"),
    [("b", "a", "a.b"), ("[0].b", "a", "a[0].b"), ("", "a", "a"), ("b", "", "b"), ("b", "[0]", "[0].b")],
)
def test_paths_are_joined(path: str, prefix: str, joined: str) -> None:
    assert Finding(path=path, message="m").under(prefix).path == joined


def test_a_config_error_shows_all_findings_and_its_source() -> None:
    error = ConfigError([Finding(path="a", message="one"), Finding(path="b", message="two")], "run.toml")
    assert str(error) == "run.toml: 2 problems\n  a: one\n  b: two"
    assert str(ConfigError("only this")) == "only this"
    assert str(ConfigError(Finding(path="a", message="one"), "run.toml")) == "run.toml: a: one"


def test_a_config_error_survives_the_way_to_another_process() -> None:
    error = ConfigError([Finding(path="a", message="one")], "run.toml")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.findings, copy.source, str(copy)) == (error.findings, error.source, str(error))


def test_an_unknown_name_is_shown_without_quotes_around_the_message() -> None:
    error = unknown_name("symbol", "AAPLE", ["MSFT", "AAPL"])
    assert isinstance(error, UnknownNameError)
    assert str(error) == "unknown symbol 'AAPLE'; known: AAPL, MSFT; did you mean 'AAPL'?"


def test_a_long_list_of_known_names_is_cut() -> None:
    assert str(unknown_name("symbol", "?", [f"S{i:03}" for i in range(500)])).endswith("S019 and 480 more")


@pytest.mark.parametrize(
    ("name", "known", "guess"),
    [
        ("volumeshare", ["VolumeShare", "Spread"], "VolumeShare"),
        ("zzz", ["VolumeShare"], None),
        ("x", [], None),
        # A letter changed, two exchanged, a word cut short or drawn out.
        ("XYY", ["ABC", "XYZ"], "XYZ"),
        ("XNYX", ["XNAS", "XNYS"], "XNYS"),
        ("rsut", ["rust"], "rust"),
        ("warn", ["debug", "warning"], "warning"),
        ("slippage", ["fill_model", "slippage_model"], "slippage_model"),
        ("opening", ["open", "close"], "open"),
        # Words in common are not the same word.
        ("execution_mode", ["fee_model", "fill_model"], None),
        ("commission_per_share", ["commission_model"], None),
        ("PerTrade", ["PerShare"], None),
        ("AAPL", ["A"], None),
    ],
)
def test_the_nearest_name_ignores_case_and_is_none_where_none_is_close(
    name: str, known: list[str], guess: str | None
) -> None:
    assert nearest(name, known) == guess
