"""The Batch API's way: requests written to files, answers read from files, nothing sent from here.

Half the price for an answer within a day. OUTPUT/batch/requests-*.jsonl are uploaded by whoever
has the account; `carelane bulk collect` takes what comes back, in any order, as often as there is
something.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, Any, Final

from shared.errors import InvalidInput
from workers.bulk.job import Job, Part
from workers.bulk.llm import Wording, shared
from workers.bulk.places import Folder, open_input
from workers.bulk.questions import CALLS, OpenPart, Resolution, open_parts
from workers.llm_tier.batch_file import MOST_LINES, BatchAnswer, read_answers, request_line
from workers.llm_tier.prompt import Asked, new_ids
from workers.llm_tier.tier import Question, pack

FOLDER: Final = "batch"
_WRITTEN: Final = f"{FOLDER}/written.json"
_COLLECTED: Final = f"{FOLDER}/collected"
#: OpenAI's bound is 200 MB a file.
_MOST_BYTES: Final = 190_000_000
#: What providers charge of the usual price.
DISCOUNT: Final = Decimal("0.5")
#: Reason of a message that a batch left out and that is waited for no longer.
NO_ANSWER: Final = "llm_no_answer"


def write_requests(
    folder: Folder, job: Job, parts: Sequence[Part], wording: Wording, model: str, messages: int
) -> list[str]:
    """Write the request files of all open questions, once; returns their names."""
    written = folder.read(_WRITTEN)
    if written is None:
        writer = _Writer(folder)
        for opened in open_parts(folder, job, parts):
            for line, asked in _requests(opened(), wording, model, messages):
                writer.write(line, asked)
        writer.close()
        # Last of all: requests that may have been sent must never be made anew, with other ids.
        folder.write(_WRITTEN, json.dumps(writer.names).encode())
        return writer.names
    names: list[str] = json.loads(written)
    return names


def _requests(
    part: OpenPart, wording: Wording, model: str, messages: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    groups = part.groups()
    sheets = [part.sheet(group[0]) for group in groups]
    questions = [Question(text=sheet.text, alone=sheet.alone) for sheet in sheets]
    for number, places in enumerate(pack(questions, most_messages=messages)):
        ids = new_ids(len(places))
        asked = [Asked(id=id_, text=questions[p].text) for id_, p in zip(ids, places, strict=True)]
        custom_id = f"{part.part.name}-{number:06d}"
        line = request_line(
            custom_id, asked, model=model, prompt=wording.prompt, codes=wording.codes
        )
        rows = {id_: groups[p] for id_, p in zip(ids, places, strict=True)}
        yield line, {"custom_id": custom_id, "part": part.part.number, "rows": rows}


class _Writer:
    """Request files beside the notes of what they ask, begun anew when one is full."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._scratch = folder.scratch()
        self._files: tuple[IO[str], IO[str]] | None = None
        self._lines = self._bytes = 0
        self.names: list[str] = []

    def write(self, line: str, asked: Mapping[str, Any]) -> None:
        size = len(line.encode()) + 1
        if self._lines == MOST_LINES or self._bytes + size > _MOST_BYTES:
            self._publish()
        if self._files is None:
            self._files = (self._open("requests"), self._open("asked"))
            self._lines = self._bytes = 0
        self._files[0].write(line + "\n")
        self._files[1].write(json.dumps(asked) + "\n")
        self._lines += 1
        self._bytes += size

    def close(self) -> None:
        self._publish()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _open(self, name: str) -> IO[str]:
        return (self._scratch / name).open("w", encoding="utf-8")

    def _publish(self) -> None:
        if self._files is None:
            return
        for file in self._files:
            file.close()
        self._files = None
        number = len(self.names)
        self._folder.put(f"{FOLDER}/asked-{number:04d}.jsonl", self._scratch / "asked")
        name = f"{FOLDER}/requests-{number:04d}.jsonl"
        self._folder.put(name, self._scratch / "requests")
        self.names.append(name)


@dataclass
class Collected:
    """What a collection brought."""

    lines: int = 0  # of results that were asked for and are new
    answered: int = 0  # messages
    failed: int = 0  # messages that go to a person because of it
    late: int = 0  # messages that were given up before their answer came


