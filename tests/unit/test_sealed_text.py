"""Sealing: what comes out is what went in, and nothing else opens."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import SealedTextError, SettingsError
from shared.sealed_text import SEALED, TextKeys, key_of, new_key
from shared.search_words import SearchWords
from shared.settings import Settings

OLD, NEW = new_key("old"), new_key("new")
COLUMN = "messages.text"


def keys(*entries: str) -> TextKeys:
    return TextKeys.parse(",".join(entries))


@given(st.text())
def test_what_is_sealed_opens_as_it_was(text: str) -> None:
    sealing = keys(NEW, OLD)

    stored = sealing.seal(text, COLUMN)

    assert stored.startswith(f"{SEALED}new:")
    assert sealing.open(stored, COLUMN) == text
    assert sealing.seal(text, COLUMN) != stored


@given(st.text() | st.text().map("sealed:1:".__add__) | st.text().map("sealed:0:".__add__))
def test_a_text_in_clear_stays_what_it_is_whatever_it_begins_with(text: str) -> None:
    for ours in (TextKeys(), keys("clear", NEW)):
        stored = ours.seal(text, COLUMN)

        assert key_of(stored) is None
        assert ours.open(stored, COLUMN) == text
        assert keys(NEW).open(stored, COLUMN) == text


def test_a_row_from_before_there_were_keys_is_read_as_it_stands() -> None:
    assert keys(NEW).open("sealed: with a kiss", COLUMN) == "sealed: with a kiss"


@pytest.mark.parametrize(
    "text", ["sealed:1: my chest hurts", "sealed:1:new: my chest hurts", "sealed:1:My:AAAA"]
)
def test_a_row_in_clear_that_looks_sealed_names_no_key_and_quotes_nobody(text: str) -> None:
    assert key_of(text) is None
    assert keys(NEW).open(text, COLUMN) == text


def test_a_long_text_in_clear_after_the_mark_is_looked_at_once() -> None:
    assert key_of(f"{SEALED}new:{'A' * 200_000}!") is None


def test_the_first_key_seals_and_every_key_opens() -> None:
    stored = keys(OLD).seal("my rash", COLUMN)

    assert key_of(keys(NEW, OLD).seal("my rash", COLUMN)) == "new"
    assert keys(NEW, OLD).open(stored, COLUMN) == "my rash"
    assert keys("clear", OLD).open(stored, COLUMN) == "my rash"


@pytest.mark.parametrize("ours", [TextKeys(), keys(NEW)])
def test_without_its_key_a_text_does_not_open_and_the_error_names_the_key(ours: TextKeys) -> None:
    stored = keys(OLD).seal("my rash", COLUMN)

    with pytest.raises(SealedTextError, match=r"'old'.*CARELANE_TEXT_KEYS") as caught:
        ours.open(stored, COLUMN)

    assert stored.rpartition(":")[2] not in str(caught.value)


@given(st.data())
def test_a_text_that_was_changed_does_not_open(data: st.DataObject) -> None:
    head, _, sealed = keys(NEW).seal("take 5 mg", COLUMN).rpartition(":")
    raw = bytearray(base64.b64decode(sealed))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))

    with pytest.raises(SealedTextError, match="changed in the database"):
        keys(NEW).open(f"{head}:{base64.b64encode(raw).decode()}", COLUMN)


@given(st.text("abcXYZ019+/", min_size=1, max_size=60))
def test_what_is_no_sealed_text_though_it_says_so_is_refused_in_words(rest: str) -> None:
    with pytest.raises(SealedTextError):
        keys(NEW).open(f"{SEALED}new:{rest}", COLUMN)


def test_a_text_does_not_open_in_another_column_or_under_another_keys_id() -> None:
    stored = keys(NEW).seal("take 5 mg", COLUMN)
    renamed = "old:" + NEW.partition(":")[2]

    with pytest.raises(SealedTextError):
        keys(NEW).open(stored, "llm_exchanges.sent")
    with pytest.raises(SealedTextError):
        keys(renamed).open(stored.replace(":new:", ":old:"), COLUMN)


SECRET = base64.b64encode(b"do not show me, 32 bytes or less").decode()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (SECRET, "entry 1 is not id:key"),
        (f"Big:{SECRET}", "entry 1 is not id:key"),
        (f"{NEW},{SECRET}", "entry 2 is not id:key"),
        (f"{NEW},clear", "entry 2 is not id:key"),
        (f"a:{SECRET[:-4]}", "entry 1 is not the base64 of 32 bytes"),
        (f"a:{SECRET}x", "entry 1 is not the base64 of 32 bytes"),
        (f"a:{SECRET},a:{SECRET}", "entry 2 has the id of an earlier one"),
        ("clear", "no key in it"),
    ],
)
def test_a_broken_setting_is_explained_and_never_shown(value: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        Settings.from_env({"CARELANE_TEXT_KEYS": value})

    assert "CARELANE_TEXT_KEYS is (hidden)" in str(caught.value)
    assert SECRET[:8] not in str(caught.value)


def test_search_words_are_hashes_that_case_and_composition_do_not_change() -> None:
    search = SearchWords("a key")

    index = search.index("Straße, CAFE\u0301 and cafe\u0301; don't")

    assert "caf" not in index
    assert search.query("café STRASSE", 12) is not None
    for word in ("café", "STRASSE", "don"):
        assert (search.query(word, 12) or "?") in index
    assert (search.query("strass", 12) or "?") not in index
    assert (SearchWords("another").query("café", 12) or index) not in index
    assert search.query("?!", 12) is None
