"""The openai client as a ChatModel. Make it after any fork: its connections do not survive one."""

from __future__ import annotations

import time
from typing import Any, Final

import httpx2
import openai
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.completion_usage import CompletionUsage

from shared.errors import (
    LanguageModelBadAnswer,
    LanguageModelMisconfigured,
    LanguageModelRefused,
    LanguageModelUnavailable,
)
from shared.settings import Settings
from workers.llm_tier.chat import ChatReply, ChatRequest, OnText, Usage, estimated_tokens
from workers.llm_tier.dialect import Dialect, response_format
from workers.llm_tier.errors import translate

OPENAI_URL: Final = "https://api.openai.com/v1"

_CONNECT_TIMEOUT_S = 5.0
_MEND = (
    "no request was ever accepted, in whatever format: look at CARELANE_LLM_MODEL and "
    "OPENAI_BASE_URL"
)


class OpenAIChat:
    """OpenAI, or any server that speaks its chat-completions API."""

    def __init__(
        self,
        client: openai.OpenAI,
        model: str,
        dialect: Dialect | None = None,
        *,
        stream: bool = True,
    ) -> None:
        self._client = client
        self._model = model
        self._streams = stream
        self._dialect = dialect or Dialect()

    @classmethod
    def from_settings(cls, settings: Settings) -> OpenAIChat:
        """A client with its own connections; retries are ours, inside the lease."""
        limits = httpx2.Limits(
            max_connections=settings.llm_concurrency * 2,
            max_keepalive_connections=settings.llm_concurrency,
        )
        client = openai.OpenAI(
            api_key=settings.require("openai_api_key"),
            # Named here, or the library takes the variable itself, where empty means no host.
            base_url=settings.openai_base_url or OPENAI_URL,
            max_retries=0,
            timeout=settings.llm_timeout_s,
            http_client=openai.DefaultHttpxClient(limits=limits),
        )
        return cls(client, settings.llm_model, stream=settings.llm_stream)

    @property
    def name(self) -> str:
        """The model's name, as asked for."""
        return self._model

    @property
    def dialect(self) -> Dialect:
        """What the server was found to understand."""
        return self._dialect

    def ask(self, request: ChatRequest, *, timeout_s: float, on_text: OnText) -> ChatReply:
        """One call; raises LanguageModelError's kinds."""
        while True:
            used = self._dialect.format
            try:
                reply = self._stream(request, used, timeout_s, on_text)
            except openai.OpenAIError as error:
                ours = translate(error)
                if ours.reason == "bad_request" and not self._dialect.known:
                    if self._dialect.refused(used):
                        continue
                    # Some servers (LiteLLM) say 400 where others say 404.
                    ours = LanguageModelMisconfigured("never_accepted", f"{ours}; {_MEND}")
                raise ours from error
            except httpx2.HTTPError as error:
                # The client wraps errors before the answer begins, not those within a stream.
                reason = "timeout" if isinstance(error, httpx2.TimeoutException) else "connection"
                raise LanguageModelUnavailable(
                    reason, f"the LLM's answer broke off: {type(error).__name__}"
                ) from error
            self._dialect.worked()
            return reply

    def models(self) -> frozenset[str]:
        """The names of the models that the server lists; raises LanguageModelError's kinds."""
        try:
            listed = self._client.models.list(timeout=_CONNECT_TIMEOUT_S)
            return frozenset(each.id for each in listed)
        except openai.OpenAIError as error:
            raise translate(error) from error

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _stream(
        self, request: ChatRequest, format_: str, timeout_s: float, on_text: OnText
    ) -> ChatReply:
        until_s = time.monotonic() + timeout_s
        collected = _Collected(self._model)
        options: dict[str, Any] = {"response_format": response_format(format_, request)}
        if self._streams:
            options |= {"stream": True, "stream_options": {"include_usage": True}}
        answer = self._client.chat.completions.create(
            model=self._model,
            messages=[
                {"role": "system", "content": request.system},
                {"role": "user", "content": request.user},
            ],
            temperature=0,
            max_completion_tokens=request.max_tokens,
            timeout=httpx2.Timeout(timeout_s, connect=min(_CONNECT_TIMEOUT_S, timeout_s)),
            **{name: value for name, value in options.items() if value is not None},
        )
        if isinstance(answer, ChatCompletion):
            on_text(collected.add_whole(answer))
            return collected.reply(request)
        with answer as stream:
            for chunk in stream:
                if piece := collected.add(chunk):
                    on_text(piece)
                if time.monotonic() > until_s:
                    raise LanguageModelUnavailable("timeout", "the LLM's answer took too long")
        return collected.reply(request)


class _Collected:
    """A streamed answer, put together."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._pieces: list[str] = []
        self._finish: str | None = None
        self._refused = False
        self._choices = False
        self._usage: CompletionUsage | None = None

    def add(self, chunk: ChatCompletionChunk) -> str:
        """Take one chunk; returns its text."""
        self._model = chunk.model or self._model
        self._usage = chunk.usage or self._usage
        if not chunk.choices:
            return ""
        self._choices = True
        choice = chunk.choices[0]
        self._finish = choice.finish_reason or self._finish
        self._refused = self._refused or bool(choice.delta.refusal)
        piece = choice.delta.content or ""
        self._pieces.append(piece)
        return piece

    def add_whole(self, completion: ChatCompletion) -> str:
        """Take an answer that was not streamed; returns its text."""
        self._model = completion.model or self._model
        self._usage = completion.usage
        if not completion.choices:
            return ""
        self._choices = True
        choice = completion.choices[0]
        self._finish = choice.finish_reason
        self._refused = bool(choice.message.refusal)
        self._pieces.append(choice.message.content or "")
        return self._pieces[-1]

    def reply(self, request: ChatRequest) -> ChatReply:
        """The whole answer, or the error that stands in its place."""
        text = "".join(self._pieces)
        if not self._choices:
            raise LanguageModelBadAnswer("empty_choices", "the LLM's answer has no choices")
        if self._finish == "content_filter":
            raise LanguageModelRefused("content_filter", "the provider's filter stopped the answer")
        if self._refused:
            raise LanguageModelRefused("refusal", "the LLM refused to answer")
        if self._finish == "length":
            raise LanguageModelBadAnswer("cut_off", "the LLM's answer was cut off by max_tokens")
        if self._finish is None:
            raise LanguageModelUnavailable("connection", "the LLM's answer broke off")
        if not text:
            raise LanguageModelBadAnswer("empty", "the LLM's answer is empty")
        return ChatReply(text=text, usage=self._counted(request, text), model=self._model)

    def _counted(self, request: ChatRequest, text: str) -> Usage:
        if self._usage is None:
            return Usage(
                prompt_tokens=estimated_tokens(request.system + request.user),
                completion_tokens=estimated_tokens(text),
            )
        details = self._usage.prompt_tokens_details
        return Usage(
            prompt_tokens=self._usage.prompt_tokens or 0,
            cached_tokens=(details.cached_tokens or 0) if details else 0,
            completion_tokens=self._usage.completion_tokens or 0,
        )
