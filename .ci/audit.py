"""What `make audit` runs: bandit on our code, pip-audit on lock files, an SBOM of what is deployed.

Only the standard library here: it runs in an environment that has the three tools and nothing of
ours. Ends with 1 for a finding that is not known below, or for a package with a known fault. What
could not be looked up for want of a network is said, and is no failure.

    python .ci/audit.py [bandit|packages|sbom ...]
"""

# ruff: noqa: T201  what it prints is what it is for
from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
SBOM: Final = ROOT / "build" / "sbom" / "carelane.cdx.json"
PACKAGES: Final = (
    "producer",
    "workers",
    "dashboard",
    "shared",
    "migrations",
    "localstack",
    "training",
)
#: Lock files of what is deployed, and of what runs beside it on a developer's machine.
LOCKS: Final = ("runtime.txt", "local.txt", "localstack.txt", "training.txt", "audit.txt")

#: Findings of bandit (medium and above) that were looked at: rule and file, and why they stand.
KNOWN: Final[Mapping[tuple[str, str], str]] = {
    ("B608", "dashboard/rerun.py"): "statements put together from constants of the same file",
    ("B608", "producer/store.py"): "the same",
    ("B608", "shared/reseal.py"): "the same",
    ("B608", "workers/doctor/texts.py"): "the same",
    ("B608", "workers/retention/removal.py"): "the same",
    ("B506", "shared/red_flags/rule_file.py"): "its loader is a SafeLoader",
    ("B310", "localstack/announce.py"): "opens the local stack's own addresses",
    ("B310", "localstack/samples.py"): "the same",
    ("B310", "localstack/sqs.py"): "the same",
    ("B614", "training/deid/release.py"): "reads what training wrote; never at run time",
    ("B614", "training/deid/train.py"): "the same",
    ("B615", "training/deid/network.py"): "a folder on this machine, checked by hash",
    ("B615", "training/encode.py"): "the same",
    ("B615", "training/network.py"): "the same",
}


def main(wanted: Sequence[str]) -> int:
    """Run what is wanted, by default all; the exit code."""
    checks = {"bandit": bandit, "packages": packages, "sbom": sbom}
    good = [checks[name]() for name in wanted or checks]
    return 0 if all(good) else 1


def bandit() -> bool:
    """Whether bandit finds nothing but what is known."""
    print("bandit:", flush=True)
    report = _json("bandit", "-q", "-r", *PACKAGES, "-ll", "-f", "json")
    if report is None:
        return False
    new, gone = compare(report["results"])
    for line in new:
        print(f"  new: {line}")
    for line in gone:
        print(f"  no longer found, take it off the list: {line}")
    print(f"  {len(report['results'])} findings, {len(new)} of them new")
    return not new


def compare(results: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """What bandit found that is not known, and what is known that it did not find. Pure."""
    found = {(each["test_id"], each["filename"].removeprefix("./")) for each in results}
    new = [
        f"{each['test_id']} {each['filename']}:{each['line_number']} {each['issue_text']}"
        for each in results
        if (each["test_id"], each["filename"].removeprefix("./")) not in KNOWN
    ]
    return new, [" ".join(each) for each in KNOWN if each not in found]


def packages() -> bool:
    """Whether no locked package has a fault that PyPI knows of."""
    print("pip-audit:", flush=True)
    good = True
    for lock in LOCKS:
        report = _json(
            *("pip-audit", "--disable-pip", "--require-hashes", "--timeout", "10", "-f", "json"),
            *("-r", f"requirements/{lock}"),
        )
        said, faults = summary(report)
        print(f"  {lock}: {said}", flush=True)
        for fault in faults:
            print(f"    {fault}")
        good &= not faults
    return good


def summary(report: Mapping[str, Any] | None) -> tuple[str, list[str]]:
    """What pip-audit's report says, and the faults in it. Pure."""
    if report is None:
        return "NOT LOOKED AT: no answer; run it where PyPI can be reached", []
    listed = report["dependencies"]
    skipped = [each for each in listed if "skip_reason" in each]
    faults = [
        f"{each['name']} {each['version']}: {fault['id']}, mended in {fault['fix_versions'] or '-'}"
        for each in listed
        for fault in each.get("vulns", ())
    ]
    looked = len(listed) - len(skipped)
    if not looked:
        return f"NOT LOOKED AT: PyPI told nothing of its {len(listed)} packages (no network?)", []
    rest = f", {len(skipped)} NOT LOOKED AT" if skipped else ""
    return f"{looked} packages, {len(faults)} known faults{rest}", faults


def sbom() -> bool:
    """Write what is deployed as CycloneDX; whether every locked package is in it."""
    SBOM.parent.mkdir(parents=True, exist_ok=True)
    lock = ROOT / "requirements" / "runtime.txt"
    command = ("cyclonedx-py", "requirements", str(lock), "--output-reproducible", "-o", str(SBOM))
    subprocess.run([_tool(command[0]), *command[1:]], cwd=ROOT, check=True)
    parts = json.loads(SBOM.read_text())["components"]
    locked = sum("==" in line for line in lock.read_text().splitlines())
    print(f"SBOM: {len(parts)} of {locked} packages in {SBOM.relative_to(ROOT)}")
    return len(parts) == locked


def _json(*command: str) -> Any:
    done = subprocess.run(
        [_tool(command[0]), *command[1:]], cwd=ROOT, check=False, capture_output=True, text=True
    )
    try:
        return json.loads(done.stdout)
    except ValueError:
        print(done.stderr[-400:], file=sys.stderr)
        return None


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
