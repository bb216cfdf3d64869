from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dashboard.rows import Flag
from dashboard.text_view import pieces
from shared.contracts import Urgency


def flag(start: int, end: int, urgency: Urgency = Urgency.EMERGENT) -> Flag:
    return Flag(rule="r", title="t", urgency=urgency, start=start, end=end)


def test_the_words_of_a_flag_are_marked_and_no_others() -> None:
    marked = [piece.text for piece in pieces("I have chest pain now", [flag(7, 17)]) if piece.flag]

    assert marked == ["chest pain"]


def test_line_ends_from_windows_do_not_shift_the_words_of_a_flag() -> None:
    text = "Hello,\r\n\r\nI have chest pain now\r\nBye"
    start = text.index("chest pain")

    found = pieces(text, [flag(start, start + len("chest pain"))])

    assert [piece.text for piece in found if piece.flag] == ["chest pain"]
    assert "".join(piece.text for piece in found) == text.replace("\r\n", "\n")


def test_a_flag_that_ends_inside_a_line_end_shows_no_stray_character() -> None:
    found = pieces("pain\r\nnow", [flag(0, 5)])

    assert [(piece.text, piece.control) for piece in found] == [("pain", None), ("\nnow", None)]


def test_where_flags_overlap_the_more_urgent_one_shows() -> None:
    found = pieces("abcdef", [flag(0, 4, Urgency.URGENT), flag(2, 6)])

    said = [(piece.text, piece.flag.urgency if piece.flag else None) for piece in found]
    assert said == [
        ("ab", Urgency.URGENT),
        ("cd", Urgency.EMERGENT),
        ("ef", Urgency.EMERGENT),
    ]


def test_characters_that_turn_text_around_are_shown_by_their_number() -> None:
    found = pieces("take \u202e05 mg", [])

    assert [piece.control for piece in found] == [None, "U+202E", None]
    assert "\u202e" not in "".join(piece.text for piece in found)


def test_a_flag_outside_the_text_is_left_out() -> None:
    assert [piece.flag for piece in pieces("short", [flag(2, 99), flag(4, 2), flag(-3, 2)])] == [
        None
    ]


@given(
    st.text(max_size=60), st.lists(st.tuples(st.integers(0, 70), st.integers(0, 70)), max_size=4)
)
def test_no_text_is_lost_or_doubled_however_flags_lie(
    text: str, spans: list[tuple[int, int]]
) -> None:
    found = pieces(text, [flag(start, end) for start, end in spans])

    back = "".join(
        chr(int(piece.control.replace("U+", "0x"), 0)) if piece.control else piece.text
        for piece in found
    )
    assert back == text.replace("\r\n", "\n")
