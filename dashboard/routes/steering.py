"""What those who run Carelane do on its page: pause, drain, resume, run again."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dashboard import dead_letters, rerun, steering
from dashboard import session as sessions
from dashboard.context import context
from dashboard.permissions import Access, asks
from dashboard.rows import utc_now
from shared.database import transaction
from shared.errors import InvalidInput, QueueError

blueprint = Blueprint("steering", __name__, url_prefix="/operations")

_SHOWN: Final = 200


@blueprint.post("/workers")
@asks(Access.STEER)
def workers() -> Response:
    """Pause, drain or resume a worker or a tier."""
    target, wanted = request.form.get("target", ""), request.form.get("wanted", "")
    actor = sessions.user().name
    try:
        with transaction(context().engine) as connection:
            if wanted == "pause":
                steering.check_broker(context().settings)
                steering.pause(connection, target, actor)
            elif wanted == "drain":
                steering.drain(connection, target, actor)
            elif wanted == "resume":
                steering.resume(connection, target, actor)
            else:
                abort(400, "Say pause, drain or resume.")
    except InvalidInput as error:
        abort(400, str(error))
    flash(f"{target}: told to {wanted}; workers hear of it within seconds.")
    return redirect(url_for("operations.index"))


@blueprint.get("/failed")
@asks(Access.OPERATIONS)
def failed() -> str:
    """Messages that the machine gave up, without their texts."""
    reason = request.args.get("reason") or None
    with transaction(context().engine) as connection:
        rows = rerun.failed(connection, reason, _SHOWN + 1)
        reasons = rerun.reasons(connection)
    return render_template(
        "failed.html",
        rows=rows[:_SHOWN],
        more=len(rows) > _SHOWN,
        reasons=reasons,
        reason=reason,
        now=utc_now(),
    )


@blueprint.post("/failed")
@asks(Access.STEER)
def run_again() -> Response:
    """Run failed messages again: those chosen, those of a reason, or all."""
    actor = sessions.user().name
    reason = request.form.get("reason") or None
    try:
        ids = [UUID(each) for each in request.form.getlist("ids")]
    except ValueError:
        abort(400, "That is no message id.")
    if not ids and request.form.get("which") != "all":
        abort(400, "Choose messages, or all.")
    with transaction(context().engine) as connection:
        again = rerun.run_again(connection, actor, ids=ids or None, reason=reason)
    flash(f"{len(again)} message{'' if len(again) == 1 else 's'} run again.")
    return redirect(url_for("steering.failed", reason=reason))


@blueprint.get("/dead-letters/<queue>")
@asks(Access.OPERATIONS)
def letters(queue: str) -> tuple[str, int]:
    """A queue's dead letters and why they are there; nothing that a portal wrote."""
    _known(queue)
    try:
        found = dead_letters.read(context().settings, queue)
    except QueueError:
        found = None
    page = render_template("dead_letters.html", queue=queue, letters=found, now=utc_now())
    return page, 200 if found is not None else 503


@blueprint.post("/dead-letters/<queue>")
@asks(Access.STEER)
def letters_again(queue: str) -> Response:
    """Send again what they were about, or remove them."""
    _known(queue)
    shared, actor = context(), sessions.user().name
    discard = request.form.get("what") == "discard"
    if discard and request.form.get("sure") != "yes":
        abort(400, "Say that you are sure.")
    act = dead_letters.discard if discard else dead_letters.run_again
    try:
        done = act(shared.engine, shared.settings, queue, actor)
    except QueueError:
        abort(503, "SQS does not answer; try again.")
    said = "removed" if discard else f"settled, {done.messages} messages sent again"
    left = f" {done.left} cannot be read and stay." if done.left else ""
    flash(f"{done.letters} dead letter{'' if done.letters == 1 else 's'} {said}.{left}")
    return redirect(url_for("steering.letters", queue=queue))


def _known(queue: str) -> None:
    if queue not in dead_letters.QUEUES or context().settings.broker_url is not None:
        abort(404)
