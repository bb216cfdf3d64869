"""What goes wrong inside an answer: broken items, and instructions in a message that are obeyed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from localstack.standin.answers import Item
from localstack.standin.nearest import Answer

Labelled = tuple[Item, Answer]
#: A category that no taxonomy has; comes out as NO_SUCH_CODE.
_NO_SUCH_CATEGORY: Final = "no such category"
_ORDER = re.compile(
    r"\b(ignore|disregard|forget|override|instead|you must|system prompt|new instructions?|"
    r"(?:set|mark|label|classify|categori[sz]e|rate|treat|answer)\b.{0,60}\b(?:as|to|with))\b",
    re.IGNORECASE | re.DOTALL,
)
_EVERYBODY = re.compile(
    r"\b(?:all|every|each|any|other|others|rest|everything|following|previous)\b", re.IGNORECASE
)


def broken(fault: str, labelled: Sequence[Labelled]) -> list[Labelled]:
    """The items of an answer as this fault leaves them; the last one is hit."""
    kept = list(labelled)
    item, answer = kept[-1]
    if fault == "missing_id":
        return kept[:-1]
    if fault == "doubled_id":
        other = "routine" if answer.urgency == "emergent" else "emergent"
        return [*kept, (item, replace(answer, urgency=other))]
    if fault == "wrong_id":
        return [*kept[:-1], (replace(item, id="zz00"), answer)]
    if fault == "invalid_code":
        return [*kept[:-1], (item, replace(answer, categories=(_NO_SUCH_CATEGORY,)))]
    return kept


def obeyed(
    labelled: Sequence[Labelled], categories: Sequence[str], urgencies: Sequence[str]
) -> list[Labelled]:
    """The worst that a gullible model does: what a message orders, to itself and to its company."""
    done = list(labelled)
    for number, (item, _) in enumerate(labelled):
        order = _ORDER.search(item.text)
        if order is None:
            continue
        ordered = item.text[order.start() :].lower()
        category = _last_named(ordered, categories)
        urgency = _last_named(ordered, urgencies)
        everybody = _EVERYBODY.search(ordered) is not None
        for at, (victim, answer) in enumerate(done):
            if everybody or at == number:
                changed = Answer(
                    categories=(category,) if category else answer.categories,
                    urgency=urgency or answer.urgency,
                )
                done[at] = (victim, changed)
    return done


def _last_named(text: str, names: Sequence[str]) -> str | None:
    found = {name: text.rfind(name) for name in names}
    name = max(found, key=lambda each: found[each])
    return name if found[name] >= 0 else None
