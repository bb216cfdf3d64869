"""Which messages a worklist shows, in which order: read from and written to a link. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlencode

from shared.contracts import Tier, Urgency
from shared.taxonomy import Taxonomy

_MAX_SEARCH_CHARS: Final = 200
#: More words than that narrow no list.
MAX_SEARCH_WORDS: Final = 12

Member = TypeVar("Member", bound=StrEnum)


class Show(StrEnum):
    """The tabs above the list."""

    OPEN = "open"  # whatever no person has done yet
    NEEDS_REVIEW = "needs_review"
    PROCESSING = "processing"
    LABELLED = "labelled"
    DONE = "done"
    ALL = "all"

    @property
    def newest_first(self) -> bool:
        """Open work is by urgency and age; what lies behind one is by time."""
        return self in (Show.DONE, Show.ALL)


class Age(StrEnum):
    """How old, or how late."""

    OVERDUE = "overdue"  # unread after the urgency's target time
    HOUR = "hour"  # came in the last hour
    DAY = "day"  # waits for more than a day


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What a worklist's link asks for."""

    show: Show = Show.OPEN
    urgency: Urgency | None = None
    pool: str | None = None
    category: str | None = None
    tier: Tier | None = None
    age: Age | None = None
    unread: bool = False
    mine: bool = False
    q: str = ""  # words that the message holds, or a patient's reference

    @classmethod
    def from_args(cls, args: Mapping[str, str], taxonomy: Taxonomy) -> Self:
        """Read a link; what it cannot mean is left out, and the page shows it as not set."""
        pools = {pool.name for pool in taxonomy.pools}
        return cls(
            show=_member(Show, args.get("show")) or Show.OPEN,
            urgency=_member(Urgency, args.get("urgency")),
            pool=_known(args.get("pool"), pools),
            category=_known(args.get("category"), set(taxonomy.category_names)),
            tier=_member(Tier, args.get("tier")),
            age=_member(Age, args.get("age")),
            unread=args.get("unread") == "1",
            mine=args.get("mine") == "1",
            q=" ".join(args.get("q", "").replace("\0", " ").split())[:_MAX_SEARCH_CHARS],
        )

    def link(self, **changes: Any) -> str:
        """The link to this list, with `changes` made."""
        pairs = replace(self, **changes).pairs()
        return f"/?{urlencode(pairs)}" if pairs else "/"

    def pairs(self) -> list[tuple[str, str]]:
        """What differs from the plain list, as a link writes it."""
        found = []
        for each in fields(self):
            value = getattr(self, each.name)
            if value != each.default:
                found.append((each.name, "1" if value is True else str(value)))
        return found

    @property
    def narrowed(self) -> bool:
        """Whether anything but the tab is set."""
        return any(name != "show" for name, _ in self.pairs())

    def for_script(self, user: str) -> dict[str, Any]:
        """The same for the page's script, which decides whether a new line belongs."""
        found: dict[str, Any] = dict(self.pairs())
        found["show"] = self.show.value
        if self.urgency:
            found["rank"] = self.urgency.rank
        if self.mine:
            found["mine"] = user
        return found


def search_query(words: str) -> str | None:
    """A Postgres tsquery: all of the words, each as a beginning; None without a word."""
    found = re.findall(r"\w+", words)[:MAX_SEARCH_WORDS]
    # Only word characters are left, so that quoting is safe.
    return " & ".join(f"'{word}':*" for word in found) or None


def _member(kind: type[Member], value: str | None) -> Member | None:
    try:
        return kind(value or "")
    except ValueError:
        return None


def _known(value: str | None, known: set[str]) -> str | None:
    return value if value in known else None
