"""`carelane bulk` by every engine, against one process of transformers' pipeline.

    python -m bench.bulk                          200,000 messages; more than an hour, idle machine
    python -m bench.bulk --rows 2000 --sample 200 --name quick

Each side runs once, over the same file, as the command that a user would type: rows per second are
rows over the command's whole time, start included. Peak memory is that of all its processes
together (proportional set size). Labels of all engines must be the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click

from bench.measure import calibration_ms, median
from bench.report import machine
from bench.texts import message_texts

_ROOT: Final = Path(__file__).parents[1]
_RESULTS: Final = _ROOT / "bench" / "results"
_TRAINING: Final = _ROOT / ".venvs" / "training" / "bin" / "python"
_SAMPLE_EVERY_S: Final = 0.5
#: Name → options of `carelane bulk`.
SIDES: Final[Mapping[str, tuple[str, ...]]] = {
    "local-1": ("--engine=local", "--processes=1"),
    "local-2": ("--engine=local", "--processes=2"),
    "spark": ("--engine=spark", "--processes=2"),
    "ray": ("--engine=ray", "--processes=2"),
}
#: Name → threads of PyTorch; 0: as it comes.
PIPELINES: Final[Mapping[str, int]] = {"pipeline": 0, "pipeline-1-thread": 1}


@dataclass(frozen=True, kw_only=True)
class Side:
    """What one side did."""

    name: str
    rows: int
    seconds: float  # of the whole command; of the loop alone, for the pipeline
    rows_per_s: float
    cpu_ms_per_row: float
    peak_mb: float
    labels: str | None = None  # hash of all label files
    calibration_ms: list[float] = field(default_factory=list)


class Watch(threading.Thread):
    """Samples a process and all below it: the most memory together, and the CPU time of each."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._over = threading.Event()
        self._cpu_s: dict[int, float] = {}
        self.peak_mb = 0.0

    def run(self) -> None:
        """Sample until `stop`."""
        while not self._over.wait(_SAMPLE_EVERY_S):
            pids = list(_tree(self._pid))
            self.peak_mb = max(self.peak_mb, sum(map(_pss_mb, pids)))
            for pid in pids:
                self._cpu_s[pid] = max(self._cpu_s.get(pid, 0.0), _cpu_s(pid))

    def stop(self) -> tuple[float, float]:
        """Peak megabytes, and CPU seconds up to each process's last sample."""
        self._over.set()
        self.join()
        return self.peak_mb, sum(self._cpu_s.values())


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for each in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = each.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _tree(int(child))


def _pss_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def _cpu_s(pid: int) -> float:
    """Of this process alone: user and system time."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A command that ended well."""

    seconds: float
    cpu_s: float
    peak_mb: float
    output: str


