"""The answer: its JSON schema, and reading it as it arrives, without trusting it. Pure.

One entry per message, `{"i":"bkt","l":"CB2"}`: the message's id, then the codes of its
categories, primary first, and of its urgency, run together. That is about ten output tokens, and
output tokens are what a call's time consists of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, Final

from shared.contracts import Urgency
from shared.errors import LanguageModelBadAnswer
from shared.taxonomy import Taxonomy

SCHEMA_NAME: Final = "labels"
#: Strict mode bounds the values of an enum (1,000 at OpenAI): two categories make 300.
_MOST_CATEGORIES: Final = 2
#: Output tokens that one message's entry takes at most, and those around the entries.
_TOKENS_PER_MESSAGE: Final = 16
_TOKENS_AROUND: Final = 16
_START: Final = re.compile(r'"items"\s*:\s*\[')
_BETWEEN: Final = " \t\r\n,"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the LLM says of one message."""

    categories: tuple[str, ...]  # names, primary first
    urgency: Urgency


def label_codes(taxonomy: Taxonomy) -> dict[str, Answer]:
    """Every label that can be given, by its code."""
    return {
        "".join(category.code for category in chosen) + level.code: Answer(
            categories=tuple(category.name for category in chosen), urgency=level.name
        )
        for count in range(1, _MOST_CATEGORIES + 1)
        for chosen in permutations(taxonomy.categories, count)
        for level in taxonomy.urgencies
    }


def schema(codes: Mapping[str, Answer]) -> Mapping[str, Any]:
    """The answer's schema in the subset that strict mode takes; the same for every call."""
    entry = {
        "type": "object",
        "properties": {
            "i": {"type": "string"},
            "l": {"type": "string", "enum": list(codes)},
        },
        "required": ["i", "l"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"items": {"type": "array", "items": entry}},
        "required": ["items"],
        "additionalProperties": False,
    }


def max_tokens(messages: int) -> int:
    """Room for the answer about so many messages, and little more: a runaway answer is cut off."""
    return _TOKENS_AROUND + _TOKENS_PER_MESSAGE * messages


class Reader:
    """Reads one answer piece by piece: `feed` gives each message's label as soon as it is there.

    An id comes out once. Ids that nobody asked for, a second label for an id and unknown codes
    raise LanguageModelBadAnswer; what came out before still holds, unless `doubled` names it.
    """

    def __init__(self, ids: Sequence[str], codes: Mapping[str, Answer]) -> None:
        self._wanted = frozenset(ids)
        self._codes = codes
        self._rest = ""
        self._started = False
        self._ended = False
        self.answers: dict[str, Answer] = {}
        self.entries: dict[str, str] = {}  # the same as they came
        self.doubled: set[str] = set()  # labelled twice, differently

    def feed(self, piece: str) -> Iterator[tuple[str, Answer]]:
        """The labels that this piece completes."""
        self._rest += piece
        if not self._started:
            start = _START.search(self._rest)
            if start is None:
                return
            self._started = True
            self._rest = self._rest[start.end() :]
        while not self._ended:
            self._rest = self._rest.lstrip(_BETWEEN)
            if self._rest.startswith("]"):
                self._ended = True
                return
            end = self._rest.find("}")
            if end < 0:
                return
            entry, self._rest = self._rest[: end + 1], self._rest[end + 1 :]
            found = self._read(entry)
            if found is not None:
                yield found

    def finish(self) -> None:
        """Raises LanguageModelBadAnswer unless every message was labelled, once."""
        if not self._started:
            raise LanguageModelBadAnswer("not_json", "the answer has no list of items")
        if not self._ended:
            raise LanguageModelBadAnswer("shape", "the answer's list of items does not end")
        missing = len(self._wanted) - len(self.answers)
        if missing:
            raise LanguageModelBadAnswer(
                "missing_id", f"the answer leaves out {missing} of {len(self._wanted)} messages"
            )

    def _read(self, text: str) -> tuple[str, Answer] | None:
        try:
            entry = json.loads(text)
        except ValueError as error:
            raise LanguageModelBadAnswer("not_json", "an entry is not JSON") from error
        id_, code = _id_and_code(entry)
        if not isinstance(id_, str) or id_ not in self._wanted:
            raise LanguageModelBadAnswer("foreign_id", "the answer has an id that was not asked")
        answer = self._codes.get(code) if isinstance(code, str) else None
        if answer is None:
            raise LanguageModelBadAnswer("invalid_code", "the answer has an unknown code")
        if id_ in self.answers:
            if self.answers[id_] != answer:
                self.doubled.add(id_)
            raise LanguageModelBadAnswer("doubled_id", "the answer has one id twice")
        self.answers[id_] = answer
        self.entries[id_] = text
        return id_, answer


def _id_and_code(entry: Any) -> tuple[Any, Any]:
    """An entry's id and code; where no schema binds the model, also in longer words."""
    if isinstance(entry, dict) and set(entry) == {"i", "l"}:
        return entry["i"], entry["l"]
    if isinstance(entry, dict) and set(entry) == {"id", "c", "u"}:
        categories = entry["c"] if isinstance(entry["c"], list) else [entry["c"]]
        return entry["id"], "".join(map(str, [*categories[:_MOST_CATEGORIES], entry["u"]]))
    raise LanguageModelBadAnswer("shape", "an entry has another shape than the schema's")


def read(text: str, ids: Sequence[str], codes: Mapping[str, Answer]) -> dict[str, Answer]:
    """A whole answer's labels by id; LanguageModelBadAnswer unless each id is there, once."""
    reader = Reader(ids, codes)
    for _ in reader.feed(text):
        pass
    reader.finish()
    return reader.answers
