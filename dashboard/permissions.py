"""Who may do what: roles, permissions, and the mark that every route carries.

A route without a mark is refused to everybody, and a test walks the URL map to find it first.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final, TypeVar

View = TypeVar("View", bound=Callable[..., Any])

_MARK: Final = "carelane_access"


class Role(StrEnum):
    """What a user is here for."""

    CLINICIAN = "clinician"  # works the list
    LEAD = "lead"  # works the list, sees operations and the audit log
    OPERATIONS = "operations"  # runs the system; sees no patient's text
    AUDITOR = "auditor"  # reads everything, changes nothing


class Access(StrEnum):
    """What a route asks of the one who calls it."""

    PUBLIC = "public"  # nobody needs to be signed in
    SIGNED_IN = "signed_in"  # any role
    READ_MESSAGES = "read_messages"
    WORK_MESSAGES = "work_messages"  # correct, assign, mark done
    OPERATIONS = "operations"
    STEER = "steer"  # pause and drain workers, run failed messages again
    AUDIT = "audit"


_GRANTED: Final[dict[Role, frozenset[Access]]] = {
    Role.CLINICIAN: frozenset({Access.READ_MESSAGES, Access.WORK_MESSAGES}),
    Role.LEAD: frozenset(
        {
            Access.READ_MESSAGES,
            Access.WORK_MESSAGES,
            Access.OPERATIONS,
            Access.STEER,
            Access.AUDIT,
        }
    ),
    Role.OPERATIONS: frozenset({Access.OPERATIONS, Access.STEER}),
    Role.AUDITOR: frozenset({Access.READ_MESSAGES, Access.OPERATIONS, Access.AUDIT}),
}


def may(role: Role, access: Access) -> bool:
    """Whether somebody signed in with `role` gets `access`."""
    return access in (Access.PUBLIC, Access.SIGNED_IN) or access in _GRANTED[role]


def asks(access: Access) -> Callable[[View], View]:
    """Mark a view function with the access that it asks for."""

    def mark(view: View) -> View:
        setattr(view, _MARK, access)
        return view

    return mark


def asked_by(view: Callable[..., Any] | None) -> Access | None:
    """The mark of a view function; None without one."""
    return getattr(view, _MARK, None)
