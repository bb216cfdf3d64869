"""Whether a mention counts: is it said to be there, now, in the patient?

"No chest pain", "I had a clot in 2019", "what if she stops breathing", "my neighbour passed out"
and "this bill gives me chest pain" name a danger without reporting one. The cues that show it
stand in red_flags.yaml; here is only how far each of them reaches (after NegEx, Chapman et al.,
J Biomed Inform 2001, doi:10.1006/jbin.2001.1029).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.red_flags.phrases import NEGATIONS
from shared.red_flags.text import Words

CUES = ("denied", "not", "past", "now", "ended", "hypothetical", "other_person", "figurative")

_DENIAL_REACH_WORDS = 4
_LIST_REACH_WORDS = 10  # "no fever, chills or shortness of breath"
_NOT_REACH_WORDS = 1
_PAST_REACH_WORDS = 16
_ENDED_REACH_WORDS = 9
_HYPOTHESIS_REACH_WORDS = 14
_PERSON_REACH_WORDS = 12
_FIGURE_REACH_WORDS = 2
_BREAKS = frozenset("but however except although though yet now just still".split())
_LINKS = frozenset("or nor ni o".split())
_NEW_STATEMENT = frozenset(
    "i he she we they its im hes shes theyre ive my his her have has is are was it".split()
)


@dataclass(frozen=True, slots=True)
class Mention:
    """A concept's phrase in the message, from word `first` up to, not including, word `end`."""

    concept: str
    first: int
    end: int


class Context:
    """The cues of one message, and what they say about a mention in it."""

    def __init__(self, words: Words, cues: Sequence[Mention]) -> None:
        self._words = words
        self._cues: dict[tuple[str, int], list[Mention]] = {}
        for cue in cues:
            key = (cue.concept, words.sentence[cue.first])
            self._cues.setdefault(key, []).append(cue)

    def doubt(self, mention: Mention, *, background: bool, even_if_over: bool) -> str | None:
        """Why the mention does not count, in words for a clinician; None if it counts.

        Of a background fact (a pregnancy, a medicine) only denial is a doubt.
        """
        if self._denied(mention):
            return "denied"
        if self._figurative(mention):
            return "a figure of speech"
        if background:
            return None
        if not even_if_over and self._ended(mention):
            return "over"
        if self._past(mention):
            return "long ago"
        return self._supposed(mention)

    def _of(self, kind: str, mention: Mention) -> list[Mention]:
        return self._cues.get((kind, self._words.sentence[mention.first]), [])

    def _before(self, kind: str, mention: Mention, reach: int) -> bool:
        return any(
            cue.end <= mention.first and mention.first - cue.end <= reach
            for cue in self._of(kind, mention)
        )

    def _denied(self, mention: Mention) -> bool:
        return any(
            self._reaches(cue, mention, reach)
            for kind, reach in (("denied", _DENIAL_REACH_WORDS), ("not", _NOT_REACH_WORDS))
            for cue in self._of(kind, mention)
        )

    def _reaches(self, cue: Mention, mention: Mention, reach: int) -> bool:
        """A denial reaches a few words, and further through a list; never past a "but"."""
        distance = mention.first - cue.end
        if not 0 <= distance <= _LIST_REACH_WORDS:
            return False
        between = self._words.word[cue.end : mention.first]
        if not _BREAKS.isdisjoint(between):
            return False
        same_clause = self._words.clause[cue.end - 1] == self._words.clause[mention.first]
        if same_clause and distance <= reach:
            return True
        listed = self._words.word[cue.end : min(mention.end + 6, len(self._words.word))]
        return not _LINKS.isdisjoint(listed) and _NEW_STATEMENT.isdisjoint(between)

    def _ended(self, mention: Mention) -> bool:
        return any(
            0 <= cue.first - mention.end <= _ENDED_REACH_WORDS
            # "it has not gone away" is no end
            and NEGATIONS.isdisjoint(self._words.word[mention.end : cue.end])
            for cue in self._of("ended", mention)
        )

    def _past(self, mention: Mention) -> bool:
        """Long ago. A word for now in the same sentence overrules it, to be on the safe side."""
        if self._of("now", mention):
            return False
        return any(
            cue.first - mention.end <= _PAST_REACH_WORDS
            and mention.first - cue.end <= _PAST_REACH_WORDS
            for cue in self._of("past", mention)
        )

    def _supposed(self, mention: Mention) -> str | None:
        if self._before("hypothetical", mention, _HYPOTHESIS_REACH_WORDS):
            return "only supposed"
        if self._before("other_person", mention, _PERSON_REACH_WORDS):
            return "about somebody else"
        return None

    def _figurative(self, mention: Mention) -> bool:
        return any(
            cue.first - mention.end <= _FIGURE_REACH_WORDS
            and mention.first - cue.end <= _FIGURE_REACH_WORDS
            for cue in self._of("figurative", mention)
        )
