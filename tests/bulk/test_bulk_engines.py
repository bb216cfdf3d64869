"""Spark, Ray, Parquet and object stores, by `make test-bulk` in the environment that has them.

Elsewhere pyspark is missing by design.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyspark", reason="belongs to the bulk environment: make test-bulk")

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import ray
from click.testing import CliRunner, Result
from pyspark.sql import SparkSession

from workers.bulk import ray as ray_engine
from workers.bulk import spark as spark_engine
from workers.bulk.cli import bulk

TEXTS = (
    "Need a refill of my lisinopril 10 mg please, two tablets left",
    "I have crushing chest pain and my left arm is numb",
    "This is Zebediah Quillfeather, 918-555-0142. I feel odd, and what about my bill?",
    "Could you move my appointment from Monday to Thursday?",
    "Tengo mucha fiebre desde ayer y no sé qué tomar",
    "it is me again about that, can you tell him that it was not what we said",
)
COPIES = 40
ROWS = [{"id": f"m-{n}", "text": text} for n, text in enumerate(TEXTS * COPIES)]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(bulk, list(arguments), catch_exceptions=False)


def labels_of(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(output.glob("labels/*"))}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bulk") / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS) + "oops\n")
    return path


@pytest.fixture(scope="module")
def local(source: Path) -> dict[str, bytes]:
    """The local engine's labels, which the unit tests hold against the live path."""
    output = source.parent / "local"
    assert run(str(source), str(output), "--rows-per-part=40").exit_code == 1
    return labels_of(output)


@pytest.fixture(scope="module")
def session() -> Iterator[SparkSession]:
    made = spark_engine.local_session(2)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray_engine.local_cluster(2)
    yield
    ray.shutdown()


def children(name: str) -> list[int]:
    """Processes below this one whose command line holds `name`."""
    parents, found = {}, []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            parents[int(folder.name)] = int(stat[1])
            if name in command:
                found.append(int(folder.name))

    def ours(pid: int) -> bool:
        return pid == os.getpid() or (pid in parents and ours(parents[pid]))

    return [pid for pid in found if ours(pid)]


class Killer(threading.Thread):
    """Kills one process once a part is done, while others are being worked on."""

    def __init__(self, output: Path, find: Callable[[], list[int]]) -> None:
        super().__init__(daemon=True)
        self.output = output
        self.find = find
        self.killed: list[int] = []

    def run(self) -> None:
        deadline_s = time.monotonic() + 120
        while time.monotonic() < deadline_s and not self.killed:
            if list(self.output.glob("done/*")) and (found := self.find()):
                os.kill(found[-1], signal.SIGKILL)
                self.killed.append(found[-1])
            time.sleep(0.01)


def spark_workers() -> list[int]:
    """The daemon's children; the daemon itself comes first."""
    return children("pyspark.daemon")[1:]


def ray_workers() -> list[int]:
    return children("ray::")


