"""The built wheels, and what is installed from them alone. `nox -s wheels` builds and names them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Member

pytestmark = pytest.mark.wheels

MOST_ENGINE_BYTES = 5_000_000
WORKSPACE = tomllib.loads(
    (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
)
EXTRAS = sorted(WORKSPACE["project"]["optional-dependencies"])
# What a process of an extra may import, and must not without it.
SHOWS = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"


def from_environment(name: str) -> Path:
    value = os.environ.get(name)
    assert value, f"{name} is not set: run `nox -s wheels`"
    return Path(value)


@pytest.fixture(scope="module")
def wheels(members: list[Member]) -> dict[str, zipfile.ZipFile]:
    """The wheels by distribution name."""
    found = {}
    for path in from_environment("ML4T_DIST").glob("*.whl"):
        found[path.name.split("-")[0].replace("_", "-")] = zipfile.ZipFile(path)
    assert set(found) == {each.name for each in members}
    return found


def ml4t(*arguments: str, cwd: Path) -> str:
    """Run the command line of the clean environment."""
    command = from_environment("ML4T_CLEAN_PYTHON").with_name("ml4t")
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "ML4T_"))}
    finished = subprocess.run(
        [str(command), *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=300
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def test_no_wheel_turns_the_namespace_into_a_package(wheels: dict[str, zipfile.ZipFile]) -> None:
    for name, wheel in wheels.items():
        forbidden = {"ml4t/__init__.py", "ml4t/compat/__init__.py"} & set(wheel.namelist())
        assert forbidden == set(), name


def test_every_wheel_holds_its_licence_and_only_its_own_packages(
    wheels: dict[str, zipfile.ZipFile], member: dict[str, Member]
) -> None:
    for name, wheel in wheels.items():
        files = wheel.namelist()
        assert any(file.endswith("/licenses/LICENSE") for file in files), name
        code = [file for file in files if ".dist-info/" not in file]
        source = member[name].source
        own = {
            package.relative_to(source).as_posix() + "/"
            for package in member[name].packages
            if source is not None
        }
        assert all(any(file.startswith(prefix) for prefix in own) for file in code), (name, code)
        for prefix in own:
            assert f"{prefix}py.typed" in files, (name, prefix)


def test_the_root_wheel_holds_no_code(wheels: dict[str, zipfile.ZipFile]) -> None:
    assert all(".dist-info/" in file for file in wheels["ml4t"].namelist())


def test_the_engine_wheel_holds_the_extension_and_the_data_pack(wheels: dict[str, zipfile.ZipFile]) -> None:
    files = wheels["ml4t-engine"].namelist()
    assert any(file.startswith("ml4t/engine/_engine") and file.endswith((".so", ".pyd")) for file in files)
    assert (
        sum(file.startswith("ml4t/backtest/datasets/") and file.endswith(".parquet") for file in files) == 2
    )
    assert not any(file.endswith((".rs", "Cargo.toml")) for file in files)


def test_the_wheel_of_the_engine_is_small(wheels: dict[str, zipfile.ZipFile]) -> None:
    sizes = {name: Path(str(wheel.filename)).stat().st_size for name, wheel in wheels.items()}
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        print(f"{name:<16}{size / 1e6:8.3f} MB")
    assert sizes["ml4t-engine"] < MOST_ENGINE_BYTES


def installed(folder: Path, *requirements: str) -> Path:
    """Make an environment with nothing but these requirements, from the wheelhouse alone; its interpreter."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    env = {
        key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "PYTHON", "VIRTUAL"))
    }
    house = ["--no-index", "--find-links", str(from_environment("ML4T_WHEELHOUSE"))]
    for command in (["install", "--quiet", *house, *requirements], ["check"]):
        done = subprocess.run(
            [str(python), "-m", "pip", *command], env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return python


def has_module(python: Path, module: str) -> bool:
    return subprocess.run([str(python), "-I", "-c", SHOWS, module], check=False).returncode == 0


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_is_installed_as_it_is_typed(extra: str, tmp_path: Path) -> None:
    python = installed(tmp_path / "environment", f"ml4t[{extra}]")
    wanted = EXTRAS if extra == "all" else [extra]
    for each in EXTRAS:
        if each != "all":
            assert has_module(python, f"ml4t.{each}") or each not in wanted, each
    listed = subprocess.run(
        [str(python.with_name("ml4t")), "doctor"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert listed.returncode == 0, listed.stdout + listed.stderr


def test_a_kernel_alone_says_what_to_install_for_a_run(tmp_path: Path) -> None:
    python = installed(tmp_path / "environment", "ml4t-core")
    assert not has_module(python, "ml4t.engine")
    (tmp_path / "run.toml").write_text("[backtest]\n")
    done = subprocess.run(
        [str(python.with_name("ml4t")), "run", "run.toml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stderr)
    assert done.returncode != 0
    assert "pip install ml4t-engine" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_clean_installation_finds_every_plugin(member: dict[str, Member], tmp_path: Path) -> None:
    listed = json.loads(ml4t("plugins", "--json", cwd=tmp_path))
    plugins = {entry["name"] for entry in listed if entry["status"] == "active"}
    expected = {
        entry
        for each in member.values()
        for entry in each.pyproject["project"].get("entry-points", {}).get("ml4t", {})
    }
    assert expected <= plugins


def test_the_clean_installation_runs_the_demo(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("runs"))
    ml4t("run", "examples/momentum.toml", cwd=tmp_path)
    manifests = list(tmp_path.rglob("run_manifest.json"))
    assert len(manifests) == 1
    assert (manifests[0].parent / "fills.parquet").stat().st_size > 0
