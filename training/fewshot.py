"""Chooses the LLM prompt's examples, once: messages on the borders between labels.

    python -m training.fewshot

Where the small model wavers between two labels is where the LLM is asked, so that is where
examples help. Out of the training messages (never dev or test), for every pair of categories
and of urgencies that the model confuses, the clearest wrong or least sure ones are taken, short
and without identifiers. The list is kept in workers/llm_tier/examples.json: it is part of the
prompt's version, and changes only when this is run again.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.taxonomy import Taxonomy
from workers.fast_tier.tier import FastTier
from workers.llm_tier.chat import estimated_tokens
from workers.llm_tier.risk import Risk, risk_of

ROOT = Path(__file__).parent.parent
TRAIN = ROOT / "training" / "data" / "train.jsonl"
TARGET = ROOT / "workers" / "llm_tier" / "examples.json"
_MARK = re.compile(r"\[\[(\w+)\|.*?\]\]")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is chosen, and how much."""

    most_tokens: int = 1_800  # of all examples; with the rest well above providers' 1,024
    per_border: int = 1
    shortest_chars: int = 40
    longest_chars: int = 220


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A labelled message with the label that the model nearly gives instead."""

    text: str
    categories: tuple[str, ...]
    urgency: str
    border: tuple[str, str]  # the true label and its rival
    doubt: float  # 1 minus what the model gives the true label


def masked(text: str) -> str:
    """The text as the LLM sees it: numbered placeholders for the corpus's marks."""
    counts: dict[str, int] = defaultdict(int)

    def placeholder(match: re.Match[str]) -> str:
        counts[match[1]] += 1
        return f"[{match[1]}_{counts[match[1]]}]"

    return _MARK.sub(placeholder, text)


def candidates(tier: FastTier, taxonomy: Taxonomy, options: Options) -> list[Candidate]:
    """Every training message that may serve, with its border."""
    found: list[Candidate] = []
    urgencies = [level.name.value for level in taxonomy.urgencies]
    for line in TRAIN.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text = masked(row["text"])
        if not options.shortest_chars <= len(text) <= options.longest_chars:
            continue
        if risk_of(text) is not Risk.NONE:
            continue
        scores = tier.score(text)
        for names, probabilities, true in (
            (taxonomy.category_names, scores.category_probabilities, row["categories"][0]),
            (urgencies, scores.urgency_probabilities, row["urgency"]),
        ):
            of_true = probabilities[list(names).index(true)]
            rival = max(
                (p, name) for p, name in zip(probabilities, names, strict=True) if name != true
            )
            found.append(
                Candidate(
                    text=text,
                    categories=tuple(row["categories"][:2]),
                    urgency=row["urgency"],
                    border=(true, rival[1]),
                    doubt=1 - of_true,
                )
            )
    return found


def choose(found: Sequence[Candidate], options: Options) -> list[Candidate]:
    """The most doubtful of each border, the busiest borders first, until the room is used up.

    The very most doubtful tenth is left out: that is where labelling errors gather.
    """
    borders: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for each in found:
        borders[each.border].append(each)
    busiest = sorted(borders.items(), key=lambda item: -sum(c.doubt for c in item[1]))
    chosen: dict[str, Candidate] = {}
    room = options.most_tokens
    for _, on_border in busiest:
        on_border.sort(key=lambda each: (-each.doubt, each.text))
        start = len(on_border) // 10
        for each in on_border[start : start + options.per_border]:
            cost = estimated_tokens(each.text) + 6
            if each.text not in chosen and cost <= room:
                chosen[each.text] = each
                room -= cost
    return list(chosen.values())


def main() -> None:
    """Write the examples."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    taxonomy, options = Taxonomy.load(), Options()
    tier = FastTier.load(taxonomy=taxonomy)
    chosen = choose(candidates(tier, taxonomy, options), options)
    data = {
        "taxonomy_version": taxonomy.version,
        "chosen_with": tier.version,
        "examples": [
            {"text": c.text, "categories": list(c.categories), "urgency": c.urgency} for c in chosen
        ],
    }
    TARGET.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"{len(chosen)} examples, about {sum(estimated_tokens(c.text) for c in chosen)} tokens")


if __name__ == "__main__":
    main()
