"""Settings and clock: what a process brings along before it talks to anybody."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Final

from shared.errors import CarelaneError
from shared.red_flags import RedFlags
from shared.settings import Settings
from shared.taxonomy import Taxonomy
from workers.doctor.finding import Finding, ok, problem, warning

_SETTINGS: Final = "settings"
_CLOCK: Final = "clock"
#: Beside the settings proper: the local stack's own, and what make hands over.
_OTHERS: Final = ("CARELANE_PORT_", "CARELANE_HOME", "CARELANE_LOCAL_SQS", "CARELANE_SAMPLES")
_OTHERS_MADE: Final = ("CARELANE_MAKE_STARTED", "CARELANE_STACK_PID")
_MIN_SECRET_CHARS: Final = 32
#: From here on waiting times are shown wrongly, and from the second on AWS may refuse signatures.
_SKEW_WARNS_S: Final = 2.0
_SKEW_HURTS_S: Final = 60.0

#: Which processes cannot do without.
_NEEDED: Final[Mapping[str, str]] = {
    "hmac_key": "the intake, webhooks and the label cache",
    "secret_key": "the dashboard",
}


def check_settings(settings: Settings, env: Mapping[str, str]) -> Iterator[Finding]:
    """Secrets, misspelt variables, files that are pointed at."""
    known = {each.metadata["env"] for each in fields(Settings)}
    for name in sorted(env):
        ours = name.startswith("CARELANE_") and not name.startswith((*_OTHERS, *_OTHERS_MADE))
        if ours and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = (
                f"Did you mean {near[0]}?" if near else "`carelane settings` lists all there are."
            )
            yield warning(_SETTINGS, f"{name} means nothing to Carelane", hint)
    for name, who in _NEEDED.items():
        yield from _secret(settings, name, who)
    for load, path in (
        (Taxonomy.load, settings.taxonomy_path),
        (RedFlags.load, settings.red_flags_path),
    ):
        try:
            load(path)
        except (CarelaneError, OSError) as error:
            yield problem(_SETTINGS, str(error), "Mend the file, or unset its variable.")
    if settings.metrics_dir is None and not settings.metrics_port:
        yield warning(
            _SETTINGS,
            "workers count for themselves and nobody can read it",
            "Set CARELANE_METRICS_DIR for all processes of a machine: docs/operations.md.",
        )
    yield ok(_SETTINGS, f"{sum(name in env for name in known)} variables set, all readable")


def _secret(settings: Settings, name: str, who: str) -> Iterator[Finding]:
    variable = next(each.metadata["env"] for each in fields(settings) if each.name == name)
    value = getattr(settings, name)
    if value is None:
        mend = f"`openssl rand -hex 32` makes one; give all processes the same {variable}."
        yield warning(_SETTINGS, f"{variable} is not set here; needed by {who}", mend)
    elif len(value) < _MIN_SECRET_CHARS:
        mend = f"Take {_MIN_SECRET_CHARS} random characters: `openssl rand -hex 32`."
        yield problem(_SETTINGS, f"{variable} has only {len(value)} characters", mend)


def check_clock(others: Mapping[str, datetime], now: datetime | None = None) -> Iterator[Finding]:
    """This machine's clock against those of the others; asked within the same second."""
    now = now or datetime.now(UTC)
    mend = "Let this machine's clock be set by NTP: `timedatectl status` says whether it is."
    for who, theirs in others.items():
        skew_s = abs((now - theirs).total_seconds())
        said = f"{skew_s:.1f} s apart from {who}"
        if skew_s > _SKEW_HURTS_S:
            yield problem(_CLOCK, said, mend)
        elif skew_s > _SKEW_WARNS_S:
            yield warning(_CLOCK, said, mend)
        else:
            yield ok(_CLOCK, said)
