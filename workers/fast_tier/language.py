"""Which language a message is in, well enough to know when the model must not answer.

No library: the question is only "English, or not?", on text that is often terse and misspelt.
Script decides first, then function words, then how many words the model's vocabulary knows.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

ENGLISH: Final = "en"
UNKNOWN: Final = "und"  # ISO 639-2: undetermined

_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")

#: Frequent words that are no English words (nor names of medicines), per language.
_MARKERS: Final = {
    "es": "el la los las una unos que qué por para con como cómo pero muy más mi mis su está estoy "
    "esta este tengo tiene hay ha he sido del al cuando cuándo porque desde hace sobre también "
    "puedo puede quiero necesito gracias buenos días hola doctor doctora cita receta dolor ayer "
    "hoy mañana hijo hija mamá papá le les nos todo nada si sí ya bien usted soy era fue y o es en "
    "se lo un de favor medicina pastillas cabeza pecho",
    "pt": "não uma com meu minha são está estou tenho tem por para mas muito você obrigado "
    "obrigada dor ontem hoje amanhã consulta receita filho filha quando porque também preciso "
    "posso ele ela",
    "fr": "le les des une est et je j'ai mon ma mes pas que qui pour avec sur dans vous nous "
    "depuis mais très c'est bonjour merci docteur rendez-vous besoin douleur hier aujourd'hui "
    "demain suis fils fille du au aux cette être fait",
    "de": "der das und ich ist nicht ein eine einen mein meine meinen mit für auf habe haben seit "
    "bitte danke schmerzen heute gestern morgen termin rezept kann wir sie aber auch sehr wegen "
    "noch bei zum zur dem den",
    "it": "il gli una che non per con mio mia sono ho hai è del della nel dal anche molto grazie "
    "buongiorno dolore ieri oggi domani visita ricetta figlio figlia perché quando devo posso",
    "ht": "mwen li nou yo ki pou nan avèk ak gen pa te ap tèt doulè tanpri mèsi bonjou kijan "
    "doktè medikaman pitit jodi",
    "tl": "ang mga ng sa ako ko mo niya siya kami po opo hindi wala meron kasi naman lang yung "
    "masakit gamot salamat kahapon ngayon bukas anak",
    "vi": "tôi không của là có cho và được bị đau bác sĩ thuốc hôm nay cảm ơn con bé ngày một "
    "khám tái xin",
    "pl": "nie jest mam mnie się na że czy proszę dzień dobry dziękuję ból wczoraj dzisiaj jutro "
    "recepta wizyta jak ale tylko od dla jestem",
    "nl": "het een niet ik mijn heb hebben voor maar ook naar afspraak pijn gisteren vandaag "
    "morgen bedankt graag dokter recept kunt zijn",
}
_ENGLISH: Final = frozenset(
    "the a an and or but if of to in on at for with from by about my your his her our their i "
    "you she it we they me him them is am are was were be been have has had do does did can could "
    "will would should not no what when where which who how this that these those there so just "
    "any some all still since after before again please thanks thank need want get got feel hi "
    "hello refill pain pills meds dr appt today yesterday tomorrow week days pls u r im ive dont "
    "cant doctor medicine as up out left due mon tue wed thu fri sat sun thx ty daily mg "
    "bid".split()
)
#: Marker words that English messages use too count for nothing.
_BY_WORD: Final[dict[str, frozenset[str]]] = {}


def _index(markers: dict[str, str]) -> dict[str, frozenset[str]]:
    languages: dict[str, set[str]] = {}
    for language, words in markers.items():
        for word in words.split():
            if word not in _ENGLISH and word not in ("he", "pa", "die", "mo", "con", "te", "ma"):
                languages.setdefault(word, set()).add(language)
    return {word: frozenset(found) for word, found in languages.items()}


_BY_WORD.update(_index(_MARKERS))
_FEWEST_KNOWN: Final = 0.5  # share of words that an English text's vocabulary knows, at least
_SCRIPTS: Final = {
    "CYRILLIC": "ru", "ARABIC": "ar", "HEBREW": "he", "CJK": "zh", "HIRAGANA": "ja",
    "KATAKANA": "ja", "HANGUL": "ko", "DEVANAGARI": "hi", "GREEK": "el", "THAI": "th",
    "ARMENIAN": "hy", "BENGALI": "bn", "ETHIOPIC": "am", "KHMER": "km",
}  # fmt: skip


def detect(text: str, known_words: Iterable[bool] = ()) -> str:
    """ISO code of the language; `und` when it looks like none that is known here.

    `known_words`: for each word, whether the model's (English) vocabulary holds it whole.
    """
    script = _script(text)
    if script:
        return script
    words = [word.lower().replace("’", "'") for word in _WORD.findall(text)]
    english = sum(word in _ENGLISH for word in words)
    hits: dict[str, int] = {}
    for word in words:
        for language in _BY_WORD.get(word, ()):
            hits[language] = hits.get(language, 0) + 1
    best = max(hits, key=lambda language: hits[language], default=UNKNOWN)
    foreign = hits.get(best, 0)
    # A Spanish sentence inside an English message is enough: the model would read half of it.
    if foreign >= 2 and (foreign > english or foreign >= 0.15 * len(words)):
        return best
    if english or not words:
        return ENGLISH if words else UNKNOWN
    known = list(known_words)
    share = sum(known) / len(known) if known else 1.0
    if foreign and share < 1.0:
        return best
    return ENGLISH if share >= _FEWEST_KNOWN else UNKNOWN


def _script(text: str) -> str | None:
    """The language that a non-Latin script points to, where it has a fifth of the letters."""
    if text.isascii():
        return None
    counts: dict[str, int] = {}
    letters = 0
    for character in text:
        if not character.isalpha():
            continue
        letters += 1
        if ord(character) > 0x24F:
            name = unicodedata.name(character, "?").split(" ")[0]
            counts[name] = counts.get(name, 0) + 1
    for name, count in counts.items():
        if name != "LATIN" and count * 5 >= letters:
            return _SCRIPTS.get(name, UNKNOWN)
    return None
