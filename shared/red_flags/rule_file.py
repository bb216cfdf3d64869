"""Reads red_flags.yaml into rules, and says which rule is wrong and how to mend it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Never

import yaml

from shared.contracts import Urgency
from shared.errors import RuleError
from shared.red_flags.context import CUES
from shared.red_flags.phrases import OneOf, Phrase, PhraseError, parse_phrase

WORDINGS = ("emergency", "crisis line", "same day")
SCOPES = {"sentence": 0, "near": 40, "message": 1_000_000}  # in words; a sentence is its own bound
MIN_EXAMPLES = 4
_RULE_KEYS = {"id", "title", "urgency", "wording", "when", "must_match", "must_not_match"}
_PATTERN_KEYS = {"all", "at_least", "of", "within", "unless"}


@dataclass(frozen=True, slots=True)
class Concept:
    """One clinical idea with the ways to say it."""

    name: str
    phrases: tuple[Phrase, ...]
    background: bool  # an old fact counts too: a pregnancy, a medicine, a disease
    even_if_over: bool  # counts though it has passed: a droop or a faint an hour ago


@dataclass(frozen=True, slots=True)
class Pattern:
    """What must be said together for a rule to hold."""

    slots: tuple[frozenset[str], ...]  # one concept of each
    several: frozenset[str]  # and `at_least` different ones of these
    at_least: int
    within: str
    unless: frozenset[str]

    def may_hold(self, present: AbstractSet[str]) -> bool:
        """Whether the concepts that are `present` suffice, wherever they stand."""
        if any(slot.isdisjoint(present) for slot in self.slots):
            return False
        return self.at_least <= len(self.several & present)


@dataclass(frozen=True, slots=True)
class Rule:
    """One danger."""

    id: str
    title: str
    urgency: Urgency
    wording: str
    patterns: tuple[Pattern, ...]
    must_match: tuple[str, ...]
    must_not_match: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleFile:
    """The whole file, checked."""

    version: str
    spelling: Mapping[str, str]
    typos: frozenset[str]  # words in which one slip of the keyboard is mended
    concepts: Mapping[str, Concept]
    cues: Mapping[str, tuple[Phrase, ...]]
    rules: tuple[Rule, ...]

    def vocabulary(self) -> frozenset[str]:
        """Every word that a phrase names."""
        phrases = [p for concept in self.concepts.values() for p in concept.phrases]
        phrases += [p for cue in self.cues.values() for p in cue]
        return frozenset(
            word
            for phrase in phrases
            for element in phrase
            if isinstance(element, OneOf)
            for word in element.words
        )


# The C loader takes a tenth of the time; both read the same language.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):  # type: ignore[misc]  # either base, chosen above
    """A safe loader that refuses a name given twice; plain YAML would drop the first unseen."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                line = node.start_mark.line + 1
                _fail(f"the block at line {line}", f"names {name!r} twice; put them together")
        return dict(super().construct_mapping(node, deep=deep))


