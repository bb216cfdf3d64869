"""Calls portals back when a message of theirs gets, or changes, its label.

A trigger on `messages` makes each call due in the transaction of the change itself; here the due
calls are claimed, made, and made again with growing pauses until the portal answers 2xx. Form and
signature follow Standard Webhooks (https://www.standardwebhooks.com), for which receivers have
libraries in most languages.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import Connection, select, text

from producer.keys import check_source_name
from shared.errors import InvalidInput
from shared.tables import webhooks

#: Pauses after each failed try; together some 27 hours, so that a portal's bad night is survived.
PAUSES_S: Final = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200)
#: A process that dies while calling holds the call so long.
_CLAIM_S: Final = 120
#: Of one webhook in one round: a portal that hangs must not hold up the others.
_PER_WEBHOOK: Final = 16
_GONE: Final = "410"


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Where one portal wants to be called."""

    id: int
    source: str
    url: str
    salt: str
    disabled_at: datetime | None
    disabled_reason: str | None


@dataclass(frozen=True, kw_only=True)
class Due:
    """A call to make now."""

    id: int
    attempts: int  # this one included
    message_id: UUID
    source: str
    url: str
    webhook_id: int
    salt: str
    created_at: datetime


def add(connection: Connection, source: str, url: str, *, allow_private: bool) -> Webhook:
    """Call `url` about the messages of `source` from now on.

    Raises:
        InvalidInput: the source's name or the address cannot be used.
    """
    check_source_name(source)
    check_url(url, allow_private=allow_private)
    row = connection.execute(
        webhooks.insert()
        .values(source=source, url=url, salt=secrets.token_hex(16))
        .returning(*_COLUMNS)
    )
    return Webhook(**row.mappings().one())


_COLUMNS = tuple(
    webhooks.c[name] for name in ("id", "source", "url", "salt", "disabled_at", "disabled_reason")
)


def list_all(connection: Connection) -> Sequence[Webhook]:
    """All webhooks, the disabled ones too."""
    rows = connection.execute(select(*_COLUMNS).order_by(webhooks.c.id)).mappings()
    return [Webhook(**row) for row in rows]


def disable(connection: Connection, webhook_id: int, reason: str) -> None:
    """Make no more calls.

    Raises:
        InvalidInput: there is no such webhook.
    """
    done = connection.execute(
        text(
            "UPDATE webhooks SET disabled_at = COALESCE(disabled_at, now()), "
            "disabled_reason = COALESCE(disabled_reason, :reason) WHERE id = :id"
        ),
        {"id": webhook_id, "reason": reason},
    )
    if done.rowcount == 0:
        raise InvalidInput(f"there is no webhook {webhook_id}; `carelane webhooks list` shows them")


def check_url(url: str, *, allow_private: bool) -> None:
    """Refuse what must not be called; where the name leads is checked again at every call.

    Raises:
        InvalidInput: not an https address (http too where private networks are allowed), or one
            that cannot be written into a request as it stands.
    """
    if not _VISIBLE_ASCII.fullmatch(url):
        raise InvalidInput(
            f"{url!r} cannot be a webhook: write names in their ASCII form (xn--...), and what "
            "else is not ASCII, or is a space, percent-encoded"
        )
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise InvalidInput(f"{url!r} cannot be a webhook: {error}") from error
    schemes = ("https", "http") if allow_private else ("https",)
    if parts.scheme not in schemes or not host:
        raise InvalidInput(
            f"{url!r} cannot be a webhook: it must begin with https:// and name a host"
        )
    if not _is_host(host):
        raise InvalidInput(f"{url!r} cannot be a webhook: {host!r} is no host's name or address")
    if parts.username or parts.password or parts.fragment:
        raise InvalidInput("a webhook's address must not have a user, a password or a fragment")


_VISIBLE_ASCII: Final = re.compile(r"[!-~]*")
_HOST_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")


def _is_host(host: str) -> bool:
    if ":" not in host:
        return len(host) <= 253 and _HOST_NAME.fullmatch(host) is not None
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def signing_secret(webhook_id: int, salt: str, hmac_key: str) -> str:
    """The secret that the portal verifies calls with, in the form of Standard Webhooks.

    Derived, not stored: a stolen table does not let anybody sign.
    """
    return "whsec_" + base64.b64encode(_secret(webhook_id, salt, hmac_key)).decode()


def _secret(webhook_id: int, salt: str, hmac_key: str) -> bytes:
    material = f"webhook:{webhook_id}:{salt}".encode()
    return hmac.new(hmac_key.encode(), material, hashlib.sha256).digest()


