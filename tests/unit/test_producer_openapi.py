"""The OpenAPI document is valid, and its examples are what the intake takes and gives."""

from __future__ import annotations

from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from producer.openapi import document
from producer.schema import IntakeReply, MessagesIn, StatusReply, WebhookCall
from producer.validation import Limits, check_rows


def test_the_document_is_valid_openapi_31() -> None:
    validate(document("http://127.0.0.1:8000"), cls=OpenAPIV31SpecValidator)


def test_the_examples_are_true() -> None:
    paths = document("http://x")["paths"]
    post = paths["/v1/messages"]["post"]
    examples = post["requestBody"]["content"]["application/json"]["examples"]
    taken = post["responses"]["202"]["content"]["application/json"]["example"]
    standing = paths["/v1/messages/{id}"]["get"]["responses"]["200"]
    rows = [examples["one"]["value"], *examples["many"]["value"]["messages"]]

    MessagesIn.model_validate(examples["many"]["value"])
    IntakeReply.model_validate(taken)
    StatusReply.model_validate(standing["content"]["application/json"]["example"])
    call = document("http://x")["webhooks"]["messageUpdated"]["post"]["requestBody"]["content"]
    WebhookCall.model_validate(call["application/json"]["example"])
    assert check_rows(rows, Limits(text_chars=1000, messages=10)).refusals == ()
