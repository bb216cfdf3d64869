"""The taxonomy: categories, urgencies, staff pools; read from taxonomy.yaml or a replacement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from shared.contracts import Urgency
from shared.errors import TaxonomyError


@dataclass(frozen=True, kw_only=True)
class Category:
    """One thing that a message can be about."""

    name: str
    code: str  # what the LLM answers with: one token
    title: str
    pool: str  # the staff pool that works it
    about: str  # the definition, as the LLM and the pages show it


@dataclass(frozen=True, kw_only=True)
class UrgencyLevel:
    """One urgency with its target time."""

    name: Urgency
    code: str
    title: str
    target_minutes: int  # somebody should have read it by then
    about: str


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A group of staff who share a worklist."""

    name: str
    title: str


@dataclass(frozen=True)
class Taxonomy:
    """Categories, urgencies and pools of one organisation."""

    version: str
    categories: tuple[Category, ...]
    urgencies: tuple[UrgencyLevel, ...]
    pools: tuple[Pool, ...]

    @classmethod
    def load(cls, path: Path | None = None) -> Taxonomy:
        """Read `path`, or the packaged taxonomy; raise TaxonomyError naming what is wrong."""
        where = str(path) if path else "the packaged taxonomy.yaml"
        try:
            text = (
                path.read_text(encoding="utf-8")
                if path
                else files("shared").joinpath("taxonomy.yaml").read_text(encoding="utf-8")
            )
            return _parse(yaml.safe_load(text))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise TaxonomyError(f"{where} cannot be read: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise TaxonomyError(f"{where} is not a taxonomy: {error!r}") from error

    @cached_property
    def _by_name(self) -> dict[str, Category]:
        return {category.name: category for category in self.categories}

    @cached_property
    def _by_code(self) -> dict[str, Category]:
        return {category.code: category for category in self.categories}

    @cached_property
    def _levels(self) -> dict[Urgency, UrgencyLevel]:
        return {level.name: level for level in self.urgencies}

    @property
    def category_names(self) -> tuple[str, ...]:
        """In the order of the file, which is the order of a bundle's head."""
        return tuple(category.name for category in self.categories)

    def category(self, name: str) -> Category:
        """The category called `name`; TaxonomyError when there is none."""
        try:
            return self._by_name[name]
        except KeyError:
            known = ", ".join(self._by_name)
            raise TaxonomyError(f"no category {name!r}; this taxonomy has: {known}") from None

    def category_by_code(self, code: str) -> Category | None:
        """The category that the LLM means by `code`, if any."""
        return self._by_code.get(code)

    def urgency_by_code(self, code: str) -> Urgency | None:
        """The urgency that the LLM means by `code`, if any."""
        return next((level.name for level in self.urgencies if level.code == code), None)

    def level(self, urgency: Urgency) -> UrgencyLevel:
        """Title, target time and definition of an urgency."""
        return self._levels[urgency]


def _parse(data: Mapping[str, Any]) -> Taxonomy:
    taxonomy = Taxonomy(
        version=str(data["version"]),
        categories=tuple(Category(**row) for row in data["categories"]),
        urgencies=tuple(
            UrgencyLevel(**{**row, "name": Urgency(row["name"])}) for row in data["urgencies"]
        ),
        pools=tuple(Pool(**row) for row in data["pools"]),
    )
    _refuse_doubles("category name", [c.name for c in taxonomy.categories])
    _refuse_doubles("category code", [c.code for c in taxonomy.categories])
    _refuse_doubles("urgency code", [u.code for u in taxonomy.urgencies])
    if tuple(u.name for u in taxonomy.urgencies) != tuple(Urgency):
        raise ValueError(f"urgencies must be {', '.join(Urgency)}, in this order")
    pools = {pool.name for pool in taxonomy.pools}
    for category in taxonomy.categories:
        if category.pool not in pools:
            raise ValueError(f"category {category.name} goes to pool {category.pool!r}, not listed")
    return taxonomy


def _refuse_doubles(what: str, values: Sequence[str]) -> None:
    doubled = [value for value, count in Counter(values).items() if count > 1]
    if doubled or not values:
        raise ValueError(f"{what} given twice: {doubled}" if doubled else f"no {what}")
