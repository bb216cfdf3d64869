"""Is this data fit to learn from? Counts, doubles, leaks between splits, empty classes."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shared.contracts import Urgency
from shared.taxonomy import Taxonomy
from training.corpus import BadRow, Example

_SHINGLE: Final = 5  # words
_BANDS, _ROWS = 12, 3  # MinHash: likely found from a Jaccard of about 0.5 on
_NEAR: Final = 0.6
_FEWEST: Final = 20  # of a class in training, below which it is hardly learned


@dataclass(frozen=True)
class Check:
    """What was found; `fatal` findings stop a build."""

    counts: dict[str, dict[str, int]]
    bad_rows: list[str]
    fatal: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For the report."""
        return dict(vars(self))


def check(
    splits: Mapping[str, Sequence[Example]], bad: Sequence[BadRow], taxonomy: Taxonomy
) -> Check:
    """Look through all splits together."""
    found = Check(
        counts={name: _counts(rows) for name, rows in splits.items()},
        bad_rows=[str(row) for row in bad],
    )
    for name, rows in splits.items():
        ids = Counter(e.id for e in rows)
        twice = [i for i, n in ids.items() if n > 1]
        if twice:
            found.warnings.append(f"{name}: {len(twice)} ids stand twice, e.g. {twice[0]}")
    train = splits.get("train", ())
    _empty_classes(train, taxonomy, found)
    _doubles(splits, found)
    for one, other, share in near_doubles(splits):
        found.warnings.append(
            f"near double across splits ({share:.0%} of phrases shared): {one} and {other}"
        )
    return found


def _counts(rows: Sequence[Example]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for e in rows:
        counts.update(
            [f"primary {e.primary}", f"urgency {e.urgency}", f"topics {len(e.categories)}"]
        )
    return {"messages": len(rows), **dict(sorted(counts.items()))}


def _empty_classes(train: Sequence[Example], taxonomy: Taxonomy, found: Check) -> None:
    for kind, wanted, seen in (
        ("category", taxonomy.category_names, Counter(e.primary for e in train)),
        ("urgency", tuple(Urgency), Counter(e.urgency for e in train)),
    ):
        for name in wanted:
            n = seen[name]  # type: ignore[index]  # two counters of string-like keys
            if not n:
                found.fatal.append(f"train has no message of {kind} {name}: it cannot be learned")
            elif n < _FEWEST:
                found.warnings.append(f"train has only {n} messages of {kind} {name}")


def normalised(text: str) -> str:
    """Lower-case words alone: what makes two messages the same."""
    return " ".join(re.findall(r"\w+", text.lower()))


def _doubles(splits: Mapping[str, Sequence[Example]], found: Check) -> None:
    seen: dict[str, tuple[str, Example]] = {}
    for name, rows in splits.items():
        for e in rows:
            key = normalised(e.text)
            if key not in seen:
                seen[key] = (name, e)
                continue
            first, earlier = seen[key]
            same = (earlier.categories, earlier.urgency) == (e.categories, e.urgency)
            line = f"the same text twice: {first}/{earlier.id} and {name}/{e.id}"
            if first == name:
                found.warnings.append(line + ("" if same else ", labelled differently"))
            elif len(key.split()) > 4:
                found.fatal.append(f"leak across splits, {line}")
            else:
                found.warnings.append(f"{line} (a few words only)")


def near_doubles(
    splits: Mapping[str, Sequence[Example]],
) -> Iterator[tuple[str, str, float]]:
    """Pairs from different splits that share most of their five-word phrases (MinHash)."""
    shingles = {
        f"{name}/{e.id}": (name, _shingles(e.text)) for name, rows in splits.items() for e in rows
    }
    buckets: defaultdict[tuple[int, tuple[int, ...]], list[str]] = defaultdict(list)
    for key, (_, mine) in shingles.items():
        if len(mine) >= _SHINGLE:
            for band, values in enumerate(_bands(mine)):
                buckets[band, values].append(key)
    told: set[tuple[str, str]] = set()
    for keys in buckets.values():
        for i, one in enumerate(keys):
            for other in keys[i + 1 :]:
                if shingles[one][0] == shingles[other][0] or (one, other) in told:
                    continue
                told.add((one, other))
                a, b = shingles[one][1], shingles[other][1]
                share = len(a & b) / len(a | b)
                if share >= _NEAR:
                    yield one, other, share


def _shingles(text: str) -> frozenset[int]:
    words = normalised(text).split()
    phrases = (" ".join(words[i : i + _SHINGLE]) for i in range(len(words) - _SHINGLE + 1))
    return frozenset(
        int.from_bytes(hashlib.blake2b(p.encode(), digest_size=6).digest(), "big") for p in phrases
    )


_PRIME: Final = (1 << 61) - 1
_FACTORS: Final = tuple(0x9E3779B97F4A7C15 * (i + 1) % _PRIME for i in range(_BANDS * _ROWS))


def _bands(shingles: frozenset[int]) -> list[tuple[int, ...]]:
    minima = [min(s * factor % _PRIME for s in shingles) for factor in _FACTORS]
    return [tuple(minima[b * _ROWS : (b + 1) * _ROWS]) for b in range(_BANDS)]


def as_text(found: Check) -> str:
    """The report that the command prints."""
    names = sorted({key for counts in found.counts.values() for key in counts})
    lines = [f"{'':24}" + "".join(f"{split:>9}" for split in found.counts)]
    lines += [
        f"{name:24}" + "".join(f"{counts.get(name, 0):9}" for counts in found.counts.values())
        for name in names
    ]
    for title, rows in (
        ("Bad rows", found.bad_rows),
        ("Must be mended", found.fatal),
        ("Worth a look", found.warnings),
    ):
        lines += ["", f"{title}: {len(rows)}", *(f"  {row}" for row in rows[:20])]
        if len(rows) > 20:
            lines.append(f"  … and {len(rows) - 20} more (all in the JSON report)")
    return "\n".join(lines)
