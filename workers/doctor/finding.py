"""What the doctor found: how it stands, and what to do where it does not stand well."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # works, but somebody should know
    PROBLEM = "problem"  # does not work, or loses what must not be lost


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at."""

    area: str
    health: Health
    what: str
    mend: str = ""  # what to do; empty where all is well


def ok(area: str, what: str) -> Finding:
    """All is well."""
    return Finding(area=area, health=Health.OK, what=what)


def warning(area: str, what: str, mend: str) -> Finding:
    """Somebody should know."""
    return Finding(area=area, health=Health.WARNING, what=what, mend=mend)


def problem(area: str, what: str, mend: str) -> Finding:
    """Something must be done."""
    return Finding(area=area, health=Health.PROBLEM, what=what, mend=mend)
