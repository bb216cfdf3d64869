"""What lies in deploy/ fits the program that it deploys."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboard import state_metrics
from shared.settings import Settings
from workers.celery_app import slowest_task_s

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "docker" / "Dockerfile").read_text()
TARGETS = set(re.findall(r"^FROM base AS (\S+)$", DOCKERFILE, re.MULTILINE))
SECRETS = {
    each.metadata["env"]
    for each in Settings.__dataclass_fields__.values()
    if each.metadata["secret"]
}
ALL_SETTINGS = {each.metadata["env"] for each in Settings.__dataclass_fields__.values()}


def manifests() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in sorted((DEPLOY / "kubernetes").rglob("*.yaml")):
        found += [each for each in yaml.safe_load_all(path.read_text()) if each]
    return found


def of_kind(kind: str) -> Iterator[dict[str, Any]]:
    return (each for each in manifests() if each["kind"] == kind)


def pods() -> dict[str, dict[str, Any]]:
    """Name of the Deployment or Job, and its pod."""
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]
        for each in manifests()
        if each["kind"] in ("Deployment", "Job")
    }


@pytest.mark.parametrize("name", sorted(pods()))
def test_a_pod_runs_as_nobody_special_and_writes_to_memory_only(name: str) -> None:
    pod = pods()[name]
    (container,) = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [each["emptyDir"]["medium"] for each in pod["volumes"]] == ["Memory"]
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}


@pytest.mark.parametrize("name", sorted(pods()))
def test_a_pod_gets_secrets_by_reference_and_knows_every_setting(name: str) -> None:
    (container,) = pods()[name]["containers"]
    (config,) = of_kind("ConfigMap")

    assert not SECRETS & config["data"].keys()
    assert config["data"].keys() <= ALL_SETTINGS
    for each in container["env"]:
        assert each["name"] in ALL_SETTINGS | {"OMP_NUM_THREADS"}
        assert ("valueFrom" in each) == (each["name"] in SECRETS)
    assert not list(of_kind("Secret"))


@pytest.mark.parametrize("name", sorted(set(pods()) - {"schema"}))
def test_a_pod_has_probes_that_its_process_answers(name: str) -> None:
    (container,) = pods()[name]["containers"]
    (port,) = container["ports"]
    readiness = container["readinessProbe"]["httpGet"]["path"]

    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert readiness == ("/readyz" if name in ("intake", "dashboard") else "/healthz")
    assert port["containerPort"] == {"intake": 8000, "dashboard": 8001}.get(name, 9100)


def test_a_worker_is_given_time_for_its_slowest_task_before_it_is_killed() -> None:
    settings, grace_s = (
        Settings(),
        {k: v.get("terminationGracePeriodSeconds") for k, v in pods().items()},
    )

    assert grace_s["fast"] > slowest_task_s(settings) + 5
    assert grace_s["llm"] > settings.llm_timeout_s * 3 + 5
    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())["services"]
    assert int(compose["fast"]["stop_grace_period"].rstrip("s")) > slowest_task_s(settings) + 5
    assert int(compose["llm"]["stop_grace_period"].rstrip("s")) > settings.llm_timeout_s * 3 + 5


def test_budgets_policies_and_scalers_speak_of_pods_that_exist() -> None:
    names = set(pods())

    for each in of_kind("PodDisruptionBudget"):
        assert each["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] in names
    for each in of_kind("NetworkPolicy"):
        for expression in each["spec"]["podSelector"].get("matchExpressions", ()):
            assert set(expression["values"]) <= names
    for each in of_kind("ScaledObject"):
        assert each["spec"]["scaleTargetRef"]["name"] in names
    assert {each["metadata"]["name"] for each in of_kind("ServiceAccount")} == names
    images: set[str] = set()
    for folder in {path.parent for path in (DEPLOY / "kubernetes").rglob("kustomization.yaml")}:
        kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
        files = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert set(kustomization["resources"]) == files
        images |= {each["name"] for each in kustomization["images"]}
    assert images == {each["containers"][0]["image"] for each in pods().values()}


def test_every_pod_has_the_labels_by_which_network_policies_let_it_out() -> None:
    (postgres,) = (
        each["spec"]["podSelector"]["matchLabels"]
        for each in of_kind("NetworkPolicy")
        if each["metadata"]["name"] == "names-and-postgres"
    )
    assert postgres

    for each in (*of_kind("Deployment"), *of_kind("Job")):
        labels = each["spec"]["template"]["metadata"]["labels"]
        assert postgres.items() <= labels.items()
        # What the other policies select by.
        assert labels["app.kubernetes.io/name"] == each["metadata"]["name"]


#: The roles of a package, or of a module, that reads which broker there is.
BROKER_READERS = {
    "producer/publisher.py": {"relay"},
    "workers": {"fast", "llm"},
    "dashboard": {"dashboard"},
}


def test_every_role_that_reads_the_broker_is_told_of_it() -> None:
    roles: set[str] = set()
    for package in ("producer", "workers", "dashboard"):
        for path in (ROOT / package).rglob("*.py"):
            if "broker_url" in path.read_text():
                name = path.relative_to(ROOT).as_posix()
                # Not there: say above which roles run the module.
                roles |= BROKER_READERS.get(name) or BROKER_READERS[package]
    told = {
        name
        for name, pod in pods().items()
        if "CARELANE_BROKER_URL" in {each["name"] for each in pod["containers"][0]["env"]}
    }

    assert roles == told == {"relay", "fast", "llm", "dashboard"}


def test_only_who_reads_or_writes_patients_words_gets_the_keys_to_them() -> None:
    told = {
        name
        for name, pod in pods().items()
        if "CARELANE_TEXT_KEYS" in {each["name"] for each in pod["containers"][0]["env"]}
    }
    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())["services"]
    # One file of variables for all: taken away where it is not needed.
    withheld = {
        name
        for name, each in compose.items()
        if each.get("environment", {}).get("CARELANE_TEXT_KEYS") == ""
    }

    assert told == {"intake", "intake-queue", "fast", "llm", "dashboard"}
    assert withheld == {"relay", "sweeper", "webhooks"}
    for name in told:
        names = {each["name"] for each in pods()[name]["containers"][0]["env"]}
        assert "CARELANE_HMAC_KEY" in names, "sealed texts are searched by its hashes"


def test_the_provider_of_sign_in_is_spoken_to_by_the_dashboard_alone() -> None:
    told = {
        name
        for name, pod in pods().items()
        if "CARELANE_OIDC_CLIENT_SECRET" in {each["name"] for each in pod["containers"][0]["env"]}
    }

    assert told == {"dashboard"}


def test_a_pod_that_cannot_start_without_a_secret_does_not_take_it_as_optional() -> None:
    needed = {
        "llm": {"CARELANE_DATABASE_URL", "OPENAI_API_KEY"},
        "intake": {"CARELANE_DATABASE_URL", "CARELANE_HMAC_KEY"},
        "dashboard": {"CARELANE_DATABASE_URL", "CARELANE_SECRET_KEY"},
        "webhooks": {"CARELANE_DATABASE_URL", "CARELANE_HMAC_KEY"},
    }

    for name, pod in pods().items():
        (container,) = pod["containers"]
        firm = {
            each["name"]
            for each in container["env"]
            if "valueFrom" in each and not each["valueFrom"]["secretKeyRef"].get("optional")
        }
        assert needed.get(name, {"CARELANE_DATABASE_URL"}) <= firm


def test_the_example_for_compose_gives_the_openai_library_no_empty_address() -> None:
    lines = (DEPLOY / "compose" / "carelane.env.example").read_text().splitlines()
    given = {line.partition("=")[0] for line in lines if line and not line.startswith("#")}

    # The library reads the variable by itself; ours count empty ones as unset.
    assert "OPENAI_BASE_URL" not in given
    assert given <= ALL_SETTINGS


def test_scaling_goes_by_age_and_by_backlog_with_what_is_in_hand() -> None:
    for each in of_kind("ScaledObject"):
        queries = " ".join(trigger["metadata"]["query"] for trigger in each["spec"]["triggers"])
        named = set(re.findall(r"carelane_\w+", queries))

        # Sent and not settled: what lies in the queue and what workers hold.
        assert {"carelane_sent_messages", "carelane_sent_oldest_seconds"} <= named
        assert named <= set(state_metrics.GAUGES)


def test_every_image_is_a_target_and_every_target_ends_as_a_user_without_rights() -> None:
    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())["services"]

    assert {each["build"]["target"] for each in compose.values()} <= TARGETS
    for pod in pods().values():
        assert pod["containers"][0]["image"].removeprefix("carelane-") in TARGETS
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    for service in compose.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


def test_the_packages_of_an_image_are_checked_by_hash() -> None:
    script = (DEPLOY / "docker" / "tree.sh").read_text()

    assert "--require-hashes -r" in script
    assert "RUN sh deploy/docker/tree.sh /" in DOCKERFILE


def test_the_tree_holds_the_program_read_only_and_neither_tests_nor_training(
    tmp_path: Path,
) -> None:
    command = f"sh {shlex.quote(str(DEPLOY / 'docker' / 'tree.sh'))} {tmp_path} code"
    subprocess.run(shlex.split(command), check=True, timeout=60)

    app = tmp_path / "app"
    there = {path.name for path in app.iterdir()}
    assert {"producer", "workers", "dashboard", "shared", "migrations", "deploy"} <= there
    assert not {"tests", "training", "bench", "localstack", ".git"} & there
    assert (app / "deploy" / "queues.yaml").exists()
    assert not [path for path in app.rglob("*") if path.stat().st_mode & 0o222]
    assert not list(app.rglob("__pycache__"))


def test_the_builder_is_sent_what_the_tree_needs() -> None:
    sent = (DEPLOY / "docker" / "Dockerfile.dockerignore").read_text().splitlines()

    assert sent[1] == "*"
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for each in source.split():
            assert f"!{each}" in sent
            assert (ROOT / each).exists()


def test_alarms_watch_queues_that_the_template_makes() -> None:
    queues = (DEPLOY / "queues.yaml").read_text()
    watched = set(re.findall(r'Value: !Sub "\$\{QueuePrefix\}-([a-z-]+)"', _alarms()))

    assert {"priority", "fast", "llm", "intake", "fast-dlq"} <= watched
    for name in watched:
        assert f'QueueName: !Sub "${{QueuePrefix}}-{name}"' in queues


def test_alarms_name_pages_of_the_run_book() -> None:
    run_book = (ROOT / "docs" / "operations.md").read_text()

    for name in re.findall(r"Run-book (\w+)", _alarms()):
        assert f"#### {name}" in run_book


def _alarms() -> str:
    return (DEPLOY / "alarms.yaml").read_text()
