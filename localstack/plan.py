"""What this run consists of: which parts are ours, which are elsewhere, and every process's
environment. Decides from settings alone; starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from localstack.settings import LocalSettings
from shared.errors import SettingsError

_SAMPLES = ("first", "always", "never")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run of the local stack."""

    embedded_postgres: bool
    local_sqs: bool
    intake_queue: bool
    standin_llm: bool
    samples: bool
    intake_url: str
    dashboard_url: str
    llm_url: str

    @classmethod
    def of(cls, settings: LocalSettings, *, samples_done: bool) -> Plan:
        """The plan for these settings.

        Raises:
            SettingsError: settings that contradict each other.
        """
        if settings.samples not in _SAMPLES:
            raise SettingsError(f"CARELANE_SAMPLES is one of {', '.join(_SAMPLES)}")
        elsewhere = settings.sqs_endpoint_url is not None or settings.broker_url is not None
        local = "http://127.0.0.1"
        return cls(
            embedded_postgres=settings.database_url is None,
            local_sqs=settings.local_sqs and not elsewhere,
            intake_queue=settings.broker_url is None,  # it speaks SQS only
            standin_llm=settings.openai_api_key is None and settings.openai_base_url is None,
            samples=settings.samples == "always"
            or (settings.samples == "first" and not samples_done),
            intake_url=f"{local}:{settings.port_intake}",
            dashboard_url=f"{local}:{settings.port_dashboard}",
            llm_url=f"{local}:{settings.port_llm}/v1",
        )

    def processes(self, procfile: Mapping[str, str]) -> dict[str, str]:
        """The lines of the Procfile that this run needs."""
        wanted = {
            "postgres": self.embedded_postgres,
            "sqs": self.local_sqs,
            "intake-queue": self.intake_queue,
            "standin": self.standin_llm,
            "samples": self.samples,
        }
        return {name: line for name, line in procfile.items() if wanted.get(name, True)}

    def environment(
        self, settings: LocalSettings, given: Mapping[str, str], database_url: str
    ) -> dict[str, str]:
        """What every process of the run sees: what was given, completed by what is local."""
        made = {
            "CARELANE_HOME": str(settings.home.absolute()),
            "CARELANE_DATABASE_URL": database_url,
            "CARELANE_PORT_INTAKE": str(settings.port_intake),
            "CARELANE_PORT_DASHBOARD": str(settings.port_dashboard),
            "CARELANE_PORT_LLM": str(settings.port_llm),
            "CARELANE_PORT_SQS": str(settings.port_sqs),
            "CARELANE_INTAKE_URL": given.get("CARELANE_INTAKE_URL", self.intake_url),
            "CARELANE_DASHBOARD_URL": given.get("CARELANE_DASHBOARD_URL", self.dashboard_url),
            # One folder for all: the dashboard's /metrics tells what every process counted.
            "CARELANE_METRICS_DIR": given.get(
                "CARELANE_METRICS_DIR", str(settings.home.absolute() / "run" / "metrics")
            ),
            "CARELANE_DEMO_PORTAL": given.get("CARELANE_DEMO_PORTAL", "1"),
            "PYTHONUNBUFFERED": "1",
        }
        if self.local_sqs:
            made |= {
                "CARELANE_SQS_ENDPOINT_URL": f"http://127.0.0.1:{settings.port_sqs}",
                # LocalStack takes any; a developer's own must not reach it, nor be needed.
                "AWS_ACCESS_KEY_ID": "local",
                "AWS_SECRET_ACCESS_KEY": "local",
            }
        if self.standin_llm:
            made |= {
                "OPENAI_API_KEY": "standin",
                "OPENAI_BASE_URL": self.llm_url,
                "CARELANE_LLM_SIMULATED": "1",
                "CARELANE_LLM_MODEL": given.get("CARELANE_LLM_MODEL", "standin"),
                # As long as a real one takes in practice.
                "STANDIN_LATENCY_MEAN_S": given.get("STANDIN_LATENCY_MEAN_S", "2.3"),
            }
        elif settings.openai_api_key is None:
            made["OPENAI_API_KEY"] = "none"  # servers of one's own often want none
        return {**given, **made}
