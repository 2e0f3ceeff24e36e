"""The run manifest: everything that decides a result, as JSON that is equal for equal runs.

What differs between equal runs (wall time, host, absolute paths) belongs into `run_info.json`.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from ml4t.core.errors import ConfigError, Finding

MANIFEST_VERSION = 1
KEY_LIBRARIES = ("numba", "numpy", "pandas", "pandas-market-calendars", "polars", "pyarrow")
_ENTRIES = {"manifest_version": int, "config": Mapping, "config_sha256": str, "seed": int, "inputs": Mapping}
_ENTRIES |= {"models": list, "python": str, "versions": Mapping}
_EXACT_INTEGER = 2**53


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of those distributions that are installed; nothing is imported."""
    versions: dict[str, str] = {}
    for name in sorted(set(names)):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def build_manifest(
    *,
    config: Mapping[str, Any],
    seed: int,
    inputs: Mapping[str, str],
    models: Iterable[Mapping[str, Any]],
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build and check the manifest of a run.

    Parameters
    ----------
    config : Mapping
        The whole configuration, as `ml4t.core.config.to_mapping` gives it.
    seed : int
        Master seed of all randomness.
    inputs : Mapping
        SHA-256 of everything read (prices, signals, actions, strategy sources) by portable name.
    models : iterable of Mapping
        Every model that ran, with at least `kind`, `type` and `distribution`; engines add plugin, version,
        parameters, ABI version, and what executed it.
    extra : Mapping or None
        More entries, from the engine and from the hook `ml4t_manifest`; none may replace the kernel's.
    """
    used = sorted(models, key=lambda model: (model["kind"], model["type"]))
    names = {"ml4t-core", "ml4t-engine", *KEY_LIBRARIES, *(model["distribution"] for model in used)}
    manifest: dict[str, Any] = {
        "manifest_version": MANIFEST_VERSION,
        "config": config,
        "config_sha256": hashlib.sha256(canonical_json(config).encode()).hexdigest(),
        "seed": seed,
        "inputs": inputs,
        "models": used,
        "python": platform.python_version(),
        "versions": installed_versions(names),
    }
    if clash := sorted(manifest.keys() & (extra or {}).keys()):
        raise ConfigError(f"manifest entries {clash} belong to the kernel and cannot be replaced")  # noqa: EM102
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
            yield Finding(
                path=key, message=f"has the wrong type, found {manifest[key]!r}", code="invalid_type"
            )
    if manifest.get("manifest_version", MANIFEST_VERSION) != MANIFEST_VERSION:
        message = f"this ml4t reads version {MANIFEST_VERSION}, found {manifest['manifest_version']!r}"
        yield Finding(path="manifest_version", message=message)
    inputs = manifest.get("inputs")
    for name, digest in inputs.items() if isinstance(inputs, Mapping) else ():
        if Path(name).is_absolute():
            yield Finding(path="inputs", message=f"{name!r} is an absolute path, which is not portable")
        if not re.fullmatch("[0-9a-f]{64}", str(digest)):
            yield Finding(path=f"inputs.{name}", message=f"expected a SHA-256, found {digest!r}")


def canonical_json(value: object, *, indent: int | None = None) -> str:
    """Write plain data as JSON that is the same text for equal content.

    Keys are sorted; a float that is a whole number is written as one (1.0 as 1, as RFC 8785 does), any other
    as its shortest exact text. NaN and infinity, for which JSON has no text, are a ValueError.
    """
    colon = ":" if indent is None else ": "
    return json.dumps(
        _canonical(value),
        sort_keys=True,
        indent=indent,
        separators=(",", colon),
        ensure_ascii=False,
        allow_nan=False,
    )


def _canonical(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_INTEGER
    return int(value) if is_whole else value  # type: ignore[call-overload]
