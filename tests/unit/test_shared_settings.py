from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner

from shared.errors import SettingsError
from shared.sealed_text import new_key
from shared.settings import Settings
from shared.settings_cli import as_markdown
from shared.settings_cli import settings as settings_command

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


def test_docs_list_every_setting_with_its_default_and_meaning() -> None:
    assert DOCS.read_text(encoding="utf-8") == as_markdown(), (
        "docs/settings.md is out of date: carelane settings --markdown > docs/settings.md"
    )


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_env({}) == Settings()


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.from_env({"CARELANE_MAX_ATTEMPTS": "  "}).max_attempts == 5


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CARELANE_MAX_ATTEMPTS", "0"),
        ("CARELANE_MAX_ATTEMPTS", "many"),
        ("CARELANE_LLM_TIMEOUT_S", "nan"),
        ("CARELANE_LLM_TIMEOUT_S", "-1"),
        ("CARELANE_DEMO_PORTAL", "perhaps"),
    ],
)
def test_a_value_that_cannot_be_read_is_refused_by_the_variables_name(
    variable: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=variable):
        Settings.from_env({variable: value})


def test_a_missing_secret_is_named_when_it_is_needed() -> None:
    with pytest.raises(SettingsError, match="CARELANE_SECRET_KEY is not set"):
        Settings().require("secret_key")


def test_secrets_have_no_default() -> None:
    assert [f.name for f in fields(Settings) if f.metadata["secret"] and f.default] == []


def test_neither_repr_nor_the_command_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    env = {f.metadata["env"]: "do-not-show-me" for f in fields(Settings) if f.metadata["secret"]}
    env["CARELANE_TEXT_KEYS"] = new_key("do-not-show-me")
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    shown = CliRunner().invoke(settings_command).output

    assert "(set, hidden)" in shown
    assert "do-not-show-me" not in shown
    assert "do-not-show-me" not in repr(Settings.from_env(env))
