"""A part's ambiguous rows: what is to be asked, what was answered, and the labels that follow.

Answers are written down as they come, before anything is made of them: what was paid for is not
asked again after a kill.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Self

from shared.contracts import Status, Tier, Urgency
from workers.bulk.job import Job, Part
from workers.bulk.part import LABELS, WORK, mark_done, read_done
from workers.bulk.places import Folder
from workers.bulk.record import Record
from workers.bulk.table import open_table
from workers.bulk.tally import Tally
from workers.llm_tier.answer import Answer
from workers.llm_tier.sheet import INSTRUCTIONS, Sheet, label_of_answer
from workers.llm_tier.wording import normalised

#: Reason of a label that an equal message's answer gave, as in the live lanes.
_EQUAL: Final = ("equal_message",)


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkRow:
    """A row of a part that has questions."""

    record: Record
    n_chars: int
    sheet: Sheet | None  # None: nothing to ask

    @property
    def same_as(self) -> str | None:
        """Equal for messages that may share an answer; None where a red flag forbids it."""
        if self.sheet is None or self.record.red_flags:
            return None
        return hashlib.sha256(normalised(self.sheet.masked).encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolution:
    """What is known of one question."""

    answer: Answer | None = None
    reason: str | None = None  # why a person gets it
    cost_usd: Decimal | None = None
    equal: bool = False  # an equal message was asked about


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """With what is asked; goes into the labels."""

    model: str
    prompt_version: str
    taxonomy_version: str


class OpenPart:
    """A part with questions, in memory: as many rows as a part has."""

    def __init__(self, folder: Folder, job: Job, part: Part) -> None:
        self._folder = folder
        self._job = job
        self.part = part
        self.rows = list(_read_work(folder, part))
        self.resolved = dict(_read_answers(folder, part))

    @property
    def open(self) -> list[int]:
        """The places of rows that are still to be asked about."""
        return [
            place
            for place, row in enumerate(self.rows)
            if row.sheet is not None and place not in self.resolved
        ]

    def gone(self, place: int) -> bool:
        """Whether nobody waits for an answer about the row any longer, and it had none."""
        found = self.resolved.get(place)
        return place >= len(self.rows) if found is None else found.answer is None

    def groups(self) -> list[list[int]]:
        """The open places, equal messages together."""
        groups: dict[object, list[int]] = {}
        for place in self.open:
            groups.setdefault(self.rows[place].same_as or place, []).append(place)
        return list(groups.values())

    def sheet(self, place: int) -> Sheet:
        """What is asked about a row."""
        sheet = self.rows[place].sheet
        if sheet is None:
            raise ValueError(f"row {place} of {self.part.name} is no question")
        return sheet

    def resolve(self, found: Mapping[int, Resolution]) -> None:
        """Write down what is known of rows; a later word on a row counts."""
        self.resolved.update(found)
        lines = [_answer_line(place, each) for place, each in found.items()]
        self._folder.append(_answers_name(self.part), lines)

    def finish(self, asked: Asked) -> None:
        """Write the part's labels anew, with the answers; open rows keep waiting."""
        tally = Tally()
        scratch = self._folder.scratch()
        path = scratch / LABELS
        job = self._job
        try:
            with open_table(path, job.format, with_text=job.with_text) as write:
                for place, row in enumerate(self.rows):
                    record = settled(row, self.resolved.get(place), asked)
                    write(record)
                    tally.add(record, row.n_chars)
            self._folder.put(f"{LABELS}/{self.part.name}.{job.format}", path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        before = read_done(self._folder, self.part.name)
        mark_done(
            self._folder,
            self.part,
            tally,
            rejected=before.get("rejected", 0),
            seconds=before.get("seconds", 0.0),
        )
        if not self.open:
            # In this order: questions without their answers would be asked again.
            self._folder.remove(f"{WORK}/{self.part.name}.jsonl")
            self._folder.remove(_answers_name(self.part))


def open_parts(folder: Folder, job: Job, parts: Sequence[Part]) -> Iterator[Callable[[], OpenPart]]:
    """The parts that have questions, each to be opened when its turn comes."""
    names = {Path(name).stem for name in folder.names(WORK)}
    for part in parts:
        if part.name in names:
            yield lambda part=part: OpenPart(folder, job, part)  # type: ignore[misc]


def settled(row: WorkRow, found: Resolution | None, asked: Asked) -> Record:
    """A row's record, now that so much is known of it."""
    record = row.record
    if row.sheet is None or found is None:
        return record
    if found.answer is None:
        return record.for_person(found.reason or "llm_no_answer")
    before = (record.categories[0], record.urgency)
    if row.sheet.alone and before != (found.answer.categories[0], found.answer.urgency):
        return record.for_person(INSTRUCTIONS)
    label = label_of_answer(
        found.answer,
        record.flags(),
        taxonomy_version=asked.taxonomy_version,
        model=asked.model,
        prompt_version=asked.prompt_version,
    )
    label = replace(label, cost_usd=found.cost_usd)
    if found.equal:
        label = replace(label, tier=Tier.CACHE, reasons=_EQUAL, cost_usd=None)
    record = record.with_label(label, Status.LABELLED)
    return record if found.reason is None else record.for_person(found.reason)


def _read_work(folder: Folder, part: Part) -> Iterator[WorkRow]:
    # Not splitlines: a text can hold other line ends than the file's.
    for line in (folder.read(f"{WORK}/{part.name}.jsonl") or b"").split(b"\n"):
        if line:
            row = json.loads(line)
            sheet = row["sheet"]
            yield WorkRow(
                record=Record.from_dict(row["record"]),
                n_chars=row["chars"],
                sheet=sheet and Sheet(**sheet),
            )


def _answers_name(part: Part) -> str:
    return f"answers/{part.name}"


def _answer_line(place: int, found: Resolution) -> str:
    answer = found.answer
    content: dict[str, Any] = {
        **asdict(found),
        "place": place,
        "answer": answer and [list(answer.categories), answer.urgency],
        "cost_usd": None if found.cost_usd is None else str(found.cost_usd),
    }
    return json.dumps(content)


def _read_answers(folder: Folder, part: Part) -> Iterator[tuple[int, Resolution]]:
    for line in folder.journal(_answers_name(part)):
        try:
            row = json.loads(line)
        except ValueError:
            continue  # cut off by a kill
        answer, cost = row.pop("answer"), row.pop("cost_usd")
        place = row.pop("place")
        yield (
            place,
            Resolution(
                **row,
                answer=answer and Answer(categories=tuple(answer[0]), urgency=Urgency(answer[1])),
                cost_usd=None if cost is None else Decimal(cost),
            ),
        )


@dataclass(kw_only=True)
class Spending:
    """What the LLM was paid for, over all runs on this output."""

    calls: int = 0
    failed: int = 0
    messages: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: Decimal = Decimal(0)

    @classmethod
    def read(cls, folder: Folder) -> Self:
        """Add up the journal of calls."""
        total = cls()
        for line in folder.journal(CALLS):
            try:
                total.add(json.loads(line))
            except ValueError:
                continue
        return total

    def add(self, call: Mapping[str, Any]) -> None:
        """Count one call."""
        self.calls += 1
        self.failed += call["outcome"] != "ok"
        self.messages += call["messages"]
        self.prompt_tokens += call["prompt_tokens"]
        self.cached_tokens += call["cached_tokens"]
        self.completion_tokens += call["completion_tokens"]
        self.cost_usd += Decimal(call["cost_usd"])

    def as_dict(self) -> dict[str, Any]:
        """For the report."""
        return {**asdict(self), "cost_usd": str(self.cost_usd)}


CALLS: Final = "calls"
