"""Every parser of what comes from outside: whatever comes, it is read, or refused in our words.

Each example is a good document with something changed, or wild bytes. Short by default;
`make fuzz` runs long, with FUZZ_EXAMPLES per parser.
"""

from __future__ import annotations

import base64
import copy
import io
import json
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.dead_letters import open_envelope
from producer.fhir_in import NotAMessage, row_of
from producer.rows import BadRow, Row, read_rows
from producer.validation import Limits, check_rows, parse_body
from shared.errors import BundleError, InvalidInput, LanguageModelBadAnswer
from shared.taxonomy import Taxonomy
from workers.chunk import read_ids
from workers.deid.bundle import DEFAULT_BUNDLE, DeidBundle, open_bundle
from workers.fast_tier import SHIPPED
from workers.fast_tier.manifest import Manifest, read_manifest
from workers.llm_tier import answer

fuzz = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

_LIMITS = Limits(text_chars=500, messages=20)
_TEXT = st.text(max_size=12) | st.sampled_from(["", "\0", "\ud800", "\u202e", "../../x", "9" * 40])
_NUMBERS = st.integers() | st.floats() | st.sampled_from([1e308, -0.0, 2**63, 10**400])
_ANY = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)


def _changed(draw: Callable[..., Any], document: Any) -> Any:
    """The document with one to three places replaced, removed, doubled or added to."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        place, key = document, None
        for _ in range(draw(st.integers(1, 4))):
            inner = place if key is None else place[key]
            if not isinstance(inner, dict | list) or not inner:
                break
            keys = sorted(inner) if isinstance(inner, dict) else list(range(len(inner)))
            place, key = inner, draw(st.sampled_from(keys))
        if key is None:
            return draw(_ANY)
        how = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if how == "remove":
            del place[key]
        elif how == "add" and isinstance(place, dict):
            place[draw(_TEXT)] = draw(_ANY)
        else:
            place[key] = draw(_ANY)
    return document


@st.composite
def changed(draw: Callable[..., Any], document: Any) -> Any:
    """A strategy of documents that are nearly this one."""
    return _changed(draw, document)


@st.composite
def as_bytes(draw: Callable[..., Any], document: Any) -> bytes:
    """Such a document as JSON, now and then with bytes changed; or no JSON at all."""
    raw = json.dumps(_changed(draw, document), ensure_ascii=draw(st.booleans()))
    data = bytearray(raw.encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
    return draw(st.sampled_from([bytes(data), bytes(data), bytes(data), b"[" * 3_000]))


_MESSAGE = {
    "external_id": "m-1",
    "text": "Could I get a refill?",
    "patient_ref": "p-1",
    "sender": "patient",
}


@fuzz
@given(as_bytes({"messages": [_MESSAGE, {**_MESSAGE, "external_id": "m-2"}]}) | as_bytes(_MESSAGE))
def test_fuzzed_intake_json_is_taken_or_refused(body: bytes) -> None:
    try:
        rows = parse_body(body, _LIMITS)
    except InvalidInput:
        return
    checked = check_rows(rows, _LIMITS)

    named = {each.index for each in checked.drafts} | {each.index for each in checked.refusals}
    assert named == set(range(len(rows)))
    for draft in checked.drafts:
        (draft.text + draft.external_id).encode()  # Postgres takes UTF-8
        assert "\0" not in draft.text


_CSV = 'external_id;text;sender\r\nm-1;"Two\nlines ""quoted""";patient\r\nm-2;Ünlaut;\r\n'.encode()


@st.composite
def _files(draw: Callable[..., Any]) -> tuple[bytes, Literal["csv", "jsonl"]]:
    lines = b"\n".join(json.dumps({**_MESSAGE, "n": n}).encode() for n in range(3))
    kind: Literal["csv", "jsonl"] = draw(st.sampled_from(["csv", "jsonl"]))
    data = bytearray(_CSV if kind == "csv" else lines)
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        part = draw(
            st.binary(max_size=6) | st.sampled_from([b'"', b"\r", b"\n", b"\0", b";", b"\xff"])
        )
        data[at : at + draw(st.integers(0, 8))] = part
    return bytes(data), kind


@fuzz
@given(_files())
def test_fuzzed_files_are_read_or_refused_line_by_line(
    file: tuple[bytes, Literal["csv", "jsonl"]],
) -> None:
    try:
        rows = list(read_rows(io.BytesIO(file[0]), file[1]))
    except InvalidInput:
        return

    assert all(isinstance(row, Row | BadRow) for row in rows)


