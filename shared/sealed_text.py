"""Message text at rest: sealed under a key where CARELANE_TEXT_KEYS gives one, else in clear.

A sealed text is ``sealed:1:<key id>:<base64>`` of a fresh nonce of 12 bytes and AES-256-GCM's
ciphertext with its tag (NIST SP 800-38D). Authenticated beside it: the column and the key's id, so
that nothing sealed as one thing opens as another. Not the row: whoever can move a text to another
row can as well change whose message the row says it is. Pure but for the nonce.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from shared.errors import SealedTextError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

#: In place of the first key: new texts are stored in clear, sealed ones are still opened.
CLEAR: Final = "clear"
#: What every sealed text begins with. The schema's trigger asks for it too.
SEALED: Final = "sealed:1:"
#: A sealed text, or its beginning: what a patient wrote in clear after the mark names no key. In
#: words that Python and Postgres read alike.
SEALED_PATTERN: Final = "^sealed:1:([a-z0-9][a-z0-9_-]{0,31}):[A-Za-z0-9+/]+=*$"

_MARK: Final = "sealed:"
#: Before a text in clear that itself begins with the mark.
_LITERALLY: Final = "sealed:0:"
_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_SEALED: Final = re.compile(SEALED_PATTERN)
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


@dataclass(frozen=True, kw_only=True)
class TextKeys:
    """The keys of one process: the first seals, all open."""

    writes: str | None = None  # id of the key that seals; None: texts are stored in clear
    _ciphers: Mapping[str, AESGCM] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, value: str | None) -> Self:
        """Keys as the setting has them; without a value none.

        Raises:
            ValueError: the value cannot be read; the text says at which entry, and shows none.
        """
        if not value:
            return cls()
        # Only here: most processes of most organisations have no keys.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        writes, keys = read_keys(value)
        return cls(writes=writes, _ciphers={id_: AESGCM(key) for id_, key in keys.items()})

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all keys."""
        return frozenset(self._ciphers)

    def seal(self, text: str, column: str) -> str:
        """`text` as it is stored in `column`."""
        if self.writes is None:
            return _LITERALLY + text if text.startswith(_MARK) else text
        nonce = os.urandom(_NONCE_BYTES)
        about = _about(column, self.writes)
        sealed = nonce + self._ciphers[self.writes].encrypt(nonce, _encoded(text), about)
        return f"{SEALED}{self.writes}:{base64.b64encode(sealed).decode()}"

    def open(self, stored: str, column: str) -> str:
        """The text of what is stored in `column`, sealed or not.

        Raises:
            SealedTextError: its key is not given, or what is stored is not what was sealed.
        """
        if not stored.startswith(_MARK):
            return stored
        if stored.startswith(_LITERALLY):
            return stored.removeprefix(_LITERALLY)
        key_id = key_of(stored)
        if key_id is None:
            return stored  # from before there were marks
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SealedTextError(
                f"a text in {column} is sealed under the key {key_id!r}, which is not among "
                "CARELANE_TEXT_KEYS here; add it there, behind the first"
            )
        return _opened(cipher, stored.rpartition(":")[2], column, key_id)


def _opened(cipher: AESGCM, sealed: str, column: str, key_id: str) -> str:
    from cryptography.exceptions import InvalidTag

    try:
        raw = base64.b64decode(sealed, validate=True)
        about = _about(column, key_id)
        return _decoded(cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], about))
    except (InvalidTag, ValueError) as error:
        raise SealedTextError(
            f"a text in {column} does not open with the key {key_id!r}: it was changed in the "
            "database, or another key has this id here"
        ) from error


def key_of(stored: str) -> str | None:
    """The id of the key under which a stored text, or its beginning, is sealed; None in clear."""
    found = _SEALED.fullmatch(stored)
    return found[1] if found else None


def read_keys(value: str) -> tuple[str | None, dict[str, bytes]]:
    """The id of the key that seals, if any, and all keys by id.

    Raises:
        ValueError: an entry is none; the text names its place and never shows it.
    """
    entries = [each.strip() for each in value.split(",")]
    clear_first = entries[0] == CLEAR
    keys: dict[str, bytes] = {}
    for place, entry in enumerate(entries, start=1):
        if place == 1 and clear_first:
            continue
        id_, _, encoded = entry.partition(":")
        if not _ID.fullmatch(id_) or id_ == CLEAR:
            raise ValueError(
                f"entry {place} is not id:key, with an id of up to 32 lower-case letters, digits, "
                "dashes and underscores; `carelane database new-key ID` makes one"
            )
        if id_ in keys:
            raise ValueError(f"entry {place} has the id of an earlier one")
        keys[id_] = _key(encoded, place)
    if not keys:
        raise ValueError("there is no key in it")
    return (None if clear_first else next(iter(keys))), keys


def _key(encoded: str, place: int) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        # Without the cause: its text could hold part of the key.
        raise ValueError(f"the key of entry {place} is not the base64 of {_KEY_BYTES} bytes")
    return key


def new_key(id_: str) -> str:
    """A fresh key as an entry of the setting.

    Raises:
        ValueError: `id_` cannot name a key.
    """
    entry = f"{id_}:{base64.b64encode(os.urandom(_KEY_BYTES)).decode()}"
    read_keys(entry)
    return entry


def _about(column: str, key_id: str) -> bytes:
    return f"carelane:1:{column}:{key_id}".encode()


# Postgres takes no half of a surrogate pair, but a text must not fail here before it fails there.
def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")
