"""What the views of one process share: engine, taxonomy, hub; found through the Flask app."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app
from sqlalchemy import Engine

from dashboard.live import Hub
from dashboard.numbers import Numbers
from dashboard.oidc import Provider
from dashboard.queue_depths import QueueDepths
from shared.settings import Settings
from shared.taxonomy import Taxonomy


@dataclass(frozen=True, kw_only=True)
class Context:
    """Made once by create_app."""

    settings: Settings
    engine: Engine
    taxonomy: Taxonomy
    hub: Hub
    numbers: Numbers
    depths: QueueDepths
    provider: Provider | None  # of sign-in by OpenID


def context() -> Context:
    """The context of the app that serves this request."""
    found = current_app.extensions["carelane"]
    assert isinstance(found, Context)  # noqa: S101  narrows Flask's untyped dictionary
    return found
