"""The openai client as a ChatModel. Make it after any fork: its connections do not survive one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import openai

from shared.errors import LanguageModelBadAnswer, LanguageModelRefused
from shared.settings import Settings
from workers.llm_tier.chat import ChatReply, ChatRequest, Usage
from workers.llm_tier.errors import translate

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletion
    from openai.types.completion_usage import CompletionUsage


class OpenAIChat:
    """OpenAI, or any server that speaks its chat-completions API."""

    def __init__(self, client: openai.OpenAI, model: str) -> None:
        self._client = client
        self._model = model

    @classmethod
    def from_settings(cls, settings: Settings) -> OpenAIChat:
        """A client with its own connections; retries are ours, inside the lease."""
        client = openai.OpenAI(
            api_key=settings.require("openai_api_key"),
            base_url=settings.openai_base_url,
            max_retries=0,
            timeout=settings.llm_timeout_s,
        )
        return cls(client, settings.llm_model)

    @property
    def name(self) -> str:
        """The model's name, as asked for."""
        return self._model

    def ask(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:
        """One call; raises LanguageModelError's kinds."""
        started_s = time.monotonic()
        try:
            completion = self._client.chat.completions.create(
                model=self._model,
                messages=[
                    {"role": "system", "content": request.system},
                    {"role": "user", "content": request.user},
                ],
                response_format={
                    "type": "json_schema",
                    "json_schema": {
                        "name": request.schema_name,
                        "schema": dict(request.schema),
                        "strict": True,
                    },
                },
                temperature=0,
                max_completion_tokens=request.max_tokens,
                timeout=timeout_s,
            )
        except openai.OpenAIError as error:
            raise translate(error) from error
        return ChatReply(
            text=_content(completion),
            usage=usage_of(completion.usage),
            latency_ms=(time.monotonic() - started_s) * 1000,
            model=completion.model or self._model,
        )

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def _content(completion: ChatCompletion) -> str:
    """The answer's text, or the error that stands in its place."""
    if not completion.choices:
        raise LanguageModelBadAnswer("empty_choices", "the LLM's answer has no choices")
    choice = completion.choices[0]
    if choice.finish_reason == "content_filter":
        raise LanguageModelRefused("content_filter", "the provider's filter stopped the answer")
    if choice.message.refusal:
        raise LanguageModelRefused("refusal", "the LLM refused to answer")
    if choice.finish_reason == "length":
        raise LanguageModelBadAnswer("cut_off", "the LLM's answer was cut off by max_tokens")
    if not choice.message.content:
        raise LanguageModelBadAnswer("empty", "the LLM's answer is empty")
    return choice.message.content


def usage_of(usage: CompletionUsage | None) -> Usage:
    """Token counts; zeros where the server tells none."""
    if usage is None:
        return Usage()
    details = usage.prompt_tokens_details
    return Usage(
        prompt_tokens=usage.prompt_tokens or 0,
        cached_tokens=(details.cached_tokens or 0) if details else 0,
        completion_tokens=usage.completion_tokens or 0,
    )
