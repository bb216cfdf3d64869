"""Whether a text is in a language and a script that de-identification was built for.

English, and Spanish as far as the measured recall allows (docs/deidentification.md). Anything
else is refused: a recogniser that cannot read a text cannot vouch for it. Pure.
"""

from __future__ import annotations

import re
import unicodedata

from shared.errors import DeidError

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_NON_ASCII_LETTERS = re.compile(r"[^\W\d_\x00-\x7f]+")

# Words that only hold sentences together; each list leaves out what the other languages share.
ENGLISH = frozenset(
    "the of to and is was are were be been am i my me you your he she his her him it its they "
    "their we our this that these those with for from at on by not have has had do does did can "
    "could would should will what when where who how why if or but so than then there just about "
    "after before any some more need please thank thanks still also get got out up been i'm it's "
    "don't didn't can't i've he's she's dr im dont cant".split()
)
SPANISH = frozenset(
    "el la los las un una de del que y en por para con se su sus mi mis me te lo le les es son "
    "está estoy estaba tengo tiene hace más pero como cuando donde qué quién si sí ya muy hoy "
    "gracias favor buenos buenas días hola señora señor doctor doctora necesito puede puedo desde "
    "hasta sin sobre también al yo ella él esta este eso".split()
)
_FOREIGN = {
    "French": "le les des une est je et dans pour pas avec sur mon ma mes vous nous il elle ne "
    "suis ai mais très depuis bonjour merci être cette ce qui sont était j'ai c'est",
    "German": "der die das und ist ich nicht ein eine mit für auf dem den mein meine sie wir haben "
    "habe bin seit aber auch zu bitte danke guten sehr wie kann",
    "Portuguese": "não uma com meu minha você eu são dos das nos pelo pela obrigado obrigada bom "
    "dia está tenho ele ela mas também há muito foi ao",
    "Italian": "il di che è non sono ho mio mia della del con per una gli nel anche grazie "
    "buongiorno questo questa ha mi da più",
    "Dutch": "het een van ik niet mijn met voor en dat zijn heb op te aan maar ook naar wel bij "
    "dank graag",
    "Polish": "nie jest się na że do mam czy jak od dla mój moja proszę dziękuję dzień dobry przez "
    "jestem ale po",
    "Vietnamese": "tôi không là và của có cho một bị được này con xin cảm ơn ngày đau bác sĩ",
    "Tagalog": "ang ng mga sa po ko ako na hindi siya kay salamat naman lang pa ba may ito niya",
    "Haitian Creole": "mwen ou li nou yo pa gen nan ak pou ki sa mèsi tanpri doktè depi ap te fè",
    "Somali": "waa iyo ka ku waxaan ma oo ayaa baan mahadsanid fadlan dhakhtar igu leh",
}
_FOREIGN_SETS = {name: frozenset(words.split()) - ENGLISH for name, words in _FOREIGN.items()}

# In lower-case words, which are no names: letters that neither English nor Spanish has.
_FOREIGN_LETTER = re.compile(r"^[^\W\dA-ZÀ-Þ].*[^\x00-\x7fáéíóúñüÁÉÍÓÚÑÜµμªº]")

# Letters that medicine writes alone within Latin text: micro, ordinals, Greek symbols.
_SYMBOLS = frozenset("µμªºαβγδΔκλωΩΣσ")

_ENOUGH_WORDS = 24  # so many words without one that is English or Spanish are neither
_ENOUGH_FOREIGN = 4
_SHORT_SHARE = 0.4  # of a short text's words, where none is English or Spanish


def check_script(text: str) -> None:
    """Raise DeidError where letters of another script than Latin stand in the text."""
    if text.isascii():
        return
    for run in _NON_ASCII_LETTERS.findall(text):
        for letter in run:
            if letter not in _SYMBOLS and not _is_latin(letter):
                raise DeidError(
                    "unknown_script",
                    "The message holds letters of a script that de-identification cannot read "
                    f"({unicodedata.name(letter, 'unnamed letter').title()}); "
                    "a person has to read it.",
                )


def _is_latin(letter: str) -> bool:
    return letter <= "\u024f" or unicodedata.name(letter, "").startswith("LATIN")


def check_language(text: str) -> None:
    """Raise DeidError where the text reads as neither English nor Spanish.

    Short and clipped messages hold few of the words that tell a language; they pass unless they
    hold more of another language's.
    """
    words = [word.lower() for word in _WORD.findall(text)]
    known = sum(word in ENGLISH or word in SPANISH for word in words)
    distinct = set(words)
    for name, theirs in _FOREIGN_SETS.items():
        hits = distinct & theirs
        count = sum(word in hits for word in words)
        clear = len(hits) >= _ENOUGH_FOREIGN and count > known
        if clear or (known == 0 and len(hits) >= 2 and count >= _SHORT_SHARE * len(words)):
            raise DeidError(
                "unknown_language",
                f"The message seems to be written in {name}, which de-identification does not "
                "cover (it covers English and Spanish); a person has to read it.",
            )
    # Lists of medicines and readings hold no such words either, hence the length.
    strange = len({word for word in _WORD.findall(text) if _FOREIGN_LETTER.search(word)})
    if known == 0 and (len(words) >= _ENOUGH_WORDS or strange >= 2):
        raise DeidError(
            "unknown_language",
            "The message is in a language that de-identification does not cover (it covers "
            "English and Spanish); a person has to read it.",
        )
