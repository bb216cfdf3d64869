"""A small page on which one plays the patient: for trying Carelane out, never for patients.

Only served with CARELANE_DEMO_PORTAL=1. It goes through the same intake as every portal.
"""

from __future__ import annotations

import json
import secrets
from uuid import UUID

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from producer import store
from producer.api import describe
from producer.door import Door, current_door, take
from producer.intake import Kept
from producer.problems import Problem, of_store
from producer.validation import Draft, Refusal, check_rows
from shared.database import transaction
from shared.errors import StoreUnavailable

#: The source of everything typed here; its rows are told apart from those of real portals.
SOURCE = "demo-portal"

portal = Blueprint(
    "portal", __name__, template_folder="templates", static_folder="static", url_prefix="/portal"
)


@portal.get("/")
def write() -> str:
    """The form."""
    return _form()


@portal.post("/")
def hand_in() -> AnyResponse:
    """Take the message in, then show where it is."""
    kept = _take(request.form.get("external_id", ""), request.form.get("text", ""))
    if isinstance(kept, Refusal):
        text = request.form.get("text", "")
        return Response(_form(text=text, refusal=kept), status=422)
    return redirect(url_for("portal.show", message_id=kept.id), code=303)


@portal.get("/messages/<uuid:message_id>")
def show(message_id: UUID) -> str:
    """Where the message is; the page keeps asking, with JavaScript or without."""
    return render_template("portal/status.html", **_page(), standing=_standing(message_id))


@portal.get("/messages/<uuid:message_id>/standing.json")
def standing_json(message_id: UUID) -> Response:
    """What the page asks for: only what a patient may read."""
    shown = ("processing", "patient_text", "emergency_text", "pool")
    standing = _standing(message_id)
    body = json.dumps({name: standing[name] for name in shown})
    return Response(body, content_type="application/json")


@portal.errorhandler(Problem)
def show_problem(problem: Problem) -> tuple[str, int, dict[str, str]]:
    """A page instead of JSON: here a person reads it."""
    page = render_template("portal/problem.html", **_page(), detail=problem.detail)
    return page, problem.status, problem.headers


@portal.errorhandler(StoreUnavailable)
def show_store_unavailable(error: StoreUnavailable) -> tuple[str, int, dict[str, str]]:
    """The same for a database that is away."""
    detail = "The message could not be kept just now. Please go back and send it again"
    like = of_store(error)
    return show_problem(Problem(like.status, like.code, detail, headers=like.headers))


def _take(external_id: str, text: str) -> Kept | Refusal:
    door = current_door()
    row = {"external_id": external_id or _new_external_id(), "text": text.replace("\r\n", "\n")}
    checked = check_rows([row], door.limits)
    if checked.refusals:
        return checked.refusals[0]
    result = take(SOURCE, checked)
    if result.conflicts:  # back button, other words: that is a new message
        result = door.intake.take(SOURCE, [_with_new_id(checked.drafts[0])])
    return result.kept[0]


def _with_new_id(draft: Draft) -> Draft:
    return Draft(index=0, external_id=_new_external_id(), text=draft.text)


def _new_external_id() -> str:
    return secrets.token_urlsafe(12)


def _form(text: str = "", refusal: Refusal | None = None) -> str:
    # The id lies in the form, so that a double click hands in one message.
    return render_template(
        "portal/write.html",
        **_page(),
        external_id=_new_external_id(),
        text=text,
        refusal=refusal,
        longest=current_door().limits.text_chars,
    )


def _standing(message_id: UUID) -> dict[str, object]:
    door = current_door()
    with transaction(door.engine) as connection:
        standing = store.find_standing(connection, SOURCE, message_id)
    if standing is None:
        raise Problem(404, "not_found", "there is no such message on this page")
    return describe(standing, door.taxonomy, door.settings)


def _page() -> dict[str, object]:
    door: Door = current_door()
    return {
        "llm_simulated": door.settings.llm_simulated,
        "dashboard_url": door.settings.dashboard_url,
        "emergency_number": door.settings.emergency_number,
    }
