"""The content of an answer: labels put into whatever JSON schema the caller asks for. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from localstack.standin.nearest import Answer

_ID_NAMES: Final = ("id", "i", "key", "ref")
_TEXT_NAMES: Final = ("text", "t", "message", "m", "body", "content")
#: What a caller without a schema gets, and what `max_tokens` is counted on.
DEFAULT_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "c": {"type": "array", "items": {"type": "string"}},
                    "u": {"type": "string"},
                },
            },
        }
    },
}
#: What a model answers that has lost the table of codes.
NO_SUCH_CODE: Final = "Z9"
_PIECE = re.compile(r"[^\W\d_]+|\d{1,3}|[^\w\s]{1,3}|_")


@dataclass(frozen=True, kw_only=True)
class Item:
    """One message to label."""

    id: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Codes:
    """The words for labels: names of the taxonomy and their one-token codes."""

    categories: Mapping[str, str]  # name → code
    urgencies: Mapping[str, str]

    def category(self, name: str) -> str:
        """The code of a category; one that the taxonomy lacks is answered all the same."""
        return self.categories.get(name, NO_SUCH_CODE)

    def urgency(self, name: str) -> str:
        """The code of an urgency."""
        return self.urgencies.get(name, NO_SUCH_CODE)


def count_tokens(text: str) -> int:
    """About as many tokens as a byte-pair tokenizer would make; longer words count for more."""
    return sum((len(piece) + 6) // 7 for piece in _PIECE.findall(text))


def items_in(content: str) -> list[Item]:
    """The messages in a user message: from the first JSON in it that holds any, else all of it."""
    decoder = json.JSONDecoder()
    for match in re.finditer(r"[{\[]", content):
        try:
            value, _ = decoder.raw_decode(content, match.start())
        except ValueError:
            continue
        if found := _items(value):
            return found
    return [Item(id="", text=content)]


def _items(value: Any) -> list[Item]:
    if isinstance(value, list):
        found = [item for each in value if (item := _item(each)) is not None]
        return found if len(found) == len(value) else []
    if isinstance(value, dict):
        if (single := _item(value)) is not None:
            return [single]
        for each in value.values():
            if isinstance(each, list | dict) and (found := _items(each)):
                return found
    return []


def _item(value: Any) -> Item | None:
    if not isinstance(value, dict):
        return None
    id_ = next((value[name] for name in _ID_NAMES if name in value), None)
    text = next((value[name] for name in _TEXT_NAMES if isinstance(value.get(name), str)), None)
    return None if id_ is None or text is None else Item(id=str(id_), text=text)


class Writer:
    """Writes one answer for one schema."""

    def __init__(
        self, schema: Mapping[str, Any], codes: Codes, items: Sequence[tuple[Item, Answer]]
    ) -> None:
        self._schema = schema
        self._codes = codes
        self._items = items

    def value(self) -> Any:
        """The answer as JSON values."""
        return self._walk(self._schema, "", None)

    def _walk(self, schema: Mapping[str, Any], name: str, at: tuple[Item, Answer] | None) -> Any:
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._choice(schema["enum"], at)
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((each for each in kind if each != "null"), "null")
        walkers: dict[Any, Callable[[], Any]] = {
            "object": lambda: self._object(schema, at),
            "array": lambda: self._array(schema, name, at),
            "string": lambda: self._string(name, at),
            "number": lambda: 0.9,
            "integer": lambda: 0,
            "boolean": lambda: False,
        }
        return walkers.get(kind, lambda: None)()

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        for _ in range(10):
            if "$ref" in schema:
                target: Any = self._schema
                for part in schema["$ref"].removeprefix("#/").split("/"):
                    target = target[part]
                schema = target
            elif "anyOf" in schema:
                schema = next((each for each in schema["anyOf"] if each.get("type") != "null"), {})
            else:
                break
        return schema

    def _object(self, schema: Mapping[str, Any], at: tuple[Item, Answer] | None) -> Any:
        by_id = {item.id: (item, answer) for item, answer in self._items}
        return {
            name: self._walk(each, name, by_id.get(name, at))
            for name, each in schema.get("properties", {}).items()
        }

    def _array(self, schema: Mapping[str, Any], name: str, at: tuple[Item, Answer] | None) -> Any:
        inner = self._resolved(schema.get("items", {}))
        if at is None:
            return [self._walk(inner, name, each) for each in self._items]
        if name == "c" and "enum" not in inner:
            return [self._codes.category(each) for each in at[1].categories]
        if "enum" not in inner:
            return []
        wanted = [self._among(inner["enum"], each, at[1].urgency) for each in at[1].categories]
        found = list(dict.fromkeys(each for each in wanted if each is not None))
        return found[: schema.get("maxItems", len(found))]

    def _string(self, name: str, at: tuple[Item, Answer] | None) -> str:
        if at is None:
            # A question about one message, answered without a list.
            single = len(self._items) == 1 and name not in _ID_NAMES
            return sentence(self._items[0][1]) if single else "simulated"
        item, answer = at
        if name in _ID_NAMES:
            return item.id
        if name == "u":
            return self._codes.urgency(answer.urgency)
        if name == "c":
            return self._codes.category(answer.categories[0])
        return sentence(answer)

    def _choice(self, enum: Sequence[Any], at: tuple[Item, Answer] | None) -> Any:
        if at is None:
            # A list of ids, in the order in which they were sent, has no place for one choice.
            return enum[0]
        item, answer = at
        if item.id in enum:
            return item.id
        found = self._among(enum, answer.categories[0], answer.urgency)
        return enum[-1] if found is None else found

    def _among(self, enum: Sequence[Any], category: str, urgency: str) -> Any:
        """The value of `enum` that says this category, this urgency, or both run together."""
        category_code = self._codes.category(category)
        urgency_code = self._codes.urgency(urgency)
        if category_code == NO_SUCH_CODE:
            alone = (urgency, urgency_code)
            return next((each for each in enum if str(each) in alone), NO_SUCH_CODE)
        says = (
            *(category, category_code, urgency, urgency_code),
            *(category_code + urgency_code, urgency_code + category_code),
        )
        return next((each for each in enum if str(each) in says), None)


def sentence(answer: Answer) -> str:
    """The rationale that a simulated LLM gives."""
    return (
        f"Simulated: reads most like messages labelled {' and '.join(answer.categories)}, "
        f"{answer.urgency}."
    )


def compact(value: Any) -> str:
    """JSON without spaces, as models write it under a schema."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
