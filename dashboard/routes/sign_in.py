"""Signing in and out, and changing the one-time password."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from dashboard import accounts, audit
from dashboard import session as sessions
from dashboard.audit import Action
from dashboard.context import context
from dashboard.oidc import Provider
from dashboard.permissions import Access, asks
from shared.database import transaction
from shared.errors import InvalidInput

blueprint = Blueprint("sign_in", __name__)


@blueprint.get("/sign-in")
@asks(Access.PUBLIC)
def form() -> str:
    """The form."""
    return render_template("sign_in.html", next=sessions.safe_next(request.args.get("next", "/")))


@blueprint.get("/sign-in/oidc")
@asks(Access.PUBLIC)
def to_provider() -> Response:
    """To the OpenID provider, which sends people back to the next route."""
    provider = _provider()
    session["wanted"] = sessions.safe_next(request.args.get("next", "/"))
    return provider.send_away()


@blueprint.get("/sign-in/oidc/back")
@asks(Access.PUBLIC)
def from_provider() -> Response | tuple[str, int]:
    """Start a session for whom the provider vouches."""
    target = sessions.safe_next(session.get("wanted", "/"))
    address = request.remote_addr or "?"
    engine = context().engine
    try:
        person = _provider().welcome()
        user = accounts.sign_in_vouched(engine, person.subject, person.name, person.role, address)
    except accounts.SignInRefused as refusal:
        with transaction(engine) as connection:
            # Not under a name: whoever it was must not lock out a local user.
            audit.record(connection, "OpenID", Action.SIGN_IN_FAILED, address=address)
        return render_template("sign_in.html", next=target, problem=str(refusal)), 403
    sessions.start(user)
    return redirect(target)


def _provider() -> Provider:
    provider = context().provider
    if provider is None:
        abort(404)
    return provider


@blueprint.post("/sign-in")
@asks(Access.PUBLIC)
def sign_in() -> Response | tuple[str, int]:
    """Check name and password, start a session, go where one wanted to."""
    target = sessions.safe_next(request.form.get("next", "/"))
    name = request.form.get("name", "")
    try:
        user = accounts.sign_in(
            context().engine, name, request.form.get("password", ""), request.remote_addr or "?"
        )
    except accounts.SignInRefused as refusal:
        page = render_template("sign_in.html", next=target, name=name, problem=str(refusal))
        return page, 403
    sessions.start(user)
    return redirect(target)


@blueprint.post("/sign-out")
@asks(Access.SIGNED_IN)
def sign_out() -> Response:
    """End the session, and the user's others: a copied cookie is worth nothing afterwards."""
    with transaction(context().engine) as connection:
        accounts.end_sessions(connection, sessions.user())
        audit.record(connection, sessions.user().name, Action.SIGNED_OUT)
    session.clear()
    return redirect(url_for("sign_in.form"))


@blueprint.get("/password")
@asks(Access.SIGNED_IN)
def password() -> str:
    """The form for a new password."""
    return render_template("password.html")


@blueprint.post("/password")
@asks(Access.SIGNED_IN)
def change_password() -> Response | tuple[str, int]:
    """Set the new password and go on with a fresh session."""
    old, new = request.form.get("old", ""), request.form.get("new", "")
    try:
        if new != request.form.get("again", ""):
            raise InvalidInput("The two new passwords differ.")
        user = accounts.change_password(context().engine, sessions.user(), old, new)
    except InvalidInput as problem:
        return render_template("password.html", problem=str(problem)), 400
    sessions.start(user)
    return redirect("/")


@blueprint.get("/session")
@asks(Access.SIGNED_IN)
def session_alive() -> Response:
    """For a page whose stream broke: is there still a session?"""
    return Response(status=204)
