"""A portal under load: hands messages in over HTTP, comes back when told to, and counts answers."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import httpx

#: What a red-flag rule of urgency emergent fires on.
DANGER: Final = "I have crushing chest pain since an hour ago and I can hardly breathe"


@dataclass
class Portal:
    """Counts every answer; a call that was refused for now is made again, as the contract says."""

    url: str
    headers: Mapping[str, str]
    answers: Counter[str] = field(default_factory=Counter)  # by status, or the error's name
    accepted: list[str] = field(default_factory=list)  # ids
    dangers: list[str] = field(default_factory=list)  # of those, the red-flagged ones
    sent_in_s: float = 0.0  # until all of a load was accepted
    waited_s: float = 0.0  # for Retry-After
    without_a_time: int = 0  # refusals that did not say when to come again
    transport: httpx.BaseTransport | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._http = httpx.Client(
            base_url=self.url, headers=dict(self.headers), timeout=120, transport=self.transport
        )

    def close(self) -> None:
        """End the connections."""
        self._http.close()

    def hand_in(self, texts: Sequence[str], *, danger: bool = False) -> None:
        """One call with these messages, again and again until it is accepted."""
        rows = [{"external_id": str(uuid.uuid4()), "text": each} for each in texts]
        while (pause_s := self._once(rows, danger=danger)) is not None:
            with self._lock:
                self.waited_s += pause_s
            time.sleep(pause_s)

    def _once(self, rows: Sequence[Mapping[str, str]], *, danger: bool) -> float | None:
        """One try; how long to wait before the next, None when it was accepted."""
        body = rows[0] if len(rows) == 1 else {"messages": rows}
        try:
            answer = self._http.post("/v1/messages", json=body)
        except httpx.TransportError as error:
            with self._lock:
                self.answers[type(error).__name__] += 1
            return 1.0
        with self._lock:
            self.answers[str(answer.status_code)] += 1
            if answer.status_code in (200, 202):
                ids = [each["id"] for each in answer.json()["messages"]]
                self.accepted += ids
                self.dangers += ids if danger else []
                return None
            told = answer.headers.get("Retry-After")
            self.without_a_time += told is None
        return float(told or 1)

    def at_rate(
        self, texts: Iterator[str], rate_per_s: float, seconds: float, *, danger_every_s: float
    ) -> None:
        """Single messages at an even rate; now and then one in danger."""
        with ThreadPoolExecutor(16) as pool:
            started = time.monotonic()
            next_danger_s = 0.0
            for number in range(round(rate_per_s * seconds)):
                due_s = number / rate_per_s
                time.sleep(max(0.0, started + due_s - time.monotonic()))
                pool.submit(self.hand_in, [next(texts)])
                if due_s >= next_danger_s:
                    pool.submit(self.hand_in, [DANGER], danger=True)
                    next_danger_s += danger_every_s
        self.sent_in_s = time.monotonic() - started

    def at_once(self, texts: Sequence[str], *, per_call: int, callers: int) -> None:
        """All of them as fast as they are taken, by so many callers at the same time."""
        calls = [texts[start : start + per_call] for start in range(0, len(texts), per_call)]
        started = time.monotonic()
        with ThreadPoolExecutor(callers) as pool:
            for done in [pool.submit(self.hand_in, each) for each in calls]:
                done.result()
        self.sent_in_s = time.monotonic() - started

    def dangers_while(self, busy: Callable[[], bool], every_s: float) -> threading.Thread:
        """One message in danger every so often for as long as it is busy."""

        def run() -> None:
            while busy():
                self.hand_in([DANGER], danger=True)
                time.sleep(every_s)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread
