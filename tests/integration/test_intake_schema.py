"""The intake holds to its OpenAPI document: schemathesis calls it as the document says, and not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from schemathesis.specs.openapi.checks import positive_data_acceptance
from sqlalchemy import Engine

from producer.openapi import document
from shared.settings import Settings
from tests.integration.intake_parts import listening, new_key, open_app

pytestmark = pytest.mark.integration

_SCHEMA = schemathesis.openapi.from_dict(document("http://127.0.0.1:8000"))


@pytest.fixture
def address(settings: Settings) -> Iterator[str]:
    with open_app(settings) as app, listening(app) as made:
        yield made


@_SCHEMA.parametrize()
@hypothesis_settings(
    max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
def test_the_intake_holds_to_its_document(
    case: schemathesis.Case, address: str, engine: Engine, settings: Settings
) -> None:
    key = new_key(engine, settings)

    case.call_and_validate(
        address,
        headers={"Authorization": f"Bearer {key}"},
        # A text must have something to read in it and no NUL, which no schema says.
        excluded_checks=[positive_data_acceptance],
    )
