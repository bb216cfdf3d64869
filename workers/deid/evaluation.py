"""How well identifiers were found, against marks. Pure.

Any-type measures, which the release is judged by:

- recall: a marked value counts as found when every letter and digit of it is masked, under
  whatever type;
- precision: a masked span counts as right when at least half of its letters and digits are marked.

Per type, `exact` wants equal offsets and type, `partial` the same type and one shared character.
Values of ignored types (another annotator's types that Carelane does not know) count neither way.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from workers.deid.lists import clinical_words
from workers.deid.marks import Mark
from workers.deid.spans import TYPES, Span

IGNORED = "IGNORED"
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """Counts of right, found and wanted spans, and what follows from them."""

    right_found: int
    found: int
    right_wanted: int
    wanted: int

    @property
    def precision(self) -> float:
        return self.right_found / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.right_wanted / self.wanted if self.wanted else 1.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


@dataclass(slots=True)
class Tally:
    """Adds up over texts; read `any_type`, `exact`, `partial`, and the lists at the end."""

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    leaked: list[tuple[str, str, str]] = field(default_factory=list)  # id, type, value
    wrong: list[tuple[str, str, str]] = field(default_factory=list)  # id, type, masked text
    lost_words: Counter[str] = field(default_factory=Counter)
    clean_texts: int = 0  # texts without any identifier
    clean_texts_touched: int = 0  # ... in which something was masked all the same
    clean_texts_losing: int = 0  # ... in which a clinical word was masked

    def add(self, name: str, text: str, marks: Sequence[Mark], spans: Sequence[Span]) -> None:
        """Count one text."""
        wanted = [mark for mark in marks if mark.type != IGNORED]
        aside = _covered(text, [mark for mark in marks if mark.type == IGNORED])
        covered = _covered(text, spans)
        marked = _covered(text, wanted)
        judged = [span for span in spans if not _share(text, aside, span) > 0]
        self._any_type(name, text, wanted, judged, covered, marked)
        for kind in TYPES:
            mine = [span for span in judged if span.type == kind]
            theirs = [mark for mark in wanted if mark.type == kind]
            self._by_type("exact", kind, mine, theirs, _same)
            self._by_type("partial", kind, mine, theirs, _touch)
        lost = [
            word[0].lower()
            for span in judged
            for word in _WORD.finditer(text, span.start, span.end)
            if word[0].lower() in clinical_words() and not any(marked[word.start() : word.end()])
        ]
        self.lost_words.update(lost)
        if not marks:
            self.clean_texts += 1
            self.clean_texts_touched += bool(spans)
            self.clean_texts_losing += bool(lost)

    def _any_type(
        self,
        name: str,
        text: str,
        wanted: list[Mark],
        judged: list[Span],
        covered: list[bool],
        marked: list[bool],
    ) -> None:
        for mark in wanted:
            hit = _share(text, covered, mark) == 1.0
            self.counts["any", mark.type, "wanted"] += 1
            self.counts["any", mark.type, "right_wanted"] += hit
            if not hit:
                self.leaked.append((name, mark.type, text[mark.start : mark.end]))
        for span in judged:
            right = _share(text, marked, span) >= 0.5
            self.counts["any", span.type, "found"] += 1
            self.counts["any", span.type, "right_found"] += right
            if not right:
                self.wrong.append((name, span.type, text[span.start : span.end]))

    def _by_type(
        self,
        how: str,
        kind: str,
        mine: list[Span],
        theirs: list[Mark],
        match: Callable[[Span, Mark], bool],
    ) -> None:
        self.counts[how, kind, "found"] += len(mine)
        self.counts[how, kind, "wanted"] += len(theirs)
        self.counts[how, kind, "right_found"] += sum(
            any(match(span, mark) for mark in theirs) for span in mine
        )
        self.counts[how, kind, "right_wanted"] += sum(
            any(match(span, mark) for span in mine) for mark in theirs
        )

    def score(self, how: str, kind: str | None = None) -> Score:
        """`how` is any, exact or partial; `kind` None adds all types up.

        For `any`, the recall of a type is over the values marked so, the precision over the
        spans masked so.
        """
        kinds = TYPES if kind is None else (kind,)

        def total(what: str) -> int:
            return sum(self.counts[how, one, what] for one in kinds)

        return Score(
            right_found=total("right_found"),
            found=total("found"),
            right_wanted=total("right_wanted"),
            wanted=total("wanted"),
        )


def _same(span: Span, mark: Mark) -> bool:
    return span.start == mark.start and span.end == mark.end


def _touch(span: Span, mark: Mark) -> bool:
    return span.start < mark.end and span.end > mark.start


def _covered(text: str, spans: Sequence[Mark | Span]) -> list[bool]:
    covered = [False] * len(text)
    for span in spans:
        covered[span.start : span.end] = [True] * (span.end - span.start)
    return covered


def _share(text: str, covered: Sequence[bool], span: Mark | Span) -> float:
    """The share of the span's letters and digits that are covered."""
    places = [i for i in range(span.start, span.end) if text[i].isalnum()]
    places = places or list(range(span.start, span.end))
    return sum(covered[i] for i in places) / len(places)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie (nearest rank); 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
