"""The report of all benchmarks: what it says when one runs, and when one does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench import all as bench_all
from bench.all import BENCHMARKS, Benchmark, Ran, flat, head, page, run_one

PLAIN = Benchmark(
    name="plain",
    against="nothing",
    environment="test",
    full="this --full",
    quick="platform",
    result="",
)


def ran(**changes: object) -> Ran:
    """A run without numbers."""
    values: dict[str, object] = {
        "name": "plain",
        "against": "nothing",
        "command": "python -m x",
        "took_s": 1.0,
        "failed": "",
        "output": "",
        "numbers": {},
        "load_average": 0.5,
    }
    return Ran(**{**values, **changes})  # type: ignore[arg-type]


def test_a_benchmark_without_its_environment_is_named_and_does_not_stop_the_rest() -> None:
    found = run_one(replace(PLAIN, environment="nowhere"), quick=True)

    assert "is not built" in found.failed


def test_a_benchmark_that_ends_badly_says_why() -> None:
    found = run_one(replace(PLAIN, quick="no_such_module_at_all"), quick=True)

    assert "no_such_module_at_all" in found.failed


def test_the_file_that_a_benchmark_wrote_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "quick_plain.json").write_text(json.dumps({"sides": {"a": {"per_s": 2}}}))
    monkeypatch.setattr(bench_all, "_call", lambda _: ("", "said"))

    found = run_one(replace(PLAIN, result="NAME_plain"), quick=True, results=tmp_path)

    assert found.numbers == {"sides › a › per_s": 2.0}
    assert found.output == "said"


def test_a_benchmark_that_prints_json_has_its_numbers_read_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench_all, "_call", lambda _: ("", '{"live": {"p95_ms": 3.5}}'))

    found = run_one(PLAIN, quick=True)

    assert found.numbers == {"live › p95_ms": 3.5}


def test_words_that_a_benchmark_prints_are_kept_as_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_all, "_call", lambda _: ("", '{"a": 1}\nand then a table'))

    found = run_one(PLAIN, quick=True)

    assert not found.numbers
    assert "and then a table" in found.output


def test_numbers_are_found_under_their_names_and_options_are_left_out() -> None:
    result = {"options": {"n": 1}, "rows": [{"name": "x", "ms": 2, "ok": True}], "plain": [1, 2]}

    assert dict(flat(result)) == {"rows › x › ms": 2.0}


def test_the_page_names_machine_versions_and_failures_and_warns_of_short_runs() -> None:
    about = head(quick=True)

    written = page(about, [ran(failed="no <module>"), ran(name="other", output="42 & more")])

    assert "onnxruntime" in written
    assert "no &lt;module&gt;" in written
    assert "42 &amp; more" in written
    assert "not how fast" in written


def test_every_benchmark_has_a_short_form_and_writes_under_the_runs_own_name() -> None:
    for benchmark in BENCHMARKS:
        assert benchmark.quick != benchmark.full
        if benchmark.result:
            assert "NAME" in benchmark.full
            assert "NAME" in benchmark.quick
