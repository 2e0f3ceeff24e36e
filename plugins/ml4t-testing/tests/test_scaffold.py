"""What `ml4t new-plugin` writes, and what it refuses to write."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click.testing
import pytest

from ml4t.core import HOOK_API
from ml4t.core.cli import cli
from ml4t.core.errors import ConfigError, UnknownNameError
from ml4t.testing.scaffold import KINDS, NATIVES, OURS, TEMPLATES, Plan, write_project

ROOT = Path(__file__).resolve().parents[3]
COMBINATIONS = [
    (kind, native) for kind in KINDS for native in NATIVES if kind != "reader" or native == "none"
]


def command(*arguments: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(cli, ["new-plugin", *arguments])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project of every combination."""
    folder = tmp_path_factory.mktemp("written")
    for kind, native in COMBINATIONS:
        write_project(Plan(name=f"{kind}-{native}", kind=kind, native=native), into=folder)
    return folder


# -- the command -------------------------------------------------------------------------------------------


def test_the_command_writes_a_project_and_says_what_comes_next(tmp_path: Path) -> None:
    answer = command("root-law", "--kind", "impact", "--native", "numba", "--into", str(tmp_path))
    assert answer.exit_code == 0, answer.output
    assert f"{tmp_path / 'ml4t-root-law'} is written" in answer.output
    assert 'pip install -e ".[test]"' in answer.output
    assert "ml4t run examples/backtest.toml" in answer.output
    project = tmp_path / "ml4t-root-law"
    files = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    assert files == {
        ".gitignore",
        "LICENSE",
        "README.md",
        "examples/backtest.toml",
        "examples/strategy.py",
        "pyproject.toml",
        "src/ml4t_root_law/__init__.py",
        "src/ml4t_root_law/model.py",
        "src/ml4t_root_law/plugin.py",
        "src/ml4t_root_law/py.typed",
        "tests/test_compliance.py",
        "tests/test_discovery.py",
    }


def test_a_folder_that_holds_something_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "ml4t-desk").mkdir()
    assert command("desk", "--kind", "fee", "--into", str(tmp_path)).exit_code == 0
    answer = command("desk", "--kind", "fee", "--into", str(tmp_path))
    assert isinstance(answer.exception, ConfigError)
    assert str(answer.exception).startswith(f"{tmp_path / 'ml4t-desk'} exists and is not empty; remove it")


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ml4t-desk").write_text("mine")
    with pytest.raises(ConfigError, match="exists and is not empty"):
        write_project(Plan(name="desk", kind="fee"), into=tmp_path)
    assert (tmp_path / "ml4t-desk").read_text() == "mine"


def test_an_unknown_kind_or_native_form_lists_the_known_ones() -> None:
    assert (
        "'fill', 'slippage', 'impact', 'fee', 'latency', 'executor', 'reader', 'strategy'"
        in command("x", "--kind", "fills").output
    )
    with pytest.raises(
        UnknownNameError, match=r"unknown kind of plugin 'fills'; known: .*did you mean 'fill'"
    ):
        Plan(name="desk", kind="fills")
    with pytest.raises(UnknownNameError, match="unknown native form 'cython'; known: c, none, numba, rust"):
        Plan(name="desk", kind="fee", native="cython")


@pytest.mark.parametrize("native", [native for native in NATIVES if native != "none"])
def test_a_reader_has_no_native_form(native: str) -> None:
    with pytest.raises(ConfigError, match=f"a reader has no native form \\(found '{native}'\\)"):
        Plan(name="desk", kind="reader", native=native)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ml4t-desk", "the prefix ml4t- is added to it; write 'desk'"),
        ("ML4T_desk", "the prefix ml4t- is added to it; write 'desk'"),
        ("ml4t", "write what comes after ml4t-"),
        ("Desk", "in lower case, such as 'desk'"),
        ("my_desk", "single dashes, in lower case, such as 'my-desk'"),
        ("my--desk", "such as 'my-desk'"),
        ("desk-", "such as 'desk'"),
        ("9desk", "expected a letter, then letters, digits"),
        ("../desk", "such as 'desk'"),
        ("a/b", "such as 'a-b'"),
        ("", "such as 'root-law'"),
        ("börse", "expected a letter"),
        ("fees", "ml4t-fees is a distribution of ml4t itself"),
        ("none", "None is a word of Python"),
    ],
)
def test_a_name_that_cannot_be_meant_is_refused_with_what_to_write(name: str, says: str) -> None:
    with pytest.raises(ConfigError, match=f"^name '{re.escape(name)}': .*{re.escape(says)}"):
        Plan(name=name, kind="fee")


def test_names_become_those_of_distribution_module_and_class() -> None:
    plan = Plan(name="root-law-2", kind="impact")
    assert (plan.dist, plan.module, plan.model) == ("ml4t-root-law-2", "ml4t_root_law_2", "RootLaw2")


def test_names_of_our_own_distributions_are_those_of_the_workspace() -> None:
    projects = [ROOT / "ml4t-core", ROOT / "ml4t-engine-rs", *ROOT.glob("plugins/*")]
    files = [path / "pyproject.toml" for path in projects if (path / "pyproject.toml").is_file()]
    names = [tomllib.loads(path.read_text(encoding="utf-8"))["project"]["name"] for path in files]
    assert sorted(OURS) == sorted(name.removeprefix("ml4t-") for name in names)


