"""What the LLM was sent and answered, in words for the message's page. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import RowMapping

from shared.taxonomy import Taxonomy

_PURPOSES: Final = {
    "label": "Asked for a second opinion",
    "check": "Asked to check the fast model's label, which it does not change",
    "rationale": "Asked why",
}


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One question to the LLM about one message."""

    purpose: str
    at: datetime
    sent: str  # masked
    answered: str | None  # as it came
    meaning: str | None  # the answer's codes in words
    failure: str | None  # why there is no answer that could be used
    model: str | None
    beside: int  # other messages in the same prompt
    simulated: bool


def exchange_of(row: RowMapping, taxonomy: Taxonomy) -> Exchange:
    """A row of queries.exchanges for the page."""
    failed = row["outcome"] != "ok"
    return Exchange(
        purpose=_PURPOSES.get(row["purpose"], row["purpose"]),
        at=row["created_at"],
        sent=row["sent"],
        answered=row["answered"],
        meaning=meaning(row["answered"] or "", taxonomy),
        failure=str(row["outcome"]).replace("_", " ") if failed else None,
        model=row["model"],
        beside=max(0, (row["messages"] or 1) - 1),
        simulated=bool(row["simulated"]),
    )


def meaning(answered: str, taxonomy: Taxonomy) -> str | None:
    """The titles for an entry's codes, `CB2` as "Refill + Medication, Urgent"; None for others."""
    try:
        code = json.loads(answered)["l"]
        categories = {each.code: each.title for each in taxonomy.categories}
        urgencies = {each.code: each.title for each in taxonomy.urgencies}
        titles = [categories[letter] for letter in code[:-1]]
        return f"{' + '.join(titles)}, {urgencies[code[-1]]}" if titles else None
    except (ValueError, KeyError, TypeError, IndexError):
        return None
