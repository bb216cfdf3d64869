"""Planted identifiers go every way through the whole, and are found nowhere but in the table."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

from bench.stack import Stack
from dashboard.permissions import Role
from shared.contracts import Lane
from shared.taxonomy import Taxonomy
from tests.dashboard_pages import PASSWORD, add_user
from tests.otlp_receiver import Receiver, receiver
from tests.services import (
    LocalStackForTests,
    PostgresForTests,
    StandinForTests,
    environment,
    eventually,
)
from tests.whole import Whole, unwrapped, whole
from workers import routing
from workers.fast_tier.tier import FastTier

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]
__all__ = ["whole"]

#: Where a message's words may lie: in the message, and in the index that its search needs.
_HOME = {("messages", "text"), ("message_words", "words")}

_METRICS_TOKEN = "let-me-read"

_SURE = (
    "Please refill my lisinopril 20 mg tablets, I have three pills left.",
    "I need a refill of my metformin 500 mg, the bottle says no refills left.",
    "Can I get a refill of my atorvastatin 40 mg? I will run out on Friday.",
    "I would like to cancel my appointment next Tuesday morning and pick another day.",
    "I got a bill for $240 for my visit, but my insurance says it was covered.",
)
_UNSURE = (
    "Is that number from last time the one we talked about, or should it be different now?",
    "It happened again like before, do you want me to do the same thing or come in?",
    "The lady on the phone said to write here about what the other office told us.",
    "My knee is a bit worse and the form for work is still missing, and what about the pills?",
    "He said it was fine but I am not so certain any more, what do you think of it?",
)
_LLM_TROUBLE = (
    *("server_error", "", "malformed_json", "wrong_id", "", "dropped", "missing_id", ""),
    *("refusal", "", "rate_limit", "content_filter", ""),
)
_NAMES = (
    ("Marguerite", "Oyelaran"),
    ("Tobias", "Lindqvist"),
    ("Priscilla", "Kowalczyk"),
    ("Demetrius", "Abernathy"),
    ("Rosalind", "Featherstone"),
    ("Guillermo", "Zambrano"),
    ("Henrietta", "Vandermeer"),
    ("Cornelius", "Okonkwo"),
    ("Anastasia", "Bergstrom"),
    ("Leopold", "Castellanos"),
)


@dataclass(frozen=True)
class Patient:
    """One person's identifiers, each found nowhere else in the world of this test."""

    first: str
    last: str
    number: int

    @property
    def phone(self) -> str:
        return f"(415) 555-01{self.number:02d}"

    @property
    def email(self) -> str:
        return f"{self.last.lower()}.{self.number}@example.org"

    @property
    def ssn(self) -> str:
        return f"219-09-{9100 + self.number}"

    @property
    def record(self) -> str:
        return f"55{self.number:02d}8723"

    @property
    def street(self) -> str:
        return f"{4400 + self.number} Wisteria Lane"

    def planted(self) -> tuple[str, ...]:
        """What must not be found."""
        return (self.first, self.last, self.phone, self.email, self.ssn, self.record, self.street)

    def writes(self, request: str) -> str:
        """A message with all of it."""
        return (
            f"Hi, this is {self.first} {self.last}, MRN {self.record}. {request} "
            f"You can call me at {self.phone} or write to {self.email}. My SSN is {self.ssn}. "
            f"I live at {self.street}, Springfield, IL 62704.\nThank you, {self.first} {self.last}"
        )


PATIENTS = [Patient(first, last, n) for n, (first, last) in enumerate(_NAMES, 10)]
PLANTED = [value for patient in PATIENTS for value in patient.planted()]


def found_in(haystack: str) -> list[str]:
    """The planted values that can be read in a text."""
    lowered = haystack.lower()
    return [value for value in PLANTED if value.lower() in lowered]


def sure_and_unsure() -> tuple[list[str], list[str]]:
    """Messages with identifiers, by what the shipped model makes of them."""
    tier = FastTier.load(taxonomy=Taxonomy.load())
    sure, unsure = [], []
    for patient, request in zip(PATIENTS, (*_SURE, *_UNSURE), strict=True):
        message = patient.writes(request)
        accepted = routing.decide(tier.score(message), (), tier.policy).accepted
        (sure if accepted else unsure).append(message)
    return sure, unsure


