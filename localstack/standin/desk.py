"""One call from request to answer, without HTTP: what is said, what it costs, what breaks."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from threading import Lock
from typing import Any, Final

from localstack.standin.answers import (
    DEFAULT_SCHEMA,
    Codes,
    Item,
    Writer,
    compact,
    count_tokens,
    items_in,
    sentence,
)
from localstack.standin.knobs import Knobs
from localstack.standin.mischief import broken, obeyed
from localstack.standin.nearest import Corpus
from shared.taxonomy import Taxonomy

#: Faults that are an HTTP status: status, the API's code, its text.
REFUSALS: Final[Mapping[str, tuple[int, str, str]]] = {
    "rate_limit": (429, "rate_limit_exceeded", "Rate limit reached."),
    "rate_limit_bare": (429, "rate_limit_exceeded", "Rate limit reached."),
    "server_error": (500, "server_error", "The server had an error."),
    "overloaded": (503, "overloaded", "The engine is currently overloaded."),
    "bad_key": (401, "invalid_api_key", "Incorrect API key provided."),
    "model_not_found": (404, "model_not_found", "The model does not exist."),
    "content_filter_prompt": (400, "content_filter", "The prompt was filtered."),
    "format": (400, "unsupported_value", "This response_format is not supported."),
}
_TOKEN = re.compile(r"[^\W\d_]{1,7}|\d{1,3}|[^\w\s]{1,3}|\s+|_")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a request asks for."""

    model: str
    prefix: str  # the messages before the last user message
    prompt: str  # all messages
    content: str  # the last user message
    items: tuple[Item, ...]
    schema: Mapping[str, Any] | None
    format: str  # json_schema, json_object, text
    stream: bool
    include_usage: bool
    max_tokens: int | None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Asked:
        """Read the body of a chat completion request."""
        messages = [
            (str(each.get("role")), _text(each.get("content"))) for each in body["messages"]
        ]
        lines = [f"{role}: {text}" for role, text in messages]
        last = max((at for at, (role, _) in enumerate(messages) if role == "user"), default=None)
        content = "" if last is None else messages[last][1]
        response_format = body.get("response_format") or {}
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        return cls(
            model=str(body.get("model", "")),
            prefix="\n".join(lines[:last]),
            prompt="\n".join(lines),
            content=content,
            items=tuple(items_in(content)),
            schema=response_format.get("json_schema", {}).get("schema"),
            format=str(response_format.get("type", "text")),
            stream=bool(body.get("stream")),
            include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
            max_tokens=None if limit is None else int(limit),
        )

    @property
    def prompt_tokens(self) -> int:
        """About what a provider would count."""
        # The prefix is long and the same from call to call.
        return _fixed_tokens(self.prefix) + count_tokens(self.prompt[len(self.prefix) :])


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the model says."""

    pieces: tuple[str, ...]  # about a token each
    finish_reason: str = "stop"
    refusal: str | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class Desk:
    """The knobs as they stand, and the corpus to answer from."""

    def __init__(self, knobs: Knobs, corpus: Corpus, taxonomy: Taxonomy) -> None:
        self._initial = knobs
        self.knobs = knobs
        self._corpus = corpus
        self._codes = Codes(
            categories={each.name: each.code for each in taxonomy.categories},
            urgencies={each.name.value: each.code for each in taxonomy.urgencies},
        )
        self._chance = random.Random()
        self._lock = Lock()

    def turn(self, values: Mapping[str, Any]) -> None:
        """Turn knobs."""
        with self._lock:
            self.knobs = self.knobs.turned(values)

    def reset(self) -> None:
        """Turn all knobs back to the start."""
        with self._lock:
            self.knobs = self._initial

    def fault(self, asked: Asked, key: str) -> str:
        """What this call suffers: wrong use first, then the faults that the knobs order."""
        with self._lock:
            if self.knobs.api_key and key != self.knobs.api_key:
                return "bad_key"
            if self.knobs.models and asked.model not in self.knobs.models:
                return "model_not_found"
            if asked.format not in ("text", *self.knobs.formats):
                return "format"
            if self.knobs.next_faults:
                first, *rest = self.knobs.next_faults
                self.knobs = replace(self.knobs, next_faults=tuple(rest))
                return first
            return self.knobs.fault(asked.content, self._chance)

    def latency_s(self) -> float:
        """How long the first token takes this time."""
        return self.knobs.latency_s(self._chance)

    def say(self, asked: Asked, fault: str) -> Said:
        """The answer's content under `fault`."""
        if fault == "refusal":
            return Said(pieces=(), refusal="I can't help with that.")
        if fault == "content_filter":
            return Said(pieces=(), finish_reason="content_filter")
        text = self._content(asked, fault)
        pieces = _TOKEN.findall(text)
        if fault == "cut_off":
            return Said(pieces=tuple(pieces[: len(pieces) // 2]), finish_reason="length")
        if asked.max_tokens is not None and len(pieces) > asked.max_tokens:
            return Said(pieces=tuple(pieces[: asked.max_tokens]), finish_reason="length")
        return Said(pieces=tuple(pieces))

    def _content(self, asked: Asked, fault: str) -> str:
        if fault == "malformed_json":
            return 'Sure! Here are the labels: {"items": [{"id": '
        if fault == "wrong_shape":
            return compact({"result": "done", "count": len(asked.items)})
        knobs = self.knobs
        labelled = [
            (item, self._corpus.label(item.text, knobs.accuracy, knobs.seed))
            for item in asked.items
        ]
        if knobs.obeys_injections:
            labelled = obeyed(labelled, tuple(self._codes.categories), tuple(self._codes.urgencies))
        labelled = broken(fault, labelled)
        if asked.format == "text" and not any(item.id for item in asked.items):
            return sentence(labelled[0][1])
        return compact(Writer(asked.schema or DEFAULT_SCHEMA, self._codes, labelled).value())


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(_text(part.get("text", "")) for part in content)
    return str(content or "")


@lru_cache(maxsize=64)
def _fixed_tokens(text: str) -> int:
    return count_tokens(text)


def usage(prompt_tokens: int, cached_tokens: int, pieces: Sequence[str]) -> dict[str, Any]:
    """The bill, as the API words it."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": len(pieces),
        "total_tokens": prompt_tokens + len(pieces),
        "prompt_tokens_details": {"cached_tokens": cached_tokens},
    }
