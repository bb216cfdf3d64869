"""The whole, as `make run` starts it, seen by a patient, a clinician and whoever stops it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from shared.red_flags import RedFlags
from shared.taxonomy import Taxonomy
from tests.make_run import MakeRun
from training.corpus import SPLITS, read_clean
from workers import routing
from workers.deid.deidentifier import Deidentifier
from workers.fast_tier.tier import FastTier

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

NEW_PASSWORD = "seven slow grey heron wings"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeRun]:
    made = MakeRun(
        tmp_path_factory.mktemp("run") / "home",
        {"CARELANE_SAMPLES": "never", "STANDIN_LATENCY_MEAN_S": "0.2"},
    )
    made.start()
    try:
        made.wait_for("Carelane is up.")
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=next(filter(None, found), None), args=["--no-sandbox"]
        )
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def clinician(browser: Browser, running: MakeRun) -> Iterator[Page]:
    """The worklist of a newcomer who signed in with what stood on the terminal."""
    context = browser.new_context(base_url=running.url("DASHBOARD"))
    context.set_default_timeout(20_000)
    page = context.new_page()
    name, password = running.first_user()
    page.goto("/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Present password").fill(password)
    page.get_by_label("New password", exact=True).fill(NEW_PASSWORD)
    page.get_by_label("New password again").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Change password").click()
    page.goto("/")
    yield page
    context.close()


@pytest.fixture
def worklist(clinician: Page) -> Iterator[Page]:
    """The worklist, live, and not reloaded until the end of the test."""
    clinician.goto("/")
    expect(clinician.locator("#live-state")).to_have_text("Live", timeout=20_000)
    # A reload would take this mark away.
    clinician.evaluate("window.neverReloaded = true")
    yield clinician
    assert clinician.evaluate("window.neverReloaded")


@pytest.fixture
def patient(browser: Browser, running: MakeRun) -> Iterator[Page]:
    context = browser.new_context(base_url=running.url("INTAKE"))
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def text_for() -> Callable[[bool], str]:
    """Another corpus message each time, one that the shipped model is sure of or is not."""
    taxonomy = Taxonomy.load()
    tier, flags, masker = FastTier.load(taxonomy=taxonomy), RedFlags.load(), Deidentifier.load()
    examples = iter(read_clean(SPLITS["dev"], taxonomy))

    def find(sure: bool) -> str:
        for example in examples:
            one_line = "\n" not in example.text and len(example.text) < 200
            if not one_line or flags.find(example.text):
                continue
            decision = routing.decide(tier.score(example.text), (), tier.policy)
            # What cannot be masked would go to a person, not to the LLM.
            if decision.accepted == sure and (sure or masker.mask(example.text, 5_000.0)):
                return example.text
        raise AssertionError("no such message in the corpus")

    return find


def write(patient: Page, text: str) -> str:
    """Type a message as a patient; returns its id."""
    patient.goto("/portal/")
    patient.get_by_label("Your message").fill(text)
    patient.get_by_role("button", name="Send").click()
    expect(patient.locator("#patient-text")).to_have_text("Response received, processing…")
    return patient.url.rpartition("/")[2]


def test_a_typed_message_is_processing_and_turns_into_the_fast_models_label(
    running: MakeRun, worklist: Page, patient: Page, text_for: Callable[[bool], str]
) -> None:
    text = text_for(True)

    with running.held("fast"):
        line = worklist.locator(f"#m-{write(patient, text)}")
        expect(line).to_contain_text("processing…")
        expect(line).to_contain_text(text[:40])

    expect(line.locator(".state.labelled")).to_contain_text("fast model")
    expect(line.locator(".categories:not(.grey) b")).not_to_be_empty()
    expect(line).not_to_contain_text("processing")
    expect(patient.locator("#patient-text")).to_contain_text("Your care team has it")
    expect(patient.locator("#pool-title")).not_to_be_empty()


def test_a_typed_message_is_processing_and_turns_into_the_llms_label(
    running: MakeRun, worklist: Page, patient: Page, text_for: Callable[[bool], str]
) -> None:
    with running.held("llm"):
        line = worklist.locator(f"#m-{write(patient, text_for(False))}")
        expect(line).to_contain_text("processing… second opinion")
        expect(line.locator(".categories.grey b")).not_to_be_empty()  # provisional

    expect(line.locator(".state.labelled")).to_contain_text("second opinion (LLM)")
    expect(line.locator(".categories:not(.grey) b")).not_to_be_empty()
    expect(patient.locator("#patient-text")).to_contain_text("Your care team has it")


def test_a_typed_message_that_the_llm_fails_on_needs_review(
    running: MakeRun, worklist: Page, patient: Page, text_for: Callable[[bool], str]
) -> None:
    running.turn_llm(fault_rates={"refusal": 1.0})
    try:
        with running.held("llm"):
            line = worklist.locator(f"#m-{write(patient, text_for(False))}")
            expect(line).to_contain_text("processing… second opinion")

        expect(line).to_contain_text("Needs review")
        expect(line).to_contain_text("declined to answer")
        expect(line).not_to_contain_text("processing")
        expect(patient.locator("#patient-text")).to_contain_text("Your care team has it")
    finally:
        running.turn_llm(fault_rates={})


def test_every_page_says_that_the_llm_is_simulated(worklist: Page, patient: Page) -> None:
    patient.goto("/portal/")

    expect(patient.get_by_text("The LLM is simulated.")).to_be_visible()
    expect(worklist.get_by_text("The LLM is simulated.")).to_be_visible()


def test_ctrl_c_ends_every_process_and_the_next_run_has_the_old_messages(
    running: MakeRun, clinician: Page, patient: Page, text_for: Callable[[bool], str]
) -> None:
    message_id = write(patient, text_for(True))
    clinician.goto("/")
    line = clinician.locator(f"#m-{message_id}")
    expect(line.locator(".state.labelled")).to_be_visible()
    shown = line.locator(".c-label").text_content() or ""

    assert running.interrupt() == 0
    assert running.commands() == []
    running.start()
    running.wait_for("Carelane is up.")

    assert "One-time password" not in running.output()
    clinician.goto("/")  # still signed in: the secrets are the old ones
    expect(line.locator(".c-label")).to_have_text(shown)
    write(patient, text_for(True))
    running.wait_for("first message labelled")


def test_a_second_run_in_the_same_folder_is_refused(running: MakeRun) -> None:
    other = MakeRun(running.home, {"CARELANE_SAMPLES": "never"}, runs=100)
    other.start()

    assert other.process is not None
    assert other.process.wait(timeout=60) == 1
    assert "already runs" in other.output()


@pytest.mark.parametrize("name", ["INTAKE", "DASHBOARD", "LLM", "SQS"])
def test_a_taken_port_is_named_with_the_setting_that_changes_it(tmp_path: Path, name: str) -> None:
    run = MakeRun(tmp_path / "home")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(run.settings[f"CARELANE_PORT_{name}"])))
        taken.listen()
        run.start()
        assert run.process is not None
        code = run.process.wait(timeout=60)

    assert code == 1
    assert f"CARELANE_PORT_{name}=" in run.output()
    assert str(run.settings[f"CARELANE_PORT_{name}"]) in run.output()
    assert run.commands() == []


def test_processes_that_are_killed_come_back_and_go_on(
    running: MakeRun, patient: Page, text_for: Callable[[bool], str]
) -> None:
    supervisors = set(running.pids("localstack.supervise"))
    for words in ("worker fast", "carelane relay", "carelane sweeper", "carelane webhooks"):
        victims = [pid for pid in running.pids(words) if pid not in supervisors]
        assert victims
        for pid in victims:
            with suppress(ProcessLookupError):  # children go with their parent
                os.kill(pid, signal.SIGKILL)

    write(patient, text_for(True))

    expect(patient.locator("#patient-text")).to_contain_text("care team has it", timeout=60_000)
