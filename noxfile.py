"""Every command of the project: `python3 noxfile.py -s demo`, `python3 noxfile.py -s tests`.

Run as a script it needs nothing but Python: it makes ``.venv``, installs nox there and hands over. With
nox installed, `nox -s demo` is the same. All sessions work in that one ``.venv`` and in cargo's one
``target`` folder, because building the engine is the dear part and should happen once; the environment
is also what a developer activates afterwards.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
VENV_BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
VENV_PYTHON = VENV_BIN / ("python.exe" if os.name == "nt" else "python")
ENGINE = "ml4t-engine-rs"
ENGINE_CRATE = f"{ENGINE}/crates/py"
# Plugins with a native library of their own, and where its crate is.
LIBRARIES = {f"./plugins/ml4t-{x}": f"plugins/ml4t-{x}/rust" for x in ("funding", "impact", "margin")}
DEMO_CONFIG = "examples/momentum.toml"
MINIMUM_PYTHON = (3, 11)
# What builds the packages: installed once, instead of anew for each of them.
BACKENDS = ("editables", "hatchling", "maturin")
PEERS = ("zipline", "backtrader", "vectorbt")
TESTS = "not (bench or browser or faults or parity or plugins or soak or wheels)"
NOX_REQUIREMENT = "nox>=2025.5.1"


def refuse_old_python() -> None:
    """Exit with a sentence when this interpreter is too old to run the project."""
    if sys.version_info < MINIMUM_PYTHON:
        found = ".".join(str(part) for part in sys.version_info[:3])
        wanted = ".".join(str(part) for part in MINIMUM_PYTHON)
        sys.exit(
            f"ml4t needs Python {wanted} or newer; {sys.executable} is {found}. "
            f"Run this file with a newer one, for example: python3.13 {Path(__file__).name} -s demo"
        )


def ensure_venv() -> None:
    """Make ``.venv`` unless it is there and works.

    A system Python that refuses `pip install` (PEP 668) is never asked to: everything goes into ``.venv``.
    """
    if VENV_PYTHON.exists():
        probe = subprocess.run([VENV_PYTHON, "-m", "pip", "--version"], capture_output=True, check=False)
        if probe.returncode == 0:
            return
    print(f"making {VENV}", flush=True)
    try:
        venv.create(VENV, with_pip=True, clear=True)
    except subprocess.CalledProcessError:
        sys.exit(
            f"{sys.executable} cannot make a virtual environment with pip. On Debian and Ubuntu: "
            f"apt install python3-venv; otherwise install a complete Python."
        )


def hand_over_to_nox() -> None:
    """Run nox on this file with the arguments given, installing it into ``.venv`` when absent."""
    refuse_old_python()
    python = sys.executable
    if subprocess.run([python, "-c", "import nox"], capture_output=True, check=False).returncode != 0:
        ensure_venv()
        python = str(VENV_PYTHON)
        if subprocess.run([python, "-c", "import nox"], capture_output=True, check=False).returncode != 0:
            subprocess.run([python, "-m", "pip", "install", "--quiet", NOX_REQUIREMENT], check=True)
    arguments = [python, "-m", "nox", "--noxfile", str(ROOT / "noxfile.py"), *sys.argv[1:]]
    sys.exit(subprocess.run(arguments, check=False).returncode)


if __name__ == "__main__":
    hand_over_to_nox()

refuse_old_python()

import nox  # noqa: E402  (absent until the lines above have run)

nox.needs_version = ">=2025.5.1"
nox.options.sessions = ["tests"]
nox.options.default_venv_backend = "none"


# --------------------------------------------------------------------------- the Rust toolchain


def declared_rust_version() -> tuple[int, ...]:
    """Return `rust-version` of the Cargo workspace."""
    text = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    found = re.search(r'^rust-version = "([\d.]+)"', text, re.MULTILINE)
    if found is None:
        message = "Cargo.toml declares no rust-version"
        raise RuntimeError(message)
    return tuple(int(part) for part in found.group(1).split("."))


def need_rust(session: nox.Session) -> None:
    """Stop with the fix when cargo is absent or older than `rust-version`."""
    wanted = declared_rust_version()
    wanted_text = ".".join(str(part) for part in wanted)
    fix = "install one from https://rustup.rs (then open a new shell), or run `rustup update stable`"
    if shutil.which("cargo") is None or shutil.which("rustc") is None:
        session.error(f"no Rust toolchain on PATH; the engine needs Rust {wanted_text} or newer: {fix}")
    printed = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"rustc (\d+)\.(\d+)\.(\d+)", printed)
    if found is None:
        session.error(f"`rustc --version` printed {printed!r}, which names no version: {fix}")
    if tuple(int(part) for part in found.groups()) < wanted:
        session.error(f"the engine needs Rust {wanted_text} or newer, found {found.group(0)}: {fix}")


def need_component(session: nox.Session, name: str, probe: Sequence[str], package: str) -> None:
    """Stop with the fix when a cargo component is absent."""
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        session.error(
            f"{name} is not installed: run `rustup component add {name}`, "
            f"or install your distribution's package (Debian: apt install {package})"
        )


def need_rust_linters(session: nox.Session) -> None:
    """Stop with the fix when rustfmt or clippy is absent."""
    need_rust(session)
    need_component(session, "rustfmt", ["cargo", "fmt", "--version"], "rustfmt")
    need_component(session, "clippy", ["cargo", "clippy", "--version"], "rust-clippy")


# --------------------------------------------------------------------------- the environment


def run(session: nox.Session, *command: str, env: dict[str, str | None] | None = None) -> None:
    """Run a command at the root of the workspace with ``.venv`` first on PATH."""
    environment: dict[str, str | None] = {
        "VIRTUAL_ENV": str(VENV),
        "PATH": os.pathsep.join([str(VENV_BIN), os.environ.get("PATH", "")]),
        "PYTHONHOME": None,
        # pyo3's build script sees the same interpreter from cargo as from maturin and is not run again.
        "PYO3_PYTHON": str(VENV_PYTHON),
        # Bytecode is written when a module is first imported, which of most modules never happens. (0 is what
        # pip takes for yes here.)
        "PIP_NO_COMPILE": "0",
        **(env or {}),
    }
    with session.chdir(ROOT):
        session.run(*command, env=environment, external=True)


def python(session: nox.Session, *arguments: str, env: dict[str, str | None] | None = None) -> None:
    """Run ``.venv``'s Python."""
    run(session, str(VENV_PYTHON), *arguments, env=env)


