"""Sign-in sessions: a signed cookie, two time-outs, a CSRF token, and the gate before each route.

The cookie holds a user id, times, a token and a fingerprint of the password's hash; role and
standing are read from Postgres on every request, so that a change takes effect at once.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, g, redirect, request, session, url_for
from flask.sessions import SecureCookieSessionInterface
from sqlalchemy import Engine
from werkzeug.wrappers import Response as WerkzeugResponse

from dashboard import accounts
from dashboard.accounts import User
from dashboard.permissions import Access, asked_by, may
from shared.database import transaction
from shared.errors import StoreError
from shared.settings import Settings

#: The cookie is written again at most so often.
_TOUCH_S: Final = 60

#: A request of the page's own, without anybody doing anything, carries this header. It can only
#: keep a session from being renewed; it opens nothing.
_BACKGROUND: Final = "X-Carelane-Background"

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class SessionCookie(SecureCookieSessionInterface):
    """Secure always, but for plain HTTP on this machine itself, where browsers would drop it."""

    def get_cookie_secure(self, app: Flask) -> bool:
        """Whether the cookie is for HTTPS only."""
        settings: Settings = app.extensions["carelane_settings"]
        if urlsplit(settings.dashboard_url).scheme == "https":
            return True
        return request.is_secure or urlsplit(request.host_url).hostname not in _LOOPBACK


def start(user: User) -> None:
    """Begin a session for `user`; whatever the cookie held before is gone."""
    now = int(time.time())
    session.clear()
    session.permanent = True
    session.update(
        user_id=user.id,
        fingerprint=user.fingerprint,
        csrf=secrets.token_urlsafe(32),
        started_at=now,
        seen_at=now,
    )


def csrf_token() -> str:
    """This session's token, made when there is none yet (the sign-in form needs one too)."""
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(32)
    return str(session["csrf"])


def user() -> User:
    """The user who is signed in; only for views that ask for one."""
    signed_in = g.get("user")
    if not isinstance(signed_in, User):
        abort(401)
    return signed_in


def by_itself() -> bool:
    """Whether the open page asks, and nobody did anything."""
    return request.endpoint == "live.stream" or _BACKGROUND in request.headers


def guard(app: Flask, engine: Engine, settings: Settings) -> None:
    """Check session, CSRF token and access before every request."""

    @app.before_request
    def check() -> WerkzeugResponse | None:
        if request.endpoint in (None, "static"):
            return None  # no such page, or a file that is the same for everybody
        g.user = _signed_in(engine, settings)
        access = asked_by(current_app.view_functions[request.endpoint])
        if access is None:
            abort(403)
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            _check_csrf()
        if access is Access.PUBLIC:
            return None
        if g.user is None:
            return _to_sign_in()
        return _check_access(g.user, access)


def _check_access(who: User, access: Access) -> WerkzeugResponse | None:
    free = ("sign_in.password", "sign_in.change_password", "sign_in.sign_out")
    if who.must_change_password and request.endpoint not in free:
        return redirect(url_for("sign_in.password"))
    if not may(who.role, access):
        abort(403)
    return None


def _signed_in(engine: Engine, settings: Settings) -> User | None:
    if "user_id" not in session:
        return None
    now = int(time.time())
    idle_s = now - int(session["seen_at"])
    age_s = now - int(session["started_at"])
    if idle_s > settings.session_idle_s or age_s > settings.session_max_s:
        session.clear()
        return None
    with transaction(engine) as connection:
        found = accounts.find_user(connection, int(session["user_id"]))
    if found is None or not hmac.compare_digest(found.fingerprint, str(session["fingerprint"])):
        session.clear()
        return None
    # A page left open keeps its stream; only what a person does keeps the session.
    if idle_s > _TOUCH_S and not by_itself():
        session["seen_at"] = now
    return found


def watch(engine: Engine, access: Access) -> Callable[[], bool]:
    """A question for a long answer to ask now and then: may this request's user still have it?"""
    asked = user()

    def still_may() -> bool:
        try:
            with transaction(engine) as connection:
                found = accounts.find_user(connection, asked.id)
        except StoreError:
            return True  # nothing new comes out of Postgres either; asked again soon
        return (
            found is not None
            and hmac.compare_digest(found.fingerprint, asked.fingerprint)
            and may(found.role, access)
        )

    return still_may


def _check_csrf() -> None:
    sent = request.headers.get("X-CSRF-Token") or request.form.get("csrf_token") or ""
    if "csrf" not in session or not hmac.compare_digest(sent.encode(), session["csrf"].encode()):
        abort(
            400,
            "This form is no longer valid, most likely because you were signed out meanwhile. "
            "Go back, reload the page, and try again.",
        )


def _to_sign_in() -> WerkzeugResponse:
    if request.endpoint == "live.stream":
        return Response(status=401)
    if request.headers.get("HX-Request"):
        return Response(status=401, headers={"HX-Redirect": url_for("sign_in.form")})
    wanted = request.full_path.rstrip("?") if request.method == "GET" else "/"
    return redirect(url_for("sign_in.form", next=wanted))


def safe_next(target: str) -> str:
    """`target` if it is a path of this site, else the worklist."""
    parts = urlsplit(target)
    local = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if local and not parts.scheme and not parts.netloc else "/"
