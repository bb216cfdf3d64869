"""From a run to a bundle: export, quantise, choose thresholds on dev, measure, write hashes.

    python -m training.deid.release --base MINILM_FOLDER --run RUN_FOLDER \
        --corpus training/data --out workers/models/deid-v1
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import click
import torch

from shared.errors import DeidError
from training.deid.export import export
from training.deid.network import TokenClassifier
from workers.deid.bundle import FORMAT, KIND, LABELS, DeidBundle, Thresholds
from workers.deid.classifier import TokenClassifier as Runtime
from workers.deid.classifier import Words
from workers.deid.decode import model_hits, standing
from workers.deid.evaluation import Tally
from workers.deid.language import check_language, check_script
from workers.deid.marks import Mark, parse
from workers.deid.plain import plain_view
from workers.deid.rules import RECOGNISERS
from workers.deid.spans import Hit, merge, replace

WINDOW_TOKENS = 192
OVERLAP_TOKENS = 48
# Recall before precision: of the settings that reach this precision on dev and lose clinical words
# in at most this share of identifier-free messages, the one with the highest recall; among equals
# the most suspicious one, as dev is small and other writers are stranger.
LEAST_PRECISION = 0.92
MOST_LOSING = 0.02

Scored = tuple[str, str, tuple[Mark, ...], list[Hit], Words | None]


def scored(runtime: Runtime, path: Path) -> list[Scored]:
    """Run rules and model once per message; thresholds are tried on what they found."""
    found: list[Scored] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text, marks = parse(row["text"])
        try:
            check_script(text)
            check_language(text)
        except DeidError:
            continue  # goes to a person, whatever the thresholds
        view = plain_view(text)
        hits = []
        for recognise in RECOGNISERS:
            for hit in recognise(view.text):
                start, end = view.back(hit.start, hit.end)
                hits.append(dataclasses.replace(hit, start=start, end=end))
        found.append((row["id"], text, marks, hits, runtime.score(text, lambda: None)))
    return found


def tally(messages: list[Scored], thresholds: Thresholds) -> Tally:
    """The measures under one setting."""
    total = Tally()
    for name, text, marks, found, words in messages:
        hits = list(standing(found, words, thresholds))
        if words is not None:
            hits += model_hits(text, words, thresholds)
        total.add(name, text, marks, replace(text, merge(hits, text)).spans)
    return total


def choose(messages: list[Scored]) -> tuple[Thresholds, Tally]:
    """Try the grid; see LEAST_PRECISION for the rule."""
    best: tuple[tuple[float, ...], Thresholds, Tally] | None = None
    grid = itertools.product(
        (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5),
        (0.02, 0.03, 0.05, 0.1),
        (0.002, 0.005, 0.01, 0.02),
    )
    for find, extend, rule in grid:
        if extend > find:
            continue
        setting = Thresholds(find=find, extend=extend, rule=rule, protected=0.9)
        result = tally(messages, setting)
        score = result.score("any")
        losing = result.clean_texts_losing / max(1, result.clean_texts)
        fits = score.precision >= LEAST_PRECISION and losing <= MOST_LOSING
        rank = (float(fits), score.recall if fits else score.precision, -find, -rule)
        if best is None or rank > best[0]:
            best = (rank, setting, result)
    assert best is not None
    return best[1], best[2]


def summary(result: Tally) -> dict[str, Any]:
    """What bundle.json says about one set."""
    total = result.score("any")
    return {
        "any_type_recall": round(total.recall, 4),
        "any_type_precision": round(total.precision, 4),
        "recall": {
            kind[2:]: round(result.score("any", kind[2:]).recall, 4) for kind in LABELS[1::2]
        },
        "identifier_free_messages": result.clean_texts,
        "of_them_losing_a_clinical_word": result.clean_texts_losing,
        "of_them_with_anything_masked": result.clean_texts_touched,
    }


@click.command()
@click.option("--base", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--run", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--corpus", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--version", default="1.0.0", show_default=True)
@click.option("--keep-model", is_flag=True, help="Choose thresholds anew for the model in OUT.")
@click.option("--card", type=click.Path(exists=True, path_type=Path), help="CARD.md to put beside.")
def main(
    base: Path,
    run: Path,
    corpus: Path,
    out: Path,
    version: str,
    keep_model: bool,
    card: Path | None,
) -> None:
    """Write the bundle."""
    torch.set_num_threads(1)
    history = json.loads((run / "run.json").read_text())
    out.mkdir(parents=True, exist_ok=True)
    if not keep_model:
        model = TokenClassifier(base, history["stages"][-1]["options"]["layers"])
        model.load_state_dict(torch.load(run / "weights.pt"))
        export(model, out / "model.onnx")
    shutil.copyfile(base / "tokenizer.json", out / "tokenizer.json")
    if card is not None:
        shutil.copyfile(card, out / "CARD.md")

    draft = DeidBundle(
        folder=out,
        version=version,
        window_tokens=WINDOW_TOKENS,
        overlap_tokens=OVERLAP_TOKENS,
        thresholds=Thresholds(find=0.2, extend=0.1, rule=0.05, protected=0.9),
    )
    thresholds, result = choose(scored(Runtime.load(draft), corpus / "dev.jsonl"))
    content = {
        "format": FORMAT,
        "name": out.name,
        "version": version,
        "kind": KIND,
        "labels": list(LABELS),
        "languages": ["en", "es"],
        "window_tokens": WINDOW_TOKENS,
        "overlap_tokens": OVERLAP_TOKENS,
        "thresholds": dataclasses.asdict(thresholds),
        "files": {
            name: hashlib.sha256((out / name).read_bytes()).hexdigest()
            for name in ("model.onnx", "tokenizer.json")
        },
        "metrics": {"dev": summary(result)},
        "training": {
            "base": "all-MiniLM-L6-v2 (Apache-2.0), its lower layers",
            "dev_sha256": hashlib.sha256((corpus / "dev.jsonl").read_bytes()).hexdigest(),
            **history,
        },
    }
    (out / "bundle.json").write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps({"thresholds": content["thresholds"], **summary(result)}, indent=1))
    for name, kind, value in result.leaked:
        print("leaked", name, kind, repr(value))
    for name, kind, value in result.wrong:
        print("wrong", name, kind, repr(value))


if __name__ == "__main__":
    main()
