"""The projects that `ml4t new-plugin` writes pass their own tests, in a process of their own."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ml4t.backtest import Results

Folder = Any
KINDS = ("fill", "slippage", "impact", "fee", "latency", "executor", "strategy")
COMMAND = "import sys; from ml4t.core.cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def outcomes(folder: Folder, compilers: dict[str, Any]) -> dict[str, Counter[str]]:
    """What came of the tests of every project in Python, numba and C, by project and outcome."""
    folder.write("reader", "none")
    for kind in KINDS:
        for native in ("none", "numba"):
            folder.write(kind, native)
        compilers["c"](folder.write(kind, "c"))
    kernels = [project for project in folder.projects() if project.name.endswith("-numba")]
    others = [project for project in folder.projects() if project not in kernels]
    folder.environment()
    # Compiling kernels takes as long as everything else: side by side.
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda some: run_tests(folder, some), [kernels, others])
    return first | second


def run_tests(folder: Folder, projects: list[Path]) -> dict[str, Counter[str]]:
    """Run the tests of projects and count what came of them."""
    record = folder.path / f"{projects[0].name}.xml"
    ran = folder.pytest(projects, f"--junitxml={record}")
    assert record.exists(), ran.stdout + ran.stderr
    found: dict[str, Counter[str]] = {project.name: Counter() for project in projects}
    for case in ET.parse(record).iter("testcase"):
        name = case.attrib["classname"].split(".")[0]
        outcome = next((each.tag for each in case if each.tag in ("failure", "error", "skipped")), "passed")
        found[name][outcome] += 1
    assert ran.returncode == (1 if any(each["failure"] or each["error"] for each in found.values()) else 0), (
        ran.stdout
    )
    if ran.returncode:
        print(ran.stdout)
    return found


@pytest.mark.parametrize("native", ["none", "numba", "c"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_project_that_was_just_written_passes_its_tests(
    outcomes: dict[str, Counter[str]], kind: str, native: str
) -> None:
    found = outcomes[f"ml4t-{kind}-{native}"]
    assert found["failure"] == found["error"] == 0
    assert found["passed"] >= (10 if kind == "strategy" else 18)
    # What a model without state or without native code has not.
    most = {"none": 4, "numba": 2, "c": 2}[native]
    assert found["skipped"] <= most


def test_a_reader_that_was_just_written_passes_its_tests(outcomes: dict[str, Counter[str]]) -> None:
    assert outcomes["ml4t-reader-none"] == Counter(passed=11)


@pytest.mark.usefixtures("outcomes")
@pytest.mark.parametrize(
    ("project", "path"),
    [
        ("ml4t-fee-c", "capsule"),
        ("ml4t-fill-none", "python"),
        ("ml4t-executor-c", "capsule"),
        ("ml4t-latency-c", "capsule"),
    ],
)
def test_the_example_runs_by_the_name_in_its_configuration(folder: Folder, project: str, path: str) -> None:
    example = folder.path / project / "examples/backtest.toml"
    output = folder.path / "runs" / project
    command = [sys.executable, "-c", COMMAND, "run", str(example), "--no-report", "--output", str(output)]
    ran = folder.run(command)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    results = Results.load(output)
    models = {each["plugin"]: each for each in results.manifest["models"]}
    ours = models[project.removeprefix("ml4t-")]
    assert (ours["path"], ours["distribution"]) == (path, project)
    assert results.fills.height > 100


@pytest.mark.usefixtures("outcomes")
def test_the_example_of_a_reader_runs_by_the_name_in_its_configuration(folder: Folder) -> None:
    example = folder.path / "ml4t-reader-none/examples/backtest.toml"
    output = folder.path / "runs/reader"
    command = [sys.executable, "-c", COMMAND, "run", str(example), "--no-report", "--output", str(output)]
    ran = folder.run(command)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    results = Results.load(output)
    (used,) = results.manifest["readers"]
    assert (used["plugin"], used["distribution"]) == ("reader-none", "ml4t-reader-none")
    assert "examples" not in str(results.manifest["inputs"]), "an input is named from the folder of the file"
    assert results.fills.height > 10
    text = example.read_text(encoding="utf-8")
    example.with_name("scheme.toml").write_text(
        text.replace('type = "reader-none"\npath = "prices"', 'path = "reader-none:prices"'), encoding="utf-8"
    )
    ran = folder.run(
        [*command[:4], str(example.with_name("scheme.toml")), "--no-report", "--output", f"{output}2"]
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert Results.load(Path(f"{output}2")).fills.equals(results.fills)


def test_a_formula_that_was_changed_wrongly_fails_its_tests(folder: Folder) -> None:
    project = folder.write("slippage", "none", name="wrong")
    path = project / "src/ml4t_wrong/model.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("abs(ctx.reference_price)", "ctx.close"), encoding="utf-8")
    found = run_tests(folder, [project])["ml4t-wrong"]
    assert found["failure"] >= 2
    assert found["passed"] >= 10


def test_a_wheel_of_a_project_holds_its_package_and_its_entry_point(folder: Folder, tmp_path: Path) -> None:
    project = folder.write("fee", "none", name="shipped")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    made = subprocess.run(
        [*command, "--wheel-dir", str(tmp_path), str(project)], capture_output=True, check=False
    )
    assert made.returncode == 0, made.stderr
    (path,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        entries = wheel.read("ml4t_shipped-0.1.0.dist-info/entry_points.txt").decode()
    assert {name for name in names if ".dist-info/" not in name} == {
        "ml4t_shipped/__init__.py",
        "ml4t_shipped/model.py",
        "ml4t_shipped/plugin.py",
        "ml4t_shipped/py.typed",
    }
    assert "ml4t_shipped-0.1.0.dist-info/licenses/LICENSE" in names
    assert "[ml4t]\nshipped = ml4t_shipped.plugin" in entries


@pytest.mark.plugins
def test_a_project_in_rust_passes_its_tests_and_its_panic_is_an_error(
    folder: Folder, compilers: dict[str, Any]
) -> None:
    sound = folder.write("impact", "rust")
    compilers["rust"](sound)
    panics = folder.write("impact", "rust", name="panics")
    source = panics / "rust/src/lib.rs"
    formula = "let share = context.quantity / volume;"
    text = source.read_text(encoding="utf-8")
    assert formula in text
    guard = f'assert!(context.quantity < 900.0, "too much for this model");\n        {formula}'
    source.write_text(text.replace(formula, guard), encoding="utf-8")
    compilers["rust"](panics)
    found = run_tests(folder, [sound, panics])
    assert found["ml4t-impact-rust"]["failure"] == found["ml4t-impact-rust"]["error"] == 0
    assert found["ml4t-impact-rust"]["passed"] >= 20
    # The process lived through the panic, or there would be no record; the claims about answers fail.
    assert found["ml4t-panics"]["failure"] >= 1
    assert found["ml4t-panics"]["passed"] >= 10
    example = panics / "examples/backtest.toml"
    command = [
        sys.executable,
        "-c",
        COMMAND,
        "run",
        str(example),
        "--no-report",
        "--output",
        str(folder.path / "p"),
    ]
    ran = folder.run(command)
    assert ran.returncode == 1
    assert "model Panics version 1, " in ran.stdout + ran.stderr
    assert "too much for this model" in ran.stdout + ran.stderr
