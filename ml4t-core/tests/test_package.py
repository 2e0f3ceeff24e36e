"""The package as a whole."""

from __future__ import annotations

import importlib.util
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import ml4t.core

FOLDER = Path(ml4t.core.__file__).parent
PROJECT = Path(__file__).parents[1] / "pyproject.toml"
HEAVY = {"polars", "pyarrow", "pandas", "numpy", "click", "rich", "cattrs", "ruamel", "pluggy"}


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    path = f"import sys; sys.path[:0] = {sys.path!r}\n"
    return set(
        subprocess.run(
            [sys.executable, "-c", path + code], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_importing_the_kernel_imports_no_library_but_attrs() -> None:
    before = loaded_by("pass")
    assert loaded_by("import ml4t.core") & HEAVY <= before & HEAVY


@pytest.mark.parametrize("module", ["config", "plugins", "values", "schemas", "cli"])
def test_no_module_imports_a_table_library(module: str) -> None:
    before = loaded_by("pass")
    assert loaded_by(f"import ml4t.core.{module}") & {"polars", "pyarrow", "pandas", "rich"} <= before


def test_every_public_name_can_be_imported() -> None:
    for name in ml4t.core.__all__:
        assert getattr(ml4t.core, name) is not None
    assert len(ml4t.core.__all__) == len(set(ml4t.core.__all__))
    assert set(ml4t.core.__all__) <= set(dir(ml4t.core))


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = ml4t.core.Nothing


def test_the_version_is_the_one_of_the_distribution() -> None:
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    assert project["version"] == ml4t.core.__version__


def test_the_package_is_typed_and_shares_its_namespace() -> None:
    assert (FOLDER / "py.typed").is_file()
    assert not (FOLDER.parent / "__init__.py").exists()
    spec = importlib.util.find_spec("ml4t")
    assert spec is not None
    assert spec.loader is None or spec.origin is None


def test_the_blocks_of_the_readme_run() -> None:
    text = (PROJECT.parent / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
    scope: dict[str, Any] = {}
    for language, block in blocks:
        if language == "python":
            exec(block, scope)
        else:
            assert tomllib.loads(block)
    (spec,) = scope["ml4t_register_models"]()
    assert spec.kind is ml4t.core.ModelKind.FEE
    assert scope["Flat"](2.5).evaluate(ml4t.core.FeeArgs(ts_ns=0, side=1, quantity=1.0, price=1.0)).fee == 2.5


def test_every_module_says_what_it_is_for() -> None:
    for module in pkgutil.iter_modules([str(FOLDER)]):
        loaded = importlib.import_module(f"ml4t.core.{module.name}")
        assert loaded.__doc__, module.name
