"""The measures that a release is judged by."""

from __future__ import annotations

from workers.deid.evaluation import IGNORED, Tally
from workers.deid.marks import Mark, parse
from workers.deid.spans import Span


def span(text: str, part: str, kind: str) -> Span:
    start = text.index(part)
    return Span(start=start, end=start + len(part), type=kind, score=1.0, placeholder="[X]")


def tally(marked: str, *found: tuple[str, str]) -> Tally:
    text, marks = parse(marked)
    total = Tally()
    total.add("T-1", text, marks, [span(text, part, kind) for part, kind in found])
    return total


def test_marks_are_parsed_with_offsets_of_the_plain_text() -> None:
    text, marks = parse("Dr. [[NAME|Osei]] on [[DATE|3/4]].")

    assert text == "Dr. Osei on 3/4."
    assert [(text[m.start : m.end], m.type) for m in marks] == [("Osei", "NAME"), ("3/4", "DATE")]


def test_a_value_masked_under_another_type_is_recalled_but_not_exact() -> None:
    total = tally("at [[ORG|Mercy Clinic]]", ("Mercy Clinic", "ADDRESS"))

    assert total.score("any").recall == 1
    assert total.score("any").precision == 1
    assert total.score("exact", "ORG").recall == 0
    assert total.score("partial", "ORG").recall == 0


def test_a_value_masked_in_part_leaks() -> None:
    total = tally("I am [[NAME|Anna Smith]]", ("Anna", "NAME"))

    assert total.score("any").recall == 0
    assert total.leaked == [("T-1", "NAME", "Anna Smith")]
    assert total.score("partial", "NAME").recall == 1
    assert total.score("exact", "NAME").recall == 0


def test_two_spans_together_cover_one_value() -> None:
    total = tally("I am [[NAME|Anna Smith]]", ("Anna", "NAME"), ("Smith", "NAME"))

    assert total.score("any").recall == 1


def test_a_clinical_word_masked_in_a_message_without_identifiers_is_counted() -> None:
    total = tally("my knee and Parkinson hurt", ("Parkinson", "NAME"))

    assert (total.clean_texts, total.clean_texts_losing) == (1, 1)
    assert total.lost_words["parkinson"] == 1
    assert total.score("any").precision == 0


def test_values_of_ignored_types_count_neither_way() -> None:
    text = "Mr. Smith"
    total = Tally()
    marks = (Mark(start=0, end=3, type=IGNORED), Mark(start=4, end=9, type="NAME"))

    total.add("1", text, marks, [span(text, "Mr.", "NAME"), span(text, "Smith", "NAME")])

    assert total.score("any").found == 1
    assert total.score("any").precision == 1
    assert total.score("any").recall == 1
