"""Sphinx settings. `nox -s docs` builds with warnings as errors."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
_project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "ml4t"
author = "The ml4t developers"
copyright = author
version = release = _project["version"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["attrs_block", "colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"ml4t {release}"
html_copy_source = False

napoleon_google_docstring = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}

# A class that the front door exports again is found under both names, which is what we want.
suppress_warnings = ["ref.python"]


def module_page(name: str, *, is_package: bool) -> str:
    """Return the page of one module; what a package exports again is indexed where it is defined."""
    title = f"{name}\n{'=' * len(name)}"
    option = "   :no-index:\n" if is_package else ""
    return f"{title}\n\n.. automodule:: {name}\n{option}"


def write_api_pages(app: Sphinx) -> None:
    """Write one page per public module of every package, and one list per package.

    `sphinx.ext.apidoc` would write them under the names of the folders, without the namespace that the
    packages share. Private modules stay out; the compiled one is described by what wraps it.
    """
    target = Path(app.srcdir) / "reference" / "api"
    shutil.rmtree(target, ignore_errors=True)
    sources = [ROOT / "ml4t-core/src", ROOT / "ml4t-engine-rs/python", *sorted(ROOT.glob("plugins/*/src"))]
    packages = [
        (source, typed.parent) for source in sources for typed in sorted(source.glob("ml4t/*/py.typed"))
    ]
    for source, package in packages:
        paths = [path for path in sorted(package.rglob("*.py")) if not _is_private(path.relative_to(source))]
        pages = {_dotted(path.relative_to(source)): path.name == "__init__.py" for path in paths}
        names = sorted(pages)
        folder = target / package.name
        folder.mkdir(parents=True)
        for name in names:
            (folder / f"{name}.rst").write_text(module_page(name, is_package=pages[name]), encoding="utf-8")
        title = _dotted(package.relative_to(source))
        listed = "\n".join(f"   {name}" for name in names)
        toctree = f".. toctree::\n   :maxdepth: 1\n\n{listed}\n"
        (folder / "index.rst").write_text(f"{title}\n{'=' * len(title)}\n\n{toctree}", encoding="utf-8")


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _is_private(path: Path) -> bool:
    return any(part.startswith("_") for part in path.with_suffix("").parts if part != "__init__")


def setup(app: Sphinx) -> None:
    """Let Sphinx write the API pages before it reads."""
    app.connect("builder-inited", write_api_pages)
