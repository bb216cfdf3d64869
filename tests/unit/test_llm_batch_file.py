"""The Batch API's files: what is asked can be answered in any order, whole or not."""

from __future__ import annotations

import json

from shared.taxonomy import Taxonomy
from workers.llm_tier.answer import label_codes
from workers.llm_tier.batch_file import read_answers, request_line
from workers.llm_tier.prompt import Asked, make_prompt

TAXONOMY = Taxonomy.load()
CODES = label_codes(TAXONOMY)


def _result(custom_id: str, content: object, *, status: int = 200, finish: str = "stop") -> str:
    body = {
        "choices": [{"finish_reason": finish, "message": {"content": content}}],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": 3},
        },
    }
    response = {"status_code": status, "body": body}
    return json.dumps({"id": "x", "custom_id": custom_id, "response": response, "error": None})


def _labels(*pairs: tuple[str, str]) -> str:
    return json.dumps({"items": [{"i": id_, "l": code} for id_, code in pairs]})


def test_a_line_is_a_whole_chat_completion_request() -> None:
    prompt = make_prompt(TAXONOMY)

    line = request_line(
        "chunk-1", [Asked(id="bkt", text="Refill\nplease")], model="m", prompt=prompt, codes=CODES
    )

    assert "\n" not in line
    row = json.loads(line)
    assert (row["custom_id"], row["method"], row["url"]) == (
        "chunk-1",
        "POST",
        "/v1/chat/completions",
    )
    assert row["body"]["messages"][0]["content"] == prompt.prefix
    assert row["body"]["response_format"]["json_schema"]["strict"] is True


def test_answers_come_back_by_id_in_any_order() -> None:
    asked = {"one": ["bkt"], "two": ["dfg", "hjk"]}
    lines = [
        _result("two", _labels(("hjk", "A1"), ("dfg", "C3"))),
        "",
        _result("nobody", _labels(("bkt", "A1"))),
        _result("one", _labels(("bkt", "CB2"))),
    ]

    found = {each.custom_id: each for each in read_answers(lines, asked, CODES)}

    assert set(found) == {"one", "two"}
    assert found["one"].answers["bkt"].categories == ("refill", "medication")
    assert set(found["two"].answers) == {"dfg", "hjk"}
    assert found["one"].usage.cached_tokens == 3
    assert all(each.error is None for each in found.values())


def test_what_failed_or_was_cut_off_comes_with_its_reason_and_what_was_sure() -> None:
    asked = {"failed": ["bkt"], "cut": ["bkt"], "half": ["bkt", "dfg"]}
    lines = [
        _result("failed", None, status=500),
        _result("cut", _labels(("bkt", "A1")), finish="length"),
        _result("half", _labels(("bkt", "A1"))),
    ]

    found = {each.custom_id: each for each in read_answers(lines, asked, CODES)}

    reasons = {name: each.error.reason for name, each in found.items() if each.error}
    assert reasons == {"failed": "batch_line_failed", "cut": "cut_off", "half": "missing_id"}
    assert set(found["half"].answers) == {"bkt"}
