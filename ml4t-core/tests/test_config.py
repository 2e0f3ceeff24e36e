"""Configuration of a run."""

from __future__ import annotations

import copy
import pickle
import textwrap
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from ml4t.core import ConfigError, Instrument, LotPolicy
from ml4t.core.config import (
    BacktestSection,
    BrokerSection,
    FeedSection,
    NativePolicy,
    Origin,
    RecordCadence,
    RunConfig,
    load_config,
)
from ml4t.core.errors import Finding
from ml4t.core.plugins import PluginManager
from ml4t.core.policies import FillTiming, Policies

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

NO_FEE = {"type": "NoFee"}
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


def test_a_toml_file_becomes_frozen_sections(tmp_path: Path) -> None:
    config = load_config(written(tmp_path / "a", "run.toml", TOML))
    assert config.backtest.start_date == date(2020, 1, 1)
    assert config.backtest.end_date == date(2024, 12, 31)
    assert config.broker.initial_cash == Decimal(100_000)
    assert config.broker.commission_model == {"type": "FixedPerShare", "fee": 0.005}
    assert config.broker.latency == 5_000_000
    assert config.broker.policies == Policies(fill_timing=FillTiming.NEXT_CLOSE)
    assert config.instruments[0] == Instrument.fractional("NO")
    assert config.instruments[1].tick_size == Decimal("0.05")
    assert config.data_feeds[0].interval == "1d"
    assert config.strategies[0].params == {"lookback": 252, "weights": (0.5, 0.5)}
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        config.backtest.seed = 8  # type: ignore[misc]


def test_defaults_are_the_documented_ones() -> None:
    config = load_config({})
    assert config == RunConfig()
    assert (config.backtest.record, config.backtest.native) == (RecordCadence.AUTO, NativePolicy.PREFER)
    assert (config.broker.lot_policy, config.broker.allows_short) == (LotPolicy.FIFO, False)
    assert [config.broker.fill_model["type"], config.broker.slippage_model["type"]] == [
        "Default",
        "NoSlippage",
    ]
    assert config.broker.commission_model["type"] == "NoFee"
    assert config.broker.posting_quantum == Decimal("1e-9")
    assert {
        field.name: getattr(config.broker.policies, field.name).value for field in attrs.fields(Policies)
    } == {
        "fill_timing": "next_open",
        "limit_touch": "touch",
        "limit_gap": "open_if_better",
        "stop_gap": "open",
        "fill_order": "submission",
        "quote_fill": "next",
        "limit_slippage": "none",
        "insufficient_cash": "reject",
        "zero_volume": "no_fill",
        "tick_rounding": "reject",
        "trail_basis": "high_low",
        "path": "worst",
        "same_bar_exit": "allow",
        "order_inside_bar": "next_bar",
        "target_orders": "counted",
        "target_rounding": "position",
        "lot_rounding": "reject",
        "print_fills": "none",
        "queue_position": "none",
    }


def test_toml_and_yaml_of_one_content_are_one_configuration(tmp_path: Path) -> None:
    toml = load_config(written(tmp_path, "run.toml", TOML))
    yaml = load_config(written(tmp_path, "run.yaml", YAML))
    assert toml == yaml


def test_tickers_that_old_yaml_takes_for_booleans_stay_text(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "run.yml", YAML))
    assert [instrument.symbol for instrument in config.instruments] == ["NO", "ON"]


def test_yaml_times_keep_their_zone(tmp_path: Path) -> None:
    text = "backtest: {start_date: 2020-01-01T09:30:00-05:00}"
    config = load_config(written(tmp_path, "run.yaml", text))
    assert config.backtest.start_date == datetime(2020, 1, 1, 14, 30, tzinfo=UTC)


def test_dates_in_free_parameters_are_dates_in_both_formats(tmp_path: Path) -> None:
    toml = '[[strategies]]\nname = "s"\ntype = "m:C"\nparams = { day = 2020-01-31 }\n'
    yaml = "strategies: [{name: s, type: 'm:C', params: {day: 2020-01-31}}]"
    configs = [load_config(written(tmp_path, n, t)) for n, t in (("a.toml", toml), ("a.yaml", yaml))]
    assert [config.strategies[0].params["day"] for config in configs] == [date(2020, 1, 31)] * 2
    assert configs[0] == configs[1]


