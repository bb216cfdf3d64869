"""The local stack's secrets: made once, for their owner alone."""

from __future__ import annotations

from pathlib import Path

from localstack.keys import ensure_secrets, keep


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"

    first = ensure_secrets(path)
    second = ensure_secrets(path)

    assert first == second
    assert set(first) == {"CARELANE_SECRET_KEY", "CARELANE_HMAC_KEY", "CARELANE_METRICS_TOKEN"}
    assert all(len(value) >= 32 for value in first.values())
    assert first["CARELANE_SECRET_KEY"] != first["CARELANE_HMAC_KEY"]


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"

    ensure_secrets(path)
    keep(path, {"CARELANE_API_KEY": "k"})

    assert path.stat().st_mode & 0o777 == 0o600


def test_a_kept_value_stands_beside_the_others(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    made = ensure_secrets(path)

    keep(path, {"CARELANE_API_KEY": "a=b"})

    assert ensure_secrets(path) == {**made, "CARELANE_API_KEY": "a=b"}
