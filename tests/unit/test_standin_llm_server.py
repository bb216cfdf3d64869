"""The stand-in over its HTTP interface, without a network: API, knobs, faults, its own books."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from localstack.standin.app import build_app
from localstack.standin.desk import Desk
from localstack.standin.knobs import FAULTS, KnobError, Knobs
from localstack.standin.nearest import Answer, Corpus
from shared.taxonomy import Taxonomy

_CORPUS = Corpus(
    [
        (
            "please renew my metformin prescription",
            Answer(categories=("refill",), urgency="routine"),
        ),
        ("crushing chest pain right now", Answer(categories=("symptom",), urgency="emergent")),
    ]
)
_ITEMS = [
    {"id": "k7", "text": "please renew my metformin prescription"},
    {"id": "p2", "text": "crushing chest pain right now"},
]


@pytest.fixture
def client() -> FlaskClient:
    return build_app(Desk(Knobs(), _CORPUS, Taxonomy.load())).test_client()


def _body(**more: Any) -> dict[str, Any]:
    system = {"role": "system", "content": "You sort messages for a clinic. " * 300}
    user = {"role": "user", "content": json.dumps({"items": _ITEMS})}
    return {
        "model": "m",
        "messages": [system, user],
        "response_format": {"type": "json_object"},
    } | more


def _ask(client: FlaskClient, **more: Any) -> Any:
    return client.post("/v1/chat/completions", json=_body(**more))


def _turn(client: FlaskClient, **knobs: Any) -> None:
    assert client.post("/standin/knobs", json=knobs).status_code == 200


def _content(answer: Any) -> Any:
    return json.loads(answer.json["choices"][0]["message"]["content"])


def _events(answer: Any) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_an_answer_has_the_labels_the_bill_and_the_mark_of_the_stand_in(
    client: FlaskClient,
) -> None:
    answer = _ask(client)

    assert _content(answer)["items"] == [
        {"id": "k7", "c": ["C"], "u": "3"},
        {"id": "p2", "c": ["A"], "u": "1"},
    ]
    assert answer.json["system_fingerprint"] == "standin"
    assert answer.json["usage"]["prompt_tokens"] > 1000
    assert answer.json["usage"]["completion_tokens"] > 10


def test_a_stream_says_the_same_in_pieces_with_the_bill_at_the_end(client: FlaskClient) -> None:
    whole = _ask(client).json["choices"][0]["message"]["content"]

    events = _events(_ask(client, stream=True, stream_options={"include_usage": True}))

    pieces = [e["choices"][0]["delta"].get("content", "") for e in events if e["choices"]]
    assert "".join(pieces) == whole
    assert len(pieces) > 10
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["completion_tokens"] == len([piece for piece in pieces if piece])


def test_a_prefix_seen_before_is_billed_as_cached(client: FlaskClient) -> None:
    def cached(**more: Any) -> int:
        details = _ask(client, **more).json["usage"]["prompt_tokens_details"]
        return int(details["cached_tokens"])

    first = cached()
    second = cached()
    other = cached(messages=[{"role": "system", "content": "Other words. " * 500}])

    assert first == 0
    assert second >= 1024
    assert second % 128 == 0
    assert other == 0


def test_an_answer_longer_than_allowed_is_cut_off(client: FlaskClient) -> None:
    answer = _ask(client, max_tokens=5).json

    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 5


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        *(("rate_limit", 429), ("rate_limit_bare", 429), ("server_error", 500)),
        *(("overloaded", 503), ("bad_key", 401), ("model_not_found", 404)),
        ("content_filter_prompt", 400),
    ],
)
def test_an_error_has_its_status_and_costs_nothing(
    client: FlaskClient, fault: str, status: int
) -> None:
    _turn(client, next_faults=[fault], retry_after_s=7)

    answer = _ask(client)

    assert answer.status_code == status
    assert answer.json["error"]["message"]
    assert answer.headers.get("Retry-After") == ("7" if fault == "rate_limit" else None)
    call = client.get("/standin/requests").json["requests"][-1]
    assert (call["outcome"], call["prompt_tokens"], call["completion_tokens"]) == ("failed", 0, 0)


def test_next_faults_come_in_order_and_then_all_is_well(client: FlaskClient) -> None:
    _turn(client, next_faults=["server_error", "", "overloaded"])

    statuses = [_ask(client).status_code for _ in range(4)]

    assert statuses == [500, 200, 503, 200]


def test_a_text_can_be_made_to_fail_its_call(client: FlaskClient) -> None:
    _turn(client, fail_if_text_contains={"metformin": "refusal"})

    hit = _ask(client).json["choices"][0]["message"]
    other = _ask(client, messages=[{"role": "user", "content": "hello"}])

    assert hit["content"] is None
    assert hit["refusal"]
    assert _content(other)["items"]


def test_a_share_of_calls_can_fail(client: FlaskClient) -> None:
    _turn(client, fault_rates={"server_error": 0.5})

    statuses = {_ask(client).status_code for _ in range(60)}

    assert statuses == {200, 500}


@pytest.mark.parametrize("fault", ["malformed_json", "cut_off"])
def test_content_that_is_no_json(client: FlaskClient, fault: str) -> None:
    _turn(client, next_faults=[fault])

    content = _ask(client).json["choices"][0]["message"]["content"]

    with pytest.raises(ValueError, match=r"."):
        json.loads(content)


def test_empty_choices_and_a_filtered_answer(client: FlaskClient) -> None:
    _turn(client, next_faults=["empty_choices", "content_filter"])

    empty = _ask(client).json
    filtered = _ask(client).json["choices"][0]

    assert empty["choices"] == []
    assert filtered["message"]["content"] is None
    assert filtered["finish_reason"] == "content_filter"


def test_every_fault_can_be_ordered(client: FlaskClient) -> None:
    _turn(client, slow_s=0)
    for fault in FAULTS:
        _turn(client, next_faults=[fault])
        _ask(client)

    calls = client.get("/standin/requests").json["requests"]

    assert [call["fault"] for call in calls] == list(FAULTS)
    assert "running" not in {call["outcome"] for call in calls}


def test_a_server_without_schemas_a_closed_key_and_an_unknown_model(client: FlaskClient) -> None:
    _turn(client, formats=["json_object"])
    no_schema = _ask(client, response_format={"type": "json_schema", "json_schema": {}})
    _turn(client, models=["only-this"])
    no_model = _ask(client)
    _turn(client, models=["m"], api_key="secret")
    no_key = _ask(client)
    client.environ_base["HTTP_AUTHORIZATION"] = "Bearer secret"
    good = _ask(client)

    statuses = [each.status_code for each in (no_schema, no_model, no_key, good)]
    assert statuses == [400, 404, 401, 200]


def test_azures_addresses_answer_too(client: FlaskClient) -> None:
    path = "/openai/deployments/mini/chat/completions?api-version=2024-10-21"

    answer = client.post(path, json={k: v for k, v in _body().items() if k != "model"})

    assert answer.json["model"] == "mini"


def test_the_books_show_what_was_received(client: FlaskClient) -> None:
    _ask(client)

    call = client.get("/standin/requests").json["requests"][0]

    assert call["ids"] == ["k7", "p2"]
    assert "crushing chest pain" in call["content"]
    assert call["outcome"] == "answered"


def test_reset_puts_knobs_and_books_back(client: FlaskClient) -> None:
    _turn(client, fault_rates={"server_error": 1.0})
    _ask(client)

    client.post("/standin/reset", json={})

    assert client.get("/standin/requests").json["requests"] == []
    assert _ask(client).status_code == 200


@pytest.mark.parametrize(
    "knobs", [{"no_such": 1}, {"latency_mean_s": "soon"}, {"next_faults": ["no such fault"]}]
)
def test_a_wrong_knob_is_refused_with_what_there_is(
    client: FlaskClient, knobs: dict[str, Any]
) -> None:
    answer = client.post("/standin/knobs", json=knobs)

    assert answer.status_code == 400
    assert "knob" in answer.json["error"] or "there are" in answer.json["error"]


def test_knobs_come_from_the_environment() -> None:
    knobs = Knobs.from_env(
        {
            "STANDIN_LATENCY_MEAN_S": "2.3",
            "STANDIN_FAULT_RATES": "rate_limit=0.02, refusal=0.01",
            "STANDIN_OBEYS_INJECTIONS": "1",
            "STANDIN_MODELS": "a,b",
        }
    )

    assert knobs.latency_mean_s == 2.3
    assert knobs.fault_rates == {"rate_limit": 0.02, "refusal": 0.01}
    assert knobs.obeys_injections
    assert knobs.models == ("a", "b")


def test_latency_has_the_mean_that_was_asked_for() -> None:
    import random

    chance = random.Random(1)
    knobs = Knobs(latency_mean_s=2.3, latency_sigma=0.5)

    drawn = [knobs.latency_s(chance) for _ in range(20_000)]

    assert sum(drawn) / len(drawn) == pytest.approx(2.3, rel=0.03)
    assert Knobs().latency_s(chance) == 0


def test_an_unknown_fault_in_the_environment_stops_the_start() -> None:
    with pytest.raises(KnobError, match="no fault"):
        Knobs.from_env({"STANDIN_NEXT_FAULTS": "earthquake"})
