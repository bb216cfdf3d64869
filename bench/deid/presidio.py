"""presidio-analyzer as shipped, on a spaCy pipeline without a trained model."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from workers.deid.spans import Span

# Presidio's entities in Carelane's types; what is not here (nationalities, URLs' parts and the
# like) is not compared.
TYPES = {
    "PERSON": "NAME",
    "LOCATION": "ADDRESS",
    "ORGANIZATION": "ORG",
    "DATE_TIME": "DATE",
    "PHONE_NUMBER": "PHONE",
    "EMAIL_ADDRESS": "EMAIL",
    "CREDIT_CARD": "ID",
    "IBAN_CODE": "ID",
    "IP_ADDRESS": "ID",
    "MAC_ADDRESS": "ID",
    "MEDICAL_LICENSE": "ID",
    "US_BANK_NUMBER": "ID",
    "US_DRIVER_LICENSE": "ID",
    "US_ITIN": "ID",
    "US_MBI": "ID",
    "US_NPI": "ID",
    "US_PASSPORT": "ID",
    "US_SSN": "ID",
    "UK_NHS": "ID",
    "CRYPTO": "ID",
    "URL": "ID",
}


def build(folder: Path, *, networks: bool = False) -> Any:
    """An AnalyzerEngine; `folder` takes the untrained English pipeline that it wants on disk.

    With `networks` the pipeline has a parser and an entity recogniser of spaCy's default shape
    with random weights: they tell what such a pipeline costs, and nothing of what it finds.
    """
    import spacy
    import tldextract.tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    # Its e-mail recogniser asks the network for the list of domains; the one it ships will do.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())
    pipeline = folder / ("en_networks" if networks else "en_untrained")
    nlp = spacy.blank("en")
    if networks:
        _add_networks(nlp)
    nlp.to_disk(pipeline)
    provider = NlpEngineProvider(
        nlp_configuration={
            "nlp_engine_name": "spacy",
            "models": [{"lang_code": "en", "model_name": str(pipeline)}],
        }
    )
    return AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])


def _add_networks(nlp: Any) -> None:
    from spacy.training import Example

    for part in ("parser", "ner"):
        nlp.add_pipe(part)
    words = ["Anna", "Smith", "called", "yesterday"]
    labels = {"heads": [1, 2, 2, 2], "deps": ["nmod", "nsubj", "ROOT", "advmod"]}
    labels |= {"entities": ["B-PERSON", "L-PERSON", "O", "U-DATE"]}
    example = Example.from_dict(_document(nlp, words), labels)
    nlp.initialize(lambda: [example])


def _document(nlp: Any, words: list[str]) -> Any:
    from spacy.tokens import Doc

    return Doc(nlp.vocab, words=words)


def spans(engine: Any, text: str) -> list[Span]:
    """What Presidio finds, at its default threshold."""
    found = engine.analyze(text=text, language="en")
    return [
        Span(start=r.start, end=r.end, type=TYPES[r.entity_type], score=r.score, placeholder="")
        for r in sorted(found, key=lambda r: (r.start, -r.end))
        if r.entity_type in TYPES
    ]
