"""Real plugin distributions in a folder of their own, and an interpreter that sees only them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import ml4t.core

RUNTIME = ["attrs", "cattrs", "click", "markdown-it-py", "mdurl", "packaging", "pluggy", "polars", "pyarrow"]
RUNTIME += ["pygments", "rich", "ruamel.yaml", "typing_extensions"]
SWITCHES = ("CI", "ML4T_", "PYTHON", "COLUMNS")


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the kernel and what it needs, but without any other distribution of ml4t."""
    folder = tmp_path_factory.mktemp("runtime")
    for name in RUNTIME:
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        for top in {Path(file).parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            source = Path(str(distribution.locate_file(top)))
            if source.exists() and not (folder / top).exists():
                (folder / top).symlink_to(source)
    (folder / "ml4t").mkdir()
    (folder / "ml4t" / "core").symlink_to(Path(ml4t.core.__file__).parent)
    return folder


class Site:
    """A folder of installed distributions."""

    def __init__(self, folder: Path, runtime: Path) -> None:
        self.folder = folder
        self.runtime = runtime
        self.install("ml4t-core", version=ml4t.core.__version__)

    def install(
        self,
        name: str,
        *,
        version: str = "1.0",
        entries: dict[str, str] | None = None,
        files: dict[str, str] | None = None,
    ) -> None:
        """Write a distribution as an installer leaves it: modules, metadata, entry points, record."""
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        header = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(header, encoding="utf-8")
        lines = [f"{entry} = {target}" for entry, target in (entries or {}).items()]
        (info / "entry_points.txt").write_text("\n".join(["[ml4t]", *lines, ""]), encoding="utf-8")
        for path, text in (files or {}).items():
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(textwrap.dedent(text), encoding="utf-8")
        record = "".join(f"{path},,\n" for path in files or {})
        (info / "RECORD").write_text(record, encoding="utf-8")

    def plugin(self, name: str, body: str, *, dist: str | None = None, version: str = "1.0") -> None:
        """Install a distribution `ml4t-<name>` whose one module `ml4t_<name>` is the plugin."""
        module = f"ml4t_{name}"
        head = "from ml4t.core import hookimpl, ModelSpec, ReporterSpec, Check, Finding\n"
        files = {f"{module}.py": head + textwrap.dedent(body)}
        self.install(dist or f"ml4t-{name}", version=version, entries={name: module}, files=files)

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run an interpreter that sees this folder, the kernel and its libraries, and nothing else."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(SWITCHES)}
        path = os.pathsep.join([str(self.folder), str(self.runtime)])
        return subprocess.run(
            [sys.executable, "-S", "-W", "default", *arguments],
            env=inherited | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"} | environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=self.folder,
        )

    def ask(self, code: str, **environ: str) -> Any:  # noqa: ANN401 - whatever the code put into `answer`
        """Run code after the plugins are loaded as `pm`; return what it puts into `answer`."""
        program = (
            "import json, sys\nfrom ml4t.core import load_plugins\npm = load_plugins()\nanswer = None\n"
            + textwrap.dedent(code)
            + "\nprint('ANSWER' + json.dumps(answer))"
        )
        finished = self.run("-c", program, **environ)
        assert finished.returncode == 0, finished.stderr
        return json.loads(finished.stdout.rpartition("ANSWER")[2])

    def ml4t(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run the command line."""
        return self.run(
            "-c", "import sys; from ml4t.core.cli import main; sys.exit(main())", *arguments, **environ
        )


@pytest.fixture
def site(tmp_path: Path, runtime: Path) -> Site:
    """Return an empty folder of distributions."""
    return Site(tmp_path / "site", runtime)
