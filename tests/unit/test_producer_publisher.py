"""Task messages are what Celery's workers read; what SQS did not take counts as unsent."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.stub import Stubber
from celery import Celery

from producer.publisher import (
    TASKS_PER_CALL,
    CeleryPublisher,
    Envelopes,
    SqsPublisher,
    make_publisher,
)
from shared.contracts import TASK_FAST, TASK_LLM, Lane
from shared.errors import QueueError, QueueMisconfigured, QueueUnavailable, SettingsError
from shared.ids import new_message_id
from shared.settings import Settings

SETTINGS = Settings(queue_prefix="t", sqs_endpoint_url="http://127.0.0.1:1")


def _ids(count: int) -> list[UUID]:
    return [new_message_id() for _ in range(count)]


def _decoded(body: str) -> tuple[dict[str, Any], Any]:
    message = json.loads(base64.b64decode(body))
    return message, json.loads(base64.b64decode(message["body"]))


def test_an_envelope_names_the_task_and_carries_ids_and_nothing_else() -> None:
    ids = _ids(3)

    message, (args, kwargs, _) = _decoded(Envelopes(SETTINGS).build(Lane.PRIORITY, ids))

    assert message["headers"]["task"] == TASK_FAST
    assert (args, kwargs) == ([], {"ids": [str(each) for each in ids]})
    assert message["properties"]["delivery_info"]["routing_key"] == "t-priority"
    assert message["content-type"] == "application/json"


def test_an_envelope_has_the_shape_that_celerys_own_sending_has() -> None:
    app = Celery("t", broker="memory://", set_as_current=False)
    app.conf.update(task_serializer="json", task_ignore_result=True)
    ours, _ = _decoded(Envelopes(SETTINGS).build(Lane.LLM, _ids(1)))

    with app.connection_for_write() as connection:
        app.send_task(TASK_LLM, kwargs={"ids": []}, queue="t-llm", connection=connection)
        channel: Any = connection.default_channel
        theirs = channel._get("t-llm")  # noqa: SLF001  as it lies in the queue

    assert ours.keys() == theirs.keys()
    assert ours["headers"].keys() == theirs["headers"].keys()
    # kombu notes a null priority only sometimes; all that its consumer reads is there.
    assert theirs["properties"].keys() <= ours["properties"].keys()


def test_ten_full_chunks_fit_into_one_call_with_room_to_spare() -> None:
    bodies = [Envelopes(SETTINGS).build(Lane.FAST, _ids(Lane.FAST.chunk)) for _ in range(10)]

    assert TASKS_PER_CALL == 10
    assert sum(map(len, bodies)) < 256 * 1024 / 2


def _sqs() -> tuple[Any, Stubber]:
    client = boto3.client("sqs", region_name="us-east-1")
    stub = Stubber(client)
    stub.add_response("get_queue_url", {"QueueUrl": "http://x/t-fast"}, {"QueueName": "t-fast"})
    return client, stub


@pytest.mark.parametrize(
    ("answer", "taken"),
    [
        ({"Successful": [0, 1, 2]}, [True, True, True]),
        ({"Successful": [0, 2], "Failed": [1]}, [True, False, True]),
        ({"Failed": [0, 1, 2]}, [False, False, False]),
        ({"Successful": [1]}, [False, True, False]),  # in neither list: unsent
    ],
)
def test_only_what_sqs_names_as_taken_counts_as_sent(
    answer: dict[str, list[int]], taken: list[bool]
) -> None:
    client, stub = _sqs()
    response = {
        "Successful": [
            {"Id": str(n), "MessageId": "m", "MD5OfMessageBody": "d"}
            for n in answer.get("Successful", [])
        ],
        "Failed": [
            {"Id": str(n), "SenderFault": False, "Code": "InternalError"}
            for n in answer.get("Failed", [])
        ],
    }
    stub.add_response("send_message_batch", response)

    with stub:
        sent = SqsPublisher(client, SETTINGS).publish(Lane.FAST, [_ids(2), _ids(1), _ids(1)])

    assert sent == taken


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("AWS.SimpleQueueService.NonExistentQueue", 400, QueueMisconfigured),
        ("ServiceUnavailable", 503, QueueUnavailable),
        ("RequestThrottled", 400, QueueUnavailable),
        ("AccessDenied", 403, QueueError),
    ],
)
def test_sqs_errors_become_ours_with_the_mend(
    code: str, status: int, error: type[QueueError]
) -> None:
    client, stub = _sqs()
    stub.add_client_error("send_message_batch", code, http_status_code=status)

    with stub, pytest.raises(QueueError) as caught:
        SqsPublisher(client, SETTINGS).publish(Lane.FAST, [_ids(1)])

    assert type(caught.value) is error
    assert "127.0.0.1:1" in str(caught.value)


def test_a_time_out_of_sqs_means_unavailable() -> None:
    class Silent:
        def get_queue_url(self, **_: object) -> dict[str, str]:
            return {"QueueUrl": "http://127.0.0.1:1/t-fast"}

        def send_message_batch(self, **_: object) -> dict[str, object]:
            raise ReadTimeoutError(endpoint_url="http://127.0.0.1:1")

    silent: Any = Silent()

    with pytest.raises(QueueUnavailable):
        SqsPublisher(silent, SETTINGS).publish(Lane.FAST, [_ids(1)])


def test_another_broker_gets_celerys_own_sending() -> None:
    settings = replace(SETTINGS, broker_url="memory://")
    publisher = make_publisher(settings)
    assert isinstance(publisher, CeleryPublisher)
    ids = _ids(2)

    sent = publisher.publish(Lane.LLM, [ids[:1], ids[1:]])

    assert sent == [True, True]
    with Celery("reader", broker="memory://", set_as_current=False).connection() as connection:
        queue = connection.SimpleQueue("t-llm")
        bodies = [queue.get(timeout=1).payload for _ in range(2)]
    assert [kwargs for _, kwargs, _ in bodies] == [{"ids": [str(each)]} for each in ids]


def test_a_broker_without_its_python_package_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match="CARELANE_BROKER_URL") as caught:
        make_publisher(replace(SETTINGS, broker_url="mongodb://:hunter2@127.0.0.1:1/0"))

    assert "hunter2" not in str(caught.value)
