"""Carelane against its peer, end to end, in one run: `make bench`. See README.md.

In every round each side is started on its own (never two at once), takes a trickle and then a
burst, and is stopped; the next round goes through the sides the other way round. All get the same
texts, the same Postgres, the same LocalStack and the same number of labelling processes. Carelane
runs twice: whole, and with its LLM workers elsewhere, which is what the peer can be compared with,
because it has no second tier.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click
from tqdm import tqdm

from bench.carelane_side import CarelaneSide
from bench.ground import Ground, common_ground
from bench.peer_side import PeerSide
from bench.phases import Burst, Trickle, burst, trickle
from bench.report import machine, markdown, summary
from bench.sides import Side
from bench.texts import message_texts

_RESULTS: Final = Path(__file__).parent / "results"


@dataclass(frozen=True, kw_only=True)
class Options:
    """One run."""

    rounds: int
    workers: int  # fast worker processes of Carelane, worker processes of the peer
    rate_per_s: float
    trickle_s: float
    burst: int
    seed: int
    llm_latency_s: float  # mean of the stand-in's log-normal answer time
    as_it_comes: bool  # the peer with Celery's polling interval and PyTorch's threads untouched


@dataclass(frozen=True, kw_only=True)
class Round:
    """One side's turn."""

    side: str
    start_s: float
    trickle: Trickle
    burst: Burst

    def numbers(self) -> dict[str, Any]:
        """Everything but each message's own times."""
        return {
            "side": self.side,
            "start_s": self.start_s,
            "trickle": self.trickle.summary(),
            "burst": self.burst.summary(),
        }


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", default=3, show_default=True, help="Turns of each side.")
@click.option("--workers", default=2, show_default=True, help="Labelling processes of each side.")
@click.option(
    "--rate", "rate_per_s", default=2.0, show_default=True, help="Messages/s of the trickle."
)
@click.option("--trickle", "trickle_s", default=60.0, show_default=True, help="Its length in s.")
@click.option("--burst", default=2000, show_default=True, help="Messages of the burst.")
@click.option("--seed", default=1, show_default=True, help="Order of the texts.")
@click.option(
    "--llm-latency",
    "llm_latency_s",
    default=2.3,
    show_default=True,
    help="Mean answer time of the stand-in LLM in s.",
)
@click.option(
    "--as-it-comes", is_flag=True, help="Leave the peer's polling and threads at their defaults."
)
@click.option("--name", default="end_to_end", show_default=True, help="Name of the result files.")
def main(name: str, **values: Any) -> None:
    """Run the benchmark; writes bench/results/NAME.json and NAME.md."""
    options = Options(**values)
    started = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="carelane-bench-") as folder, ExitStack() as stack:
        ground = stack.enter_context(common_ground(Path(folder), options.llm_latency_s))
        rounds = list(_rounds(options, ground))
    result = {
        "started_at": started.isoformat(timespec="seconds"),
        "options": asdict(options),
        "machine": machine(),
        "summary": summary(rounds),
        "rounds": [each.numbers() for each in rounds],
    }
    _RESULTS.mkdir(exist_ok=True)
    (_RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    text = markdown(result)
    (_RESULTS / f"{name}.md").write_text(text)
    click.echo(text)


def _rounds(options: Options, ground: Ground) -> Iterator[Round]:
    texts = message_texts(options.seed)
    trickled = round(options.rate_per_s * options.trickle_s)
    with tqdm(total=3 * options.rounds, unit="turn") as progress:
        for number in range(options.rounds):
            few = list(islice(texts, trickled))
            many = list(islice(texts, options.burst))
            sides = _sides(options, ground)
            # The other way round in the next round: what drifts, drifts for all.
            for side in sides if number % 2 == 0 else reversed(sides):
                progress.set_description(f"round {number + 1}, {side.name}")
                yield _turn(side, few, many, options.rate_per_s, seed=options.seed + number)
                progress.update()


def _sides(options: Options, ground: Ground) -> list[Side]:
    return [
        CarelaneSide(ground, options.workers),
        CarelaneSide(ground, options.workers, llm_here=False),
        PeerSide(ground, options.workers, as_it_comes=options.as_it_comes),
    ]


def _turn(side: Side, few: list[str], many: list[str], rate_per_s: float, seed: int) -> Round:
    begun = datetime.now(UTC)
    try:
        side.start()
        start_s = (datetime.now(UTC) - begun).total_seconds()
        return Round(
            side=side.name,
            start_s=start_s,
            trickle=trickle(side, few, rate_per_s, seed),
            burst=burst(side, many),
        )
    finally:
        side.stop()


if __name__ == "__main__":
    main()
