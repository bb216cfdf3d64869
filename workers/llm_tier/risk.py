"""Messages that talk to the machine instead of the clinic: how far they may go. Pure.

Nothing can tell for certain whether a model will obey an instruction inside a message. So a
message that looks like one is asked alone, where it can harm nobody else's label, and its answer
counts only if the small model, which cannot be talked to, says the same; and one that clearly
tries goes to a person without being asked about.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from typing import Final

from workers.llm_tier.wording import collapsed


class Risk(StrEnum):
    """What to do with a message."""

    NONE = "none"  # may share a prompt
    ALONE = "alone"  # a prompt of its own, and the small model must agree
    PERSON = "person"  # not asked about


_LABEL_WORD = (
    r"(?:label|categor(?:y|ies)|class(?:ification)?|urgency|priority|emergent|urgent|routine|"
    r"symptom|medication|refill|results?|appointment|referral|billing|admin|update|other)"
)
_MACHINE = (
    r"(?:instructions?|prompts?|rules|guidelines|directives?|messages?|context|training|"
    r"examples?|labels?|json|schema|text)"
)
_CLEAR: Final = re.compile(
    "|".join(
        (
            (
                rf"\b(?:ignore|disregard|forget|override|bypass)\b.{{0,40}}\b(?:previous|prior|above|"
                rf"earlier|all|any|every|other|your|these|those|the)\b.{{0,20}}\b{_MACHINE}\b"
            ),
            r"\bsystem\s*(?:prompt|message|override|:)",
            r"\b(?:new|updated|additional|real|hidden) instructions?\b",
            (
                r"\byou are (?:now |actually |no longer )?(?:an? |the )?"
                r"(?:ai|llm|assistant|chatbot|bot|language model|classifier|model)\b"
            ),
            r"\b(?:as an|dear) (?:ai|llm|language model|assistant|classifier)\b",
            r"<\|?/?(?:im_start|im_end|system|assistant|user|endoftext|inst)\|?>|\[/?INST\]",
            r"(?:^|\n)\s*#{0,4}\s*(?:system|assistant|developer)\s*:",
            (
                r"\b(?:label|classify|categori[sz]e|mark|rate|tag|answer|code|treat|set)\b.{0,40}"
                r"\b(?:all|every|each|any|other|others|rest|following|previous)\b.{0,40}"
                r"\b(?:messages?|items?|entries|texts?|patients?|labels?|ids?)\b.{0,60}"
                r"\b(?:as|to|with|code)\b"
            ),
            (
                r"\b(?:all|every|each|other|following)\b.{0,30}\b(?:messages|items|entries)\b.{0,40}"
                r"\b(?:answer|label|classify|code)\b"
            ),
            r"\"?\b(?:i|id|l|c|u|items?|label|urgency|categories)\"\s*:",
            (
                r"\b(?:respond|reply|answer|output|return|print)\b.{0,20}"
                r"\b(?:only|exactly|with json|in json|verbatim)\b"
            ),
        )
    ),
    re.IGNORECASE | re.DOTALL,
)
_DOUBTFUL: Final = re.compile(
    "|".join(
        (
            r"\b(?:ignore|disregard|forget|override|instead|you must|must be|has to be)\b",
            (
                r"\b(?:set|mark|label|classify|categori[sz]e|rate|treat|answer|flag|tag|file|put|"
                r"consider)\b.{0,60}\b(?:as|to|with|under|in)\b"
            ),
            rf"\b(?:is|was|be|as|=|:)\s*(?:not\s+)?[\"'*(]*{_LABEL_WORD}[\"'*)]*\s*(?:$|[.!])",
            r"\b(?:prompt|classifier|algorithm|language model|chatgpt|gpt|llm|a\.?i\.?)\b",
            r"[{}]|```",
        )
    ),
    re.IGNORECASE | re.DOTALL,
)
#: Characters that hide words from readers, not from tokenizers.
_HIDDEN: Final = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad]")
_LONG_RUN: Final = re.compile(r"[A-Za-z0-9+/=]{60,}")


def risk_of(text: str) -> Risk:
    """How a message may be asked about."""
    plain = unicodedata.normalize("NFKC", text)
    shown = _HIDDEN.sub("", plain)
    hidden = len(plain) - len(shown)
    shown = collapsed(shown)
    if hidden > 3 or _CLEAR.search(shown):
        return Risk.PERSON
    if _LONG_RUN.search(shown) or _DOUBTFUL.search(shown):
        return Risk.ALONE
    return Risk.NONE
