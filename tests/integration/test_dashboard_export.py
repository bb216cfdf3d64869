from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from dashboard.permissions import Role
from shared.contracts import Urgency
from shared.settings import Settings
from tests.dashboard_pages import Person, Store
from tests.integration.test_dashboard_review import decide, undo
from tests.services import environment
from training.corrections import agreement, export

pytestmark = pytest.mark.integration

SignedIn = Callable[[Role], Person]


def test_corrections_come_out_masked_with_what_the_machine_had_said(
    signed_in: SignedIn, store: Store, settings: Settings
) -> None:
    ada, lead = signed_in(Role.CLINICIAN), signed_in(Role.LEAD)
    corrected = store.labelled("Please call me back at 415-555-0143 about my rash.")
    undone = store.labelled("undone one")
    store.labelled("never touched")
    decide(ada, corrected, "corrected", category="symptom", urgency="urgent", reason="Ms Secret")
    decide(lead, corrected, "accepted")
    undo(ada, decide(ada, undone, "corrected", category="billing"))

    result = CliRunner().invoke(export, ["corrections"], env=environment(settings))

    assert result.exit_code == 0, result.output
    (row,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert "415-555-0143" not in row["text"]
    assert "about my rash" in row["text"]
    assert (row["categories"], row["urgency"]) == (["symptom"], "urgent")
    assert (row["was"]["categories"], row["was"]["tier"]) == (["refill"], "fast")
    assert "Secret" not in result.stdout
    assert str(corrected) not in result.stdout
    assert "1 pairs of people" in result.stderr
    assert "same primary category 100.0%" in result.stderr


def test_agreement_counts_each_pair_of_people_once() -> None:
    def said(message: int, author: str, category: str, urgency: Urgency) -> dict[str, object]:
        return {
            "message_id": message,
            "author": author,
            "categories": [category],
            "urgency": urgency.value,
        }

    found = agreement(
        [
            said(1, "a", "refill", Urgency.ROUTINE),
            said(1, "b", "refill", Urgency.URGENT),
            said(1, "c", "billing", Urgency.URGENT),
            said(2, "a", "other", Urgency.ROUTINE),
        ]
    )

    assert found.pairs == 3
    assert found.category == pytest.approx(1 / 3)
    assert found.urgency == pytest.approx(1 / 3)
