"""The gates that a bundle must pass, and its model card.

Judged on the test split, by the tier as a whole: what is accepted, flagged or escalated.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import CarelaneError
from training import bundle as bundles
from training.metrics import wilson


class GateError(CarelaneError):
    """A bundle is not good enough to be released; the text names each gate that it failed."""


@dataclass(frozen=True, kw_only=True)
class Gates:
    """The least that a release must reach on test."""

    emergent_recall: float = 0.97  # accepted as emergent, flagged or escalated
    emergent_recall_lower: float = 0.93  # Wilson's lower bound of the same
    accepted_wrong: float = 0.06  # most accepted labels wrong in either head
    accepted_share: float = 0.05  # a tier that accepts nothing passes all others
    noise: float = 1.96  # standard errors by which a release may look worse than the last


def failures(
    figures: Mapping[str, Any], gates: Gates, last: Mapping[str, Any] | None = None
) -> list[str]:
    """One sentence for each gate that the figures fail; none: release."""
    found = []
    recall, lower = figures["emergent_recall_tier"], figures["emergent_recall_tier_lower"]
    if recall is None:
        found.append("the test data holds no emergent message, so nothing can be promised")
    elif recall < gates.emergent_recall or lower < gates.emergent_recall_lower:
        found.append(
            f"emergent recall of the tier is {recall:.3f} (lower bound {lower:.3f}), needed "
            f"{gates.emergent_recall:.2f} and {gates.emergent_recall_lower:.2f}"
        )
    if figures["accepted_wrong"] > gates.accepted_wrong:
        found.append(
            f"{figures['accepted_wrong']:.1%} of the accepted labels are wrong, allowed "
            f"{gates.accepted_wrong:.0%}"
        )
    if figures["accepted_share"] < gates.accepted_share:
        found.append(
            f"only {figures['accepted_share']:.1%} of the messages are accepted, needed "
            f"{gates.accepted_share:.0%}: the LLM would get nearly everything"
        )
    if last:
        found += _worse_than(figures, last, gates)
    return found


def _worse_than(figures: Mapping[str, Any], last: Mapping[str, Any], gates: Gates) -> list[str]:
    """Worse than the last release by more than both samples' noise."""
    found = []
    for name in ("category_accuracy", "urgency_accuracy", "both_right"):
        now, before = figures[name], last.get(name)
        if before is None:
            continue
        error = sum(p * (1 - p) / n for p, n in ((now, figures["n"]), (before, last["n"]))) ** 0.5
        if before - now > gates.noise * error:
            found.append(
                f"{name.replace('_', ' ')} fell from {before:.3f} to {now:.3f} against the last "
                f"release, more than noise ({gates.noise * error:.3f})"
            )
    return found


def release(
    draft: Path,
    target: Path,
    figures: Mapping[str, Any],
    gates: Gates,
    *,
    dev: Mapping[str, Any] | None = None,
) -> Path:
    """Publish a draft bundle, or raise GateError; the old release stays until all is well."""
    last = None
    if (target / "bundle.json").is_file():
        last = bundles.load_manifest(target).get("metrics", {}).get("test")
    failed = failures(figures, gates, last)
    if failed:
        raise GateError(
            "not released:\n  - " + "\n  - ".join(failed) + "\nSee the report for what goes "
            "wrong; more data of the failing kind helps most."
        )
    manifest = bundles.load_manifest(draft)
    manifest["metrics"] = {"test": dict(figures), **({"dev": dict(dev)} if dev else {})}
    bundles.save_manifest(draft, manifest)
    (draft / "CARD.md").write_text(card(manifest), "utf-8")
    return publish(draft, target)


def publish(draft: Path, target: Path) -> Path:
    """Model files first, the manifest last, each by rename: a watching worker sees a whole one."""
    target.mkdir(parents=True, exist_ok=True)
    manifest = bundles.load_manifest(draft)
    names = [*manifest["files"], "CARD.md", "bundle.json"]
    for name in names:
        shutil.copyfile(draft / name, target / f".{name}.new")
    for name in names:
        (target / f".{name}.new").rename(target / name)
    for path in target.iterdir():
        if path.is_file() and path.name not in names:
            path.unlink()
    return target


def card(manifest: Mapping[str, Any]) -> str:
    """The model card, after Mitchell et al., "Model Cards for Model Reporting", 2019."""
    test = manifest["metrics"]["test"]
    low, high = wilson(test["emergent_caught"], test["emergent"])
    routing, options = manifest["routing"], manifest["training"].get("options", {})
    category = f"{test['category_accuracy']:.3f} / {test['category_macro_f1']:.3f}"
    urgency = f"{test['urgency_accuracy']:.3f} / {test['urgency_macro_f1']:.3f}"
    tier = f"{test['emergent_recall_tier']:.3f} (95 %: {low:.3f} to {high:.3f})"
    return f"""# {manifest["name"]} {manifest["version"]}

Sorts English patient-portal messages into {len(manifest["categories"])} categories
({", ".join(manifest["categories"])}) and three urgencies (emergent, urgent, routine).

## What it is
{manifest["training"].get("about", manifest["kind"])}
Base: {options.get("base", "none")}. Taxonomy version {manifest["taxonomy_version"]}.

## What it is for
The first tier of Carelane: it labels what it is sure of and hands on the rest. It supports
triage by staff; it is no medical device and gives no advice. Not for other languages than
English, not for text that is no patient message, not without the red-flag rules and a person.

## How good it is
On {test["n"]} held-out messages, invented like the training data, by the code that runs:

| figure | value |
| --- | --- |
| primary category, accuracy / macro-F1 | {category} |
| urgency, accuracy / macro-F1 | {urgency} |
| emergent: recall of the model alone | {test["emergent_recall_argmax"]:.3f} |
| emergent: recall of the tier (accepted as emergent, flagged or escalated) | {tier} |
| primary category and urgency both right | {test["both_right"]:.3f} |
| accepted without asking the LLM | {test["accepted_share"]:.3f} |
| of these, wrong in either head | {test["accepted_wrong"]:.3f} |

## How it decides
Accepted when the product of both calibrated confidences is at least {routing["min_joint"]}, the
chance of an emergency below {routing["max_emergent"]} (or it is labelled emergent), the text is
English, familiar, read whole, and the heads do not contradict each other or a red flag.
The thresholds were chosen on validation data for a stated risk:
`{manifest.get("calibration", {}).get("options", {})}`.

## Where it is weak
Trained on invented messages of some thirty writers: real patients will differ. It is weakest
where one message holds several topics, at the border between urgent and emergent, and on terse
or non-native text. Watch the share of corrections by category and sender on live traffic.

## How it was made
`carelane model build`; options, data hashes and seeds are in bundle.json.
"""
