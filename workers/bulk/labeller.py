"""The models of one process, and what they make of a text: the live worker's own functions.

Engines keep their processes; each loads once (`labeller_of`) and labels part after part.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final, Self

from shared.contracts import Status
from shared.errors import BundleError
from shared.red_flags import RedFlag, RedFlags
from shared.red_flags.rule_file import read_rule_file
from shared.taxonomy import Taxonomy
from workers import verdict
from workers.bulk.job import Models
from workers.bulk.record import Record
from workers.deid.bundle import DEFAULT_BUNDLE, open_bundle
from workers.deid.deidentifier import Deidentifier
from workers.fast_tier.manifest import MANIFEST, check_taxonomy, read_manifest
from workers.fast_tier.tier import SHIPPED, FastTier
from workers.llm_tier.sheet import Sheet, prepare
from workers.patience import SystemClock
from workers.seams import FastLabeller, Masker

logger = logging.getLogger(__name__)

#: Nobody waits for one row of a file, so a busy machine should refuse none.
_MASK_BUDGET_MS: Final = 2_000.0
#: Reason of a message on which the fast tier broke down, as in the live lane.
FAST_FAILED: Final = "fast_failed"
#: In the manifest's versions.
TAXONOMY_NAME: Final = "the taxonomy"


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """One message's record, and what an LLM may be asked where it is ambiguous."""

    record: Record
    sheet: Sheet | None = None


class Labeller:
    """Labels texts one by one; the same text gets the same label in any company."""

    def __init__(self, tier: FastLabeller, rules: RedFlags, masker: Masker | None) -> None:
        self._tier = tier
        self._rules = rules
        self._masker = masker
        self._clock = SystemClock()

    @classmethod
    def load(cls, models: Models) -> Self:
        """Load what `models` names; BundleError where it is not what the first process had."""
        found = versions_of(models)
        if models.fingerprint not in (None, fingerprint(found)):
            raise BundleError(
                f"this process found other models or rules than the run was started with: it has "
                f"{dict(found)}. Install the same Carelane and bundle everywhere."
            )
        taxonomy = Taxonomy.load(_path(models.taxonomy))
        return cls(
            FastTier.load(_path(models.bundle), taxonomy=taxonomy),
            RedFlags.load(_path(models.red_flags)),
            Deidentifier.load(_path(models.deid_bundle)) if models.masks else None,
        )

    def label(self, id_: str | int | None, text: str, *, with_text: bool) -> Labelled:
        """The record of one message."""
        shown = text if with_text else None
        flags: tuple[RedFlag, ...] = ()
        try:
            flags = self._rules.find(text)
            found = verdict.judge(
                text, flags, self._tier, self._clock, llm_on=self._masker is not None
            )
            record = Record.of(id_, found, flags, shown)
            if found.status is not Status.ESCALATED or self._masker is None:
                return Labelled(record=record)
            sheet = prepare(text, self._masker, _MASK_BUDGET_MS)
        except Exception as error:  # noqa: BLE001  one message must not take its neighbours along
            logger.error("fast tier failed on a message", extra={"error": type(error).__name__})
            return Labelled(record=Record.unlabelled(id_, FAST_FAILED, flags, shown))
        if isinstance(sheet, str):
            return Labelled(record=record.for_person(sheet))
        return Labelled(record=record, sheet=sheet)


def fingerprint(versions: Mapping[str, str]) -> str:
    """One short word for all that labels depend on."""
    return hashlib.sha256(json.dumps(versions, sort_keys=True).encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def labeller_of(models: Models) -> Labeller:
    """This process's labeller, loaded once."""
    return Labeller.load(models)


def pinned(models: Models) -> tuple[Models, Mapping[str, str]]:
    """`models` bound to what is there now, and the versions of that."""
    versions = versions_of(models)
    return replace(models, fingerprint=fingerprint(versions)), versions


def versions_of(models: Models) -> Mapping[str, str]:
    """What labels depend on, by name; checks bundles without opening their models.

    A bundle's manifest holds every file's hash; rules and taxonomy are told by their content,
    because whoever changes them may forget the version.
    """
    folder = _path(models.bundle) or SHIPPED
    manifest = read_manifest(folder)
    taxonomy = Taxonomy.load(_path(models.taxonomy))
    check_taxonomy(manifest, taxonomy)
    rules = read_rule_file(_path(models.red_flags))
    rule_file = _path(models.red_flags) or files("shared.red_flags") / "red_flags.yaml"
    versions = {
        "the bundle": f"{manifest.policy.model_version} ({_digest(folder / MANIFEST)})",
        TAXONOMY_NAME: taxonomy_version(models.taxonomy),
        "the red flags": f"{rules.version} ({_digest(rule_file)})",
    }
    if models.masks:
        deid = _path(models.deid_bundle) or DEFAULT_BUNDLE
        content = _digest(deid / MANIFEST)
        versions["de-identification"] = f"{open_bundle(deid).version} ({content})"
    return versions


def taxonomy_version(taxonomy: str | None) -> str:
    """The taxonomy's version and content, in words; `taxonomy`: its file, None for what ships."""
    file = _path(taxonomy) or files("shared") / "taxonomy.yaml"
    return f"{Taxonomy.load(_path(taxonomy)).version} ({_digest(file)})"


def _digest(file: Path | Traversable) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