def read_rule_file(path: Path | None) -> RuleFile:
    """Read `path`, or the packaged rules; raises RuleError."""
    where = str(path) if path else "the packaged red_flags.yaml"
    source = path or files("shared.red_flags").joinpath("red_flags.yaml")
    try:
        raw = yaml.load(source.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  is safe
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RuleError(f"{where} cannot be read: {error}") from error
    if not isinstance(raw, dict):
        _fail(where, "must hold `version`, `concepts`, `cues` and `rules`")
    return _read(raw, where)


def _read(raw: Mapping[str, Any], where: str) -> RuleFile:
    _only(raw, {"version", "spelling", "typos", "lists", "concepts", "cues", "rules"}, where)
    lists = {
        name: _text(value, f"list {name}").split() for name, value in _map(raw, "lists").items()
    }
    concepts = {name: _concept(name, value, lists) for name, value in _map(raw, "concepts").items()}
    cues = _map(raw, "cues")
    _only(cues, set(CUES), "cues")
    listed = raw.get("rules")
    if not isinstance(listed, list) or not listed:
        _fail(where, "has no list of `rules`")
    rules = tuple(_rule(value, concepts) for value in listed)
    file = RuleFile(
        version=str(raw.get("version") or _fail(where, "needs a `version`")),
        spelling={str(k): str(v) for k, v in _map(raw, "spelling").items()},
        typos=frozenset(_text(raw.get("typos") or "", "typos").split()),
        concepts=concepts,
        cues={kind: _phrases(cues.get(kind) or "", f"cue {kind}", lists) for kind in CUES},
        rules=rules,
    )
    _check_whole(file)
    return file


def _check_whole(file: RuleFile) -> None:
    """What no part shows by itself: double ids, concepts for nothing, words never met."""
    ids = [rule.id for rule in file.rules]
    for rule_id in ids:
        if ids.count(rule_id) > 1:
            _fail(f"rule {rule_id}", "stands twice; give each rule its own id")
    patterns = [pattern for rule in file.rules for pattern in rule.patterns]
    used = {name for p in patterns for name in (*p.several, *p.unless, *set().union(*p.slots))}
    for name in file.concepts.keys() - used:
        _fail(f"concept {name}", "is used by no rule; use it or take it out")
    for word in file.vocabulary() & file.spelling.keys():
        _fail(f"a phrase with {word!r}", f"is never met: `spelling` makes it {file.spelling[word]}")


def _concept(name: str, value: Any, lists: Mapping[str, Sequence[str]]) -> Concept:
    where = f"concept {name}"
    options: Mapping[str, Any] = {}
    if isinstance(value, dict):
        _only(value, {"background", "even_if_over", "phrases"}, where)
        options, value = value, value.get("phrases")
    phrases = _phrases(value, where, lists)
    if not phrases:
        _fail(where, "has no phrases")
    return Concept(
        name,
        phrases,
        background=options.get("background") is True,
        even_if_over=options.get("even_if_over") is True,
    )


def _phrases(value: Any, where: str, lists: Mapping[str, Sequence[str]]) -> tuple[Phrase, ...]:
    found: list[Phrase] = []
    for text in _lines(value, where):
        try:
            found += parse_phrase(text, lists)
        except PhraseError as error:
            _fail(where, str(error))
    return tuple(found)


def _rule(value: Any, concepts: Mapping[str, Concept]) -> Rule:
    if not isinstance(value, dict) or not value.get("id"):
        _fail(f"rule {value!r:.60}", "must be a block that begins with `id`")
    where = f"rule {value['id']}"
    _only(value, _RULE_KEYS, where)
    for key in ("title", "urgency", "wording", "when"):
        if not value.get(key):
            _fail(where, f"needs `{key}`")
    if value["urgency"] not in (Urgency.EMERGENT, Urgency.URGENT):
        _fail(where, f"has urgency {value['urgency']!r}; use emergent or urgent")
    if value["wording"] not in WORDINGS:
        _fail(where, f"has wording {value['wording']!r}; use one of {', '.join(WORDINGS)}")
    if not isinstance(value["when"], list):
        _fail(where, "needs a list under `when`: each block begins with a dash")
    examples = {}
    for key in ("must_match", "must_not_match"):
        examples[key] = tuple(_lines(value.get(key) or "", f"{where}, {key}"))
        if len(examples[key]) < MIN_EXAMPLES:
            _fail(where, f"needs at least {MIN_EXAMPLES} examples under `{key}`")
    return Rule(
        id=str(value["id"]),
        title=str(value["title"]),
        urgency=Urgency(value["urgency"]),
        wording=value["wording"],
        patterns=tuple(_pattern(pattern, where, concepts) for pattern in value["when"]),
        **examples,
    )


def _pattern(value: Any, where: str, concepts: Mapping[str, Concept]) -> Pattern:
    if not isinstance(value, dict):
        _fail(where, "`when` must be a list of blocks with `all`, or `at_least` and `of`")
    _only(value, _PATTERN_KEYS, where)
    within = value.get("within", "near")
    if within not in SCOPES:
        _fail(where, f"has within {within!r}; use one of {', '.join(SCOPES)}")
    slots = tuple(
        frozenset(_names([slot] if isinstance(slot, str) else slot, where))
        for slot in value.get("all") or ()
    )
    several = frozenset(_names(value.get("of") or [], where))
    unless = frozenset(_names(value.get("unless") or [], where))
    at_least = value.get("at_least", 0)
    if not isinstance(at_least, int):
        _fail(where, "needs a number after `at_least`")
    if (not slots and not several) or bool(several) != bool(at_least):
        _fail(where, "each block of `when` needs `all`, or `at_least` (a number) and `of`")
    if slots and any(name in concepts and concepts[name].background for name in slots[0]):
        _fail(where, f"{sorted(slots[0])} is background; put what is reported now first")
    for name in (*(name for slot in slots for name in slot), *several, *unless):
        if name not in concepts:
            _fail(where, f"uses the concept {name!r}, which is not under `concepts`")
    return Pattern(slots, several, at_least, within, unless)


def _names(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        _fail(where, f"has {value!r} where names of concepts belong; write [one, two]")
    return value


def _map(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = raw.get(key) or {}
    if not isinstance(value, dict):
        _fail(f"`{key}`", "must be a block of `name: value` lines")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        _fail(where, "must be text; write `|` after the colon and the lines below it, indented")
    return value


def _lines(value: Any, where: str) -> list[str]:
    lines = (line.strip() for line in _text(value, where).splitlines())
    return [line for line in lines if line]


def _only(value: Mapping[str, Any], allowed: set[str], where: str) -> None:
    if unknown := sorted(set(map(str, value)) - allowed):
        _fail(where, f"has unknown keys {', '.join(unknown)}; known: {', '.join(sorted(allowed))}")


def _fail(where: str, what: str) -> Never:
    raise RuleError(f"{where}: {what}")
