"""The run manifest."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml4t.core import ConfigError
from ml4t.core.config import load_config
from ml4t.engine.configuration import to_mapping
from ml4t.engine.manifest import (
    InputFile,
    ModelUse,
    build_manifest,
    canonical_json,
    installed_versions,
    sha256_file,
    validate_manifest,
)

USE = ModelUse(
    kind="fee",
    type="fees:PerShare",
    plugin="fees",
    distribution="attrs",
    version="1",
    path="builtin",
    params={"fee": 1.0},
)


def build(tmp_path: Path, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    prices = tmp_path / "prices.csv"
    prices.write_bytes(b"a,b\n1,2\n")
    config = load_config({"backtest": {"seed": 3}})
    parts: dict[str, Any] = {
        "config": to_mapping(config),
        "seed": 3,
        "inputs": [InputFile.of(prices, name="data/prices.csv"), InputFile.of(prices, name="a.csv")],
        "models": [attrs.evolve(USE, kind="fill"), USE],
        "extra": {"rules_version": 1},
    }
    return build_manifest(**(parts | changes))


def test_a_manifest_holds_all_that_decides_a_result(tmp_path: Path) -> None:
    manifest = build(tmp_path)
    assert manifest["config"]["backtest"]["seed"] == manifest["seed"] == 3
    text = canonical_json(to_mapping(load_config({"backtest": {"seed": 3}})))
    assert manifest["config_sha256"] == hashlib.sha256(text.encode()).hexdigest()
    digest = hashlib.sha256(b"a,b\n1,2\n").hexdigest()
    assert manifest["inputs"] == [
        {"name": "a.csv", "sha256": digest, "size": 8},
        {"name": "data/prices.csv", "sha256": digest, "size": 8},
    ]
    assert [(model["kind"], model["path"]) for model in manifest["models"]] == [
        ("fee", "builtin"),
        ("fill", "builtin"),
    ]
    assert manifest["versions"]["attrs"] == metadata.version("attrs")
    assert manifest["versions"]["polars"] == metadata.version("polars")
    assert manifest["rules_version"] == 1
    validate_manifest(manifest)


def test_a_manifest_is_the_same_text_whatever_the_order_of_its_parts(tmp_path: Path) -> None:
    one = build(tmp_path)
    prices = tmp_path / "prices.csv"
    inputs = [InputFile.of(prices, name="a.csv"), InputFile.of(prices, name="data/prices.csv")]
    assert canonical_json(build(tmp_path, inputs=inputs)) == canonical_json(one)


def test_one_changed_byte_of_an_input_changes_its_hash(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"a" * 3_000_000)
    before = sha256_file(tmp_path / "x")
    assert before == hashlib.sha256(b"a" * 3_000_000).hexdigest()
    (tmp_path / "x").write_bytes(b"a" * 2_999_999 + b"b")
    assert sha256_file(tmp_path / "x") != before


def test_an_extra_entry_cannot_replace_one_of_the_kernel(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'seed'"):
        build(tmp_path, extra={"seed": 4})


def test_an_absolute_input_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"inputs\[0\]\.name: an absolute path"):
        build(tmp_path, inputs=[InputFile(name="/data/x.csv", sha256="0" * 64, size=1)])


def test_all_faults_of_a_manifest_are_reported(tmp_path: Path) -> None:
    manifest = build(tmp_path)
    manifest |= {
        "seed": "3",
        "inputs": [{"name": "a"}, {"name": "b", "sha256": "xyz", "size": 1}],
        "manifest_version": 2,
    }
    del manifest["models"]
    with pytest.raises(ConfigError) as refused:
        validate_manifest(manifest)
    paths = {finding.path for finding in refused.value.findings}
    assert paths == {"seed", "inputs[0]", "inputs[1].sha256", "manifest_version", "models"}


def test_versions_are_those_of_installed_distributions_only() -> None:
    assert installed_versions(["attrs", "no-such-distribution"]) == {"attrs": metadata.version("attrs")}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(PLAIN)
def test_canonical_json_gives_equal_content_back(value: Any) -> None:  # noqa: ANN401
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


def test_canonical_json_has_one_text_per_number_and_order() -> None:
    assert canonical_json({"b": 1.0, "a": [0.1, -0.0, 1e300, 2.5]}) == '{"a":[0.1,0,1e+300,2.5],"b":1}'
    assert canonical_json({"é": 1}, indent=2) == '{\n  "é": 1\n}'


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_json_cannot_write_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"x": value})


def test_the_text_of_a_configuration_does_not_depend_on_the_process() -> None:
    code = (
        "from ml4t.engine.configuration import load_config, to_mapping;"
        "from ml4t.engine.manifest import canonical_json;"
        "document = {'broker': {'fee_model': {'type': 'A', 'x': 1, 'y': 2, 'z': 3}}};"
        "print(canonical_json(to_mapping(load_config(document))))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("0", "1", "99")
    }  # fmt: skip
    assert len(outputs) == 1
