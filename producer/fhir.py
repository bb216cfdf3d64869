"""FHIR R4 over HTTP: `Communication` in and out, a `Task` for the pool, the CapabilityStatement."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request

from producer import fhir_out, store
from producer.api import pool_name, read_body
from producer.door import current_door, require_source, take
from producer.fhir_in import Issue, NotAMessage, issue_of, pseudonym_of, row_of
from producer.problems import Problem, of_sealed, of_store
from producer.store import Standing
from producer.validation import Refusal, check_rows
from shared.database import transaction
from shared.errors import SealedTextError, StoreUnavailable

logger = logging.getLogger(__name__)

fhir = Blueprint("fhir", __name__, url_prefix="/fhir")

CONTENT_TYPE = "application/fhir+json"
_READABLE = (CONTENT_TYPE, "application/json")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_CODE_BY_STATUS = {
    400: "structure",
    401: "login",
    404: "not-found",
    405: "not-supported",
    408: "timeout",
    413: "too-long",
    415: "not-supported",
    429: "throttled",
    503: "transient",
}


@fhir.get("/metadata")
def metadata() -> Response:
    """The CapabilityStatement; needs no key."""
    return _resource(fhir_out.capability_statement(current_door().settings.intake_url))


@fhir.post("/Communication")
def create_communication() -> Response:
    """Take a message in."""
    source = require_source()
    door = current_door()
    try:
        row = row_of(_json_body(), lambda value: pseudonym_of(value, source, door.hmac_key))
    except NotAMessage as error:
        return _outcome(422, error.issues)
    checked = check_rows([row], door.limits)
    if checked.refusals:
        return _refused(422, checked.refusals)
    result = take(source, checked)
    if result.conflicts:
        return _refused(409, result.conflicts)
    kept = result.kept[0]
    standing = _find(source, str(kept.id))
    answer = _resource(fhir_out.communication(standing, door.taxonomy), 201 if kept.new else 200)
    answer.headers["Location"] = f"{door.settings.intake_url}/fhir/Communication/{kept.id}"
    return answer


@fhir.get("/Communication/<resource_id>")
def read_communication(resource_id: str) -> Response:
    """A message with what is known of it so far."""
    standing = _find(require_source(), resource_id)
    return _resource(fhir_out.communication(standing, current_door().taxonomy))


@fhir.get("/Task/<resource_id>")
def read_task(resource_id: str) -> Response:
    """The work that a message gives a pool."""
    found = _task(_find(require_source(), resource_id))
    if found is None:
        raise Problem(404, "not_found", "the message is being sorted; there is no Task yet")
    return _resource(found)


@fhir.get("/Task")
def search_tasks() -> Response:
    """The Task of one message, by `focus`."""
    source = require_source()
    focus = request.args.get("focus", "")
    resource_id = focus.removeprefix("Communication/")
    if not resource_id or set(request.args) - {"focus", "_format"}:
        raise Problem(400, "bad_request", "search Tasks by focus=Communication/{id} and no more")
    try:
        found = _task(_find(source, resource_id))
    except Problem:
        found = None
    resources = [] if found is None else [found]
    return _resource(fhir_out.bundle(resources, current_door().settings.intake_url))


@fhir.route("/", defaults={"path": ""}, methods=_METHODS)
@fhir.route("/<path:path>", methods=_METHODS)
def nothing_here(path: str) -> Response:  # noqa: ARG001  Flask's signature
    """Everything else that FHIR knows and this server does not."""
    raise Problem(
        404,
        "not_found",
        "there is no such interaction here; GET /fhir/metadata lists those there are",
    )


def _task(standing: Standing) -> dict[str, Any] | None:
    taxonomy = current_door().taxonomy
    return fhir_out.task(standing, taxonomy, pool_name(standing, taxonomy))


def _find(source: str, resource_id: str) -> Standing:
    unknown = Problem(404, "not_found", "you have handed in no message with this id")
    try:
        wanted = UUID(resource_id)
    except ValueError:
        raise unknown from None
    with transaction(current_door().engine) as connection:
        standing = store.find_standing(connection, source, wanted)
    if standing is None:
        raise unknown
    return standing


def _json_body() -> Any:
    if request.mimetype not in _READABLE:
        raise Problem(
            415, "unsupported_media_type", f"send the resource as {CONTENT_TYPE}; XML is not read"
        )
    try:
        # Bad bytes spoil their own element, which the validation then names.
        return json.loads(read_body().decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise Problem(400, "bad_request", "the body is not JSON that can be read") from error


def _resource(resource: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(resource) + "\n", status=status, content_type=CONTENT_TYPE)


def _outcome(status: int, issues: Sequence[Issue]) -> Response:
    return _resource(fhir_out.operation_outcome(issues), status)


def _refused(status: int, refusals: Sequence[Refusal]) -> Response:
    return _outcome(status, [issue_of(refusal) for refusal in refusals])


@fhir.errorhandler(Problem)
def problem_as_outcome(problem: Problem) -> Response:
    """Errors of a FHIR server are OperationOutcomes."""
    code = _CODE_BY_STATUS.get(problem.status, "processing")
    answer = _outcome(problem.status, [Issue(code=code, diagnostics=problem.detail)])
    answer.headers.update(problem.headers)
    return answer


@fhir.errorhandler(StoreUnavailable)
def store_unavailable_as_outcome(error: StoreUnavailable) -> Response:
    """The same for a database that is away, or has too much to do."""
    return problem_as_outcome(of_store(error))


@fhir.errorhandler(SealedTextError)
def sealed_text_as_outcome(error: SealedTextError) -> Response:
    """The same for a message whose text cannot be opened."""
    logger.error("text not opened", extra={"error_text": str(error)})
    return problem_as_outcome(of_sealed())
