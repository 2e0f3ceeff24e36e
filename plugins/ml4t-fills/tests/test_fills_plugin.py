"""The registration: names, schemas and examples."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import attrs
import pytest

import ml4t.fills
from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.hookspecs import Native
from ml4t.core.models import FillArgs
from ml4t.core.structuring import structure
from ml4t.core.types import ModelKind
from ml4t.fills import plugin

SPECS = {spec.name: spec for spec in plugin.ml4t_register_models()}


def test_every_model_of_the_package_is_registered_under_its_own_name() -> None:
    exported = {getattr(ml4t.fills, name) for name in ml4t.fills.__all__}
    assert {spec.load() for spec in SPECS.values()} == exported
    for cls in exported:
        assert SPECS[cls.__name__].load() is cls


@pytest.mark.parametrize("name", SPECS)
def test_a_registered_model_says_its_kind_and_its_native_table(name: str) -> None:
    spec = SPECS[name]
    assert (spec.kind, spec.native) == (ModelKind.FILL, Native.BUILTIN)
    assert spec.summary
    assert spec.load().native_builtin in {"default"}


@pytest.mark.parametrize("name", SPECS)
def test_the_schema_of_a_model_names_its_parameters(name: str) -> None:
    schema = SPECS[name].params_schema()
    fields = {field.name for field in attrs.fields(SPECS[name].load())}
    assert set(schema["properties"]) == fields | {"schema_version"}
    assert schema["additionalProperties"] is False


def test_a_model_is_read_from_its_configuration() -> None:
    model = structure({"volume_limit": 0.1}, SPECS["Default"].load())
    ctx = FillArgs(ts_ns=0, side=1, phase="close", price=25.0, leaves_quantity=100.0, volume=500.0)
    assert model.evaluate(ctx).quantity == 50.0
    with pytest.raises(ModelError):
        model.evaluate(attrs.evolve(ctx, phase="trade"))


def test_a_wrong_parameter_of_a_configuration_is_located() -> None:
    with pytest.raises(
        ConfigError, match=r"volume_limit: expected a number above 0 and at most 1, found 2\.0"
    ):
        structure({"volume_limit": 2}, SPECS["Default"].load())
    with pytest.raises(
        ConfigError, match=r"^average_days: expected .* below a million, found 1000000000000$"
    ):
        structure({"volume_limit": 0.1, "average_days": 10**12}, SPECS["Default"].load())
    with pytest.raises(ConfigError, match=r"volume_limits: unknown key; .* did you mean 'volume_limit'"):
        structure({"volume_limits": 0.1}, SPECS["Default"].load())


@pytest.mark.parametrize(
    "module", [info.name for info in pkgutil.iter_modules(ml4t.fills.__path__, "ml4t.fills.")]
)
def test_the_examples_in_docstrings_run(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module))
    assert found.failed == 0
