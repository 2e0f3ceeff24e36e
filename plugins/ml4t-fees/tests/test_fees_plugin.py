"""The registration: names, schemas and examples."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import attrs
import pytest

import ml4t.fees
from ml4t.core.errors import ConfigError
from ml4t.core.hookspecs import Native
from ml4t.core.models import FeeArgs
from ml4t.core.structuring import structure
from ml4t.core.types import ModelKind
from ml4t.fees import plugin

SPECS = {spec.name: spec for spec in plugin.ml4t_register_models()}
TABLES = {"none", "per_share", "per_order", "fraction", "per_contract", "maker_taker", "tiered"}
TABLES |= {"ibkr_fixed", "lean_ibkr", "ibkr_tiered", "ibkr_options", "ibkr_forex"}
TABLES |= {"alpaca_fees", "binance_spot", "binance_futures", "fx_spread"}


def test_every_model_of_the_package_is_registered_under_its_own_name() -> None:
    exported = {getattr(ml4t.fees, name) for name in ml4t.fees.__all__}
    assert {spec.load() for spec in SPECS.values()} == exported
    for cls in exported:
        assert SPECS[cls.__name__].load() is cls


@pytest.mark.parametrize("name", SPECS)
def test_a_registered_model_says_its_kind_and_its_native_table(name: str) -> None:
    spec = SPECS[name]
    assert spec.kind is (ModelKind.FX if name == "FxSpread" else ModelKind.FEE)
    assert spec.summary
    assert spec.native is Native.BUILTIN
    assert spec.load().native_builtin in TABLES


@pytest.mark.parametrize("name", SPECS)
def test_the_schema_of_a_model_names_its_parameters(name: str) -> None:
    schema = SPECS[name].params_schema()
    fields = {field.name for field in attrs.fields(SPECS[name].load())}
    assert set(schema["properties"]) == fields | {"schema_version"}
    assert schema["additionalProperties"] is False


def test_the_commission_of_the_documents_is_read_from_its_configuration() -> None:
    model = structure({"fee": 0.005}, SPECS["FixedPerShare"].load())
    assert model.evaluate(FeeArgs(ts_ns=0, side=1, quantity=1000.0, price=25.0, notional=25e3)).fee == 5.0


def test_tiers_are_read_from_lists_of_a_configuration() -> None:
    given = {"limits": [300_000, 3_000_000], "rates": [0.0035, 0.002, 0.0015], "minimum": 0.35}
    model = structure(given, SPECS["Tiered"].load())
    fill = FeeArgs(ts_ns=0, side=1, quantity=10_000.0, price=25.0, notional=250e3, month_quantity=295_000.0)
    assert model.evaluate(fill).fee == pytest.approx(27.5)
    with pytest.raises(ConfigError) as refused:
        structure({"limits": [2, 1], "rates": [1], "basis": "value"}, SPECS["Tiered"].load())
    assert {finding.path for finding in refused.value.findings} == {"limits", "rates", "basis"}


def test_all_wrong_parameters_of_a_configuration_are_located_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        structure({"minimum": -1, "maximum_fraction": 2, "cap": 1}, SPECS["PerShare"].load())
    paths = sorted(finding.path for finding in refused.value.findings)
    assert paths == ["cap", "fee", "maximum_fraction", "minimum"]


@pytest.mark.parametrize(
    "module", [info.name for info in pkgutil.iter_modules(ml4t.fees.__path__, "ml4t.fees.")]
)
def test_the_examples_in_docstrings_run(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module))
    assert found.failed == 0
