"""What the doctor says about settings, clock, bundles; and how it ends."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from shared.settings import Settings
from workers.doctor import doctor
from workers.doctor.finding import Finding, Health
from workers.doctor.models import check_bundle, check_deid
from workers.doctor.surroundings import check_clock, check_settings

_GOOD = {"CARELANE_HMAC_KEY": "h" * 32, "CARELANE_SECRET_KEY": "s" * 32}


def _settings(**env: str) -> list[Finding]:
    given = {**_GOOD, **env}
    return list(check_settings(Settings.from_env(given), given))


def _bad(found: list[Finding]) -> list[str]:
    return [each.what for each in found if each.health is not Health.OK]


def test_good_settings_are_good(tmp_path: Path) -> None:
    assert _bad(_settings(CARELANE_METRICS_DIR=str(tmp_path))) == []


def test_a_misspelt_variable_is_named_with_what_was_meant() -> None:
    found = [each for each in _settings(CARELANE_LLM_DAILY_BUGDET_USD="5") if "BUGDET" in each.what]

    assert [each.mend for each in found] == ["Did you mean CARELANE_LLM_DAILY_BUDGET_USD?"]


def test_a_short_secret_is_a_problem_and_is_not_shown() -> None:
    found = [each for each in _settings(CARELANE_SECRET_KEY="hunter2") if "SECRET_KEY" in each.what]

    assert [each.health for each in found] == [Health.PROBLEM]
    assert "hunter2" not in str(found)


def test_a_broken_rule_file_is_a_problem(tmp_path: Path) -> None:
    broken = tmp_path / "rules.yaml"
    broken.write_text("rulez: []")

    found = _settings(CARELANE_RED_FLAGS=str(broken))

    assert Health.PROBLEM in {each.health for each in found}


@pytest.mark.parametrize(
    ("skew_s", "health"), [(0.5, Health.OK), (5, Health.WARNING), (120, Health.PROBLEM)]
)
def test_clocks_that_differ_are_told_by_how_much(skew_s: float, health: Health) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)

    (found,) = check_clock({"Postgres": now - timedelta(seconds=skew_s)}, now)

    assert found.health is health
    assert f"{skew_s:.1f} s apart from Postgres" in found.what


def test_the_shipped_bundles_are_well() -> None:
    found = [*check_bundle(Settings()), *check_deid(Settings(deid_budget_ms=10_000))]

    assert [each.health for each in found] == [Health.OK, Health.OK]


def test_a_bundle_that_is_not_there_is_a_problem_with_a_mend(tmp_path: Path) -> None:
    (found,) = check_bundle(Settings(bundle_path=tmp_path))

    assert found.health is Health.PROBLEM
    assert "carelane model build" in found.mend


def test_a_setting_that_cannot_be_read_ends_the_visit_with_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CARELANE_MAX_ATTEMPTS", "many")

    done = CliRunner().invoke(doctor, ["--json"])

    report = json.loads(done.stdout)
    assert done.exit_code == 1
    assert report["problems"] == 1
    assert "CARELANE_MAX_ATTEMPTS" in report["findings"][0]["what"]
