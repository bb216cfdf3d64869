"""The openai client against a server of its kind: formats found out, answers streamed or whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.errors import LanguageModelMisconfigured, LanguageModelUnavailable
from shared.settings import Settings
from shared.taxonomy import Taxonomy
from tests.services import StandinForTests
from workers.llm_tier import answer
from workers.llm_tier.chat import ChatRequest
from workers.llm_tier.client import OpenAIChat
from workers.llm_tier.prompt import Asked, load_examples, make_prompt, question

pytestmark = pytest.mark.integration

TAXONOMY = Taxonomy.load()
CODES = answer.label_codes(TAXONOMY)
REQUEST = ChatRequest(
    system=make_prompt(TAXONOMY, load_examples(TAXONOMY)).prefix,
    user=question(
        [
            Asked(id="bkt", text="Please refill my metformin"),
            Asked(id="dfg", text="I want to move my appointment"),
        ]
    ),
    schema=answer.schema(CODES),
    schema_name=answer.SCHEMA_NAME,
    max_tokens=answer.max_tokens(2),
)


Make = Callable[..., OpenAIChat]


@pytest.fixture
def make_model(standin_llm: StandinForTests) -> Iterator[Make]:
    """Makes clients of the stand-in, with other settings if need be, and closes them."""
    made: list[OpenAIChat] = []
    settings = Settings(openai_api_key="standin", openai_base_url=standin_llm.base_url)

    def make(**changes: Any) -> OpenAIChat:
        made.append(OpenAIChat.from_settings(replace(settings, **changes)))
        return made[-1]

    yield make
    for model in made:
        model.close()


def _labels(model: OpenAIChat) -> tuple[dict[str, str], int]:
    pieces: list[str] = []
    reply = model.ask(REQUEST, timeout_s=10.0, on_text=pieces.append)
    read = answer.read("".join(pieces), ["bkt", "dfg"], CODES)
    assert reply.usage.prompt_tokens > 100
    return {id_: found.categories[0] for id_, found in read.items()}, len(pieces)


@pytest.mark.parametrize(
    ("formats", "found_out"),
    [
        (["json_schema", "json_object"], "json_schema"),
        (["json_object"], "json_object"),
        ([], "text"),
    ],
)
def test_what_a_server_understands_is_found_out_once_and_labels_come_in_each_format(
    standin_llm: StandinForTests, make_model: Make, formats: list[str], found_out: str
) -> None:
    standin_llm.knobs(formats=formats)
    model = make_model()

    labels, _ = _labels(model)
    tried = len(standin_llm.requests())
    _labels(model)

    assert labels == {"bkt": "refill", "dfg": "appointment"}
    assert model.dialect.format == found_out
    assert len(standin_llm.requests()) == tried + 1


def test_a_streamed_answer_comes_in_pieces_and_a_whole_one_in_one(
    standin_llm: StandinForTests,
    make_model: Make,
) -> None:
    _, streamed = _labels(make_model())
    _, whole = _labels(make_model(llm_stream=False))

    assert streamed > 3
    assert whole == 1


def test_azure_s_addresses_work(standin_llm: StandinForTests, make_model: Make) -> None:
    azure = standin_llm.base_url.replace("/v1", "/openai/v1")

    labels, _ = _labels(make_model(openai_base_url=azure))

    assert labels["bkt"] == "refill"


def test_a_server_that_accepts_no_request_at_all_is_taken_for_a_wrong_setting(
    standin_llm: StandinForTests,
    make_model: Make,
) -> None:
    standin_llm.knobs(fault_rates={"content_filter_prompt": 0.0}, formats=[])
    model = make_model(openai_base_url=standin_llm.base_url + "/nowhere")

    with pytest.raises(LanguageModelMisconfigured) as raised:
        _labels(model)

    assert "OPENAI_BASE_URL" in str(raised.value)


def test_an_answer_that_breaks_off_is_a_passing_fault(
    standin_llm: StandinForTests, make_model: Make
) -> None:
    standin_llm.knobs(next_faults=["dropped"])

    with pytest.raises(LanguageModelUnavailable):
        _labels(make_model())


def test_a_prefix_that_was_sent_before_is_counted_as_cached(
    standin_llm: StandinForTests, make_model: Make
) -> None:
    model = make_model()
    _labels(model)

    reply = model.ask(REQUEST, timeout_s=10.0, on_text=lambda _: None)

    assert reply.usage.cached_tokens > 0