def collect(
    folder: Folder,
    job: Job,
    parts: Sequence[Part],
    results: Sequence[str],
    wording: Wording,
    model: str,
    *,
    give_up: bool,
) -> Collected:
    """Take the answers in `results`. `give_up`: what is still open goes to people.

    Raises:
        InvalidInput: no requests were written, or none of the results answers one.
    """
    written = folder.read(_WRITTEN)
    if written is None:
        raise InvalidInput(
            f"{job.output} has no request files yet: its run was ended before. Go on with the "
            "command that began it."
        )
    found = Collected()
    known = {line.strip() for line in folder.journal(_COLLECTED)}
    for number in range(len(json.loads(written))):
        asked = _asked(folder, number)
        for name in results:
            fresh = _fresh(name, asked, known, wording)
            _take(folder, job, parts, fresh, asked, wording, found)
    if results and not found.lines and not known:
        raise InvalidInput("none of the results answers a request of this run.")
    for opened in open_parts(folder, job, parts):
        part = opened()
        if give_up and part.open:
            found.failed += len(part.open)
            part.resolve({place: Resolution(reason=NO_ANSWER) for place in part.open})
        if part.resolved:
            part.finish(wording.asked(model))
    return found


def _asked(folder: Folder, number: int) -> dict[str, dict[str, Any]]:
    raw = folder.read(f"{FOLDER}/asked-{number:04d}.jsonl") or b""
    rows = (json.loads(line) for line in raw.splitlines())
    return {row["custom_id"]: row for row in rows}


def _fresh(
    name: str, asked: Mapping[str, Mapping[str, Any]], known: set[str], wording: Wording
) -> Iterator[BatchAnswer]:
    with open_input(name) as stream:
        lines = (line.decode("utf-8", "replace") for line in stream)
        ids = {custom_id: list(row["rows"]) for custom_id, row in asked.items()}
        for each in read_answers(lines, ids, wording.codes):
            if each.custom_id not in known:
                known.add(each.custom_id)
                yield each


def _take(
    folder: Folder,
    job: Job,
    parts: Sequence[Part],
    answers: Iterator[BatchAnswer],
    asked: Mapping[str, Mapping[str, Any]],
    wording: Wording,
    found: Collected,
) -> None:
    by_part: dict[int, list[BatchAnswer]] = {}
    for each in answers:
        by_part.setdefault(asked[each.custom_id]["part"], []).append(each)
    for number, theirs in sorted(by_part.items()):
        part = OpenPart(folder, job, parts[number])
        for each in theirs:
            cost = wording.prices.cost_usd(each.usage) * DISCOUNT
            rows = asked[each.custom_id]["rows"]
            heard = dict(_resolutions(each, rows, cost))
            waiting = set(part.open)
            resolved = {place: one for place, one in heard.items() if place in waiting}
            if resolved:
                part.resolve(resolved)
            found.lines += 1
            found.late += sum(1 for place, one in heard.items() if one.answer and part.gone(place))
            found.answered += sum(1 for one in resolved.values() if one.answer is not None)
            found.failed += sum(1 for one in resolved.values() if one.answer is None)
            folder.append(CALLS, [json.dumps(_call(each, len(rows), cost))])
        folder.append(_COLLECTED, [each.custom_id for each in theirs])


def _resolutions(
    each: BatchAnswer, rows: Mapping[str, Sequence[int]], cost: Decimal
) -> Iterator[tuple[int, Resolution]]:
    reason = f"llm_{each.error.reason}" if each.error else NO_ANSWER
    for id_, places in rows.items():
        answer = each.answers.get(id_)
        found = Resolution(reason=reason)
        if answer is not None:
            found = Resolution(answer=answer, cost_usd=cost / len(rows))
        yield from shared(places, found).items()


def _call(each: BatchAnswer, messages: int, cost: Decimal) -> dict[str, Any]:
    return {
        "outcome": each.error.reason if each.error else "ok",
        "messages": messages,
        "prompt_tokens": each.usage.prompt_tokens,
        "cached_tokens": each.usage.cached_tokens,
        "completion_tokens": each.usage.completion_tokens,
        "cost_usd": str(cost),
    }
