"""The fast tier: a bundle, loaded once per process after the fork, that judges messages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from shared.red_flags import RedFlag
from shared.taxonomy import Taxonomy
from workers import routing
from workers.fast_tier import language
from workers.fast_tier.blend import BlendedReader
from workers.fast_tier.explain import Attribution, explain
from workers.fast_tier.linear import LinearReader
from workers.fast_tier.manifest import Manifest, check_taxonomy, read_manifest
from workers.fast_tier.runner import Reader, TextReading
from workers.fast_tier.scores import Scores, merge, scores_of
from workers.fast_tier.transformer import TransformerReader

#: The bundle that ships.
SHIPPED: Final = Path(__file__).parents[1] / "models" / "triage-v1"

_WARM_UP: Final = (
    "Refill please.",
    "I have had a cough for two weeks and would like to be seen. " * 2,
    "Could somebody explain the results of my blood test, some of them are marked high. " * 12,
)


class FastTier:
    """A loaded bundle. The same text gets the same scores in any company."""

    def __init__(self, manifest: Manifest, reader: Reader) -> None:
        self._manifest = manifest
        self._reader = reader

    @classmethod
    def load(cls, folder: Path | None = None, *, taxonomy: Taxonomy | None = None) -> FastTier:
        """Check every hash of the bundle, open it and warm it up; BundleError if it is not whole.

        With a taxonomy given, a bundle made for another one is refused.
        """
        folder = folder or SHIPPED
        manifest = read_manifest(folder)
        if taxonomy:
            check_taxonomy(manifest, taxonomy)
        tier = cls(manifest, _open_reader(folder, manifest))
        tier.warm_up()
        return tier

    @property
    def version(self) -> str:
        """Name and version of the bundle, as labels carry it."""
        return self._manifest.policy.model_version

    @property
    def manifest(self) -> Manifest:
        """What the bundle says about itself."""
        return self._manifest

    @property
    def policy(self) -> routing.RoutingPolicy:
        """The thresholds that travel in the bundle."""
        return self._manifest.policy

    def warm_up(self) -> None:
        """A few lengths through the model, so that the first patient does not pay for it."""
        for text in _WARM_UP:
            self.score(text)

    def read(self, text: str) -> TextReading:
        """Raw output, before calibration; for training and for the reports."""
        return self._reader.read(text)

    def score(self, text: str) -> Scores:
        """Calibrated scores of one message, run alone."""
        read = self._reader.read(text)
        return scores_of(
            merge(read.readings),
            self._manifest,
            n_tokens=read.n_tokens,
            truncated=read.truncated,
            language=language.detect(text, read.known_words),
        )

    def explain(self, text: str) -> tuple[Attribution, ...]:
        """The words that carried the decision, by occlusion; dozens of runs, for a page."""
        return explain(text, self.score)

    def judge(self, text: str, red_flags: Sequence[RedFlag]) -> routing.Decision:
        """Score one message and route it."""
        return routing.decide(self.score(text), red_flags, self._manifest.policy)


def _open_reader(folder: Path, manifest: Manifest) -> Reader:
    if manifest.kind == "linear":
        return LinearReader(folder, manifest)
    transformer = TransformerReader.open(folder, manifest)
    if not manifest.linear_weights:
        return transformer
    linear = LinearReader(folder, manifest, model="linear.onnx")
    return BlendedReader(transformer, linear, manifest.linear_weights)
