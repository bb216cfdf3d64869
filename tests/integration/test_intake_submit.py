"""`carelane submit` and the Python client against an intake that really listens."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from producer.client import CarelaneClient, NewMessage
from shared.contracts import Status
from shared.settings import Settings
from tests.integration.intake_parts import listening, new_key, open_app, rows
from tests.services import environment

pytestmark = pytest.mark.integration

_CARELANE = Path(sys.executable).with_name("carelane")


@pytest.fixture
def intake(settings: Settings, engine: Engine) -> Iterator[Settings]:
    """Settings with the address of a listening intake and a key for it."""
    with (
        open_app(replace(settings, max_text_chars=1_000)) as app,
        listening(app) as address,
    ):
        yield replace(settings, intake_url=address, api_key=new_key(engine, settings))


def _submit(
    intake: Settings, *arguments: str, stdin: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [_CARELANE, "submit", *arguments],
        env=environment(intake),
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_a_file_with_good_and_bad_rows_goes_in_with_a_word_on_each_bad_one(
    intake: Settings, engine: Engine, tmp_path: Path
) -> None:
    path = tmp_path / "messages.csv"
    path.write_bytes(
        b'\xef\xbb\xbfexternal_id,text,sender\r\n'
        b'a,"first\r\nof two lines",patient\r\n'
        b"b,,patient\r\n"
        b"c,caf\xe9,patient\r\n"
        b"d,fine,dog\r\n"
        b"e,last,parent\r\n"
        b"a,another text,patient\r\n"
    )  # fmt: skip

    done = _submit(intake, str(path), "--batch-size", "2")

    said = done.stderr.decode()
    assert done.returncode == 1
    assert done.stdout.decode() == "2 accepted, 0 already there, 4 refused.\n"
    for line, reason in ((4, "[empty]"), (5, "UTF-8"), (6, "[not_allowed]"), (8, "[conflict]")):
        assert f"line {line}: " in said
        assert reason in next(each for each in said.splitlines() if f"line {line}: " in each)
    kept = rows(engine, "SELECT external_id, text FROM messages ORDER BY 1")
    assert [tuple(row) for row in kept] == [("a", "first\r\nof two lines"), ("e", "last")]


def test_the_same_stream_again_doubles_nothing(intake: Settings, engine: Engine) -> None:
    lines = b"".join(json.dumps({"text": f"message {n}"}).encode() + b"\n" for n in range(1_200))

    first = _submit(intake, "-", stdin=lines)
    again = _submit(intake, "-", stdin=lines)

    assert (first.returncode, again.returncode) == (0, 0)
    assert first.stdout == b"1,200 accepted, 0 already there, 0 refused.\n"
    assert again.stdout == b"0 accepted, 1,200 already there, 0 refused.\n"
    assert len(rows(engine, "SELECT 1 FROM messages")) == 1_200


def test_the_bar_goes_to_the_error_stream_of_a_terminal_only(intake: Settings) -> None:
    done = _submit(intake, "-", stdin=b'{"text": "hi"}\n')

    assert done.stdout == b"1 accepted, 0 already there, 0 refused.\n"
    assert done.stderr == b""


def test_a_wrong_key_stops_with_its_reason(intake: Settings) -> None:
    done = _submit(intake, "-", "--key", "clk_wrong", stdin=b'{"text": "hi"}\n')

    assert done.returncode == 2
    assert b"unknown or revoked" in done.stderr


def test_a_file_of_another_kind_stops_with_the_mend(intake: Settings) -> None:
    done = _submit(intake, "-", stdin="text\nhi\n".encode("utf-16"))

    assert done.returncode == 2
    assert "save it as UTF-8" in done.stderr.decode()


def test_without_a_key_the_variable_is_named(intake: Settings) -> None:
    done = _submit(replace(intake, api_key=None), "-", stdin=b"")

    assert done.returncode == 2
    assert b"CARELANE_API_KEY" in done.stderr


def test_the_client_hands_in_and_follows(intake: Settings) -> None:
    with CarelaneClient(intake.intake_url, intake.require("api_key")) as client:
        reply = client.submit(
            [
                NewMessage(external_id="a", text="chest pain", patient_ref="p", sender="patient"),
                NewMessage(external_id="b", text="\ud83d"),
            ]
        )
        standing = client.status(reply.taken[0].id)

    assert (reply.accepted, [each.reason for each in reply.refused]) == (1, ["not_utf8"])
    assert (standing.status, standing.processing, standing.urgency) == (Status.QUEUED, True, None)
    assert standing.emergency_text is not None


def test_keys_are_added_listed_and_revoked_by_command(intake: Settings, engine: Engine) -> None:
    def keys(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [_CARELANE, "keys", *arguments],
            env=environment(intake),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    key = keys("add", "north-clinic", "--quiet").stdout.strip()
    assert key.startswith("clk_")
    assert _submit(intake, "-", "--key", key, stdin=b'{"text": "hi"}').returncode == 0

    number = next(
        line.split()[0] for line in keys("list").stdout.splitlines() if "north-clinic" in line
    )
    assert "revoked" in keys("revoke", number).stdout
    assert _submit(intake, "-", "--key", key, stdin=b'{"text": "hi"}').returncode == 2
    assert keys("add", "No Such Name!").returncode == 2
    assert keys("revoke", "999").returncode == 2
