"""What is kept of a message that goes: its masked text and its label, without a way back."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence
from typing import Any, Final, TextIO

from sqlalchemy import RowMapping

from shared.errors import DeidError
from workers.deid import Deidentifier

#: Nobody waits for one row of a file, so a busy machine should refuse none.
_BUDGET_MS: Final = 2_000.0

_LABEL = ("tier", "model_version", "prompt_version", "taxonomy_version")


class Export:
    """Writes JSON lines; a batch is on the disk before its messages are removed."""

    def __init__(self, masker: Deidentifier, output: TextIO) -> None:
        self._masker = masker
        self._output = output

    def __call__(self, rows: Sequence[RowMapping]) -> dict[str, int]:
        """Write a batch; says how many were written, and how many could not be masked."""
        lines = []
        for row in rows:
            try:
                masked = self._masker.mask(row["text"], budget_ms=_BUDGET_MS).text
            except DeidError:
                continue
            lines.append(json.dumps(_line(row, masked), ensure_ascii=False) + "\n")
        # All at once: what ends the batch before has it written not at all, and not a part twice.
        self._output.writelines(lines)
        self._output.flush()
        os.fsync(self._output.fileno())
        return {"exported": len(lines), "left_out": len(rows) - len(lines)}


def _line(row: RowMapping, masked: str) -> dict[str, Any]:
    return {
        # Neither the message's id nor its day: nothing here leads back to a patient.
        "id": f"A-{secrets.token_hex(8)}",
        "month": row["received_at"].strftime("%Y-%m"),
        "text": masked,
        "sender": row["sender"],
        "language": row["language"],
        "categories": list(row["categories"] or ()),
        "urgency": row["urgency"],
        **{name: row[name] for name in _LABEL},
    }
