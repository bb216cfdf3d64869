"""Two word lists: clinical words that look like names, and names that look like nothing else."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def clinical_words() -> frozenset[str]:
    """The allow-list: lower-case words of medicine that are also, or look like, names."""
    text = Path(__file__).with_name("clinical_words.txt").read_text(encoding="utf-8")
    lines = (line.split("#", 1)[0] for line in text.splitlines())
    return frozenset(word for line in lines for word in line.split())


@cache
def known_names() -> dict[str, str]:
    """Words that are names and hardly anything else, lower case, each with its type."""
    names: dict[str, str] = {}
    kind = ""
    text = Path(__file__).with_name("known_names.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("["):
            kind = line.strip("[]")
        elif not line.startswith("#"):
            names.update(dict.fromkeys(line.split(), kind))
    return names
