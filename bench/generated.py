"""Parts of pages that a run writes: what stands between two marks is replaced, nothing else."""

from __future__ import annotations

import re
from pathlib import Path


def put(page: str, name: str, text: str) -> str:
    """The page with `text` between `<!-- NAME: ... -->` and `<!-- end NAME -->`.

    Raises:
        ValueError: the page has no such marks.
    """
    marks = re.compile(rf"(<!-- {name}:[^>]*-->\n).*?(<!-- end {name} -->)", re.DOTALL)
    if not marks.search(page):
        raise ValueError(f"the page has no marks <!-- {name}: ... --> and <!-- end {name} -->")
    return marks.sub(lambda found: f"{found[1]}{text.rstrip()}\n{found[2]}", page)


def put_into(path: Path, name: str, text: str) -> None:
    """Write `text` between the marks in a file."""
    path.write_text(put(path.read_text(), name, text))
