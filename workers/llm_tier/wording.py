"""When two messages say the same: the text without what does not matter to a label. Pure.

Case, white space, greeting and signature go. Everything else stays: a number, a negation, a
question mark. What is stripped is a closed list of phrases, so that no word of content goes with
them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from typing import Final

_NAME = r"\[NAME_\d+\]"
_ADDRESSED = rf"(?:there|all|team|everyone|doctor|doc|dr\.?|nurse|mr\.?|mrs\.?|ms\.?|{_NAME})"
_GREETING: Final = re.compile(
    r"^\W*(?:(?:hi|hello|hey|dear|greetings|good (?:morning|afternoon|evening|day))\b"
    rf"(?:\s+{_ADDRESSED}(?=[\s,.!:;\-]|$))*[\s,.!:;\-]+)+",
    re.IGNORECASE,
)
_CLOSING: Final = re.compile(
    r"(?:^|(?<=[.!?,;\n]))\s?"
    r"(?:(?:many )?thanks|thank you|thx|(?:with )?(?:best|kind|warm)(?: regards| wishes)?|regards|"
    r"sincerely|respectfully|cheers|take care)"
    r"(?: so much| very much| a lot| again| in advance| and regards)?"
    rf"(?:[\s,.!\-]*{_NAME})*[\s,.!\-]*$",
    re.IGNORECASE,
)
_SIGNED: Final = re.compile(rf"(?<=[.!?\n])[\s,\-]*(?:{_NAME}[\s,.]*)+$")
#: Closings and signatures are looked for here only, one at a time and so often at most, so that a
#: text made for the purpose costs no more than another.
_TAIL_CHARS: Final = 400
_MOST_CLOSINGS: Final = 6
_PLACEHOLDER: Final = re.compile(r"\[([A-Z]+)_(\d+)\]")
_SPACE: Final = re.compile(r"\s+")
_BLANKS: Final = re.compile(r"[^\S\n]+")
_BREAKS: Final = re.compile(r"\n[ \n]*")


def normalised(text: str) -> str:
    """The text under which equal messages meet; the text itself where nothing else is left."""
    plain = collapsed(unicodedata.normalize("NFKC", text)).strip()
    kept = _GREETING.sub("", plain, count=1)
    for _ in range(_MOST_CLOSINGS):
        before = kept
        kept = _without_end(_SIGNED, _without_end(_CLOSING, kept)).strip()
        if kept == before:
            break
    return _SPACE.sub(" ", _renumbered(kept or plain)).casefold().strip()


def collapsed(text: str) -> str:
    """Each run of white space as one character: a line break where it holds one, else a blank.

    Patterns that look for optional white space in several places need time that grows with a
    power of a run's length; after this no run is longer than two characters.
    """
    return _BREAKS.sub("\n", _BLANKS.sub(" ", text))


def _without_end(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text, max(0, len(text) - _TAIL_CHARS))
    return text[: found.start()] if found else text


def _renumbered(text: str) -> str:
    """Placeholders counted anew: the greeting's name had counted before it went."""
    numbers: dict[str, dict[str, int]] = {}

    def number(match: re.Match[str]) -> str:
        seen = numbers.setdefault(match[1], {})
        return f"[{match[1]}_{seen.setdefault(match[2], len(seen) + 1)}]"

    return _PLACEHOLDER.sub(number, text)


class Keys:
    """Makes cache keys for one taxonomy, model and prompt."""

    def __init__(self, secret: str, *versions: str) -> None:
        self._secret = secret.encode()
        self._versions = "\x1f".join(versions)

    def of(self, text: str) -> str:
        """HMAC-SHA-256 of the normalised text, in hex: no text can be read from it."""
        data = f"{self._versions}\x1e{normalised(text)}".encode()
        return hmac.new(self._secret, data, hashlib.sha256).hexdigest()
