import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from auditor.checks.discovery import discover
from auditor.cli.showing import show_record, show_rows
from auditor.domain.budgets import Budget
from auditor.domain.canonical import Json
from auditor.domain.findings import Finding
from auditor.domain.policies import Assurance, Effect, Limits, Policy, Rule, Severity
from auditor.domain.readings import Gap, Measurement, Reading, Reason, Unit
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest, PolicyRef
from auditor.domain.targets import TargetSpec
from auditor.domain.verdicts import Outcome

LONG = "accuracy-under-a-bounded-attack"
GAP = Gap(
    reason=Reason.NEEDS_TWIN,
    detail="No twin.",
    cure="Name one.",
    target="cpu",
    check="evasion.linf",
)


def rule(measure: str, *, limits: Limits | None = None, require: str | None = None) -> Rule:
    check, metric = measure.split("/")
    return Rule(
        id=LONG, title="It holds", severity=Severity.HIGH, effect=Effect.DENY, check=check,
        metric=metric, limits=limits, require=require,
    )  # fmt: skip


def shown(asked: Rule, reading: Reading, width: int = 80) -> str:
    """The table of one finding about ``reading``, as a terminal of that width shows it."""
    policy = Policy(
        name="p", version="1", owner="o", digest="sha256:0", document={}, source="p", rules=(asked,)
    )
    request = AuditRequest(
        name="m", version="1", artifact=None, targets=(TargetSpec("cpu"),), datasets=(),
        policy=PolicyRef("p", "1", "sha256:0"), audit_file="sha256:1", seed=1, budget=Budget.CI,
    )  # fmt: skip
    finding = Finding(
        rule=asked.id, title=asked.title, target="cpu", measure=asked.measure,
        outcome=Outcome.UNKNOWN, effect=asked.effect, severity=asked.severity, readings=(0,),
        controls=(), message="", remediation="",
        limits=f"`{asked.require}`" if asked.limits is None else asked.limits.words(),
    )  # fmt: skip
    record = AuditRecord(
        id="aud-0", derived_from=None, assurance=Assurance.A0, request=request, confidence=0.95,
        fingerprints={}, observations=(), readings=(reading,), findings=(finding,), lineage=(),
        tool={}, registered="2026-01-01T00:00:00Z", finished="2026-01-01T00:00:00Z",
    )  # fmt: skip
    written = io.StringIO()
    show_record(Console(file=written, width=width), record, policy, discover())
    return written.getvalue()


def figure(value: object, **more: Any) -> Measurement:  # noqa: ANN401 -- any field
    fields: Mapping[str, Any] = {"unit": Unit.SHARE, "method": "exact", "n": 9, **more}
    return Measurement(metric="m", value=value, target="cpu", check="c", **fields)  # type: ignore[arg-type]  # any value


@pytest.mark.parametrize("width", [64, 80])
def test_ids_of_rules_stay_whole_and_the_rest_folds(width: int) -> None:
    text = shown(rule("evasion.linf/robust_accuracy", limits=Limits(least=0.4)), GAP, width)
    assert LONG in text
    assert max(map(len, text.split("needs_twin No twin")[0].splitlines())) <= width


def test_names_in_lists_stay_whole_unless_they_leave_no_room() -> None:
    written = io.StringIO()
    console = Console(file=written, width=80)
    show_rows(console, ("check", "title"), [("evasion.linf_query", "word " * 40)])
    show_rows(console, ("check", "title"), [("x" * 120, "a title that is still to be read")])
    text = written.getvalue()
    assert "evasion.linf_query" in text
    assert text.count("x") == 120
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("measure", "limits", "said"),
    [
        ("evasion.linf/robust_accuracy", Limits(least=0.4), "at least 40 %"),
        ("hardware.latency/p99", Limits(most=0.05), "at most 50 ms"),
        ("hardware.memory/resident_peak", Limits(most=2.0**28), "at most 256 MiB"),
    ],
)
def test_what_is_asked_has_its_unit_where_nothing_was_found(
    measure: str, limits: Limits, said: str
) -> None:
    assert said in shown(rule(measure, limits=limits), GAP, 120)


@pytest.mark.parametrize(("require", "said"), [("!reading.value", "no"), ("reading.value", "yes")])
def test_a_question_asks_for_yes_or_no(require: str, said: str) -> None:
    text = shown(rule("hardware.saturation/at_risk", require=require), GAP, 120)
    assert require not in text
    assert f"needs_twin {said}" in " ".join(text.split())


def test_a_doubted_figure_says_so_beside_its_value() -> None:
    asked = rule("hardware.latency/p99", limits=Limits(most=0.05))
    assert "1 %, doubted" in shown(asked, figure(0.01, doubted=True), 120)
    assert "doubted" not in shown(asked, figure(0.01), 120)


def test_a_suspected_order_of_classes_is_told_under_the_table() -> None:
    other: Json = {"classes": ["1", "0"], "accuracy": 0.97}
    wrong = replace(figure(0.03), details={"other_order": other})
    text = shown(rule("quality.accuracy/accuracy", limits=Limits(least=0.9)), wrong, 120)
    assert "suspicious Were the classes the other way round, accuracy would be 97 %" in text
