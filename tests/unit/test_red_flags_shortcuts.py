"""The shortcuts of the red-flag rules change no result: they agree with reading everything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.red_flags_cli import read_labelled
from shared.red_flags import RedFlag, RedFlags
from shared.red_flags.phrases import PhraseIndex

DEV = Path(__file__).parents[2] / "training" / "data" / "dev.jsonl"


class _TriesEveryPhrase(PhraseIndex):
    """An index that rules no phrase out beforehand."""

    def _add(self, entry: Any) -> None:
        entry.second = entry.needed = None
        super()._add(entry)


class _TriesEveryRule(RedFlags):
    def _possible(self, mentions: Any) -> list[Any]:  # noqa: ARG002
        return list(self.rules)


@pytest.fixture(scope="module")
def quick() -> RedFlags:
    return RedFlags.load()


@pytest.fixture(scope="module")
def thorough() -> RedFlags:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.red_flags.PhraseIndex", _TriesEveryPhrase)
        return _TriesEveryRule.load()


_RULES = RedFlags.load().rules
_PIECES = st.one_of(
    st.sampled_from([each for rule in _RULES for each in rule.must_match + rule.must_not_match]),
    st.sampled_from(["no", "not", "last year", "my mother", "but", ".", "what if", "168/112"]),
    st.text(max_size=20),
)


@given(pieces=st.lists(_PIECES, max_size=6))
def test_both_ways_agree_on_anything_that_is_said(
    quick: RedFlags, thorough: RedFlags, pieces: list[str]
) -> None:
    text = " ".join(pieces)

    assert quick.find(text) == thorough.find(text)


def test_both_ways_agree_on_the_rules_own_examples(quick: RedFlags, thorough: RedFlags) -> None:
    texts = [each for rule in _RULES for each in rule.must_match + rule.must_not_match]

    assert _differing(quick, thorough, texts) == []


@pytest.mark.skipif(not DEV.exists(), reason="the corpus is not in this checkout")
def test_both_ways_agree_on_the_corpus(quick: RedFlags, thorough: RedFlags) -> None:
    texts = [message.text for message in read_labelled(DEV)]

    assert _differing(quick, thorough, texts) == []


def _differing(
    quick: RedFlags, thorough: RedFlags, texts: list[str]
) -> list[tuple[tuple[RedFlag, ...], tuple[RedFlag, ...]]]:
    both = [(quick.find(text), thorough.find(text)) for text in texts]
    return [(one, other) for one, other in both if one != other]
