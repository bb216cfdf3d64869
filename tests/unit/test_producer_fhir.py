"""FHIR resources in and out, by rules of R4 and by ours."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.communication import Communication
from fhir.resources.R4B.task import Task
from hypothesis import given
from hypothesis import strategies as st

from producer import fhir_out
from producer.fhir_in import NotAMessage, pseudonym_of, row_of
from producer.store import Standing
from shared.contracts import Status, Urgency
from shared.ids import new_message_id
from shared.taxonomy import Taxonomy

TAXONOMY = Taxonomy.load()
GOOD: dict[str, Any] = {
    "resourceType": "Communication",
    "identifier": [{"system": "urn:portal", "value": "m-1"}],
    "status": "completed",
    "subject": {"reference": "Patient/p-1", "display": "Ana Flores"},
    "sender": {"reference": "https://fhir.example.org/r4/Patient/p-1"},
    "payload": [{"contentString": "Please refill"}, {"contentString": "Thanks"}],
}


def _row(resource: Any) -> dict[str, Any]:
    return row_of(resource, lambda value: f"pseudonym of {value}")


def _standing(**changes: Any) -> Standing:
    known: dict[str, Any] = {
        "id": new_message_id(),
        "external_id": "urn:portal|m-1",
        "received_at": datetime(2026, 11, 20, 18, 20, tzinfo=UTC),
        "status": Status.LABELLED,
        "urgency_rank": 1,
        "flagged": False,
        "categories": ("refill", "medication"),
        "urgency": Urgency.URGENT,
        "text": "Please refill",
        "patient_ref": "Patient/p-1",
        "sender": "patient",
    }
    return Standing(**{**known, **changes})


def test_a_communication_becomes_a_message_without_names() -> None:
    row = _row(GOOD)

    assert row == {
        "external_id": "urn:portal|m-1",
        "text": "Please refill\n\nThanks",
        "patient_ref": "Patient/p-1",
        "sender": "patient",
    }


def test_a_record_number_is_kept_as_a_pseudonym_only() -> None:
    subject = {"identifier": {"system": "http://x/mrn", "value": "00441327"}}

    assert _row({**GOOD, "subject": subject})["patient_ref"] == "pseudonym of http://x/mrn|00441327"
    made = pseudonym_of("http://x/mrn|00441327", "clinic", "key")
    assert "00441327" not in made
    assert made == pseudonym_of("http://x/mrn|00441327", "clinic", "key")
    assert made != pseudonym_of("http://x/mrn|00441327", "other-clinic", "key")


def _attachment(data: bytes, kind: str = "text/plain") -> list[dict[str, Any]]:
    encoded = base64.b64encode(data).decode()
    return [{"contentAttachment": {"contentType": kind, "data": encoded}}]


def test_a_plain_text_attachment_is_text() -> None:
    assert _row({**GOOD, "payload": _attachment("Grüße".encode())})["text"] == "Grüße"


@pytest.mark.parametrize(
    ("change", "code", "expression"),
    [
        ({"resourceType": "Patient"}, "structure", None),
        ({"status": None}, "required", "Communication.status"),
        ({"status": "dunno"}, "code-invalid", "Communication.status"),
        ({"status": "entered-in-error"}, "business-rule", "Communication.status"),
        ({"identifier": None}, "required", "Communication.identifier"),
        ({"identifier": [{"system": "urn:x"}]}, "required", "Communication.identifier"),
        ({"surprise": 1}, "structure", "Communication.surprise"),
        ({"sent": "yesterday"}, "value", "Communication.sent"),
        ({"payload": [{"contentString": 3}]}, "value", "Communication.payload[0].contentString"),
        ({"payload": [{}]}, "value", "Communication.payload[0]"),
        (
            {"payload": [{"contentString": "\ud800"}]},
            "invalid",
            "Communication.payload[0].contentString",
        ),
        (
            {"payload": [{"contentReference": {"reference": "DocumentReference/1"}}]},
            "not-supported",
            "Communication.payload[0]",
        ),
        (
            {"payload": _attachment(b"%PDF", "application/pdf")},
            "not-supported",
            "Communication.payload[0]",
        ),
        ({"payload": _attachment(b"\xff\xfe")}, "value", "Communication.payload[0]"),
        ({"contained": [{"resourceType": "Nope"}]}, "structure", None),
    ],
)
def test_what_cannot_be_taken_is_named_by_element_and_code(
    change: dict[str, Any], code: str, expression: str | None
) -> None:
    resource = {name: value for name, value in {**GOOD, **change}.items() if value is not None}

    with pytest.raises(NotAMessage) as caught:
        _row(resource)

    assert [(issue.code, issue.expression) for issue in caught.value.issues] == [(code, expression)]


def test_an_outcome_never_repeats_what_the_patient_wrote() -> None:
    with pytest.raises(NotAMessage) as caught:
        _row({**GOOD, "payload": [{"contentString": ["I have a rash"]}], "sent": "rash day"})

    assert "rash" not in str(caught.value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from([*GOOD, "contained", "extension", "_status", "note", "x"]), _JSON
    )
)
def test_no_resource_makes_the_reader_crash(changes: dict[str, Any]) -> None:
    try:
        _row({**GOOD, **changes, "resourceType": "Communication"})
    except NotAMessage as error:
        json.dumps(fhir_out.operation_outcome(error.issues))


def test_a_labelled_message_is_a_communication_with_category_and_priority() -> None:
    made = fhir_out.communication(_standing(), TAXONOMY)

    Communication.model_validate(made)
    assert [each["coding"][0]["code"] for each in made["category"]] == ["refill", "medication"]
    assert made["priority"] == "urgent"
    assert made["identifier"] == [{"system": "urn:portal", "value": "m-1"}]
    assert made["subject"] == {"reference": "Patient/p-1"}
    assert made["sender"] == {"type": "Patient"}


@pytest.mark.parametrize(("rank", "priority"), [(0, "stat"), (1, "urgent"), (2, None)])
def test_while_it_is_processing_only_a_red_flag_gives_a_priority(
    rank: int, priority: str | None
) -> None:
    standing = _standing(
        status=Status.QUEUED, urgency_rank=rank, categories=(), urgency=None, patient_ref=None
    )

    made = fhir_out.communication(standing, TAXONOMY)

    Communication.model_validate(made)
    assert made.get("priority") == priority
    assert "category" not in made
    assert fhir_out.task(standing, TAXONOMY, None) is None


def test_a_provisional_label_is_not_given_out() -> None:
    standing = _standing(status=Status.ESCALATED, provisional=True, urgency_rank=2)

    made = fhir_out.communication(standing, TAXONOMY)

    assert "category" not in made
    assert "priority" not in made


@pytest.mark.parametrize(
    ("status", "pool", "task_status"),
    [
        (Status.LABELLED, "pharmacist", "requested"),
        (Status.NEEDS_REVIEW, None, "requested"),
        (Status.DONE, "pharmacist", "completed"),
    ],
)
def test_a_sorted_message_is_a_task_for_its_pool(
    status: Status, pool: str | None, task_status: str
) -> None:
    standing = _standing(status=status, provisional=pool is None)

    made = fhir_out.task(standing, TAXONOMY, pool)

    assert made is not None
    Task.model_validate(made)
    assert made["status"] == task_status
    assert made["focus"] == {"reference": f"Communication/{standing.id}"}
    assert ("performerType" in made) == (pool is not None)
    if pool:
        assert made["performerType"][0]["coding"][0]["display"] == "Pharmacists"


def test_the_capability_statement_is_valid_and_names_what_there_is() -> None:
    made = fhir_out.capability_statement("https://intake.example.org")

    CapabilityStatement.model_validate(made)
    assert made["fhirVersion"] == "4.0.1"
    assert [each["type"] for each in made["rest"][0]["resource"]] == ["Communication", "Task"]
