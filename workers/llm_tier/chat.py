"""The seam to a language model: what is asked, what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens of one call, as the provider counts them."""

    prompt_tokens: int = 0
    cached_tokens: int = 0  # of the prompt's, those that the provider had in its prefix cache
    completion_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """One call."""

    system: str  # the fixed prefix
    user: str  # what differs from call to call
    schema: Mapping[str, Any]  # the answer's JSON schema
    schema_name: str
    max_tokens: int


@dataclass(frozen=True, kw_only=True)
class ChatReply:
    """The answer to one call."""

    text: str
    usage: Usage
    latency_ms: float
    model: str  # as the provider names it


class ChatModel(Protocol):
    """A language model behind an OpenAI-compatible API."""

    @property
    def name(self) -> str:
        """The model's name, as asked for."""
        ...

    def ask(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:
        """One call, without retries; raises LanguageModelError's kinds."""
        ...
