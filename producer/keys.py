"""API keys: each belongs to one source; only a keyed hash of it is stored."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, text, update

from shared.errors import InvalidInput
from shared.tables import api_keys

_SOURCE = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
#: So that secret scanners, and people, know one when they see it.
_PREFIX = "clk_"


@dataclass(frozen=True, kw_only=True)
class KeyRecord:
    """A key as the list shows it; the key itself is known to its owner only."""

    id: int
    source: str
    created_at: datetime
    revoked_at: datetime | None


def hash_key(key: str, hmac_key: str) -> str:
    """HMAC-SHA-256 in hex: without `hmac_key` a stolen table says nothing about keys."""
    return hmac.new(hmac_key.encode(), key.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def check_source_name(source: str) -> None:
    """Refuse what would look odd in logs and addresses.

    Raises:
        InvalidInput: `source` is not a name like ``city-clinic``.
    """
    if not _SOURCE.fullmatch(source):
        raise InvalidInput(
            f"{source!r} cannot name a source; use up to 63 lower-case letters, digits, "
            "dots, dashes and underscores, beginning with a letter or digit"
        )


def add_key(connection: Connection, source: str, hmac_key: str) -> str:
    """A new key for `source`; this return value is the only copy of it.

    Raises:
        InvalidInput: `source` is not a name like ``city-clinic``.
    """
    check_source_name(source)
    key = _PREFIX + secrets.token_urlsafe(32)
    connection.execute(api_keys.insert().values(source=source, key_hash=hash_key(key, hmac_key)))
    return key


def source_of(connection: Connection, key: str, hmac_key: str) -> str | None:
    """The source whose key this is; None for an unknown or revoked one."""
    statement = select(api_keys.c.source).where(
        api_keys.c.key_hash == hash_key(key, hmac_key), api_keys.c.revoked_at.is_(None)
    )
    source: str | None = connection.execute(statement).scalar_one_or_none()
    return source


def list_keys(connection: Connection) -> Sequence[KeyRecord]:
    """All keys, the revoked ones too."""
    columns = (
        api_keys.c.id, api_keys.c.source, api_keys.c.created_at, api_keys.c.revoked_at,
    )  # fmt: skip
    rows = connection.execute(select(*columns).order_by(api_keys.c.id)).mappings()
    return [KeyRecord(**row) for row in rows]


def revoke_key(connection: Connection, key_id: int) -> KeyRecord:
    """Refuse this key from now on; the first revocation's time stays.

    Raises:
        InvalidInput: there is no such key.
    """
    statement = (
        update(api_keys)
        .where(api_keys.c.id == key_id)
        .values(revoked_at=text("COALESCE(revoked_at, now())"))
        .returning(api_keys.c.id, api_keys.c.source, api_keys.c.created_at, api_keys.c.revoked_at)
    )
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise InvalidInput(f"there is no key {key_id}; `carelane keys list` shows them")
    return KeyRecord(**row)
