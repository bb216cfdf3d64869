"""Progress on a terminal, silence in a pipe or a log."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Iterator


def bar(total: int | None, label: str, unit: str = "msg") -> tqdm[Any]:
    """A bar on stderr; shown only where a person can see it."""
    return tqdm(total=total, desc=label, unit=unit, disable=None, leave=False)


@contextmanager
def steps(label: str) -> Iterator[Callable[[int, int, float], None]]:
    """A report function for training loops: step, of steps, loss."""
    with tqdm(total=0, desc=label, unit="step", disable=None, leave=False) as shown:

        def report(step: int, of: int, loss: float) -> None:
            shown.total = of
            shown.n = step
            shown.set_postfix(loss=f"{loss:.3f}", refresh=False)
            shown.update(0)
            shown.refresh() if step % 5 == 0 else None

        yield report
