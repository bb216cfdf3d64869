"""The intake's OpenAPI 3.1 document, made from the models that check the input."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from pydantic.json_schema import models_json_schema

from producer import schema

_MODELS = (
    schema.MessageIn,
    schema.MessagesIn,
    schema.IntakeReply,
    schema.StatusReply,
    schema.WebhookCall,
    schema.Problem,
)
_DESCRIPTION = (
    "Hand patient-portal messages in and follow them. Every 2xx answer to a hand-in means: "
    "committed. Hand a message in as often as you like; `external_id` makes it one message. "
    "The same door speaks FHIR R4 under /fhir; GET /fhir/metadata describes it."
)


def document(server_url: str) -> dict[str, Any]:
    """The document, ready for JSON."""
    _, definitions = models_json_schema(
        [(model, "validation") for model in _MODELS], ref_template="#/components/schemas/{model}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Carelane intake",
            "version": version("carelane"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server_url}],
        "security": [{"apiKey": []}],
        "tags": [{"name": "messages", "description": "In at the door, and how they stand."},
                 {"name": "health", "description": "For load balancers."}],
        "paths": _paths(),
        "webhooks": {"messageUpdated": {"post": _message_updated()}},
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key from `carelane keys add SOURCE`.",
                }
            },
            "headers": {
                "RetryAfter": {
                    "description": "Seconds after which to try again.",
                    "schema": {"type": "integer", "minimum": 1},
                }
            },
        },
    }  # fmt: skip


def _ref(model: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model}"}


def _answer(
    description: str, model: str, example: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": _ref(model)}
    if example is not None:
        content["example"] = example
    return {"description": description, "content": {"application/json": content}}


def _problem(description: str, *, retry: bool = False) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": description,
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }
    if retry:
        answer["headers"] = {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}
    return answer


_ONE = {
    "external_id": "portal-2026-000123",
    "patient_ref": "p-7f3a",
    "sender": "patient",
    "text": "Could you send my lisinopril to the pharmacy on Main Street? I have 3 left.",
}
_TAKEN = {
    "accepted": 1,
    "duplicates": 0,
    "refused": 1,
    "messages": [
        {
            "index": 0,
            "external_id": "portal-2026-000123",
            "id": "019a9f3c-7c1e-7d3b-9a55-0c6d1f2e3a4b",
            "outcome": "accepted",
        }
    ],
    "errors": [
        {
            "index": 1,
            "external_id": "portal-2026-000124",
            "field": "text",
            "reason": "empty",
            "detail": "`text` has nothing to read in it",
        }
    ],
}
_STANDING = {
    "id": "019a9f3c-7c1e-7d3b-9a55-0c6d1f2e3a4b",
    "external_id": "portal-2026-000123",
    "received_at": "2026-11-20T18:20:43.123456+00:00",
    "status": "labelled",
    "processing": False,
    "patient_text": "Received. Your care team has it.",
    "emergency_text": None,
    "pool": {"name": "pharmacist", "title": "Pharmacists"},
    "label": {"categories": ["refill"], "urgency": "routine", "provisional": False},
}


def _paths() -> dict[str, Any]:
    return {
        "/v1/messages": {"post": _take_messages()},
        "/v1/messages/{id}": {"get": _show_message()},
        "/healthz": {"get": _health("Whether the process answers.", can_fail=False)},
        "/readyz": {"get": _health("Whether messages can be taken now.", can_fail=True)},
    }


def _take_messages() -> dict[str, Any]:
    return {
        "operationId": "takeMessages",
        "tags": ["messages"],
        "summary": "Hand in one message, or many",
        "description": "Good messages are kept even when others of the call are refused; the "
        "answer names each refused one by its place, field and reason.",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"anyOf": [_ref("MessageIn"), _ref("MessagesIn")]},
                    "examples": {
                        "one": {"summary": "One message", "value": _ONE},
                        "many": {
                            "summary": "Several messages",
                            "value": {"messages": [_ONE, {**_ONE, "external_id": "x-2"}]},
                        },
                    },
                }
            },
        },
        "responses": {
            "202": _answer("At least one message is new and kept.", "IntakeReply", _TAKEN),
            "200": _answer("Every kept message was here before.", "IntakeReply"),
            "400": _problem("The body is not JSON of the right shape."),
            "401": _problem("No valid API key."),
            "408": _problem("The body did not arrive in time."),
            "409": _problem("Every external_id was used before, for other content."),
            "413": _problem("Too many messages, or too many bytes, in one call."),
            "415": _problem("The body is not application/json."),
            "422": _problem("Not one message could be taken."),
            "429": _problem(
                "Too many messages from this source, or too many waiting; nothing was kept. While "
                "too many wait, a message that a red-flag rule fires on is taken all the same if "
                "it comes alone.",
                retry=True,
            ),
            "503": _problem("The database cannot be reached; send it again.", retry=True),
        },
    }


def _show_message() -> dict[str, Any]:
    return {
        "operationId": "showMessage",
        "tags": ["messages"],
        "summary": "How a message stands",
        "description": "Only messages handed in under the same source can be asked for.",
        "parameters": [
            {
                "name": "id",
                "in": "path",
                "required": True,
                "description": "The id from the hand-in.",
                "schema": {"type": "string", "format": "uuid"},
                "example": _STANDING["id"],
            }
        ],
        "responses": {
            "200": _answer("How it stands.", "StatusReply", _STANDING),
            "401": _problem("No valid API key."),
            "404": _problem("No such message of yours."),
            "503": _problem("The database cannot be reached; ask again.", retry=True),
        },
    }


def _message_updated() -> dict[str, Any]:
    def header(name: str, about: str) -> dict[str, Any]:
        return {
            "name": name,
            "in": "header",
            "required": True,
            "description": about,
            "schema": {"type": "string"},
        }

    example = {
        "type": "message.updated",
        "timestamp": "2026-11-20T18:20:44.001122+00:00",
        "data": _STANDING,
    }
    return {
        "operationId": "messageUpdated",
        "tags": ["messages"],
        "summary": "Your webhook is called when a message gets or changes its label",
        "description": "Set up by `carelane webhooks add SOURCE URL`. Signed by the rules of "
        "Standard Webhooks: check `webhook-signature` over `webhook-id`, `webhook-timestamp` and "
        "the body with the secret that the command printed. Calls can come twice, with the same "
        "`webhook-id`, and late: `data` is how the message stands at the time of the call.",
        "security": [],
        "parameters": [
            header("webhook-id", "The same in every try of one call."),
            header("webhook-timestamp", "Seconds since 1970; refuse what is old."),
            header("webhook-signature", "`v1,` and a base64 HMAC-SHA-256."),
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _ref("WebhookCall"), "example": example}},
        },
        "responses": {
            "2XX": {"description": "You have it. Answer within 10 s."},
            "410": {"description": "You want no more calls; the webhook is disabled."},
            "default": {"description": "You are called again, for about a day."},
        },
    }


def _health(summary: str, *, can_fail: bool) -> dict[str, Any]:
    schema_of_status = {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"const": "ok"}},
    }
    responses: dict[str, Any] = {
        "200": {
            "description": "Yes.",
            "content": {"application/json": {"schema": schema_of_status}},
        }
    }
    if can_fail:
        responses["503"] = _problem("Not now.", retry=True)
    return {
        "operationId": "ready" if can_fail else "healthy",
        "tags": ["health"],
        "summary": summary,
        "security": [],
        "responses": responses,
    }
