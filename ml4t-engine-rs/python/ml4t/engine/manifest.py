"""The run manifest: everything that decides a result, as JSON that is equal for equal runs.

What differs between equal runs (wall time, host, absolute paths) belongs into `run_info.json`.
"""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs

from ml4t.core.errors import ConfigError, Finding

MANIFEST_VERSION = 1
KEY_LIBRARIES = ("numba", "numpy", "pandas", "pandas-market-calendars", "polars", "pyarrow")
_ENTRIES = {"manifest_version": int, "config": Mapping, "config_sha256": str, "seed": int, "inputs": list}
_ENTRIES |= {"models": list, "python": str, "versions": Mapping}
_EXACT_INTEGER = 2**53


@attrs.frozen(kw_only=True)
class InputFile:
    """An input by content, and by a name that means the same on every machine: never an absolute path."""

    name: str
    sha256: str
    size: int

    @classmethod
    def of(cls, path: Path, *, name: str) -> InputFile:
        """Read a file and take its fingerprint."""
        return cls(name=name, sha256=sha256_file(path), size=path.stat().st_size)


@attrs.frozen(kw_only=True)
class ModelUse:
    """A model that ran: the plugin it came from, its parameters, and what executed it (`path`)."""

    kind: str
    type: str
    plugin: str
    distribution: str
    version: str
    path: str  #: builtin, capsule, python, or whatever the engine names
    params: Mapping[str, Any]
    abi: str | None = None  #: version of the native table, where there is one


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of those distributions that are installed; nothing is imported."""
    found = {name: _installed_version(name) for name in sorted(set(names))}
    return {name: version for name, version in found.items() if version is not None}


@functools.cache
def _installed_version(name: str) -> str | None:
    """Return a version, read once: what a process has imported does not change under it."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def build_manifest(
    *,
    config: Mapping[str, Any],
    seed: int,
    inputs: Iterable[InputFile],
    models: Iterable[ModelUse],
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build and check the manifest of a run.

    Parameters
    ----------
    config : Mapping
        The whole configuration, as `ml4t.engine.configuration.to_mapping` gives it.
    seed : int
        Master seed of all randomness.
    inputs : iterable of InputFile
        Every file read: prices, signals, actions, strategy sources.
    models : iterable of ModelUse
        Every model that ran.
    extra : Mapping or None
        More entries, from the engine and from the hook `ml4t_manifest`; none may replace the kernel's.

    Raises
    ------
    ConfigError
        If an extra entry would replace one of the kernel's, or the result is not valid.
    """
    used = sorted(models, key=lambda model: (model.kind, model.type))
    owners = {model.distribution for model in used if model.distribution}
    manifest: dict[str, Any] = {
        "manifest_version": MANIFEST_VERSION,
        "config": config,
        "config_sha256": hashlib.sha256(canonical_json(config).encode()).hexdigest(),
        "seed": seed,
        "inputs": [attrs.asdict(item) for item in sorted(inputs, key=lambda item: item.name)],
        "models": [attrs.asdict(model, recurse=False) for model in used],
        "python": platform.python_version(),
        "versions": installed_versions({"ml4t-core", "ml4t-engine", *owners, *KEY_LIBRARIES}),
    }
    if clash := sorted(manifest.keys() & (extra or {}).keys()):
        msg = f"manifest entries {clash} belong to the kernel and cannot be replaced"
        raise ConfigError(msg)
    plain: dict[str, Any] = json.loads(canonical_json(manifest | dict(extra or {})))
    validate_manifest(plain)
    return plain


def validate_manifest(manifest: Mapping[str, Any]) -> None:
    """Raise ConfigError with every fault of a manifest: missing entries, wrong types, damaged hashes."""
    if findings := list(_faults(manifest)):
        raise ConfigError(findings, "run manifest")


def _faults(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    for key, expected in _ENTRIES.items():
        if key not in manifest:
            yield Finding(path=key, message="required, but missing", code="missing")
        elif not isinstance(manifest[key], expected):
            message = f"has the wrong type, found {manifest[key]!r}"
            yield Finding(path=key, message=message, code="invalid_type")
    if manifest.get("manifest_version", MANIFEST_VERSION) != MANIFEST_VERSION:
        message = f"this ml4t reads version {MANIFEST_VERSION}, found {manifest['manifest_version']!r}"
        yield Finding(path="manifest_version", message=message)
    inputs = manifest.get("inputs")
    for index, item in enumerate(inputs if isinstance(inputs, list) else ()):
        path = f"inputs[{index}]"
        if not isinstance(item, Mapping) or not {"name", "sha256", "size"} <= item.keys():
            message = f"expected name, sha256 and size, found {item!r}"
            yield Finding(path=path, message=message, code="missing")
        elif Path(str(item["name"])).is_absolute():
            message = f"an absolute path means something else on another machine, found {item['name']!r}"
            yield Finding(path=f"{path}.name", message=message)
        elif not re.fullmatch("[0-9a-f]{64}", str(item["sha256"])):
            yield Finding(path=f"{path}.sha256", message=f"expected a SHA-256, found {item['sha256']!r}")


def canonical_json(value: object, *, indent: int | None = None) -> str:
    """Write plain data as JSON that is the same text for equal content.

    Keys are sorted; a float that is a whole number is written as one (1.0 as 1, as RFC 8785 does), any other
    as its shortest exact text. NaN and infinity, for which JSON has no text, are a ValueError.
    """
    pair = (",", ":" if indent is None else ": ")
    form = json.JSONEncoder(
        ensure_ascii=False, allow_nan=False, sort_keys=True, indent=indent, separators=pair
    )
    return form.encode(_canonical(value))


def _canonical(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_INTEGER
    return int(value) if is_whole else value  # type: ignore[call-overload]
