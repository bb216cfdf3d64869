"""Columns that hold what patients wrote, sealed and opened on their way to and from Postgres.

The keys travel with the engine, on its dialect, which is all that a column's type sees of it; an
engine without keys stores in clear. Raw SQL names these types itself (`text(...).columns(...)`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Engine, Text
from sqlalchemy.types import TypeDecorator

from shared.errors import SealedTextError, SettingsError
from shared.sealed_text import TextKeys, key_of
from shared.search_words import SearchWords

MESSAGE_TEXT: Final = "messages.text"
EXPLANATION: Final = "explanations.result"

_ATTRIBUTE: Final = "carelane_sealing"


@dataclass(frozen=True, kw_only=True)
class Sealing:
    """How an engine seals and opens, and how sealed texts are searched."""

    keys: TextKeys
    search: SearchWords | None = None  # None without CARELANE_HMAC_KEY

    def search_words(self) -> SearchWords:
        """The hashes of words, which whoever stores or searches sealed messages cannot do without.

        Raises:
            SettingsError: CARELANE_HMAC_KEY is not set.
        """
        if self.search is None:
            raise SettingsError(
                "CARELANE_HMAC_KEY is not set. Where CARELANE_TEXT_KEYS is, it keys the hashes by "
                "which messages are searched"
            )
        return self.search


_IN_CLEAR: Final = Sealing(keys=TextKeys())


def give_keys(engine: Engine, keys: TextKeys, hmac_key: str | None) -> None:
    """Have an engine's statements seal and open; before its first one."""
    search = SearchWords(hmac_key) if hmac_key and keys.ids else None
    setattr(engine.dialect, _ATTRIBUTE, Sealing(keys=keys, search=search))


def sealing(of: Engine | Connection | Dialect) -> Sealing:
    """What was given to this engine."""
    dialect = of if isinstance(of, Dialect) else of.dialect
    found: Sealing = getattr(dialect, _ATTRIBUTE, _IN_CLEAR)
    return found


class Unopened(str):
    """Stands for a text that cannot be opened, in words for whoever is shown it.

    Whoever does more with a text than show it looks for this first; `opened` does.
    """

    __slots__ = ("error",)
    error: SealedTextError


def opened(text: str) -> str:
    """The text itself.

    Raises:
        SealedTextError: it could not be opened.
    """
    if isinstance(text, Unopened):
        raise text.error
    return text


class SealedText(TypeDecorator[str]):
    """Text that is sealed where there are keys; reading one that cannot be opened is an error."""

    impl = Text
    cache_ok = True

    def __init__(self, column: str) -> None:
        super().__init__()
        self.column = column

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Seal."""
        return None if value is None else sealing(dialect).keys.seal(value, self.column)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Open."""
        return None if value is None else sealing(dialect).keys.open(value, self.column)


class TriedText(SealedText):
    """The same, where one text that cannot be opened must not keep the others back."""

    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Open, or say why not."""
        try:
            return super().process_result_value(value, dialect)
        except SealedTextError as error:
            return _unopened(value or "", error)


def _unopened(stored: str, error: SealedTextError) -> Unopened:
    shown = Unopened(
        f"[This text is sealed under the key {key_of(stored)!r} and cannot be shown here. "
        "Whoever runs Carelane finds out why by `carelane doctor`.]"
    )
    shown.error = error
    return shown


def seal_answer(connection: Connection, result: dict[str, Any]) -> dict[str, Any]:
    """An explanation as it is stored: an LLM's sentence may quote the message."""
    keys = sealing(connection).keys
    text = result.get("text")
    return {**result, "text": keys.seal(text, EXPLANATION)} if isinstance(text, str) else result


def open_answer(connection: Connection, stored: dict[str, Any]) -> dict[str, Any]:
    """An explanation for the page; what cannot be opened says so."""
    text = stored.get("text")
    if not isinstance(text, str):
        return stored
    shown = TriedText(EXPLANATION).process_result_value(text, connection.dialect)
    return {**stored, "text": shown}
