"""gunicorn's options for the dashboard; a command-line option overrides each.

gunicorn -c python:dashboard.gunicorn_config --bind 127.0.0.1:8001 'dashboard.app:create_app()'
"""

from __future__ import annotations

import threading
import time
from typing import Any

worker_class = "gthread"
workers = 1
# An open page holds a thread for its stream; most of them sleep.
threads = 300
worker_connections = 2000
keepalive = 30
timeout = 60
graceful_timeout = 3
accesslog = None
control_socket_disable = True


def post_worker_init(worker: Any) -> None:  # gunicorn's workers are untyped
    """End all streams as soon as the worker is told to stop, so that it stops within seconds."""
    hub = worker.wsgi.extensions["carelane"].hub

    def watch() -> None:
        while worker.alive:
            time.sleep(0.2)
        hub.stop()

    threading.Thread(target=watch, name="stop watch", daemon=True).start()
