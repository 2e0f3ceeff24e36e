"""The registration, and what loading the package costs a process that does not use it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import ml4t.futures
from ml4t.core.plugins import load_plugins
from ml4t.futures import FuturesContract, plugin


def test_the_class_of_contracts_is_registered() -> None:
    (spec,) = plugin.ml4t_register_instruments()
    assert spec.load() is FuturesContract
    offers = [offer for offer in load_plugins().registry() if offer.plugin == "futures"]
    assert [offer.qualified for offer in offers] == ["futures:future"]


def test_every_public_name_is_there_and_no_other() -> None:
    for name in ml4t.futures.__all__:
        assert getattr(ml4t.futures, name).__name__ == name
        assert name in dir(ml4t.futures)
    with pytest.raises(AttributeError, match=r"module 'ml4t\.futures' has no attribute 'FuturesManager'"):
        ml4t.futures.FuturesManager  # noqa: B018 - looking is what fails


def test_loading_the_plugin_imports_no_data_library() -> None:
    code = (
        "import sys; from ml4t.core.plugins import load_plugins; load_plugins(); import ml4t.futures; "
        "print(sorted({'polars', 'numpy', 'ml4t.futures.chain', 'ml4t.futures.plugin'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "['ml4t.futures.plugin']"
