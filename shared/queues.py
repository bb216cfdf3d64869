"""The queues: made from deploy/queues.yaml, and checked before anything trusts a message to them.

`carelane queues create` applies the template by CloudFormation, to AWS and to the local stack
alike; it is safe to run again. `carelane queues check` says what is wrong with the queues there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3
import click
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from shared.brokers import Broker, broker_of
from shared.contracts import Lane, dead_letter_queue_name, queue_name
from shared.errors import QueueError, QueueMisconfigured, QueueUnavailable
from shared.settings import Settings

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_sqs import SQSClient

#: Beside the packages in a checkout, and copied there into the images.
TEMPLATE: Final = Path(__file__).resolve().parent.parent / "deploy" / "queues.yaml"
#: A sender is never held up longer than this by a broker that swallows packets; reading outlasts
#: the longest long poll.
CLIENT_CONFIG: Final = Config(
    connect_timeout=2, read_timeout=10, retries={"mode": "standard", "max_attempts": 2}
)
_QUICK: Final = Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 1})
#: States from which CloudFormation can only delete a stack.
_DEAD_STACK = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}
_MISSING_QUEUE = {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}
_REFUSED = {"AccessDenied", "AccessDeniedException", "InvalidClientTokenId", "UnrecognizedClient"}


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """One queue of any kind as SQS describes it."""

    url: str
    visibility_s: int
    retention_s: int
    max_receives: int | None  # None without a dead-letter queue
    encrypted: bool
    waiting: int
    in_flight: int


@dataclass(frozen=True, kw_only=True)
class QueueState:
    """One lane's queue as SQS describes it."""

    lane: Lane
    url: str
    visibility_s: int
    max_receives: int  # deliveries before a message becomes a dead letter
    waiting: int
    in_flight: int
    dead: int


def sqs_client(settings: Settings, config: Config = CLIENT_CONFIG) -> SQSClient:
    """An SQS client for these settings. Make it after any fork."""
    return boto3.client(
        "sqs",
        region_name=settings.aws_region,
        endpoint_url=settings.sqs_endpoint_url,
        config=config,
    )


def quick_client(settings: Settings) -> SQSClient:
    """A client for pages, which wait for no broker: what takes longer is given up."""
    return sqs_client(settings, _QUICK)


def create_queues(settings: Settings, template: Path = TEMPLATE) -> bool:
    """Make the queues, or bring them up to the template; True when something changed.

    Raises:
        QueueUnavailable: CloudFormation cannot be reached.
        QueueError: it refused; the text has its reason.
    """
    cloudformation: CloudFormationClient = boto3.client(
        "cloudformation",
        region_name=settings.aws_region,
        endpoint_url=settings.sqs_endpoint_url,
        config=CLIENT_CONFIG,
    )
    stack = f"{settings.queue_prefix}-queues"
    with translated(settings):
        if _stack_status(cloudformation, stack) in _DEAD_STACK:
            cloudformation.delete_stack(StackName=stack)
            cloudformation.get_waiter("stack_delete_complete").wait(
                StackName=stack, WaiterConfig={"Delay": 2, "MaxAttempts": 150}
            )
        return _apply(cloudformation, stack, template.read_text(), settings.queue_prefix)


def check_queues(settings: Settings) -> tuple[QueueState, ...]:
    """The state of every lane's queue.

    Raises:
        QueueMisconfigured: a queue is missing or has no RedrivePolicy; Celery would lose messages.
        QueueUnavailable: SQS cannot be reached.
    """
    sqs = sqs_client(settings)
    with translated(settings):
        return tuple(_queue_state(sqs, settings, lane) for lane in Lane)


def _apply(cloudformation: CloudFormationClient, stack: str, body: str, prefix: str) -> bool:
    exists = _stack_status(cloudformation, stack) is not None
    action = cloudformation.update_stack if exists else cloudformation.create_stack
    try:
        action(
            StackName=stack,
            TemplateBody=body,
            Parameters=[{"ParameterKey": "QueuePrefix", "ParameterValue": prefix}],
        )
    except ClientError as error:
        if "No updates are to be performed" in str(error):
            return False
        raise
    waiter = cloudformation.get_waiter(
        "stack_update_complete" if exists else "stack_create_complete"
    )
    try:
        waiter.wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 300})
    except WaiterError as error:
        reason = _first_failure(cloudformation, stack)
        raise QueueError(
            f"CloudFormation could not apply the stack {stack}: {reason}. Mend that and run "
            "`carelane queues create` again."
        ) from error
    return True


