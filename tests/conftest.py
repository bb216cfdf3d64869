"""What every test gets: a clean environment, and the services of tests/services."""

from __future__ import annotations

import os

import pytest

pytest_plugins = ["tests.services", "tests.dashboard_pages"]


def pytest_configure(config: pytest.Config) -> None:
    for name in list(os.environ):
        if name.startswith(("CARELANE_", "OPENAI_", "AZURE_OPENAI_", "AWS_")):
            del os.environ[name]
    # LocalStack takes any; without a pair boto3 would go looking for a role.
    os.environ["AWS_ACCESS_KEY_ID"] = "test"
    os.environ["AWS_SECRET_ACCESS_KEY"] = "test"
