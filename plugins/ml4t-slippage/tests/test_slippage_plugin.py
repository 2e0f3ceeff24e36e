"""The registration: names, schemas and examples."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import attrs
import pytest

import ml4t.slippage
from ml4t.core.errors import ConfigError, ModelError
from ml4t.core.hookspecs import Native
from ml4t.core.models import SlippageArgs
from ml4t.core.structuring import structure
from ml4t.core.types import ModelKind
from ml4t.slippage import plugin

SPECS = {spec.name: spec for spec in plugin.ml4t_register_models()}


def test_every_model_of_the_package_is_registered_under_its_own_name() -> None:
    exported = {getattr(ml4t.slippage, name) for name in ml4t.slippage.__all__}
    assert {spec.load() for spec in SPECS.values()} == exported
    for cls in exported:
        assert SPECS[cls.__name__].load() is cls


@pytest.mark.parametrize("name", SPECS)
def test_a_registered_model_says_its_kind_and_its_native_table(name: str) -> None:
    spec = SPECS[name]
    assert spec.kind is ModelKind.SLIPPAGE
    assert spec.summary
    assert spec.native is Native.BUILTIN
    tables = {"none", "fixed_fraction", "basis_points", "spread", "volume_share"}
    assert spec.load().native_builtin in tables | {"lean_volume_share", "volatility_volume_share"}


@pytest.mark.parametrize("name", SPECS)
def test_the_schema_of_a_model_names_its_parameters(name: str) -> None:
    schema = SPECS[name].params_schema()
    fields = {field.name for field in attrs.fields(SPECS[name].load())}
    assert set(schema["properties"]) == fields | {"schema_version"}
    assert schema["additionalProperties"] is False


def test_the_slippage_of_the_documents_is_read_from_its_configuration() -> None:
    model = structure({"volume_limit": 0.025, "price_impact": 0.1}, SPECS["VolumeShare"].load())
    ctx = SlippageArgs(ts_ns=0, side=1, quantity=50.0, reference_price=4.0, volume=2000.0)
    assert model.evaluate(ctx).price_adjustment == pytest.approx(0.00025)
    with pytest.raises(ModelError):
        model.evaluate(attrs.evolve(ctx, volume=float("nan")))


def test_all_wrong_parameters_of_a_configuration_are_located_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        structure({"volume_limit": 0, "price_impact": -1, "cap": True}, SPECS["VolumeShare"].load())
    paths = sorted(finding.path for finding in refused.value.findings)
    assert paths == ["cap", "price_impact", "volume_limit"]


@pytest.mark.parametrize("given", [{}, {"spread": 0.1, "fraction": 0.1}])
def test_a_spread_needs_exactly_one_width(given: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"width"):
        structure(given, SPECS["Spread"].load())


@pytest.mark.parametrize(
    "module", [info.name for info in pkgutil.iter_modules(ml4t.slippage.__path__, "ml4t.slippage.")]
)
def test_the_examples_in_docstrings_run(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module))
    assert found.failed == 0
