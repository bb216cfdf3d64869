"""Labels of equal messages, and who is asking about one just now.

A row of `label_cache` holds a label, or the note that some worker is asking: the others wait for
its answer instead of paying for their own. Corrections come in by a trigger of the database.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, and_, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from shared.contracts import Tier, Urgency
from shared.tables import label_cache


@dataclass(frozen=True, kw_only=True)
class Cached:
    """A label that an equal message has."""

    categories: tuple[str, ...]
    urgency: Urgency
    tier: Tier  # llm or human
    model_version: str | None
    prompt_version: str | None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A label to keep."""

    key: str
    categories: tuple[str, ...]
    urgency: Urgency
    model_version: str
    prompt_version: str
    taxonomy_version: str


def find(connection: Connection, counts: Mapping[str, int]) -> dict[str, Cached]:
    """The labels under these keys, counting so many hits for each."""
    c = label_cache.c
    rows = connection.execute(
        select(c.key, c.categories, c.urgency, c.tier, c.model_version, c.prompt_version).where(
            c.key.in_(counts), c.categories.is_not(None), c.expires_at > func.now()
        )
    ).all()
    for row in sorted(rows, key=lambda each: each.key):
        connection.execute(
            update(label_cache)
            .where(c.key == row.key)
            .values(hits=c.hits + counts[row.key], hit_at=func.now())
        )
    return {
        row.key: Cached(
            categories=tuple(row.categories),
            urgency=Urgency(row.urgency),
            tier=Tier(row.tier),
            model_version=row.model_version,
            prompt_version=row.prompt_version,
        )
        for row in rows
    }


def known(connection: Connection, keys: Collection[str]) -> set[str]:
    """Those of `keys` that have a label; no hit is counted."""
    c = label_cache.c
    found = select(c.key).where(
        c.key.in_(keys), c.categories.is_not(None), c.expires_at > func.now()
    )
    return set(connection.execute(found).scalars())


def start_asking(
    connection: Connection, keys: Sequence[str], asked_by: str, for_s: float
) -> set[str]:
    """The keys that `asked_by` may ask about now; the others are answered or being asked."""
    if not keys:
        return set()
    c = label_cache.c
    until = func.now() + timedelta(seconds=for_s)
    statement = insert(label_cache).values(
        [
            {"key": key, "asked_by": asked_by, "asked_until": until, "expires_at": until}
            for key in sorted(keys)
        ]
    )
    free = or_(
        c.expires_at <= func.now(),
        and_(c.categories.is_(None), or_(c.asked_until <= func.now(), c.asked_by == asked_by)),
    )
    rows = connection.execute(
        statement.on_conflict_do_update(
            index_elements=[c.key],
            set_={
                "asked_by": statement.excluded.asked_by,
                "asked_until": statement.excluded.asked_until,
                "expires_at": statement.excluded.expires_at,
                "categories": None,
                "urgency": None,
                "tier": None,
            },
            where=free,
        ).returning(c.key)
    )
    return {row.key for row in rows}


def store(connection: Connection, asked_by: str, entries: Sequence[Entry], ttl_s: float) -> None:
    """Keep the answers that `asked_by` was asking for; a person's label is left as it is."""
    c = label_cache.c
    for entry in sorted(entries, key=lambda each: each.key):
        connection.execute(
            update(label_cache)
            .where(c.key == entry.key, c.asked_by == asked_by)
            .values(
                categories=list(entry.categories),
                urgency=entry.urgency.value,
                tier=Tier.LLM.value,
                model_version=entry.model_version,
                prompt_version=entry.prompt_version,
                taxonomy_version=entry.taxonomy_version,
                expires_at=func.now() + timedelta(seconds=ttl_s),
                asked_by=None,
                asked_until=None,
            )
        )


def stop_asking(connection: Connection, asked_by: str) -> None:
    """Nobody is asking any more: the answer did not come."""
    c = label_cache.c
    connection.execute(delete(label_cache).where(c.asked_by == asked_by, c.categories.is_(None)))


def prune(connection: Connection, most_entries: int) -> int:
    """Remove what has expired, and what was longest without a hit beyond `most_entries`."""
    c = label_cache.c
    gone = connection.execute(delete(label_cache).where(c.expires_at <= func.now())).rowcount
    used = func.coalesce(c.hit_at, c.created_at)
    # A person's corrections are few, and worth more than any repeat.
    surplus = (
        select(c.key).where(c.tier == Tier.LLM.value).order_by(used.desc()).offset(most_entries)
    )
    gone += connection.execute(delete(label_cache).where(c.key.in_(surplus))).rowcount
    return int(gone)
