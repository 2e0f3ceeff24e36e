"""Hooks, and the specs that they return."""

from __future__ import annotations

import inspect

import pytest

import ml4t.core
from ml4t.core import ModelKind, ModelSpec, Native, ReporterSpec, UnknownNameError, hookspecs
from ml4t.core.hookspecs import KINDS, REGISTRY, SPEC_CLASSES, InstrumentSpec
from ml4t.core.plugins import PluginManager

HOOKS = {
    name: function
    for cls in SPEC_CLASSES
    for name, function in inspect.getmembers(cls, inspect.isfunction)
    if name.startswith("ml4t_")
}


def test_the_hooks_are_the_published_ones() -> None:
    published = """
        register_models register_instruments register_calendars register_readers register_brokers
        register_engines register_executors register_optimizers register_metrics register_reporters
        register_compat register_profiles register_commands resolve_instrument open_data detect_strategy
        validate_config migrate_config migrate_model before_run after_run on_run_error before_sweep
        after_sweep manifest doctor
    """
    assert set(HOOKS) == {f"ml4t_{name}" for name in published.split()}
    manager = PluginManager(environ={})
    assert all(hasattr(manager.hook, name) for name in HOOKS)


def test_every_hook_states_its_contract() -> None:
    assert [name for name, function in HOOKS.items() if not inspect.getdoc(function)] == []


def test_questions_stop_at_the_first_answer_and_nothing_else_does() -> None:
    first = {name for name, function in HOOKS.items() if function.ml4t_spec["firstresult"]}
    assert first == {"ml4t_resolve_instrument", "ml4t_open_data", "ml4t_detect_strategy"}


def test_the_hook_version_is_a_pair() -> None:
    assert ml4t.core.HOOK_API == (1, 0)


@pytest.mark.parametrize("kind", ["fee", "FEE".lower(), ModelKind.FEE])
def test_a_kind_may_be_text_or_member(kind: str | ModelKind) -> None:
    spec = ModelSpec(kind, "Flat", "a.b:C", native="builtin", summary="s")  # type: ignore[arg-type]
    assert (spec.kind, spec.native) == (ModelKind.FEE, Native.BUILTIN)


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'slippage'"):
        ModelSpec("slipage", "X", "a:B")


@pytest.mark.parametrize(
    ("name", "target"), [("a:b", "m:C"), ("", "m:C"), ("a b", "m:C"), ("X", "m"), ("X", "m:"), ("X", "m:C.d")]
)
def test_names_and_targets_have_their_form(name: str, target: str) -> None:
    for make in (lambda: ModelSpec("fee", name, target), lambda: ReporterSpec(name, target)):
        with pytest.raises(ValueError, match="must match regex"):
            make()


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "2", None])
def test_the_version_of_a_schema_is_a_whole_number_of_one_or_more(version: object) -> None:
    with pytest.raises(
        ValueError, match="schema_version of 'X': expected a whole number of 1 or more, found"
    ):
        ModelSpec("fee", "X", "a:B", schema_version=version)  # type: ignore[arg-type]


def test_the_schema_of_a_model_names_the_version_beside_the_parameters() -> None:
    spec = ModelSpec("fee", "X", "ml4t.core.models:FeeOut", schema_version=3)
    properties = spec.params_schema()["properties"]
    assert list(properties) == ["fee", "schema_version"]
    assert properties["schema_version"] == {"type": "integer", "minimum": 1, "maximum": 3, "default": 3}


def test_an_instrument_spec_is_named_as_its_asset_class() -> None:
    assert InstrumentSpec("future", "m:C").name == "future"
    with pytest.raises(UnknownNameError, match="unknown asset class 'stock'"):
        InstrumentSpec("stock", "m:C")


def test_every_registry_hook_has_a_kind_that_can_be_resolved() -> None:
    assert set(REGISTRY) - {"model"} <= set(KINDS)
    assert {kind.label for kind in ModelKind} <= set(KINDS)
    assert len(KINDS) == len(set(KINDS))


def test_every_spec_class_can_be_imported_from_the_package() -> None:
    for cls in REGISTRY.values():
        assert getattr(ml4t.core, cls.__name__) is getattr(hookspecs, cls.__name__)
