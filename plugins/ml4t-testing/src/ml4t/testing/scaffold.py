"""Write the project of a new plugin from the templates of this package; nothing is fetched.

A template is the text of a file. `@word@` stands for a value, and lines between `%%if words` and `%%end` are
kept where one of the words is the kind or the native form of the project. Blocks do not nest.
"""

from __future__ import annotations

import keyword
import re
from pathlib import Path

import attrs

from ml4t.core import HOOK_API, __version__
from ml4t.core.errors import ConfigError, unknown_name

__all__ = ["KINDS", "NATIVES", "Plan", "write_project"]

READER = "reader"  # is asked once before a run, so it has no native form
KINDS = ("fill", "slippage", "impact", "fee", "latency", "executor", READER, "strategy")
NATIVES = ("none", "numba", "rust", "c")
OURS = frozenset(("core", "engine", "fees", "fills", "funding", "futures", "impact", "native", "profiles"))
OURS |= {"margin", "reference", "report", "slippage", "testing"}

HERE = Path(__file__).parent
TEMPLATES = HERE / "template"
CRATE = HERE / "abi"

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_VALUE = re.compile(r"@([a-z_]+)@")
_SUMMARIES = {
    "fill": "fills up to a share of the volume of a bar",
    "slippage": "loses a fraction of the price",
    "impact": "the square-root law of market impact",
    "fee": "a rate on the notional, with a minimum",
    "latency": "delays by message and chance",
    "executor": "works orders by a share of what the market trades",
    "reader": "daily bars from a folder of CSV files",
    "strategy": "equal parts of equity, kept within a band",
}


@attrs.frozen(kw_only=True)
class Plan:
    """What to write: a checked name, the kind of plugin, and what the model is written in.

    Raises
    ------
    ConfigError
        If the name cannot be that of a distribution and a module, or the kind has no such native form.
    UnknownNameError
        If kind or native form is not known.
    """

    name: str
    kind: str
    native: str = "none"

    def __attrs_post_init__(self) -> None:
        """Check all three."""
        what = "kind of plugin"
        if self.kind not in KINDS:
            raise unknown_name(what, self.kind, KINDS)
        what = "native form"
        if self.native not in NATIVES:
            raise unknown_name(what, self.native, NATIVES)
        if self.kind == READER and self.native != "none":
            msg = (
                f"a reader has no native form (found {self.native!r}): it is asked once before a run and "
                "hands over a whole table; use --native none, and polars or pyarrow in it for speed"
            )
            raise ConfigError(msg)
        if fault := _fault_of(self.name):
            raise ConfigError(f"name {self.name!r}: {fault}")  # noqa: EM102

    @property
    def dist(self) -> str:
        """Name of the distribution and of the folder."""
        return f"ml4t-{self.name}"

    @property
    def module(self) -> str:
        """Name of the module; `ml4t` itself is a namespace of the packages of the project."""
        return self.dist.replace("-", "_")

    @property
    def model(self) -> str:
        """Name of the class."""
        return "".join(part.capitalize() for part in self.name.split("-"))

    @property
    def file(self) -> str:
        """Name of the file that has the class or function."""
        return self.kind if self.kind in ("reader", "strategy") else "model"

    def values(self) -> dict[str, str]:
        """Return what templates may name."""
        major, minor = (int(part) for part in __version__.split(".")[:2])
        upper = f"{major}.{minor + 1}" if major == 0 else f"{major + 1}"
        return {
            "name": self.name,
            "dist": self.dist,
            "module": self.module,
            "model": self.model,
            "kind": self.kind,
            "a_kind": f"An {self.kind}" if self.kind[0] in "aeiou" else f"A {self.kind}",
            "kind_title": self.kind.capitalize(),
            "native_form": "NONE" if self.native == "none" else "CAPSULE",
            "what": self.kind if self.kind == "strategy" else f"{self.kind} model",
            "file": self.file,
            "summary": _SUMMARIES[self.kind],
            "pin": f">={major}.{minor},<{upper}",
            "hook_api": f">={HOOK_API[0]}.{HOOK_API[1]},<{HOOK_API[0] + 1}",
            "key": {"fee": "commission_model"}.get(self.kind, f"{self.kind}_model"),
            "params": _PARAMETERS[self.kind],
            "capabilities": ", ".join([*_GAPS.get(self.kind, ()), *_NO_NATIVE.get(self.native, ())]),
        }