@pytest.mark.parametrize(("engine", "find"), [("spark", spark_workers), ("ray", ray_workers)])
def test_an_engine_gives_the_local_bytes_though_a_worker_is_killed(
    engine: str,
    find: Callable[[], list[int]],
    source: Path,
    local: dict[str, bytes],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    request.getfixturevalue({"spark": "session", "ray": "cluster"}[engine])
    killer = Killer(tmp_path / "out", find)
    killer.start()

    result = run(str(source), str(tmp_path / "out"), "--rows-per-part=40", f"--engine={engine}")

    killer.join()
    assert killer.killed
    assert result.exit_code == 1, result.output
    assert labels_of(tmp_path / "out") == local
    rejects = (tmp_path / "out" / "rejects.jsonl").read_text()
    assert json.loads(rejects)["line"] == len(ROWS) + 1


def expected(local: dict[str, bytes]) -> list[dict[str, Any]]:
    lines = b"".join(local.values()).splitlines()[: len(TEXTS)]
    return [json.loads(line) for line in lines]


def test_a_spark_frame_gets_a_label_column(session: SparkSession, local: dict[str, bytes]) -> None:
    frame = session.createDataFrame([(text,) for text in (*TEXTS, None, " ")], "body string")

    rows = [row.asDict(recursive=True) for row in spark_engine.with_labels(frame, "body").collect()]

    labels = {row["body"]: row["label"] for row in rows}
    for text, row in zip(TEXTS, expected(local), strict=True):
        for name in ("status", "categories", "urgency", "category_confidence", "reasons"):
            assert labels[text][name] == row[name]
    assert labels[None]["status_reason"] == "no text"
    assert labels[" "]["status"] == "rejected"


def test_a_ray_dataset_gets_label_columns(cluster: None, local: dict[str, bytes]) -> None:
    dataset = ray.data.from_pandas(pd.DataFrame({"body": TEXTS}))

    frame = ray_engine.with_labels(dataset, "body").to_pandas()

    rows = {row["body"]: row for row in frame.to_dict("records")}
    for text, row in zip(TEXTS, expected(local), strict=True):
        assert rows[text]["urgency"] == row["urgency"]
        assert list(rows[text]["categories"]) == row["categories"]


def test_parquet_in_and_out_hold_the_same_labels(
    source: Path, local: dict[str, bytes], tmp_path: Path
) -> None:
    table = pa.table(
        {**{k: [row[k] for row in ROWS] for k in ("id", "text")}, "x": [1] * len(ROWS)}
    )
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=70)

    result = run(str(tmp_path / "in.parquet"), str(tmp_path / "out"), "--rows-per-part=40")

    assert result.exit_code == 0, result.output
    parts = sorted((tmp_path / "out" / "labels").iterdir())
    rows = [row for part in parts for row in pq.read_table(part).to_pylist()]
    lines = b"".join(local.values()).splitlines()
    assert rows == [json.loads(line) for line in lines]
    assert len(parts) == 7  # of 40 rows at most, none over two row groups of 70
    assert source.exists()


def test_parquet_rows_without_text_are_rejected_by_number(tmp_path: Path) -> None:
    table = pa.table({"text": ["Need a refill", None, "", "Thanks!"], "id": [1, 2, 3, None]})
    pq.write_table(table, tmp_path / "in.parquet")

    result = run(str(tmp_path / "in.parquet"), str(tmp_path / "out"), "--format=jsonl")

    assert result.exit_code == 1
    rejects = (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()
    assert [json.loads(line)["line"] for line in rejects] == [2, 3]
    labels = b"".join(labels_of(tmp_path / "out").values()).splitlines()
    assert [json.loads(line)["id"] for line in labels] == [1, 4]


@pytest.fixture
def bucket() -> Iterator[str]:
    """An S3 server of this test; answers the query that addresses it."""
    import boto3
    from moto.server import ThreadedMotoServer

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="x",
        aws_secret_access_key="y",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="messages")
    os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
    yield f"?scheme=http&endpoint_override=127.0.0.1:{port}&region=us-east-1"
    server.stop()


def test_an_object_store_is_read_written_and_gone_on_with(
    bucket: str, source: Path, local: dict[str, bytes]
) -> None:
    from workers.bulk.places import open_folder

    inbox = open_folder("s3://messages/inbox" + bucket)
    inbox.write("in.jsonl", source.read_bytes())
    arguments = (
        "s3://messages/inbox/in.jsonl" + bucket,
        "s3://messages/labelled" + bucket,
        "--rows-per-part=40",
        "--input-format=jsonl",
    )

    first = run(*arguments)
    folder = open_folder("s3://messages/labelled" + bucket)
    for name in folder.names("done")[2:4]:
        folder.remove(name)  # as if killed before their marks
    second = run(*arguments)

    assert first.exit_code == second.exit_code == 1, first.output
    assert "81 of them now" in second.stdout or "80 of them now" in second.stdout
    stored = {name.rpartition("/")[2]: folder.read(name) for name in folder.names("labels")}
    assert stored == local


def test_an_object_store_s_journal_grows_by_pieces(bucket: str) -> None:
    from workers.bulk.places import open_folder

    address = "s3://messages/journal" + bucket
    for lines in (["one"], ["two", "three"]):
        open_folder(address).append("calls", lines)

    folder = open_folder(address)
    assert [line.strip() for line in folder.journal("calls")] == ["one", "two", "three"]
    folder.remove("calls")
    assert list(folder.journal("calls")) == []
