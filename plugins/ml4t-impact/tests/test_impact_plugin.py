"""The registration: names, schemas and examples."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import attrs
import pytest

import ml4t.impact
from ml4t.core.errors import ConfigError
from ml4t.core.hookspecs import Native
from ml4t.core.models import ImpactArgs, ImpactModel
from ml4t.core.structuring import structure
from ml4t.core.types import ModelKind
from ml4t.impact import plugin

SPECS = {spec.name: spec for spec in plugin.ml4t_register_models()}
EXECUTORS = plugin.ml4t_register_executors()


def test_every_model_of_the_package_is_registered_under_its_own_name() -> None:
    exported = [getattr(ml4t.impact, name) for name in ml4t.impact.__all__]
    algorithms = {spec.load() for spec in EXECUTORS}
    models = {each for each in exported if hasattr(each, "evaluate")} - algorithms
    assert {spec.load() for spec in SPECS.values()} == models
    assert algorithms <= {*exported}
    for cls in models:
        assert SPECS[cls.__name__].load() is cls


@pytest.mark.parametrize("name", SPECS)
def test_a_registered_model_is_of_the_kind_impact_and_native(name: str) -> None:
    spec = SPECS[name]
    assert (spec.kind, spec.native) == (ModelKind.IMPACT, Native.CAPSULE)
    assert spec.summary
    assert issubclass(spec.load(), ImpactModel)
    assert not hasattr(spec.load(), "native_builtin")


def test_an_execution_algorithm_is_registered_under_its_own_name_and_native() -> None:
    (spec,) = EXECUTORS
    assert (spec.name, spec.kind, spec.native) == (
        "AlmgrenChrissTrajectory",
        ModelKind.EXECUTOR,
        Native.CAPSULE,
    )
    assert spec.load() is ml4t.impact.AlmgrenChrissTrajectory
    assert spec.summary


@pytest.mark.parametrize("name", SPECS)
def test_the_schema_of_a_model_names_its_parameters(name: str) -> None:
    schema = SPECS[name].params_schema()
    fields = {field.name for field in attrs.fields(SPECS[name].load())}
    assert set(schema["properties"]) == fields | {"schema_version"}
    assert schema["additionalProperties"] is False


def test_the_impact_of_the_documents_is_read_from_its_configuration() -> None:
    model = structure({"Y": 1.0}, SPECS["SquareRoot"].load())
    ctx = ImpactArgs(
        ts_ns=0, side=1, quantity=1e4, reference_price=100.0, volatility=0.02, average_volume=1e6
    )
    assert model.evaluate(ctx).temporary == pytest.approx(0.2)


def test_all_wrong_parameters_of_a_configuration_are_located_at_once() -> None:
    given = {"Y": -1, "volatility": -1, "average_volume": 0, "average_days": 1.5, "y": 1}
    with pytest.raises(ConfigError) as refused:
        structure(given, SPECS["SquareRoot"].load())
    paths = sorted(finding.path for finding in refused.value.findings)
    assert paths == ["Y", "average_days", "average_volume", "volatility", "y"]


@pytest.mark.parametrize(
    "module", [info.name for info in pkgutil.iter_modules(ml4t.impact.__path__, "ml4t.impact.")]
)
def test_the_examples_in_docstrings_run(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module))
    assert found.failed == 0
