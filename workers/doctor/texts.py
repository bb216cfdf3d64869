"""Texts at rest: which lie in clear, and which under a key that is not given here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from sqlalchemy import Engine, text

from shared.database import transaction
from shared.errors import StoreOverloaded
from shared.sealed_columns import sealing
from shared.sealed_text import SEALED, SEALED_PATTERN
from workers.doctor.finding import Finding, ok, problem, warning

_TEXTS: Final = "texts"
#: A large table is not read through while somebody waits; `reseal --dry-run` is not in a hurry.
_LONGEST_S: Final = 10

_KEY: Final = "CASE WHEN starts_with({0}, :mark) THEN substring(left({0}, 64) FROM :sealed) END"
_ALL: Final = text(
    f"""
    SELECT key, count(*) AS texts FROM (
        SELECT {_KEY.format("text")} AS key FROM messages
        UNION ALL SELECT {_KEY.format("sent")} FROM llm_exchanges
        UNION ALL SELECT {_KEY.format("answered")} FROM llm_exchanges WHERE answered IS NOT NULL
        UNION ALL SELECT {_KEY.format("result ->> 'text'")} FROM explanations WHERE result ? 'text'
    ) AS keys GROUP BY key
    """  # noqa: S608  ours
)
#: Where there are no keys, a look at the last ones tells whether there should be.
_NEWEST: Final = text(
    f"""
    SELECT key, count(*) AS texts FROM (
        SELECT {_KEY.format("text")} AS key FROM messages
        ORDER BY received_at DESC, id DESC LIMIT 1000
    ) AS keys GROUP BY key
    """  # noqa: S608  ours
)


def check_texts(engine: Engine) -> Iterator[Finding]:
    """Every text under a key that is given, and none in clear where texts are to be sealed."""
    keys = sealing(engine).keys
    try:
        with transaction(engine) as connection:
            connection.execute(text(f"SET LOCAL statement_timeout = '{_LONGEST_S}s'"))
            look = _ALL if keys.ids else _NEWEST
            found = connection.execute(look, {"mark": SEALED, "sealed": SEALED_PATTERN})
            counted = {row.key: row.texts for row in found}
    except StoreOverloaded:
        yield warning(
            _TEXTS,
            f"texts could not be counted by key within {_LONGEST_S} s",
            "`carelane database reseal --dry-run` counts them without hurry.",
        )
        return
    yield from _closed(counted, keys.ids)
    clear = counted.get(None, 0)
    if keys.writes and clear:
        yield warning(
            _TEXTS,
            f"texts are to be sealed under {keys.writes!r}, and {clear:,} lie in clear",
            "`carelane database reseal` seals them.",
        )
    if not keys.ids:
        return
    under = ", ".join(f"{n:,} under {key!r}" for key, n in sorted(counted.items(), key=str) if key)
    yield ok(_TEXTS, f"texts sealed: {under or 'none'}; new ones {keys.writes or 'in clear'}")


def _closed(counted: Mapping[str | None, int], ids: frozenset[str]) -> Iterator[Finding]:
    for key in sorted(key for key in counted if key is not None and key not in ids):
        yield problem(
            _TEXTS,
            f"{counted[key]:,} texts are sealed under the key {key!r}, which is not given here",
            "Add it to CARELANE_TEXT_KEYS behind the first; if it is lost, docs/operations.md says "
            "what that means.",
        )