def _measured(command: Sequence[str]) -> Measured:
    started = time.perf_counter()
    environment = {**os.environ, "TRANSFORMERS_VERBOSITY": "error"}
    with subprocess.Popen(
        command, cwd=_ROOT, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        watch = Watch(process.pid)
        watch.start()
        output, _ = process.communicate()
        seconds = time.perf_counter() - started
        peak_mb, cpu_s = watch.stop()
    if process.returncode:
        raise click.ClickException(f"{' '.join(command)} ended with status {process.returncode}")
    return Measured(seconds=seconds, cpu_s=cpu_s, peak_mb=peak_mb, output=output)


def run_bulk(name: str, source: Path, rows: int, folder: Path) -> Side:
    """One engine over the whole file."""
    output = folder / name
    command = (
        *(sys.executable, "-c", "from shared.cli import main; main()", "bulk"),
        *(str(source), str(output), *SIDES[name]),
    )
    before = calibration_ms()
    found = _measured(command)
    digest = hashlib.sha256()
    for path in sorted((output / "labels").iterdir()):
        digest.update(path.read_bytes())
    shutil.rmtree(output)
    return Side(
        name=name,
        rows=rows,
        seconds=found.seconds,
        rows_per_s=rows / found.seconds,
        cpu_ms_per_row=found.cpu_s * 1000 / rows,
        peak_mb=found.peak_mb,
        labels=digest.hexdigest(),
        calibration_ms=before + calibration_ms(),
    )


def run_pipeline(name: str, sample: Path) -> Side:
    """The peer over the sample."""
    command = (str(_TRAINING), "-m", "bench.bulk_pipeline", str(sample), str(PIPELINES[name]))
    before = calibration_ms()
    found = _measured(command)
    told = json.loads(found.output.splitlines()[-1])
    return Side(
        name=name,
        rows=told["rows"],
        seconds=told["seconds"],
        rows_per_s=told["rows"] / told["seconds"],
        cpu_ms_per_row=told["cpu_s"] * 1000 / told["rows"],
        peak_mb=found.peak_mb,
        calibration_ms=before + calibration_ms(),
    )


def write_messages(path: Path, rows: int) -> None:
    """Messages of the corpus as JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        for number, text in enumerate(islice(message_texts(seed=1), rows)):
            file.write(json.dumps({"id": f"m-{number}", "text": text}, ensure_ascii=False) + "\n")


def markdown(result: Mapping[str, Any]) -> str:
    """The result as a page."""
    sides = {each["name"]: each for each in result["sides"]}
    head = (
        f"{result['started_at']}, {result['machine']['cpu']}, {result['machine']['cores']} cores, "
        f"Python {result['machine']['python']}. {result['rows']:,} messages by each engine, "
        f"{result['sample']:,} by the pipeline; load before the run {result['load']:.2f}; a fixed "
        f"loop took {result['loop_ms']:.1f} ms (median)."
    )
    lines = [
        "# A file in bulk",
        "",
        head,
        "",
        "| side | rows a second | seconds | CPU ms a row | peak memory, MB |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {name} | {each['rows_per_s']:.1f} | {each['seconds']:.0f} | "
        f"{each['cpu_ms_per_row']:.2f} | {each['peak_mb']:.0f} |"
        for name, each in sides.items()
    ]
    lines += ["", *(f"{words}: **{value:.2f}**" for words, value in result["ratios"].items())]
    same = "the same bytes" if result["same_labels"] else "NOT the same"
    return "\n".join([*lines, "", f"Labels of all engines: {same}.", ""])


def ratios(sides: Sequence[Side]) -> dict[str, float]:
    """What the sides are to one another, as far as they ran."""
    speed = {side.name: side.rows_per_s for side in sides}
    wanted = (
        ("local, two processes over one", "local-2", "local-1"),
        ("local, two processes over the pipeline", "local-2", "pipeline"),
        ("local, two processes over the pipeline with one thread", "local-2", "pipeline-1-thread"),
        ("local, one process over the pipeline", "local-1", "pipeline"),
        ("Spark over local", "spark", "local-2"),
        ("Ray over local", "ray", "local-2"),
    )
    return {
        words: speed[one] / speed[other]
        for words, one, other in wanted
        if one in speed and other in speed
    }


@click.command()
@click.option("--rows", default=200_000, show_default=True, help="Messages for each engine.")
@click.option("--sample", default=2_000, show_default=True, help="Messages for the pipeline.")
@click.option(
    "--sides",
    default=",".join([*PIPELINES, *SIDES]),
    show_default=True,
    help="Which, in this order.",
)
@click.option("--name", default="bulk", show_default=True, help="Of the files in results/.")
def main(rows: int, sample: int, sides: str, name: str) -> None:
    """Run the sides one after the other and write the result."""
    started_at, load = datetime.now(UTC), os.getloadavg()[0]
    found: list[Side] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_messages(folder / "in.jsonl", rows)
        write_messages(folder / "sample.jsonl", sample)
        for each in sides.split(","):
            if each in PIPELINES:
                side = run_pipeline(each, folder / "sample.jsonl")
            else:
                side = run_bulk(each, folder / "in.jsonl", rows, folder)
            found.append(side)
            click.echo(
                f"{each}: {side.rows_per_s:.1f} rows/s, {side.seconds:.0f} s, "
                f"{side.cpu_ms_per_row:.2f} ms CPU a row, {side.peak_mb:.0f} MB"
            )
    result = {
        "started_at": started_at.isoformat(timespec="seconds"),
        "machine": machine(),
        "load": load,
        "loop_ms": median([ms for side in found for ms in side.calibration_ms]),
        "rows": rows,
        "sample": sample,
        "sides": [asdict(side) for side in found],
        "ratios": ratios(found),
        "same_labels": len({side.labels for side in found if side.labels}) <= 1,
    }
    _RESULTS.mkdir(exist_ok=True)
    (_RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    (_RESULTS / f"{name}.md").write_text(markdown(result))
    click.echo(markdown(result))


if __name__ == "__main__":
    main()
