"""Sizes and offsets are the same in ctypes, numpy, numba and C, and those of the first version stay."""

from __future__ import annotations

import ctypes
import enum
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ml4t.core.errors import UnknownNameError
from ml4t.core.types import ModelKind
from ml4t.native import constants, include_folder, layouts
from ml4t.native.structs import dtype, record, struct, unset

HERE = Path(__file__).parent
GENERATOR = HERE.parents[2] / "ml4t-engine-rs" / "crates" / "abi" / "generate.py"
NAMES = sorted(layouts.STRUCTS)


@pytest.mark.parametrize("name", NAMES)
def test_ctypes_lays_a_struct_out_as_described(name: str) -> None:
    size, fields = layouts.STRUCTS[name]
    made = struct(name)
    assert ctypes.sizeof(made) == size
    found = [(field, getattr(made, field).offset, getattr(made, field).size) for field, _, _, _ in fields]
    widths = {"P": 8} | {f"{kind}{n}": n for kind in "iuf" for n in (1, 2, 4, 8)}
    assert found == [(field, offset, widths[code] * n) for field, code, offset, n in fields]


@pytest.mark.parametrize("name", NAMES)
def test_numpy_and_numba_lay_a_struct_out_as_described(name: str) -> None:
    numba = pytest.importorskip("numba")
    size, fields = layouts.STRUCTS[name]
    layout, typed = dtype(name), record(name)
    assert layout.fields is not None
    assert (layout.itemsize, layout.isalignedstruct) == (size, True)
    assert typed.size == size
    assert typed.aligned
    for field, code, offset, n in fields:
        assert layout.fields[field][1] == typed.offset(field) == offset
        scalar = numba.from_dtype(layout[field].base)
        assert layout[field].base.str[1:] == ("u8" if code == "P" else code)
        expected = numba.types.NestedArray(scalar, (n,)) if n > 1 else scalar
        assert typed.typeof(field) == expected


def test_a_c_compiler_lays_the_header_out_as_described(compile_c: Callable[..., Path]) -> None:
    lines = []
    for name, (_, fields) in layouts.STRUCTS.items():
        c_name = "ml4t_" + re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        lines.append(f'printf("{name} %zu\\n", sizeof({c_name}));')
        lines += [
            f'printf("{name}.{field} %zu %zu\\n", offsetof({c_name}, {field}), SIZE({c_name}, {field}));'
            for field, _, _, _ in fields
        ]
    lines.append('printf("magic %" PRIu64 "\\n", (uint64_t)ML4T_MAGIC);')
    lines.append('printf("version %d %d\\n", ML4T_ABI_MAJOR, ML4T_ABI_MINOR);')
    includes = "".join(f"#include <{name}>\n" for name in ("inttypes.h", "stdio.h", "ml4t_abi.h"))
    size = "#define SIZE(type, field) sizeof(((type *)0)->field)\n"
    source = includes + size + "int main(void) {\n" + "\n".join(lines) + "\n}\n"
    program = compile_c(source, name="offsets", shared=False)
    printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()
    expected = []
    for name, (size, fields) in layouts.STRUCTS.items():
        expected.append(f"{name} {size}")
        expected += [
            f"{name}.{field} {offset} {getattr(struct(name), field).size}" for field, _, offset, _ in fields
        ]
    expected.append(f"magic {layouts.MAGIC}")
    expected.append(f"version {layouts.ABI_MAJOR} {layouts.ABI_MINOR}")
    assert printed == expected


def test_nothing_of_the_first_version_has_moved() -> None:
    """Fields may come after those of version 1.0, never between them; the file is not written again."""
    now: dict[str, list[str]] = {}
    for name, (size, fields) in layouts.STRUCTS.items():
        now[name] = [str(size), *(f"{field} {code} {offset} {n}" for field, code, offset, n in fields)]
    for name, values in layouts.CONSTANTS.items():
        now[f"enum {name}"] = ["", *(f"{value} {number}" for value, number in values.items())]
    for kind, arguments in layouts.EVALS.items():
        now[f"eval {kind}"] = ["", *(f"{name} {code}" for name, code in arguments)]
    golden: dict[str, list[str]] = {}
    for line in (HERE / "abi-v1.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("    "):
            golden[name].append(line.strip())
        elif line and not line.startswith("#"):
            name, _, size_text = line.partition(":")
            golden[name] = [size_text.strip()]
    assert len(golden) > 40
    assert layouts.ABI_MAJOR == 1
    for name, (before, *entries) in golden.items():
        size_text, *found = now[name]
        assert found[: len(entries)] == entries, name
        if before:
            assert int(size_text) >= int(before), name
        if name.startswith("eval "):
            assert found == entries, name


def test_the_generated_files_are_what_the_description_says() -> None:
    ran = subprocess.run([sys.executable, GENERATOR, "--check"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_header_that_is_installed_is_that_of_the_crate() -> None:
    """Also as a copy: a C compiler needs it where the crate is not."""
    header = GENERATOR.parent / "include" / "ml4t_abi.h"
    assert (include_folder() / "ml4t_abi.h").read_bytes() == header.read_bytes()


def test_the_constants_for_kernels_are_those_of_the_description() -> None:
    groups = {name: value for name, value in vars(constants).items() if isinstance(value, enum.EnumType)}
    written = {name: {each.name: each.value for each in group} for name, group in groups.items()}
    described = {name: dict(values) for name, values in layouts.CONSTANTS.items()}
    status = described.pop("Status")
    assert {name: status[name] for name in ("OK", "NO_OPINION", "REJECT", "DEFER")} == {
        "OK": constants.OK,
        "NO_OPINION": constants.NO_OPINION,
        "REJECT": constants.REJECT,
        "DEFER": constants.DEFER,
    }
    assert described.pop("Kind") == {kind.name: kind.value for kind in ModelKind}
    del described["Flag"]  # Tables have it, kernels do not.
    assert written == described


def test_an_unset_struct_has_nan_for_floats_and_zero_for_the_rest() -> None:
    context = unset("SlippageContext")
    for field, code, _, n in layouts.STRUCTS["SlippageContext"][1]:
        values = list(getattr(context, field)) if n > 1 else [getattr(context, field)]
        assert [value != value for value in values] == [code == "f8"] * n, field
        if code != "f8":
            assert values == [0] * n
    context.price = 1.0
    assert unset("SlippageContext").price != 1.0


def test_an_unknown_struct_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown struct .* 'FilContext'.*did you mean 'FillContext'"):
        struct("FilContext")
