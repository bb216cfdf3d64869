"""deploy/queues.yaml by CloudFormation, and the check that refuses queues that lose messages."""

from __future__ import annotations

from dataclasses import replace

import pytest
from click.testing import CliRunner

from shared.contracts import Lane, dead_letter_queue_name, queue_name
from shared.errors import QueueMisconfigured, QueueUnavailable
from shared.queues import check_queues, create_queues, queues, sqs_client
from shared.settings import Settings
from tests.services import LocalStackForTests, environment, eventually

pytestmark = pytest.mark.integration


def test_every_lane_has_its_queue_with_a_dead_letter_queue(queue_settings: Settings) -> None:
    states = check_queues(queue_settings)

    assert [state.lane for state in states] == list(Lane)
    assert all(state.max_receives >= 10 for state in states)
    assert all((state.waiting, state.in_flight, state.dead) == (0, 0, 0) for state in states)


def test_a_queue_shows_nothing_again_while_a_lease_may_run(queue_settings: Settings) -> None:
    by_lane = {state.lane: state.visibility_s for state in check_queues(queue_settings)}

    assert by_lane[Lane.FAST] > queue_settings.fast_lease_s
    assert by_lane[Lane.PRIORITY] > queue_settings.fast_lease_s
    assert by_lane[Lane.LLM] > queue_settings.llm_lease_s


def test_creating_again_changes_nothing(queue_settings: Settings) -> None:
    sqs = sqs_client(queue_settings)
    url = check_queues(queue_settings)[0].url
    sqs.send_message(QueueUrl=url, MessageBody="kept")

    assert create_queues(queue_settings) is False
    assert check_queues(queue_settings)[0].waiting == 1


def test_what_is_received_too_often_lands_in_the_dead_letter_queue(
    queue_settings: Settings,
) -> None:
    sqs = sqs_client(queue_settings)
    state = check_queues(queue_settings)[0]
    sqs.send_message(QueueUrl=state.url, MessageBody="poison")

    def dead() -> int:
        sqs.receive_message(QueueUrl=state.url, VisibilityTimeout=0)
        return check_queues(queue_settings)[0].dead

    assert eventually(dead, what="a dead letter") == 1
    name = dead_letter_queue_name(queue_settings.queue_prefix, Lane.FAST)
    letters = sqs.receive_message(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"])
    assert letters["Messages"][0]["Body"] == "poison"


def test_after_a_broker_lost_everything_the_template_is_simply_applied_again(
    queue_settings: Settings, localstack: LocalStackForTests
) -> None:
    localstack.stop()
    localstack.start()
    with pytest.raises(QueueMisconfigured, match="carelane queues create"):
        check_queues(queue_settings)

    assert create_queues(queue_settings) is True
    assert len(check_queues(queue_settings)) == len(Lane)


def test_a_queue_without_redrive_policy_is_refused(
    settings: Settings, localstack: LocalStackForTests
) -> None:
    bare = replace(settings, queue_prefix="bare", sqs_endpoint_url=localstack.endpoint)
    sqs_client(bare).create_queue(QueueName=queue_name("bare", Lane.FAST))

    with pytest.raises(QueueMisconfigured, match="bare-fast has no RedrivePolicy"):
        check_queues(bare)


def test_an_sqs_that_is_away_is_named_with_its_address() -> None:
    away = Settings(sqs_endpoint_url="http://127.0.0.1:9")

    with pytest.raises(QueueUnavailable, match=r"http://127\.0\.0\.1:9 cannot be used now"):
        check_queues(away)
    with pytest.raises(QueueUnavailable, match=r"http://127\.0\.0\.1:9 cannot be used now"):
        create_queues(away)


def test_the_commands_say_how_things_stand(queue_settings: Settings) -> None:
    env = environment(queue_settings)

    made = CliRunner().invoke(queues, ["create"], env=env)
    checked = CliRunner().invoke(queues, ["check"], env=env)

    assert "already as they should be" in made.output
    assert [line.split()[0] for line in checked.output.splitlines()] == [
        lane.value for lane in Lane
    ]
