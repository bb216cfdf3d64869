"""Gives the counters out: at a port of a process's own, or as an answer of a web app that is there.

They hold no message and no name, but rates and spend; so whoever asks needs a token, where one is
set, and a port is bound to this machine alone unless a setting says otherwise.
"""

from __future__ import annotations

import hmac
import logging
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from shared import metrics
from shared.settings import Settings

logger = logging.getLogger(__name__)

#: The media type of Prometheus' text format.
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def may_read(settings: Settings, authorization: str | None) -> bool:
    """Whether this Authorization header carries the token; False where none is set."""
    if settings.metrics_token is None:
        return False
    scheme, _, token = (authorization or "").partition(" ")
    given = token.strip().encode("utf-8", "surrogatepass")
    return scheme.lower() == "bearer" and hmac.compare_digest(
        given, settings.metrics_token.encode()
    )


def begin(settings: Settings) -> None:
    """Count, and give out what was counted: for processes that are no web server."""
    metrics.start(settings)
    serve(settings)


def serve(settings: Settings) -> None:
    """Serve /metrics and /healthz at CARELANE_METRICS_PORT, if that is set, from a thread."""
    if not settings.metrics_port:
        return
    host, port = settings.metrics_host, settings.metrics_port
    try:
        server = make_server(host, port, _app(settings), _Server, _Quiet)
    except OSError as error:
        # Messages are more than numbers about them: the process goes on.
        logger.error(
            "metrics are not served: %s:%d cannot be bound; give each process a port of its own "
            "(CARELANE_METRICS_PORT)",
            host,
            port,
            extra={"error": type(error).__name__},
        )
        return
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    logger.info("metrics served", extra={"port": port})


def _app(settings: Settings) -> Any:
    def answer(
        environ: dict[str, Any], start: Callable[[str, list[tuple[str, str]]], Any]
    ) -> Iterable[bytes]:
        if environ.get("PATH_INFO") == "/healthz":  # for supervisors; it tells nothing
            start("200 OK", [("Content-Type", "text/plain")])
            return [b"ok\n"]
        if environ.get("PATH_INFO") != "/metrics":
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"The numbers are at /metrics.\n"]
        guarded = settings.metrics_token is not None
        if guarded and not may_read(settings, environ.get("HTTP_AUTHORIZATION")):
            start("401 Unauthorized", [("WWW-Authenticate", "Bearer")])
            return [b"Send CARELANE_METRICS_TOKEN as Authorization: Bearer.\n"]
        start("200 OK", [("Content-Type", CONTENT_TYPE)])
        return [metrics.text()]

    return answer


class _Server(ThreadingMixIn, WSGIServer):
    """One scraper that hangs must not hold up another."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """Scrapes are no news."""

    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base's name
        """Say nothing."""
