"""`carelane model teach`: label unlabelled messages with an LLM; agreement is kept."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import click

from shared.settings import Settings
from training.commands.options import load_taxonomy, taxonomy_option
from training.corpus import read
from training.progress import bar
from training.teach import Mask, TeachOptions, openai_asker, teach


@click.command("teach")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="JSONL of labelled messages, for `carelane model distil --more`.",
)
@click.option("--votes", type=int, default=TeachOptions.votes, show_default=True)
@click.option(
    "--agreement",
    type=float,
    default=TeachOptions.agreement,
    show_default=True,
    help="Least share of the votes that must agree.",
)
@click.option("--llm", "llm_model", help="Model name. Default: CARELANE_LLM_MODEL.")
@click.option(
    "--synthetic",
    is_flag=True,
    help="The messages are invented: send them without de-identification.",
)
@taxonomy_option
def command(
    file: Path,
    output: Path,
    votes: int,
    agreement: float,
    llm_model: str | None,
    synthetic: bool,
    taxonomy_path: Path | None,
) -> None:
    """Label FILE (JSONL or CSV with id and text) by votes of an OpenAI-compatible server.

    OPENAI_API_KEY and OPENAI_BASE_URL name the server. Texts are de-identified before they
    leave; a text that cannot be vouched for is left out, and counted.
    """
    settings = Settings.from_env(os.environ)
    if not settings.openai_api_key:
        raise click.ClickException("OPENAI_API_KEY is not set: there is no LLM to ask")
    taxonomy = load_taxonomy(taxonomy_path)
    examples, bad = read([file], taxonomy, labelled=False)
    for row in bad:
        click.echo(str(row), err=True)
    ask = openai_asker(
        llm_model or settings.llm_model,
        api_key=settings.openai_api_key,
        base_url=settings.openai_base_url,
        timeout_s=settings.llm_timeout_s,
    )
    options = TeachOptions(votes=votes, agreement=agreement)
    outcomes: Counter[str] = Counter()
    with bar(len(examples), "teach") as shown, output.open("w", encoding="utf-8") as out:
        for taught in teach(examples, taxonomy, ask, _mask(synthetic), options):
            shown.update(1)
            outcomes[taught.reason or "labelled"] += 1
            if taught.reason:
                continue
            e = taught.example
            out.write(json.dumps({
                "id": e.id, "text": e.text, "categories": list(e.categories),
                "urgency": str(e.urgency), "sender": e.sender, "agreement": taught.share,
            }, ensure_ascii=False) + "\n")  # fmt: skip
    click.echo(", ".join(f"{n} {what}" for what, n in outcomes.items()) + f"; {len(bad)} bad rows")
    click.echo(f"written to {output}")


def _mask(synthetic: bool) -> Mask:
    if synthetic:
        return lambda text: text
    from workers.deid import Deidentifier

    deidentifier = Deidentifier.load()
    return lambda text: deidentifier.mask(text).text
