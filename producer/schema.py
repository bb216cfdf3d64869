"""What goes over the wire between a portal and the intake, as pydantic models.

The OpenAPI document is made from these, so that what is written and what is checked are one.
Replies are models too, but only to be described: `/v1/messages` builds ten thousand rows of one
reply as plain dictionaries.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.contracts import Status, Urgency

#: No control characters: an id ends up in logs, URLs and pages.
Identifier = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Sender = Literal["patient", "parent", "caregiver", "other"]

REASONS = {
    "conflict": "this external_id was used before for other content",
    "empty": "has nothing to read in it",
    "missing": "is required",
    "not_allowed": "is not one of the allowed values",
    "not_comparable": "cannot be compared with what was kept before",
    "not_an_object": "is not a JSON object with the fields of a message",
    "not_utf8": "is not valid UTF-8 text",
    "nul": "has a NUL character in it",
    "too_long": "is longer than allowed",
    "unknown_field": "is not a field of a message",
    "wrong_format": "has characters that are not allowed",
    "wrong_type": "has the wrong type",
}
Reason = Literal[
    "conflict",
    "empty",
    "missing",
    "not_allowed",
    "not_comparable",
    "not_an_object",
    "not_utf8",
    "nul",
    "too_long",
    "unknown_field",
    "wrong_format",
    "wrong_type",
]


class MessageIn(BaseModel):
    """One message, as a portal hands it in."""

    model_config = ConfigDict(extra="forbid", strict=True, title="Message")

    external_id: Identifier = Field(
        description="Your own id of the message. Handing in the same message again under the same "
        "external_id changes nothing and answers with the id of the first time.",
        examples=["portal-2026-000123"],
    )
    text: str = Field(
        min_length=1,
        description="What the patient wrote, as plain text. The longest text taken is a setting "
        "of the server (CARELANE_MAX_TEXT_CHARS, 20,000 characters as delivered).",
        examples=["Could you send my lisinopril to the pharmacy on Main Street? I have 3 left."],
    )
    patient_ref: Identifier | None = Field(
        default=None,
        description="A pseudonym of the patient, the same in every message of theirs. "
        "Never a name or a record number.",
        examples=["p-7f3a"],
    )
    sender: Sender | None = Field(default=None, description="Who wrote it, if the portal knows.")


class MessagesIn(BaseModel):
    """Many messages in one call."""

    model_config = ConfigDict(extra="forbid", title="Messages")

    messages: list[MessageIn] = Field(
        min_length=1,
        description="Each is taken or refused by itself; a bad one does not stop the others. The "
        "most in one call is a setting (CARELANE_MAX_BATCH_MESSAGES, 10,000 as delivered).",
    )


class Taken(BaseModel):
    """A message that the intake keeps."""

    index: int = Field(description="Place in the call, from 0.")
    external_id: str
    id: UUID = Field(description="Carelane's id; ask /v1/messages/{id} how it stands.")
    outcome: Literal["accepted", "duplicate"] = Field(
        description="`duplicate`: the same message was here before, with this id."
    )


class Refused(BaseModel):
    """One thing that is wrong with one message of the call; that message was not kept."""

    index: int = Field(description="Place in the call, from 0.")
    external_id: str | None = Field(default=None, description="Where it could be read.")
    field: str | None = Field(default=None, description="The field; null for the message as such.")
    reason: Reason = Field(description="A stable code for programs.")
    detail: str = Field(description="The same for people.")


class IntakeReply(BaseModel):
    """What became of each message of the call."""

    accepted: int = Field(description="Messages that are new and kept.")
    duplicates: int = Field(description="Messages that were here before.")
    refused: int = Field(description="Messages that were not kept; `errors` says why.")
    messages: list[Taken]
    errors: list[Refused]


class PoolOut(BaseModel):
    """The group of staff that works the message."""

    name: str
    title: str


class LabelOut(BaseModel):
    """What the message is about, for the portal's routing. Not meant for patients."""

    categories: list[str] = Field(description="Names of the taxonomy, the primary one first.")
    urgency: Urgency
    provisional: bool = Field(description="True while a second opinion is running.")


class StatusReply(BaseModel):
    """How a message stands."""

    id: UUID
    external_id: str
    received_at: datetime
    status: Status
    processing: bool = Field(description="True until the message has its label.")
    patient_text: str = Field(
        description="Words for the patient's page. They never say what Carelane made of it.",
        examples=["Received. Your care team has it."],
    )
    emergency_text: str | None = Field(
        default=None,
        description="Set as soon as the message reads as if minutes counted: show it at once, "
        "above everything else.",
    )
    pool: PoolOut | None = None
    label: LabelOut | None = None


class WebhookCall(BaseModel):
    """What a portal's webhook is called with."""

    type: Literal["message.updated"]
    timestamp: datetime = Field(description="When the change was committed.")
    data: StatusReply = Field(description="How the message stands now.")


class Problem(BaseModel):
    """An error, by RFC 9457 (`application/problem+json`)."""

    type: str = Field(examples=["urn:carelane:problem:unauthorized"])
    title: str
    status: int
    detail: str = Field(description="What was wrong and what to do about it.")
    errors: list[Refused] | None = Field(
        default=None, description="Message by message, where messages were the trouble."
    )
