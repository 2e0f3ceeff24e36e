"""Latencies: what a configuration may say, and the quantiles that come of it."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import pytest

from ml4t.backtest.latency import Drawn, Latency, VenueLatency
from ml4t.core import ConfigError, DataError
from ml4t.core.config import BrokerSection, load_config
from ml4t.engine.configuration import to_mapping
from ml4t.engine.manifest import canonical_json

MS = 1_000_000
S = 1_000 * MS


def exponential(mean: str, minimum: str | None = None) -> Drawn:
    return Drawn(distribution="exponential", mean=mean, minimum=minimum)


def lognormal(median: str, sigma: float) -> Drawn:
    return Drawn(distribution="lognormal", median=median, sigma=sigma)


TOML = """
[broker.latency]
submit = "5ms"
modify = { distribution = "uniform", low = "1ms", high = "9ms" }
cancel = { quantiles = ["1ms", "2ms", "3ms", "40ms"] }

[broker.latency.venues.XCME]
submit = { distribution = "lognormal", median = "2ms", sigma = 0.5 }
modify = { distribution = "exponential", mean = "1s", minimum = "3s" }
"""
IN_PYTHON = Latency(
    submit="5ms",
    modify=Drawn(distribution="uniform", low="1ms", high=9 * MS),
    cancel={"quantiles": ["1ms", "2ms", "3ms", "40ms"]},
    venues={"XCME": VenueLatency(submit=lognormal("2ms", 0.5), modify=exponential("1s", "3s"))},
)


def faults(latency: object) -> dict[str, Any]:
    with pytest.raises(ConfigError) as refused:
        Latency.of(load_config({"broker": {"latency": latency}}).broker.latency)
    return {finding.path.removeprefix("broker.latency"): finding for finding in refused.value.findings}


@pytest.fixture
def from_file(tmp_path: Path) -> Latency:
    path = tmp_path / "run.toml"
    path.write_text(TOML, encoding="utf-8")
    return Latency.of(load_config(path).broker.latency)


# -- what is said ------------------------------------------------------------------------------------------


def test_a_file_and_python_say_the_same(from_file: Latency) -> None:
    assert from_file == IN_PYTHON
    assert from_file.venues["XCME"].cancel is None


def test_a_duration_is_that_of_all_messages() -> None:
    every = (250 * MS,)
    for given in ("250ms", 250 * MS):
        section = BrokerSection(latency=given)
        assert section.latency == 250 * MS
        assert Latency.of(section.latency).at("XNYS") == {"submit": every, "modify": every, "cancel": every}
    assert to_mapping(load_config({"broker": {"latency": "250ms"}}))["broker"]["latency"] == "250ms"


def test_a_table_survives_the_way_through_a_manifest(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(TOML, encoding="utf-8")
    plain = to_mapping(load_config(path))
    assert plain["broker"]["latency"] == {
        "submit": "5ms",
        "modify": {"distribution": "uniform", "low": "1ms", "high": "9ms"},
        "cancel": {"quantiles": ["1ms", "2ms", "3ms", "40ms"]},
        "venues": {
            "XCME": {
                "submit": {"distribution": "lognormal", "median": "2ms", "sigma": 0.5},
                "modify": {"distribution": "exponential", "mean": "1s", "minimum": "3s"},
            }
        },
    }
    again = load_config(plain)
    assert canonical_json(to_mapping(again)) == canonical_json(plain)
    assert pickle.loads(pickle.dumps(again)) == again
    hash(again.broker.latency)


def test_measured_quantiles_and_a_uniform_distribution_are_their_own_quantiles(from_file: Latency) -> None:
    assert isinstance(from_file.modify, Drawn)
    assert isinstance(from_file.cancel, Drawn)
    assert from_file.modify.quantiles_ns == (MS, 9 * MS)
    assert from_file.cancel.quantiles_ns == (MS, 2 * MS, 3 * MS, 40 * MS)


# -- quantiles ---------------------------------------------------------------------------------------------


def test_quantiles_of_the_exponential_distribution_are_the_logarithms_they_should_be() -> None:
    """At 1/2 ln 2, at the last ln 2048, in seconds beyond the minimum of 3 s."""
    found = exponential("1s", "3s").quantiles_ns
    assert len(found) == 1_025
    assert (found[0], found[512], found[1_024]) == (3 * S, 3 * S + 693_147_181, 3 * S + 7_624_618_986)


def test_quantiles_of_the_lognormal_distribution_are_symmetric_about_the_median() -> None:
    """The normal quantiles of 3/4 and 1 - 1/2048 are 0.67448975 and 3.29719335; exp of half of each."""
    found = lognormal("2ms", 0.5).quantiles_ns
    assert len(found) == 1_025
    # 2 ms x exp(-0.337244875), 2 ms, 2 ms x exp(0.337244875) = 2 ms x 1.401082112, 2 ms x exp(1.648596673)
    assert [found[n] for n in (0, 256, 512, 768, 1_024)] == [0, 1_427_468, 2 * MS, 2_802_164, 10_399_356]


@pytest.mark.parametrize(
    "drawn",
    [
        exponential("1ns"),
        exponential("30d", "1h"),
        lognormal("1ns", 4),
        lognormal("3h", 0.001),
    ],
    ids=str,
)
def test_quantiles_never_decrease(drawn: Drawn) -> None:
    found = drawn.quantiles_ns
    assert list(found) == sorted(found)
    assert found[0] >= 0
    assert all(type(ns) is int for ns in found)


# -- what is refused ---------------------------------------------------------------------------------------

CASES: list[tuple[object, str, str]] = [
    ("-1s", "", "zero or more, found -1s"),
    (5, "", "expected a duration"),
    ("5 parsecs", "", "unknown unit 'parsecs'"),
    ({"submit": {"distribution": "lognormal", "median": "1s", "sigma": math.nan}}, ".submit.sigma", "finite"),
    (None, "", "expected a duration"),
    ({"submit": "-1s"}, ".submit", "zero or more, found -1s"),
    ({"modify": 5}, ".modify", "expected a duration"),
    ({"cancel": ["1s"]}, ".cancel", "expected a duration"),
    ({"submit": {}}, ".submit.quantiles", "required without a distribution, but missing"),
    ({"submit": {"quantiles": "1s"}}, ".submit.quantiles", "expected a list"),
    ({"submit": {"quantiles": []}}, ".submit.quantiles", "required without a distribution"),
    ({"submit": {"quantiles": ["1s"]}}, ".submit.quantiles", "at least two quantiles, found 1"),
    (
        {"submit": {"quantiles": ["2s", "1s"]}},
        ".submit.quantiles[1]",
        "of quantiles[0] (2s) or more",
    ),
    ({"submit": {"quantiles": ["-1s", "1s"]}}, ".submit.quantiles[0]", "zero or more, found -1s"),
    ({"submit": {"quantiles": ["1s", "x"]}}, ".submit.quantiles[1]", "expected a duration"),
    (
        {"submit": {"distribution": "uniform", "high": "1s"}},
        ".submit.low",
        "required of uniform, but missing",
    ),
    (
        {"submit": {"distribution": "uniform", "low": "2s", "high": "1s"}},
        ".submit.high",
        "of low (2s) or more",
    ),
    ({"submit": {"distribution": "uniform", "low": "-2s", "high": "1s"}}, ".submit.low", "zero or more"),
    ({"submit": {"distribution": "exponential", "mean": "0s"}}, ".submit.mean", "above zero, found 0s"),
    ({"submit": {"distribution": "exponential", "mean": "-1s"}}, ".submit.mean", "above zero, found -1s"),
    (
        {"submit": {"distribution": "exponential", "mean": "1s", "minimum": "-1s"}},
        ".submit.minimum",
        "zero or more, found -1s",
    ),
    (
        {"submit": {"distribution": "exponential", "mean": "9000w"}},
        ".submit.mean",
        "within 64 bits, found 9000w",
    ),
    ({"submit": {"distribution": "lognormal", "median": "0s", "sigma": 1}}, ".submit.median", "above zero"),
    (
        {"submit": {"distribution": "lognormal", "median": "1s", "sigma": 0}},
        ".submit.sigma",
        "above 0, up to 4",
    ),
    ({"submit": {"distribution": "lognormal", "median": "1s", "sigma": 4.01}}, ".submit.sigma", "found 4.01"),
    ({"submit": {"distribution": "lognormal", "median": "1s", "sigma": "1"}}, ".submit.sigma", "a number"),
    (
        {"submit": {"distribution": "lognormal", "median": "1d", "sigma": 4}},
        ".submit.median",
        "64 bits, found 1d",
    ),
    ({"venues": "5ms"}, ".venues", "expected a table"),
    ({"venues": {"XCME": "5ms"}}, ".venues.XCME", "expected a table"),
    ({"venues": {"XCME": {"submit": "-5ms"}}}, ".venues.XCME.submit", "zero or more, found -5ms"),
    ({"venues": {"XCME": {"venues": {}}}}, ".venues.XCME.venues", "unknown key"),
]


@pytest.mark.parametrize(("latency", "path", "words"), CASES, ids=[f"{c[1]}: {c[2]}" for c in CASES])
def test_a_fault_names_its_place_and_what_is_allowed(latency: object, path: str, words: str) -> None:
    found = faults(latency)
    assert list(found) == [path]
    assert words in str(found[path])


MESSAGES = ("submit", "modify", "cancel", "model")
KINDS = ("uniform", "exponential", "lognormal")
DRAWN = ("distribution", "quantiles", "low", "high", "mean", "minimum", "median", "sigma")


@pytest.mark.parametrize(
    ("latency", "path", "allowed", "nearest"),
    [
        ({"submitt": "1s"}, ".submitt", ("submit", "modify", "cancel", "model", "venues"), "submit"),
        ({"venues": {"A": {"cancle": "1s"}}}, ".venues.A.cancle", MESSAGES, "cancel"),
        ({"submit": {"distribution": "unifrom"}}, ".submit.distribution", KINDS, "uniform"),
        ({"submit": {"distribution": 3}}, ".submit.distribution", KINDS, None),
        ({"submit": {"distribution": []}}, ".submit.distribution", KINDS, None),
        ({"submit": {"quantile": ["1s", "2s"]}}, ".submit.quantile", DRAWN, "quantiles"),
        ({"submit": {"quantiles": ["1s", "2s"], "sigma": 1}}, ".submit.sigma", ("quantiles",), None),
        (
            {"submit": {"distribution": "uniform", "low": "1s", "high": "2s", "mean": "3s"}},
            ".submit.mean",
            ("low", "high"),
            None,
        ),
    ],
    ids=str,
)
def test_an_unknown_name_lists_those_that_are_known(
    latency: object, path: str, allowed: tuple[str, ...], nearest: str | None
) -> None:
    finding = faults(latency)[path]
    assert (finding.allowed, finding.nearest) == (allowed, nearest)


def test_all_faults_are_reported_at_once() -> None:
    latency = {
        "submit": {"quantiles": ["3s", "2s", "-1s"]},
        "modify": {"distribution": "uniform", "low": "-2s"},
        "cancel": {"distribution": "lognormal", "median": "0s", "sigma": 5, "mu": 1},
        "venues": {"X": {"submit": "-1s", "q": 1}, "Y": {"modify": {"distribution": "poisson"}}},
    }
    assert set(faults(latency)) == {
        ".submit.quantiles[1]",
        ".submit.quantiles[2]",
        ".modify.low",
        ".modify.high",
        ".cancel.median",
        ".cancel.sigma",
        ".cancel.mu",
        ".venues.X.submit",
        ".venues.X.q",
        ".venues.Y.modify.distribution",
    }


def test_python_is_checked_like_a_file() -> None:
    with pytest.raises(ConfigError, match=r"of low \(2s\) or more, found 1s"):
        Drawn(distribution="uniform", low="2s", high="1s")
    with pytest.raises(ConfigError, match="at least two quantiles, found 1"):
        Drawn(quantiles=["1s"])
    with pytest.raises(ConfigError, match="sigma: expected a number above 0, up to 4, found 9"):
        Latency(submit={"distribution": "lognormal", "median": "1s", "sigma": 9})
    with pytest.raises(ConfigError, match="latency: expected a duration of zero or more, found -5ns"):
        BrokerSection(latency=-5)
    with pytest.raises(ConfigError, match="modify: expected a duration of zero or more, found -5ns"):
        VenueLatency(modify=-5)
    with pytest.raises(DataError, match="unknown unit 'x'"):
        exponential("1x")
    with pytest.raises(ConfigError, match=r"found 'unifrom'; allowed: uniform, .* did you mean 'uniform'\?"):
        Drawn(distribution="unifrom", low="1s", high="2s")
