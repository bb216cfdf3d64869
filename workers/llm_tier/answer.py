"""The answer: its JSON schema, and reading what came back without trusting it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.contracts import Urgency
from shared.errors import LanguageModelBadAnswer
from shared.taxonomy import Taxonomy

SCHEMA_NAME: Final = "labels"
#: Output tokens that one message's entry takes at most, and those around the entries.
_TOKENS_PER_MESSAGE: Final = 32
_TOKENS_AROUND: Final = 24


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the LLM says of one message."""

    categories: tuple[str, ...]  # names, primary first
    urgency: Urgency


def schema(taxonomy: Taxonomy) -> Mapping[str, Any]:
    """The answer's schema in the subset that strict mode takes; the same for every call."""
    entry = {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "c": {
                "type": "array",
                "items": {"type": "string", "enum": [c.code for c in taxonomy.categories]},
            },
            "u": {"type": "string", "enum": [u.code for u in taxonomy.urgencies]},
        },
        "required": ["id", "c", "u"],
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


def read(text: str, ids: Sequence[str], taxonomy: Taxonomy) -> dict[str, Answer]:
    """The answers by id: every id of `ids` once, nothing else.

    Raises:
        LanguageModelBadAnswer: no JSON, another shape, an unknown code, or an id that is
            missing, doubled or foreign.
    """
    answers: dict[str, Answer] = {}
    for entry in _entries(text):
        id_, answer = read_entry(entry, taxonomy)
        if id_ not in ids:
            raise LanguageModelBadAnswer("foreign_id", "the answer has an id that was not asked")
        if id_ in answers:
            raise LanguageModelBadAnswer("doubled_id", "the answer has one id twice")
        answers[id_] = answer
    if len(answers) < len(ids):
        raise LanguageModelBadAnswer(
            "missing_id", f"the answer leaves out {len(ids) - len(answers)} of {len(ids)} messages"
        )
    return answers


def _entries(text: str) -> list[Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LanguageModelBadAnswer("not_json", "the answer is not JSON") from error
    entries = data.get("items") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        raise LanguageModelBadAnswer("shape", "the answer has another shape than the schema's")
    return entries


def read_entry(entry: Any, taxonomy: Taxonomy) -> tuple[str, Answer]:
    """One entry's id and label; LanguageModelBadAnswer when it is none."""
    if not isinstance(entry, dict) or set(entry) != {"id", "c", "u"}:
        raise LanguageModelBadAnswer("shape", "an entry has another shape than the schema's")
    id_, codes, urgency_code = entry["id"], entry["c"], entry["u"]
    if not isinstance(id_, str) or not isinstance(codes, list) or not codes:
        raise LanguageModelBadAnswer("shape", "an entry has another shape than the schema's")
    names = [_category(code, taxonomy) for code in codes]
    urgency = taxonomy.urgency_by_code(urgency_code) if isinstance(urgency_code, str) else None
    if urgency is None:
        raise LanguageModelBadAnswer("invalid_code", "the answer has an unknown urgency code")
    # Strict mode can bound neither length nor repetition of an array.
    return id_, Answer(categories=tuple(dict.fromkeys(names))[:3], urgency=urgency)


def _category(code: Any, taxonomy: Taxonomy) -> str:
    category = taxonomy.category_by_code(code) if isinstance(code, str) else None
    if category is None:
        raise LanguageModelBadAnswer("invalid_code", "the answer has an unknown category code")
    return category.name
