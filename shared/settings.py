"""Everything that can be set, in one typed object built once per process from the environment.

Each field names its variable and says what it does; docs/settings.md lists the same (a test
compares). Secrets have no default: a process that needs one calls `require` and stops with the
variable's name when it is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from shared.errors import SettingsError
from shared.sealed_text import read_keys

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


def _flag(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError("say 1 or 0")


def _positive_int(text: str) -> int:
    number = int(text)
    if number <= 0:
        raise ValueError("must be a whole number above 0")
    return number


def _not_negative_int(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError("must be a whole number, 0 or above")
    return number


def _positive_float(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError("must be a number above 0")
    return number


def _not_negative_float(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError("must be a number, 0 or above")
    return number


def _audit_days(text: str) -> float:
    number = _not_negative_float(text)
    if 0 < number < 90:
        raise ValueError("must be 0 or at least 90")
    return number


def _text_keys(text: str) -> str:
    read_keys(text)
    return text


def _setting(
    env: str, about: str, default: Any, parse: Callable[[str], Any] = str, *, secret: bool = False
) -> Any:
    metadata = {"env": env, "about": about, "parse": parse, "secret": secret}
    return field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One process's settings. Build with `Settings.from_env(os.environ)`."""

    # Store
    database_url: str | None = _setting(
        "CARELANE_DATABASE_URL",
        "Postgres, as a SQLAlchemy or libpq URL. `make run` starts one of its own when unset.",
        None,
        secret=True,  # may hold a password
    )
    # Queues
    queue_prefix: str = _setting(
        "CARELANE_QUEUE_PREFIX", "Start of every queue's name, e.g. `carelane-fast`.", "carelane"
    )
    broker_url: str | None = _setting(
        "CARELANE_BROKER_URL",
        "Another broker's URL (RabbitMQ, Redis, Azure Service Bus). Unset: Amazon SQS.",
        None,
        secret=True,
    )
    sqs_endpoint_url: str | None = _setting(
        "CARELANE_SQS_ENDPOINT_URL",
        "SQS at another address (LocalStack, a VPC endpoint). Unset: AWS by region.",
        None,
    )
    aws_region: str = _setting("CARELANE_AWS_REGION", "AWS region of the queues.", "us-east-1")
    # Files that an organisation can replace
    taxonomy_path: Path | None = _setting(
        "CARELANE_TAXONOMY", "Taxonomy file. Unset: the packaged taxonomy.yaml.", None, Path
    )
    red_flags_path: Path | None = _setting(
        "CARELANE_RED_FLAGS", "Red-flag rules. Unset: the packaged red_flags.yaml.", None, Path
    )
    bundle_path: Path | None = _setting(
        "CARELANE_BUNDLE",
        "Folder of the triage model's bundle. Unset: the shipped one.",
        None,
        Path,
    )
    shadow_bundle_path: Path | None = _setting(
        "CARELANE_SHADOW_BUNDLE",
        "Folder of a bundle to try beside the live one: it decides nothing, and workers log how "
        "often it disagrees. Unset: none.",
        None,
        Path,
    )
    deid_bundle_path: Path | None = _setting(
        "CARELANE_DEID_BUNDLE",
        "Folder of the de-identification model's bundle. Unset: the shipped one.",
        None,
        Path,
    )
    # Secrets
    secret_key: str | None = _setting(
        "CARELANE_SECRET_KEY",
        "Signs the dashboard's sessions; 32 or more random characters.",
        None,
        secret=True,
    )
    hmac_key: str | None = _setting(
        "CARELANE_HMAC_KEY",
        "Keys the hashes of API keys, of cached texts and of sealed texts' words.",
        None,
        secret=True,
    )
    text_keys: str | None = _setting(
        "CARELANE_TEXT_KEYS",
        "Seals what patients wrote in the database: `id:key,id2:key2`, of which the first seals "
        "and all open; `clear` in place of the first stores in clear. `carelane database new-key` "
        "makes one. Unset: nothing is sealed.",
        None,
        _text_keys,
        secret=True,
    )
    # Intake
    max_text_chars: int = _setting(
        "CARELANE_MAX_TEXT_CHARS",
        "Longest message text taken, in characters.",
        20_000,
        _positive_int,
    )
    max_batch_messages: int = _setting(
        "CARELANE_MAX_BATCH_MESSAGES", "Most messages in one intake call.", 10_000, _positive_int
    )
    max_body_bytes: int = _setting(
        "CARELANE_MAX_BODY_BYTES",
        "Largest body of one intake call, in bytes.",
        32_000_000,
        _positive_int,
    )
    max_messages_per_minute: int = _setting(
        "CARELANE_MAX_MESSAGES_PER_MINUTE",
        "Most messages that one source may hand in per minute, to all intake processes together.",
        60_000,
        _positive_int,
    )
    max_backlog: int = _setting(
        "CARELANE_MAX_BACKLOG",
        "While so many messages are processing, the intake asks portals to come back later.",
        200_000,
        _positive_int,
    )
    body_timeout_s: float = _setting(
        "CARELANE_BODY_TIMEOUT_S",
        "A call's body must have arrived within so many seconds.",
        30.0,
        _positive_float,
    )
    webhooks_allow_private: bool = _setting(
        "CARELANE_WEBHOOKS_ALLOW_PRIVATE",
        "1 lets webhooks call http:// addresses and private networks. For trying out only.",
        False,
        _flag,
    )
    demo_portal: bool = _setting(
        "CARELANE_DEMO_PORTAL",
        "1 serves a small page on which one writes a message as a patient. For trying out only.",
        False,
        _flag,
    )
    intake_url: str = _setting(
        "CARELANE_INTAKE_URL",
        "Where the intake is reached, for links and clients.",
        "http://127.0.0.1:8000",
    )
    api_key: str | None = _setting(
        "CARELANE_API_KEY", "The key that `carelane submit` sends.", None, secret=True
    )
    emergency_number: str = _setting(
        "CARELANE_EMERGENCY_NUMBER",
        "The telephone number that patients are told to call when minutes may count.",
        "911",
    )
    dashboard_url: str = _setting(
        "CARELANE_DASHBOARD_URL",
        "Where the dashboard is reached, for links.",
        "http://127.0.0.1:8001",
    )
    session_idle_s: float = _setting(
        "CARELANE_SESSION_IDLE_S",
        "A dashboard session ends after so long without anything done, in seconds.",
        1800.0,
        _positive_float,
    )
    session_max_s: float = _setting(
        "CARELANE_SESSION_MAX_S",
        "A dashboard session ends so long after sign-in whatever is done, in seconds.",
        43200.0,
        _positive_float,
    )
    oidc_issuer: str | None = _setting(
        "CARELANE_OIDC_ISSUER",
        "Issuer of the OpenID provider by which people may sign in to the dashboard, beside local "
        "accounts. Unset: local accounts only.",
        None,
    )
    oidc_client_id: str | None = _setting(
        "CARELANE_OIDC_CLIENT_ID", "The dashboard's client id at that provider.", None
    )
    oidc_client_secret: str | None = _setting(
        "CARELANE_OIDC_CLIENT_SECRET",
        "The dashboard's client secret at that provider.",
        None,
        secret=True,
    )
    oidc_scopes: str = _setting(
        "CARELANE_OIDC_SCOPES", "Scopes asked of that provider.", "openid profile email"
    )
    oidc_name_claim: str = _setting(
        "CARELANE_OIDC_NAME_CLAIM",
        "Claim that becomes the user's name at the first sign-in.",
        "preferred_username",
    )
    oidc_role_claim: str = _setting(
        "CARELANE_OIDC_ROLE_CLAIM", "Claim that holds a person's roles or groups.", "roles"
    )
    oidc_roles: str | None = _setting(
        "CARELANE_OIDC_ROLES",
        "Which values of that claim are which role, e.g. `Nurses=clinician; Heads=lead`: the first "
        "that somebody has counts. Unset: the claim holds our own roles' names.",
        None,
    )
    trusted_proxies: int = _setting(
        "CARELANE_TRUSTED_PROXIES",
        "How many reverse proxies in front may say who the client is (X-Forwarded-For, -Proto).",
        0,
        _not_negative_int,
    )
    # Waiting and trying again
    fast_lease_s: float = _setting(
        "CARELANE_FAST_LEASE_S",
        "A fast worker's claim on a message lasts so long, in seconds; below the visibility "
        "timeout.",
        25.0,
        _positive_float,
    )
    llm_lease_s: float = _setting(
        "CARELANE_LLM_LEASE_S",
        "An LLM worker's claim lasts so long between heartbeats, in seconds; below the "
        "visibility timeout.",
        50.0,
        _positive_float,
    )
    max_attempts: int = _setting(
        "CARELANE_MAX_ATTEMPTS",
        "Tries per tier before a message goes to a person.",
        5,
        _positive_int,
    )
    sweep_every_s: float = _setting(
        "CARELANE_SWEEP_EVERY_S",
        "Seconds between two looks for messages that wait too long.",
        10.0,
        _positive_float,
    )
    sweep_after_s: float = _setting(
        "CARELANE_SWEEP_AFTER_S",
        "A message that waited so long without progress, in seconds, is enqueued again.",
        120.0,
        _positive_float,
    )
    give_up_after_s: float = _setting(
        "CARELANE_GIVE_UP_AFTER_S",
        "A message without a label after so long, in seconds, goes to a person.",
        3600.0,
        _positive_float,
    )
    # LLM
    openai_api_key: str | None = _setting(
        "OPENAI_API_KEY", "Key of the LLM. Without it the LLM tier is off.", None, secret=True
    )
    openai_base_url: str | None = _setting(
        "OPENAI_BASE_URL", "Address of an OpenAI-compatible server. Unset: OpenAI.", None
    )
    llm_model: str = _setting("CARELANE_LLM_MODEL", "Name of the LLM.", "gpt-4o-mini")
    llm_simulated: bool = _setting(
        "CARELANE_LLM_SIMULATED",
        "1 says on every page that the LLM is simulated; `make run` sets it with its stand-in.",
        False,
        _flag,
    )
    llm_timeout_s: float = _setting(
        "CARELANE_LLM_TIMEOUT_S",
        "Longest wait for one LLM answer, in seconds.",
        30.0,
        _positive_float,
    )
    llm_concurrency: int = _setting(
        "CARELANE_LLM_CONCURRENCY", "LLM calls in flight per worker process.", 32, _positive_int
    )
    llm_input_usd_per_million: float = _setting(
        "CARELANE_LLM_INPUT_USD_PER_MILLION",
        "Price of a million input tokens, in US dollars.",
        0.15,
        _not_negative_float,
    )
    llm_cached_usd_per_million: float = _setting(
        "CARELANE_LLM_CACHED_USD_PER_MILLION",
        "Price of a million cached input tokens, in US dollars.",
        0.075,
        _not_negative_float,
    )
    llm_output_usd_per_million: float = _setting(
        "CARELANE_LLM_OUTPUT_USD_PER_MILLION",
        "Price of a million output tokens, in US dollars.",
        0.60,
        _not_negative_float,
    )
    llm_cache_days: float = _setting(
        "CARELANE_LLM_CACHE_DAYS",
        "An equal message gets an earlier LLM label for so long, in days; 0 turns the cache off.",
        30.0,
        _not_negative_float,
    )
    llm_cache_entries: int = _setting(
        "CARELANE_LLM_CACHE_ENTRIES", "Most labels kept in the cache.", 200_000, _positive_int
    )
    llm_daily_budget_usd: float = _setting(
        "CARELANE_LLM_DAILY_BUDGET_USD",
        "Most that LLM calls may cost in a day (UTC), in US dollars; then people decide. "
        "0: no limit.",
        0.0,
        _not_negative_float,
    )
    llm_requests_per_minute: float = _setting(
        "CARELANE_LLM_REQUESTS_PER_MINUTE",
        "Most LLM calls per minute of all workers together. 0: no limit.",
        0.0,
        _not_negative_float,
    )
    llm_tokens_per_minute: float = _setting(
        "CARELANE_LLM_TOKENS_PER_MINUTE",
        "Most LLM tokens per minute of all workers together. 0: no limit.",
        0.0,
        _not_negative_float,
    )
    llm_batch_messages: int = _setting(
        "CARELANE_LLM_BATCH_MESSAGES", "Most messages in one LLM prompt.", 8, _positive_int
    )
    llm_quick_calls: int = _setting(
        "CARELANE_LLM_QUICK_CALLS",
        "So many LLM calls of a process start at once; beyond them messages gather into prompts.",
        2,
        _positive_int,
    )
    llm_stream: bool = _setting(
        "CARELANE_LLM_STREAM",
        "0 waits for whole LLM answers, for servers that cannot stream.",
        True,
        _flag,
    )
    llm_wait_s: float = _setting(
        "CARELANE_LLM_WAIT_S",
        "While the LLM is down, a message waits so long for it, in seconds; then a person decides.",
        900.0,
        _positive_float,
    )
    llm_hedge_share: float = _setting(
        "CARELANE_LLM_HEDGE_SHARE",
        "Share of LLM calls that may be asked a second time when slow (0.05 is 5 %). 0: never.",
        0.05,
        _not_negative_float,
    )
    llm_speculate: bool = _setting(
        "CARELANE_LLM_SPECULATE",
        "1 asks the LLM about red-flagged messages while the fast tier has yet to decide; where it "
        "is sure the call is broken off, and paid for. The intake and the LLM workers need it.",
        False,
        _flag,
    )
    llm_check_share: float = _setting(
        "CARELANE_LLM_CHECK_SHARE",
        "Share of the small model's sure labels that the LLM is asked about too, to see it age.",
        0.01,
        _not_negative_float,
    )
    llm_text_days: float = _setting(
        "CARELANE_LLM_TEXT_DAYS",
        "What the LLM was sent (masked) and answered is kept for so long, in days, for the "
        "message's page. 0: never stored.",
        30.0,
        _not_negative_float,
    )
    # Retention
    keep_messages_days: float = _setting(
        "CARELANE_KEEP_MESSAGES_DAYS",
        "`carelane retention` removes a message that is done, with all that hangs on it, so many "
        "days after it came in. 0: never.",
        0.0,
        _not_negative_float,
    )
    keep_labels_days: float = _setting(
        "CARELANE_KEEP_LABELS_DAYS",
        "It removes labels that no longer count, of messages that stay, after so many days. "
        "0: never.",
        0.0,
        _not_negative_float,
    )
    keep_calls_days: float = _setting(
        "CARELANE_KEEP_CALLS_DAYS",
        "It removes what LLM calls cost and took after so many days, where no label names the "
        "call. 0: never.",
        0.0,
        _not_negative_float,
    )
    keep_audit_days: float = _setting(
        "CARELANE_KEEP_AUDIT_DAYS",
        "It removes audit rows after so many days, 90 at least. 0: never.",
        0.0,
        _audit_days,
    )
    # De-identification
    deid_budget_ms: float = _setting(
        "CARELANE_DEID_BUDGET_MS",
        "Longest time for masking a message of usual length; longer texts get more. Past it the "
        "message goes to a person.",
        20.0,
        _positive_float,
    )
    # Metrics
    metrics_dir: Path | None = _setting(
        "CARELANE_METRICS_DIR",
        "Folder in which the processes of one machine or container count together for Prometheus; "
        "empty it at boot. Unset: each process counts for itself.",
        None,
        Path,
    )
    metrics_port: int = _setting(
        "CARELANE_METRICS_PORT",
        "Port at which a process that is no web server gives out its counters, at /metrics. "
        "0: none.",
        0,
        _not_negative_int,
    )
    metrics_host: str = _setting(
        "CARELANE_METRICS_HOST", "Address that this port is bound to.", "127.0.0.1"
    )
    metrics_token: str | None = _setting(
        "CARELANE_METRICS_TOKEN",
        "What Prometheus must send (Authorization: Bearer) to read /metrics. Without one the "
        "dashboard shows it to signed-in operations staff only, and the intake to nobody.",
        None,
        secret=True,
    )
    # Traces
    otlp_endpoint: str | None = _setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "Where traces are sent (OTLP over HTTP), e.g. http://collector:4318. Unset: none are made.",
        None,
    )
    # All processes
    log_level: str = _setting(
        "CARELANE_LOG_LEVEL", "DEBUG, INFO, WARNING or ERROR. No level logs message text.", "INFO"
    )

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Read every field from `env`; an empty variable counts as unset.

        Raises:
            SettingsError: a value cannot be read; the text names the variable.
        """
        values: dict[str, Any] = {}
        for each in fields(cls):
            name = each.metadata["env"]
            text = env.get(name, "").strip()
            if not text:
                continue
            try:
                values[each.name] = each.metadata["parse"](text)
            except ValueError as error:
                shown = "(hidden)" if each.metadata["secret"] else repr(text)
                raise SettingsError(
                    f"{name} is {shown}: {error}. It means: {each.metadata['about']}"
                ) from error
        return cls(**values)

    def require(self, field_name: str) -> str:
        """The text of a field that this process cannot do without.

        Raises:
            SettingsError: it is unset; the text names its variable.
        """
        value = getattr(self, field_name)
        if value is None:
            metadata = next(each.metadata for each in fields(self) if each.name == field_name)
            raise SettingsError(f"{metadata['env']} is not set. It means: {metadata['about']}")
        return str(value)
