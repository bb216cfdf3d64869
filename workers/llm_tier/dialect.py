"""What a server understands of structured output, found out once, by the first real call. Pure.

`json_schema` in strict mode, else `json_object`, else plain text with a tolerant reader. A 400
before anything was ever answered may mean that the format is not known: the next one is tried.
After a first success the format stays.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from workers.llm_tier.chat import ChatRequest

FORMATS: Final = ("json_schema", "json_object", "text")


class Dialect:
    """The format that one server takes; shared by the threads of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at = 0
        self.known = False  # a call with this format has been answered

    @property
    def format(self) -> str:
        """The format to ask with."""
        return FORMATS[self._at]

    def worked(self) -> None:
        """A call was answered."""
        self.known = True

    def refused(self, used: str) -> bool:
        """A call with format `used` got a 400; True when another format should be tried."""
        with self._lock:
            if self.known:
                return False
            if used != self.format:  # another thread went on already
                return True
            if self._at + 1 == len(FORMATS):
                self._at = 0  # it was not the format: begin again with the next message
                return False
            self._at += 1
            return True


def response_format(format_: str, request: ChatRequest) -> dict[str, Any] | None:
    """The API's `response_format` for a request; None to leave it out."""
    if request.schema is None or format_ == "text":
        return None
    if format_ == "json_object":
        return {"type": "json_object"}
    return {
        "type": "json_schema",
        "json_schema": {
            "name": request.schema_name,
            "schema": dict(request.schema),
            "strict": True,
        },
    }
