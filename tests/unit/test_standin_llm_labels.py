"""What the stand-in thinks a message is about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from localstack.standin.nearest import Answer, Corpus

_DATA = Path(__file__).parents[2] / "training" / "data"
_ROWS = [
    (
        "[[NAME|Ada]] needs a refill of metformin before the weekend, please renew it",
        Answer(categories=("refill",), urgency="routine"),
    ),
    (
        "crushing chest pain and cannot breathe, it started ten minutes ago",
        Answer(categories=("symptom",), urgency="emergent"),
    ),
    (
        "why was I charged forty dollars for the visit, my insurance covers it",
        Answer(categories=("billing",), urgency="routine"),
    ),
]


def test_a_known_message_gets_its_true_label_masked_or_not() -> None:
    corpus = Corpus(_ROWS)

    plain = corpus.label("Ada needs a refill of metformin before the weekend, please renew it")
    masked = corpus.label(
        "[NAME_1] needs a refill of metformin before the weekend, please renew it"
    )

    assert plain == masked == _ROWS[0][1]


def test_another_message_gets_the_label_of_what_it_is_like() -> None:
    corpus = Corpus(_ROWS)

    assert corpus.label("sudden chest pain, I cannot breathe").urgency == "emergent"
    assert corpus.label("a question on what my insurance was charged").categories == ("billing",)


def test_words_that_nobody_wrote_get_a_harmless_label() -> None:
    assert Corpus(_ROWS).label("zzz qqq").urgency == "routine"


@pytest.fixture(scope="module")
def whole() -> Corpus:
    return Corpus.read([_DATA / "train.jsonl"])


def test_as_many_known_messages_are_right_as_the_knob_says(whole: Corpus) -> None:
    rows = [json.loads(line) for line in (_DATA / "train.jsonl").read_text("utf-8").splitlines()]
    sample = rows[::6]

    right = sum(
        whole.label(row["text"], accuracy=0.9)
        == Answer(categories=tuple(row["categories"]), urgency=row["urgency"])
        for row in sample
    )

    assert 0.86 < right / len(sample) < 0.94


def test_the_same_message_gets_the_same_answer_and_another_seed_errs_elsewhere(
    whole: Corpus,
) -> None:
    rows = [json.loads(line) for line in (_DATA / "train.jsonl").read_text("utf-8").splitlines()]
    texts = [row["text"] for row in rows[:100]]

    def answers(seed: int) -> list[Answer]:
        return [whole.label(text, accuracy=0.5, seed=seed) for text in texts]

    assert answers(1) == answers(1)
    assert answers(1) != answers(2)


def test_unknown_messages_are_mostly_labelled_as_people_would(whole: Corpus) -> None:
    rows = [json.loads(line) for line in (_DATA / "dev.jsonl").read_text("utf-8").splitlines()]

    labels = [(row, whole.label(row["text"])) for row in rows[::2]]

    category = sum(label.categories[0] == row["categories"][0] for row, label in labels)
    urgency = sum(label.urgency == row["urgency"] for row, label in labels)
    assert category / len(labels) > 0.7
    assert urgency / len(labels) > 0.85
