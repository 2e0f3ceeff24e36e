"""Configurations written down and read again, and keys of ml4t 0.1 in them."""

from __future__ import annotations

import json
import re
import textwrap
import warnings
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t import backtest
from ml4t.core.errors import ConfigError, Finding
from ml4t.core.plugins import PluginManager
from ml4t.core.policies import Policies
from ml4t.engine.configuration import FORMER_KEYS, load_config, to_mapping
from ml4t.engine.manifest import canonical_json

TOML = """
[backtest]
name = "momentum"
start_date = "2020-01-01"
end_date = 2024-12-31
base_currency = "USD"
seed = 7
run_manifest = "run_manifest.json"

[broker]
initial_cash = 100000.0
commission_model = { type = "FixedPerShare", fee = 0.005 }
slippage_model = { type = "VolumeShare", volume_limit = 0.025, price_impact = 0.1 }
latency = "5ms"

[broker.policies]
fill_timing = "next_close"

[[instruments]]
symbol = "NO"
fractional = true

[[instruments]]
symbol = "ON"
tick_size = "0.05"
matching_source = "daily"

[[data_feeds]]
name = "daily"
type = "ParquetFeed"
path = "../data/us_equity_daily.parquet"
stamp = "close"
interval = "1d"
columns = { close = "Adj Close" }
symbols = ["NO", "ON"]

[[signal_sources]]
name = "ml"
type = "ParquetSignalSource"
path = "signals.parquet"

[[corporate_actions]]
name = "actions"
path = "actions.csv"

[[strategies]]
name = "mine"
type = "strategies/momentum.py:Momentum"
params = { lookback = 252, weights = [0.5, 0.5] }
"""

YAML = """
backtest:
  name: momentum
  start_date: 2020-01-01
  end_date: 2024-12-31
  base_currency: USD
  seed: 7
  run_manifest: run_manifest.json
broker:
  initial_cash: 100000.0
  commission_model: {type: FixedPerShare, fee: 0.005}
  slippage_model: {type: VolumeShare, volume_limit: 0.025, price_impact: 0.1}
  latency: 5ms
  policies: {fill_timing: next_close}
instruments:
  - {symbol: NO, fractional: true}
  - {symbol: ON, tick_size: 0.05, matching_source: daily}
data_feeds:
  - name: daily
    type: ParquetFeed
    path: ../data/us_equity_daily.parquet
    stamp: close
    interval: 1d
    columns: {close: Adj Close}
    symbols: [NO, ON]
signal_sources:
  - {name: ml, type: ParquetSignalSource, path: signals.parquet}
corporate_actions:
  - {name: actions, path: actions.csv}
strategies:
  - name: mine
    type: strategies/momentum.py:Momentum
    params: {lookback: 252, weights: [0.5, 0.5]}
"""

FEED = {"name": "f", "type": "CsvFeed", "path": "f.csv", "stamp": "session"}


def written(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def faults(document: Any, **options: Any) -> dict[str, Any]:  # noqa: ANN401
    with pytest.raises(ConfigError) as refused:
        load_config(document, **options)
    return {finding.path: finding for finding in refused.value.findings}


# -- written down ------------------------------------------------------------------------------------------


def test_toml_and_yaml_of_one_content_are_one_text(tmp_path: Path) -> None:
    files = (written(tmp_path, "run.toml", TOML), written(tmp_path, "run.yaml", YAML))
    assert len({canonical_json(to_mapping(load_config(file))) for file in files}) == 1


@pytest.mark.parametrize("name", [field.name for field in attrs.fields(Policies)])
def test_every_value_of_a_policy_is_written_as_it_is_given(name: str) -> None:
    # Sizes ahead count only where prints at the limit fill, and a path without an open cannot fill there.
    needed = {"queue_position": {"print_fills": "touch"}, "path": {"fill_timing": "next_close"}}
    beside = needed.get(name, {})
    for member in type(getattr(Policies(), name)):
        config = load_config({"broker": {"policies": beside | {name: member.value}}})
        assert to_mapping(config)["broker"]["policies"][name] == member.value


def test_the_address_of_a_feed_is_written_as_it_was_given(tmp_path: Path) -> None:
    text = """
        [[data_feeds]]
        name = "a"
        uri = "folder:prices"
        stamp = "session"
        [[data_feeds]]
        name = "b"
        type = "acme:desk"
        path = "desk://host/table?day=1"
        stamp = "session"
        options = { columns = ["close"], limit = 3 }
    """
    config = load_config(written(tmp_path, "run.toml", text))
    plain = to_mapping(config)["data_feeds"]
    assert [feed["path"] for feed in plain] == ["folder:prices", "desk://host/table?day=1"]
    assert [(feed["type"], feed["options"]) for feed in plain] == [
        (None, {}),
        ("acme:desk", {"columns": ["close"], "limit": 3}),
    ]
    assert load_config(to_mapping(config), root=tmp_path) == config


def test_the_file_a_configuration_was_read_from_is_not_written(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "run.toml", "[backtest]\nseed = 3\n"))
    assert config.origin.name
    assert not {"origin", "root"} & to_mapping(config).keys()


def test_the_mapping_of_a_configuration_loads_to_the_same(tmp_path: Path) -> None:
    config = load_config(written(tmp_path / "a", "run.toml", TOML))
    plain = to_mapping(config)
    assert load_config(json.loads(json.dumps(plain)), root=config.root) == config


