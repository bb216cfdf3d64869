"""Live pages: one LISTEN connection per process, fanned out to any number of viewers.

Postgres says which messages changed; the hub reads and renders those lines once and hands the same
bytes to every viewer. A viewer who cannot keep up, or missed something, is told to read the list
anew ("resync"): a notification is a hint, the table is the truth.
"""

from __future__ import annotations

import itertools
import json
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from shared.contracts import CHANNEL_MESSAGES
from shared.errors import StoreError, StoreUnavailable
from shared.notify import Listener, Notification
from shared.settings import Settings

logger = logging.getLogger(__name__)

#: Changes within this time of one another travel in one event.
_GATHER_S: Final = 0.08
_IDS_PER_EVENT: Final = 100
_COUNT_EVERY_S: Final = 2.0
#: A viewer who comes back within so many bytes of events gets what it missed, later ones read anew.
_KEPT_BYTES: Final = 4_000_000
_VIEWER_QUEUE: Final = 100
HEARTBEAT_S: Final = 15.0

RESYNC: Final = b"event: resync\ndata: {}\n\n"
_LOST: Final = b"event: lost\ndata: {}\n\n"
_HEARTBEAT: Final = b": still here\n\n"


@dataclass(frozen=True)
class Event:
    """One server-sent event, ready to send."""

    number: int
    body: bytes


class Viewer:
    """One open page: a bounded queue between the hub's thread and the thread that serves it."""

    def __init__(self) -> None:
        self._queue: deque[bytes] = deque()
        self._ready = threading.Condition()
        self._closed = False

    def put(self, body: bytes) -> None:
        """Hand over an event; a full queue becomes one "read anew"."""
        with self._ready:
            if len(self._queue) >= _VIEWER_QUEUE:
                self._queue.clear()
                body = RESYNC
            self._queue.append(body)
            self._ready.notify()

    def close(self) -> None:
        """End the stream."""
        with self._ready:
            self._closed = True
            self._ready.notify()

    def take(self, timeout_s: float) -> bytes | None:
        """All that waits, as one piece; a heartbeat after `timeout_s`; None once closed."""
        with self._ready:
            if not self._queue and not self._closed:
                self._ready.wait(timeout_s)
            if self._queue:
                body = b"".join(self._queue)
                self._queue.clear()
                return body
            return None if self._closed else _HEARTBEAT


