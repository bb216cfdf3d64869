"""Brings every stored text under the key that seals now, or back into clear, batch by batch.

Each batch is a transaction that changes only rows which are still as they were read, so it may run
beside everything else, be stopped at any time and be run again: what is done is passed over. A
message on its way through the tiers is left for the next run, for a worker that met it locked would
leave it to the sweeper.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, RowMapping, insert, text

from shared.database import transaction
from shared.errors import SealedTextError
from shared.sealed_columns import EXPLANATION, MESSAGE_TEXT, sealing
from shared.sealed_text import key_of
from shared.tables import audit_log

#: So short that nobody who wants one of the rows notices.
BATCH: Final = 200
ACTION: Final = "texts_resealed"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A column with texts, and its statements."""

    column: str  # what its texts are bound to
    look: str  # id, stored: the next rows
    write: str  # of those that are still as they were; returns their ids
    first: object  # below every id
    words: bool = False  # whether search words hang on it


def _column(table: str, column: str) -> Place:
    return Place(
        column=f"{table}.{column}",
        look=f"""
            SELECT id, {column} AS stored, false AS under_way FROM {table}
            WHERE id > :after ORDER BY id LIMIT :most
        """,  # noqa: S608  ours
        write=f"""
            UPDATE {table} AS t SET {column} = n.new
            FROM unnest(CAST(:ids AS bigint[]), CAST(:old AS text[]), CAST(:new AS text[]))
                AS n (id, old, new)
            WHERE t.id = n.id AND t.{column} = n.old RETURNING t.id
        """,  # noqa: S608  ours
        first=-1,
    )


PLACES: Final = (
    Place(
        column=MESSAGE_TEXT,
        look="SELECT id, text AS stored, status IN ('queued', 'escalated') AS under_way "
        "FROM messages WHERE id > :after ORDER BY id LIMIT :most",
        write="""
            WITH held AS (
                SELECT id FROM messages WHERE id = ANY(CAST(:ids AS uuid[]))
                AND status NOT IN ('queued', 'escalated')
                ORDER BY id FOR NO KEY UPDATE
            )
            UPDATE messages AS t SET text = n.new
            FROM unnest(CAST(:ids AS uuid[]), CAST(:old AS text[]), CAST(:new AS text[]))
                AS n (id, old, new) JOIN held ON held.id = n.id
            WHERE t.id = n.id AND t.text = n.old RETURNING t.id
        """,
        first="00000000-0000-0000-0000-000000000000",
        words=True,
    ),
    _column("llm_exchanges", "sent"),
    _column("llm_exchanges", "answered"),
    Place(
        column=EXPLANATION,
        look="SELECT id, result ->> 'text' AS stored, false AS under_way FROM explanations "
        "WHERE id > :after ORDER BY id LIMIT :most",
        write="""
            UPDATE explanations AS t SET result = jsonb_set(t.result, '{text}', to_jsonb(n.new))
            FROM unnest(CAST(:ids AS bigint[]), CAST(:old AS text[]), CAST(:new AS text[]))
                AS n (id, old, new)
            WHERE t.id = n.id AND t.result ->> 'text' = n.old RETURNING t.id
        """,
        first=-1,
    ),
)

_HASHED_WORDS: Final = text(
    """
    INSERT INTO message_words (message_id, words)
    SELECT id, CAST(words AS tsvector)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:words AS text[])) AS n (id, words)
    ON CONFLICT (message_id) DO UPDATE SET words = excluded.words
    """
)
_CLEAR_WORDS: Final = text(
    """
    INSERT INTO message_words (message_id, words)
    SELECT id, to_tsvector('simple', left(text, 50000)) FROM messages
    WHERE id = ANY(CAST(:ids AS uuid[]))
    ON CONFLICT (message_id) DO UPDATE SET words = excluded.words
    """
)


@dataclass
class Done:
    """How far it is, over all places."""

    seen: int = 0
    changed: int = 0
    under_way: int = 0  # left for the next run
    closed: int = 0  # cannot be opened here
    passed_over: int = 0  # changed between the look and the lock

    @property
    def left(self) -> bool:
        """Whether another run has something to do."""
        return bool(self.under_way or self.closed or self.passed_over)


def total(engine: Engine) -> int:
    """How many rows will be looked at."""
    counted = " + ".join(
        f"(SELECT count(*) FROM {place.column.partition('.')[0]})"  # noqa: S608  ours
        for place in PLACES
    )
    with transaction(engine) as connection:
        connection.execute(text("SET LOCAL statement_timeout = '10min'"))
        return int(connection.execute(text(f"SELECT {counted}")).scalar_one())


def reseal(
    engine: Engine, *, words: bool = False, dry_run: bool = False, batch: int = BATCH
) -> Iterator[Done]:
    """Go through every place; yields after each batch what is done so far.

    `words`: make the search words of sealed messages anew too. `dry_run`: count, change nothing.

    Raises:
        StoreError: a batch failed; those before it are done.
    """
    done = Done()
    for place in PLACES:
        after: object = place.first
        while True:
            with transaction(engine) as connection:
                found = connection.execute(
                    text(place.look), {"after": after, "most": batch}
                ).mappings()
                rows = found.all()
                if not rows:
                    break
                _batch(connection, place, rows, done, words=words, dry_run=dry_run)
            after = rows[-1]["id"]
            done.seen += len(rows)
            yield done


def _batch(
    connection: Connection,
    place: Place,
    rows: Sequence[RowMapping],
    done: Done,
    *,
    words: bool,
    dry_run: bool,
) -> None:
    keys = sealing(connection).keys
    wanted: dict[object, tuple[str, str]] = {}  # id: as stored, in clear
    for row in rows:
        stored = row["stored"]
        if stored is None or (key_of(stored) == keys.writes and not (words and place.words)):
            continue
        if row["under_way"]:
            done.under_way += 1
            continue
        try:
            wanted[row["id"]] = (stored, keys.open(stored, place.column))
        except SealedTextError:
            done.closed += 1
    if wanted and not dry_run:
        written = len(_write(connection, place, wanted))
        done.changed += written
        done.passed_over += len(wanted) - written
    elif wanted:
        done.changed += len(wanted)


def _write(
    connection: Connection, place: Place, wanted: Mapping[object, tuple[str, str]]
) -> list[object]:
    ours = sealing(connection)
    parameters = {
        "ids": [str(id_) for id_ in wanted],
        "old": [old for old, _ in wanted.values()],
        "new": [ours.keys.seal(clear, place.column) for _, clear in wanted.values()],
    }
    written = [row.id for row in connection.execute(text(place.write), parameters)]
    if not (place.words and written):
        return written
    ids = [str(id_) for id_ in written]
    if ours.keys.writes is None:
        connection.execute(_CLEAR_WORDS, {"ids": ids})
    else:
        index = ours.search_words().index
        hashed = [index(wanted[id_][1]) for id_ in written]
        connection.execute(_HASHED_WORDS, {"ids": ids, "words": hashed})
    return written


def note(engine: Engine, actor: str, done: Done) -> None:
    """Say in the audit log what was done."""
    to = sealing(engine).keys.writes or "clear"
    detail = {
        "to": to,
        "rows": done.changed,
        "under_way": done.under_way,
        "passed_over": done.passed_over,
        "closed": done.closed,
    }
    with transaction(engine) as connection:
        connection.execute(insert(audit_log).values(actor=actor, action=ACTION, detail=detail))
