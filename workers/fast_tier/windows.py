"""Long messages are read by their head and their tail, not cut. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Windows:
    """Token ids of one or two readings of a message."""

    ids: tuple[tuple[int, ...], ...]
    n_tokens: int  # of the whole message
    truncated: bool  # something between the windows was not read


def split(ids: Sequence[int], max_tokens: int) -> Windows:
    """Head and tail of a message that one window does not hold.

    `ids` begin and end with the tokenizer's special tokens, and each window keeps both.
    """
    n = len(ids)
    if n <= max_tokens:
        return Windows((tuple(ids),), n, truncated=False)
    inner = max_tokens - 1
    head = (*ids[:inner], ids[-1])
    tail = (ids[0], *ids[n - inner :])
    # The windows hold max_tokens - 2 inner tokens each.
    return Windows((head, tail), n, truncated=n - 2 > 2 * (max_tokens - 2))
