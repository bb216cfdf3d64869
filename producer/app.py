"""The intake's web app and its composition root: `gunicorn 'producer.app:create_app()'`."""

from __future__ import annotations

import os
import time

from flask import Flask, Response, g, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from producer import docs_page, problems
from producer.api import api
from producer.door import Door, current_door, install
from producer.fhir import fhir
from producer.health import health
from producer.intake import FindsRedFlags, Intake
from producer.limits import Backlog, Rates
from producer.openapi import document
from producer.portal import portal
from producer.validation import Limits
from shared import logs, metrics, metrics_server, tracing
from shared.database import make_engine
from shared.red_flags import RedFlags
from shared.settings import Settings
from shared.taxonomy import Taxonomy

#: One for each thread that gunicorn runs by our Procfile.
_POOL_SIZE = 16


def create_app(
    settings: Settings | None = None, *, red_flags: FindsRedFlags | None = None
) -> Flask:
    """The app. Without `settings` it reads the environment and sets up logging.

    Raises:
        SettingsError: CARELANE_DATABASE_URL or CARELANE_HMAC_KEY is missing.
    """
    if settings is None:
        settings = Settings.from_env(os.environ)
        logs.configure("intake", settings.log_level)
    metrics.start(settings)
    tracing.start(settings, "intake")
    engine = make_engine(settings, "carelane intake", pool_size=_POOL_SIZE)
    door = Door(
        settings=settings,
        engine=engine,
        intake=Intake(
            engine,
            red_flags or RedFlags.load(settings.red_flags_path),
            speculate=settings.llm_speculate,
        ),
        taxonomy=Taxonomy.load(settings.taxonomy_path),
        limits=Limits(text_chars=settings.max_text_chars, messages=settings.max_batch_messages),
        rates=Rates(settings.max_messages_per_minute, largest_call=settings.max_batch_messages),
        backlog=Backlog(settings.max_backlog),
        hmac_key=settings.require("hmac_key"),
    )
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    install(app, door)
    problems.register(app)
    app.register_blueprint(api)
    app.register_blueprint(fhir)
    app.register_blueprint(health)
    if settings.demo_portal:
        app.register_blueprint(portal)
        app.add_url_rule("/", view_func=show_portal)
    app.add_url_rule("/openapi.json", view_func=show_openapi)
    app.add_url_rule("/docs", view_func=show_docs)
    app.add_url_rule("/metrics", view_func=show_metrics)
    app.before_request(_note_start)
    app.after_request(_count)
    app.after_request(_add_security_headers)
    return app


def show_openapi() -> Response:
    """The OpenAPI document."""
    return jsonify(document(current_door().settings.intake_url))


def show_docs() -> str:
    """The same document for people."""
    settings = current_door().settings
    made = document(settings.intake_url)
    return render_template(
        "docs.html",
        document=made,
        operations=docs_page.operations(made),
        models=docs_page.models(made),
        problems=problems.TITLES,
        llm_simulated=settings.llm_simulated,
    )


def show_metrics() -> Response:
    """What this process and those beside it counted; to whoever has the token."""
    settings = current_door().settings
    if not metrics_server.may_read(settings, request.headers.get("Authorization")):
        raise problems.Problem(404, "not_found", "there is nothing at this address")
    return Response(metrics.text(), content_type=metrics_server.CONTENT_TYPE)


def _note_start() -> None:
    g.started_s = time.perf_counter()


def _count(response: Response) -> Response:
    if request.method != "POST":
        return response
    status = f"{response.status_code // 100}xx"
    metrics.INTAKE_SECONDS.observe(time.perf_counter() - g.started_s, status=status)
    if response.status_code >= 400:
        metrics.REFUSED.inc(status=str(response.status_code))
    return response


def show_portal() -> AnyResponse:
    """Where a newcomer who opens the bare address wants to be."""
    return redirect(url_for("portal.write"))


def _add_security_headers(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault(
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    )
    # Answers speak about one patient's message: no cache on the way keeps them.
    response.headers.setdefault("Cache-Control", "no-store")
    return response