def test_relative_paths_count_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "conf", "run.toml", TOML)
    monkeypatch.chdir(tmp_path)
    config = load_config("conf/run.toml")
    assert config.root == tmp_path / "conf"
    assert config.data_feeds[0].path.is_absolute()
    assert config.data_feeds[0].path.resolve() == tmp_path / "data/us_equity_daily.parquet"
    assert config.backtest.output_folder == tmp_path / "conf/runs/momentum"


def test_a_mapping_leaves_paths_alone_unless_it_gets_a_root(tmp_path: Path) -> None:
    document = {"data_feeds": [FEED]}
    assert load_config(document).data_feeds[0].path == Path("f.csv")
    assert load_config(document, root=tmp_path).data_feeds[0].path == tmp_path / "f.csv"


def test_loading_does_not_change_the_document() -> None:
    document = {"instruments": [{"symbol": "A", "fractional": True}], "data_feeds": [FEED]}
    before = copy.deepcopy(document)
    load_config(document)
    assert document == before


def test_a_configuration_can_be_pickled_and_hashed(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "run.toml", TOML))
    assert pickle.loads(pickle.dumps(config)) == config
    assert hash(config) == hash(load_config(tmp_path / "run.toml"))


def test_everything_wrong_is_reported_at_once_with_lines(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "run.toml",
        """\
        [backtest]
        base_curency = "USD"
        seed = -1
        [broker]
        lot_policy = "fifoo"
        commission_model = { typ = "PerShare" }
        [broker.policies]
        fill_timing = "next_opn"
        [[data_feeds]]
        name = "us"
        type = "ParquetFed"
        path = "us.parquet"
        stamp = "close"
        [[data_feeds]]
        name = "eu"
        type = "ParquetFeed"
        path = "eu.parquet"
        stamp = "close"
        interval = "1d"
        [[strategies]]
        name = "s"
        type = "Declarative"
        [raport]
        """,
    )
    found = faults(path)
    assert {path: (f.code, f.nearest, f.line) for path, f in found.items()} == {
        "backtest.base_curency": ("unknown_key", "base_currency", 2),
        "backtest.seed": ("invalid_value", None, 3),
        "broker.lot_policy": ("invalid_value", "fifo", 5),
        "broker.commission_model.type": ("missing", None, None),
        "broker.policies.fill_timing": ("invalid_value", "next_open", 8),
        "data_feeds[0].interval": ("missing", None, None),
        "strategies[0].type": ("invalid_value", None, None),
        "raport": ("unknown_key", "report", 23),
    }
    with pytest.raises(ConfigError, match=r"run\.toml: 8 problems"):
        load_config(path)


def test_the_address_of_a_feed_is_a_path_from_the_folder_of_the_file_or_as_it_is_written(
    tmp_path: Path,
) -> None:
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
    assert [feed.path for feed in config.data_feeds] == [
        tmp_path / "folder:prices",
        "desk://host/table?day=1",
    ]
    assert [(feed.type, feed.options) for feed in config.data_feeds] == [
        (None, {}),
        ("acme:desk", {"columns": ("close",), "limit": 3}),
    ]


def test_a_line_is_given_only_when_it_is_certain(tmp_path: Path) -> None:
    text = "data_feeds:\n  - {name: a, stamp: x}\n  - {name: b, stamp: y}\nbacktest:\n  recrod: auto\n"
    found = faults(written(tmp_path, "run.yaml", text))
    assert found["backtest.recrod"].line == 5
    assert found["data_feeds[1].stamp"].line is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[broker]\n\n[broker.latency.venues.XNYX]\nsubmit = '1s'\n", 3),
        ('[broker]\n\n  [ broker.latency.venues."XNYX" ]\n', 3),
        ("[broker.latency.venues]\nXNYX = { submit = '1s' }\n", 2),
        ("[broker.latency.venues.XNYX.submit]\nquantiles = ['1s', '2s']\n", None),
        ("symbols = [\n  ['A', 'XNYX']\n]\n", None),
        ("[a.XNYX]\n[b.XNYX]\n", None),
    ],
)
def test_a_fault_found_later_has_the_file_and_the_line_of_its_key_or_table(
    text: str, line: int | None
) -> None:
    origin = Origin("run.toml", text)
    config = attrs.evolve(RunConfig(), origin=origin)
    error = config.refused([Finding(path="broker.latency.venues.XNYX", message="wrong")])
    assert (error.source, error.findings[0].line) == ("run.toml", line)
    nothing = RunConfig().refused([Finding(path="broker.latency", message="wrong")])
    assert (nothing.source, str(nothing)) == (None, "broker.latency: wrong")


