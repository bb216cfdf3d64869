"""What travels between processes and out of them: tasks, log lines, webhook calls."""

from __future__ import annotations

import ast
import io
import json
import logging
import pickle
import socket
from pathlib import Path
from typing import Any

import httpcore
import pytest
import yaml
from kombu import Connection, Exchange, Producer, Queue

from producer.outbound import Caller
from shared.logs import JsonFormatter
from shared.red_flags import rule_file
from shared.settings import Settings
from workers.celery_app import make_app

_ROOT = Path(__file__).parents[2]
_RUNTIME = ("producer", "workers", "dashboard", "shared")
#: Modules that run what they read, or start a shell.
_UNSAFE = {"pickle", "cPickle", "marshal", "shelve", "dill", "joblib", "cloudpickle", "jsonpickle"}


class _Bomb:
    """Unpickling it would make a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self._file,)


@pytest.mark.parametrize("kind", ["fast", "llm"])
def test_a_worker_opens_no_pickle(kind: str, tmp_path: Path) -> None:
    """Through the consumer that Celery's worker reads tasks by."""
    app = make_app(Settings(broker_url="memory://"), kind, {})
    sprung = tmp_path / "sprung"
    queue = app.conf.task_queues[0]
    refused: list[str] = []
    taken: list[object] = []
    with Connection("memory://") as connection:
        producer = Producer(connection.default_channel)
        producer.publish(
            pickle.dumps(_Bomb(sprung)),
            serializer=None,
            content_type="application/x-python-serialize",
            content_encoding="binary",
            exchange=queue.exchange,
            routing_key=queue.routing_key,
            declare=[queue],
        )
        consumer = app.amqp.TaskConsumer(
            connection.default_channel,
            queues=[Queue(queue.name, Exchange(queue.name, type="direct"), queue.routing_key)],
            on_decode_error=lambda _, error: refused.append(type(error).__name__),
            callbacks=[lambda body, _: taken.append(body)],
        )
        with consumer:
            connection.drain_events(timeout=2)

    assert refused == ["ContentDisallowed"]
    assert taken == []
    assert not sprung.exists()


@pytest.mark.parametrize("kind", ["fast", "llm"])
def test_what_a_worker_would_send_is_json_too(kind: str) -> None:
    conf = make_app(Settings(broker_url="memory://"), kind, {}).conf

    assert (conf.task_serializer, list(conf.accept_content)) == ("json", ["json"])
    assert conf.event_serializer == "json"
    assert conf.result_backend is None


def test_the_loader_of_the_red_flag_rules_makes_plain_values_only() -> None:
    kinds = rule_file._Loader.__mro__  # noqa: SLF001  its kind is the point

    assert yaml.constructor.SafeConstructor in kinds
    assert yaml.constructor.FullConstructor not in kinds
    assert yaml.constructor.UnsafeConstructor not in kinds


def test_nothing_at_run_time_reads_a_format_that_runs_code() -> None:
    found = [
        f"{file.relative_to(_ROOT)}: {name}"
        for package in _RUNTIME
        for file in (_ROOT / package).rglob("*.py")
        for name in _dangers(ast.parse(file.read_text()))
    ]

    assert found == []


def _dangers(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [each.name for each in node.names if each.name.split(".")[0] in _UNSAFE]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _UNSAFE:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            found += _dangerous_call(node)
    return found


def _dangerous_call(call: ast.Call) -> list[str]:
    name = ast.unparse(call.func)
    options = {each.arg: ast.unparse(each.value) for each in call.keywords}
    # The red-flag rules' loader is a SafeLoader that also refuses a name given twice.
    unsafe_yaml = name.startswith("yaml.") and (
        "unsafe" in name
        or "full" in name
        or (name == "yaml.load" and options["Loader"] != "_Loader")
    )
    by_name = name in ("eval", "exec", "os.system", "os.popen", "__import__")
    if by_name or unsafe_yaml or "True" in (options.get("shell"), options.get("allow_pickle")):
        return [f"{name}, line {call.lineno}"]
    return []


@pytest.mark.parametrize(
    "hostile",
    [
        'x\n{"level": "INFO", "event": "user ada signed in"}',
        "x\r\nERROR forged",
        "x\u2028forged\u2029forged\x85forged\x0bforged\x0cforged",
        "\x1b[2J\x1b[1;31mforged\x07",
        '", "level": "CRITICAL',
        "\ud800",
    ],
)
def test_words_from_outside_stay_within_their_log_line(hostile: str) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("test"))
    logger = logging.Logger("hostile")  # noqa: LOG001  kept out of the tree
    logger.addHandler(handler)

    logger.warning("signing in as %s", hostile, extra={"who": hostile})

    line = stream.getvalue()
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    assert line.strip().isprintable()
    assert line.isascii()
    read = json.loads(line)
    assert (read["level"], read["who"]) == ("WARNING", hostile)


def test_a_name_that_changes_its_mind_is_called_at_the_address_that_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: public when asked first, the cloud's metadata service from then on."""
    answers = iter(["93.184.215.14"])
    connected: list[str] = []

    def resolve(*_args: Any, **_options: Any) -> list[Any]:
        address = next(answers, "169.254.169.254")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))]

    def connect(_backend: object, host: str, *_args: Any, **_options: Any) -> Any:
        connected.append(host)
        raise httpcore.ConnectError("that is far enough")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    caller = Caller(allow_private=False)

    first = caller.post("https://rebinding.example.org/hook", b"{}", {})
    second = caller.post("https://rebinding.example.org/hook", b"{}", {})

    caller.close()
    assert (first, second) == (("connection", False), ("private_address", False))
    assert connected == ["93.184.215.14"]
