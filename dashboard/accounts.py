"""Users and passwords: adding one, checking a sign-in, changing a password.

Hashes are argon2id with argon2-cffi's parameters (RFC 9106, low memory). Failed tries are counted
in the audit log, so that the limit holds over processes and restarts.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, Engine, Row, func, null, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from dashboard import audit
from dashboard.audit import Action
from dashboard.permissions import Role
from shared.database import transaction
from shared.errors import InvalidInput
from shared.tables import audit_log, users

MIN_PASSWORD_CHARS: Final = 12
MAX_PASSWORD_CHARS: Final = 200
FIRST_USER: Final = "clinician"

#: Failed tries within the window, after which a sign-in is refused unread.
_WINDOW: Final = "5 minutes"
_MAX_FAILURES_PER_NAME: Final = 5
_MAX_FAILURES_PER_ADDRESS: Final = 30

#: In place of a password's hash: none will do.
_NO_PASSWORD: Final = "!"  # noqa: S105

#: No letter or digit that is mistaken for another when read from a screen.
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"

_hasher = PasswordHasher()


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody who may sign in."""

    id: int
    name: str
    role: Role
    must_change_password: bool
    fingerprint: str  # changes with the password and at sign-out, and ends all older sessions


class SignInRefused(InvalidInput):
    """Wrong name or password, or too many tries."""


def add_user(engine: Engine, name: str, role: Role, *, by: str = "command line") -> str:
    """Add a user and return the one-time password, which is stored nowhere.

    Raises:
        InvalidInput: the name is taken or not usable.
    """
    name = normal_name(name)
    password = one_time_password()
    row = {"name": name, "role": role.value, "password_hash": _hasher.hash(password)}
    statement = upsert(users).values(row).on_conflict_do_nothing(index_elements=["name"])
    with transaction(engine) as connection:
        if connection.execute(statement.returning(users.c.id)).scalar_one_or_none() is None:
            raise InvalidInput(f"there is already a user {name!r}; take another name")
        audit.record(connection, by, Action.USER_ADDED, user=name, role=role.value)
    return password


def seed_first_user(engine: Engine) -> tuple[str, str] | None:
    """Name and one-time password of a first user, made where there is none yet; else None."""
    with transaction(engine) as connection:
        if connection.execute(select(func.count()).select_from(users)).scalar_one():
            return None
    return FIRST_USER, add_user(engine, FIRST_USER, Role.LEAD, by="first start")


def sign_in_vouched(engine: Engine, subject: str, name: str, role: Role, address: str) -> User:
    """The user that an OpenID provider vouches for, made at the first sign-in; the role is theirs.

    Raises:
        SignInRefused: the user is disabled, or the name belongs to somebody else; for the page.
    """
    with transaction(engine) as connection:
        row = connection.execute(
            select(users).where(users.c.oidc_subject == subject).with_for_update()
        ).first()
        if row is None:
            row = _add_vouched(connection, subject, name, role)
        elif row.disabled_at is not None:
            raise SignInRefused("This account is disabled. Ask whoever runs Carelane.")
        elif row.role != role.value:
            changed = update(users).where(users.c.id == row.id).values(role=role.value)
            row = connection.execute(changed.returning(users)).one()
            audit.record(connection, "OpenID", Action.ROLE_CHANGED, user=row.name, role=role.value)
        audit.record(connection, row.name, Action.SIGNED_IN, address=address, by="OpenID")
        return _user(row)


def _add_vouched(connection: Connection, subject: str, name: str, role: Role) -> Row[Any]:
    try:
        name = normal_name(name)
    except InvalidInput as error:
        raise SignInRefused(f"Your account cannot be used here: {error}.") from error
    values = {
        "name": name,
        "role": role.value,
        "password_hash": _NO_PASSWORD,
        "must_change_password": False,
        "oidc_subject": subject,
    }
    # A local account of the same name is somebody else's until proven otherwise.
    statement = upsert(users).values(values).on_conflict_do_nothing(index_elements=["name"])
    row = connection.execute(statement.returning(users)).first()
    if row is None:
        raise SignInRefused(
            f"There is another user {name!r} here already. Ask whoever runs Carelane."
        )
    audit.record(connection, "OpenID", Action.USER_ADDED, user=name, role=role.value)
    return row


def reset_password(engine: Engine, name: str, *, by: str = "command line") -> str:
    """A fresh one-time password for `name`; ends the user's sessions."""
    password = one_time_password()
    values = {"password_hash": _hasher.hash(password), "must_change_password": True}
    with transaction(engine) as connection:
        local = (users.c.name == normal_name(name), users.c.oidc_subject.is_(None))
        statement = update(users).where(*local).values(values)
        if not connection.execute(statement.returning(users.c.id)).first():
            raise InvalidInput(
                f"there is no user {name!r} with a password; `carelane users list` shows them"
            )
        audit.record(connection, by, Action.PASSWORD_CHANGED, user=normal_name(name), reset=True)
    return password


def end_sessions(connection: Connection, user: User) -> None:
    """End every session that the user has, wherever its cookie is."""
    later = {"session_generation": users.c.session_generation + 1}
    connection.execute(update(users).where(users.c.id == user.id).values(later))