_COMMUNICATION = {
    "resourceType": "Communication",
    "identifier": [{"system": "urn:portal", "value": "c-1"}],
    "status": "completed",
    "subject": {"reference": "Patient/1", "identifier": {"system": "urn:mrn", "value": "1"}},
    "sender": {"reference": "RelatedPerson/2"},
    "sent": "2026-01-01T10:00:00Z",
    "payload": [
        {"contentString": "My rash is worse"},
        {
            "contentAttachment": {
                "contentType": "text/plain; charset=utf-8",
                "data": base64.b64encode(b"more of it").decode(),
            }
        },
    ],
}


@fuzz
@given(changed(_COMMUNICATION))
def test_fuzzed_fhir_is_read_or_refused_by_element(resource: Any) -> None:
    try:
        row = row_of(resource, lambda identifier: f"pseudonym of {len(identifier)}")
    except NotAMessage:
        return

    check_rows([row], _LIMITS)


@cache
def _codes() -> dict[str, answer.Answer]:
    return answer.label_codes(Taxonomy.load())


@fuzz
@given(as_bytes({"items": [{"i": "bkt", "l": "AR"}, {"i": "qrs", "l": "BU2"}]}), st.data())
def test_fuzzed_llm_answers_are_read_or_refused(raw: bytes, data: st.DataObject) -> None:
    text = raw[:5_000].decode("utf-8", "replace")
    cut = data.draw(st.integers(0, len(text)))
    reader = answer.Reader(["bkt", "qrs"], _codes())
    try:
        for piece in (text[:cut], text[cut:]):
            list(reader.feed(piece))
        reader.finish()
    except LanguageModelBadAnswer:
        pass

    assert set(reader.answers) <= {"bkt", "qrs"}
    assert set(reader.answers.values()) <= set(_codes().values())


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A folder with the files of both bundles, made once: only the manifest changes."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    for source in (SHIPPED, DEFAULT_BUNDLE):
        for file in source.iterdir():
            if file.is_file() and file.name != "bundle.json":
                (folder / file.name).unlink(missing_ok=True)
                (folder / file.name).symlink_to(file)
    return folder


def _manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "bundle.json").read_text())
    # Without the models: hashing them a thousand times would show nothing.
    for name in found["files"]:
        found["files"][name] = "0" * 64
    return found


@fuzz
@given(raw=as_bytes(_manifest(SHIPPED)))
def test_fuzzed_manifests_of_the_model_are_read_or_refused(bundle: Path, raw: bytes) -> None:
    (bundle / "bundle.json").write_bytes(raw)
    with suppress(BundleError):
        assert isinstance(read_manifest(bundle), Manifest)


@fuzz
@given(raw=as_bytes(_manifest(DEFAULT_BUNDLE)))
def test_fuzzed_manifests_of_deidentification_are_read_or_refused(bundle: Path, raw: bytes) -> None:
    (bundle / "bundle.json").write_bytes(raw)
    with suppress(BundleError):
        assert isinstance(open_bundle(bundle), DeidBundle)


_ID = "019a0000-0000-7000-8000-000000000000"


@fuzz
@given(changed([_ID, _ID, "019a0000-0000-7000-8000-000000000001"]))
def test_fuzzed_task_arguments_give_the_ids_that_are_ids(ids: Any) -> None:
    try:
        found = read_ids(ids)
    except TypeError:
        assert not isinstance(ids, list), "a list is read, whatever lies in it"
        return

    assert all(isinstance(each, UUID) for each in found)
    assert len(set(found)) == len(found)


@fuzz
@given(
    changed([[], {"ids": [_ID]}, {"callbacks": None}]),
    changed({"headers": {"task": "triage.fast"}, "properties": {}}),
    st.binary(max_size=4),
)
def test_fuzzed_task_bodies_are_opened_or_explained(body: Any, envelope: Any, noise: bytes) -> None:
    if isinstance(envelope, dict):
        envelope["body"] = base64.b64encode(json.dumps(body).encode() + noise).decode()
    for raw in (
        base64.b64encode(json.dumps(envelope).encode()).decode(),
        json.dumps(envelope),
        noise.decode("latin-1"),
    ):
        ids, why = open_envelope(raw)
        assert all(isinstance(each, UUID) for each in ids)
        assert why