_PARAMETERS = {
    "fill": "share = 0.1",
    "slippage": "fraction = 0.0005",
    "impact": "eta = 0.5",
    "fee": "rate = 0.001, minimum = 1.0",
    "latency": "base_ms = 2.0",
    "executor": "rate = 0.0001",
    "reader": "",
    "strategy": "invested = 0.9, band = 0.1",
}

_GAPS = {"fill": ('needs={"volume"}', "only_bars=True"), "impact": ('needs={"average_volume"}',)}
_NO_NATIVE = {"none": ("no_native=True",)}


def _fault_of(name: str) -> str:
    """Return what is wrong with a name, and what to write instead."""
    bare = re.sub(r"^ml4t[-_]?", "", name.lower())
    if bare != name.lower():
        return f"the prefix ml4t- is added to it; write {bare!r}" if bare else "write what comes after ml4t-"
    if _NAME.fullmatch(name) is None:
        fixed = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        hint = f", such as {fixed!r}" if _NAME.fullmatch(fixed) else ", such as 'root-law'"
        return f"expected a letter, then letters, digits and single dashes, in lower case{hint}"
    if name in OURS:
        return f"ml4t-{name} is a distribution of ml4t itself; choose another name"
    model = "".join(part.capitalize() for part in name.split("-"))
    if keyword.iskeyword(model):
        return f"{model} is a word of Python; choose another name"
    return ""


def write_project(plan: Plan, *, into: Path) -> Path:
    """Write the project into a folder of its own below `into`, and return that folder.

    Raises
    ------
    ConfigError
        If the folder exists and holds anything.
    """
    folder = into / plan.dist
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        msg = f"{folder} exists and is not empty; remove it, choose another name, or give another --into"
        raise ConfigError(msg)
    for target, text in _files(plan).items():
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def _files(plan: Plan) -> dict[str, str]:
    """Return the text of every file of a project, by its path."""
    package = f"src/{plan.module}"
    wanted = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "LICENSE": "LICENSE",
        ".gitignore": "gitignore",
        f"{package}/__init__.py": "package/__init__.py",
        f"{package}/plugin.py": "package/plugin.py",
        f"{package}/{plan.file}.py": _model_template(plan),
        "tests/test_discovery.py": "tests/test_discovery.py",
        "tests/test_compliance.py": "tests/test_compliance.py",
        "examples/backtest.toml": "examples/backtest.toml",
    }
    if plan.kind == READER:
        wanted |= {name: name for name in ("examples/prices/ABC.csv", "examples/prices/XYZ.csv")}
    if plan.kind != "strategy":
        wanted["examples/strategy.py"] = "examples/strategy.py"
    if plan.native in ("rust", "c"):
        wanted[f"{package}/library.py"] = "package/library.py"
    if plan.native == "rust":
        wanted |= {"rust/Cargo.toml": "rust/Cargo.toml", "rust/src/lib.rs": f"rust/{plan.kind}.rs"}
    if plan.native == "c":
        wanted |= {"c/model.c": "c/model.c", "setup.py": "c/setup.py", "MANIFEST.in": "c/MANIFEST.in"}
    files = {target: _filled(plan, template) for target, template in wanted.items()}
    files[f"{package}/py.typed"] = ""
    return files | _vendored(plan)


def _model_template(plan: Plan) -> str:
    """Return the template of the model: a kernel for numba, else a class (beside a library, or alone)."""
    return f"models/{plan.kind}_kernel.py" if plan.native == "numba" else f"models/{plan.kind}.py"


def _vendored(plan: Plan) -> dict[str, str]:
    """Return what a native project compiles against: the crate, or the C header."""
    if plan.native == "rust":
        sources = sorted(path.name for path in (CRATE / "src").glob("*.rs"))
        names = ["Cargo.toml", "LICENSE", *(f"src/{name}" for name in sources)]
        return {f"rust/vendor/ml4t-abi/{name}": (CRATE / name).read_text(encoding="utf-8") for name in names}
    if plan.native == "c":
        from ml4t.native import include_folder

        return {"c/ml4t_abi.h": (include_folder() / "ml4t_abi.h").read_text(encoding="utf-8")}
    return {}


def _filled(plan: Plan, template: str) -> str:
    """Return a template with its blocks chosen and its values put in."""
    values, kept = plan.values(), True
    lines = []
    for line in (TEMPLATES / f"{template}.tmpl").read_text(encoding="utf-8").splitlines(keepends=True):
        if line.startswith("%%if "):
            kept = bool({plan.kind, plan.native} & set(line.split()[1:]))
        elif line.startswith("%%end"):
            kept = True
        elif kept:
            lines.append(_VALUE.sub(lambda found: values[found[1]], line))
    return "".join(lines)
