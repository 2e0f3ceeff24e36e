"""Whatever a configuration holds, it can be given back, or an error says where it is wrong."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from invariants.running import plugins

from ml4t.core.config import RunConfig, load_config
from ml4t.core.errors import ConfigError
from ml4t.core.plugins import PluginManager
from ml4t.engine.configuration import to_mapping

from . import no_hang, part
from .documents import ENDLESS, FOREIGN, FULL, PLAIN, documents, filled, holes, toml_text, yaml_text

# Faults of the document as a whole have no path.
WHOLE = {"syntax", "format", "unreadable", "invalid_type", "nesting"}


def outcome(source: Any, **options: Any) -> RunConfig | str:  # noqa: ANN401 - whatever a user may give
    """Load, and return the configuration or the checked text of the error."""
    with warnings.catch_warnings(), no_hang():
        warnings.simplefilter("error")
        try:
            return load_config(source, **options)
        except ConfigError as error:
            assert error.findings
            for finding in error.findings:
                assert finding.message.strip(), finding
                assert finding.path or finding.code in WHOLE, finding
                # A name that is not known is shown as it was given, and the longest have 10,000 letters.
                assert len(str(finding)) < 25_000, finding
            return str(error)


def check(source: Any, *, root: Path | None = None, known: PluginManager | None = None) -> bool:  # noqa: ANN401
    """Load twice, and give back what was loaded; return whether it could be."""
    first, second = (outcome(source, root=root, plugins=known) for _ in range(2))
    assert type(first) is type(second)
    if not isinstance(first, RunConfig) or not isinstance(second, RunConfig):
        assert first == second
        return False
    back = load_config(to_mapping(first), root=first.root, plugins=known)
    assert to_mapping(back) == to_mapping(second) == to_mapping(first)
    return True


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@given(documents(FOREIGN))
@example({"backtest": {"start_date": "2005-01-01T23:00:00-05:00", "end_date": "2005-01-01"}})
def test_a_mapping_loads_and_can_be_given_back_or_its_faults_are_located(document: dict[Any, Any]) -> None:
    check(document)


@pytest.mark.parametrize("what", ENDLESS)
@part(100)
@given(hole=holes())
def test_what_has_no_end_is_refused_before_it_is_read(what: str, hole: tuple[int, tuple[Any, ...]]) -> None:
    assert not check(filled(hole, ENDLESS[what]()))


@given(documents(PLAIN))
def test_what_the_plugins_check_too_loads_or_has_located_faults(document: dict[Any, Any]) -> None:
    check(document, known=plugins())


@pytest.mark.parametrize("write", [toml_text, yaml_text])
@part(1)
@given(document=documents(PLAIN), with_root=st.booleans())
def test_a_file_loads_and_can_be_given_back_or_its_faults_are_located(
    document: dict[Any, Any],
    write: Any,  # noqa: ANN401 - either writer
    tmp_path: Path,
    *,
    with_root: bool,
) -> None:
    suffix = "toml" if write is toml_text else "yaml"
    path = written(tmp_path, f"run.{suffix}", write(document))
    check(path, root=tmp_path / "elsewhere" if with_root else None)


@pytest.mark.parametrize("write", [toml_text, yaml_text])
@part(1)
@given(data=st.data())
def test_a_damaged_file_loads_or_says_what_is_wrong(data: st.DataObject, write: Any, tmp_path: Path) -> None:  # noqa: ANN401
    text = write(FULL)
    pieces = [
        "",
        "\0",
        "\t",
        "[",
        "]",
        "{",
        "}",
        "[[",
        '"',
        "'''",
        "&a ",
        "*a",
        "!!",
        "%YAML 1.1\n---\n",
        "? ",
        "#",
    ]
    pieces += [
        "!!python/object:x ",
        "!!binary ",
        "!!set ",
        "!!timestamp ",
        "<<: ",
        "1e3",
        "0o8",
        "\ud7ff",
        "\ufeff",
        "- ",
    ]
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(begin, min(len(text), begin + 12)))
        text = (
            text[:begin]
            + data.draw(
                st.sampled_from(pieces) | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
            )
            + text[end:]
        )
    check(written(tmp_path, f"run.{'toml' if write is toml_text else 'yaml'}", text))


@part(1)
@given(
    content=st.binary(max_size=60), suffix=st.sampled_from([".toml", ".yaml", ".yml", ".json", "", ".TOML"])
)
def test_any_bytes_load_or_say_what_is_wrong(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"run{suffix}"
    path.write_bytes(content)
    check(path)


YAML_TRAPS = {
    "aliases": "a: &a [1,1,1,1]\n"
    + "".join(
        f"{y}: &{y} [{','.join(['*' + x] * 9)}]\n" for x, y in zip("abcdefghi", "bcdefghij", strict=True)
    ),
    "itself": "strategies: [{name: t, type: 'a:B', params: &p {x: *p}}]",
    "deep list": "a: " + "[" * 500 + "]" * 500,
    "deep table": "a: " + "{b: " * 3_000 + "1" + "}" * 3_000,
    "surrogate": 'backtest: {name: "\\ud800"}',
    "old version": "%YAML 1.1\n---\nreport: {risk_free: 1e-3}\n",
    "binary": "strategies: [{name: t, type: 'a:B', params: {x: !!binary aGVsbG8=}}]",
    "set": "strategies: [{name: t, type: 'a:B', params: {x: !!set {a, b}}}]",
    "numbers as keys": "strategies: [{name: t, type: 'a:B', params: {x: {1: 2, 1.5: 3, null: 4}}}]",
    "number": "strategies: [{name: t, type: 'a:B', params: {x: .nan, y: .inf}}]",
    "large": "backtest: {seed: " + "9" * 6_000 + "}",
    "several": "--- {}\n--- {}\n",
    "merge": "a: &a {x: 1}\nbacktest: {<<: *a}\n",
    "no table": "- 1\n",
    "tag": "backtest: !!python/object/apply:os.system [ls]\n",
}
TOML_TRAPS = {
    "deep list": "a = " + "[" * 3_000 + "]" * 3_000,
    "deep table": "a = " + "{b = " * 3_000 + "1" + "}" * 3_000,
    "deep key": "strategies = [{name = 't', type = 'a:B', params = {x" + ".x" * 3_000 + " = 1}}]",
    "number": "[[strategies]]\nname = 't'\ntype = 'a:B'\nparams = {x = nan, y = inf}",
    "time": "[[strategies]]\nname = 't'\ntype = 'a:B'\nparams = {x = 07:32:00, y = 1979-05-27T07:32:00}",
    "large": "[backtest]\nseed = " + "9" * 6_000,
    "large in base 16": "[backtest]\nseed = 0x" + "f" * 6_000,
}


@pytest.mark.parametrize("name", YAML_TRAPS)
def test_the_traps_of_yaml_are_refused_or_read(name: str, tmp_path: Path) -> None:
    check(written(tmp_path, "run.yaml", YAML_TRAPS[name]))


@pytest.mark.parametrize("name", TOML_TRAPS)
def test_the_traps_of_toml_are_refused_or_read(name: str, tmp_path: Path) -> None:
    check(written(tmp_path, "run.toml", TOML_TRAPS[name]))


def test_the_documents_that_others_are_made_from_are_valid() -> None:
    assert check(FULL)
