"""Reads a FHIR R4 `Communication` as a message: a pure core without input or output.

fhir.resources validates the resource (its R4B models; Communication and Task are the same in R4
and R4B); here is what Carelane asks beyond that, and what it takes out of it. Names that a
resource may carry (`display`, contained patients) are left behind.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fhir.resources.R4B.communication import Communication
from pydantic import ValidationError

from producer.validation import Refusal

#: Required bindings, which the library leaves to its callers.
_STATUSES: Final = ("preparation", "in-progress", "on-hold", "completed", "unknown")
_NOT_MESSAGES: Final = ("not-done", "entered-in-error", "stopped")
_SENDERS: Final = {"Patient": "patient", "RelatedPerson": "caregiver"}


@dataclass(frozen=True, kw_only=True)
class Issue:
    """One line of an OperationOutcome."""

    code: str  # of FHIR's value set issue-type
    diagnostics: str
    expression: str | None = None


class NotAMessage(Exception):
    """The resource cannot be taken; `issues` says why."""

    def __init__(self, *issues: Issue) -> None:
        super().__init__("; ".join(issue.diagnostics for issue in issues))
        self.issues = issues


def row_of(resource: Any, pseudonym: Callable[[str], str]) -> dict[str, Any]:
    """The message in a Communication, as a row for the same checks as every other message.

    Raises:
        NotAMessage: not a valid Communication, or nothing that Carelane can sort.
    """
    _validate(resource)
    row: dict[str, Any] = {
        "external_id": _external_id(resource),
        "text": "\n\n".join(_texts(resource.get("payload") or [])),
    }
    patient_ref = _patient_ref(resource.get("subject") or {}, pseudonym)
    if patient_ref:
        row["patient_ref"] = patient_ref
    sender = _sender(resource.get("sender") or {})
    if sender:
        row["sender"] = sender
    return row


def pseudonym_of(identifier: str, source: str, hmac_key: str) -> str:
    """A stable stand-in for an identifier such as a record number, different for each source."""
    material = f"patient:{source}:{identifier}".encode()
    return "h-" + hmac.new(hmac_key.encode(), material, hashlib.sha256).hexdigest()[:32]


def _validate(resource: Any) -> None:
    if not isinstance(resource, dict) or resource.get("resourceType") != "Communication":
        raise NotAMessage(
            Issue(code="structure", diagnostics="the body must be a Communication resource")
        )
    try:
        Communication.model_validate(resource)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise NotAMessage(*(_issue(each["type"], each["loc"]) for each in found[:10])) from None
    except (LookupError, RecursionError):
        # How the library meets a contained resource of an unknown type, or one without end.
        raise NotAMessage(
            Issue(code="structure", diagnostics="a contained resource is not of FHIR R4")
        ) from None
    status = resource["status"]
    if status in _NOT_MESSAGES:
        raise NotAMessage(
            Issue(
                code="business-rule",
                diagnostics=f"a Communication that is {status} is not a message to be sorted",
                expression="Communication.status",
            )
        )
    if status not in _STATUSES:
        raise NotAMessage(
            Issue(
                code="code-invalid",
                diagnostics="status is not of the value set event-status",
                expression="Communication.status",
            )
        )


_CODES: Final = {
    "extra_forbidden": ("structure", "is not an element of this resource"),
    "model_field_validation.missing": ("required", "is required"),
    "missing": ("required", "is required"),
    "string_unicode": ("invalid", "is not valid UTF-8 text"),
}


def _issue(kind: str, location: Sequence[int | str]) -> Issue:
    # Our words, not the library's, which may quote the value.
    code, words = _CODES.get(kind, ("value", "is not valid here"))
    path = "Communication"
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{str(step)[:60]}"
    return Issue(code=code, diagnostics=f"{path} {words}", expression=path)


def _external_id(resource: Mapping[str, Any]) -> str:
    for identifier in resource.get("identifier") or []:
        if identifier.get("value"):
            system = identifier.get("system")
            return f"{system}|{identifier['value']}" if system else str(identifier["value"])
    raise NotAMessage(
        Issue(
            code="required",
            diagnostics="Communication.identifier is required: your own id of the message, by "
            "which a repetition is recognised",
            expression="Communication.identifier",
        )
    )


def _texts(payload: Sequence[Mapping[str, Any]]) -> list[str]:
    return [_text(part, f"Communication.payload[{place}]") for place, part in enumerate(payload)]


def _text(part: Mapping[str, Any], path: str) -> str:
    if "contentString" in part:
        return str(part["contentString"])
    attachment = part.get("contentAttachment") or {}
    kind = str(attachment.get("contentType", "")).partition(";")[0].strip().lower()
    if kind == "text/plain" and "data" in attachment:
        try:
            return base64.b64decode(attachment["data"], validate=True).decode("utf-8")
        except (binascii.Error, ValueError):
            raise NotAMessage(
                Issue(code="value", diagnostics=f"{path} is not UTF-8 text", expression=path)
            ) from None
    # Sorting the rest of a message as if it were the whole could miss what matters.
    raise NotAMessage(
        Issue(
            code="not-supported",
            diagnostics=f"{path} is neither a contentString nor a text/plain attachment with data",
            expression=path,
        )
    )


def _patient_ref(subject: Mapping[str, Any], pseudonym: Callable[[str], str]) -> str | None:
    reference = subject.get("reference")
    if reference and not str(reference).startswith("#"):
        return str(reference)
    identifier = subject.get("identifier") or {}
    if identifier.get("value"):
        return pseudonym(f"{identifier.get('system', '')}|{identifier['value']}")
    return None


def _sender(sender: Mapping[str, Any]) -> str | None:
    kind = sender.get("type") or str(sender.get("reference", "")).rpartition("/")[0]
    kind = str(kind).rpartition("/")[2]
    return _SENDERS.get(kind, "other") if kind else None


#: What a refusal of the common checks is in FHIR: issue code and element.
_ISSUE_CODES: Final = {
    "conflict": "duplicate",
    "empty": "required",
    "not_comparable": "duplicate",
    "too_long": "too-long",
    "wrong_format": "value",
}
_ELEMENTS: Final = {
    "external_id": "Communication.identifier",
    "patient_ref": "Communication.subject",
    "sender": "Communication.sender",
    "text": "Communication.payload",
}


def issue_of(refusal: Refusal) -> Issue:
    """A refusal of the common checks as a line of an OperationOutcome."""
    return Issue(
        code=_ISSUE_CODES.get(refusal.reason, "invalid"),
        diagnostics=refusal.detail,
        expression=_ELEMENTS.get(refusal.field or ""),
    )
