"""Red flags: patterns of danger in a message, found at the door, before any queue or model.

The rules are data (red_flags.yaml) that a clinician can read and change; docs/red_flags.md says
how. A flag puts a message into the priority lane and is a floor under its urgency: no model, cache
or LLM answer goes below it. `find` is pure, and linear in the length of the message.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.contracts import Urgency
from shared.red_flags.context import Context, Mention
from shared.red_flags.phrases import PhraseIndex
from shared.red_flags.rule_file import SCOPES, Pattern, Rule, RuleFile, read_rule_file
from shared.red_flags.text import Speller, Words, read_words


@dataclass(frozen=True, kw_only=True)
class RedFlag:
    """A danger that the message seems to report, and where it says so."""

    rule: str  # the rule's id
    title: str  # for clinicians
    urgency: Urgency  # the floor: emergent or urgent
    start: int  # place of the words that raised it, characters of the text
    end: int


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A concept that a text names."""

    concept: str
    start: int
    end: int
    doubt: str | None  # why it does not count; None if it does


class RedFlags:
    """The rules, compiled once; safe to share between threads."""

    def __init__(self, file: RuleFile) -> None:
        self._file = file
        self._concepts = PhraseIndex(
            [(c.name, phrase) for c in file.concepts.values() for phrase in c.phrases]
        )
        self._cues = PhraseIndex([(kind, p) for kind, cue in file.cues.items() for p in cue])
        self._speller = Speller(file.spelling, file.typos, file.vocabulary())
        self._rules_by_need = _by_need(file.rules)

    @classmethod
    def load(cls, path: Path | None = None) -> RedFlags:
        """Read the rules from `path`, or those that come with Carelane; raises RuleError."""
        return cls(read_rule_file(path))

    @property
    def version(self) -> str:
        """The version that the file gives itself."""
        return self._file.version

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in the order of the file."""
        return self._file.rules

    def find(self, text: str) -> tuple[RedFlag, ...]:
        """The flags of a message, the most urgent first; each rule at most once."""
        words = read_words(text, self._speller)
        mentions = [Mention(*hit) for hit in self._concepts.find(words)]
        # Most messages end here: the cues are sought only where there is something to doubt.
        if not self._possible(mentions):
            return ()
        mentions = [m for m, doubt in self._doubted(words, mentions) if doubt is None]
        message = _Message(words, mentions, self._file)
        flags = []
        for rule in self._possible(mentions):
            hit = next(filter(None, (message.match(p) for p in rule.patterns)), None)
            if hit:
                flags.append(_flag(rule, words, hit))
        return tuple(sorted(flags, key=lambda flag: (flag.urgency.rank, flag.start)))

    def explain(self, text: str) -> tuple[Reading, ...]:
        """Every concept that the text names, and why some of them do not count."""
        words = read_words(text, self._speller)
        readings = self._doubted(words, [Mention(*hit) for hit in self._concepts.find(words)])
        return tuple(
            Reading(
                concept=mention.concept,
                start=words.start[mention.first],
                end=words.end[mention.end - 1],
                doubt=doubt,
            )
            for mention, doubt in dict.fromkeys(readings)
        )

    def _possible(self, mentions: Sequence[Mention]) -> list[Rule]:
        """The rules, in the file's order, that these mentions could fulfil; no other can hold."""
        present = {mention.concept for mention in mentions}
        places = {
            place
            for concept in present
            for place, pattern in self._rules_by_need.get(concept, ())
            if pattern.may_hold(present)
        }
        return [self._file.rules[place] for place in sorted(places)]

    def _doubted(
        self, words: Words, mentions: Sequence[Mention]
    ) -> list[tuple[Mention, str | None]]:
        """The mentions, each with the reason why it does not count."""
        context = Context(words, [Mention(*hit) for hit in self._cues.find(words)])
        return [(mention, self._doubt(mention, context)) for mention in mentions]

    def _doubt(self, mention: Mention, context: Context) -> str | None:
        concept = self._file.concepts[mention.concept]
        return context.doubt(
            mention, background=concept.background, even_if_over=concept.even_if_over
        )


def _by_need(rules: Sequence[Rule]) -> dict[str, list[tuple[int, Pattern]]]:
    """Each pattern, with its rule's place, under the concepts of which it needs at least one."""
    found: dict[str, list[tuple[int, Pattern]]] = {}
    for place, rule in enumerate(rules):
        for pattern in rule.patterns:
            # The smallest slot is met least often.
            needed = min(pattern.slots, key=len) if pattern.slots else pattern.several
            for concept in needed:
                found.setdefault(concept, []).append((place, pattern))
    return found


def _flag(rule: Rule, words: Words, hit: Mention) -> RedFlag:
    return RedFlag(
        rule=rule.id,
        title=rule.title,
        urgency=rule.urgency,
        start=words.start[hit.first],
        end=words.end[hit.end - 1],
    )


class _Message:
    """The mentions of one message, in order, for matching patterns."""

    def __init__(self, words: Words, mentions: Sequence[Mention], file: RuleFile) -> None:
        self._words = words
        self._file = file
        self._of: dict[str, list[Mention]] = {}
        for mention in mentions:
            self._of.setdefault(mention.concept, []).append(mention)
        self._present = frozenset(self._of)

    def match(self, pattern: Pattern) -> Mention | None:
        """The first mention that, with its company, fulfils `pattern`; None without one."""
        if not pattern.may_hold(self._present):
            return None
        if not pattern.unless.isdisjoint(self._present):
            return None
        anchors = self._mentions(pattern.slots[0] if pattern.slots else pattern.several)
        return next((anchor for anchor in anchors if self._holds(pattern, anchor)), None)

    def _mentions(self, concepts: Iterable[str]) -> list[Mention]:
        found = [m for concept in concepts for m in self._of.get(concept, ())]
        return sorted(found, key=lambda m: (m.first, m.end))

    def _holds(self, pattern: Pattern, anchor: Mention) -> bool:
        if not all(
            any(self._near(concept, anchor, pattern.within) for concept in slot)
            for slot in pattern.slots[1:]
        ):
            return False
        if not pattern.several:
            return True
        company = sum(
            anchor.concept == concept or self._near(concept, anchor, pattern.within)
            for concept in pattern.several
        )
        return company >= pattern.at_least

    def _near(self, concept: str, anchor: Mention, within: str) -> bool:
        """Whether `concept` is said, in words of its own, close enough to `anchor`."""
        mentions = self._of.get(concept)
        if not mentions:
            return False
        if self._file.concepts[concept].background:
            return True
        at = bisect_left(mentions, anchor.first, key=lambda m: m.first)
        return any(
            self._apart(m, anchor) and self._in_reach(m, anchor, within)
            for m in mentions[max(0, at - 3) : at + 4]
        )

    @staticmethod
    def _apart(one: Mention, other: Mention) -> bool:
        return one.end <= other.first or other.end <= one.first

    def _in_reach(self, one: Mention, other: Mention, within: str) -> bool:
        if within == "sentence":
            return self._words.sentence[one.first] == self._words.sentence[other.first]
        distance = max(one.first, other.first) - min(one.end, other.end)
        return distance <= SCOPES[within]
