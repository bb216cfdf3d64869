"""One variant in a process of its own: `python -m training.scorecard_run KIND FILE THREADS`.

Prints one JSON object: load time, resident memory, p50/p95/p99 in milliseconds by shape. The
imports of the other kind are left out, or memory would say nothing.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

#: Shape (batch, tokens) → runs that are timed at most; a few before them warm up.
SHAPES: Final = {(1, 40): 300, (1, 128): 120, (32, 128): 12}
_WARM: Final = 3
#: A slow variant is not timed for longer than this, once it has run a few times.
_SECONDS: Final = 4.0
_FEWEST: Final = 3

Ids = np.ndarray


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    kind, path, threads = arguments[0], Path(arguments[1]), int(arguments[2])
    started = time.perf_counter()
    run = _open(kind, path, threads)
    run(np.full((1, 8), 2023, dtype=np.int64))
    load_s = time.perf_counter() - started
    rng = np.random.default_rng(0)
    latency = {}
    for (batch, tokens), runs in SHAPES.items():
        ids = rng.integers(1996, 20000, (batch, tokens))
        latency[f"{batch}x{tokens}"] = _percentiles(run, ids, runs)
    print(json.dumps({"load_s": load_s, "rss_mb": _rss_mb(), "latency_ms": latency}))


def _percentiles(run: Callable[[Ids], Any], ids: Ids, runs: int) -> list[float]:
    for _ in range(min(_WARM, runs)):
        run(ids)
    times: list[float] = []
    end_s = time.perf_counter() + _SECONDS
    while len(times) < runs and (len(times) < _FEWEST or time.perf_counter() < end_s):
        started = time.perf_counter()
        run(ids)
        times.append((time.perf_counter() - started) * 1e3)
    return [float(np.percentile(times, q)) for q in (50, 95, 99)]


def _open(kind: str, path: Path, threads: int) -> Callable[[Ids], Any]:
    if kind == "onnx":
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return lambda ids: session.run(["logits"], {"input_ids": ids})
    import torch

    torch.set_num_threads(threads)
    if kind == "torchscript":
        module: Any = torch.jit.load(str(path))
    else:
        from training import network
        from training.export import Exported

        loaded, _ = network.load(path)
        module = Exported(loaded, np.zeros((1, loaded.encoder.config.hidden_size))).eval()

    @torch.inference_mode()
    def run(ids: Ids) -> Any:
        return module(torch.from_numpy(ids))

    return run


def _rss_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


if __name__ == "__main__":
    main(sys.argv[1:])
