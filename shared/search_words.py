"""Search over sealed texts: their words as keyed hashes, so that the index does not say them.

Equal words have equal hashes, or nothing would be found; so the index tells how often a word
occurs, not which. The key comes from CARELANE_HMAC_KEY and not from the text keys, which rotate.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from typing import Final

#: As much of a text as the index of clear words takes.
_MOST_CHARS: Final = 50_000
#: 64 bits: among a million different words, two alike once in tens of millions of such indexes.
_HASH_BYTES: Final = 8
#: No word in clear begins with it, so that the beginning of one never meets a hash.
_MARK: Final = "="


class SearchWords:
    """Makes hashes of words, for the index and for what is searched."""

    def __init__(self, hmac_key: str) -> None:
        # HKDF-Expand of one block (RFC 5869): knowing this key does not give the other.
        self._key = hmac.digest(hmac_key.encode(), b"carelane search words\x01", "sha256")

    def index(self, text: str) -> str:
        """The words of a text as a Postgres tsvector, without their places."""
        return " ".join(sorted(map(self._lexeme, set(_words(text[:_MOST_CHARS])))))

    def query(self, words: str, most: int) -> str | None:
        """A Postgres tsquery: all of the first `most` words, each whole; None without a word."""
        return " & ".join(map(self._lexeme, _words(words)[:most])) or None

    def _lexeme(self, word: str) -> str:
        raw = word.encode("utf-8", "surrogatepass")
        return (
            f"'{_MARK}{hashlib.blake2b(raw, key=self._key, digest_size=_HASH_BYTES).hexdigest()}'"
        )


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())
