"""The stand-in's own books: which calls came, what they cost, and which prefixes it has seen."""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Final

#: Providers cache prompts from 1,024 tokens on, in steps of 128.
_LEAST_CACHED_TOKENS: Final = 1024
_BLOCK_TOKENS: Final = 128
_BLOCK_CHARS: Final = _BLOCK_TOKENS * 4
_PREFIXES_KEPT: Final = 50_000
_CALLS_KEPT: Final = 5_000
_TEXT_KEPT_CHARS: Final = 20_000


@dataclass(kw_only=True)
class Call:
    """One chat completion as this server saw it."""

    number: int
    arrived_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    model: str = ""
    stream: bool = False
    ids: list[str] = field(default_factory=list)
    content: str = ""  # the last user message; bounded
    fault: str = ""
    outcome: str = "running"  # answered, failed, gone (the client left)
    status: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    duration_s: float = 0.0


class Ledger:
    """Calls, newest last, and the prompt prefixes seen; safe across threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._calls: deque[Call] = deque(maxlen=_CALLS_KEPT)
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._count = 0

    def open(self, model: str, *, stream: bool, ids: list[str], content: str) -> Call:
        """Note a call that has arrived."""
        with self._lock:
            self._count += 1
            kept = content[:_TEXT_KEPT_CHARS]
            call = Call(number=self._count, model=model, stream=stream, ids=ids, content=kept)
            self._calls.append(call)
        return call

    def calls(self) -> list[dict[str, Any]]:
        """Every call kept, oldest first."""
        with self._lock:
            return [asdict(call) for call in self._calls]

    def reset(self) -> None:
        """Forget all calls and prefixes."""
        with self._lock:
            self._calls.clear()
            self._seen.clear()
            self._count = 0

    def cached_tokens(self, prompt: str, prompt_tokens: int) -> int:
        """How many leading tokens an earlier call had too, as a provider would bill them."""
        digest = hashlib.sha256()
        hashes = []
        for start in range(0, len(prompt) - _BLOCK_CHARS + 1, _BLOCK_CHARS):
            digest.update(prompt[start : start + _BLOCK_CHARS].encode())
            hashes.append(digest.digest())
        with self._lock:
            known = 0
            while known < len(hashes) and hashes[known] in self._seen:
                known += 1
            for each in hashes:
                self._seen[each] = None
                self._seen.move_to_end(each)
            while len(self._seen) > _PREFIXES_KEPT:
                self._seen.popitem(last=False)
        tokens = min(known * _BLOCK_TOKENS, prompt_tokens // _BLOCK_TOKENS * _BLOCK_TOKENS)
        return tokens if tokens >= _LEAST_CACHED_TOKENS else 0
