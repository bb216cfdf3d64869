"""The whole function: what comes out, and that it fails closed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import BundleError, DeidError
from workers.deid import TYPES, Deidentifier, Masked
from workers.deid.bundle import DEFAULT_BUNDLE, Thresholds
from workers.deid.deidentifier import MAX_CHARACTERS, scaled_budget_ms

# A unit test must not fail because the machine is busy; the budget has tests of its own.
PATIENT_MS = 60_000


@pytest.fixture(scope="module")
def deidentifier() -> Deidentifier:
    return Deidentifier.load()


def test_a_patients_message_loses_its_identifiers_and_keeps_its_sense(
    deidentifier: Deidentifier,
) -> None:
    text = (
        "Hi, this is Anna Smith, DOB 4/2/1957, MRN 55-20-871. My lisinopril 20 mg is not at the "
        "Walgreens in Tulsa. Please call me at 918-555-0123. BP was 162/108 with a headache."
    )

    masked = deidentifier.mask(text, PATIENT_MS)

    assert masked.text == (
        "Hi, this is [NAME_1], DOB [DATE_1], MRN [ID_1]. My lisinopril 20 mg is not at the "
        "[ORG_1] in [ADDRESS_1]. Please call me at [PHONE_1]. BP was 162/108 with a headache."
    )


def test_a_clinicians_question_loses_its_identifiers(deidentifier: Deidentifier) -> None:
    text = "72-year-old man seen at St. Vincent's on May 30th, ID 987654321, like Anna S."

    masked = deidentifier.mask(text, PATIENT_MS).text

    for secret in ("Vincent", "30th", "987654321", "Anna"):
        assert secret not in masked
    assert "72-year-old man" in masked


@pytest.mark.parametrize(
    "text",
    [
        "Is Graves disease hereditary? My Foley was changed and Crohn's is quiet.",
        "May I take Tylenol in May, or will it be March before I can?",
        "Took metoprolol 25 mg twice, BP 132/80, pulse 72, sugar 118, pain 6/10.",
        "My son is 9 and I am 47, his fever is 101.4 since Tuesday at 3 pm.",
    ],
)
def test_medicine_is_not_an_identifier(deidentifier: Deidentifier, text: str) -> None:
    assert deidentifier.mask(text, PATIENT_MS).text == text


def test_numbers_are_consistent_within_a_message(deidentifier: Deidentifier) -> None:
    text = "My name is Maria Lopez. Dr. Osei told Maria Lopez to see Dr. Osei again."

    masked = deidentifier.mask(text, PATIENT_MS).text

    assert masked == "My name is [NAME_1]. Dr. [NAME_2] told [NAME_1] to see Dr. [NAME_2] again."


def test_masking_a_masked_message_changes_nothing(deidentifier: Deidentifier) -> None:
    text = (
        "This is Anna Smith, born 4/2/1957, phone 918-555-0123, a.smith@mail.example, "
        "member XEB90417726 at Walgreens in Tulsa. Please refill lisinopril."
    )
    once = deidentifier.mask(text, PATIENT_MS).text

    twice = deidentifier.mask(once, PATIENT_MS)

    assert twice.text == once
    assert twice.spans == ()


SENTENCES = st.sampled_from(
    [
        "This is {}, born {}.",
        "Please call {} about the visit on {}.",
        "I saw Dr. {} on {} and have a cough since.",
        "My sister {} has an appointment on {}, her sugar is 118.",
    ]
)
NAMES = st.sampled_from(
    ["Anna Smith", "Thuy Pham", "Walter Szymanski", "Ngozi Okafor", "Maria Lopez"]
)
DATES = st.sampled_from(["4/2/1957", "March 14th", "2024-11-03", "the 3rd of May", "June 5, 2019"])


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    parts=st.lists(st.tuples(SENTENCES, NAMES, DATES), min_size=1, max_size=4),
)
def test_masking_twice_is_masking_once(
    deidentifier: Deidentifier, parts: list[tuple[str, str, str]]
) -> None:
    text = " ".join(sentence.format(name, date) for sentence, name, date in parts)

    once = deidentifier.mask(text, PATIENT_MS)
    twice = deidentifier.mask(once.text, PATIENT_MS)

    assert twice.text == once.text
    assert not any(name in once.text for _, name, _ in parts)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=300) | st.text(st.characters(max_codepoint=0x24F), max_size=300))
def test_any_text_ends_masked_or_refused_with_right_offsets(
    deidentifier: Deidentifier, text: str
) -> None:
    try:
        masked = deidentifier.mask(text, PATIENT_MS)
    except DeidError as refusal:
        reason = refusal.reason
        masked = None
    if masked is None:
        assert reason in ("unknown_script", "unknown_language")
        return

    rebuilt, at = "", 0
    for span in masked.spans:
        assert at <= span.start < span.end <= len(text)
        assert span.type in TYPES
        assert 0 < span.score <= 1
        rebuilt += text[at : span.start] + span.placeholder
        at = span.end
    assert masked.text == rebuilt + text[at:]


@given(text=st.text(max_size=200))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_spent_budget_refuses_every_text(deidentifier: Deidentifier, text: str) -> None:
    with pytest.raises(DeidError) as caught:
        deidentifier.mask(text, budget_ms=-1)

    assert caught.value.reason in ("timeout", "unknown_script", "unknown_language")


def test_a_long_text_is_read_to_its_end(deidentifier: Deidentifier) -> None:
    text = "I have had a cough for some days and it is no better at all. " * 60
    text += "Sincerely, Anna Smith, MRN 5510872"

    masked = deidentifier.mask(text, PATIENT_MS)

    assert masked.text.endswith("Sincerely, [NAME_1], MRN [ID_1]")
    assert len(masked.spans) == 2


def test_a_long_text_may_take_longer_and_one_too_long_is_refused(
    deidentifier: Deidentifier,
) -> None:
    assert scaled_budget_ms("x" * 600) == 20
    assert scaled_budget_ms("x" * 2_600) == 120
    assert scaled_budget_ms("x" * 2_600, budget_ms=10) == 60

    with pytest.raises(DeidError) as caught:
        deidentifier.mask("x" * (MAX_CHARACTERS + 1), PATIENT_MS)

    assert caught.value.reason == "too_long"


class _Broken:
    def score(self, text: str, between: object) -> Masked:  # noqa: ARG002
        raise RuntimeError(f"cannot read {text}")


def test_a_breakdown_refuses_the_text_and_does_not_quote_it() -> None:
    thresholds = Thresholds(find=0.2, extend=0.1, rule=0.05, protected=0.9)
    deidentifier = Deidentifier(_Broken(), thresholds, "test")  # type: ignore[arg-type]

    with pytest.raises(DeidError) as caught:
        deidentifier.mask("call Anna Smith", PATIENT_MS)

    assert caught.value.reason == "failed"
    assert "Anna" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_changed_file_makes_the_bundle_unusable(tmp_path: Path) -> None:
    folder = tmp_path / "deid"
    shutil.copytree(DEFAULT_BUNDLE, folder)
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text() + "\n")

    with pytest.raises(BundleError, match=r"tokenizer\.json"):
        Deidentifier.load(folder)


def test_a_missing_bundle_is_an_error_and_never_a_weaker_mask(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"bundle\.json"):
        Deidentifier.load(tmp_path)
