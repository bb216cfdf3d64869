"""The doctor at a real Postgres, real queues and a stand-in LLM."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, text

from shared.contracts import Lane, queue_name
from shared.database import transaction
from shared.queues import sqs_client
from shared.settings import Settings
from tests.services import environment
from workers.doctor import doctor, examine
from workers.doctor.finding import Finding, Health

pytestmark = pytest.mark.integration


def _visit(settings: Settings) -> list[Finding]:
    return list(examine(environment(settings), quick=True))


def _about(found: list[Finding], word: str) -> list[Finding]:
    return [each for each in found if word in each.what]


def test_a_stack_that_is_well_has_no_problem(stack_settings: Settings) -> None:
    settings = replace(stack_settings, llm_model="standin")

    found = _visit(settings)

    assert [each for each in found if each.health is Health.PROBLEM] == []
    assert {each.area for each in found} == {"settings", "database", "clock", "queues", "llm"}
    assert len(_about(found, "deliveries at most")) == 4  # three lanes and the intake queue


def test_what_is_wrong_with_queues_is_told_one_by_one(stack_settings: Settings) -> None:
    sqs = sqs_client(stack_settings)
    prefix = stack_settings.queue_prefix

    def url(name: str) -> str:
        return sqs.get_queue_url(QueueName=name)["QueueUrl"]

    fast, llm = queue_name(prefix, Lane.FAST), queue_name(prefix, Lane.LLM)
    sqs.set_queue_attributes(QueueUrl=url(fast), Attributes={"VisibilityTimeout": "5"})
    sqs.set_queue_attributes(QueueUrl=url(llm), Attributes={"RedrivePolicy": ""})
    sqs.delete_queue(QueueUrl=url(f"{prefix}-intake"))
    sqs.send_message(QueueUrl=url(f"{prefix}-priority-dlq"), MessageBody="{}")

    found = _visit(stack_settings)

    assert [each.health for each in _about(found, f"{fast} shows a message again after 5 s")] == [
        Health.PROBLEM
    ]
    assert [each.health for each in _about(found, f"{llm} has no RedrivePolicy")] == [
        Health.PROBLEM
    ]
    assert [each.health for each in _about(found, f"there is no queue {prefix}-intake")] == [
        Health.PROBLEM
    ]
    assert [each.health for each in _about(found, "1 dead letter(s) behind")] == [Health.WARNING]


def test_an_old_schema_is_a_problem_with_the_command_that_mends_it(
    settings: Settings, engine: Engine
) -> None:
    with transaction(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))

    (found,) = _about(_visit(settings), "schema")

    assert found.health is Health.PROBLEM
    assert "carelane database upgrade" in found.mend


def test_parts_that_are_away_hide_nothing_of_the_others(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = "http://127.0.0.1:9"
    broken = replace(
        settings,
        database_url="postgresql://nobody@127.0.0.1:9/none",
        sqs_endpoint_url=away,
        openai_api_key="k",
        openai_base_url=f"{away}/v1",
    )
    for name, value in environment(broken).items():
        monkeypatch.setenv(name, value)

    done = CliRunner().invoke(doctor, ["--json", "--quick"])

    report = json.loads(done.stdout)
    bad = {each["area"] for each in report["findings"] if each["health"] == "problem"}
    assert done.exit_code == 1
    assert bad == {"database", "queues", "llm"}
    assert all(each["mend"] for each in report["findings"] if each["health"] != "ok")
