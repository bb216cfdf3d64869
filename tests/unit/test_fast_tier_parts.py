"""The fast tier's pure parts: windows, merging, languages, n-grams, blending, explaining."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BundleError
from workers.fast_tier import language
from workers.fast_tier.blend import blend
from workers.fast_tier.explain import explain
from workers.fast_tier.manifest import LinearWeights
from workers.fast_tier.ngrams import Vocabulary, character_grams, word_grams, words
from workers.fast_tier.scores import Reading, Scores, merge, sigmoid, softmax
from workers.fast_tier.windows import split


@given(st.integers(2, 900), st.integers(8, 256))
def test_windows_keep_the_special_tokens_and_say_what_was_left_out(n: int, most: int) -> None:
    ids = [101, *range(1000, 1000 + n - 2), 102]

    windows = split(ids, most)

    inner = {i for window in windows.ids for i in window[1:-1]}
    assert all(w[0] == 101 and w[-1] == 102 and len(w) <= most for w in windows.ids)
    assert windows.truncated == (inner != set(ids[1:-1]))
    assert windows.n_tokens == n


def test_an_emergency_in_either_window_counts() -> None:
    calm = Reading([2.0, 0.0], [1.0, -1.0], [-3.0, 0.0, 3.0], 0.9)
    grave = Reading([0.0, 1.0], [-1.0, 1.0], [4.0, 0.0, -4.0], 0.4)

    merged = merge([calm, grave])

    assert list(merged.urgency) == [4.0, 0.0, -4.0]
    assert list(merged.primary) == [1.0, 0.5]
    assert list(merged.members) == [1.0, 1.0]
    assert merged.familiarity == 0.4


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Need my lisinopril refilled, thanks", "en"),
        ("cough 3 wks no fever wat do", "en"),
        ("naproxen 500 bid #60 thx", "en"),
        ("no chest pain, con mi esposo no more", "en"),
        ("Hola doctor, tengo dolor de pecho desde ayer y no puedo respirar", "es"),
        ("mi hijo tiene fiebre de 39 y no quiere comer", "es"),
        ("me duele mucho la cabeza", "es"),
        (
            "Hi Dr. Lopez, my son has a fever. Mi mamá dice que necesita la medicina para el dolor",
            "es",
        ),
        ("Bonjour docteur, j'ai mal à la poitrine depuis hier", "fr"),
        ("Não consigo respirar e tenho uma dor no peito desde ontem", "pt"),
        ("Ich habe seit gestern starke Schmerzen und kann nicht schlafen", "de"),
        ("Mwen gen doulè nan pwatrin mwen", "ht"),
        ("У меня болит грудь и трудно дышать", "ru"),
        ("我胸口疼，呼吸困难", "zh"),
        ("가슴이 아프고 숨쉬기가 힘들어요", "ko"),
        ("أعاني من ألم في الصدر", "ar"),
    ],
)
def test_the_language_of_a_message_is_told(text: str, code: str) -> None:
    assert language.detect(text) == code


def test_words_that_no_vocabulary_knows_are_no_language() -> None:
    known = [False] * 4

    assert language.detect("qwpo zxcvb mnbvq lkjhg", known) == "und"
    assert language.detect("12345 !!!", []) == "und"


@given(st.text(max_size=300))
def test_detecting_takes_any_text(text: str) -> None:
    assert language.detect(text)


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=12), st.floats(0.2, 5))
def test_softmax_sums_to_one_and_keeps_the_order(logits: list[float], t: float) -> None:
    p = softmax(logits, t)

    assert math.isclose(sum(p), 1.0, rel_tol=1e-9)
    assert p[logits.index(max(logits))] == max(p)
    assert sigmoid(-1000.0) == 0.0
    assert sigmoid(1000.0) == 1.0


def test_n_grams_cover_words_pairs_and_word_edges() -> None:
    tokens = words("BP 180/100, can’t sleep!")

    assert tokens == ["bp", "#3", "#3", "can't", "sleep", "!"]
    assert "bp #3" in word_grams(tokens)
    assert {" sl", "eep "} <= set(character_grams(["sleep"]))


@given(st.text(max_size=200))
def test_features_of_any_text_are_of_length_one_or_zero_per_block(text: str) -> None:
    vocabulary = Vocabulary({"the": (0, 1.5), "pain": (1, 2.0)}, {" th": (2, 1.0), "ain": (3, 1.2)})

    f = vocabulary.features(text)

    length = math.fsum(v * v for v in f.values)
    assert any(math.isclose(length, n, abs_tol=1e-9) for n in (0, 1, 2))
    assert len(f.ids) == len(f.values)


def test_a_vocabulary_survives_its_file_and_a_broken_file_is_named(tmp_path: Path) -> None:
    vocabulary = Vocabulary({"schmerz é": (0, 1.5)}, {" sc": (1, 1.0)})
    path = tmp_path / "ngrams.json"

    vocabulary.save(path)

    assert Vocabulary.load(path) == vocabulary
    path.write_text('{"words": 3}')
    with pytest.raises(BundleError, match=r"ngrams\.json"):
        Vocabulary.load(path)


def test_a_blend_lies_between_its_parts() -> None:
    sure = Reading([4.0, 0.0], [2.0, -2.0], [0.0, 0.0, 5.0], 0.7)
    doubting = Reading([0.0, 0.0], [0.0, 0.0], [0.0, 0.0, 0.0], 0.1)

    mixed = blend(sure, doubting, LinearWeights(category=0.5, urgency=0.5))

    between = softmax(mixed.primary, 1.0)[0]
    assert 0.5 < between < softmax(sure.primary, 1.0)[0]
    assert mixed.familiarity == 0.7


def test_the_words_that_carry_a_decision_weigh_most() -> None:
    def score(text: str) -> Scores:
        grave = 0.9 if "droopy" in text else 0.05
        return Scores(
            category_probabilities=(grave, 1 - grave),
            member_probabilities=(grave, 1 - grave),
            category_set=("symptom",),
            urgency_probabilities=(grave, 0.0, 1 - grave),
            n_tokens=9,
            truncated=False,
            language="en",
            familiarity=1.0,
        )

    text = "sorry to bother you but my face feels droopy since this morning, no rush at all thanks"
    weights = explain(text, score)

    heaviest = max(weights, key=lambda a: a.urgency_weight)
    near = text[max(0, heaviest.start - 12) : heaviest.end + 12]
    assert "droopy" in near
    assert len(weights) == len(text.split())
    assert explain("   ", score) == ()
