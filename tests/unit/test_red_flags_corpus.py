"""The rules against the labelled corpus: they must find emergencies and not flood the lane."""

from __future__ import annotations

from pathlib import Path

import pytest

from producer.red_flags_cli import read_labelled
from shared.contracts import Urgency
from shared.red_flags import RedFlags

DEV = Path(__file__).parents[2] / "training" / "data" / "dev.jsonl"


@pytest.mark.skipif(not DEV.exists(), reason="the corpus is not in this checkout")
def test_the_rules_keep_their_recall_and_precision_on_dev() -> None:
    rules = RedFlags.load()
    messages = list(read_labelled(DEV))

    flagged = [message for message in messages if rules.find(message.text)]

    n_emergent = sum(message.urgency is Urgency.EMERGENT for message in messages)
    caught = sum(message.urgency is Urgency.EMERGENT for message in flagged)
    worth_it = sum(message.urgency is not Urgency.ROUTINE for message in flagged)
    assert caught / n_emergent >= 0.9
    assert worth_it / len(flagged) >= 0.9
