"""Bundles: whole or refused, the same score in any company, swapped while running."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.errors import BundleError
from shared.taxonomy import Taxonomy
from workers.fast_tier import SHIPPED, FastTier, LiveTier

LONG = "My knee has been sore since the fall and I wonder about physical therapy. " * 60
MESSAGES = (
    "Please refill my metformin, I have a week left.",
    "My chest feels tight and my left arm is numb, it started an hour ago.",
    "Was billed twice for the visit in March, who do I talk to?",
    LONG,
)


@pytest.fixture(scope="module")
def tier() -> FastTier:
    return FastTier.load(taxonomy=Taxonomy.load())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "bundle"))


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "bundle.json"
    data = json.loads(path.read_text())
    change(data)
    replacement = folder / ".bundle.json.new"
    replacement.write_text(json.dumps(data))
    replacement.rename(path)


def test_a_message_scores_the_same_in_any_company(tier: FastTier) -> None:
    alone = [tier.score(text) for text in MESSAGES]

    again = [tier.score(text) for text in reversed(MESSAGES)]

    assert alone == again[::-1]


def test_a_long_message_is_read_by_head_and_tail_and_a_very_long_one_is_not_trusted(
    tier: FastTier,
) -> None:
    hidden = "I have a question about my bill from March. " * 40

    calm = tier.score(hidden)
    grave = tier.score(hidden + "Also I have crushing chest pain and cannot breathe right now.")

    assert grave.n_tokens > tier.manifest.max_tokens
    assert grave.urgency_probabilities[0] > calm.urgency_probabilities[0] + 0.2
    assert not tier.judge(LONG, ()).accepted
    assert "text_cut" in tier.judge(LONG, ()).reasons


def test_a_language_that_the_model_does_not_know_is_escalated(tier: FastTier) -> None:
    decision = tier.judge("Necesito una receta para mi medicina de la presión, gracias", ())

    assert decision.language == "es"
    assert "language" in decision.reasons


def test_probabilities_are_probabilities(tier: FastTier) -> None:
    for text in MESSAGES:
        scores = tier.score(text)

        assert sum(scores.category_probabilities) == pytest.approx(1)
        assert sum(scores.urgency_probabilities) == pytest.approx(1)
        assert (
            scores.category_set[0]
            == (
                tier.manifest.categories[
                    scores.category_probabilities.index(scores.category_confidence)
                ]
            )
        )


@pytest.mark.parametrize("text", ["?", "\u200b", "🙂", "a" * 20_000, "\n\n.", "ok"])
def test_odd_texts_get_scores_too(tier: FastTier, text: str) -> None:
    assert tier.score(text).category_set


def test_a_folder_without_a_bundle_is_refused_with_the_setting_that_names_it(
    tmp_path: Path,
) -> None:
    with pytest.raises(BundleError, match="CARELANE_BUNDLE"):
        FastTier.load(tmp_path)


def test_a_changed_file_is_refused(folder: Path) -> None:
    with (folder / "tokenizer.json").open("a") as file:
        file.write(" ")

    with pytest.raises(BundleError, match=r"tokenizer\.json has SHA-256"):
        FastTier.load(folder)


def test_a_missing_file_is_refused(folder: Path) -> None:
    (folder / "model.onnx").unlink()

    with pytest.raises(BundleError, match=r"lacks model\.onnx"):
        FastTier.load(folder)


def test_a_manifest_that_is_no_json_is_refused(folder: Path) -> None:
    (folder / "bundle.json").write_text('{"format": 1, ')

    with pytest.raises(BundleError, match="damaged"):
        FastTier.load(folder)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d.update(format=2), "format 2"),
        (lambda d: d.pop("routing"), "routing"),
        (lambda d: d["routing"].pop("min_joint"), "min_joint"),
        (lambda d: d.update(kind="forest"), "forest"),
        (lambda d: d.update(urgencies=["routine", "urgent", "emergent"]), "urgencies"),
        (lambda d: d["files"].pop("tokenizer.json"), r"tokenizer\.json"),
        (lambda d: d["files"].update({"../../../etc/passwd": "0"}), "outside"),
        (lambda d: d["temperatures"].update(primary="hot"), "hot"),
    ],
)
def test_a_foreign_or_incomplete_manifest_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    edit(folder, change)

    with pytest.raises(BundleError, match=told):
        FastTier.load(folder)


def test_a_file_that_is_no_model_is_refused_even_with_the_right_hash(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"not a model")
    digest = hashlib.sha256(b"not a model").hexdigest()
    edit(folder, lambda d: d["files"].update({"model.onnx": digest}))

    with pytest.raises(BundleError, match="ONNX Runtime"):
        FastTier.load(folder)


def test_a_bundle_for_another_taxonomy_is_refused() -> None:
    other = replace(Taxonomy.load(), version="hospital-7")

    with pytest.raises(BundleError, match="hospital-7"):
        FastTier.load(taxonomy=other)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_new_bundle_takes_over_without_a_restart_and_a_broken_one_does_not(folder: Path) -> None:
    clock = Clock()
    live = LiveTier(folder, clock_s=clock)
    before = live.version

    edit(folder, lambda d: d.update(version="9.9.9"))
    live.judge("hello", ())
    unlooked = live.version
    clock.now_s = 60.0
    live.judge("hello", ())
    swapped = live.version
    edit(folder, lambda d: d.update(version="broken", kind="forest"))
    clock.now_s = 120.0
    decision = live.judge("Please refill my metformin, a week left", ())

    assert unlooked == before
    assert swapped == "triage 9.9.9"
    assert live.version == "triage 9.9.9"
    assert decision.label.model_version == "triage 9.9.9"


def test_a_shadow_bundle_is_counted_and_decides_nothing(folder: Path) -> None:
    edit(folder, lambda d: d["routing"].update(min_joint=2.0))
    live = LiveTier(SHIPPED, shadow=folder)
    text = "Please refill my metformin 500 mg, one week left. Thank you!"

    decision = live.judge(text, ())

    assert decision == FastTier.load().judge(text, ())
    assert live.shadow_version
    assert live.shadow_counts == {
        "messages": 1, "category": 0, "urgency": 0, "accepted": int(decision.accepted),
        "missed_emergent": 0,
    }  # fmt: skip


def test_why_points_at_the_words(tier: FastTier) -> None:
    text = "Good morning, I would like to know if you could please refill my metformin prescription"

    weights = tier.explain(text)

    heaviest = max(weights, key=lambda a: a.category_weight)
    assert heaviest.start >= text.index("please")


def test_the_shadows_counts_are_logged_and_begin_anew(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    live = LiveTier(SHIPPED, shadow=folder, clock_s=clock)
    with caplog.at_level("INFO"):
        for _ in range(500):
            live.score("ok")
        clock.now_s = 10.0
        live.score("ok")

    (told,) = [r for r in caplog.records if r.message == "bundle.shadow"]
    assert vars(told)["messages"] == 500
    assert live.shadow_counts["messages"] == 1
