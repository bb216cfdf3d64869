"""Texts to token batches, with the tokenizer that the bundle will carry.

Messages longer than the window are trained on their head and tail with the middle left out;
at run time both windows are read (workers.fast_tier.windows).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from training.network import base_folder


def load_tokenizer(base: str) -> Tokenizer:
    """The fast tokenizer of an encoder, without padding or truncation."""
    folder = Path(base_folder(base))
    if (folder / "tokenizer.json").is_file():
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    else:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(base_folder(base)).backend_tokenizer
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def token_ids(tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
    """Ids of each text; head and tail of those longer than `max_tokens`."""
    rows = []
    for encoding in tokenizer.encode_batch(list(texts)):
        ids = encoding.ids
        if len(ids) > max_tokens:
            half = max_tokens // 2
            ids = ids[:half] + ids[len(ids) - (max_tokens - half) :]
        rows.append(ids)
    return rows


def pad(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Ids and mask as tensors, padded to the longest row."""
    longest = max(len(row) for row in rows)
    ids: NDArray[np.int64] = np.zeros((len(rows), longest), dtype=np.int64)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def length_batches(
    lengths: Sequence[int], size: int, rng: random.Random | None = None, pool: int = 40
) -> Iterator[list[int]]:
    """Indices in batches of like length: sorted whole, or within shuffled pools for training."""
    order = list(range(len(lengths)))
    if rng is None:
        order.sort(key=lambda i: lengths[i])
        yield from (order[i : i + size] for i in range(0, len(order), size))
        return
    rng.shuffle(order)
    batches = []
    for start in range(0, len(order), size * pool):
        part = sorted(order[start : start + size * pool], key=lambda i: lengths[i])
        batches += [part[i : i + size] for i in range(0, len(part), size)]
    rng.shuffle(batches)
    yield from batches
