"""Merging, numbering and the way back from what the rules read to the text as given."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workers.deid.plain import plain_view
from workers.deid.spans import PLACEHOLDER, TYPES, Hit, merge, replace


def hit(text: str, part: str, kind: str, score: float = 0.9) -> Hit:
    start = text.index(part)
    return Hit(start=start, end=start + len(part), type=kind, score=score)


def test_overlapping_hits_become_one_span_with_the_type_of_the_longest() -> None:
    text = "Kroger Pharmacy on Harper Rd"
    hits = [hit(text, text, "ORG", 0.6), hit(text, "Harper Rd", "ADDRESS", 0.95)]

    (merged,) = merge(hits, text)

    assert (merged.start, merged.end, merged.type) == (0, len(text), "ORG")


def test_nothing_that_was_found_is_left_standing_where_hits_overlap_in_part() -> None:
    text = "12 Oak St Tulsa OK"
    hits = [hit(text, "12 Oak St Tulsa", "ADDRESS"), hit(text, "Tulsa OK", "ORG")]

    (merged,) = merge(hits, text)

    assert text[merged.start : merged.end] == text


def test_pieces_of_one_address_become_one_span() -> None:
    text = "at 12 Oak St, Tulsa since"

    (merged,) = merge([hit(text, "12 Oak St", "ADDRESS"), hit(text, "Tulsa", "ADDRESS")], text)

    assert text[merged.start : merged.end] == "12 Oak St, Tulsa"


def test_one_person_keeps_one_number_and_two_people_get_two() -> None:
    text = "Anna Smith and Bob came. ANNA SMITH left, Bob stayed, Anna called."
    hits = [
        Hit(start=text.index(name, at), end=text.index(name, at) + len(name), type="NAME", score=1)
        for name, at in [
            ("Anna Smith", 0),
            ("Bob", 0),
            ("ANNA SMITH", 0),
            ("Bob", 30),
            ("Anna", 40),
        ]
    ]

    masked = replace(text, merge(hits, text))

    assert masked.text == (
        "[NAME_1] and [NAME_2] came. [NAME_1] left, [NAME_2] stayed, [NAME_1] called."
    )


def test_a_number_is_the_same_whatever_its_punctuation() -> None:
    text = "(415) 555-0188 or 415.555.0188"
    hits = [hit(text, "(415) 555-0188", "PHONE"), hit(text, "415.555.0188", "PHONE")]

    assert replace(text, merge(hits, text)).text == "[PHONE_1] or [PHONE_1]"


def test_new_placeholders_count_on_from_those_that_the_text_already_holds() -> None:
    text = "[NAME_2] met Bob"

    assert replace(text, merge([hit(text, "Bob", "NAME")], text)).text == "[NAME_2] met [NAME_3]"


def test_a_placeholder_in_the_input_is_never_masked_again() -> None:
    text = "Dr. [NAME_1] Smith"

    masked = replace(text, merge([hit(text, "[NAME_1] Smith", "NAME")], text))

    assert masked.text == "Dr. [NAME_1] [NAME_2]"


@given(
    st.text(max_size=60).flatmap(
        lambda text: st.tuples(
            st.just(text),
            st.lists(
                st.tuples(
                    st.integers(0, max(0, len(text) - 1)),
                    st.integers(1, 20),
                    st.sampled_from(TYPES),
                ),
                max_size=6,
            ),
        )
    )
)
def test_what_is_outside_spans_is_kept_and_what_is_inside_is_gone(
    drawn: tuple[str, list[tuple[int, int, str]]],
) -> None:
    text, places = drawn
    hits = [
        Hit(start=start, end=min(len(text), start + length), type=kind, score=0.5)
        for start, length, kind in places
        if start < len(text)
    ]

    masked = replace(text, merge(hits, text))

    rebuilt, at = "", 0
    for span in masked.spans:
        assert at <= span.start < span.end <= len(text)
        rebuilt += text[at : span.start] + span.placeholder
        at = span.end
    assert masked.text == rebuilt + text[at:]
    blank = {i for i, character in enumerate(text) if character.isspace()}
    held = {i for match in PLACEHOLDER.finditer(text) for i in range(*match.span())}
    covered = {i for span in masked.spans for i in range(span.start, span.end)}
    assert {i for h in hits for i in range(h.start, h.end)} - blank - held <= covered


@given(st.text(max_size=80))
def test_the_plain_view_leads_back_to_the_text_as_given(text: str) -> None:
    view = plain_view(text)

    for index in range(len(view.text)):
        start, end = view.back(index, index + 1)
        assert 0 <= start < end <= len(text)
        if text[start].isascii():
            assert view.text[index] == text[start]


def test_invisible_characters_do_not_hide_a_number() -> None:
    view = plain_view("555​-０１２３")

    assert view.text == "555-0123"
    assert view.back(0, 8) == (0, 9)