def test_planted_identifiers_are_found_nowhere_but_in_the_messages(
    whole: Whole,
    standin_llm: StandinForTests,
    postgres: PostgresForTests,
    localstack: LocalStackForTests,
    collector: Receiver,
    tmp_path: Path,
) -> None:
    _make_louder(whole, tmp_path, collector)
    whole.stack.start("intake", "relay", "dashboard")
    sure, unsure = sure_and_unsure()
    places: dict[str, str] = {}

    # In by the API, by the command line, and refused at the door in every way.
    whole.submit(sure + unsure)
    places["answers to bad calls"] = _call_badly(whole)
    places["carelane submit"] = _submit_by_hand(whole, tmp_path)
    eventually(lambda: not whole.rows("SELECT 1 FROM outbox"), what="everything sent")
    places["fast queue"] = _bodies(whole, Lane.FAST) + _bodies(whole, Lane.PRIORITY)

    # Through the fast tier; killed in the middle, so that leases and attempts play a part.
    whole.stack.start("fast")
    whole.stack.processes.wait_for_log("fast", "ready.")
    whole.stack.processes.kill("fast")
    whole.stack.start("fast", "sweeper")
    eventually(whole.no_more("queued"), what="all through the fast tier", timeout_s=90)
    eventually(lambda: not whole.rows("SELECT 1 FROM outbox"), what="everything sent")
    places["llm queue"] = _bodies(whole, Lane.LLM)

    # What was escalated becomes a dead letter, and comes home by the sweeper.
    whole.set_queue(Lane.LLM, visibility_s=6, max_receives=1)
    # SQS moves a message when it is asked for once too often.
    eventually(
        lambda: not whole.peek(Lane.LLM) and whole.peek(Lane.LLM, dead=True), what="dead letters"
    )
    places["dead letters"] = _bodies(whole, Lane.LLM, dead=True)
    whole.set_queue(Lane.LLM, visibility_s=6, max_receives=50)

    # Through the LLM tier, which fails in many ways; never so often in a row that it is let alone.
    standin_llm.knobs(next_faults=_LLM_TROUBLE, retry_after_s=0.2)
    whole.stack.start("llm")
    whole.settle(timeout_s=120)

    # The same once more: what was answered comes out of the cache.
    whole.submit(unsure)
    whole.settle(timeout_s=120)

    # Looked at, and looked for, on the dashboard.
    _read_and_search(whole)
    places |= _metrics(whole)

    places |= _collect(whole, standin_llm, postgres, localstack)
    tiers = {row.tier for row in whole.rows("SELECT DISTINCT tier FROM labels")}
    assert {"fast", "llm", "cache"} <= tiers, "the messages did not go every way"
    places["the traces"] = b"".join(collector.bodies).decode("utf-8", errors="replace")
    assert "[NAME_" in places["the LLM's record"], "nothing was masked"
    assert all(places.values()), (
        f"nothing was looked at in {[k for k, v in places.items() if not v]}"
    )
    assert {place: found for place, text in places.items() if (found := found_in(text))} == {}


@pytest.fixture
def collector() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def _make_louder(whole: Whole, folder: Path, collector: Receiver) -> None:
    metrics_dir = folder / "metrics"
    metrics_dir.mkdir()
    settings = replace(
        whole.settings,
        log_level="DEBUG",
        max_attempts=3,
        demo_portal=True,
        metrics_dir=metrics_dir,
        metrics_token=_METRICS_TOKEN,
        otlp_endpoint=collector.endpoint,
    )
    whole.stack = Stack(settings, folder / "logs-debug")
    whole.stack.prepare()


def _bodies(whole: Whole, lane: Lane, *, dead: bool = False) -> str:
    return "\n".join(map(unwrapped, whole.peek(lane, dead=dead)))


