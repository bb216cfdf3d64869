"""What a run of the local stack consists of, decided from settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from honcho.environ import parse_procfile

from localstack.plan import Plan
from localstack.settings import LocalSettings
from shared.errors import SettingsError
from shared.settings import Settings

_PROCFILE = Path(__file__).parents[2] / "Procfile"


def _plan(*, samples_done: bool = False, **env: str) -> tuple[Plan, LocalSettings]:
    settings = LocalSettings.from_env(env)
    return Plan.of(settings, samples_done=samples_done), settings


def _names(plan: Plan) -> set[str]:
    return set(plan.processes(parse_procfile(_PROCFILE.read_text()).processes))


def test_without_settings_everything_is_local() -> None:
    plan, _ = _plan()

    assert _names(plan) == {
        *("postgres", "sqs", "standin", "intake", "dashboard"),
        *("relay", "webhooks", "intake-queue", "sweeper", "fast", "llm", "samples"),
    }


@pytest.mark.parametrize(
    ("name", "value", "left_out"),
    [
        ("CARELANE_DATABASE_URL", "postgresql://db/carelane", {"postgres"}),
        ("CARELANE_SQS_ENDPOINT_URL", "http://elsewhere:9324", {"sqs"}),
        ("CARELANE_BROKER_URL", "amqp://elsewhere", {"sqs", "intake-queue"}),
        ("CARELANE_LOCAL_SQS", "0", {"sqs"}),
        ("OPENAI_API_KEY", "sk-real", {"standin"}),
        ("OPENAI_BASE_URL", "http://elsewhere/v1", {"standin"}),
        ("CARELANE_SAMPLES", "never", {"samples"}),
    ],
)
def test_what_is_set_to_be_elsewhere_is_not_started(
    name: str, value: str, left_out: set[str]
) -> None:
    everything, _ = _plan()

    plan, _ = _plan(**{name: value})

    assert _names(everything) - _names(plan) == left_out


def test_samples_come_once_unless_asked_for() -> None:
    first, _ = _plan()
    second, _ = _plan(samples_done=True)
    asked, _ = _plan(samples_done=True, CARELANE_SAMPLES="always")

    assert (first.samples, second.samples, asked.samples) == (True, False, True)


def test_an_unknown_word_for_samples_is_refused() -> None:
    with pytest.raises(SettingsError, match="CARELANE_SAMPLES"):
        _plan(CARELANE_SAMPLES="sometimes")


def test_the_stand_in_is_said_to_be_simulated_and_a_real_llm_is_not() -> None:
    standin, standin_settings = _plan()
    real, real_settings = _plan(OPENAI_API_KEY="sk-real")

    simulated = standin.environment(standin_settings, {}, "postgresql:///x")
    not_simulated = real.environment(
        real_settings, {"OPENAI_API_KEY": "sk-real"}, "postgresql:///x"
    )

    assert Settings.from_env(simulated).llm_simulated
    assert simulated["OPENAI_BASE_URL"] == "http://127.0.0.1:8002/v1"
    assert not Settings.from_env(not_simulated).llm_simulated
    assert not_simulated["OPENAI_API_KEY"] == "sk-real"


def test_a_moved_port_moves_the_addresses_too() -> None:
    plan, settings = _plan(CARELANE_PORT_INTAKE="9000", CARELANE_PORT_SQS="9566")

    environment = plan.environment(settings, {}, "postgresql:///x")

    assert environment["CARELANE_INTAKE_URL"] == "http://127.0.0.1:9000"
    assert environment["CARELANE_SQS_ENDPOINT_URL"] == "http://127.0.0.1:9566"


def test_a_developers_own_aws_keys_do_not_reach_the_local_queues() -> None:
    plan, settings = _plan()

    environment = plan.environment(settings, {"AWS_ACCESS_KEY_ID": "AKIAREAL"}, "postgresql:///x")

    assert environment["AWS_ACCESS_KEY_ID"] == "local"
