"""docs/local-stack.md says what there is to set, and nothing else."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from localstack.settings import LocalSettings
from localstack.standin.knobs import Knobs
from shared.settings import Settings

_TEXT = (Path(__file__).parents[2] / "docs" / "local-stack.md").read_text("utf-8")


def _rows(heading: str) -> dict[str, tuple[str, str]]:
    section = _TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    return {name: (default, about) for name, default, about in rows}


def test_every_setting_of_the_local_stack_is_there_with_its_default_and_meaning() -> None:
    common = {each.name for each in fields(Settings)}
    own = [each for each in fields(LocalSettings) if each.name not in common]

    assert _rows("Settings") == {
        each.metadata["env"]: (
            str(int(each.default) if isinstance(each.default, bool) else each.default),
            each.metadata["about"],
        )
        for each in own
    }


def test_every_knob_of_the_stand_in_is_there() -> None:
    assert set(_rows("The stand-in LLM")) == {each.name for each in fields(Knobs)}
