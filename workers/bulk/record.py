"""One labelled message as the output holds it: no text unless asked for, no times.

So the same message gives the same bytes on every engine, on every run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from decimal import Decimal
from typing import Any, Final, Self

from shared.contracts import Label, Status, Tier, Urgency
from shared.red_flags import RedFlag
from workers.verdict import Verdict

#: As `carelane model predict` writes them.
_DIGITS: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A row of the output."""

    id: str | int | None
    status: Status
    categories: tuple[str, ...]  # primary first; none where the fast tier failed on the message
    urgency: Urgency | None
    tier: Tier | None  # who made the label
    provisional: bool  # the label is the small model's, and it was not sure
    category_confidence: float | None
    urgency_confidence: float | None
    reasons: tuple[str, ...]  # why it was not accepted
    status_reason: str | None  # why it needs a person
    red_flags: tuple[Mapping[str, Any], ...]
    language: str | None
    model_version: str | None
    prompt_version: str | None
    taxonomy_version: str | None
    cost_usd: Decimal | None = None  # this message's share of an LLM call
    text: str | None = None  # only where it was asked for

    @classmethod
    def of(
        cls, id_: str | int | None, found: Verdict, flags: tuple[RedFlag, ...], text: str | None
    ) -> Self:
        """The fast tier's verdict on a message."""
        record = cls.unlabelled(id_, found.reason, flags, text)
        return replace(record.with_label(found.label, found.status), language=found.language)

    @classmethod
    def unlabelled(
        cls, id_: str | int | None, reason: str | None, flags: tuple[RedFlag, ...], text: str | None
    ) -> Self:
        """A message for a person, without a label."""
        return cls(
            id=id_,
            status=Status.NEEDS_REVIEW,
            categories=(),
            urgency=None,
            tier=None,
            provisional=False,
            category_confidence=None,
            urgency_confidence=None,
            reasons=(),
            status_reason=reason,
            red_flags=tuple(_flag(each) for each in flags),
            language=None,
            model_version=None,
            prompt_version=None,
            taxonomy_version=None,
            text=text,
        )

    def with_label(self, label: Label, status: Status) -> Self:
        """The same message with a label and what it makes of it."""
        return replace(
            self,
            status=status,
            categories=label.categories,
            urgency=label.urgency,
            tier=label.tier,
            provisional=status is not Status.LABELLED,
            category_confidence=_rounded(label.category_confidence),
            urgency_confidence=_rounded(label.urgency_confidence),
            reasons=label.reasons,
            model_version=label.model_version,
            prompt_version=label.prompt_version,
            taxonomy_version=label.taxonomy_version,
            cost_usd=label.cost_usd,
        )

    def for_person(self, reason: str) -> Self:
        """The same message, handed to a person with the label that it has."""
        return replace(
            self, status=Status.NEEDS_REVIEW, status_reason=reason, provisional=bool(self.tier)
        )

    def flags(self) -> tuple[RedFlag, ...]:
        """Its red flags."""
        return tuple(
            RedFlag(**{**each, "urgency": Urgency(each["urgency"])}) for each in self.red_flags
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the fields in their order; `text` only where there is one."""
        row = asdict(self)
        row["cost_usd"] = None if self.cost_usd is None else str(self.cost_usd)
        if self.text is None:
            del row["text"]
        return row

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Self:
        """What `as_dict` made."""
        values: dict[str, Any] = {each.name: row.get(each.name) for each in fields(cls)}
        for name in ("categories", "reasons", "red_flags"):
            values[name] = tuple(values[name])
        for name, kind in (
            ("status", Status),
            ("urgency", Urgency),
            ("tier", Tier),
            ("cost_usd", Decimal),
        ):
            values[name] = None if values[name] is None else kind(values[name])
        return cls(**values)


def _flag(flag: RedFlag) -> Mapping[str, Any]:
    return {**asdict(flag), "urgency": flag.urgency.value}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
