"""The sections that say where the results came from: configuration and manifest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ml4t.report.markup import Cell, escape, folded, section, table

if TYPE_CHECKING:
    from ml4t.backtest import Results

__all__ = ["configuration", "provenance"]

_SECTIONS = (
    "backtest",
    "strategies",
    "broker",
    "data_feeds",
    "signal_sources",
    "corporate_actions",
    "instruments",
    "report",
)
_LONG_WORD = 40
_ELSEWHERE = {"config", "models", "warnings"}


def configuration(results: Results) -> str:
    """Return the configuration, one block per section, and the strategy where the program named it."""
    config = results.config
    blocks = []
    strategy = results.manifest.get("strategy")
    if isinstance(strategy, Mapping) and not config.get("strategies"):
        blocks.append(_block("strategy", list(_leaves(strategy))))
    names = [name for name in _SECTIONS if name in config]
    names += sorted(name for name in config if name not in _SECTIONS)
    for name in names:
        entries = config[name] if _is_list(config[name]) else [config[name]]
        for index, entry in enumerate(entries):
            title = f"{name} {index + 1}" if len(entries) > 1 else name
            if pairs := list(_leaves(entry)) if isinstance(entry, Mapping) else []:
                blocks.append(_block(title, pairs))
    content = f'<div class="flow">{"".join(blocks)}</div>' if blocks else "<p>Not recorded.</p>"
    return section("Configuration", content, element_id="configuration")


def provenance(results: Results) -> str:
    """Return how each model ran, and the rest of the manifest: seed, versions, hashes of inputs."""
    manifest = results.manifest
    shown = _records("models", manifest["models"]) if _is_records(manifest.get("models")) else ""
    blocks, tables, loose = [], [], []
    for name in sorted(manifest.keys() - _ELSEWHERE):
        content = manifest[name]
        if _is_records(content):
            tables.append(_records(name, content))
        elif isinstance(content, Mapping):
            blocks.append(_block(name, list(_leaves(content))))
        elif not _is_unset(content):
            loose.append((name, content))
    if loose:
        blocks.insert(0, _block("run", loose))
    hidden = f'<div class="flow">{"".join(blocks)}</div>{"".join(tables)}'
    note = "From <code>run_manifest.json</code>: runs with equal manifests leave equal tables."
    return section(
        "Provenance", shown, folded("Seed, versions, inputs", hidden), element_id="provenance", note=note
    )


def _block(title: str, pairs: Sequence[tuple[str, object]]) -> str:
    """Return a titled list of settings."""
    items = "".join(
        f"<div><dt>{_breakable(key)}</dt><dd>{_breakable(_text(value))}</dd></div>" for key, value in pairs
    )
    return f'<div><h3>{escape(title.replace("_", " "))}</h3><dl class="settings">{items}</dl></div>'


def _records(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table with a row per record; a column that holds nothing is left out."""
    columns = sorted({key for row in rows for key, value in row.items() if not _is_unset(value)})
    # What a record is called comes first.
    columns.sort(key=lambda key: key not in {"kind", "name", "type"})
    cells = [[_cell(_text(row.get(key))) for key in columns] for row in rows]
    head = [f"<{key.replace('_', ' ')}" for key in columns]
    title = name.replace("_", " ")
    body = table(cells, head=head, element_id=f"manifest-{escape(name)}", caption=title)
    return f'<h3 class="above">{escape(title)}</h3>{body}'


def _cell(text: str) -> Cell:
    """Return a cell of text; a long word, such as a hash, may break anywhere."""
    is_long = max(map(len, text.split()), default=0) > _LONG_WORD
    return Cell(_breakable(text), "text anywhere" if is_long else "text wrap")


def _leaves(content: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield the leaves of nested plain data with their dotted paths; what is unset is left out.

    A nested table that names a type, such as a model, is one leaf.
    """
    if isinstance(content, Mapping) and not (path and "type" in content):
        for key in sorted(content, key=lambda key: (key not in {"name", "type"}, key)):
            yield from _leaves(content[key], f"{path}.{key}" if path else str(key))
    elif not _is_unset(content):
        yield path, content


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_records(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _is_unset(value: object) -> bool:
    return value is None or value in ("", [], (), {})


def _text(value: object) -> str:
    """Print plain data on one line; a table that names a type is written as `Type { key = value }`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        given = {key: item for key, item in sorted(value.items()) if key != "type" and not _is_unset(item)}
        inside = ", ".join(f"{key} = {_text(item)}" for key, item in given.items())
        kind = str(value.get("type", ""))
        if "type" in value:
            return f"{kind} {{ {inside} }}" if inside else kind
        return inside
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return str(value)


def _breakable(text: str) -> str:
    """Escape text and let its lines break inside a name: after a dot, an underscore, a slash, a colon."""
    return re.sub(r"([._/:])(?=[A-Za-z])", r"\1<wbr>", escape(text))
