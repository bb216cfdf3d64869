"""Message ids: UUID version 7, which sort by the time they were made."""

from __future__ import annotations

import os
import time
from uuid import UUID


def new_message_id() -> UUID:
    """A fresh UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then random bits.

    Index pages fill in order, and a chunk of new messages lies together on disk.
    """
    milliseconds = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (2**48 - 1)) << 80 | random_bits
    value = value & ~(0xF << 76) | (0x7 << 76)  # version 7
    value = value & ~(0x3 << 62) | (0x2 << 62)  # RFC variant
    return UUID(int=value)
