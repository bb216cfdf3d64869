"""`carelane doctor`: is everything that Carelane needs there, and fit? Changes nothing."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime

import click

from shared.errors import CarelaneError, SettingsError, StoreError
from shared.settings import Settings
from workers.doctor.finding import Finding, Health, problem, warning

_MARKS = {Health.OK: "ok     ", Health.WARNING: "warning", Health.PROBLEM: "PROBLEM"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@click.option("--quick", is_flag=True, help="Leave out what loads models.")
def doctor(as_json: bool, quick: bool) -> None:
    """Check settings, database, queues, models, LLM and clock, and say what to do about each.

    Run it with the environment of the process that it is about. Ends with 1 when there is a
    problem, with 0 when there are warnings at most.
    """
    # What is wrong is said below, once, and in words.
    logging.getLogger().addHandler(logging.NullHandler())
    found: list[Finding] = []
    for each in examine(os.environ, quick=quick):
        found.append(each)
        if not as_json:
            _say(each)
    bad = sum(each.health is Health.PROBLEM for each in found)
    warnings = sum(each.health is Health.WARNING for each in found)
    if as_json:
        report = {"problems": bad, "warnings": warnings, "findings": [asdict(f) for f in found]}
        click.echo(json.dumps(report, indent=2))
    else:
        click.echo(f"\n{bad} problem(s), {warnings} warning(s).")
    sys.exit(1 if bad else 0)


def _say(finding: Finding) -> None:
    colour = {Health.WARNING: "yellow", Health.PROBLEM: "red"}.get(finding.health)
    click.secho(f"{_MARKS[finding.health]} {finding.area}: {finding.what}", fg=colour)
    if finding.mend:
        click.echo(f"        → {finding.mend}")


def examine(env: Mapping[str, str], *, quick: bool = False) -> Iterator[Finding]:
    """Everything looked at, one after the other; what fails does not hide what comes after."""
    from workers.doctor import models, stores, surroundings

    try:
        settings = Settings.from_env(env)
    except SettingsError as error:
        yield problem("settings", str(error), "Nothing else can be looked at before.")
        return
    yield from surroundings.check_settings(settings, env)
    yield from _database(settings)
    yield from stores.check_queues(settings)
    if not quick:
        yield from models.check_bundle(settings)
        yield from models.check_deid(settings)
    yield from models.check_llm(settings)


def _database(settings: Settings) -> Iterator[Finding]:
    from shared.database import make_engine
    from workers.doctor import stores, surroundings, texts

    try:
        engine = make_engine(settings, "carelane doctor", pool_size=1)
    except CarelaneError as error:
        yield problem("database", str(error), "Set CARELANE_DATABASE_URL.")
        return
    try:
        yield from stores.check_database(engine)
        theirs = stores.database_time(engine)
        yield from surroundings.check_clock({"Postgres": theirs}, datetime.now(UTC))
        yield from texts.check_texts(engine)
    except StoreError as error:
        yield warning(
            "database",
            f"clock and texts were not looked at to the end: {error}",
            "Mend what is said of the database, or sign in as its owner, and ask again.",
        )
    finally:
        engine.dispose()
