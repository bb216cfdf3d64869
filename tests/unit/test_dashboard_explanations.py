from __future__ import annotations

from typing import Any

from dashboard.explanations import Found, Standing, carried
from dashboard.rows import Flag
from dashboard.text_view import Carried, pieces
from shared.contracts import Urgency

TEXT = "Need more metformin, ten days left"


def _found(*words: tuple[int, int, float, float], standing: Standing = Standing.READY) -> Found:
    result: dict[str, Any] = {"words": [list(word) for word in words]}
    return Found(
        standing=standing, reason=None, result=result, label_id=1, model_version="m", asked_by="ada"
    )


def test_the_weightiest_words_carry_and_neighbours_are_one_mark() -> None:
    found = _found((0, 4, 0.3, 0), (5, 9, 1.0, 0), (10, 20, 1.04, 0.3), (21, 24, 0.2, 0))

    assert carried(found) == (
        Carried(start=5, end=20, of="category"),
        Carried(start=10, end=20, of="urgency"),
    )


def test_words_that_weigh_next_to_nothing_carry_nothing() -> None:
    assert carried(_found((0, 4, 0.1, -0.9), (5, 9, 0.2, 0))) == ()


def test_nothing_is_marked_before_the_answer_is_there() -> None:
    assert carried(None) == ()
    assert carried(_found((0, 4, 0.5, 0.5), standing=Standing.WAITING)) == ()


def test_the_text_comes_out_whole_with_its_carrying_words_inside_a_flags() -> None:
    flag = Flag(rule="r", title="t", urgency=Urgency.URGENT, start=5, end=20)
    marks = (Carried(start=10, end=20, of="category"), Carried(start=10, end=24, of="urgency"))

    cut = pieces(TEXT, [flag], marks)

    assert "".join(piece.text for piece in cut) == TEXT
    assert [(piece.text, bool(piece.flag), piece.carried) for piece in cut] == [
        ("Need ", False, ()),
        ("more ", True, ()),
        ("metformin,", True, ("category", "urgency")),
        (" ten", False, ("urgency",)),
        (" days left", False, ()),
    ]


def test_marks_beyond_the_text_are_left_out() -> None:
    cut = pieces("short", [], [Carried(start=2, end=99, of="category")])

    assert [(piece.text, piece.carried) for piece in cut] == [("short", ())]
