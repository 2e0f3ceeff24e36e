"""The registration: names, schemas and examples."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import ml4t.margin
from ml4t.core.config import load_config
from ml4t.core.errors import ConfigError
from ml4t.core.hookspecs import Native
from ml4t.core.models import LiquidationModel, MarginModel
from ml4t.core.plugins import load_plugins
from ml4t.core.structuring import readable_fields, structure
from ml4t.core.types import ModelKind
from ml4t.margin import CryptoMargin, LargestLoserFirst, PortfolioMargin, RegT, plugin

SPECS = {spec.name: spec for spec in plugin.ml4t_register_models()}
_MARGIN = ("RegT", "FixedLeverage", "PortfolioMargin", "FuturesMargin", "CryptoMargin")
_LIQUIDATION = ("LargestLoserFirst", "ProRata", "CloseAll")
KINDS: dict[str, tuple[ModelKind, Any]] = {
    **dict.fromkeys(_MARGIN, (ModelKind.MARGIN, MarginModel)),
    **dict.fromkeys(_LIQUIDATION, (ModelKind.LIQUIDATION, LiquidationModel)),
}
README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_every_model_of_the_package_is_registered_under_its_own_name() -> None:
    exported = [getattr(ml4t.margin, name) for name in ml4t.margin.__all__]
    models = {each for each in exported if hasattr(each, "evaluate")}
    assert {spec.load() for spec in SPECS.values()} == models
    assert {cls.__name__ for cls in models} == set(KINDS)
    for cls in models:
        assert SPECS[cls.__name__].load() is cls


def test_a_name_of_nothing_is_none_of_the_package() -> None:
    assert set(ml4t.margin.__all__) <= set(dir(ml4t.margin))
    with pytest.raises(AttributeError, match=r"'ml4t\.margin' has no attribute 'RegU'"):
        ml4t.margin.RegU  # type: ignore[attr-defined]  # noqa: B018


def test_looking_for_plugins_imports_no_model() -> None:
    code = "import sys, ml4t.margin.plugin as p; p.ml4t_register_models(); print(*sorted(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    ours = {name for name in found.split() if name.startswith("ml4t.margin")}
    assert ours == {"ml4t.margin", "ml4t.margin.plugin"}


@pytest.mark.parametrize("name", KINDS)
def test_a_registered_model_is_of_its_kind_and_native(name: str) -> None:
    spec, (kind, protocol) = SPECS[name], KINDS[name]
    assert (spec.kind, spec.native) == (kind, Native.CAPSULE)
    assert spec.summary
    assert issubclass(spec.load(), protocol)
    assert not hasattr(spec.load(), "native_builtin")


@pytest.mark.parametrize("name", KINDS)
def test_the_environment_finds_a_model_by_its_name(name: str) -> None:
    found = load_plugins().find(KINDS[name][0], name)
    assert found.spec.load() is SPECS[name].load()
    assert found.qualified == f"margin:{name}"


@pytest.mark.parametrize("name", KINDS)
def test_the_schema_of_a_model_names_its_parameters(name: str) -> None:
    schema = SPECS[name].params_schema()
    fields = {field.name for field in readable_fields(SPECS[name].load())}
    assert set(schema["properties"]) == fields | {"schema_version"}
    assert schema["additionalProperties"] is False
    assert "bound" not in fields


def test_the_models_of_the_readme_are_read_from_their_configuration() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", README, flags=re.DOTALL)
    broker = tomllib.loads(text)["broker"]
    load_config({"broker": broker}, plugins=load_plugins())
    margin, liquidation = broker["margin_model"], broker["liquidation_model"]
    made = structure({k: v for k, v in margin.items() if k != "type"}, SPECS[margin["type"]].load())
    assert made == RegT(special={"GME": 1.0})
    made = structure({k: v for k, v in liquidation.items() if k != "type"}, SPECS[liquidation["type"]].load())
    assert made == LargestLoserFirst("1d", 0.9, 0.05)


def test_tables_of_a_configuration_become_those_of_a_model() -> None:
    given: dict[str, Any] = {"tiers": [[0, 0.004]], "tiers_by_symbol": {"BTC": [[0, 0.01], [9, 0.02]]}}
    made = structure(given | {"mode": "isolated"}, CryptoMargin)
    assert made == CryptoMargin(tiers_by_symbol={"BTC": ((0.0, 0.01), (9.0, 0.02))}, mode="isolated")
    scenarios = structure({"moves": {"etf": [-0.1, 1]}, "default": "etf"}, PortfolioMargin)
    assert scenarios == PortfolioMargin(moves={"etf": (-0.1, 1.0)}, default="etf")


def test_all_wrong_parameters_of_a_configuration_are_located_at_once() -> None:
    given = {"initial": 2, "maintenance_long": 0, "intraday": "x", "special": {"A": -1}, "rates": 1}
    with pytest.raises(ConfigError) as refused:
        structure(given, RegT)
    paths = sorted(finding.path for finding in refused.value.findings)
    assert paths == ["initial", "intraday", "maintenance_long", "rates", "special.A"]
    with pytest.raises(ConfigError) as refused:
        structure({"grace": "soon", "warn_at": 2, "buffer": -1}, LargestLoserFirst)
    assert sorted(finding.path for finding in refused.value.findings) == ["buffer", "grace", "warn_at"]


@pytest.mark.parametrize("key", ["margin_model", "liquidation_model"])
def test_a_name_that_is_not_known_is_answered_with_those_of_its_kind(key: str) -> None:
    kind = key.removesuffix("_model")
    known = [name for name, (each, _) in KINDS.items() if each.label == kind]
    with pytest.raises(ConfigError) as refused:
        load_config({"broker": {key: {"type": "Nothing"}}}, plugins=load_plugins())
    (finding,) = refused.value.findings
    assert finding.path == f"broker.{key}.type"
    assert finding.found == "Nothing" or "'Nothing'" in str(finding)
    assert all(name in str(finding) for name in known)


@pytest.mark.parametrize("name", KINDS)
def test_a_model_of_another_kind_is_refused(name: str) -> None:
    key = "liquidation_model" if KINDS[name][0] is ModelKind.MARGIN else "margin_model"
    with pytest.raises(ConfigError, match=rf"broker\.{key}\.type: .*'{name}'"):
        load_config({"broker": {key: {"type": name}}}, plugins=load_plugins())


@pytest.mark.parametrize(
    "module", [info.name for info in pkgutil.iter_modules(ml4t.margin.__path__, "ml4t.margin.")]
)
def test_the_examples_in_docstrings_run(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module))
    assert found.failed == 0


@pytest.mark.parametrize("name", ml4t.margin.__all__)
def test_every_public_name_has_an_example(name: str) -> None:
    (tests,) = doctest.DocTestFinder(recurse=False).find(getattr(ml4t.margin, name), name)
    assert tests.examples


def test_the_examples_of_the_readme_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
