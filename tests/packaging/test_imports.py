"""Who may import whom, read from the syntax trees; and what importing the kernel costs."""

from __future__ import annotations

import ast
import subprocess
import sys
import tokenize
import tomllib
from typing import TYPE_CHECKING

import attrs
import pytest
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Member

KERNEL_LINES = 3_000
KERNEL_IMPORT_SECONDS = 0.150
HEAVY = ("numba", "numpy", "pandas", "polars", "pyarrow", "scipy")

IMPORT_NAMES = {
    "attr": "attrs",
    "pandas_market_calendars": "pandas-market-calendars",
    "ruamel": "ruamel.yaml",
}
"""Import names that differ from the name of their distribution."""


@attrs.define(frozen=True, slots=True)
class Import:
    """One imported module, where it stands and whether importing the file executes it."""

    module: str
    where: str
    at_import: bool


def is_type_checking(node: ast.If) -> bool:
    test = node.test
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def walk_imports(node: ast.AST, name: str, path: Path, at_import: bool = True) -> Iterator[Import]:  # noqa: FBT001, FBT002
    """Yield every import below `node`; those in functions or for the type checker are not `at_import`."""
    for child in ast.iter_child_nodes(node):
        where = f"{path}:{getattr(child, 'lineno', 0)}"
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, where, at_import) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            base = package.split(".")[: len(package.split(".")) - child.level + 1]
            prefix = ".".join(base) if child.level else ""
            module = ".".join(part for part in (prefix, child.module) if part)
            yield from (Import(f"{module}.{alias.name}", where, at_import) for alias in child.names)
        else:
            lazy = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (
                isinstance(child, ast.If) and is_type_checking(child)
            )
            yield from walk_imports(child, name, path, at_import and not lazy)


def imports(member: Member) -> list[Import]:
    found = [
        each
        for name, path in member.modules()
        for each in walk_imports(ast.parse(path.read_text(encoding="utf-8")), name, path)
    ]
    assert found, member.name
    return found


def own(found: list[Import], *, beside: set[str]) -> list[str]:
    """Imports of our own packages other than those of `beside`, as text for the failure."""
    return [
        f"{each.where} imports {each.module}"
        for each in found
        if each.module.split(".")[0] == "ml4t" and ".".join(each.module.split(".")[:2]) not in beside
    ]


def test_the_kernel_imports_no_engine_and_no_plugin(member: dict[str, Member]) -> None:
    assert own(imports(member["ml4t-core"]), beside={"ml4t.core"}) == []


def test_the_engine_imports_the_kernel_and_no_plugin(member: dict[str, Member]) -> None:
    assert own(imports(member["ml4t-engine"]), beside={"ml4t.core", "ml4t.engine", "ml4t.backtest"}) == []


def test_plugins_import_the_kernel_and_the_front_door_only_when_they_require_the_engine(
    root: Path, members: list[Member]
) -> None:
    plugins = [each for each in members if each.folder.parent == root / "plugins"]
    assert plugins
    for each in plugins:
        allowed = {"ml4t.core", f"ml4t.{each.name.removeprefix('ml4t-')}"}
        required = {requirement.name for requirement in each.requirements}
        # `ml4t-native` is no plugin but what native models are written with, as anybody's are.
        for name, module in {"ml4t-engine": "ml4t.backtest", "ml4t-native": "ml4t.native"}.items():
            if name in required:
                allowed.add(module)
        assert own(imports(each), beside=allowed) == []


def modules_loaded_on_demand(member: Member, found: list[Import]) -> set[str]:
    """Files of the modules that no module of the distribution imports at once."""
    eager = {f"{each.module}." for each in found if each.at_import}
    return {
        str(path) for name, path in member.modules() if not any(each.startswith(f"{name}.") for each in eager)
    }


