"""`carelane redflags`: what clinicians need who change red_flags.yaml: test, eval and explain.

The rules run at the producer's door, so their commands live here; they need no service.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from shared.contracts import Urgency
from shared.errors import InvalidInput
from shared.red_flags import RedFlag, RedFlags

# [[TYPE|text]], the marks of identifiers in a labelled corpus; what is within them stays.
_MARK = re.compile(r"\[\[[A-Z]+\|([^\]\[]*)\]\]")
_Z_95 = 1.959964

_rules_option = click.option(
    "--rules",
    "rules_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A rule file of your own; otherwise the one that comes with Carelane.",
)


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A message with the urgency that people gave it."""

    id: str
    text: str
    urgency: Urgency


@dataclass
class Tally:
    """How many messages of each urgency were flagged."""

    flagged: Counter[Urgency] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self.flagged.total()

    @property
    def urgent_or_worse(self) -> int:
        return self.flagged[Urgency.EMERGENT] + self.flagged[Urgency.URGENT]


@click.group()
def redflags() -> None:
    """Red-flag rules: run their examples, measure them, explain one message."""


@redflags.command("test")
@_rules_option
def run_examples(rules_path: Path | None) -> None:
    """Check that every rule flags its `must_match` lines and none of its `must_not_match`."""
    rules = RedFlags.load(rules_path)
    wrong = list(wrong_examples(rules))
    for line in wrong:
        click.echo(line)
    n_examples = sum(len(r.must_match) + len(r.must_not_match) for r in rules.rules)
    click.echo(f"{len(rules.rules)} rules, {n_examples} examples, {len(wrong)} wrong")
    if wrong:
        raise click.exceptions.Exit(1)


def wrong_examples(rules: RedFlags) -> Iterator[str]:
    """One line for each example that does not do what it must."""
    for rule in rules.rules:
        for text in rule.must_match:
            if rule.id not in {flag.rule for flag in rules.find(text)}:
                yield f"{rule.id}: must match, but does not: {text}"
        for text in rule.must_not_match:
            for flag in rules.find(text):
                if flag.rule == rule.id:
                    words = text[flag.start : flag.end]
                    yield f"{rule.id}: must not match, but does by {words!r}: {text}"


@redflags.command()
@click.argument("text")
@_rules_option
def explain(text: str, rules_path: Path | None) -> None:
    """Show what the rules read in TEXT, and why some of it does not count."""
    rules = RedFlags.load(rules_path)
    for reading in rules.explain(text):
        note = f"  does not count: {reading.doubt}" if reading.doubt else ""
        click.echo(f"  {reading.concept}: {text[reading.start : reading.end]!r}{note}")
    flags = rules.find(text)
    for flag in flags:
        click.echo(f"{flag.urgency}: {flag.title} ({flag.rule}): {text[flag.start : flag.end]!r}")
    if not flags:
        click.echo("No red flag.")


@redflags.command("eval")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_rules_option
@click.option("--errors", is_flag=True, help="List missed emergencies and false alarms.")
def evaluate(file: Path, rules_path: Path | None, errors: bool) -> None:
    """Precision and recall of the rules on FILE (JSONL with `text` and `urgency`)."""
    rules = RedFlags.load(rules_path)
    messages = list(read_labelled(file))
    found = [(message, rules.find(message.text)) for message in messages]
    for line in (*_overall(found), "", *_per_rule(rules, found)):
        click.echo(line)
    if errors:
        for line in _errors(found):
            click.echo(line)


def read_labelled(file: Path) -> Iterator[Labelled]:
    """The messages of a JSONL file, marks of identifiers stripped; raises InvalidInput."""
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                yield Labelled(
                    id=str(row.get("id", number)),
                    text=_MARK.sub(r"\1", row["text"]),
                    urgency=Urgency(row["urgency"]),
                )
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InvalidInput(
                    f"{file}, line {number}: {error!r}. Each line must be a JSON object with "
                    "`text` and `urgency` (emergent, urgent or routine)."
                ) from error


_Found = Sequence[tuple[Labelled, tuple[RedFlag, ...]]]


def _overall(found: _Found) -> Iterator[str]:
    any_flag, emergent_flag = Tally(), Tally()
    for message, flags in found:
        if flags:
            any_flag.flagged[message.urgency] += 1
        if any(flag.urgency is Urgency.EMERGENT for flag in flags):
            emergent_flag.flagged[message.urgency] += 1
    labelled = Counter(message.urgency for message, _ in found)
    emergencies = labelled[Urgency.EMERGENT]
    yield f"{len(found)} messages, {emergencies} emergent; {any_flag.total} flagged"
    caught = any_flag.flagged[Urgency.EMERGENT]
    yield f"recall of emergent                   {share(caught, emergencies)}"
    yield f"precision, urgent or worse           {share(any_flag.urgent_or_worse, any_flag.total)}"
    yield f"precision, emergent                  {share(caught, any_flag.total)}"
    n, hits = emergent_flag.total, emergent_flag.flagged[Urgency.EMERGENT]
    yield f"emergent flags: recall of emergent   {share(hits, emergencies)}"
    yield f"emergent flags: urgent or worse      {share(emergent_flag.urgent_or_worse, n)}"
    yield f"emergent flags: emergent             {share(hits, n)}"


def _per_rule(rules: RedFlags, found: _Found) -> Iterator[str]:
    tallies = {rule.id: Tally() for rule in rules.rules}
    for message, flags in found:
        for flag in flags:
            tallies[flag.rule].flagged[message.urgency] += 1
    yield f"{'rule':38}{'emergent':>9}{'urgent':>8}{'routine':>9}  urgent or worse"
    for rule_id, tally in tallies.items():
        counts = tally.flagged
        yield (
            f"{rule_id:38}{counts[Urgency.EMERGENT]:9}{counts[Urgency.URGENT]:8}"
            f"{counts[Urgency.ROUTINE]:9}  {share(tally.urgent_or_worse, tally.total)}"
        )


def _errors(found: _Found) -> Iterator[str]:
    yield "\nEmergencies without a flag:"
    for message, flags in found:
        if message.urgency is Urgency.EMERGENT and not flags:
            yield f"- {message.id}: {' '.join(message.text.split())}"
    yield "\nRoutine messages with a flag:"
    for message, flags in found:
        if message.urgency is Urgency.ROUTINE and flags:
            why = ", ".join(f"{f.rule} {message.text[f.start : f.end]!r}" for f in flags)
            yield f"- {message.id} [{why}]: {' '.join(message.text.split())}"


def share(part: int, whole: int) -> str:
    """A share with its Wilson 95 % interval (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    if whole == 0:
        return "–"
    low, high = wilson(part, whole)
    return f"{part / whole:.3f} [{low:.3f}, {high:.3f}] ({part}/{whole})"


def wilson(part: int, whole: int) -> tuple[float, float]:
    """Bounds of the Wilson 95 % interval of a share; `whole` is at least 1."""
    p, z2 = part / whole, _Z_95**2
    centre = (p + z2 / (2 * whole)) / (1 + z2 / whole)
    half = _Z_95 * math.sqrt(p * (1 - p) / whole + z2 / (4 * whole**2)) / (1 + z2 / whole)
    return max(0.0, centre - half), min(1.0, centre + half)
