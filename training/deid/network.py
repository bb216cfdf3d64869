"""The token classifier: the lower layers of MiniLM, with word shapes added to its embeddings."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from transformers import AutoModel

from training.deid.encode import LABELS
from workers.deid.shapes import GAPS, SHAPES


class TokenClassifier(nn.Module):  # type: ignore[misc]  # torch has no types where lint runs
    """Logits for every token: (batch, tokens, labels)."""

    def __init__(self, base: Path, layers: int) -> None:
        super().__init__()
        self.encoder = AutoModel.from_pretrained(
            base, attn_implementation="eager", add_pooling_layer=False
        )
        self.encoder.encoder.layer = self.encoder.encoder.layer[:layers]
        width = self.encoder.config.hidden_size
        self.shapes = nn.Embedding(SHAPES, width)
        self.gaps = nn.Embedding(GAPS, width)
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(width, len(LABELS))
        for table in (self.shapes, self.gaps):
            nn.init.normal_(table.weight, std=0.01)

    def forward(
        self,
        ids: torch.Tensor,
        shapes: torch.Tensor,
        gaps: torch.Tensor,
        attention: torch.Tensor | None = None,
    ) -> torch.Tensor:
        words = self.encoder.embeddings.word_embeddings(ids)
        mixed = words + self.shapes(shapes) + self.gaps(gaps)
        hidden = self.encoder(inputs_embeds=mixed, attention_mask=attention).last_hidden_state
        logits: torch.Tensor = self.head(self.dropout(hidden))
        return logits