def test_what_a_module_imports_at_once_its_distribution_requires(members: list[Member]) -> None:
    """What an extra brings may be imported by a module that is itself loaded only on demand."""
    for each in members:
        if not each.packages:
            continue
        all_of_it = imports(each)
        declared = {requirement.name for requirement in each.requirements}
        extras = each.pyproject["project"].get("optional-dependencies", {}).values()
        optional = {Requirement(line).name for lines in extras for line in lines}
        on_demand = modules_loaded_on_demand(each, all_of_it)
        for found in all_of_it:
            top = found.module.split(".")[0]
            if found.at_import and top != "ml4t" and top not in sys.stdlib_module_names:
                allowed = declared | (optional if found.where.rpartition(":")[0] in on_demand else set())
                assert IMPORT_NAMES.get(top, top) in allowed, f"{found.where} imports {found.module}"


def test_the_kernel_imports_no_data_library_at_once(member: dict[str, Member]) -> None:
    eager = [each for each in imports(member["ml4t-core"]) if each.at_import]
    heavy = [f"{each.where} imports {each.module}" for each in eager if each.module.split(".")[0] in HEAVY]
    assert heavy == []


def test_nobody_imports_a_plugin_module_by_name(members: list[Member]) -> None:
    for each in members:
        if each.packages:
            named = [found for found in imports(each) if found.module.endswith(".plugin")]
            assert named == []


def run_python(code: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.parametrize("module", ["ml4t.core", "ml4t.core.plugins", "ml4t.core.config", "ml4t.core.cli"])
def test_importing_the_kernel_loads_no_data_library(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    assert run_python(code).split() == []


def test_importing_the_kernel_takes_less_than_150_ms() -> None:
    # Time of the processor, which a busy machine does not stretch.
    code = "import time; t = time.process_time(); import ml4t.core; print(time.process_time() - t)"
    best = min(float(run_python(code)) for _ in range(5))
    assert best < KERNEL_IMPORT_SECONDS, f"import ml4t.core took {best * 1e3:.0f} ms"


def lines_of_code(path: Path) -> int:
    """Lines that hold code: blank lines, comments and docstrings apart.

    The kernel publishes the contract of every hook and model as docstrings; the limit is there to keep
    what it *does* small, and must not be a reason to explain less.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = {
        node.body[0]
        for node in ast.walk(tree)
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None
    }
    docstrings = {line for text in texts for line in range(text.lineno, (text.end_lineno or text.lineno) + 1)}
    with tokenize.open(path) as file:
        tokens = list(tokenize.generate_tokens(file.readline))
    layout = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    code = {
        line
        for token in tokens
        if token.type not in layout
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(code - docstrings)


def test_the_kernel_stays_under_3000_lines_of_code(member: dict[str, Member]) -> None:
    lines = {path.name: lines_of_code(path) for _, path in member["ml4t-core"].modules()}
    assert sum(lines.values()) < KERNEL_LINES, lines


def crate_dependencies(root: Path, crate: str) -> set[str]:
    manifest = tomllib.loads((root / f"ml4t-engine-rs/crates/{crate}/Cargo.toml").read_text(encoding="utf-8"))
    tables = [manifest, *manifest.get("target", {}).values()]
    return {
        name
        for table in tables
        for kind in ("dependencies", "build-dependencies")
        for name in table.get(kind, {})
    }


def test_the_abi_crate_depends_on_nothing(root: Path) -> None:
    assert crate_dependencies(root, "abi") == set()


def test_the_simulator_depends_on_the_abi_and_three_small_libraries_alone(root: Path) -> None:
    assert crate_dependencies(root, "sim") <= {"ml4t-abi", "libm", "arrow-buffer", "bytemuck"}


def test_only_one_crate_names_pyo3(root: Path) -> None:
    assert "pyo3" in crate_dependencies(root, "py")
    sources = [
        path for crate in ("abi", "sim") for path in (root / f"ml4t-engine-rs/crates/{crate}").rglob("*")
    ]
    files = [path for path in sources if path.suffix in {".rs", ".toml"}]
    assert files
    named = [str(path) for path in files if "pyo3" in path.read_text(encoding="utf-8").lower()]
    assert named == []
