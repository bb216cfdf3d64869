"""A second request for a call that is slow to begin: the first answer counts, both are charged.

Latencies of LLM calls have a long tail that another try often escapes. The second request goes
out after the p95 of recent calls' time to their first token, and never for more than a set share
of calls (5 %), so that a provider that is slow as a whole is not asked twice as much.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shared.errors import LanguageModelError, LanguageModelUnwanted
from workers.llm_tier.chat import ChatModel, ChatReply, ChatRequest, OnText, Usage, estimated_tokens
from workers.seams import Clock

logger = logging.getLogger(__name__)

_FEWEST_SEEN = 40  # calls before there is a p95 to speak of
_REMEMBERED = 400
_NEVER_BEFORE_S = 0.5

#: Told of each request that lost: what it will have cost about, and how long it ran, in ms.
OnLost = Callable[[Usage, float], None]


@dataclass
class Latencies:
    """Recent times to the first token, and the budget of second requests."""

    share: float
    seen_s: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    calls: int = 0
    hedges: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> float | None:
        """Count a call; how long it may stay silent before a second one, None for ever."""
        with self.lock:
            self.calls += 1
            if len(self.seen_s) < _FEWEST_SEEN:
                return None
            ordered = sorted(self.seen_s)
            return max(ordered[int(len(ordered) * 0.95)], _NEVER_BEFORE_S)

    def take(self) -> bool:
        """Whether a second request may go out now; counts it if so."""
        with self.lock:
            if self.hedges + 1 > self.share * self.calls:
                return False
            self.hedges += 1
            return True

    def first_token(self, seconds: float) -> None:
        """A call began to answer."""
        with self.lock:
            self.seen_s.append(seconds)


class _Lost(Exception):
    """Ends the request that came second."""


class _Unwanted(Exception):
    """Ends a request whose caller has gone; the caller has recorded it."""


@dataclass(frozen=True)
class HedgedModel:
    """A ChatModel that asks twice where that is likely to be quicker."""

    model: ChatModel
    clock: Clock
    latencies: Latencies
    on_lost: OnLost

    @property
    def name(self) -> str:
        """The model's name, as asked for."""
        return self.model.name

    def ask(self, request: ChatRequest, *, timeout_s: float, on_text: OnText) -> ChatReply:
        """One answer; raises what the last request still running raised."""
        silent_s = self.latencies.begin()
        if silent_s is None or silent_s >= timeout_s:
            return self._timed(request, timeout_s, on_text)
        return _Race(self).run(request, timeout_s, silent_s, on_text)

    def _timed(self, request: ChatRequest, timeout_s: float, on_text: OnText) -> ChatReply:
        started_s, begun = self.clock.monotonic_s(), False

        def timed(piece: str) -> None:
            nonlocal begun
            if not begun:
                begun = True
                self.latencies.first_token(self.clock.monotonic_s() - started_s)
            on_text(piece)

        return self.model.ask(request, timeout_s=timeout_s, on_text=timed)


class _Race:
    """One call with at most two requests."""

    def __init__(self, hedged: HedgedModel) -> None:
        self._hedged = hedged
        self._heard: queue.Queue[tuple[int, Any]] = queue.Queue()
        self._winner: int | None = None
        self._over = False  # the caller takes no more
        self._lock = threading.Lock()

    def run(
        self, request: ChatRequest, timeout_s: float, silent_s: float, on_text: OnText
    ) -> ChatReply:
        self._start(0, request, timeout_s)
        running, hedged = 1, False
        while True:
            try:
                who, what = self._heard.get(timeout=None if hedged else silent_s)
            except queue.Empty:
                hedged = True
                if self._hedged.latencies.take():
                    logger.info("LLM call slow to begin, asking a second time")
                    self._start(1, request, max(timeout_s - silent_s, 1.0))
                    running += 1
                continue
            if isinstance(what, str):
                hedged = True  # it has begun
                try:
                    on_text(what)
                except LanguageModelUnwanted:
                    self._over = True
                    raise
            elif isinstance(what, ChatReply):
                return what
            else:
                running -= 1
                if who == self._winner or not running:
                    raise what

    def _start(self, who: int, request: ChatRequest, timeout_s: float) -> None:
        threading.Thread(
            target=self._ask, args=(who, request, timeout_s), name="llm-request", daemon=True
        ).start()

    def _ask(self, who: int, request: ChatRequest, timeout_s: float) -> None:
        hedged = self._hedged
        started_s = hedged.clock.monotonic_s()

        def on_text(piece: str) -> None:
            with self._lock:
                if self._winner is None:
                    self._winner = who
                    hedged.latencies.first_token(hedged.clock.monotonic_s() - started_s)
            if self._winner != who:
                raise _Lost
            if self._over:
                raise _Unwanted
            self._heard.put((who, piece))

        try:
            reply = hedged.model.ask(request, timeout_s=timeout_s, on_text=on_text)
            self._heard.put((who, reply))
        except _Lost:
            prompt = estimated_tokens(request.system + request.user)
            usage = Usage(prompt_tokens=prompt, completion_tokens=1)
            hedged.on_lost(usage, (hedged.clock.monotonic_s() - started_s) * 1000)
        except _Unwanted:
            logger.debug("request ended, its answer is not wanted")
        except LanguageModelError as error:
            self._heard.put((who, error))
        except Exception as error:  # noqa: BLE001  the caller's thread must hear of it, whatever it is
            self._heard.put((who, error))
