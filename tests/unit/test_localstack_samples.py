"""The sample messages: good rows for the intake, our own words, spread over the first minute."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from localstack.samples import pauses, read

_DATA = Path(__file__).parents[2] / "training" / "data"


def test_some_dozens_of_different_messages() -> None:
    messages = read()

    assert len(messages) >= 36
    assert len({each.external_id for each in messages}) == len(messages)
    assert len({each.text for each in messages}) == len(messages)


def test_none_is_copied_from_the_corpus() -> None:
    corpus = {
        re.sub(r"\[\[[A-Z]+\|([^\]]*)\]\]", r"\1", json.loads(line)["text"]).strip().lower()
        for path in _DATA.glob("*.jsonl")
        for line in path.read_text("utf-8").splitlines()
    }

    assert corpus
    assert not [each.text for each in read() if each.text.strip().lower() in corpus]


def test_every_phone_number_is_one_that_nobody_has() -> None:
    numbers = re.findall(r"\d{3}-\d{4}", " ".join(each.text for each in read()))

    assert numbers
    assert all(number.startswith("555-01") for number in numbers)


def test_the_first_comes_at_once_and_the_last_after_the_given_time() -> None:
    waits = list(pauses(48, 60.0))

    assert waits[0] == 0
    assert sum(waits) == pytest.approx(60.0)
    assert max(waits) < 15
