"""Metrics, calibration, thresholds, gates, votes: the arithmetic behind a release."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts import Urgency
from shared.errors import DeidError, LanguageModelBadAnswer
from shared.taxonomy import Taxonomy
from training import metrics
from training.bundle import DRAFT_POLICY
from training.calibrate import RiskOptions, choose_member_threshold, choose_policy, minimise
from training.corpus import Example
from training.evaluate import headline, judge_all
from training.release import GateError, Gates, failures, release
from training.teach import TeachOptions, teach
from workers.fast_tier.scores import Scores
from workers.llm_tier.answer import label_codes

TAXONOMY = Taxonomy.load()
NAMES = ("symptom", "refill")


def test_known_values_of_the_metrics() -> None:
    truth, said = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 0])

    rows = metrics.per_class(truth, said, 3)

    assert rows[0].precision == rows[0].recall == 0.5
    assert rows[1].f1 == pytest.approx(0.8)
    assert metrics.macro_f1(truth, said, 3) == pytest.approx((0.5 + 0.8 + 0) / 3)
    assert metrics.confusion(truth, said, 3).tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert metrics.wilson(79, 79)[0] == pytest.approx(0.9536, abs=1e-3)
    assert metrics.binomial_upper(0, 59) == pytest.approx(0.0495, abs=1e-3)
    assert metrics.binomial_upper(0, 0) == 1.0


@settings(deadline=None)
@given(st.integers(1, 400), st.data())
def test_the_upper_bound_lies_above_the_rate_and_falls_with_more_data(
    n: int, data: st.DataObject
) -> None:
    errors = data.draw(st.integers(0, n - 1))

    bound = metrics.binomial_upper(errors, n)

    assert errors / n < bound <= 1
    assert metrics.binomial_upper(2 * errors, 2 * n) <= bound + 1e-9


def test_coverage_counts_the_most_confident_up_to_the_allowed_errors() -> None:
    confidence = np.array([0.9, 0.8, 0.7, 0.6])
    wrong = np.array([False, False, True, False])

    assert metrics.coverage_at(confidence, wrong, 0.25) == 1.0
    assert metrics.coverage_at(confidence, wrong, 0.05) == 0.5
    assert metrics.coverage_at(confidence, ~wrong, 0.05) == 0.0


def test_calibration_error_is_zero_when_confidence_is_the_truth() -> None:
    right = np.array([True] * 8 + [False] * 2)

    assert metrics.expected_calibration_error(np.full(10, 0.8), right) == pytest.approx(0, abs=1e-9)
    assert metrics.expected_calibration_error(np.full(10, 0.99), right) == pytest.approx(0.19)


def test_the_temperature_search_finds_the_minimum() -> None:
    assert minimise(lambda t: (math.log(t) - math.log(1.7)) ** 2) == pytest.approx(1.7, abs=1e-3)


def test_the_member_threshold_separates_what_can_be_separated() -> None:
    members = np.array([[0.9, 0.45], [0.9, 0.30], [0.2, 0.9]])
    truth = np.array([[True, True], [True, False], [False, True]])

    threshold = choose_member_threshold(members, np.array([0, 0, 1]), truth)

    assert 0.30 < threshold <= 0.45


def scores(confidence: float, emergent: float = 0.001, *, said: int = 1) -> Scores:
    category = (confidence, 1 - confidence) if said == 0 else (1 - confidence, confidence)
    return Scores(
        category_probabilities=category,
        member_probabilities=category,
        category_set=(NAMES[said],),
        urgency_probabilities=(emergent, 0.0, 1 - emergent),
        n_tokens=10,
        truncated=False,
        language="en",
        familiarity=0.9,
    )


def example(category: str, urgency: Urgency = Urgency.ROUTINE) -> Example:
    return Example(id="A-1", text="x", categories=(category,), urgency=urgency)


def sample(n: int, wrong_below: float) -> tuple[list[Scores], list[Example]]:
    """Confidences from .5 to 1; those below a border are wrong every second time."""
    said, truth = [], []
    for i in range(n):
        confidence = 0.5 + 0.499 * i / n
        wrong = confidence < wrong_below and i % 2
        said.append(scores(confidence))
        truth.append(example("symptom" if wrong else "refill"))
    said += [scores(0.99, 0.95, said=0)] * 80  # emergencies, seen as such
    truth += [example("symptom", Urgency.EMERGENT)] * 80
    return said, truth


def test_the_chosen_threshold_keeps_the_risk_with_its_bound() -> None:
    said, truth = sample(1000, wrong_below=0.7)

    chosen = choose_policy(said, [()] * len(said), truth, DRAFT_POLICY, RiskOptions())

    assert chosen.accepted > 500
    assert chosen.wrong_bound <= 0.05
    assert 0.6 < chosen.policy.min_joint < 0.72


def test_where_nothing_can_be_promised_nothing_is_accepted() -> None:
    said, truth = sample(400, wrong_below=1.0)

    chosen = choose_policy(said, [()] * len(said), truth, DRAFT_POLICY, RiskOptions())

    assert chosen.accepted == 0
    assert chosen.policy.min_joint > 1


def test_an_emergency_that_hides_among_sure_routine_answers_lowers_the_emergent_threshold() -> None:
    said, truth = sample(600, wrong_below=0.5)
    said += [scores(0.99, 0.06)] * 40
    truth += [example("refill", Urgency.EMERGENT)] * 40

    chosen = choose_policy(said, [()] * len(said), truth, DRAFT_POLICY, RiskOptions())

    assert chosen.emergent_missed == 0
    assert chosen.policy.max_emergent <= 0.06


def judged(n_wrong: int, n: int = 100, accept: float = 0.0) -> dict[str, object]:
    said = [scores(0.95)] * n
    truth = [example("symptom")] * n_wrong + [example("refill")] * (n - n_wrong - 10)
    truth += [example("refill", Urgency.EMERGENT)] * 10
    policy = replace(DRAFT_POLICY, min_joint=accept, emergent_categories=NAMES)
    return headline(judge_all(truth, said, [()] * n, policy, NAMES).arrays())


def test_the_headline_counts_what_the_tier_lets_through() -> None:
    all_accepted, none_accepted = judged(5), judged(5, accept=2.0)

    assert all_accepted["accepted_wrong"] == pytest.approx(0.15)
    assert all_accepted["emergent_recall_tier"] == 0.0
    assert none_accepted["emergent_recall_tier"] == 1.0
    assert none_accepted["llm_share"] == 1.0
    assert all_accepted["category_accuracy"] == pytest.approx(0.95)


PASSING = {
    "n": 749, "emergent_recall_tier": 0.99, "emergent_recall_tier_lower": 0.94,
    "accepted_wrong": 0.04, "accepted_share": 0.5, "category_accuracy": 0.85,
    "urgency_accuracy": 0.93, "both_right": 0.8,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"emergent_recall_tier": 0.96}, "emergent recall"),
        ({"emergent_recall_tier_lower": 0.92}, "lower bound 0.92"),
        ({"emergent_recall_tier": None}, "no emergent message"),
        ({"accepted_wrong": 0.061}, "6.1% of the accepted labels"),
        ({"accepted_share": 0.01}, "nearly everything"),
        ({"both_right": 0.7}, "both right fell"),
    ],
)
def test_each_gate_refuses(change: dict[str, object], told: str) -> None:
    assert failures(PASSING, Gates(), last=PASSING) == []

    (found,) = failures({**PASSING, **change}, Gates(), last=PASSING)

    assert told in found


def test_a_dip_within_noise_is_no_reason_to_refuse() -> None:
    assert failures({**PASSING, "both_right": 0.79}, Gates(), last=PASSING) == []


def test_a_bundle_below_the_gates_is_not_written(tmp_path: Path) -> None:
    target = tmp_path / "released"

    with pytest.raises(GateError, match="not released"):
        release(tmp_path, target, {**PASSING, "accepted_wrong": 0.2}, Gates())

    assert not target.exists()


class Voices:
    """An LLM that answers with the next of its codes; a bad one raises as the reader would."""

    def __init__(self, *codes: str) -> None:
        self._codes = list(codes)

    def __call__(self, prefix: str, question: str, schema: object) -> str:  # noqa: ARG002  the seam
        code = self._codes.pop(0)
        message_id = question.split('"i":"')[1].split('"')[0]
        if code == "bad":
            raise LanguageModelBadAnswer("not_json", "no")
        return f'{{"items":[{{"i":"{message_id}","l":"{code}"}}]}}'


def code_of(*names: str, urgency: str) -> str:
    return next(
        code
        for code, a in label_codes(TAXONOMY).items()
        if a.categories == names and a.urgency == urgency
    )


UNLABELLED = replace(example("refill"), categories=())
ONE_AT_A_TIME = TeachOptions(workers=1)


def test_votes_that_agree_make_a_label_with_the_categories_that_most_name() -> None:
    both = code_of("refill", "medication", urgency="urgent")
    one = code_of("refill", urgency="urgent")

    (taught,) = teach([UNLABELLED], TAXONOMY, Voices(both, one, both), str, ONE_AT_A_TIME)

    assert taught.reason == ""
    assert taught.example.categories == ("refill", "medication")
    assert taught.example.urgency is Urgency.URGENT
    assert taught.share == 1.0


def test_votes_that_differ_are_dropped() -> None:
    voices = Voices(*(code_of(n, urgency="routine") for n in ("refill", "billing", "admin")))

    (taught,) = teach([UNLABELLED], TAXONOMY, voices, str, ONE_AT_A_TIME)

    assert taught.reason == "no agreement"


def test_unusable_answers_are_no_votes() -> None:
    (taught,) = teach([UNLABELLED], TAXONOMY, Voices("bad", "bad", "bad"), str, ONE_AT_A_TIME)

    assert taught.reason == "no answer"


def test_a_text_that_cannot_be_vouched_for_is_not_sent() -> None:
    def refuse(text: str) -> str:
        raise DeidError("timeout", "too slow")

    (taught,) = teach([UNLABELLED], TAXONOMY, Voices(), refuse, ONE_AT_A_TIME)

    assert taught.reason == "de-identification"
