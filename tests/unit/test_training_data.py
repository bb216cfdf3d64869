"""The corpus: reading, checking, augmenting, composing; nothing here needs torch."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import Urgency
from shared.errors import InvalidInput
from shared.taxonomy import Taxonomy
from training import corpus
from training.composed import Skeleton, compose, expand, matching_skeletons, read_skeletons
from training.corpus import (
    CALIBRATION,
    SPLITS,
    WRITTEN,
    Example,
    read,
    read_clean,
    strip_marks,
    with_marks,
)
from training.prepare import as_text, check

TAXONOMY = Taxonomy.load()
GOOD = {"id": "A-1", "text": "Refill please", "categories": ["refill"], "urgency": "routine"}


def example(**changes: object) -> Example:
    row = {"id": "A-1", "text": "Refill please", "categories": ("refill",), **changes}
    row.setdefault("urgency", Urgency.ROUTINE)
    return Example(**row)  # type: ignore[arg-type]


def write_rows(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows))
    return path


def test_marks_become_plain_text_with_places() -> None:
    plain, spots = strip_marks("I am [[NAME|Jo Kim]], born [[DATE|3/14]].")

    assert plain == "I am Jo Kim, born 3/14."
    assert [(plain[s.start : s.end], s.type) for s in spots] == [
        ("Jo Kim", "NAME"),
        ("3/14", "DATE"),
    ]


PIECES = st.text(st.characters(exclude_characters="[]|", exclude_categories=["Cs"]), max_size=12)


@given(st.lists(st.tuples(PIECES, PIECES.filter(bool)), max_size=4), PIECES)
def test_marking_again_gives_the_marked_text_back(parts: list[tuple[str, str]], tail: str) -> None:
    marked = "".join(f"{before}[[NAME|{name}]]" for before, name in parts) + tail

    plain, spots = strip_marks(marked)

    assert with_marks(example(text=plain, identifiers=spots)) == marked


def test_the_shipped_corpus_is_clean_and_its_splits_share_nothing() -> None:
    splits = {name: read_clean(path, TAXONOMY) for name, path in SPLITS.items()}
    written = read_clean(WRITTEN, TAXONOMY)

    calibration = read_clean(CALIBRATION, TAXONOMY)

    found = check(
        {
            **splits,
            "train": [*splits["train"], *written],
            "dev": [*splits["dev"], *calibration],
        },
        [],
        TAXONOMY,
    )

    assert [len(rows) for rows in splits.values()] == [5994, 750, 749]
    later = {e.lot for e in written}
    assert {e.lot for e in calibration} == later - set("UVWXY")
    assert not {e.lot for rows in splits.values() for e in rows} & later
    assert found.fatal == []
    assert not [w for w in found.warnings if "across splits" in w]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ({**GOOD, "text": "  "}, "text is empty"),
        ({**GOOD, "text": 7.5}, "text is not a text"),
        ({**GOOD, "categories": ["refil"]}, "'refil' is not in the taxonomy"),
        ({**GOOD, "categories": []}, "1 to 3"),
        ({**GOOD, "categories": ["refill", "refill"]}, "twice"),
        ({**GOOD, "urgency": "asap"}, "'asap' is none of"),
        ({"id": "A-1", "text": "x", "categories": ["refill"]}, "no field 'urgency'"),
    ],
)
def test_a_bad_row_is_named_by_line_and_the_good_ones_go_through(
    tmp_path: Path, row: object, reason: str
) -> None:
    path = write_rows(tmp_path / "m.jsonl", GOOD, row, "", {**GOOD, "id": "A-2"})

    examples, bad = read([path], TAXONOMY)

    assert [e.id for e in examples] == ["A-1", "A-2"]
    assert [b.line for b in bad] == [2]
    assert reason in str(bad[0])
    with pytest.raises(InvalidInput, match=r"m\.jsonl:2"):
        read_clean(path, TAXONOMY)


def test_csv_is_read_too_with_categories_in_one_cell(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text('id,text,categories,urgency\nX-1,"two\nlines","refill, medication",urgent\n')

    examples, bad = read([path], TAXONOMY)

    assert not bad
    assert examples[0].categories == ("refill", "medication")
    assert examples[0].text == "two\nlines"


def test_a_file_that_is_not_utf8_says_where(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"id": "\xff"}')

    with pytest.raises(InvalidInput, match="byte 8"):
        read([path], TAXONOMY)


def test_writing_and_reading_gives_the_same_examples(tmp_path: Path) -> None:
    rows = read_clean(SPLITS["dev"], TAXONOMY)[:50]

    corpus.write(tmp_path / "again.jsonl", rows)

    assert read_clean(tmp_path / "again.jsonl", TAXONOMY) == rows


def test_leaks_doubles_and_empty_classes_are_reported() -> None:
    text = "My prescription for lisinopril ran out and the pharmacy wants a new one from you today"
    near = text.replace("today", "this week")
    found = check(
        {
            "train": [example(id="A-1", text=text), example(id="A-2", text=text.upper())],
            "dev": [example(id="B-1", text=text + "!")],
            "test": [example(id="C-1", text=near)],
        },
        [],
        TAXONOMY,
    )

    assert any("leak across splits" in row and "dev/B-1" in row for row in found.fatal)
    assert any("no message of category symptom" in row for row in found.fatal)
    assert any("no message of urgency emergent" in row for row in found.fatal)
    assert any("the same text twice: train/A-1 and train/A-2" in w for w in found.warnings)
    assert any("near double" in w and "test/C-1" in w for w in found.warnings)
    assert "Must be mended" in as_text(found)


def test_every_skeleton_expands_without_leftovers_and_covers_the_taxonomy() -> None:
    skeletons = read_skeletons(TAXONOMY)
    rng = random.Random(1)

    examples = compose(skeletons, rng, 3.0)

    assert len(examples) == 3 * len(skeletons)
    assert not [e.text for e in examples if any(c in e.text for c in "|{}") or "  " in e.text]
    assert {e.primary for e in examples} == set(TAXONOMY.category_names)
    assert Counter(e.urgency for e in examples)[Urgency.EMERGENT] > 150


def test_wordings_differ_and_the_same_seed_gives_the_same() -> None:
    skeleton = Skeleton("(a|b|c|d) (e|f|g|h)", ("refill",), Urgency.ROUTINE)

    one = [expand(skeleton, random.Random(seed)) for seed in range(30)]

    assert len(set(one)) > 8
    assert one == [expand(skeleton, random.Random(seed)) for seed in range(30)]


def test_skeletons_are_left_out_for_a_taxonomy_that_they_do_not_fit() -> None:
    assert matching_skeletons(TAXONOMY.category_names)
    assert matching_skeletons(("complaint", "praise")) == []


def test_a_skeleton_file_with_a_wrong_header_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_text("== refill / soon\nmore pills\n")

    with pytest.raises(InvalidInput, match=r"s\.txt:1"):
        read_skeletons(TAXONOMY, path)
