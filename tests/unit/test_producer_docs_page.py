"""The documentation page says everything that the OpenAPI document says."""

from __future__ import annotations

from producer.docs_page import describe, models, operations
from producer.openapi import document

DOCUMENT = document("http://127.0.0.1:8000")


def test_every_operation_is_there_with_its_answers_and_examples() -> None:
    shown = {(each.method.lower(), each.path): each for each in operations(DOCUMENT)}

    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            each = shown[(method, path)]
            assert [body.status for body in each.answers] == sorted(operation["responses"])
    taking = shown[("post", "/v1/messages")]
    assert '"external_id"' in taking.request[0].examples[0].body
    assert taking.needs_key
    assert not shown[("get", "/healthz")].needs_key


def test_every_schema_that_is_linked_to_is_on_the_page() -> None:
    anchors = {model.name for model in models(DOCUMENT)}
    types = [field.type for model in models(DOCUMENT) for field in model.fields]
    types += [body.type for each in operations(DOCUMENT) for body in each.answers if body.type]

    links = {each.schema for each in types if each.schema}

    assert links <= anchors


def test_types_are_said_in_words() -> None:
    assert describe({"anyOf": [{"type": "string"}, {"type": "null"}]}).words == "string or null"
    assert describe({"type": "array", "items": {"$ref": "#/c/s/Taken"}}).schema == "Taken"
    assert describe({"enum": ["a", "b"]}).words == "one of a, b"
