"""A small typed client of the intake, for portals written in Python.

    with CarelaneClient("https://intake.example.org", api_key) as carelane:
        reply = carelane.submit([NewMessage(external_id="m-1", text="Please refill ...")])
        standing = carelane.status(reply.taken[0].id)

A call that fails for now (no connection, 429, 502, 503, 504) is made again, waiting as the
server's Retry-After says; `external_id` makes that safe.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any, Final, Literal, Self, TypeVar
from uuid import UUID

import httpx

from shared.contracts import Status, Urgency
from shared.errors import IntakeError, IntakeUnavailable

_PASSING: Final = frozenset({429, 502, 503, 504})
_TOO_LARGE: Final = 413
_LONGEST_WAIT_S: Final = 30.0


@dataclass(frozen=True, kw_only=True)
class NewMessage:
    """A message to hand in."""

    external_id: str  # your own id; the same one again is the same message
    text: str
    patient_ref: str | None = None  # a pseudonym, never a name
    sender: Literal["patient", "parent", "caregiver", "other"] | None = None


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A message that the intake keeps."""

    index: int
    external_id: str
    id: UUID
    new: bool  # False: it was there before


@dataclass(frozen=True, kw_only=True)
class Refused:
    """One thing wrong with one message; it was not kept."""

    index: int
    reason: str
    detail: str
    field: str | None = None
    external_id: str | None = None


Placed = TypeVar("Placed", Taken, Refused)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What became of the messages, by their place in what was handed in."""

    taken: Sequence[Taken] = field(default_factory=tuple)
    refused: Sequence[Refused] = field(default_factory=tuple)

    @property
    def accepted(self) -> int:
        """How many are new."""
        return sum(each.new for each in self.taken)

    @property
    def duplicates(self) -> int:
        """How many were there before."""
        return len(self.taken) - self.accepted


@dataclass(frozen=True, kw_only=True)
class MessageStatus:
    """How a message stands."""

    id: UUID
    external_id: str
    received_at: datetime
    status: Status
    processing: bool
    patient_text: str  # for the patient's page
    emergency_text: str | None  # show at once, above everything else
    pool: str | None
    categories: tuple[str, ...]  # primary first; empty without a label. Not for patients
    urgency: Urgency | None
    provisional: bool


class CarelaneClient:
    """One intake, one API key. Not for sharing between processes."""

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout_s: float = 30.0,
        tries: int = 6,
        batch_size: int = 500,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=timeout_s,
            transport=transport,
        )
        self._url = url
        self._tries = tries
        self._batch_size = batch_size
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def submit(self, messages: Iterable[NewMessage]) -> Reply:
        """Hand messages in, in batches; a refused one does not stop the others.

        Raises:
            IntakeUnavailable: the intake did not take a batch in any try; earlier ones are kept.
            IntakeError: the call as such was refused, e.g. for its key.
        """
        taken: list[Taken] = []
        refused: list[Refused] = []
        start = 0
        for batch in _batches(messages, self._batch_size):
            reply = self.submit_rows([asdict(message) for message in batch])
            taken += _moved(reply.taken, start)
            refused += _moved(reply.refused, start)
            start += len(batch)
        return Reply(taken=tuple(taken), refused=tuple(refused))

    def submit_rows(self, rows: Sequence[Mapping[str, Any]]) -> Reply:
        """Rows as they are, in one call; the server checks them. Errors as for `submit`."""
        answer = self._call("POST", "/v1/messages", {"messages": list(rows)})
        if answer.status_code == _TOO_LARGE and len(rows) > 1:
            half = len(rows) // 2
            first, second = self.submit_rows(rows[:half]), self.submit_rows(rows[half:])
            return Reply(
                taken=(*first.taken, *_moved(second.taken, half)),
                refused=(*first.refused, *_moved(second.refused, half)),
            )
        body = _json_of(answer)
        # Where not one message was good, the answer is a problem with the same list of errors.
        if answer.status_code in (409, 422) and "errors" in body:
            return Reply(refused=tuple(Refused(**each) for each in body["errors"]))
        self._refuse_failure(answer, body)
        return Reply(
            taken=tuple(
                Taken(
                    index=each["index"],
                    external_id=each["external_id"],
                    id=UUID(each["id"]),
                    new=each["outcome"] == "accepted",
                )
                for each in body["messages"]
            ),
            refused=tuple(Refused(**each) for each in body["errors"]),
        )

    def status(self, message_id: UUID) -> MessageStatus:
        """How a message stands. Errors as for `submit`."""
        answer = self._call("GET", f"/v1/messages/{message_id}")
        body = _json_of(answer)
        self._refuse_failure(answer, body)
        label = body["label"] or {}
        return MessageStatus(
            id=UUID(body["id"]),
            external_id=body["external_id"],
            received_at=datetime.fromisoformat(body["received_at"]),
            status=Status(body["status"]),
            processing=body["processing"],
            patient_text=body["patient_text"],
            emergency_text=body["emergency_text"],
            pool=body["pool"]["name"] if body["pool"] else None,
            categories=tuple(label.get("categories", ())),
            urgency=Urgency(label["urgency"]) if label else None,
            provisional=bool(label.get("provisional", False)),
        )

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        trouble = ""
        # Not httpx's own JSON, which fails on half a surrogate pair before the server can say so.
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        for attempt in range(self._tries):
            wait_s = min(0.5 * 2**attempt, _LONGEST_WAIT_S) * random.uniform(0.5, 1.0)  # noqa: S311
            try:
                answer = self._http.request(method, path, content=content, headers=headers)
            except httpx.TransportError as error:
                trouble = f"{type(error).__name__}: {error}"
            else:
                if answer.status_code not in _PASSING:
                    return answer
                trouble = f"it answered {answer.status_code}"
                wait_s = max(wait_s, _retry_after_s(answer))
            if attempt + 1 < self._tries:
                self._sleep(wait_s)
        raise IntakeUnavailable(
            f"the intake at {self._url} did not take the call in {self._tries} tries; "
            f"last time: {trouble}. Run it again later: nothing will be doubled"
        )

    def _refuse_failure(self, answer: httpx.Response, body: Mapping[str, Any]) -> None:
        if not answer.is_success:
            detail = body.get("detail") or body.get("title") or "no reason given"
            raise IntakeError(f"the intake at {self._url} answered {answer.status_code}: {detail}")


def _batches(messages: Iterable[NewMessage], size: int) -> Iterator[list[NewMessage]]:
    remaining = iter(messages)
    while batch := list(islice(remaining, size)):
        yield batch


def _moved(rows: Sequence[Placed], start: int) -> list[Placed]:
    return [replace(row, index=start + row.index) for row in rows]


def _json_of(answer: httpx.Response) -> dict[str, Any]:
    """The body, or nothing where something else than the intake answered."""
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after_s(answer: httpx.Response) -> float:
    try:
        seconds = float(answer.headers.get("Retry-After", "0"))
    except ValueError:  # a date is allowed too; ours never sends one
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT_S)
