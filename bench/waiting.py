"""Waiting for something to become true, with an end."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(
    is_true: Callable[[], bool], timeout_s: float, what: str, every_s: float = 0.05
) -> float:
    """Poll until `is_true`; the seconds that it took.

    Raises:
        TimeoutError: it never was; the text says what was waited for.
    """
    started = time.perf_counter()
    while not is_true():
        if time.perf_counter() - started > timeout_s:
            raise TimeoutError(f"waited {timeout_s:.0f} s in vain for {what}")
        time.sleep(every_s)
    return time.perf_counter() - started
