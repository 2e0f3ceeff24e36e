"""What the tests of native models share: a C compiler, and how bits are compared."""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from ml4t.native import include_folder

Compile = Callable[..., Path]


@pytest.fixture(scope="session")
def compiler() -> str:
    """The C compiler of this machine."""
    found = shutil.which("cc")
    if found is None:
        pytest.skip("no C compiler: cc is not on PATH")
    return found


@pytest.fixture
def compile_c(compiler: str, tmp_path: Path) -> Compile:
    """Compile a text against the header: a shared library, or with `shared=False` a program."""

    def build(source: str, *, name: str = "model", shared: bool = True) -> Path:
        text, made = tmp_path / f"{name}.c", tmp_path / (f"lib{name}.so" if shared else name)
        text.write_text(source, encoding="utf-8")
        flags = ["-shared", "-fPIC"] if shared else []
        command = [
            compiler,
            "-std=c11",
            "-O2",
            "-Wall",
            "-Werror",
            "-ffp-contract=off",
            f"-I{include_folder()}",
        ]
        subprocess.run([*command, *flags, str(text), "-o", str(made), "-lm"], check=True)
        return made

    return build


def plain(value: Any) -> Any:  # noqa: ANN401 - of any kind
    """A value whose equality is that of bits, except that all NaN are one."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value.hex()
    if isinstance(value, ctypes.Array | tuple | list):
        return tuple(plain(each) for each in value)
    if isinstance(value, ctypes.Structure):
        return tuple((name, plain(getattr(value, name))) for name, *_ in value._fields_)
    return plain(attrs.astuple(value)) if attrs.has(type(value)) else value


@pytest.fixture
def bits() -> Callable[[Any], Any]:
    """`plain`, for tests."""
    return plain
