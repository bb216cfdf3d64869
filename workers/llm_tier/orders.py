"""Words and patterns by which a text gives the machine orders. Data for `risk`; pure.

Patients ask to be put in, forget pills, disregard bills and mark calendars. So no single word of
that kind counts: an order needs several kinds of words close together (an order to sort, what is
to be sorted, a label), in any order, which also finds it inside an ordinary sentence. The words
are looked up once, and the rules go over the finds: the time grows with the text, not faster.
Spanish stands beside English, as de-identification lets both through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_LABELS: Final = (
    "symptom|medication|refill|results?|appointment|referral|billing|admin|update|other(?! [a-z])|"
    "urgent|urgente|spam|emergency(?! contact)"
)
_WORDS: Final[Mapping[str, str]] = {
    "stop": (
        "ignore|disregard|forget|overrid(?:e|ing)|bypass|ignora[rd]?|olvida[rd]?|"
        "no longer appl(?:y|ies)|(?:do not|don't) (?:follow|obey)"
    ),
    "orders": (
        "instructions?|prompts?|rules|guidelines|directives?|few-?shot|schema|guardrails|taxonomy|"
        "training|examples|instrucciones|reglas"
    ),
    "sort": (
        "label(?:l?ed|l?ing)?|classif(?:y|ied|ying)|categori[sz](?:e|ed|ing)|mark(?:ed)?|"
        "(?<!heart )rated?|tag(?:ged)?|cod(?:e|ed|ing)|triage[ds]?|sort(?:s|ed)?(?! of)|"
        "flag(?:ged)?|rank(?:ed)?|prioriti[sz]ed?|etiquet[ae]r?|clasifi(?:ca|que)r?|mar(?:ca|que)r?"
    ),
    "do": (
        "put|set|treat|file[ds]?|list|give|consider|counts?|make|use|assign|call|choose|pick|"
        "(?:should|must|has to|have to) be|gets?|pon(?:er)?|trata[rd]?"
    ),
    "answer": ("answer|respond|reply|return|output|print|say|write|responde[rd]?|contesta[rd]?"),
    # Words of the taxonomy that patients do not use.
    "level": (
        "emergent|routine|urgency|priority|categor(?:y|ies)|classifications?|emergente|rutina|"
        "urgencia|prioridad|categor[ií]as?"
    ),
    "label": _LABELS,
    "as_label": rf"(?:as|under)(?: an?| the| very| most| less| not|:)* (?:{_LABELS})",
    "code": "(?-i:[A-J]{1,3}[1-3])",
    "all": (
        "all|every|each|every(?:one|body)(?:'s)?|everything|others?|rest|any|following|follow|next|"
        "previous|preceding|remaining|above|below|before mine|after (?:mine|this|me)|tod[oa]s?|"
        "dem[aá]s|siguientes?|anterior(?:es)?"
    ),
    "item": (
        "messages?|items?|entr(?:y|ies)|texts?|requests?|ids?|ones?|patients?|patient's|"
        "people(?:'s)?|them|batch|queue|mensajes?"
    ),
    "machine": (
        r"(?-i:A\.?I)|llms?|(?:chat)?gpt[\w.-]*|chat ?bots?|bot|language models?|classifier|"
        "algorithm|(?:ai|virtual|helpful|digital) assistant|neural network|large model|"
        "inteligencia artificial|modelo de lenguaje|clasificador"
    ),
    "tool": "system|computer|program|software|robot|machine|model",
}
_KINDS: Final = {
    kind: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for kind, words in _WORDS.items()
}


@dataclass(frozen=True)
class Rule:
    """Kinds of words that together, within so many characters, make an order."""

    kinds: frozenset[str]
    within: int


def _rules(lines: Mapping[str, int]) -> tuple[Rule, ...]:
    return tuple(Rule(frozenset(kinds.split()), within) for kinds, within in lines.items())


#: Tell the machine what to do with other messages, or to leave its instructions.
CLEAR_RULES: Final = _rules(
    {
        "stop all orders": 60,
        "stop orders level": 100,
        "stop all level": 90,
        "all item level": 60,
        "sort all level": 90,
        "sort all as_label": 90,
        "sort all code": 90,
        "sort all item label": 90,
        "do all level": 90,
        "do all item as_label": 90,
        "answer all level": 90,
        "answer all item code": 90,
        "machine orders": 60,
        "machine sort level": 90,
        "machine sort label": 90,
        "machine do level": 90,
        "machine answer level": 90,
        "machine answer code": 90,
    }
)
#: May be such an order, or a wish about the sender's own message.
DOUBTFUL_RULES: Final = _rules(
    {
        "machine": 0,
        "level": 0,
        "answer code": 40,
        "sort code": 40,
        "orders code": 60,
        "tool code": 60,
        "code all": 60,
        "stop orders": 40,
        "sort label": 60,
        "sort as_label": 60,
        "do as_label": 40,
        "tool sort label": 60,
        "all item as_label": 60,
    }
)

_CLEAR: Final = (
    r"\bsystem\s?(?:prompt|message|override)\b",
    r"(?:^|[\n.!?]|\*)\s?#{0,4}\s?(?:system|assistant|developer|admin)\s?:",
    r"\b(?:new|updated|additional|real|hidden|secret|revised) (?:instructions?|task)\s?:",
    r"\byour (?:new|real|actual) (?:task|job|instructions?|role|rules)\b",
    (
        r"\byou are (?:now |actually |no longer )?(?:an? |the )?(?:helpful )?"
        r"(?:ai|llm|assistant|chat ?bot|bot|language model|classifier|model)\b"
    ),
    (
        r"\b(?:as an?|dear|note (?:to|for) (?:the|any|an?)|if you(?: are|'re) (?:an?|the)|"
        r"attention|hey|hello|hi) (?:ai|llm|language model|assistant|classifier|chat ?bot|model)\b"
    ),
    r"<\|?/?(?:im_start|im_end|system|assistant|user|endoftext|inst)\|?>|\[/?INST\]",
    r"</?(?:messages?|instructions?|input|data|prompt|items?|task|document)>",
    r"[\"']?\b(?:i|id|l|c|u|items?|label|urgency|categories)[\"']\s?:",
    (
        r"\b(?:respond|reply|answer|output|return|print)\b.{0,20}\b(?:(?:with|in) json|json only|"
        r"only json|only with|verbatim)\b"
    ),
    r"\b(?:debug|developer|dev|maintenance|jailbreak|dan) mode\b",
    r"\b(?:end|start) of (?:the )?(?:messages|input|prompt|data|conversation|batch)\b",
)
#: Nobody writes these to a clinic.
CLEAR: Final = re.compile("|".join(_CLEAR), re.IGNORECASE)

_DOUBTFUL: Final = (
    (
        r"\b(?:all|every|each|others?'?|next|following|previous|remaining|these|rest of the|"
        r"todos los)(?: (?:of|the|open|other|these|those|patients?'?s?)){0,2} "
        r"(?:messages?|items?|entries|entry|ids?|tickets?|submissions?|inputs?|mensajes)\b"
    ),
    r"\b(?:others?'?|every|all|next|each)(?: the)? patients?\b",
    r"\bpatients? (?:below|above|before|after|next to) me\b",
    r"\blos dem[aá]s\b",
    r"\b(?:lowest|highest) (?:severity|level|rank)\b|\bothers (?:down|last|lower)\b",
    r"\b(?:text|messages?|everything|all) (?:above|below) (?:is|are|was|were|into)\b",
    r"\b(?:json|outputs?|prompt|sudo|bucket|severity|tokens?|syntax)\b",
    (
        r"\b(?:pretend (?:you|to be|that you)|act as|role ?play|simulate|imagine you are|"
        r"(?:i am|i'm) (?:the|an?|your) (?:supervisor|administrator|admin|developer|"
        r"owner|creator|tester))\b"
    ),
    r"\b(?:reclassif\w{1,8}|re-?label\w{0,4}|prioriti[sz]\w{1,6}|penali[sz]ed)\b",
    r"\b(?:what|anything|everything) (?:you were|you are|you have been) told\b",
    r"\b(?:do not|don't|stop) (?:follow|obey|read|process|listen)\w{0,4}\b",
    r"\b(?:code|triage level|give (?:it|them|all|everyone)(?: an?)?|means) ?:? ?[\"']?[123]\b",
    (
        r"\b(?:machine|system|computer|program|robot|software|model|whoever|automated)\b"
        r".{0,20}\b(?:reads?|reading|sorts?|sorting|triages?|label\w{0,4})\b"
    ),
    r"\bfrom now on,? (?:you|only|use|every|all)\b",
    r"\b(?:di que|responde|contesta|lo anterior)\b",
    # Braces and fences, what is encoded, what is s p e l l e d.
    r"[{}]|```|[a-z0-9+/=]{60,}|(?:\b[a-z][ .*_-]){8}",
)
#: Speak of other people's messages, of codes, or to whoever labels.
DOUBTFUL: Final = re.compile("|".join(_DOUBTFUL), re.IGNORECASE)

#: Words that are looked for behind digits too ("1gn0re").
DISGUISED: Final = re.compile(
    r"\b(?:ignore|disregard|previous|instruct|emergent|routine|label|classif)", re.IGNORECASE
)
DIGITS_AS_LETTERS: Final = str.maketrans("013457@$", "oieastas")


def finds(text: str) -> list[tuple[int, str]]:
    """Where which kinds of words stand, in order."""
    return sorted(
        (match.start(), kind) for kind, words in _KINDS.items() for match in words.finditer(text)
    )


def meets(found: Iterable[tuple[int, str]], rules: Iterable[Rule]) -> bool:
    """Whether all kinds of a rule stand close enough together somewhere."""
    by_kind: dict[str, list[Rule]] = {}
    for rule in rules:
        for kind in rule.kinds:
            by_kind.setdefault(kind, []).append(rule)
    last: dict[str, int] = {}
    for at, kind in found:
        last[kind] = at
        for rule in by_kind.get(kind, ()):
            if all(at - last.get(each, -rule.within - 1) <= rule.within for each in rule.kinds):
                return True
    return False