def signed_headers(due: Due, body: bytes, now: datetime, hmac_key: str) -> dict[str, str]:
    """The headers of a call. The id stays the same in every try, for the receiver's idempotency."""
    call_id = f"msg_{due.id}"
    timestamp = str(int(now.timestamp()))
    secret = _secret(due.webhook_id, due.salt, hmac_key)
    return {
        "Content-Type": "application/json",
        "User-Agent": "carelane-webhooks",
        "webhook-id": call_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature(secret, call_id, timestamp, body),
    }


def signature(secret: bytes, call_id: str, timestamp: str, body: bytes) -> str:
    """Standard Webhooks' symmetric signature, version 1."""
    signed = b".".join((call_id.encode(), timestamp.encode(), body))
    digest = hmac.new(secret, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def body_of(due: Due, standing: dict[str, Any]) -> bytes:
    """The call's body: how the message stands now, which may be later than what made it due."""
    payload = {
        "type": "message.updated",
        "timestamp": due.created_at.astimezone(UTC).isoformat(),
        "data": standing,
    }
    return json.dumps(payload).encode()


_CLAIM = text(
    """
    WITH chosen AS MATERIALIZED (
        SELECT w.id, w.source, w.url, w.salt FROM webhooks w
        WHERE w.disabled_at IS NULL AND w.id <> ALL (CAST(:busy AS bigint[])) AND EXISTS (
            SELECT FROM webhook_deliveries
            WHERE webhook_id = w.id AND delivered_at IS NULL AND failed_at IS NULL
              AND next_at <= now()
        )
        ORDER BY random() LIMIT :webhooks
    ), due AS (
        SELECT d.id, w.id AS webhook_id, w.source, w.url, w.salt
        FROM chosen w CROSS JOIN LATERAL (
            SELECT id FROM webhook_deliveries
            WHERE webhook_id = w.id AND delivered_at IS NULL AND failed_at IS NULL
              AND next_at <= now()
            ORDER BY next_at LIMIT :most FOR UPDATE SKIP LOCKED
        ) d
    )
    UPDATE webhook_deliveries SET attempts = attempts + 1,
        next_at = now() + make_interval(secs => :claim_s)
    FROM due WHERE webhook_deliveries.id = due.id
    RETURNING webhook_deliveries.id, attempts, message_id, due.source, due.url, due.webhook_id,
              due.salt, created_at
    """
)


def claim(
    connection: Connection, busy: Collection[int] = (), most_webhooks: int = 1_000
) -> list[Due]:
    """The calls that are due now, some of each webhook; nobody else gets them for two minutes.

    Webhooks that are `busy` are left out. Of more than `most_webhooks` chance takes some, so that
    none is always the one left over.
    """
    rows = connection.execute(
        _CLAIM,
        {
            "busy": list(busy),
            "webhooks": most_webhooks,
            "most": _PER_WEBHOOK,
            "claim_s": _CLAIM_S,
        },
    )
    return sorted((Due(**row) for row in rows.mappings()), key=lambda due: due.id)


def release(connection: Connection, calls: Sequence[Due]) -> None:
    """Give claimed calls back that were not tried."""
    connection.execute(
        text(
            "UPDATE webhook_deliveries SET attempts = attempts - 1, next_at = now() "
            "WHERE id = ANY (CAST(:ids AS bigint[])) AND delivered_at IS NULL"
        ),
        {"ids": [due.id for due in calls]},
    )


def note(connection: Connection, due: Due, outcome: str, *, delivered: bool) -> None:
    """Write down how a call went, and when it is made again if it must be.

    `outcome` is a status code or a short code. 410 means that the portal wants no more calls.
    """
    pause_s = None
    if not delivered and due.attempts <= len(PAUSES_S):
        pause_s = PAUSES_S[due.attempts - 1]
    connection.execute(
        text(
            """
            UPDATE webhook_deliveries SET outcome = :outcome,
                delivered_at = CASE WHEN :delivered THEN now() END,
                failed_at = CASE WHEN NOT :delivered AND CAST(:pause_s AS int) IS NULL
                                 THEN now() END,
                next_at = now() + make_interval(secs => COALESCE(CAST(:pause_s AS int), 0))
            WHERE id = :id AND delivered_at IS NULL
            """
        ),
        {"id": due.id, "outcome": outcome, "delivered": delivered, "pause_s": pause_s},
    )
    if outcome == _GONE:
        disable(connection, due.webhook_id, "the portal answered 410 Gone")


def forget_old(connection: Connection, days: int = 30) -> int:
    """Delete calls that were settled so long ago; returns how many."""
    done = connection.execute(
        text(
            "DELETE FROM webhook_deliveries WHERE COALESCE(delivered_at, failed_at) "
            "< now() - make_interval(days => :days)"
        ),
        {"days": days},
    )
    return done.rowcount
