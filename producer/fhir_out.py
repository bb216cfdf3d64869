"""Messages and their labels as FHIR R4 resources: pure functions, JSON-ready dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any, Final

from producer.fhir_in import Issue
from producer.store import Standing
from shared.contracts import PROCESSING, Status, Urgency
from shared.sealed_columns import opened
from shared.taxonomy import Taxonomy

CATEGORY_SYSTEM: Final = "urn:carelane:category"
POOL_SYSTEM: Final = "urn:carelane:pool"
STATUS_SYSTEM: Final = "urn:carelane:status"
TASK_SYSTEM: Final = "urn:carelane:task"
STATUS_EXTENSION: Final = "urn:carelane:extension:status"
#: FHIR's request-priority.
_PRIORITIES: Final = {
    Urgency.EMERGENT: "stat",
    Urgency.URGENT: "urgent",
    Urgency.ROUTINE: "routine",
}
_FHIR_SENDERS: Final = {
    "patient": "Patient",
    "parent": "RelatedPerson",
    "caregiver": "RelatedPerson",
}
_RELEASED: Final = "2026-11-20"


def communication(standing: Standing, taxonomy: Taxonomy) -> dict[str, Any]:
    """The message with what is known of it so far.

    `priority` comes with the first red flag or label, `category` with the final label.
    """
    resource: dict[str, Any] = {
        "resourceType": "Communication",
        "id": str(standing.id),
        "extension": [{"url": STATUS_EXTENSION, "valueCode": _code(standing.status)}],
        "identifier": [_identifier(standing.external_id)],
        "status": "completed",
        "received": _instant(standing.received_at),
        "payload": [{"contentString": opened(standing.text)}],
    }
    categories = _categories(standing, taxonomy)
    if categories:
        resource["category"] = categories
    priority = _priority(standing)
    if priority:
        resource["priority"] = priority
    subject = _subject(standing.patient_ref)
    if subject:
        resource["subject"] = subject
    if standing.sender in _FHIR_SENDERS:
        resource["sender"] = {"type": _FHIR_SENDERS[standing.sender]}
    return resource


def task(standing: Standing, taxonomy: Taxonomy, pool: str | None) -> dict[str, Any] | None:
    """The work that the message gives a pool of staff; None while it is being sorted.

    `pool` is None where a person must decide first.
    """
    if standing.status in PROCESSING:
        return None
    resource: dict[str, Any] = {
        "resourceType": "Task",
        "id": str(standing.id),
        "status": "completed" if standing.status is Status.DONE else "requested",
        "businessStatus": {"coding": [{"system": STATUS_SYSTEM, "code": _code(standing.status)}]},
        "intent": "order",
        "code": {
            "coding": [{"system": TASK_SYSTEM, "code": "answer-message"}],
            "text": "Read and answer the patient's message",
        },
        "focus": {"reference": f"Communication/{standing.id}"},
        "authoredOn": _instant(standing.settled_at or standing.received_at),
        "lastModified": _instant(
            standing.reviewed_at or standing.settled_at or standing.received_at
        ),
    }
    priority = _priority(standing)
    if priority:
        resource["priority"] = priority
    subject = _subject(standing.patient_ref)
    if subject:
        resource["for"] = subject
    if pool:
        title = next((each.title for each in taxonomy.pools if each.name == pool), pool)
        resource["performerType"] = [
            {"coding": [{"system": POOL_SYSTEM, "code": pool, "display": title}], "text": title}
        ]
    categories = _categories(standing, taxonomy)
    if categories:
        resource["reasonCode"] = categories[0]
    return resource


def bundle(resources: Sequence[dict[str, Any]], base: str) -> dict[str, Any]:
    """A search's result."""
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(resources),
        "entry": [
            {
                "fullUrl": f"{base}/fhir/{each['resourceType']}/{each['id']}",
                "resource": each,
                "search": {"mode": "match"},
            }
            for each in resources
        ],
    }


def operation_outcome(issues: Sequence[Issue]) -> dict[str, Any]:
    """Why not."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": issue.code,
                "diagnostics": issue.diagnostics,
                **({"expression": [issue.expression]} if issue.expression else {}),
            }
            for issue in issues
        ],
    }


def capability_statement(base: str) -> dict[str, Any]:
    """What this server can do."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _RELEASED,
        "publisher": "Carelane",
        "kind": "instance",
        "software": {"name": "Carelane", "version": version("carelane")},
        "implementation": {"description": "Carelane's intake", "url": f"{base}/fhir"},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "cors": False,
                    "description": "Authorization: Bearer <API key>; a key sees its own source's "
                    "messages only.",
                },
                "resource": [_communication_capability(), _task_capability()],
            }
        ],
    }


def _communication_capability() -> dict[str, Any]:
    return {
        "type": "Communication",
        "documentation": "Handing in the same identifier and content again answers 200 with the "
        "resource of the first time; other content under it answers 409. Read it again for "
        "category and priority.",
        "interaction": [{"code": "create"}, {"code": "read"}],
        "versioning": "no-version",
    }


def _task_capability() -> dict[str, Any]:
    return {
        "type": "Task",
        "documentation": "The work that a sorted message gives a pool of staff (performerType). "
        "Its id is the message's; there is none while the message is being sorted.",
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "versioning": "no-version",
        "searchParam": [
            {
                "name": "focus",
                "type": "reference",
                "documentation": "Communication/{id}; required",
            }
        ],
    }


def _code(status: Status) -> str:
    return status.value.replace("_", "-")


def _identifier(external_id: str) -> dict[str, str]:
    system, bar, value = external_id.rpartition("|")
    return {"system": system, "value": value} if bar and system else {"value": external_id}


def _categories(standing: Standing, taxonomy: Taxonomy) -> list[dict[str, Any]]:
    if standing.provisional:
        return []
    titles = {category.name: category.title for category in taxonomy.categories}
    return [
        {
            "coding": [
                {"system": CATEGORY_SYSTEM, "code": name, "display": titles.get(name, name)}
            ],
            "text": titles.get(name, name),
        }
        for name in standing.categories
    ]


def _priority(standing: Standing) -> str | None:
    labelled = standing.urgency is not None and not standing.provisional
    if not labelled and standing.urgency_rank == Urgency.ROUTINE.rank:
        return None  # nobody has said so yet
    return _PRIORITIES[tuple(Urgency)[standing.urgency_rank]]


def _subject(patient_ref: str | None) -> dict[str, Any] | None:
    if patient_ref is None:
        return None
    if "/" in patient_ref:  # a reference, as it came in
        return {"reference": patient_ref}
    return {"identifier": {"system": "urn:carelane:patient-ref", "value": patient_ref}}


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
