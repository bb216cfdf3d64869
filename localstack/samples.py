"""Sample traffic: some dozens of invented messages in the first minute, by the front door."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

from localstack.settings import LocalSettings
from localstack.stack import Folders
from producer.client import CarelaneClient, NewMessage

_FILE = Path(__file__).parent / "samples.jsonl"
_OVER_S = 60.0


def done_marker(folders: Folders) -> Path:
    """A file that is there once the samples have been handed in."""
    return folders.home / "samples.done"


def read(path: Path = _FILE) -> list[NewMessage]:
    """The sample messages."""
    return [NewMessage(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]


def pauses(count: int, over_s: float, seed: int = 1) -> Iterator[float]:
    """Waits before each message: none before the first, then as irregular as people are."""
    chance = random.Random(seed)
    drawn = [0.0, *(chance.expovariate(1.0) for _ in range(count - 1))]
    scale = over_s / (sum(drawn) or 1.0)
    return (each * scale for each in drawn)


def hand_in(
    client: CarelaneClient, messages: Sequence[NewMessage], wait: Callable[[float], None]
) -> int:
    """Hand the messages in one by one; returns how many were new."""
    accepted = 0
    for pause_s, message in zip(pauses(len(messages), _OVER_S), messages, strict=True):
        wait(pause_s)
        accepted += client.submit([message]).accepted
    return accepted


def main() -> None:
    """Hand the samples in, once the intake is there."""
    settings = LocalSettings.from_env(os.environ)
    messages = read()
    if settings.samples == "always":
        # The same id would be the same message.
        run = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
        messages = [
            NewMessage(**{**vars(each), "external_id": f"{each.external_id}-{run}"})
            for each in messages
        ]
    _wait_for(f"{settings.intake_url}/readyz")
    with CarelaneClient(settings.intake_url, settings.require("api_key")) as client:
        accepted = hand_in(client, messages, time.sleep)
    done_marker(Folders(settings.home)).touch()
    print(f"{accepted} sample messages handed in", flush=True)


def _wait_for(url: str) -> None:
    while True:
        try:
            with urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.2)


if __name__ == "__main__":
    main()
