"""Accept a label of the small model, or ask somebody better. Pure.

`decide` sees calibrated scores, red flags and a policy whose thresholds were chosen on
validation data for a stated risk and travel in the bundle. Every reason has a stable code,
for counting, and a sentence, for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from shared.contracts import Label, Tier, Urgency
from shared.red_flags import RedFlag

if TYPE_CHECKING:
    from workers.fast_tier.scores import Scores

#: Why a message was not accepted, by code, as pages show it.
REASONS: Final[Mapping[str, str]] = {
    "unsure": "The small model is not sure enough of category and urgency together.",
    "unsure_category": "The small model is not sure what the message is about.",
    "unsure_urgency": "The small model is not sure how urgent the message is.",
    "possible_emergency": "The small model cannot rule out an emergency.",
    "language": "The message is in a language that the small model does not know.",
    "unfamiliar": "The message is unlike the messages that the small model learned from.",
    "text_cut": "The message is so long that the small model did not read all of it.",
    "contradiction": "The small model's answers do not fit together.",
    "red_flag_disagrees": "A red-flag rule sees more danger than the small model does.",
}


def reason_sentence(code: str) -> str:
    """The sentence of a reason's code; the code itself where an old bundle had others."""
    return REASONS.get(code, code)


@dataclass(frozen=True, kw_only=True)
class RoutingPolicy:
    """Thresholds of one bundle."""

    min_joint: float  # least probability that category and urgency are both right
    min_category: float
    min_urgency: float
    max_emergent: float  # from this on, a label below emergent is not accepted
    min_familiarity: float
    languages: tuple[str, ...]  # that the model knows
    emergent_categories: tuple[str, ...]  # that an emergency can have as primary
    model_version: str
    taxonomy_version: str

    @classmethod
    def from_dict(
        cls, data: Mapping[str, Any], *, model_version: str, taxonomy_version: str
    ) -> RoutingPolicy:
        """From the manifest's `routing`; KeyError or ValueError when it is incomplete."""
        thresholds = {
            name: float(data[name])
            for name in (
                "min_joint",
                "min_category",
                "min_urgency",
                "max_emergent",
                "min_familiarity",
            )
        }
        return cls(
            **thresholds,
            languages=tuple(map(str, data["languages"])),
            emergent_categories=tuple(map(str, data["emergent_categories"])),
            model_version=model_version,
            taxonomy_version=taxonomy_version,
        )

    def as_dict(self) -> dict[str, Any]:
        """For the manifest."""
        data = asdict(self)
        del data["model_version"], data["taxonomy_version"]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in data.items()}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A label, and whether it stands."""

    label: Label  # provisional when not accepted
    accepted: bool
    reasons: tuple[str, ...]  # codes of REASONS; empty when accepted
    language: str  # ISO code; "und" for none that is known


def floor(red_flags: Sequence[RedFlag]) -> Urgency:
    """The least urgency that a message's red flags leave."""
    return min((flag.urgency for flag in red_flags), key=lambda u: u.rank, default=Urgency.ROUTINE)


def decide(scores: Scores, red_flags: Sequence[RedFlag], policy: RoutingPolicy) -> Decision:
    """The label of the scores, never below the red flags' floor, accepted or with reasons."""
    lowest = floor(red_flags)
    urgency = min(scores.urgency, lowest, key=lambda u: u.rank)
    reasons = tuple(_reasons(scores, lowest, policy))
    label = Label(
        categories=scores.category_set,
        urgency=urgency,
        tier=Tier.FAST,
        taxonomy_version=policy.taxonomy_version,
        category_confidence=scores.category_confidence,
        urgency_confidence=scores.urgency_probabilities[urgency.rank],
        model_version=policy.model_version,
        reasons=reasons,
    )
    return Decision(label=label, accepted=not reasons, reasons=reasons, language=scores.language)


def _reasons(scores: Scores, lowest: Urgency, policy: RoutingPolicy) -> list[str]:
    category, urgency = scores.category_confidence, scores.urgency_confidence
    emergent = scores.urgency_probabilities[Urgency.EMERGENT.rank]
    checks = {
        "language": scores.language not in policy.languages,
        "text_cut": scores.truncated,
        "unfamiliar": scores.familiarity < policy.min_familiarity,
        "red_flag_disagrees": lowest.rank < scores.urgency.rank,
        "contradiction": _contradicts(scores, policy),
        "possible_emergency": scores.urgency is not Urgency.EMERGENT
        and emergent >= policy.max_emergent,
        "unsure_category": category < policy.min_category,
        "unsure_urgency": urgency < policy.min_urgency,
        "unsure": category * urgency < policy.min_joint,
    }
    return [code for code, holds in checks.items() if holds]


def _contradicts(scores: Scores, policy: RoutingPolicy) -> bool:
    """The heads disagree: on the category, or an emergency about, say, a bill."""
    primary = scores.category_probabilities.index(scores.category_confidence)
    likeliest = max(scores.member_probabilities)
    outvoted = scores.member_probabilities[primary] < 0.5 * likeliest
    emergency = scores.urgency is Urgency.EMERGENT
    misplaced = emergency and scores.category_set[0] not in policy.emergent_categories
    return outvoted or misplaced