# -- what is written ---------------------------------------------------------------------------------------


def test_nothing_of_the_templates_is_left_over(written: Path) -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in written.rglob("*") if path.is_file()}
    assert len(texts) > 12 * len(COMBINATIONS)
    left = [path for path, text in texts.items() if re.search(r"@[a-z_]+@|^%%", text, re.MULTILINE)]
    assert left == []


def test_every_template_is_used_by_a_combination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = set()
    read = Path.read_text

    def note(path: Path, *arguments: str, **options: str) -> str:
        used.add(path)
        return read(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", note)
    for kind, native in COMBINATIONS:
        write_project(Plan(name=f"{kind}-{native}", kind=kind, native=native), into=tmp_path)
    assert {path for path in TEMPLATES.rglob("*") if path.is_file()} - used == set()


def test_the_python_of_every_combination_compiles_and_is_clean(written: Path) -> None:
    for path in written.rglob("*.py"):
        compile(path.read_text(encoding="utf-8"), str(path), "exec")
    for check in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *check, "--no-cache", "."]
        found = subprocess.run(command, cwd=written, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stdout + found.stderr


def test_a_plugin_in_python_is_less_than_fifty_lines(written: Path) -> None:
    for kind in ("fill", "slippage", "impact", "fee", "latency", "executor", "strategy"):
        package = written / f"ml4t-{kind}-none/src/ml4t_{kind}_none"
        lines = [
            line for path in package.glob("*.py") for line in path.read_text().splitlines() if line.strip()
        ]
        assert len(lines) < 50, kind


@pytest.mark.parametrize(("kind", "native"), COMBINATIONS)
def test_a_project_names_itself_and_pins_what_it_was_written_for(
    written: Path, kind: str, native: str
) -> None:
    project = written / f"ml4t-{kind}-{native}"
    document = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    assert document["project"]["name"] == project.name
    assert document["project"]["entry-points"] == {
        "ml4t": {f"{kind}-{native}": f"ml4t_{kind}_{native}.plugin"},
    }
    assert "ml4t-core>=0.1,<0.2" in document["project"]["dependencies"]
    backend = {"rust": "maturin", "c": "setuptools.build_meta"}.get(native, "hatchling.build")
    assert document["build-system"]["build-backend"] == backend
    plugin = (project / f"src/ml4t_{kind}_{native}/plugin.py").read_text(encoding="utf-8")
    assert f'ml4t_hook_api = ">={HOOK_API[0]}.{HOOK_API[1]},<{HOOK_API[0] + 1}"' in plugin
    assert not (project / "src/ml4t").exists(), "the namespace belongs to ml4t"
    tomllib.loads((project / "examples/backtest.toml").read_text(encoding="utf-8"))
    assert "Apache License, Version 2.0" in (project / "LICENSE").read_text(encoding="utf-8")


def test_the_crate_that_is_carried_is_that_of_the_workspace() -> None:
    carried = ROOT / "plugins/ml4t-testing/src/ml4t/testing/abi"
    assert (carried / "src").resolve() == ROOT / "ml4t-engine-rs/crates/abi/src", "one copy"
    assert (carried / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    shared = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["package"]
    manifest = ROOT / "ml4t-engine-rs/crates/abi/Cargo.toml"
    crate = tomllib.loads(manifest.read_text(encoding="utf-8"))["package"]
    found = tomllib.loads((carried / "Cargo.toml").read_text(encoding="utf-8"))["package"]
    expected = {key: shared[key] for key in ("version", "edition", "rust-version", "license")}
    names = {"name": crate["name"], "description": crate["description"], "publish": False}
    assert found == expected | names


def test_native_projects_carry_what_they_compile_against(written: Path) -> None:
    crate = ROOT / "ml4t-engine-rs/crates/abi"
    for kind in ("fill", "slippage", "impact", "fee", "latency", "executor", "strategy"):
        header = written / f"ml4t-{kind}-c/c/ml4t_abi.h"
        assert header.read_bytes() == (crate / "include/ml4t_abi.h").read_bytes()
        vendored = written / f"ml4t-{kind}-rust/rust/vendor/ml4t-abi"
        sources = {path.name: path.read_bytes() for path in (vendored / "src").iterdir()}
        assert sources == {path.name: path.read_bytes() for path in (crate / "src").glob("*.rs")}
        assert "path" not in (vendored / "Cargo.toml").read_text(encoding="utf-8")


def test_the_rust_project_asks_for_what_the_workspace_has() -> None:
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]
    template = (TEMPLATES / "rust/Cargo.toml.tmpl").read_text(encoding="utf-8")
    manifest = tomllib.loads(re.sub(r"@[a-z_]+@", "x", template))
    assert manifest["dependencies"]["pyo3"] == workspace["dependencies"]["pyo3"]
    for key in ("edition", "rust-version"):
        assert manifest["package"][key] == workspace["package"][key]
