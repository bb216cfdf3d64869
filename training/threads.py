"""How many threads torch may use; on a shared machine one is the fastest."""

from __future__ import annotations

import torch


def use_threads(count: int) -> None:
    """Set both of torch's pools; the second can be set only before first use."""
    torch.set_num_threads(count)
    if torch.get_num_interop_threads() != 1:
        try:
            torch.set_num_interop_threads(1)
        except RuntimeError:  # already running: it stays as it is
            return
