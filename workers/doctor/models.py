"""The model bundles and the LLM: loaded, tried on an invented message, asked for its models."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from shared.errors import CarelaneError, LanguageModelError
from shared.settings import Settings
from shared.taxonomy import Taxonomy
from workers.deid.deidentifier import Deidentifier
from workers.doctor.finding import Finding, ok, problem, warning
from workers.fast_tier.tier import FastTier
from workers.llm_tier.client import OpenAIChat

_BUNDLE: Final = "bundle"
_DEID: Final = "de-identification"
_LLM: Final = "llm"
#: Invented. Each of the names and numbers must be gone after masking.
_SAMPLE: Final = (
    "Hello Dr. Margaret Whitfield, this is Samuel Okafor. I have ten days left of my lisinopril, "
    "please send a refill to the pharmacy. My number is 555-0142. Thank you."
)
_IDENTIFIERS: Final = ("Whitfield", "Okafor", "555-0142")


def check_bundle(settings: Settings) -> Iterator[Finding]:
    """The live bundle, and the one in the shadow: hashes, taxonomy, one message."""
    for path, what in ((settings.bundle_path, "live"), (settings.shadow_bundle_path, "shadow")):
        if path is None and what == "shadow":
            continue
        started_s = time.perf_counter()
        try:
            tier = FastTier.load(path, taxonomy=Taxonomy.load(settings.taxonomy_path))
            loaded_s = time.perf_counter()
            tier.score(_SAMPLE)
        except CarelaneError as error:
            yield problem(
                _BUNDLE,
                f"{what}: {error}",
                "Restore the folder from the release, or build it with `carelane model build`.",
            )
            continue
        scored_ms = (time.perf_counter() - loaded_s) * 1000
        yield ok(
            _BUNDLE,
            f"{what} {tier.version}: whole, loaded in {loaded_s - started_s:.1f} s, "
            f"scores a message in {scored_ms:.0f} ms",
        )


def check_deid(settings: Settings) -> Iterator[Finding]:
    """The masking bundle, on a message with names in it."""
    try:
        masker = Deidentifier.load(settings.deid_bundle_path, settings.deid_budget_ms)
        masker.mask(_SAMPLE, 10_000)  # the first run is slower
        started_s = time.perf_counter()
        masked = masker.mask(_SAMPLE, 10_000).text
    except CarelaneError as error:
        yield problem(_DEID, str(error), "Restore the bundle's folder from the release.")
        return
    took_ms = (time.perf_counter() - started_s) * 1000
    left = [each for each in _IDENTIFIERS if each in masked]
    if left:
        yield problem(
            _DEID,
            f"{len(left)} of {len(_IDENTIFIERS)} identifiers of an invented message stay unmasked",
            "Take the shipped bundle (unset CARELANE_DEID_BUNDLE), and see `carelane deid eval`.",
        )
    elif took_ms > settings.deid_budget_ms:
        yield warning(
            _DEID,
            f"masks a message in {took_ms:.0f} ms, over CARELANE_DEID_BUDGET_MS "
            f"({settings.deid_budget_ms:g}): many messages would go to people",
            "Free the core, or raise the budget.",
        )
    else:
        yield ok(_DEID, f"masks an invented message in {took_ms:.0f} ms, nothing left in it")


def check_llm(settings: Settings) -> Iterator[Finding]:
    """Key, address and model name, by asking for the list of models: it costs nothing."""
    if settings.openai_api_key is None:
        yield warning(
            _LLM,
            "OPENAI_API_KEY is not set here: without it ambiguous messages go to people",
            "Set it for fast and LLM workers, with OPENAI_BASE_URL for a server of your own.",
        )
        return
    chat = OpenAIChat.from_settings(settings)
    try:
        models = chat.models()
    except LanguageModelError as error:
        if error.reason == "model_not_found":
            yield warning(_LLM, "the server does not list its models", "Nothing, if calls work.")
        else:
            yield problem(
                _LLM, f"{error.reason}: {error}", "Look at OPENAI_API_KEY and OPENAI_BASE_URL."
            )
        return
    finally:
        chat.close()
    if models and settings.llm_model not in models:
        some = ", ".join(sorted(models)[:5])
        yield warning(
            _LLM,
            f"the server does not list the model {settings.llm_model} (it has {some})",
            "Look at CARELANE_LLM_MODEL; deployments may be callable without being listed.",
        )
        return
    simulated = ", simulated" if settings.llm_simulated else ""
    yield ok(_LLM, f"answers, and has {settings.llm_model}{simulated}")
