"""The local stack's secrets: made once, kept in .carelane/secrets.env for its owner alone."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

_NAMES = ("CARELANE_SECRET_KEY", "CARELANE_HMAC_KEY", "CARELANE_METRICS_TOKEN")


def ensure_secrets(path: Path) -> dict[str, str]:
    """The secrets in `path`; those that are missing are made."""
    found = _read(path)
    missing = {name: secrets.token_hex(32) for name in _NAMES if name not in found}
    if missing:
        keep(path, missing)
    return {**found, **missing}


def keep(path: Path, values: Mapping[str, str]) -> None:
    """Write `values` into `path`, beside what is there."""
    merged = {**_read(path), **values}
    fresh = path.with_suffix(".new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        out.writelines(f"{name}={value}\n" for name, value in sorted(merged.items()))
    fresh.replace(path)


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    lines = (line.partition("=") for line in path.read_text().splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in lines}