def set_enabled(engine: Engine, name: str, enabled: bool, *, by: str = "command line") -> None:
    """Let `name` sign in, or end the user's sessions and let them in no more.

    Raises:
        InvalidInput: there is no such user.
    """
    action = Action.USER_ENABLED if enabled else Action.USER_DISABLED
    disabled_at = null() if enabled else func.coalesce(users.c.disabled_at, func.now())
    # A session from before must not come back to life with the user.
    values = {"disabled_at": disabled_at, "session_generation": users.c.session_generation + 1}
    _change_user(engine, name, values, action, by)


def set_role(engine: Engine, name: str, role: Role, *, by: str = "command line") -> None:
    """Give `name` another role, from the next request on.

    Raises:
        InvalidInput: there is no such user.
    """
    values = {"role": role.value}
    _change_user(engine, name, values, Action.ROLE_CHANGED, by, role=role.value)


def _change_user(
    engine: Engine, name: str, values: Mapping[str, Any], action: Action, by: str, **detail: Any
) -> None:
    user = normal_name(name)
    statement = update(users).where(users.c.name == user).values(values)
    with transaction(engine) as connection:
        if not connection.execute(statement.returning(users.c.id)).first():
            raise InvalidInput(f"there is no user {user!r}; `carelane users list` shows them")
        audit.record(connection, by, action, user=user, **detail)


def normal_name(name: str) -> str:
    """Lower case, without spaces around; raises InvalidInput for what is no user name."""
    name = name.strip().lower()
    if not 2 <= len(name) <= 64 or not all(c.isalnum() or c in "._-@" for c in name):
        raise InvalidInput(
            f"{name!r} cannot be a user name: 2 to 64 letters, digits, dots, dashes or @"
        )
    return name


def one_time_password() -> str:
    """Sixteen random characters in groups of four: about 79 bits."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def find_user(connection: Connection, user_id: int) -> User | None:
    """The user of a session; None once disabled or gone."""
    row = connection.execute(
        select(users).where(users.c.id == user_id, users.c.disabled_at.is_(None))
    ).first()
    return _user(row) if row else None


def sign_in(engine: Engine, name: str, password: str, address: str) -> User:
    """The user whose name and password these are.

    Raises:
        SignInRefused: they are nobody's, or there were too many tries; the text is for the page.
    """
    name = name.strip().lower()[:64]
    with transaction(engine) as connection:
        # One try per name at a time, so that parallel tries cannot run past the limit.
        connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtext('sign-in'), hashtext(:name))"),
            {"name": name},
        )
        _refuse_after_too_many(connection, name, address)
        row = connection.execute(
            select(users).where(users.c.name == name, users.c.disabled_at.is_(None))
        ).first()
        if row is not None and row.password_hash == _NO_PASSWORD:
            row = None  # signs in elsewhere; here that is as good as unknown
        if _matches(row.password_hash if row else _hash_of_nothing(), password) and row:
            audit.record(connection, name, Action.SIGNED_IN, address=address)
            return _user(row)
        audit.record(connection, name, Action.SIGN_IN_FAILED, address=address)
    raise SignInRefused("Name or password is wrong.")


def change_password(engine: Engine, user: User, old: str, new: str) -> User:
    """Set a password of the user's own; returns the user with the new fingerprint.

    Raises:
        InvalidInput: the old one is wrong, or the new one will not do; the text says why.
    """
    if not MIN_PASSWORD_CHARS <= len(new) <= MAX_PASSWORD_CHARS:
        raise InvalidInput(
            f"The new password needs {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters. "
            "Several words in a row are easy to keep in mind."
        )
    if new == old or user.name in new.lower():
        raise InvalidInput("The new password must differ from the old one and not hold your name.")
    with transaction(engine) as connection:
        row = connection.execute(select(users).where(users.c.id == user.id).with_for_update()).one()
        if not _matches(row.password_hash, old):
            raise InvalidInput("The present password is wrong.")
        values = {"password_hash": _hasher.hash(new), "must_change_password": False}
        changed = connection.execute(
            update(users).where(users.c.id == user.id).values(values).returning(users)
        ).one()
        audit.record(connection, user.name, Action.PASSWORD_CHANGED)
    return _user(changed)


def _refuse_after_too_many(connection: Connection, name: str, address: str) -> None:
    recent = (
        audit_log.c.action == Action.SIGN_IN_FAILED.value,
        audit_log.c.created_at > text(f"now() - interval '{_WINDOW}'"),
    )
    by_name, by_address = connection.execute(
        select(
            func.count().filter(audit_log.c.actor == name),
            func.count().filter(audit_log.c.detail["address"].astext == address),
        ).where(*recent)
    ).one()
    if by_name >= _MAX_FAILURES_PER_NAME or by_address >= _MAX_FAILURES_PER_ADDRESS:
        raise SignInRefused(f"Too many tries. Wait {_WINDOW}, then try again.")


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password[:MAX_PASSWORD_CHARS])
    except (VerificationError, InvalidHashError):
        return False


@lru_cache(maxsize=1)
def _hash_of_nothing() -> str:
    # An unknown name costs as much time as a known one.
    return _hasher.hash(secrets.token_hex(16))


def _user(row: Row[Any]) -> User:
    return User(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        must_change_password=row.must_change_password,
        fingerprint=hashlib.sha256(
            f"{row.session_generation} {row.password_hash}".encode()
        ).hexdigest()[:32],
    )
