"""The IAM policies allow what the code calls, on our queues, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.session import Session

_ROOT = Path(__file__).parents[2]
_FOLDER = _ROOT / "deploy" / "iam"
_ARN = re.compile(
    r"arn:aws:sqs:\$\{Region\}:\$\{Account\}:"
    r"carelane-(fast|priority|llm|intake)(-dlq)?"
    r"|arn:aws:cloudformation:\$\{Region\}:\$\{Account\}:stack/carelane-queues/\*"
)
#: What kombu's transport calls for a worker; putting back what a killed child had is a send.
_KOMBU = {"ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "SendMessage"}
#: What CloudFormation calls for whoever applies the template.
_TEMPLATE = {
    *("CreateQueue", "DeleteQueue", "SetQueueAttributes"),
    *("TagQueue", "UntagQueue", "ListQueueTags"),
}
#: `attributes_of` in shared/queues.py, which workers, doctor and pages look through.
_LOOKS = {"GetQueueUrl", "GetQueueAttributes"}
#: Like a call to AWS, and none: Jinja's, and a method of another broker's.
_NOT_AWS = {"get_template", "create_queue"}
#: Who runs which of our modules, and what others call for them.
_CALLS: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "relay": (("producer/publisher.py",), set()),
    "fast-worker": ((), _KOMBU | _LOOKS),
    "llm-worker": (("workers/",), _KOMBU | _LOOKS),
    "intake-queue": (("producer/intake_queue.py",), set()),
    "dashboard": (("dashboard/queue_depths.py", "dashboard/dead_letters.py"), _LOOKS),
    "portal": ((), {"GetQueueUrl", "SendMessage"}),
    "operator": (("shared/queues.py",), _TEMPLATE),
}


@cache
def _operations(service: str) -> dict[str, str]:
    """A client's methods, by the action that allows each: a batch is allowed with its single."""
    names = Session().get_service_model(service).operation_names
    return {xform_name(name): name.removesuffix("Batch") for name in names}


def _called(module: str) -> set[str]:
    known = _operations("sqs") | _operations("cloudformation")
    code = (_ROOT / module).read_text()
    names = set(re.findall(r"\.([a-z_]+)\b", code)) - _NOT_AWS
    return {known[name] for name in names if name in known}


def _modules(named: Iterable[str]) -> set[str]:
    """The files, of a folder those that call AWS."""
    files = [file for each in named for file in _files(_ROOT / each)]
    return {each for file in files if _called(each := str(file.relative_to(_ROOT)))}


def _files(place: Path) -> list[Path]:
    return [place] if place.is_file() else list(place.rglob("*.py"))


def _statements(part: str) -> list[dict[str, Any]]:
    policy = json.loads((_FOLDER / f"{part}.json").read_text())
    assert set(policy) == {"Version", "Statement"}
    assert policy["Version"] == "2012-10-17"
    return list(policy["Statement"])


@pytest.mark.parametrize("part", _CALLS)
def test_a_policy_is_well_formed_and_names_our_queues_only(part: str) -> None:
    statements = _statements(part)

    assert len({each["Sid"] for each in statements}) == len(statements)
    for each in statements:
        assert set(each) - {"Condition"} == {"Sid", "Effect", "Action", "Resource"}
        assert each["Effect"] == "Allow"
        assert all(_ARN.fullmatch(arn) for arn in each["Resource"]), each["Sid"]
        for action in each["Action"]:
            service, _, name = action.partition(":")
            assert name in Session().get_service_model(service).operation_names, action


@pytest.mark.parametrize("part", _CALLS)
def test_a_part_may_do_what_its_code_calls_and_nothing_else(part: str) -> None:
    modules, by_others = _CALLS[part]
    called = by_others.union(*(_called(module) for module in _modules(modules)))

    allowed = {action.partition(":")[2] for s in _statements(part) for action in s["Action"]}

    assert allowed == called


def test_every_module_that_calls_sqs_belongs_to_somebody() -> None:
    named = _modules(module for modules, _ in _CALLS.values() for module in modules)

    assert _modules(("producer", "workers", "dashboard", "shared")) == named
    assert {file.stem for file in _FOLDER.glob("*.json")} == set(_CALLS)


def test_only_who_handles_letters_may_receive_what_holds_a_patients_words() -> None:
    readers = {
        part
        for part in _CALLS
        for each in _statements(part)
        if "sqs:ReceiveMessage" in each["Action"] and any("intake" in a for a in each["Resource"])
    }

    assert readers == {"intake-queue", "dashboard"}
