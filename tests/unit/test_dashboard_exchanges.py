from __future__ import annotations

import pytest

from dashboard.exchanges import meaning
from shared.taxonomy import Taxonomy


@pytest.mark.parametrize(
    ("answered", "said"),
    [
        ('{"i":"bkt","l":"C3"}', "Refill, Routine"),
        ('{"i":"bkt","l":"CB2"}', "Refill + Medication, Urgent"),
        ('{"i":"bkt","l":"3"}', None),
        ('{"i":"bkt","l":"Z3"}', None),
        ('{"i":"bkt","l":7}', None),
        ('{"why":"because"}', None),
        ("I cannot help with that", None),
        ("", None),
    ],
)
def test_an_answers_codes_are_said_in_the_taxonomys_words(answered: str, said: str | None) -> None:
    assert meaning(answered, Taxonomy.load()) == said