def test_a_configuration_knows_the_file_it_was_read_from_and_equals_one_from_elsewhere(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, "run.toml", "[backtest]\nseed = 3\n")
    config = load_config(path)
    path.write_text("# changed since\n", encoding="utf-8")
    again = pickle.loads(pickle.dumps(config))
    for each in (config, again):
        assert str(each.refused([Finding(path="backtest.seed", message="wrong")])) == (
            f"{path}: backtest.seed: wrong (line 2)"
        )
    assert config == load_config({"backtest": {"seed": 3}}, root=tmp_path)


def test_a_key_that_resembles_none_gets_no_hint() -> None:
    finding = faults({"broker": {"commission_per_share": 0.005}})["broker.commission_per_share"]
    assert (finding.message, finding.nearest) == ("unknown key", None)
    assert "commission_model" in finding.allowed


@pytest.mark.parametrize(
    ("document", "path", "words"),
    [
        ({"backtest": {"start_date": "2020-01-02", "end_date": "2020-01-01"}}, "backtest.end_date", "before"),
        ({"backtest": {"start_date": "2020-01-01T09:30:00"}}, "backtest.start_date", "expected a date"),
        ({"backtest": {"seed": 2**64}}, "backtest.seed", "2\\*\\*64"),
        ({"backtest": {"run_manifest": "a/b.json"}}, "backtest.run_manifest", "without a folder"),
        ({"backtest": {"run_manifest": "metrics.json"}}, "backtest.run_manifest", "none of metrics.json"),
        ({"backtest": {"run_manifest": "a.parquet"}}, "backtest.run_manifest", "ends with .json"),
        ({"backtest": {"name": " "}}, "backtest.name", "expected a name"),
        ({"backtest": {"engine": 1}}, "backtest.engine", "expected"),
        ({"backtest": {"required_plugins": ["a b"]}}, "backtest.required_plugins\\[0\\]", "requirement"),
        ({"broker": {"initial_cash": 0}}, "broker.initial_cash", "above zero"),
        ({"broker": {"leverage": -1}}, "broker.leverage", "above zero"),
        ({"broker": {"posting_quantum": "0.05"}}, "broker.posting_quantum", "power of ten"),
        ({"broker": {"posting_quantum": "10"}}, "broker.posting_quantum", "power of ten"),
        ({"broker": {"posting_quantum": "1e-19"}}, "broker.posting_quantum", "power of ten"),
        ({"broker": {"latency": "-1s"}}, "broker.latency", "zero or more"),
        ({"broker": {"latency": 5}}, "broker.latency", "expected a duration"),
        ({"broker": {"fill_model": "Default"}}, "broker.fill_model", "expected a table"),
        ({"broker": {"fee_model": NO_FEE, "commission_model": NO_FEE}}, "broker.fee_model", "given twice"),
        (
            {"data_feeds": [FEED | {"kind": "quote", "stamp": "open"}]},
            "data_feeds\\[0\\].stamp",
            "no stamp of a quote",
        ),
        ({"data_feeds": [FEED | {"kind": "quote"}]}, "data_feeds\\[0\\].stamp", "no stamp of a quote"),
        ({"data_feeds": [FEED | {"stamp": "open"}]}, "data_feeds\\[0\\].interval", "required for bars"),
        ({"data_feeds": [FEED | {"interval": "1M"}]}, "data_feeds\\[0\\].interval", "unit 'M'"),
        ({"data_feeds": [FEED | {"interval": "0m"}]}, "data_feeds\\[0\\].interval", "above zero"),
        ({"data_feeds": [FEED | {"path": "s3://b/x"}]}, "data_feeds\\[0\\].path", "local path"),
        ({"data_feeds": [FEED | {"uri": "a.csv"}]}, "data_feeds\\[0\\].uri", "given twice, also as 'path'"),
        ({"data_feeds": [FEED | {"type": 3}]}, "data_feeds\\[0\\].type", "expected a text"),
        ({"data_feeds": [FEED | {"options": 3}]}, "data_feeds\\[0\\].options", "expected a table"),
        ({"data_feeds": [FEED, FEED]}, "data_feeds\\[1\\].name", "already used by data_feeds\\[0\\]"),
        ({"data_feeds": [FEED | {"instrument_defaults": {"t": 1}}]}, "data_feeds.*_defaults.t", "unknown"),
        ({"instruments": [{"symbol": "A", "lot_size": 0.1}]}, "instruments\\[0\\].lot_size", "needs"),
        ({"instruments": [{"symbol": "A", "fractional": 1}]}, "instruments\\[0\\].fractional", "unknown key"),
        ({"instruments": [{"symbol": "A"}, {"symbol": "A"}]}, "instruments\\[1\\].symbol", "already used"),
        ({"config_version": 2}, "config_version", "upgrade ml4t-core"),
        ({"broker": 5}, "broker", "expected a table"),
        ({"strategies": {"name": "a"}}, "strategies", "expected a list"),
    ],
)  # fmt: skip
def test_a_fault_is_located_and_explained(document: dict[str, Any], path: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"^{path}: .*{words}"):
        load_config(document)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("stop_gap", ("open", "at_stop")),
        ("fill_order", ("submission", "exits_first")),
        ("quote_fill", ("next", "standing")),
        ("print_fills", ("none", "touch", "through")),
        ("queue_position", ("none", "size_ahead")),
    ],
)
def test_a_policy_takes_its_values_and_names_them_where_it_is_given_another(
    name: str, values: tuple[str, ...]
) -> None:
    # Sizes ahead count only where prints at the limit fill.
    beside = {"print_fills": "touch"} if name == "queue_position" else {}
    for value in values:
        config = load_config({"broker": {"policies": beside | {name: value}}})
        assert getattr(config.broker.policies, name).value == value
    path = f"broker.policies.{name}"
    finding = faults({"broker": {"policies": {name: "at_opn"}}})[path]
    assert (finding.code, finding.found, tuple(finding.allowed)) == ("invalid_value", "at_opn", values)


