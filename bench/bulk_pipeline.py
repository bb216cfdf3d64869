"""The peer of bench/bulk.py: one process of transformers' pipeline over a file of messages.

    python -m bench.bulk_pipeline FILE THREADS      prints one line of JSON

The same MiniLM-L6, one head for categories and urgency with random weights: the answers are
worthless, and take as long as a trained head's. Loading is left out of its time.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from bench.peer import MAX_TOKENS
from training.network import base_folder

_HEADS = 13
_WARM_UP = 20


def main() -> None:
    """Classify the file's texts one by one, as a loop over a file would."""
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").split("\n")
    texts = [json.loads(line)["text"] for line in lines if line]
    if threads := int(sys.argv[2]):
        torch.set_num_threads(threads)
    folder = base_folder("minilm-l6")
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=_HEADS, problem_type="multi_label_classification"
    )
    classify: Any = pipeline(
        "text-classification",
        model=model,
        tokenizer=AutoTokenizer.from_pretrained(folder),
        top_k=None,
    )
    for text in texts[:_WARM_UP]:
        classify([text], truncation=True, max_length=MAX_TOKENS)
    started, used = time.perf_counter(), time.process_time()
    for text in texts:
        classify([text], truncation=True, max_length=MAX_TOKENS)
    seconds = time.perf_counter() - started
    cpu_s = time.process_time() - used
    print(json.dumps({"rows": len(texts), "seconds": seconds, "cpu_s": cpu_s}))


if __name__ == "__main__":
    main()