def test_a_copy_of_the_folder_has_the_same_mapping_and_no_absolute_path(tmp_path: Path) -> None:
    texts = set()
    for folder in ("a", "somewhere/else"):
        config = load_config(written(tmp_path / folder, "run.toml", TOML))
        texts.add(canonical_json(to_mapping(config)))
        assert not any(str(tmp_path) in text for text in texts)
    assert len(texts) == 1


def test_any_change_changes_the_mapping() -> None:
    texts = {
        canonical_json(to_mapping(load_config(document)))
        for document in (
            {},
            {"backtest": {"seed": 1}},
            {"broker": {"initial_cash": "100000.01"}},
            {"broker": {"commission_model": {"type": "NoFee", "x": 1}}},
            {"strategies": [{"name": "a", "type": "m:C"}]},
        )
    }
    assert len(texts) == 5


def test_the_mapping_does_not_depend_on_the_spelling_of_numbers_or_the_order_of_keys() -> None:
    one = {"broker": {"initial_cash": 50000, "leverage": "2.0"}, "backtest": {"seed": 1, "name": "x"}}
    two = {"backtest": {"name": "x", "seed": 1}, "broker": {"leverage": 2, "initial_cash": "50000.00"}}
    assert canonical_json(to_mapping(load_config(one))) == canonical_json(to_mapping(load_config(two)))


# -- read again --------------------------------------------------------------------------------------------

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def leaves(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401
    children = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    return [path, *(leaf for key, child in children for leaf in leaves(child, (*path, key)))]


@given(st.data())
def test_whatever_stands_in_a_place_loading_succeeds_or_locates_the_fault(data: st.DataObject) -> None:
    document = to_mapping(load_config({"data_feeds": [FEED], "instruments": [{"symbol": "A"}]}))
    path = data.draw(st.sampled_from([leaf for leaf in leaves(document) if leaf]))
    junk = data.draw(JUNK)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = junk
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            load_config(document)
        except ConfigError as error:
            assert all(finding.path for finding in error.findings)
            assert all(
                finding.path.startswith(path[0]) or finding.path.startswith("instruments")
                for finding in error.findings
            )


@given(st.data())
def test_a_misspelled_key_is_always_found_and_its_name_suggested(data: st.DataObject) -> None:
    document = to_mapping(load_config({"data_feeds": [FEED]}))
    section = data.draw(st.sampled_from(["backtest", "broker", "report"]))
    key = data.draw(st.sampled_from([key for key in document[section] if len(key) > 4]))
    position = data.draw(st.integers(1, len(key) - 2))
    wrong = key[:position] + key[position + 1 :]
    document[section][wrong] = document[section].pop(key)
    finding = faults(document)[f"{section}.{wrong}"]
    assert finding.nearest is not None
    assert key in finding.allowed


# -- keys of ml4t 0.1 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(FORMER_KEYS))
@pytest.mark.parametrize("section", [(), ("broker",), ("broker", "policies"), ("backtest",)])
def test_a_key_of_the_first_ml4t_is_refused_by_name_with_what_took_its_place(
    name: str, section: tuple[str, ...]
) -> None:
    document: dict[str, Any] = {name: "next_bar"}
    for key in reversed(section):
        document = {key: document}
    finding = faults(document)[".".join((*section, name))]
    assert finding.message.startswith("a key of ml4t 0.1, which is no longer read; ")
    assert FORMER_KEYS[name] in finding.message
    assert (finding.code, finding.allowed, finding.nearest) == ("unknown_key", (), None)


def test_what_took_the_place_of_a_key_is_there() -> None:
    known = {f"broker.policies.{field.name}" for field in attrs.fields(Policies)} | {"broker.buying_power"}
    named = {path for text in FORMER_KEYS.values() for path in re.findall(r"broker\.[a-z_.]+", text)}
    assert len(named) > 4
    assert named <= known


def test_a_key_of_the_first_ml4t_is_told_of_with_file_and_line_beside_all_other_faults(
    tmp_path: Path,
) -> None:
    text = "[backtest]\nseed = -1\n[broker]\nexecution_mode = 'next_bar'\ninital_cash = 5\n"
    path = written(tmp_path, "run.toml", text)
    with pytest.raises(ConfigError) as refused:
        load_config(path)
    assert refused.value.source == str(path)
    assert {f.path: (f.line, f.nearest) for f in refused.value.findings} == {
        "backtest.seed": (2, None),
        "broker.execution_mode": (4, None),
        "broker.inital_cash": (5, "initial_cash"),
    }


def test_the_front_door_tells_of_keys_of_the_first_ml4t() -> None:
    message = "broker.share_type: a key of ml4t 0.1, which is no longer read; an instrument says it"
    with pytest.raises(ConfigError, match=message):
        backtest.load_config({"broker": {"share_type": "fractional"}})


def test_why_a_file_cannot_be_read_stays_the_cause(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read") as refused:
        load_config(tmp_path / "gone.toml")
    assert isinstance(refused.value.__cause__, OSError)


def test_root_check_and_plugins_are_handed_to_the_kernel(tmp_path: Path) -> None:
    assert load_config({"data_feeds": [FEED]}, root=tmp_path).data_feeds[0].path == tmp_path / "f.csv"
    own = Finding(path="backtest.name", message="not so")
    found = faults({}, check=lambda _: [own], plugins=PluginManager(environ={}))
    assert found["backtest.name"] == own
    # Without plugins nothing offers the models of a run.
    assert found["broker.fill_model.type"].code == "unknown_name"
