"""Carelane and Presidio on the same messages in the same run, taking turns; see README.md."""

from __future__ import annotations

import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import click
from tokenizers import Tokenizer

from bench.deid import presidio
from shared.errors import DeidError
from workers.deid import Deidentifier, Span
from workers.deid.bundle import DEFAULT_BUNDLE
from workers.deid.evaluation import Tally, quantile
from workers.deid.files import Marked, read_marked

Find = Callable[[str], Sequence[Span]]

# Sentences to build texts of a stated length from: identifiers, medicine, and neither.
SENTENCES = (
    "Hi, this is Anna Smith, DOB 4/2/1957, and I need a refill of lisinopril 20 mg.",
    "Please send it to the Walgreens in Tulsa, they have my new card.",
    "My blood pressure was 162/108 this morning with a headache behind the left eye.",
    "You can call me at 918-555-0123 or write to a.smith@mail.example any time after 4.",
    "Dr. Osei saw me on March 3rd and wanted labs, the A1c was 7.2 and the LDL 141.",
    "My new insurance is Premera, member number XEB90417726, and I moved to 14 Birch St.",
    "I also take metformin twice a day and have had no trouble with it so far.",
)


# Written for this benchmark, in another manner than the training sentences; never trained on.
QUERIES = Path(__file__).with_name("clinician_queries.jsonl")


TIME_ONLY = (
    "presidio-analyzer with a parser and an entity network of spaCy's default shape, untrained"
)


@dataclass(slots=True)
class Side:
    """One tool's results on one set."""

    name: str
    find: Find
    tally: Tally = field(default_factory=Tally)
    refused: int = 0
    latencies_ms: list[float] = field(default_factory=list)


def timed(side: Side, text: str) -> Sequence[Span] | None:
    began = time.perf_counter()
    try:
        found = side.find(text)
    except DeidError:
        side.refused += 1
        return None
    side.latencies_ms.append(1000 * (time.perf_counter() - began))
    return found


def quality(sides: Sequence[Side], messages: Sequence[Marked]) -> None:
    """Every message through every side in turn. What Carelane refuses is left out for it."""
    for message in messages:
        for side in sides:
            found = timed(side, message.text)
            if found is not None:
                side.tally.add(message.id, message.text, message.marks, found)


def text_of(tokens: int) -> str:
    """A text of about so many tokens of the model's tokenizer."""
    tokenizer = Tokenizer.from_file(str(DEFAULT_BUNDLE / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    words: list[str] = []
    source = " ".join(SENTENCES).split() * 4
    while len(tokenizer.encode(" ".join(words)).ids) < tokens:
        words.append(source[len(words)])
    return " ".join(words)


def latency(sides: Sequence[Side], text: str, rounds: int) -> None:
    """The same text again and again, sides taking turns, after a warm-up."""
    for turn in range(rounds + 20):
        for side in sides:
            if turn == 20:
                side.latencies_ms.clear()
            timed(side, text)


def quality_table(title: str, sides: Sequence[Side]) -> list[str]:
    out = [
        f"\n### {title}\n",
        (
            "| | recall | precision | NAME | ID | DATE | ADDRESS | ORG | harmless touched "
            "| refused | p50 ms | p95 ms |"
        ),
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for side in sides:
        total = side.tally.score("any")
        kinds = " | ".join(
            f"{side.tally.score('any', kind).recall:.3f}"
            for kind in ("NAME", "ID", "DATE", "ADDRESS", "ORG")
        )
        out.append(
            f"| {side.name} | **{total.recall:.3f}** | {total.precision:.3f} | {kinds} "
            f"| {side.tally.clean_texts_touched} of {side.tally.clean_texts} "
            f"| {side.refused} | {quantile(side.latencies_ms, 0.5):.2f} "
            f"| {quantile(side.latencies_ms, 0.95):.2f} |"
        )
    return out


@click.command()
@click.option(
    "--test",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="The corpus's marked messages, e.g. training/data/test.jsonl.",
)
@click.option(
    "--presidio-set",
    type=click.Path(exists=True, path_type=Path),
    help="presidio-research's synth_dataset_v2.json (not shipped with Carelane).",
)
@click.option("--rounds", default=500, show_default=True, help="Runs per text for latency.")
def main(test: Path, presidio_set: Path | None, rounds: int) -> None:
    """Print one table per question, as Markdown."""
    carelane = Deidentifier.load()
    with tempfile.TemporaryDirectory() as folder:
        engine = presidio.build(Path(folder))
        with_networks = presidio.build(Path(folder), networks=True)

    def sides() -> list[Side]:
        return [
            Side("Carelane", lambda text: carelane.mask(text, budget_ms=10_000).spans),
            Side("presidio-analyzer", lambda text: presidio.spans(engine, text)),
        ]

    machine = {"machine": platform.machine(), "cpu": _cpu(), "bundle": carelane.version}
    print(json.dumps(machine))
    sets = [("The corpus's test messages", test), ("Clinicians' queries", QUERIES)]
    if presidio_set is not None:
        sets.append(("presidio-research, synth_dataset_v2", presidio_set))
    for title, path in sets:
        both = sides()
        quality(both, read_marked(path))
        print("\n".join(quality_table(title, both)))
    print("\n### Latency, one core, the same text repeated\n")
    print("| tokens | | p50 ms | p95 ms | p99 ms |\n| --- | --- | --- | --- | --- |")
    for tokens in (40, 128):
        both = [*sides(), Side(TIME_ONLY, lambda text: presidio.spans(with_networks, text))]
        latency(both, text_of(tokens), rounds)
        for side in both:
            values = " | ".join(f"{quantile(side.latencies_ms, q):.2f}" for q in (0.5, 0.95, 0.99))
            print(f"| {tokens} | {side.name} | {values} |")


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
