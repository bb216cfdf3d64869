"""What can be set about the local stack alone, on top of every process's settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shared.settings import Settings, _flag, _positive_int, _setting


@dataclass(frozen=True, kw_only=True)
class LocalSettings(Settings):
    """`make run`'s settings. Build with `LocalSettings.from_env(os.environ)`."""

    home: Path = _setting(
        "CARELANE_HOME",
        "Folder of the local stack's data, logs and secrets.",
        Path(".carelane"),
        Path,
    )
    port_intake: int = _setting(
        "CARELANE_PORT_INTAKE", "Port of the intake under `make run`.", 8000, _positive_int
    )
    port_dashboard: int = _setting(
        "CARELANE_PORT_DASHBOARD", "Port of the dashboard under `make run`.", 8001, _positive_int
    )
    port_llm: int = _setting(
        "CARELANE_PORT_LLM", "Port of the stand-in LLM under `make run`.", 8002, _positive_int
    )
    port_sqs: int = _setting(
        "CARELANE_PORT_SQS", "Port of LocalStack under `make run`.", 4566, _positive_int
    )
    local_sqs: bool = _setting(
        "CARELANE_LOCAL_SQS",
        "0 makes `make run` use AWS's own SQS, with the usual AWS credentials.",
        True,
        _flag,
    )
    samples: str = _setting(
        "CARELANE_SAMPLES",
        "Sample messages under `make run`: `first` (into an empty database), `always`, `never`.",
        "first",
    )
