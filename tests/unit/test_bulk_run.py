"""`carelane bulk` as its user sees it: labels as the live lane gives, kills survived, words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine

from shared.contracts import Status
from shared.red_flags import RedFlags
from shared.settings import Settings
from tests.bulk_breaking import Breaking, hang_at_line_6
from workers import triage
from workers.bulk.cli import bulk
from workers.bulk.job import Job, Models, Part
from workers.bulk.local import EngineError, LocalEngine
from workers.bulk.part import done_parts, marks, read_done
from workers.bulk.places import LocalFolder, open_folder
from workers.bulk.plan import make_plan
from workers.bulk.record import Record
from workers.fast_tier.tier import FastTier
from workers.lease import ProcessName
from workers.patience import SystemClock
from workers.runtime import Runtime
from workers.store import Claimed
from workers.verdict import Verdict

#: The planted identifiers; none may come out but in the text where it was asked for.
CANARIES = ("Zebediah Quillfeather", "zq@canary.example", "918-555-0142", "MRN 77120934")
TEXTS = (
    "Need a refill of my lisinopril 10 mg please, two tablets left",
    "I have crushing chest pain and my left arm is numb",
    (
        f"This is {CANARIES[0]}, {CANARIES[1]}, call {CANARIES[2]}, {CANARIES[3]}. I feel odd "
        "since the new pills, is that to be expected, and what about my bill?"
    ),
    "Could you move my appointment from Monday to Thursday?",
    "Tengo mucha fiebre desde ayer y no sé qué tomar",
    "What does the high potassium in my blood test mean?",
    "Thanks!",
    "hm, the thing from last time again, you know, with the form and the other one",
)
ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-c", "from workers.bulk.cli import bulk; bulk()")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(bulk, list(arguments))


def write_input(path: Path, copies: int = 1) -> None:
    rows = [{"id": f"m-{n}", "text": text} for n, text in enumerate(TEXTS * copies)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def labels_in(output: Path) -> list[dict[str, Any]]:
    files = sorted((output / "labels").iterdir())
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def all_files(output: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(output.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(output)), path.read_bytes()


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Result]:
    folder = tmp_path_factory.mktemp("bulk")
    write_input(folder / "in.jsonl")
    with (folder / "in.jsonl").open("a") as file:
        file.write("no json\n")
    output = folder / "out"
    arguments = (str(folder / "in.jsonl"), str(output), "--processes=1", "--rows-per-part=3")
    return folder / "in.jsonl", output, run(*arguments)


def test_a_module_in_the_folder_where_it_is_run_is_not_taken_for_the_librarys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_input(tmp_path / "in.jsonl")
    (tmp_path / "selectors.py").write_text("raise SystemExit('ran a file of the user')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)

    result = run("in.jsonl", "out", "--processes=1")

    assert result.exit_code == 0, result.output
    assert len(labels_in(tmp_path / "out")) == len(TEXTS)


@cache
def live() -> list[dict[str, Any]]:
    """What the live fast worker settles for the messages."""
    return json.loads(json.dumps(list(_live())))  # type: ignore[no-any-return]


def _live() -> Iterator[Mapping[str, Any]]:
    rules = RedFlags.load()
    runtime = Runtime(
        settings=Settings(),
        engine=create_engine("postgresql+psycopg2://nowhere"),
        process=ProcessName.of_pid(os.getpid()),
        clock=SystemClock(),
        labeller=FastTier.load(),
    )
    for number, text in enumerate(TEXTS):
        flags = rules.find(text)
        row = Claimed(
            id=uuid4(),
            text=text,
            red_flags=flags,
            attempts=1,
            received_at=SystemClock().now(),
        )
        outcome = triage.judge(row, runtime)
        assert outcome.label is not None
        verdict = Verdict(
            status=outcome.status,
            label=outcome.label,
            reason=outcome.reason,
            language=outcome.language,
        )
        yield Record.of(f"m-{number}", verdict, flags, None).as_dict()


def test_labels_are_those_of_the_live_worker(labelled: tuple[Path, Path, Result]) -> None:
    _, output, _ = labelled

    assert labels_in(output) == live()


def test_the_report_counts_and_rejects_name_their_line(
    labelled: tuple[Path, Path, Result],
) -> None:
    _, output, result = labelled

    assert result.exit_code == 1
    assert "8 messages, 1 rows rejected" in result.stdout
    report = json.loads((output / "report.json").read_text())
    assert report["status"] == {
        status: sum(row["status"] == status for row in labels_in(output))
        for status in ("labelled", "needs_review")
    }
    assert report["slices"]["language"]["es"] == {"messages": 1, "labelled": 0}
    assert [json.loads(line) for line in (output / "rejects.jsonl").read_text().splitlines()] == [
        {"line": 9, "problem": "not JSON (JSONDecodeError)"}
    ]


def test_no_identifier_comes_out_unless_the_text_was_asked_for(
    labelled: tuple[Path, Path, Result], tmp_path: Path
) -> None:
    source, output, result = labelled

    for name, content in (*all_files(output), ("the terminal", result.output.encode())):
        found = [each for each in CANARIES if each.encode() in content]
        assert not found, f"{found} in {name}"

    with_text = tmp_path / "with-text"
    run(str(source), str(with_text), "--processes=1", "--with-text")
    assert [row["text"] for row in labels_in(with_text)] == list(TEXTS)


def test_a_second_run_repeats_nothing(labelled: tuple[Path, Path, Result]) -> None:
    source, output, _ = labelled
    before = {path: path.stat().st_mtime_ns for path in (output / "labels").iterdir()}

    result = run(str(source), str(output), "--processes=1")

    assert result.exit_code == 1
    assert {path: path.stat().st_mtime_ns for path in (output / "labels").iterdir()} == before


@pytest.mark.parametrize(
    ("changed", "options", "words"),
    [
        (True, (), "the input's content"),
        (False, ("--with-text",), "--with-text was no, is yes"),
        (False, ("--format=csv",), "--format was jsonl, is csv"),
    ],
)
def test_going_on_with_something_else_is_refused(
    labelled: tuple[Path, Path, Result],
    tmp_path: Path,
    changed: bool,
    options: tuple[str, ...],
    words: str,
) -> None:
    source, output, _ = labelled
    other = tmp_path / "in.jsonl"
    other.write_bytes(source.read_bytes() + (b'{"text": "one more"}\n' if changed else b""))

    result = run(str(other), str(output), "--processes=1", *options)

    assert words in str(result.exception)


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    write_input(tmp_path / "in.jsonl")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")

    result = run(str(tmp_path / "in.jsonl"), str(tmp_path / "out"))

    assert "holds other files (thesis.txt)" in str(result.exception)


def until(condition: Any, what: str) -> None:
    deadline_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline_s, f"not within a minute: {what}"
        time.sleep(0.02)


def test_a_run_that_was_killed_goes_on_without_repeating_or_losing(tmp_path: Path) -> None:
    write_input(tmp_path / "in.jsonl", copies=15)
    output = tmp_path / "out"
    arguments = (str(tmp_path / "in.jsonl"), str(output), "--processes=2", "--rows-per-part=4")
    process = subprocess.Popen([*COMMAND, *arguments], cwd=ROOT)
    until(lambda: len(list(output.glob("done/*"))) >= 3, "three parts")
    process.kill()
    process.wait()
    before = {path.name: path.stat().st_mtime_ns for path in output.glob("done/*")}

    result = run(*arguments)

    assert result.exit_code == 0, result.output
    after = {path.name: path.stat().st_mtime_ns for path in output.glob("done/*")}
    assert len(before) < len(after) == 30
    assert {name: after[name] for name in before} == before
    labels = [{**row, "id": f"m-{n}"} for n, row in enumerate(live() * 15)]
    assert labels_in(output) == labels


def job_for(tmp_path: Path) -> tuple[Job, tuple[Part, ...]]:
    write_input(tmp_path / "in.jsonl")
    plan = make_plan(str(tmp_path / "in.jsonl"), "jsonl", "text", 4)
    job = Job(
        source=str(tmp_path / "in.jsonl"),
        output=str(tmp_path / "out"),
        kind="jsonl",
        field="text",
        id_field="id",
        models=Models(),
    )
    return job, plan.parts


def test_a_process_killed_in_the_middle_costs_no_row(tmp_path: Path) -> None:
    job, parts = job_for(tmp_path)
    told: list[int] = []

    LocalEngine(1, label=Breaking(tmp_path, line=6, times=1)).run(job, parts, told.append)

    assert len(list(tmp_path.glob("died-*"))) == 1
    assert labels_in(tmp_path / "out") == live()
    assert sum(told) == len(TEXTS)


def test_a_line_that_kills_its_process_twice_goes_to_a_person(tmp_path: Path) -> None:
    job, parts = job_for(tmp_path)

    broken = Breaking(tmp_path, line=6, times=99, stub=True)
    LocalEngine(1, label=broken).run(job, parts, bool)

    rows = labels_in(tmp_path / "out")
    assert len(list(tmp_path.glob("died-*"))) == 2
    assert [row["id"] for row in rows] == [f"m-{n}" for n in range(len(TEXTS))]
    reasons = [row["status_reason"] for row in rows]
    assert reasons[5] == "crashed_worker"
    assert reasons[:5] + reasons[6:] == ["stub"] * 7


def test_a_process_that_hangs_is_replaced(tmp_path: Path) -> None:
    job, parts = job_for(tmp_path)

    LocalEngine(1, hangs_after_s=1.0, label=hang_at_line_6).run(job, parts, bool)

    reasons = [row["status_reason"] for row in labels_in(tmp_path / "out")]
    assert reasons == ["stub"] * 5 + ["crashed_worker"] + ["stub"] * 2


def test_a_process_with_another_bundle_ends_the_run_with_words(tmp_path: Path) -> None:
    job, parts = job_for(tmp_path)
    foreign = replace(job, models=Models(fingerprint="another"))

    with pytest.raises(EngineError, match="other models or rules"):
        LocalEngine(1).run(foreign, parts, bool)

    assert not (tmp_path / "out" / "labels").exists()


def test_ambiguous_messages_are_marked_for_people(labelled: tuple[Path, Path, Result]) -> None:
    _, output, _ = labelled

    unsure = [row for row in labels_in(output) if row["status"] == Status.NEEDS_REVIEW]

    assert unsure
    assert all(row["provisional"] and row["status_reason"] == "llm_off" for row in unsure)
    assert all(row["reasons"] for row in unsure)


@pytest.mark.parametrize("content", [b"", b'{"part": 0, "rej', b"{}", b"[]", b"\xff"])
def test_a_mark_that_cannot_be_read_leaves_its_part_undone(tmp_path: Path, content: bytes) -> None:
    folder = LocalFolder(tmp_path)
    whole = {"part": 1, "rejected": 0, "seconds": 0.1, "counts": {}}
    folder.write("done/part-000000.json", content)
    folder.write("done/part-000001.json", json.dumps(whole).encode())

    assert done_parts(folder) == {"part-000001"}
    assert list(marks(folder)) == [whole]
    assert read_done(folder, "part-000000") == {}


def test_an_address_of_a_local_file_is_written_as_a_path_is(tmp_path: Path) -> None:
    folder = open_folder(f"file://{tmp_path}/an%20output")

    folder.write("done/x", b"1")

    assert isinstance(folder, LocalFolder)
    assert (tmp_path / "an output" / "done" / "x").read_bytes() == b"1"
