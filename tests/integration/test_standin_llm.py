"""The stand-in as the openai client meets it, over a real connection."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import openai
import pytest

from tests.services import StandinForTests, eventually

pytestmark = pytest.mark.integration

_MESSAGES = [
    {"role": "system", "content": "You sort messages."},
    {"role": "user", "content": json.dumps({"items": [{"id": "k7", "text": "renew my pills"}]})},
]


@pytest.fixture
def client(standin_llm: StandinForTests) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        api_key="x", base_url=standin_llm.base_url, max_retries=0, timeout=20
    ) as made:
        yield made


def _ask(client: openai.OpenAI) -> str:
    answer = client.chat.completions.create(model="m", messages=_MESSAGES)  # type: ignore[arg-type]
    return answer.choices[0].message.content or ""


def test_it_answers_and_streams(client: openai.OpenAI) -> None:
    whole = _ask(client)

    with client.chat.completions.create(  # type: ignore[call-overload]
        model="m", messages=_MESSAGES, stream=True
    ) as stream:
        pieces = [event.choices[0].delta.content or "" for event in stream]

    assert json.loads(whole)["items"][0]["id"] == "k7"
    assert "".join(pieces) == whole


def test_it_lists_its_model(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["standin"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("rate_limit", openai.RateLimitError),
        ("server_error", openai.InternalServerError),
        ("bad_key", openai.AuthenticationError),
        ("model_not_found", openai.NotFoundError),
        ("content_filter_prompt", openai.BadRequestError),
        ("dropped", openai.APIConnectionError),
    ],
)
def test_a_fault_is_the_clients_own_error(
    client: openai.OpenAI, standin_llm: StandinForTests, fault: str, error: type[Exception]
) -> None:
    standin_llm.knobs(next_faults=[fault])

    with pytest.raises(error):
        _ask(client)
    assert json.loads(_ask(client))["items"]


def test_a_stream_that_is_dropped_ends_in_an_error(
    client: openai.OpenAI, standin_llm: StandinForTests
) -> None:
    standin_llm.knobs(next_faults=["dropped"])

    with (
        pytest.raises((openai.APIError, httpx.HTTPError)),
        client.chat.completions.create(  # type: ignore[call-overload]
            model="m", messages=_MESSAGES, stream=True
        ) as stream,
    ):
        list(stream)


@pytest.mark.parametrize("fault", ["slow_headers", "stalled_stream"])
def test_a_caller_that_gives_up_is_seen_to_leave(
    client: openai.OpenAI, standin_llm: StandinForTests, fault: str
) -> None:
    standin_llm.knobs(next_faults=[fault], slow_s=600)

    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).chat.completions.create(
            model="m",
            messages=_MESSAGES,  # type: ignore[arg-type]
        )

    eventually(
        lambda: standin_llm.requests()[-1]["outcome"] == "gone", what="the caller's leaving noted"
    )


def test_a_test_leaves_no_knob_turned(client: openai.OpenAI, standin_llm: StandinForTests) -> None:
    standin_llm.knobs(fault_rates={"server_error": 1.0})
    standin_llm.reset()

    assert _ask(client)
