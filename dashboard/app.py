"""The dashboard's composition root: `gunicorn -c python:dashboard.gunicorn_config ...`."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from uuid import UUID

from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from dashboard import queries, session
from dashboard.audit import Action
from dashboard.context import Context
from dashboard.live import Hub
from dashboard.numbers import Numbers
from dashboard.oidc import Provider, ProviderUnavailable
from dashboard.permissions import Access, Role, asks, may
from dashboard.queue_depths import QueueDepths
from dashboard.routes import (
    audit,
    health,
    live,
    message,
    metrics,
    operations,
    review,
    sign_in,
    steering,
    worklist,
)
from dashboard.rows import line_of, utc_now
from dashboard.text_view import urgency_class
from dashboard.words import (
    ROUTING_WORDS,
    TIER_WORDS,
    audit_words,
    reason_words,
    span_words,
    unexplained_words,
)
from shared import logs, tracing
from shared import metrics as counting
from shared.database import make_engine, transaction
from shared.errors import SettingsError, StoreError
from shared.sealed_columns import sealing
from shared.settings import Settings
from shared.taxonomy import Taxonomy

logger = logging.getLogger(__name__)

_MIN_SECRET_CHARS = 32

#: Scripts and styles only from our own files; data: images are the framework's form icons.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)


_PARTS = (
    health,
    metrics,
    sign_in,
    worklist,
    message,
    review,
    live,
    operations,
    steering,
    audit,
)


def create_app(settings: Settings | None = None) -> Flask:
    """The app of this process; reads the environment when no settings are given.

    Raises:
        SettingsError: a setting that the dashboard cannot do without is missing or unfit.
    """
    settings = settings or Settings.from_env(os.environ)
    logs.configure("dashboard", settings.log_level)
    counting.start(settings)
    tracing.start(settings, "dashboard")
    app = Flask(__name__)
    app.secret_key = _secret(settings)
    app.config.update(
        SESSION_COOKIE_NAME="carelane",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=settings.session_max_s),
        MAX_CONTENT_LENGTH=1_000_000,
        # A file's address changes with its content.
        SEND_FILE_MAX_AGE_DEFAULT=timedelta(days=365),
    )
    app.session_interface = session.SessionCookie()
    app.extensions["carelane_settings"] = settings
    shared = _context(app, settings)
    app.extensions["carelane"] = shared
    asks(Access.PUBLIC)(app.view_functions["static"])
    session.guard(app, shared.engine, settings)
    for part in _PARTS:
        app.register_blueprint(part.blueprint)
    _furnish_templates(app, settings, shared.taxonomy)
    _handle_errors(app)
    app.after_request(_harden)
    if hops := settings.trusted_proxies:
        # Flask's documented way; without a proxy anybody could claim any address.
        proxied = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)
        app.wsgi_app = proxied  # type: ignore[method-assign]
    shared.hub.start()
    return app


def _secret(settings: Settings) -> str:
    secret = settings.require("secret_key")
    if len(secret) < _MIN_SECRET_CHARS:
        raise SettingsError(
            f"CARELANE_SECRET_KEY is too short: it needs {_MIN_SECRET_CHARS} or more random "
            "characters, for example from `openssl rand -hex 32`"
        )
    return secret


def _context(app: Flask, settings: Settings) -> Context:
    engine = make_engine(settings, "carelane dashboard", pool_size=10)
    if sealing(engine).keys.ids:
        sealing(engine).search_words()  # or the first search would find it missing
    taxonomy = Taxonomy.load(settings.taxonomy_path)

    numbers = Numbers(engine, taxonomy)

    def render_lines(ids: Sequence[UUID]) -> str:
        started_ns = time.time_ns()
        with transaction(engine) as connection:
            found = queries.lines_by_id(connection, ids)
            parents = tracing.parents(connection, ids)
        logs.with_ids(logger, "shown on open pages", ids)
        template = app.jinja_env.get_template("lines.html")
        lines = template.render(lines=[line_of(row, taxonomy) for row in found], now=utc_now())
        for row in found:
            tracing.record(
                "dashboard line",
                parents.get(row["id"]),
                started_ns,
                message_id=str(row["id"]),
                status=row["status"],
            )
        return lines

    hub = Hub(settings, render_lines, numbers.as_json)
    return Context(
        settings=settings,
        engine=engine,
        taxonomy=taxonomy,
        hub=hub,
        numbers=numbers,
        depths=QueueDepths(settings),
        provider=Provider(app, settings) if settings.oidc_issuer else None,
    )


def _assets(folder: Path) -> Callable[[str], str]:
    """The address of a static file, with its content's hash: kept for ever, and never stale."""
    hashes = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for path in folder.rglob("*")
        if path.is_file()
    }
    return lambda name: f"/static/{name}?v={hashes[name]}"


def _furnish_templates(app: Flask, settings: Settings, taxonomy: Taxonomy) -> None:
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(
        csrf_token=session.csrf_token,
        asset=_assets(Path(app.static_folder or "")),
        llm_simulated=settings.llm_simulated,
        with_oidc=settings.oidc_issuer is not None,
        whole_words=settings.text_keys is not None,
        tier_words=TIER_WORDS,
        routing_words=ROUTING_WORDS,
        taxonomy=taxonomy,
        actions=[action.value for action in Action],
        audit_words=lambda entry: audit_words(entry["action"], entry["detail"]),
        pool_titles={pool.name: pool.title for pool in taxonomy.pools},
        may=may,
        Access=Access,
        Role=Role,
    )
    titles = {each.name: each.title for each in taxonomy.categories}
    app.jinja_env.filters.update(
        category_title=lambda name: titles.get(name, name),
        reason_words=reason_words,
        span_words=span_words,
        unexplained_words=unexplained_words,
        seconds_words=lambda seconds: span_words(timedelta(seconds=seconds)),
        urgency_class=urgency_class,
    )


def _handle_errors(app: Flask) -> None:
    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> tuple[str, int]:
        code = error.code or 500
        words = {
            403: "Your role has no access to this page. Ask whoever runs Carelane for you.",
            404: "There is nothing at this address.",
            500: "Something went wrong here. It has been logged; try again.",
        }.get(code, error.description or "")
        title = HTTPStatus(code).phrase
        return render_template("error.html", code=code, title=title, words=words), code

    @app.errorhandler(ProviderUnavailable)
    def provider_error(error: ProviderUnavailable) -> tuple[str, int]:
        logger.error("the OpenID provider failed a sign-in", extra={"reason": str(error)})
        words = (
            "Your organisation's sign-in cannot be reached at the moment. Try again shortly, or "
            "go back and sign in with a password."
        )
        return render_template("error.html", code=503, title="Not now", words=words), 503

    @app.errorhandler(StoreError)
    def store_error(error: StoreError) -> tuple[str, int]:
        logger.error("Postgres failed a request", exc_info=error)
        words = "The database cannot be reached at the moment. Nothing is lost; try again shortly."
        return render_template("error.html", code=503, title="Not now", words=words), 503


def _harden(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    if request.endpoint != "static":
        # Patients' text must not stay in a cache of the browser or of a proxy.
        response.headers["Cache-Control"] = "no-store"
    return response
