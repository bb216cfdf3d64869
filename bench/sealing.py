"""What sealing texts at rest costs: one text, an intake call, the worklist's list and search.

    python -m bench.sealing

Both sides, with keys and without, take turns in one process against one embedded Postgres (with its
flush to disk), so that the machine's moods meet both. Printed: medians, p95, and the ratio of the
medians; below them the same for the side without keys against itself, which is the noise.
"""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Engine, make_url

from bench.measure import median, quantile
from bench.texts import message_texts
from dashboard import queries
from dashboard.filters import Filters, Show
from dashboard.rows import line_of
from localstack.postgres import EmbeddedPostgres
from producer.intake import Intake
from producer.validation import Draft
from shared.database import make_engine, transaction
from shared.red_flags import RedFlags
from shared.schema import upgrade
from shared.sealed_text import TextKeys, new_key
from shared.search_words import SearchWords
from shared.settings import Settings
from shared.taxonomy import Taxonomy

_CHARS = 500
_ROUNDS = 400
_BATCH = 200
_STOCK = 20_000

Side = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Carelane:
    """One way to store: its engine, and what stands on it."""

    engine: Engine
    intake: Intake
    taxonomy: Taxonomy

    def take(self, texts: Sequence[str]) -> None:
        """An intake call, from checked drafts to commit."""
        drafts = [
            Draft(index=at, external_id=secrets.token_hex(8), text=text)
            for at, text in enumerate(texts)
        ]
        self.intake.take("bench", drafts)

    def page(self, filters: Filters) -> None:
        """A page's lines, as the worklist's route reads them."""
        with transaction(self.engine) as connection:
            found = queries.worklist(connection, filters, self.taxonomy, user="bench")
        for row in found:
            line_of(row, self.taxonomy)


def main() -> None:
    """Print the tables."""
    texts = message_texts(seed=1)
    long = _long_texts(texts)
    _alone(long[:_ROUNDS])
    with _two_sides() as sides:
        for side in sides.values():
            for _ in range(_STOCK // _BATCH):
                side.take([next(texts) for _ in range(_BATCH)])
        _pairs("intake call, 1 message", sides, lambda side: side.take([next(texts)]), _ROUNDS)
        _pairs(
            f"intake call, {_BATCH} messages",
            sides,
            lambda side: side.take([next(texts) for _ in range(_BATCH)]),
            _ROUNDS // 10,
        )
        for name, filters in (
            ("list, 50 lines", Filters()),
            ("search, two words of many", Filters(show=Show.ALL, q="need refill")),
            ("search, no hit", Filters(show=Show.ALL, q="zzzz")),
        ):
            _pairs(name, sides, lambda side, f=filters: side.page(f), _ROUNDS // 2)  # type: ignore[misc]


def _long_texts(texts: Iterator[str]) -> list[str]:
    found: list[str] = []
    while len(found) < _ROUNDS:
        text = next(texts)
        while len(text) < _CHARS:
            text += " " + next(texts)
        found.append(text[:_CHARS])
    return found


def _alone(texts: Sequence[str]) -> None:
    keys, search = TextKeys.parse(new_key("bench")), SearchWords("bench")
    sealed = [keys.seal(text, "messages.text") for text in texts]
    grown = sum(map(len, sealed)) / sum(len(text.encode()) for text in texts)
    print(f"one text of {_CHARS} characters: stored {grown:.2f} times as long")
    for name, work, given in (
        ("seal", lambda text: keys.seal(text, "messages.text"), texts),
        ("open", lambda text: keys.open(text, "messages.text"), sealed),
        ("hash its words", search.index, texts),
    ):
        took = [_seconds(lambda text=text, work=work: work(text)) for text in given]  # type: ignore[misc]
        print(f"| {name} | {median(took) * 1e6:.1f} µs | {quantile(took, 0.95) * 1e6:.1f} µs |")


@contextmanager
def _two_sides() -> Iterator[Mapping[str, Carelane]]:
    with tempfile.TemporaryDirectory(prefix="carelane-sealing-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres")
        postgres.start()
        made: dict[str, Carelane] = {}
        try:
            for name, keys in (("clear", None), ("sealed", new_key("bench")), ("again", None)):
                postgres.create_database(name)
                url = postgres.url(name)
                upgrade(make_url(url).set(drivername="postgresql+psycopg2"))
                settings = replace(Settings(), database_url=url, hmac_key="b" * 32, text_keys=keys)
                engine = make_engine(settings, "carelane bench", pool_size=1)
                intake = Intake(engine, RedFlags.load(None))
                made[name] = Carelane(engine=engine, intake=intake, taxonomy=Taxonomy.load())
            yield made
        finally:
            for each in made.values():
                each.engine.dispose()
            postgres.stop()


def _pairs(
    name: str, sides: Mapping[str, Carelane], work: Callable[[Carelane], None], rounds: int
) -> None:
    took: dict[str, list[float]] = {each: [] for each in sides}
    for round_ in range(rounds):
        # Each goes first as often as the others.
        order = list(sides)[round_ % len(sides) :] + list(sides)[: round_ % len(sides)]
        for each in order:
            took[each].append(_seconds(lambda each=each: work(sides[each])))  # type: ignore[misc]
    middle = {each: median(values) * 1e3 for each, values in took.items()}
    p95 = {each: quantile(values, 0.95) * 1e3 for each, values in took.items()}
    print(
        f"| {name} | {middle['clear']:.2f}, {p95['clear']:.2f} | {middle['sealed']:.2f}, "
        f"{p95['sealed']:.2f} | {middle['sealed'] / middle['clear']:.2f} | "
        f"{middle['again'] / middle['clear']:.2f} |"
    )


def _seconds(work: Side) -> float:
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s


if __name__ == "__main__":
    main()
