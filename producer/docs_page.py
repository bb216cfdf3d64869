"""The API's documentation for people: the OpenAPI document as one plain page, no scripts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Type:
    """A type in words, with the schema to look at, if it is one of ours."""

    words: str
    schema: str | None = None


@dataclass(frozen=True, kw_only=True)
class Field:
    """One line of a schema's table, or one parameter."""

    name: str
    type: Type
    required: bool
    about: str


@dataclass(frozen=True, kw_only=True)
class Example:
    """A body to copy."""

    title: str
    body: str


@dataclass(frozen=True, kw_only=True)
class Body:
    """What goes in, or comes back with one status."""

    status: str
    about: str
    content_type: str
    type: Type | None
    examples: tuple[Example, ...]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one path."""

    id: str
    method: str
    path: str
    summary: str
    about: str
    needs_key: bool
    parameters: tuple[Field, ...]
    request: tuple[Body, ...]
    answers: tuple[Body, ...]


@dataclass(frozen=True, kw_only=True)
class Model:
    """One schema of ours."""

    name: str
    about: str
    fields: tuple[Field, ...]


def operations(document: Schema) -> tuple[Operation, ...]:
    """Every operation, in the document's order; then the calls that we make."""
    named = [*document["paths"].items()]
    named += [(f"(your webhook) {name}", each) for name, each in document["webhooks"].items()]
    return tuple(
        _operation(path, method, operation)
        for path, methods in named
        for method, operation in methods.items()
    )


def models(document: Schema) -> tuple[Model, ...]:
    """Every schema, in the document's order."""
    return tuple(
        Model(name=name, about=_about(schema), fields=tuple(_fields(schema)))
        for name, schema in document["components"]["schemas"].items()
    )


def _about(schema: Schema) -> str:
    about = str(schema.get("description", ""))
    if "enum" in schema:
        return f"{about} It is {describe(schema).words}."
    return about


def _operation(path: str, method: str, operation: Schema) -> Operation:
    request = operation.get("requestBody", {}).get("content", {})
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        about=operation.get("description", ""),
        needs_key=operation.get("security") != [],
        parameters=tuple(
            Field(
                name=each["name"],
                type=describe(each["schema"]),
                required=each.get("required", False),
                about=each.get("description", ""),
            )
            for each in operation.get("parameters", ())
        ),
        request=tuple(_body("", "", kind, content) for kind, content in request.items()),
        answers=tuple(_answers(operation["responses"])),
    )


def _answers(responses: Schema) -> Iterator[Body]:
    for status, response in sorted(responses.items()):
        content = response.get("content", {})
        for kind, each in content.items():
            yield _body(status, response["description"], kind, each)
        if not content:
            yield Body(
                status=status,
                about=response["description"],
                content_type="",
                type=None,
                examples=(),
            )


def _body(status: str, about: str, content_type: str, content: Schema) -> Body:
    examples = [
        Example(title=each.get("summary", name), body=_pretty(each["value"]))
        for name, each in content.get("examples", {}).items()
    ]
    if "example" in content:
        examples.append(Example(title="Example", body=_pretty(content["example"])))
    return Body(
        status=status,
        about=about,
        content_type=content_type,
        type=describe(content["schema"]) if "schema" in content else None,
        examples=tuple(examples),
    )


def _fields(schema: Schema) -> Iterator[Field]:
    required = schema.get("required", ())
    for name, each in schema.get("properties", {}).items():
        yield Field(
            name=name,
            type=describe(each),
            required=name in required,
            about=each.get("description", ""),
        )


def describe(schema: Schema) -> Type:
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Type(words=name, schema=name)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            parts = [describe(each) for each in schema[key]]
            named = next((part.schema for part in parts if part.schema), None)
            return Type(words=" or ".join(part.words for part in parts), schema=named)
    if "enum" in schema:
        return Type(words="one of " + ", ".join(map(str, schema["enum"])))
    if "const" in schema:
        return Type(words=f"“{schema['const']}”")
    if schema.get("type") == "array":
        items = describe(schema.get("items", {}))
        return Type(words=f"list of {items.words}", schema=items.schema)
    return Type(words=_plain(schema))


def _plain(schema: Schema) -> str:
    words = str(schema.get("format") or schema.get("type") or "anything")
    least, most = schema.get("minLength"), schema.get("maxLength")
    if least is not None and most is not None:
        return f"{words}, {least} to {most} characters"
    return words


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
