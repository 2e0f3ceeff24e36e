"""The registration: names, schemas and examples."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import attrs
import pytest

import ml4t.funding
from ml4t.core.config import load_config
from ml4t.core.errors import ConfigError
from ml4t.core.hookspecs import Native
from ml4t.core.models import BorrowArgs, BorrowModel, FundingModel, InterestArgs, InterestModel
from ml4t.core.plugins import load_plugins
from ml4t.core.structuring import structure
from ml4t.core.types import ModelKind
from ml4t.funding import CashInterest, plugin

SPECS = {spec.name: spec for spec in plugin.ml4t_register_models()}
KINDS: dict[str, tuple[ModelKind, Any]] = {
    "BorrowFee": (ModelKind.BORROW, BorrowModel),
    "IbkrBorrow": (ModelKind.BORROW, BorrowModel),
    "PerpetualFunding": (ModelKind.FUNDING, FundingModel),
    "CashInterest": (ModelKind.INTEREST, InterestModel),
}


def test_every_model_of_the_package_is_registered_under_its_own_name() -> None:
    exported = [getattr(ml4t.funding, name) for name in ml4t.funding.__all__]
    models = {each for each in exported if hasattr(each, "evaluate")}
    assert {spec.load() for spec in SPECS.values()} == models
    assert {cls.__name__ for cls in models} == set(KINDS)
    for cls in models:
        assert SPECS[cls.__name__].load() is cls


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
    assert found.qualified == f"funding:{name}"


@pytest.mark.parametrize("name", KINDS)
def test_the_schema_of_a_model_names_its_parameters(name: str) -> None:
    schema = SPECS[name].params_schema()
    fields = {field.name for field in attrs.fields(SPECS[name].load())}
    assert set(schema["properties"]) == fields | {"schema_version"}
    assert schema["additionalProperties"] is False


def test_the_models_of_the_readme_are_read_from_their_configuration() -> None:
    borrow = structure({"rate": 0.03}, SPECS["IbkrBorrow"].load())
    asked = BorrowArgs(ts_ns=0, price=9.8, quantity=1_000.0, days=1.0)
    assert borrow.evaluate(asked).fee == pytest.approx(1_000 * 10 * 0.03 / 360)
    interest = structure(
        {"credit": 0.04, "debit": [[0, 0.0682], [100_000, 0.0632]]}, SPECS["CashInterest"].load()
    )
    assert interest == CashInterest(credit=0.04, debit=[(0, 0.0682), (100_000, 0.0632)])
    asked_too = InterestArgs(ts_ns=0, cash=9_000.0, short_value=0.0, days=1.0)
    assert interest.evaluate(asked_too).payment == pytest.approx(1.0)


def test_all_wrong_parameters_of_a_configuration_are_located_at_once() -> None:
    given = {"rate": float("nan"), "collateral": 0, "decimals": 9, "day_count": -1, "rates": 1}
    with pytest.raises(ConfigError) as refused:
        structure(given, SPECS["IbkrBorrow"].load())
    assert sorted(finding.path for finding in refused.value.findings) == sorted(given)
    with pytest.raises(ConfigError) as refused:
        structure({"credit": [[1, 0.1]], "debit": [[0, "x"]], "day_count": 0}, SPECS["CashInterest"].load())
    paths = {finding.path.partition("[")[0] for finding in refused.value.findings}
    assert paths == {"credit", "debit", "day_count"}


@pytest.mark.parametrize("key", ["borrow_model", "funding_model", "interest_model"])
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
    key = "interest_model" if KINDS[name][0] is not ModelKind.INTEREST else "borrow_model"
    with pytest.raises(ConfigError, match=rf"broker\.{key}\.type: .*'{name}'"):
        load_config({"broker": {key: {"type": name}}}, plugins=load_plugins())


@pytest.mark.parametrize(
    "module", [info.name for info in pkgutil.iter_modules(ml4t.funding.__path__, "ml4t.funding.")]
)
def test_the_examples_in_docstrings_run(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module))
    assert found.failed == 0


@pytest.mark.parametrize("name", [*KINDS, "funding_rate"])
def test_every_public_name_has_an_example(name: str) -> None:
    (tests,) = doctest.DocTestFinder(recurse=False).find(getattr(ml4t.funding, name), name)
    assert tests.examples


def test_the_examples_of_the_readme_run() -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
