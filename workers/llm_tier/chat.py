"""The seam to a language model: what is asked, what comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    max_tokens: int
    schema: Mapping[str, Any] | None = None  # the answer's JSON schema; None: plain text
    schema_name: str = "answer"


@dataclass(frozen=True, kw_only=True)
class ChatReply:
    """The answer to one call."""

    text: str
    usage: Usage
    model: str  # as the provider names it


#: Called with each piece of the answer as it arrives.
OnText = Callable[[str], None]


class ChatModel(Protocol):
    """A language model behind an OpenAI-compatible API."""

    @property
    def name(self) -> str:
        """The model's name, as asked for."""
        ...

    def ask(self, request: ChatRequest, *, timeout_s: float, on_text: OnText) -> ChatReply:
        """One call, without retries; raises LanguageModelError's kinds.

        What `on_text` raises ends the call and comes through.
        """
        ...


def estimated_tokens(text: str) -> int:
    """About as many tokens as a text has, where no provider counted them (OpenAI: 4 characters)."""
    return (len(text) + 3) // 4
