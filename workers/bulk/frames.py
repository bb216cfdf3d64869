"""Labels of a column of texts as a pandas frame, for the engines' own data frames and notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import pandas as pd

from workers.bulk.job import Models
from workers.bulk.labeller import labeller_of
from workers.bulk.source import problem_of

#: Status of a value that holds no message; `status_reason` says why.
REJECTED: Final = "rejected"
#: A label's fields, with Spark's types.
COLUMNS: Final = {
    "status": "string",
    "categories": "array<string>",
    "urgency": "string",
    "tier": "string",
    "provisional": "boolean",
    "category_confidence": "double",
    "urgency_confidence": "double",
    "reasons": "array<string>",
    "status_reason": "string",
    "red_flags": "array<string>",  # the rules' names
    "language": "string",
    "model_version": "string",
    "taxonomy_version": "string",
}
_LISTS: Final = frozenset(name for name, kind in COLUMNS.items() if kind.startswith("array"))


def label_texts(models: Models, texts: Iterable[object]) -> pd.DataFrame:
    """One row of COLUMNS per text, in order. What is ambiguous comes as `needs_review`."""
    return pd.DataFrame([_label(models, text) for text in texts], columns=list(COLUMNS))


def _label(models: Models, text: object) -> dict[str, Any]:
    if not isinstance(text, str):
        return _rejected("no text")
    problem = problem_of(text, models.max_text_chars)
    if problem is not None:
        return _rejected(problem)
    row = labeller_of(models).label(None, text, with_text=False).record.as_dict()
    row["red_flags"] = [flag["rule"] for flag in row["red_flags"]]
    return {
        name: list(row[name]) if "array" in kind else row[name] for name, kind in COLUMNS.items()
    }


def _rejected(problem: str) -> dict[str, Any]:
    empty: dict[str, Any] = {
        name: [] if "array" in kind else None for name, kind in COLUMNS.items()
    }
    return {**empty, "status": REJECTED, "status_reason": problem}
