"""The Batch API's file format: requests out, answers in, for work that can wait a day. Pure.

One line of JSON per call, as OpenAI and compatible servers take it (platform.openai.com/docs,
"Batch API"): half the price, answers within 24 hours, in any order. The prompt is the live
tier's, so that both label alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import LanguageModelBadAnswer, LanguageModelError
from workers.llm_tier import answer
from workers.llm_tier.answer import Answer
from workers.llm_tier.chat import ChatRequest, Usage
from workers.llm_tier.dialect import response_format
from workers.llm_tier.prompt import Asked, Prompt, question

URL: Final = "/v1/chat/completions"
#: OpenAI's bound on one file; its other one is 200 MB.
MOST_LINES: Final = 50_000


@dataclass(frozen=True, kw_only=True)
class BatchAnswer:
    """What came back for one line."""

    custom_id: str
    answers: Mapping[str, Answer]  # by the ids that were asked
    usage: Usage
    error: LanguageModelError | None = None


def request_line(
    custom_id: str,
    asked: Sequence[Asked],
    *,
    model: str,
    prompt: Prompt,
    codes: Mapping[str, Answer],
) -> str:
    """One call as a line of the request file. `asked` texts must be de-identified."""
    request = ChatRequest(
        system=prompt.prefix,
        user=question(asked),
        schema=answer.schema(codes),
        schema_name=answer.SCHEMA_NAME,
        max_tokens=answer.max_tokens(len(asked)),
    )
    body = {
        "model": model,
        "messages": [
            {"role": "system", "content": request.system},
            {"role": "user", "content": request.user},
        ],
        "response_format": response_format("json_schema", request),
        "temperature": 0,
        "max_completion_tokens": request.max_tokens,
    }
    line = {"custom_id": custom_id, "method": "POST", "url": URL, "body": body}
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def read_answers(
    lines: Iterable[str], asked: Mapping[str, Sequence[str]], codes: Mapping[str, Answer]
) -> Iterator[BatchAnswer]:
    """The answers of a result or error file; `asked` holds each line's message ids.

    Lines that nobody asked for are passed over; what cannot be used comes with its error.
    """
    for line in lines:
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            continue
        custom_id = row.get("custom_id") if isinstance(row, dict) else None
        if isinstance(custom_id, str) and custom_id in asked:
            yield _read(custom_id, row, asked[custom_id], codes)


def _read(
    custom_id: str, row: Mapping[str, Any], ids: Sequence[str], codes: Mapping[str, Answer]
) -> BatchAnswer:
    reader = answer.Reader(ids, codes)
    usage, error = Usage(), None
    try:
        body = _body(row)
        usage = _usage(body)
        for _ in reader.feed(_content(body)):
            pass
        reader.finish()
    except LanguageModelError as raised:
        error = raised
    sure = {id_: found for id_, found in reader.answers.items() if id_ not in reader.doubled}
    return BatchAnswer(custom_id=custom_id, answers=sure, usage=usage, error=error)


def _body(row: Mapping[str, Any]) -> Mapping[str, Any]:
    response = row.get("response")
    if row.get("error") or not isinstance(response, dict) or response.get("status_code") != 200:
        raise LanguageModelBadAnswer("batch_line_failed", "the batch did not answer this line")
    body = response.get("body")
    if not isinstance(body, dict):
        raise LanguageModelBadAnswer("shape", "the line has no body")
    return body


def _content(body: Mapping[str, Any]) -> str:
    try:
        choice = body["choices"][0]
        content = choice["message"]["content"]
    except (KeyError, IndexError, TypeError) as error:
        raise LanguageModelBadAnswer("empty_choices", "the line has no answer") from error
    if choice.get("finish_reason") == "length":
        raise LanguageModelBadAnswer("cut_off", "the answer was cut off by max_tokens")
    if not isinstance(content, str) or not content:
        raise LanguageModelBadAnswer("empty", "the answer is empty")
    return content


def _usage(body: Mapping[str, Any]) -> Usage:
    counted = body.get("usage") or {}
    details = counted.get("prompt_tokens_details") or {}
    return Usage(
        prompt_tokens=int(counted.get("prompt_tokens") or 0),
        cached_tokens=int(details.get("cached_tokens") or 0),
        completion_tokens=int(counted.get("completion_tokens") or 0),
    )
