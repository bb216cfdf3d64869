"""The books notice what is wrong: without this, a run that checks nothing would pass too."""

from __future__ import annotations

from typing import Any, cast

import pytest
from sqlalchemy import Engine

from dashboard import queries
from shared.ids import new_message_id
from tests.faults.books import wrong
from tests.whole import Whole

pytestmark = pytest.mark.e2e

_MESSAGE = """
    INSERT INTO messages (id, source, external_id, text, status, settled_at)
    VALUES (:id, 's', :id, 'text', 'labelled', now())
"""
_LABEL = """
    WITH made AS (
        INSERT INTO labels (message_id, categories, urgency, tier, taxonomy_version)
        VALUES (:id, ARRAY['refill'], 'routine', 'fast', '1') RETURNING id
    )
    UPDATE messages SET current_label_id = (SELECT id FROM made) WHERE id = :id
"""


@pytest.fixture
def good(engine: Engine) -> tuple[Whole, str]:
    """One message whose books are in order."""
    whole = Whole(cast("Any", None), engine)
    message_id = str(new_message_id())
    whole.change(_MESSAGE, id=message_id)
    whole.change(_LABEL, id=message_id)
    return whole, message_id


def test_books_in_order_have_nothing_wrong(good: tuple[Whole, str]) -> None:
    whole, message_id = good

    assert wrong(whole, [message_id]) == []


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE messages SET status = 'queued'", "still processing"),
        ("UPDATE messages SET lease_owner = 'x'", "still leased"),
        ("UPDATE messages SET status = 'needs_review'", "nobody says why"),
        ("UPDATE messages SET current_label_id = NULL", "without a current label"),
        (_LABEL, "more than one final label"),
        ('UPDATE messages SET red_flags = \'[{"urgency": "emergent"}]\'', "less urgent than"),
        ("DELETE FROM messages", "accepted and not there"),
        (_MESSAGE.replace(":id", "gen_random_uuid()"), "never accepted"),
    ],
)
def test_each_thing_that_is_wrong_is_found(
    good: tuple[Whole, str], statement: str, words: str
) -> None:
    whole, message_id = good

    whole.change(statement, **({"id": message_id} if ":id" in statement else {}))

    assert any(words in each for each in wrong(whole, [message_id]))


def test_a_dashboard_that_counts_otherwise_is_found(
    good: tuple[Whole, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, message_id = good
    for name, forgetful in (("facets", lambda _: []), ("worklist", lambda *_, **__: [])):
        monkeypatch.setattr(queries, name, forgetful)

    found = wrong(whole, [message_id])

    assert any("says 0 and not 1 (above the list): show:labelled" in each for each in found)
    assert f"not on the worklist: {message_id}" in found


def test_a_message_accepted_as_two_is_found(good: tuple[Whole, str]) -> None:
    whole, message_id = good

    found = wrong(whole, [message_id, message_id])

    assert any("two messages under one id" in each for each in found)
