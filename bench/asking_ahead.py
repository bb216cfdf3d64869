"""What asking ahead gains for red-flagged messages that the fast tier passes on, and what it costs.

    .venvs/test/bin/python -m bench.asking_ahead [--idle 40] [--burst 200]

CARELANE_LLM_SPECULATE off and on, each with flagged messages one at a time (idle) and all at once
(a backlog in the priority lane). The LLM is the stand-in with the latency of bench/cascade.py; all
else is real. Latency is accepted -> label, of the messages that the LLM labelled.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from sqlalchemy import text

from bench.cascade import KNOBS, Cascade
from bench.cascade_texts import Case, cases
from bench.ground import common_ground
from shared.red_flags import RedFlags
from training.corpus import SPLITS

_EVERY_S = 0.7

_FOUND = text(
    """
    SELECT count(*) FILTER (WHERE l.tier = 'llm') AS by_llm,
           count(*) FILTER (WHERE l.tier = 'fast') AS by_fast,
           percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (
               ORDER BY extract(epoch FROM m.settled_at - m.received_at)
           ) FILTER (WHERE l.tier = 'llm') AS seconds
    FROM messages m LEFT JOIN labels l ON l.id = m.current_label_id
    """
)
_PAID = text(
    """
    SELECT count(*) AS calls, count(*) FILTER (WHERE outcome = 'speculation_lost') AS lost,
           sum(messages) AS asked, sum(cost_usd) AS cost_usd FROM llm_calls
    """
)


class Flagged(Cascade):
    """The cascade with flagged messages only."""

    def run(self, messages: Sequence[Case], *, every_s: float) -> Mapping[str, Any]:
        """Hand them in, all at once for `every_s` 0; what became of them."""
        with self._engine.begin() as connection:
            connection.execute(text("TRUNCATE messages, llm_calls, label_cache CASCADE"))
        rows = [{"external_id": str(n), "text": case.text} for n, case in enumerate(messages)]
        if every_s:
            for row in rows:
                self._post([row])
                time.sleep(every_s)
        else:
            self._post(rows)
        self._wait(len(rows))
        time.sleep(3.0)  # calls that are being broken off
        with self._engine.connect() as connection:
            found, paid = connection.execute(_FOUND).one(), connection.execute(_PAID).one()
        return {**found._mapping, **paid._mapping}  # noqa: SLF001  SQLAlchemy's public name


@click.command()
@click.option("--idle", default=40, show_default=True, help="Messages, one at a time.")
@click.option("--burst", default=200, show_default=True, help="Messages, all at once.")
def main(idle: int, burst: int) -> None:
    """Print one line for each setting and load."""
    os.environ["STANDIN_CORPUS"] = f"{SPLITS['train']}:{SPLITS['dev']}"
    rules = RedFlags.load()
    flagged = [case for case in cases(4000, repeats=0.0, seed=1) if rules.find(case.text)]
    with (
        tempfile.TemporaryDirectory(prefix="ahead-") as folder,
        common_ground(Path(folder), 0.0) as ground,
    ):
        for ahead in (False, True):
            ground.llm("knobs", {"latency_mean_s": 0.0, "fault_rates": {}})
            with Flagged(ground, f"ahead {ahead}", {"llm_speculate": ahead}) as cascade:
                ground.llm("knobs", {**KNOBS, "fault_rates": {}})
                for name, count, every_s in (("idle", idle, _EVERY_S), ("burst", burst, 0.0)):
                    found = cascade.run(flagged[:count], every_s=every_s)
                    p50_s, p95_s = found["seconds"] or (0.0, 0.0)
                    click.echo(
                        f"{'on' if ahead else 'off'}, {name}: {found['by_fast']} by the fast tier, "
                        f"{found['by_llm']} by the LLM in {p50_s:.2f} s (p95 {p95_s:.2f}); "
                        f"{found['calls']} calls, {found['lost']} of them lost, for "
                        f"{found['asked']} questions, {found['cost_usd']:.4f} USD"
                    )


if __name__ == "__main__":
    main()
