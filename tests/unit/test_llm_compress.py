"""Compression takes out what the patient did not write, and keeps what they want."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workers.llm_tier.compress import MOST_CHARS, compress


def test_a_quoted_thread_goes() -> None:
    text = "Yes, Monday works.\n\nOn Mon, Mar 4 at 9:00 the clinic wrote:\n> Can you come?\n> Bye"

    assert compress(text) == "Yes, Monday works."


def test_a_message_that_is_all_quotation_is_left_as_it_is() -> None:
    text = "> my chest hurts\n> since this morning"

    assert compress(text) == text


def test_a_disclaimer_and_repeated_lines_go() -> None:
    text = (
        "I need a refill of metformin please.\n"
        "I need a refill of metformin please.\n"
        "CONFIDENTIALITY NOTICE: this e-mail is intended only for the addressee."
    )

    assert compress(text) == "I need a refill of metformin please."


def test_a_long_text_is_left_whole_unless_told_to_cut_it() -> None:
    text = "I have a question about it. And a second one, really. " * 90

    assert len(compress(text)) >= len(text.strip()) - 1


def test_a_short_message_is_not_touched() -> None:
    assert compress("Is it 10 mg or 20 mg?") == "Is it 10 mg or 20 mg?"


def test_a_long_text_keeps_head_tail_and_the_sentence_with_the_danger() -> None:
    filler = "We went to the lake and the weather was lovely all day long. "
    text = "Head of it. " + filler * 60 + "Then I had chest pain. " + filler * 60 + "End of it."

    short = compress(text, MOST_CHARS)

    assert short.startswith("Head of it.")
    assert "Then I had chest pain." in short
    assert short.endswith("End of it.")
    assert len(short) <= MOST_CHARS + 10


@given(st.text())
def test_no_text_is_emptied_or_grows_beyond_its_bound(text: str) -> None:
    short = compress(text, MOST_CHARS)

    assert len(compress(text)) <= len(text)
    assert bool(short) == bool(text.strip())
    assert len(short) <= max(len(text), MOST_CHARS) + 10