def requirement_lines(*, editable: bool) -> list[str]:
    """Return the ``-e`` lines of ``requirements/dev.txt``, or the tools."""
    lines = (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8").splitlines()
    stripped = [line.strip() for line in lines]
    return [line for line in stripped if line and line[0] != "#" and line.startswith("-e ") == editable]


def inputs_hash() -> str:
    """Return a digest of what decides the contents of ``.venv``: every pyproject.toml and dev.txt."""
    files = sorted(ROOT.glob("*/pyproject.toml")) + sorted(ROOT.glob("*/*/pyproject.toml"))
    digest = hashlib.sha256(sys.version.encode())
    for path in [ROOT / "pyproject.toml", ROOT / "requirements" / "dev.txt", *files]:
        if VENV not in path.parents:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def already_installed(level: str) -> bool:
    """Tell whether ``.venv`` holds `level` (``run`` or ``dev``) for the current inputs."""
    return any(
        stamp.is_file() and stamp.read_text(encoding="utf-8") == inputs_hash()
        for stamp in {VENV / f"ml4t-{level}.stamp", VENV / "ml4t-dev.stamp"}
    )


def build_engine(
    session: nox.Session, *, profile: str = "release", install: bool = False, features: str = ""
) -> None:
    """Compile the engine's extension; see `build_extension`."""
    build_extension(session, ENGINE_CRATE, profile=profile, install=install, features=features)


def build_extension(
    session: nox.Session, crate: str, *, profile: str = "release", install: bool = False, features: str = ""
) -> None:
    """Compile an extension, with cargo's progress shown, and put it into the source tree.

    `install` also installs the distribution's metadata and its dependencies; afterwards only the
    library changes.
    """
    need_rust(session)
    flags = [] if install else ["--skip-install"]
    flags += ["--features", features] if features else []
    maturin = str(VENV_BIN / "maturin")
    run(session, maturin, "develop", "--manifest-path", f"{crate}/Cargo.toml", "--profile", profile, *flags)


def ensure_environment(session: nox.Session, *, level: str, profile: str = "release") -> None:
    """Bring ``.venv`` to `level`: ``run`` (the packages) or ``dev`` (and the tools), engine compiled.

    The kernel comes first because the engine requires it, the rest last because it requires the engine.
    """
    need_rust(session)
    ensure_venv()
    if already_installed(level):
        for crate in (ENGINE_CRATE, *LIBRARIES.values()):
            build_extension(session, crate, profile=profile)
        return
    for stamp in VENV.glob("ml4t-*.stamp"):
        stamp.unlink()
    packages = [line.removeprefix("-e ") for line in requirement_lines(editable=True)]
    others = [path for path in packages if path not in {"./ml4t-core", f"./{ENGINE}", *LIBRARIES}]
    tools = requirement_lines(editable=False)
    pip = ["-m", "pip", "install", "--disable-pip-version-check"]
    python(session, *pip, *[line for line in tools if line.startswith(BACKENDS)])
    pip.append("--no-build-isolation")
    python(session, *pip, "-e", "./ml4t-core")
    build_engine(session, profile=profile, install=True)
    editable = [argument for path in others for argument in ("-e", path)]
    python(session, *pip, *editable, *(tools if level == "dev" else []))
    for crate in LIBRARIES.values():
        build_extension(session, crate, profile=profile, install=True)
    (VENV / f"ml4t-{level}.stamp").write_text(inputs_hash(), encoding="utf-8")


class Stopwatch:
    """Times the named steps of one session and prints them when it ends, also when a step fails."""

    def __init__(self, session: nox.Session) -> None:
        self._session = session
        self._rows: list[tuple[str, float]] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._rows.append((name, time.perf_counter() - started))

    def report(self) -> None:
        """Print one line per step."""
        total = sum(seconds for _, seconds in self._rows)
        for name, seconds in [*self._rows, ("in all", total)]:
            self._session.log(f"{name:<24}{seconds:8.1f} s")


@contextmanager
def stopwatch(session: nox.Session) -> Iterator[Stopwatch]:
    """Give a stopwatch that reports when the block ends."""
    watch = Stopwatch(session)
    try:
        yield watch
    finally:
        watch.report()


# --------------------------------------------------------------------------- the checks


def lint_python(session: nox.Session) -> None:
    """Run ruff, both as linter and as formatter."""
    python(session, "-m", "ruff", "check", ".")
    python(session, "-m", "ruff", "format", "--check", ".")


def lint_rust(session: nox.Session) -> None:
    """Run rustfmt and clippy; a warning fails."""
    need_rust_linters(session)
    run(session, "cargo", "fmt", "--all", "--check")
    run(session, "cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings")


def check_types(session: nox.Session) -> None:
    """Run mypy --strict over every package, the noxfile and the generators."""
    python(session, "-m", "mypy", *[argument for name in own_packages() for argument in ("-p", name)])
    python(session, "-m", "mypy", "noxfile.py", "conftest.py", "requirements/generate.py")


def own_packages() -> list[str]:
    """Return the import names of the workspace: every folder with a ``py.typed``."""
    roots = [ROOT / "ml4t-core/src", ROOT / ENGINE / "python", *sorted(ROOT.glob("plugins/*/src"))]
    return [
        ".".join(typed.parent.relative_to(root).parts)
        for root in roots
        for typed in sorted(root.glob("**/py.typed"))
    ]


def rust_tests(session: nox.Session) -> None:
    """Run the Rust tests of `abi` and `sim` in the profile of the editable install.

    `ml4t-py` cannot be linked into a test binary (an extension module leaves Python's symbols open);
    it is tested from Python.
    """
    need_rust(session)
    run(session, "cargo", "test", "--release", "--locked", "-p", "ml4t-abi", "-p", "ml4t-sim")


# --------------------------------------------------------------------------- sessions


@nox.session(venv_backend="none")
def demo(session: nox.Session) -> None:
    """Build everything, run a backtest on real prices, write tables, manifest and report."""
    with stopwatch(session) as watch:
        with watch.step("build and install"):
            ensure_environment(session, level="run")
        with watch.step("run"):
            run(session, str(VENV_BIN / "ml4t"), "run", DEMO_CONFIG, "--overwrite", *session.posargs)


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Check everything that must hold: lint, types, Rust tests, Python tests."""
    need_rust_linters(session)
    with stopwatch(session) as watch:
        with watch.step("build and install"):
            ensure_environment(session, level="dev")
        with watch.step("lint Python"):
            lint_python(session)
        with watch.step("types"):
            check_types(session)
        with watch.step("lint Rust"):
            lint_rust(session)
        with watch.step("Rust tests"):
            rust_tests(session)
        with watch.step("Python tests"):
            # For two cores; some tests start threads and processes of their own.
            spread = ["-n", "2", "--dist", "worksteal"]
            python(session, "-m", "pytest", "-m", TESTS, *spread, "--durations=10", *session.posargs)


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Run ruff, rustfmt, clippy."""
    ensure_environment(session, level="dev")
    lint_python(session)
    lint_rust(session)


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Run mypy --strict."""
    ensure_environment(session, level="dev")
    check_types(session)


@nox.session(venv_backend="none")
def rust(session: nox.Session) -> None:
    """Run the Rust tests, without building the Python side."""
    rust_tests(session)


@nox.session(venv_backend="none")
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning fails."""
    ensure_environment(session, level="dev")
    python(session, "-m", "sphinx", "-W", "--keep-going", "-E", "-b", "html", "docs", "docs/_build/html")
    session.log(f"open {ROOT / 'docs' / '_build' / 'html' / 'index.html'}")


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Measure, with the engine built as for a wheel (fat LTO)."""
    ensure_environment(session, level="dev", profile="dist")
    python(session, "tests/bench/first_figures.py")
    python(session, "tests/bench/order_cost.py")
    python(session, "tests/bench/native_models.py")
    python(session, "tests/bench/speed/fronts.py")
    python(session, "tests/bench/speed/run.py")
    python(session, "-m", "pytest", "-m", "bench", "-s", *session.posargs)


@nox.session(venv_backend="none")
def instructions(session: nox.Session) -> None:
    """Count the instructions of the simulator's workloads; `-- --accept "why"` records what moved."""
    need_rust(session)
    ensure_venv()
    python(session, "tests/bench/instructions.py", *session.posargs)


@nox.session(venv_backend="none")
def peers(session: nox.Session) -> None:
    """Install the engines that `bench` measures beside ours, each in an environment of its own."""
    for wanted in sorted((ROOT / "tests" / "bench" / "speed" / "peers").glob("*.txt")):
        home = ROOT / ".cache" / "peers" / wanted.stem
        stamp = home / "installed.txt"
        if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted.read_text(encoding="utf-8"):
            continue
        venv.create(home, with_pip=True, clear=True)
        interpreter = str(home / VENV_BIN.name / VENV_PYTHON.name)
        pip = [interpreter, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        run(session, *pip, "-r", str(wanted), env={"VIRTUAL_ENV": str(home)})
        stamp.write_text(wanted.read_text(encoding="utf-8"), encoding="utf-8")


@nox.session(venv_backend="none")
def soak(session: nox.Session) -> None:
    """Run the random suites at full count; the record under artifacts/ names commit and seed."""
    ensure_environment(session, level="dev")
    seed = os.environ.get("ML4T_TEST_SEED") or str(time.time_ns() % 2**32)
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    commit = described.stdout.strip() or "no-commit"
    session.log(f"commit {commit}, seed {seed}")
    env: dict[str, str | None] = {"ML4T_TEST_SEED": seed, "ML4T_HYPOTHESIS_PROFILE": "soak"}
    record = [f"--hypothesis-seed={seed}", f"--junitxml=artifacts/soak-{commit}-{seed}.xml"]
    python(session, "-m", "pytest", "-m", "soak or slow", *record, *session.posargs, env=env)
    proptest: dict[str, str | None] = {"PROPTEST_CASES": "20000", "PROPTEST_RNG_SEED": seed}
    packages = ["-p", "ml4t-abi", "-p", "ml4t-sim"]
    run(session, "cargo", "test", "--release", "--locked", *packages, env=proptest)


@nox.session(venv_backend="none")
def mutations(session: nox.Session) -> None:
    """Change one line of the simulator at a time; the scenarios must notice each."""
    need_rust(session)
    ensure_environment(session, level="dev")
    python(session, "tests/mutations/run.py", *session.posargs)


@nox.session(venv_backend="none")
def faults(session: nox.Session) -> None:
    """Let the engine panic in every phase, built so that it can be told to; then build it as it was."""
    ensure_environment(session, level="dev")
    build_engine(session, features="fault-injection")
    try:
        python(session, "-m", "pytest", "-m", "faults", "tests/faults", *session.posargs)
    finally:
        build_engine(session)


def run_peer(session: nox.Session, peer: str) -> None:
    """Run the cases of `peer` on the engine itself, in an environment that holds nothing else."""
    parity, cache = ROOT / "tests" / "parity", ROOT / ".cache" / "parity"
    wanted, printed = parity / "peers" / f"{peer}.txt", cache / f"{peer}.json"
    printed.unlink(missing_ok=True)
    home, stamp = cache / peer, cache / peer / "installed.txt"
    interpreter = home / VENV_BIN.name / VENV_PYTHON.name
    packages = f"{sys.version}\n{wanted.read_text(encoding='utf-8')}"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != packages:
        venv.create(home, with_pip=True, clear=True)
        pip = [str(interpreter), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        run(session, *pip, "-r", str(wanted), env={"VIRTUAL_ENV": str(home)})
        stamp.write_text(packages, encoding="utf-8")
    program = parity / "peers" / f"{peer}_peer.py"
    ran = subprocess.run([interpreter, program], stdout=subprocess.PIPE, cwd=home, check=False)
    if ran.returncode != 0:
        session.error(f"{program.relative_to(ROOT)} failed")
    printed.write_bytes(ran.stdout)


@nox.session(venv_backend="none")
def parity(session: nox.Session) -> None:
    """Run the cases of every peer on the real engine and on ml4t, and compare the trades."""
    with stopwatch(session) as watch:
        with watch.step("build and install"):
            ensure_environment(session, level="dev")
        for peer in PEERS:
            with watch.step(peer):
                run_peer(session, peer)
        with watch.step("ml4t"):
            python(session, "-m", "pytest", "-m", "parity", "tests/parity", *session.posargs)


@nox.session(venv_backend="none")
def browser(session: nox.Session) -> None:
    """Look at the report page in a real chromium."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    if not any(shutil.which(name) for name in names):
        session.error(f"no browser found (looked for {', '.join(names)}); Debian: apt install chromium")
    ensure_environment(session, level="dev")
    python(session, "-m", "pytest", "-m", "browser", *session.posargs)


@nox.session(venv_backend="none")
def coverage(session: nox.Session) -> None:
    """Report line and branch coverage of the Python packages."""
    ensure_environment(session, level="dev")
    python(session, "-m", "coverage", "run", "-m", "pytest", "-m", TESTS, *session.posargs)
    python(session, "-m", "coverage", "report")


@nox.session(venv_backend="none")
def rust_coverage(session: nox.Session) -> None:
    """Report line coverage of the Rust crates, with cargo-llvm-cov."""
    need_rust(session)
    if subprocess.run(["cargo", "llvm-cov", "--version"], capture_output=True, check=False).returncode != 0:
        session.error(
            "cargo-llvm-cov is not installed: run `cargo install cargo-llvm-cov` "
            "and `rustup component add llvm-tools`"
        )
    run(session, "cargo", "llvm-cov", "--release", "--locked", "-p", "ml4t-abi", "-p", "ml4t-sim")


@nox.session(venv_backend="none")
def plugins(session: nox.Session) -> None:
    """Write plugins in Python, numba, Rust and C outside the repository; build, install and run them."""
    need_rust(session)
    ensure_environment(session, level="dev")
    with stopwatch(session) as watch, watch.step("plugins"):
        folder = "plugins/ml4t-testing/tests"
        python(session, "-m", "pytest", "-m", "plugins", "--durations=10", folder, *session.posargs)


@nox.session(venv_backend="none")
def wheels(session: nox.Session) -> None:
    """Build every wheel, then install `ml4t[all]` from them alone in a clean environment and run it."""
    ensure_environment(session, level="dev")
    dist, house, clean = ROOT / "dist", ROOT / "wheelhouse", ROOT / ".cache" / "clean-venv"
    for folder in (dist, house, clean):
        shutil.rmtree(folder, ignore_errors=True)
    with stopwatch(session) as watch:
        with watch.step("native wheels"):
            build = [str(VENV_BIN / "maturin"), "build", "--profile", "dist", "--locked", "--out", str(dist)]
            for crate in (ENGINE_CRATE, *LIBRARIES.values()):
                run(session, *build, "--manifest-path", f"{crate}/Cargo.toml")
        with watch.step("pure wheels"):
            folders = [line.removeprefix("-e ") for line in requirement_lines(editable=True)]
            pure = [folder for folder in folders if folder not in {f"./{ENGINE}", *LIBRARIES}]
            python(session, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(dist), *pure)
        with watch.step("third-party wheels"):
            find = ["--find-links", str(dist), "--dest", str(house)]
            python(session, "-m", "pip", "download", *find, "ml4t[all]")
        with watch.step("clean install"):
            venv.create(clean, with_pip=True)
            clean_python = str(clean / VENV_BIN.name / VENV_PYTHON.name)
            offline: dict[str, str | None] = {"PIP_FIND_LINKS": None, "VIRTUAL_ENV": str(clean)}
            find = ["--no-index", "--find-links", str(house)]
            run(session, clean_python, "-m", "pip", "install", *find, "ml4t[all]", env=offline)
        with watch.step("checks"):
            env: dict[str, str | None] = {"ML4T_DIST": str(dist), "ML4T_CLEAN_PYTHON": clean_python}
            env["ML4T_WHEELHOUSE"] = str(house)
            python(
                session, "-m", "pytest", "-m", "wheels", "-s", "tests/packaging", *session.posargs, env=env
            )