class Hub:
    """The process's listener and its viewers."""

    def __init__(
        self,
        settings: Settings,
        render_lines: Callable[[Sequence[UUID]], str],
        render_counts: Callable[[], str | None],  # None: not counted anew, ask again later
    ) -> None:
        self.heartbeat_s = HEARTBEAT_S
        self._listener = Listener(settings, "carelane dashboard", CHANNEL_MESSAGES)
        self._render_lines = render_lines
        self._render_counts = render_counts
        self._counted_at = 0.0
        self._recount = False
        self._epoch = secrets.token_hex(4)  # numbers of another process mean nothing here
        self._numbers = itertools.count(1)
        self._number = 0
        self._kept: deque[Event] = deque()
        self._kept_bytes = 0
        self._viewers: set[Viewer] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live hub", daemon=True)
        self.connected = threading.Event()

    def start(self) -> None:
        """Start listening; call once per process, after any fork."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and end every stream."""
        self._stop.set()
        with self._lock:
            for viewer in self._viewers:
                viewer.close()

    @property
    def position(self) -> str:
        """The place in the stream; a page rendered after reading it misses nothing from it on."""
        with self._lock:
            return f"{self._epoch}:{self._number}"

    @property
    def viewers(self) -> int:
        """How many pages are open."""
        with self._lock:
            return len(self._viewers)

    def stream(
        self,
        since: str | None,
        until: float,
        still_may: Callable[[], bool] = lambda: True,
    ) -> Iterator[bytes]:
        """The events after position `since`, then new ones, until the clock shows `until`.

        `still_may` is asked at every heartbeat, also when events leave no room for one; the stream
        ends when it says no.
        """
        viewer = Viewer()
        asked_at = time.monotonic()
        with self._lock:
            missed = self._missed(since)
            self._viewers.add(viewer)
            closing = self._stop.is_set()
        try:
            yield b"retry: 2000\n\n"
            if missed is None or missed:
                yield RESYNC if missed is None else missed
            if not self.connected.is_set():
                yield _LOST
            while not closing and time.time() < until:
                body = viewer.take(min(self.heartbeat_s, max(0.1, until - time.time())))
                if body is None:
                    break
                if time.monotonic() - asked_at >= self.heartbeat_s:
                    if not still_may():
                        break
                    asked_at = time.monotonic()
                yield body
        finally:
            with self._lock:
                self._viewers.discard(viewer)

    def _missed(self, since: str | None) -> bytes | None:
        """What came after `since`; None when that is no longer known."""
        epoch, _, number = (since or "").partition(":")
        if epoch != self._epoch or not number.isdigit():
            return None
        seen = int(number)
        oldest = self._kept[0].number if self._kept else self._number + 1
        if not oldest - 1 <= seen <= self._number:
            return None
        return b"".join(event.body for event in self._kept if event.number > seen)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listener.connect()
                self.connected.set()
                # Whatever changed while nobody listened: every page reads anew.
                self._tell(RESYNC, keep=False)
                self._listen()
            except StoreUnavailable:
                logger.warning("live hub lost Postgres; trying again")
            except Exception:
                # The thread must outlive a line that cannot be rendered; pages read anew.
                logger.exception("live hub failed; starting over")
            if self.connected.is_set():
                self.connected.clear()
                self._tell(_LOST, keep=False)
            self._stop.wait(1.0)
        self._listener.close()

    def _listen(self) -> None:
        while not self._stop.is_set():
            ids = _ids(self._listener.wait(1.0))
            if not ids:
                self._count_again()
                continue
            until = time.monotonic() + _GATHER_S
            while (left_s := until - time.monotonic()) > 0:
                ids |= _ids(self._listener.wait(left_s))
            ordered = sorted(ids)
            for start in range(0, len(ordered), _IDS_PER_EVENT):
                self._publish(ordered[start : start + _IDS_PER_EVENT])
            self._recount = True
            self._count_again()

    def _count_again(self) -> None:
        """The numbers above the list, once for all viewers and not for every change."""
        if self._recount and time.monotonic() - self._counted_at > _COUNT_EVERY_S:
            counts = self._render_counts()
            self._counted_at = time.monotonic()
            if counts is not None:
                self._recount = False
                self._tell(_event("counts", counts), keep=True)

    def _publish(self, ids: Sequence[UUID]) -> None:
        try:
            html = self._render_lines(ids)
        except StoreUnavailable:
            raise
        except StoreError:
            logger.warning("changed lines could not be read", extra={"messages": len(ids)})
            self._tell(RESYNC, keep=False)
            return
        self._tell(_event("lines", html), keep=True)

    def _tell(self, body: bytes, *, keep: bool) -> None:
        with self._lock:
            if keep:
                self._number = next(self._numbers)
                body = f"id: {self._epoch}:{self._number}\n".encode() + body
                self._kept.append(Event(self._number, body))
                self._kept_bytes += len(body)
                while self._kept_bytes > _KEPT_BYTES:
                    self._kept_bytes -= len(self._kept.popleft().body)
            else:
                # After a gap, older positions must not be taken up again.
                self._kept.clear()
                self._kept_bytes = 0
                self._number = next(self._numbers)
            for viewer in self._viewers:
                viewer.put(body)


def _event(name: str, data: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in data.splitlines() if line.strip())
    return f"event: {name}\n{lines}\n".encode()


def _ids(notifications: Iterator[Notification]) -> set[UUID]:
    found: set[UUID] = set()
    for notification in notifications:
        try:
            found.update(UUID(each) for each in json.loads(notification.payload)["ids"])
        except (ValueError, KeyError, TypeError):
            logger.warning("a notification could not be read", extra={"channel": CHANNEL_MESSAGES})
    return found
