"""Routing: accept what is sure, escalate the rest, and never go below a red flag."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import Tier, Urgency
from shared.red_flags import RedFlag
from workers.fast_tier.scores import Scores
from workers.routing import REASONS, RoutingPolicy, decide, reason_sentence

POLICY = RoutingPolicy(
    min_joint=0.8,
    min_category=0.5,
    min_urgency=0.5,
    max_emergent=0.1,
    min_familiarity=0.3,
    languages=("en",),
    emergent_categories=("symptom",),
    model_version="triage 1",
    taxonomy_version="1",
)

SURE = Scores(
    category_probabilities=(0.02, 0.96, 0.02),
    member_probabilities=(0.05, 0.97, 0.05),
    category_set=("refill",),
    urgency_probabilities=(0.01, 0.04, 0.95),
    n_tokens=12,
    truncated=False,
    language="en",
    familiarity=0.9,
)


def flag(urgency: Urgency) -> RedFlag:
    return RedFlag(rule="stroke", title="Signs of a stroke", urgency=urgency, start=0, end=5)


def test_a_sure_label_is_accepted_with_its_confidences() -> None:
    decision = decide(SURE, (), POLICY)

    assert decision.accepted
    assert decision.reasons == ()
    assert decision.label.categories == ("refill",)
    assert decision.label.urgency is Urgency.ROUTINE
    assert decision.label.tier is Tier.FAST
    assert (decision.label.category_confidence, decision.label.urgency_confidence) == (0.96, 0.95)
    assert decision.label.model_version == "triage 1"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"category_probabilities": (0.3, 0.4, 0.3)}, "unsure_category"),
        ({"urgency_probabilities": (0.09, 0.45, 0.46)}, "unsure_urgency"),
        ({"category_probabilities": (0.1, 0.8, 0.1)}, "unsure"),
        ({"urgency_probabilities": (0.11, 0.0, 0.89)}, "possible_emergency"),
        ({"language": "es"}, "language"),
        ({"language": "und"}, "language"),
        ({"familiarity": 0.2}, "unfamiliar"),
        ({"truncated": True}, "text_cut"),
        ({"member_probabilities": (0.9, 0.1, 0.1)}, "contradiction"),
        ({"urgency_probabilities": (0.98, 0.01, 0.01)}, "contradiction"),
    ],
)
def test_what_the_model_should_not_decide_is_escalated_with_a_reason(
    change: dict[str, object], reason: str
) -> None:
    decision = decide(replace(SURE, **change), (), POLICY)  # type: ignore[arg-type]

    assert not decision.accepted
    assert reason in decision.reasons


def test_a_red_flag_raises_the_urgency_and_the_disagreement_is_escalated() -> None:
    decision = decide(SURE, (flag(Urgency.URGENT), flag(Urgency.EMERGENT)), POLICY)

    assert decision.label.urgency is Urgency.EMERGENT
    assert decision.reasons == ("red_flag_disagrees",)
    assert decision.label.urgency_confidence == SURE.urgency_probabilities[0]


def test_a_red_flag_below_the_models_urgency_changes_nothing() -> None:
    grave = replace(
        SURE,
        category_set=("symptom",),
        category_probabilities=(0.96, 0.02, 0.02),
        member_probabilities=(0.97, 0.05, 0.05),
        urgency_probabilities=(0.98, 0.01, 0.01),
    )

    decision = decide(grave, (flag(Urgency.URGENT),), POLICY)

    assert decision.accepted
    assert decision.label.urgency is Urgency.EMERGENT


PROBABILITIES = st.lists(st.floats(0.001, 1), min_size=3, max_size=3).map(
    lambda xs: tuple(x / sum(xs) for x in xs)
)


@given(PROBABILITIES, PROBABILITIES, st.sampled_from(Urgency))
def test_no_scores_bring_a_flagged_message_below_its_flag(
    category: tuple[float, ...], urgency: tuple[float, ...], floor: Urgency
) -> None:
    scores = replace(SURE, category_probabilities=category, urgency_probabilities=urgency)

    decision = decide(scores, (flag(floor),), POLICY)

    assert decision.label.urgency.rank <= floor.rank


@given(PROBABILITIES, PROBABILITIES)
def test_every_reason_has_a_sentence(
    category: tuple[float, ...], urgency: tuple[float, ...]
) -> None:
    scores = replace(
        SURE,
        category_probabilities=category,
        urgency_probabilities=urgency,
        language="fr",
        truncated=True,
    )

    reasons = decide(scores, (flag(Urgency.EMERGENT),), POLICY).reasons

    assert set(reasons) <= REASONS.keys()
    assert all(reason_sentence(code).endswith(".") for code in reasons)


def test_a_policy_goes_through_the_manifest_unchanged() -> None:
    stored = POLICY.as_dict()

    again = RoutingPolicy.from_dict(stored, model_version="triage 1", taxonomy_version="1")

    assert again == POLICY