def _stack_status(cloudformation: CloudFormationClient, stack: str) -> str | None:
    try:
        return cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise


def _first_failure(cloudformation: CloudFormationClient, stack: str) -> str:
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    for event in reversed(events):
        if event.get("ResourceStatus", "").endswith("FAILED"):
            resource = event.get("LogicalResourceId", "?")
            return f"{resource}: {event.get('ResourceStatusReason', 'no reason given')}"
    return "no failed resource in its events"


def attributes_of(sqs: SQSClient, name: str) -> Attributes:
    """What SQS says about one queue; call it within `translated`."""
    url = _queue_url(sqs, name)
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    policy = json.loads(found.get("RedrivePolicy") or "{}")
    return Attributes(
        url=url,
        visibility_s=int(found["VisibilityTimeout"]),
        retention_s=int(found["MessageRetentionPeriod"]),
        max_receives=int(policy["maxReceiveCount"]) if policy.get("deadLetterTargetArn") else None,
        encrypted=found.get("SqsManagedSseEnabled") == "true" or "KmsMasterKeyId" in found,
        waiting=int(found["ApproximateNumberOfMessages"]),
        in_flight=int(found["ApproximateNumberOfMessagesNotVisible"]),
    )


def _queue_state(sqs: SQSClient, settings: Settings, lane: Lane) -> QueueState:
    name = queue_name(settings.queue_prefix, lane)
    found = attributes_of(sqs, name)
    if found.max_receives is None:
        raise QueueMisconfigured(
            f"the queue {name} has no RedrivePolicy: Celery would delete a message whose task "
            "failed. `carelane queues create` sets it."
        )
    dead = attributes_of(sqs, dead_letter_queue_name(settings.queue_prefix, lane))
    return QueueState(
        lane=lane,
        url=found.url,
        visibility_s=found.visibility_s,
        max_receives=found.max_receives,
        waiting=found.waiting,
        in_flight=found.in_flight,
        dead=dead.waiting,
    )


def _queue_url(sqs: SQSClient, name: str) -> str:
    try:
        return sqs.get_queue_url(QueueName=name)["QueueUrl"]
    except ClientError as error:
        if error.response["Error"]["Code"] in _MISSING_QUEUE:
            raise QueueMisconfigured(
                f"there is no queue {name}. `carelane queues create` makes it; if it should be "
                "there, look at CARELANE_QUEUE_PREFIX, CARELANE_AWS_REGION and "
                "CARELANE_SQS_ENDPOINT_URL."
            ) from error
        raise


@contextmanager
def translated(settings: Settings) -> Iterator[None]:
    """Turn botocore's errors into ours."""
    where = settings.sqs_endpoint_url or f"AWS {settings.aws_region}"
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _REFUSED:
            raise QueueError(
                f"{where} refused our credentials ({code}): {error}. The usual AWS variables or "
                "a role give them."
            ) from error
        raise QueueError(f"{where} refused ({code}): {error}") from error
    except BotoCoreError as error:
        raise QueueUnavailable(f"{where} cannot be used now: {error}") from error


@click.group()
def queues() -> None:
    """The queues: make them, and check what is there."""


@queues.command("create")
def create_command() -> None:
    """Make the queues of deploy/queues.yaml or bring them up to it; safe to run again.

    With CARELANE_BROKER_URL: make that broker's.
    """
    settings = Settings.from_env(os.environ)
    if broker_of(settings) is not Broker.SQS:
        from shared import broker_queues

        broker_queues.create(settings)
        click.echo(f"queues {settings.queue_prefix}-*: as they should be on {broker_of(settings)}")
        return
    changed = create_queues(settings)
    done = "created or updated" if changed else "already as they should be"
    click.echo(f"queues {settings.queue_prefix}-*: {done}")


@queues.command("check")
def check_command() -> None:
    """Say how each queue stands; fails when one is missing or would lose messages."""
    settings = Settings.from_env(os.environ)
    if broker_of(settings) is not Broker.SQS:
        from shared import broker_queues

        for line in broker_queues.in_words(broker_queues.check(settings)):
            click.echo(line)
        return
    for state in check_queues(settings):
        click.echo(
            f"{state.lane.value:9} waiting {state.waiting}, in flight {state.in_flight}, "
            f"dead {state.dead}; visibility {state.visibility_s} s, "
            f"{state.max_receives} deliveries at most"
        )
