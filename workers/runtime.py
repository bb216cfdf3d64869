"""What one worker process works with, made after the fork: engine, model, clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import Engine

from shared.contracts import Lane
from shared.settings import Settings
from workers.in_hand import Notes
from workers.lease import ProcessName
from workers.patience import Patience
from workers.seams import Clock, FastLabeller

if TYPE_CHECKING:
    from workers.escalation import LlmLane
    from workers.explainer import Explainer
    from workers.label_cache import LabelCache
    from workers.llm_tier.agreement import Sampler


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Handed to every function of this process."""

    settings: Settings
    engine: Engine
    process: ProcessName
    clock: Clock
    notes: Notes | None = None  # of the message in hand; none where nobody could take over
    labeller: FastLabeller | None = None  # fast workers
    cache: LabelCache | None = None  # fast workers; LLM workers have it in their lane
    sampler: Sampler | None = None  # fast workers, where there is an LLM to check them
    llm: LlmLane | None = None  # LLM workers
    explainers: tuple[Explainer, ...] = ()  # what is answered for pages, beside the lanes

    def at(self, id_: UUID) -> AbstractContextManager[None]:
        """Around whatever a message's content could break this process by."""
        return self.notes.at(id_) if self.notes is not None else nullcontext()

    def patience(self, longest_s: float) -> Patience:
        """A wait for the database that ends after `longest_s`."""
        return Patience(self.clock, longest_s)


Build = Callable[[Settings, Mapping[Lane, str]], Runtime]
_current: Runtime | None = None


def install(runtime: Runtime) -> None:
    """Make `runtime` this process's, and start what runs beside the lanes."""
    global _current
    _current = runtime
    for explainer in runtime.explainers:
        explainer.start()


def current() -> Runtime:
    """This process's runtime."""
    if _current is None:
        raise RuntimeError("this worker process was not set up; look at its first log lines")
    return _current
