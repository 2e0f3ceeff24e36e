"""The names of the package: imported when they are first used, and all of them there."""

from __future__ import annotations

import importlib

import pytest

import ml4t.impact


@pytest.mark.parametrize("name", ml4t.impact.__all__)
def test_every_name_is_what_its_module_calls_so(name: str) -> None:
    found = getattr(ml4t.impact, name)
    assert found.__name__ == name
    assert found.__module__.startswith("ml4t.impact.")
    assert getattr(importlib.import_module(found.__module__), name) is found
    assert name in dir(ml4t.impact)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        ml4t.impact.Nothing  # type: ignore[attr-defined] # noqa: B018
