"""One call to the LLM: made once, recorded once, its answers handed on as they arrive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Protocol

from shared.errors import LanguageModelError, LanguageModelUnwanted
from workers.llm_tier import answer
from workers.llm_tier.answer import Answer
from workers.llm_tier.chat import ChatReply, ChatRequest, Usage, estimated_tokens
from workers.llm_tier.prompt import Asked, new_ids, question

if TYPE_CHECKING:
    from workers.llm_tier.tier import LlmTier

#: Outcome of a call that was begun before the fast tier had decided, and then was not needed.
SPECULATION_LOST: Final = "speculation_lost"


@dataclass(frozen=True, kw_only=True)
class CallRecord:
    """One call as `llm_calls` keeps it."""

    model: str
    prompt_version: str
    outcome: str  # ok, the reason of a LanguageModelError, or broken
    messages: int
    usage: Usage
    cost_usd: Decimal
    latency_ms: float


class CallLog(Protocol):
    """Where calls are recorded: a row when the call starts, its cost when it ends."""

    def start(self, model: str, prompt_version: str, messages: int) -> int:
        """A call is about to be made; returns its id."""
        ...

    def end(self, call_id: int, record: CallRecord) -> None:
        """The call has ended, well or not."""
        ...


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The LLM's answer about one message, and what it took."""

    answer: Answer
    call_id: int
    model: str
    cost_usd: Decimal  # this message's share, an estimate until the call has ended
    latency_ms: float  # from the call's start to this entry
    entry: str = ""  # the answer's entry as it came


Result = Answered | LanguageModelError
#: Called once for each question, by its place, with what became of it.
OnResult = Callable[[int, Result], None]


class Call:
    """One call: made once, recorded once."""

    def __init__(
        self,
        tier: LlmTier,
        left: dict[int, str],
        on_result: OnResult,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._tier = tier
        self._left = left
        self._on_result = on_result
        self._wanted = wanted  # once False, the call is broken off
        self._places = dict(zip(new_ids(len(left)), left, strict=True))
        asked = [Asked(id=id_, text=left[place]) for id_, place in self._places.items()]
        self._request = ChatRequest(
            system=tier.prompt.prefix,
            user=question(asked),
            schema=answer.schema(tier.codes),
            schema_name=answer.SCHEMA_NAME,
            max_tokens=answer.max_tokens(len(asked)),
        )
        self._reader = answer.Reader(list(self._places), tier.codes)
        self._started_s = 0.0
        self._received = ""
        self._call_id = 0

    @property
    def tokens(self) -> int:
        """About what the call takes from a token rate."""
        return (
            estimated_tokens(self._request.system)
            + estimated_tokens(self._request.user)
            + self._request.max_tokens
        )

    def run(self, timeout_s: float) -> None:
        """Make the call; raises LanguageModelError's kinds after it was recorded."""
        tier = self._tier
        self._call_id = tier.calls.start(tier.model.name, tier.prompt.version, len(self._places))
        self._started_s = tier.clock.monotonic_s()
        try:
            reply = tier.model.ask(self._request, timeout_s=timeout_s, on_text=self._on_text)
            self._reader.finish()
        except LanguageModelError as error:
            self._record(error.reason, None)
            self._take_back(error)
            tier.gate.failed(error)
            raise
        except Exception:
            # Nothing that an LLM does: ours to mend. It was paid for all the same.
            self._record("broken", None)
            raise
        self._record("ok", reply)
        tier.gate.succeeded()

    def _on_text(self, piece: str) -> None:
        self._received += piece
        if not self._wanted():
            raise LanguageModelUnwanted(SPECULATION_LOST, "the fast tier did without this answer")
        for id_, found in self._reader.feed(piece):
            place = self._places[id_]
            if place not in self._left:
                continue
            del self._left[place]
            self._on_result(
                place,
                Answered(
                    answer=found,
                    call_id=self._call_id,
                    model=self._tier.model.name,
                    cost_usd=self._share_usd(),
                    latency_ms=self._elapsed_ms(),
                    entry=self._reader.entries[id_],
                ),
            )

    def _take_back(self, error: LanguageModelError) -> None:
        """An entry that was labelled twice, differently: neither label can be believed."""
        for id_ in self._reader.doubled:
            self._on_result(self._places[id_], error)

    def _share_usd(self) -> Decimal:
        return self._tier.prices.cost_usd(self._estimate()) / len(self._places)

    def _estimate(self) -> Usage:
        """Tokens where the provider has not counted them: none before the answer begins."""
        if not self._received:
            return Usage()
        return Usage(
            prompt_tokens=estimated_tokens(self._request.system + self._request.user),
            completion_tokens=estimated_tokens(self._received),
        )

    def _elapsed_ms(self) -> float:
        return (self._tier.clock.monotonic_s() - self._started_s) * 1000

    def _record(self, outcome: str, reply: ChatReply | None) -> None:
        tier = self._tier
        usage = reply.usage if reply else self._estimate()
        tier.calls.end(
            self._call_id,
            CallRecord(
                model=reply.model if reply else tier.model.name,
                prompt_version=tier.prompt.version,
                outcome=outcome,
                messages=len(self._places),
                usage=usage,
                cost_usd=tier.prices.cost_usd(usage),
                latency_ms=self._elapsed_ms(),
            ),
        )
