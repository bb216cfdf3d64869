from __future__ import annotations

import json
import logging
from pathlib import Path
from uuid import RFC_4122

import pytest
import yaml

from shared.contracts import Lane, Urgency, dead_letter_queue_name, queue_name
from shared.database import database_url
from shared.errors import CarelaneError, SettingsError, StoreUnavailable, TaxonomyError
from shared.ids import new_message_id
from shared.logs import JsonFormatter
from shared.settings import Settings
from shared.taxonomy import Taxonomy


def test_message_ids_are_version_7_and_sort_by_time() -> None:
    ids = [new_message_id() for _ in range(2_000)]

    assert {(each.version, each.variant) for each in ids} == {(7, RFC_4122)}
    assert len(set(ids)) == len(ids)
    milliseconds = [each.int >> 80 for each in ids]
    assert milliseconds == sorted(milliseconds)


def test_the_packaged_taxonomy_has_ten_categories_each_with_its_pool_and_code() -> None:
    taxonomy = Taxonomy.load()

    assert len(taxonomy.categories) == 10
    for category in taxonomy.categories:
        assert taxonomy.category_by_code(category.code) == category
        assert category.pool in {pool.name for pool in taxonomy.pools}
    assert [taxonomy.urgency_by_code(level.code) for level in taxonomy.urgencies] == list(Urgency)


def test_an_unknown_category_is_refused_with_the_known_ones() -> None:
    with pytest.raises(TaxonomyError, match="symptom, medication"):
        Taxonomy.load().category("cardiology")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"categories": []}, "no category"),
        ({"urgencies": []}, "urgenc"),
        ({"pools": [{"name": "x", "title": "X"}]}, "pool"),
        ({"version": None, "categories": [{"name": "a"}]}, "not a taxonomy"),
    ],
)
def test_a_broken_taxonomy_is_refused_with_file_and_fault(
    tmp_path: Path, change: dict[str, object], complaint: str
) -> None:
    packaged = Path(__file__).parents[2] / "shared" / "taxonomy.yaml"
    data = yaml.safe_load(packaged.read_text(encoding="utf-8"))
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**data, **change}), encoding="utf-8")

    with pytest.raises(TaxonomyError, match=r"mine\.yaml") as caught:
        Taxonomy.load(path)

    assert complaint in str(caught.value)


def test_a_taxonomy_that_is_not_there_is_named() -> None:
    with pytest.raises(TaxonomyError, match=r"nowhere\.yaml"):
        Taxonomy.load(Path("/nowhere.yaml"))


def test_queues_are_named_by_prefix_and_lane() -> None:
    assert queue_name("north", Lane.PRIORITY) == "north-priority"
    assert dead_letter_queue_name("north", Lane.LLM) == "north-llm-dlq"


@pytest.mark.parametrize("url", ["mysql://a/b", "not a url"])
def test_a_database_url_that_is_not_postgres_is_refused_by_the_variables_name(url: str) -> None:
    with pytest.raises(SettingsError, match="CARELANE_DATABASE_URL"):
        database_url(Settings(database_url=url))


def test_a_log_line_is_json_with_its_extras() -> None:
    record = logging.LogRecord("workers", logging.INFO, "", 0, "chunk labelled", None, None)
    record.messages = 32

    line = json.loads(JsonFormatter("fast").format(record))

    assert line["event"] == "chunk labelled"
    assert line["messages"] == 32
    assert line["process"] == "fast"


def test_a_logged_foreign_error_shows_its_type_and_place_but_not_its_text() -> None:
    def logged(error: Exception) -> str:
        try:
            raise error
        except (ValueError, StoreUnavailable) as caught:
            info = (type(caught), caught, caught.__traceback__)
            record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", None, info)
            return JsonFormatter("fast").format(record)

    foreign = logged(ValueError("invalid literal: 'my name is Ada'"))
    ours = logged(StoreUnavailable("Postgres: server closed the connection"))

    assert "Ada" not in foreign
    assert "ValueError" in foreign
    assert "server closed the connection" in ours


def test_a_failed_celery_task_is_logged_without_the_error_that_it_quotes() -> None:
    context = {
        "name": "triage.fast",
        "description": "raised unexpected",
        "exc": "ValueError('Ada')",
        "traceback": "... Ada ...",
    }
    template = "Task %(name)s %(description)s: %(exc)s\n%(traceback)s"
    record = logging.LogRecord("celery.app.trace", logging.ERROR, "", 0, template, context, None)
    record.data = context

    line = JsonFormatter("fast").format(record)

    assert "triage.fast raised unexpected" in line
    assert "Ada" not in line


def test_every_error_of_ours_belongs_to_one_tree() -> None:
    import shared.errors as errors

    ours = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    assert [e.__name__ for e in ours if not issubclass(e, CarelaneError)] == []
    drawn = errors.__doc__ or ""
    assert [e.__name__ for e in ours if e.__name__ not in drawn] == []