@pytest.mark.parametrize("prints", [None, "none", "through"])
def test_sizes_ahead_are_refused_where_prints_at_the_limit_fill_nothing(prints: str | None) -> None:
    policies = {"queue_position": "size_ahead"} | ({} if prints is None else {"print_fills": prints})
    finding = faults({"broker": {"policies": policies}})["broker.policies.queue_position"]
    assert f"print_fills = {prints or 'none'!r}; set print_fills = 'touch' as well" in finding.message
    assert finding.found == "size_ahead"


def test_a_matching_source_must_be_a_feed() -> None:
    document = {"data_feeds": [FEED], "instruments": [{"symbol": "A", "matching_source": "ff"}]}
    finding = faults(document)["instruments[0].matching_source"]
    assert (finding.allowed, finding.nearest) == (("f",), "f")


def test_python_and_files_obey_the_same_rules() -> None:
    with pytest.raises(ConfigError, match="above zero"):
        BrokerSection(initial_cash=-1)
    with pytest.raises(ConfigError, match="required for bars"):
        FeedSection(
            **FEED
            | {
                "stamp": load_config({"data_feeds": [FEED | {"interval": "1d", "stamp": "open"}]})
                .data_feeds[0]
                .stamp
            }
        )
    assert BacktestSection(output="x/{name}").output_folder == Path("x/backtest")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("run.toml", "[backtest\nseed = 1", "line 1"),
        ("run.toml", "seed = 1\nseed = 2", "Cannot overwrite a value"),
        ("run.yaml", "a: [1\nb: 2", "line 2"),
        ("run.yaml", "a: 1\na: 2", "duplicate key"),
        ("run.yaml", "- 1\n- 2", "expected sections"),
        ("run.yaml", "a: !!python/object:os.system {}", "constructor"),
        ("run.json", "{}", "expected a .toml, .yaml or .yml file, found '.json'"),
    ],
)
def test_a_broken_file_is_one_clear_error(tmp_path: Path, name: str, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(written(tmp_path, name, text))
    assert words in str(refused.value)
    assert name in str(refused.value)


def test_a_file_that_is_missing_or_no_text_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: cannot be read: No such file"):
        load_config(tmp_path / "gone.toml")
    (tmp_path / "latin.toml").write_bytes(b'[backtest]\nname = "caf\xe9"')
    with pytest.raises(ConfigError, match=r"latin\.toml.*utf-8"):
        load_config(tmp_path / "latin.toml")


def test_an_empty_file_and_a_byte_order_mark_are_fine(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, "empty.yaml", "")).broker == BrokerSection()
    (tmp_path / "bom.toml").write_bytes(b"\xef\xbb\xbf[backtest]\nseed = 3\n")
    assert load_config(tmp_path / "bom.toml").backtest.seed == 3


def test_a_fault_that_two_checks_see_is_told_of_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({"backtest": {"required_plugins": ["!!"]}}, plugins=PluginManager(environ={}))
    paths = [finding.path for finding in caught.value.findings]
    assert paths.count("backtest.required_plugins[0]") == 1