def _call_badly(whole: Whole) -> str:
    """Calls that are refused, or made twice, with identifiers in them."""
    patient = PATIENTS[0]
    text = patient.writes(_SURE[0])
    rows: list[object] = [
        {"external_id": "long", "text": text * 200},
        {"external_id": "nul", "text": text + "\0"},
        {"external_id": "more", "text": text, "patient_name": text},
        {"external_id": "sender", "text": text, "sender": text},
        {"text": text},
        text,
        {"external_id": "twice", "text": text},
        {"external_id": "twice", "text": PATIENTS[1].writes(_SURE[1])},
    ]
    answers: list[httpx.Response] = []
    with whole.portal() as portal:
        answers.append(portal.post("/v1/messages", json={"messages": rows}))
        as_json = {"Content-Type": "application/json"}
        bodies = (
            json.dumps(text).encode(),
            f'{{"external_id": "broken", "text": "{text}'.encode(),
            b'{"external_id": "latin", "text": "' + text[:80].encode() + b'\xe9"}',
        )
        answers += [portal.post("/v1/messages", content=body, headers=as_json) for body in bodies]
        answers.append(portal.post("/v1/messages", content=text))
        stranger = {"Authorization": f"Bearer {patient.last}"}
        answers.append(portal.post("/v1/messages", json=rows[-1], headers=stranger))
        answers.append(portal.post("/portal/", data={"text": text}))
    assert {answer.status_code for answer in answers} >= {202, 303, 400, 401, 415, 422}
    return "\n".join(f"{answer.headers} {answer.text}" for answer in answers)


def _submit_by_hand(whole: Whole, folder: Path) -> str:
    """`carelane submit` of a file with good and bad rows; what it says."""
    patient = PATIENTS[2]
    file = folder / "rows.jsonl"
    rows = [
        json.dumps({"external_id": "by-hand", "text": patient.writes(_SURE[2])}),
        json.dumps({"external_id": "by-hand-2", "text": "", "patient_name": patient.last}),
        '{"text": "' + patient.writes(_SURE[2])[:60],
    ]
    file.write_text("\n".join(rows))
    done = subprocess.run(
        [Path(sys.executable).with_name("carelane"), "submit", str(file)],
        env=environment(whole.settings, CARELANE_API_KEY=whole.stack.api_key),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "1 accepted" in done.stdout + done.stderr
    return done.stdout + done.stderr


def _metrics(whole: Whole) -> dict[str, str]:
    """What Prometheus reads, of all processes."""
    token = {"Authorization": f"Bearer {_METRICS_TOKEN}"}
    found = {}
    for name in ("dashboard", "intake"):
        address = getattr(whole.settings, f"{name}_url")
        answer = httpx.get(f"{address}/metrics", headers=token, timeout=30)
        assert answer.status_code == 200, answer.text
        found[f"metrics of {name}"] = answer.text
    counted = "carelane_llm_call_seconds" in found["metrics of dashboard"]
    assert counted, "the workers are not counted"
    return found


def _read_and_search(whole: Whole) -> None:
    add_user(whole.engine, "ada", Role.CLINICIAN)
    [message] = whole.rows("SELECT id FROM messages LIMIT 1")
    with httpx.Client(base_url=whole.settings.dashboard_url, follow_redirects=True) as client:
        token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/sign-in").text)
        assert token
        form = {"csrf_token": token[1], "name": "ada", "password": PASSWORD}
        assert client.post("/sign-in", data=form).status_code == 200
        assert found_in(client.get(f"/messages/{message.id}").text), "the page shows the text"
        assert client.get("/", params={"q": PATIENTS[0].last}).status_code == 200


def _collect(
    whole: Whole,
    standin_llm: StandinForTests,
    postgres: PostgresForTests,
    localstack: LocalStackForTests,
) -> dict[str, str]:
    """Everything that anybody wrote down."""
    names = whole.stack.processes.names()
    whole.stack.stop()
    logs = {f"log of {name}": whole.stack.processes.log(name) for name in names}
    assert all('"level": "DEBUG"' in logs[f"log of {name}"] for name in ("fast", "llm"))
    return {
        **{place: text for place, text in logs.items() if text},
        "the LLM's record": json.dumps(standin_llm.requests(), ensure_ascii=False),
        "the log of Postgres": postgres.server.log.read_text(errors="replace"),
        "the log of LocalStack": localstack.folders.log("localstack").read_text(errors="replace"),
        "the rest of the database": _rest_of_the_database(whole, whole.engine),
    }


def _rest_of_the_database(whole: Whole, engine: Engine) -> str:
    columns = whole.rows(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = 'public'"
    )
    assert {(c.table_name, c.column_name) for c in columns} >= _HOME, "look at _HOME again"
    found = []
    for table, column in columns:
        if (table, column) not in _HOME:
            rows = whole.rows(f'SELECT "{column}"::text AS v FROM "{table}"')  # noqa: S608
            found += [f"{table}.{column}: {row.v}" for row in rows if row.v is not None]
    return "\n".join(found)
