"""Counting for Prometheus: across forks, with a token, and only by names that are known."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_socket import enable_socket

from localstack.stack import free_port
from shared import metrics, metrics_server
from shared.settings import Settings


@pytest.fixture(autouse=True)
def _counting_ends() -> Iterator[None]:
    yield
    metrics.stop()


def _count_in_a_child() -> None:
    pid = os.fork()
    if pid == 0:
        metrics.LABELS.inc(tier="fast")
        metrics.TIER_SECONDS.observe(0.02, tier="fast")
        os._exit(0)
    os.waitpid(pid, 0)


def test_before_start_counting_does_nothing() -> None:
    metrics.LABELS.inc(tier="fast")

    assert metrics.text() == b""


def test_a_process_alone_counts_for_itself() -> None:
    metrics.start(Settings())
    metrics.LABELS.inc(2, tier="fast")

    assert b'carelane_labels_total{tier="fast"} 2.0' in metrics.text()


def test_children_and_their_parent_count_together_also_after_they_have_ended(
    tmp_path: Path,
) -> None:
    metrics.start(Settings(metrics_dir=tmp_path / "counts"))
    metrics.LABELS.inc(tier="fast")
    _count_in_a_child()
    _count_in_a_child()

    told = metrics.text().decode()

    assert 'carelane_labels_total{tier="fast"} 3.0' in told
    assert 'carelane_tier_seconds_count{tier="fast"} 2.0' in told
    assert 'carelane_tier_seconds_bucket{le="0.025",tier="fast"} 2.0' in told


def test_a_port_alone_is_enough_for_a_process_with_children() -> None:
    metrics.start(Settings(metrics_port=1))
    _count_in_a_child()

    assert b'carelane_labels_total{tier="fast"} 1.0' in metrics.text()


def test_the_port_asks_for_the_token_where_one_is_set() -> None:
    enable_socket()
    settings = Settings(metrics_port=free_port(), metrics_token="the token")
    metrics.start(settings)
    metrics_server.serve(settings)
    url = f"http://127.0.0.1:{settings.metrics_port}/metrics"

    def read(**headers: str) -> bytes:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return bytes(answer.read())

    with pytest.raises(urllib.error.HTTPError, match="401"):
        read()
    with pytest.raises(urllib.error.HTTPError, match="401"):
        read(Authorization="Bearer no")
    metrics.SENT.inc(lane="llm")
    assert b'carelane_sent_total{lane="llm"} 1.0' in read(Authorization="Bearer the token")


def test_a_supervisor_needs_no_token_to_see_that_the_process_lives() -> None:
    enable_socket()
    settings = Settings(metrics_port=free_port(), metrics_token="the token")
    metrics_server.serve(settings)

    url = f"http://127.0.0.1:{settings.metrics_port}/healthz"
    with urllib.request.urlopen(url, timeout=5) as answer:
        assert answer.read() == b"ok\n"


def test_a_port_that_is_taken_costs_the_numbers_only() -> None:
    enable_socket()
    settings = Settings(metrics_port=free_port())
    metrics_server.serve(settings)

    metrics_server.serve(replace(settings))  # the second process of a machine


def test_no_metric_is_labelled_by_who_or_which_message() -> None:
    labels = {label for each in metrics.ALL for label in each.labels}

    assert labels <= {
        "action", "flagged", "kind", "lane", "outcome", "reason", "result", "status", "tier",
        "urgency",
    }  # fmt: skip
    assert len({each.name for each in metrics.ALL}) == len(metrics.ALL)
