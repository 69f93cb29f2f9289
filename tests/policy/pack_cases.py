"""Small checks, a catalogue and a policy to load, lint and break."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.policies import Policy
from auditor.domain.readings import BoundKind, Reading, Unit
from auditor.policy.control_catalogues import FrameworkCatalogue
from auditor.policy.load import load_policy


@dataclass(frozen=True, slots=True)
class Counting(Check):
    """What the checks below share: they cost nothing and see nothing."""

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[Need]] = frozenset()

    def cost(self, size: AuditSize) -> CheckCost:
        return CheckCost(queries=size.rows)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        return {}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        return {}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Accuracy(Counting):
    id: ClassVar[str] = "quality.accuracy"
    title: ClassVar[str] = "Accuracy"
    emits: ClassVar[Mapping[str, Metric]] = {
        "accuracy": Metric("Accuracy", Unit.SHARE, higher_is_better=True),
        "nll": Metric("Negative log-likelihood", Unit.NAT, higher_is_better=False),
    }


@dataclass(frozen=True, slots=True)
class Attack(Counting):
    eps: tuple[float, ...] = (0.1, 0.02)
    steps: int = 20
    norm: str = "linf"

    id: ClassVar[str] = "evasion.linf"
    title: ClassVar[str] = "Accuracy under attack"
    emits: ClassVar[Mapping[str, Metric]] = {
        "robust_accuracy": Metric(
            "Accuracy under attack", Unit.SHARE, BoundKind.AT_MOST, higher_is_better=True
        ),
    }
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.FULL: {"eps": (0.01, 0.02, 0.05), "steps": 100}
    }
    grid: ClassVar[Mapping[str, str]] = {"eps": "eps"}

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError("steps must be at least 1")


@dataclass(frozen=True, slots=True)
class Signature(Counting):
    id: ClassVar[str] = "provenance.signature"
    title: ClassVar[str] = "Signature"
    emits: ClassVar[Mapping[str, Metric]] = {
        "verified": Metric("The signature holds", Unit.NONE, higher_is_better=True, exact=True),
        "signers": Metric("Signers", Unit.COUNT, exact=True),
    }


@dataclass(frozen=True, slots=True)
class Latency(Counting):
    id: ClassVar[str] = "hardware.latency"
    title: ClassVar[str] = "Latency"
    emits: ClassVar[Mapping[str, Metric]] = {
        "p99": Metric("99th percentile", Unit.SECOND, higher_is_better=False),
        "throughput": Metric("Throughput", Unit.PER_SECOND, higher_is_better=True),
        "size": Metric("Size", Unit.BYTE, higher_is_better=False),
    }


CHECKS: Mapping[str, type[Check]] = {
    item.id: item for item in (Accuracy, Attack, Signature, Latency)
}
CATALOGUES = {
    "owasp-ml": FrameworkCatalogue(
        "owasp-ml",
        "OWASP ML",
        "2023",
        "https://owasp.org",
        "2026-11-27",
        {"ML01": "Input Manipulation"},
        "sha256:" + "ca" * 32,
    )
}

HEAD = """\
apiVersion: auditor/v1
kind: Policy
metadata: {name: mine, version: 1.0.0, owner: risk@example.org}
params: {floor: 0.8, word: high}
"""
RULE: dict[str, Any] = {
    "id": "accurate",
    "title": "It is accurate",
    "severity": "high",
    "measure": "quality.accuracy/accuracy",
    "at_least": "params.floor",
}


def written(*rules: Mapping[str, Any], head: str = HEAD) -> bytes:
    """Return a policy file of these rules, one setting a line."""
    lines = ["rules:" if rules else "rules: []"]
    for rule in rules:
        for index, (key, value) in enumerate(rule.items()):
            lines.append(f"  {'-' if index == 0 else ' '} {key}: {_yaml(value)}")
    return (head + "\n".join(lines) + "\n").encode()


def changed(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 -- whatever a file may say
    """Return the rule above with settings changed, or left out where they are ``None``."""
    return {key: value for key, value in {**RULE, **changes}.items() if value is not None}


def loaded(raw: bytes) -> Policy:
    """Load a policy against the checks and the catalogue above."""
    return load_policy(raw, "mine.yaml", CHECKS, CATALOGUES)


def _yaml(value: Any) -> str:  # noqa: ANN401 -- whatever a file may say
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_yaml(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return ".inf" if value == float("inf") else str(value)
