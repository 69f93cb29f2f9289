"""Checks that their time cut short go on with what others left, and no row is attacked twice."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from evasion_toys import LinearTwin, ToyModel, box, classes, linear, subject
from interrupted_audits import Stopping
from numpy.typing import NDArray
from watching import Nobody

from auditor.checks.evasion.l1 import L1EvasionCheck
from auditor.checks.evasion.l2 import L2EvasionCheck
from auditor.checks.evasion.linf import LinfEvasionCheck
from auditor.checks.evasion.linf_query import LinfQueryCheck
from auditor.checks.measure import compute_readings
from auditor.checks.quality.accuracy import AccuracyCheck
from auditor.domain.audit_checkpoint import AuditCheckpoint
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import Subject
from auditor.domain.checks import Check
from auditor.domain.evidence import Evidence
from auditor.domain.observed_checks import ObservedCheck, Result
from auditor.domain.policies import MetricLimits, Rule, RuleEffect, Severity
from auditor.domain.readings import Gap, GapReason, Measurement
from auditor.domain.row_limits import ROWS_IN_TIME, FixedRows
from auditor.domain.target_spend import TargetSpend
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, Floats
from auditor.errors import AuditorError, CancelledError, LimitReachedError, ModelCrashedError
from auditor.store.resume_cache import ResumeCache
from auditor.workflows.engine.local import observe_checks
from auditor.workflows.engine.time_allowance import TimeAllowance
from auditor.workflows.progress import CallbackProgress

ROWS = 120
SIZE = AuditSize(rows=ROWS, classes=2)
OPEN = LinfEvasionCheck(eps=(0.05,), stages=("cross_entropy:8",), rows=ROWS)
"""No planned look decides the rule on it."""
CLEAR = L2EvasionCheck(eps=(2.0,), stages=("cross_entropy:20",), rows=ROWS)
"""Ten rows decide the rule on it, so that most of its time is left."""
UNASKED = L1EvasionCheck(eps=(0.5,), stages=("cross_entropy:20",), rows=ROWS)
CHECKS = (UNASKED, OPEN, CLEAR, AccuracyCheck())


def rule(check: Check, least: float) -> Rule:
    return Rule(
        id=check.id,
        title="",
        severity=Severity.HIGH,
        effect=RuleEffect.DENY,
        check=check.id,
        metric="robust_accuracy",
        limits=MetricLimits(least=least),
        accept_withstood=True,
    )


RULES = (rule(OPEN, 0.72), rule(CLEAR, 0.5))
SECONDS = 0.55 * OPEN.cost(SIZE).price(1.0, 3.0)
ALLOWED = TimeAllowance(
    TargetSpec("cpu"), SIZE, Budget.CI, SECONDS, CHECKS, frozenset({OPEN.id, CLEAR.id}), RULES, 2
)


@dataclass(slots=True)
class PacedModel(ToyModel):
    """A target that tells its pace, and fails with ``error`` at some number of rows."""

    pace: float = 1.0
    error: AuditorError | None = None
    fails_after: float = float("inf")

    def predict(self, inputs: Array) -> Floats:
        if self.error is not None and self.queries + len(inputs) > self.fails_after:
            raise self.error
        return ToyModel.predict(self, inputs)


@dataclass(frozen=True, slots=True)
class NotedMemory:
    """A memory that notes the names of all that it is to remember."""

    memory: AuditCheckpoint
    names: list[str] = field(default_factory=list)

    def recall(self, name: str) -> Evidence | None:
        return self.memory.recall(name)

    def remember(self, name: str, evidence: Evidence) -> None:
        self.names.append(name)
        self.memory.remember(name, evidence)


def paced(memory: AuditCheckpoint | None = None, **more: Any) -> Subject:  # noqa: ANN401 -- fields
    """Return a linear model, whose twin is exact, on rows that it gets right."""
    plain, twin, weights, bias = linear(3, 6)
    rows = np.random.default_rng(5).random((ROWS, 6))
    labels: NDArray[np.int64] = (rows @ weights + bias).argmax(axis=1)
    seen = subject(PacedModel(plain.logits, **more), twin, rows, labels, box((6,)), classes(2))
    return seen if memory is None else replace(seen, memory=memory)


def audited(
    seen: Subject, watch: Nobody | CallbackProgress | None = None, **more: object
) -> dict[str, Result]:
    allowance = replace(ALLOWED, **more)  # type: ignore[arg-type] -- fields of the allowance
    results = observe_checks(CHECKS, seen, lambda _: None, watch or Nobody(), allowance)
    return {check.id: it for check, it in zip(CHECKS, results, strict=True)}


def cut(result: Result) -> dict[str, Any]:
    assert isinstance(result, ObservedCheck)
    return cast("dict[str, Any]", result.evidence[ROWS_IN_TIME])


def spent(seen: Subject) -> TargetSpend:
    """Return what was spent, but for the time of the clock on the wall."""
    found = seen.counter.read(TargetSpend.of_process(seen.model, seen.bench, seen.twin))
    return replace(found, elapsed=0.0)


def test_a_check_goes_on_with_the_time_that_a_decided_one_left(tmp_path: Path) -> None:
    """Without a memory none goes on: rows that were seen would be attacked again."""
    memory = NotedMemory(ResumeCache(tmp_path))
    seen = paced(memory)
    short, found = audited(paced()), audited(seen)
    before, after = cut(short[OPEN.id]), cut(found[OPEN.id])
    assert not before["decided"]
    assert after["rows"] > 1.5 * before["rows"]
    assert after["parts"][: len(before["parts"])] == before["parts"]
    assert sum(after["parts"]) == after["rows"] <= after["of"]
    assert after["looks"] == before["looks"]
    assert cut(found[CLEAR.id]) == cut(short[CLEAR.id])
    parts = [name for name in memory.names if " part " in name]
    assert len(parts) == len(set(parts)), "a part was attacked twice"
    # All gradients that the twin took are those of rows in the evidence
    assert isinstance(seen.twin, LinearTwin)
    assert seen.twin.passes == sum(
        cut(it)["passes"] for it in found.values() if ROWS_IN_TIME in evidence(it)
    )
    assert spent(seen).queries + 3 * spent(seen).passes <= 1.1 * SECONDS


def evidence(result: Result) -> Evidence:
    return {} if isinstance(result, Gap) else result.evidence


def test_what_rules_ask_for_has_the_time_before_an_attack_that_none_asks_for(
    tmp_path: Path,
) -> None:
    seen = paced(ResumeCache(tmp_path))
    found = audited(seen)
    assert cut(found[OPEN.id])["rows"] < ROWS
    assert isinstance(found[UNASKED.id], Gap)
    assert isinstance(audited(paced())[UNASKED.id], ObservedCheck)


def test_a_plan_gives_attacks_without_a_rule_only_what_the_others_leave() -> None:
    """The first attack has half of the time, and all that the small one after it leaves."""
    small = LinfQueryCheck(rows=20, iterations=10)
    checks, asked = (CLEAR, small, UNASKED), frozenset({CLEAR.id, small.id})
    costs = [check.cost(SIZE).price(1.0, 3.0) for check in checks]
    allowed = replace(ALLOWED, asked=asked)
    scarce, ample = (
        replace(allowed, seconds=seconds).foresee(checks, paced())
        for seconds in (0.9 * costs[0], sum(costs[:2]) + costs[2] / 2)
    )
    assert [isinstance(it[CLEAR.id], int) for it in (scarce, ample)] == [True, True]
    assert small.id not in scarce
    assert isinstance(scarce[UNASKED.id], Gap)
    assert ample[UNASKED.id] == pytest.approx(ROWS / 2, abs=5)


def test_a_record_repeats_the_parts_of_a_check_that_went_on(tmp_path: Path) -> None:
    found = audited(paced(ResumeCache(tmp_path)))
    repeats = {
        name: FixedRows(
            tuple(said["parts"]),
            said["races"],
            said["looks"],
            said["decided"],
            tuple(said.get("asked", ())),
        )
        for name in (OPEN.id, CLEAR.id)
        for said in [cut(found[name])]
    }
    again = audited(paced(), repeats=repeats, seconds=1e9)
    for name in repeats:
        first, second = found[name], again[name]
        assert isinstance(first, ObservedCheck)
        assert isinstance(second, ObservedCheck)
        assert second.observation.evidence == first.observation.evidence
        assert compute_readings([second], 0.95) == compute_readings([first], 0.95)


def test_only_a_planned_look_ends_a_check_for_good() -> None:
    """Not its interval where its time ends, which may decide: that would be one more look."""
    short = audited(paced(), seconds=0.1 * SECONDS)[CLEAR.id]
    assert isinstance(short, ObservedCheck)
    assert 5 < cut(short)["rows"] < 10
    (robust,) = (
        it
        for it in compute_readings([short], 0.95)
        if isinstance(it, Measurement) and it.metric == "robust_accuracy"
    )
    assert robust.high is not None
    assert robust.high < 0.5, "the end of its time decides the rule"
    assert ALLOWED.may_go_on(CLEAR, short)


@pytest.mark.parametrize(
    ("change", "goes_on"),
    [
        ({}, True),
        ({"decided": True}, False),
        ({"rows": ROWS}, False),
    ],
)
def test_a_check_goes_on_where_rows_are_left_and_no_look_decided(
    change: dict[str, object], *, goes_on: bool
) -> None:
    seen = audited(paced())[OPEN.id]
    assert isinstance(seen, ObservedCheck)
    changed = replace(seen, evidence={**seen.evidence, ROWS_IN_TIME: {**cut(seen), **change}})
    assert ALLOWED.may_go_on(OPEN, changed) is goes_on
    assert not replace(ALLOWED, asked=frozenset()).may_go_on(OPEN, changed)
    assert not replace(ALLOWED, repeats={OPEN.id: FixedRows((1,))}).may_go_on(OPEN, changed)


def test_a_model_that_answers_at_random_is_seen_once(tmp_path: Path) -> None:
    """Its clean rows read otherwise each time, so that no part of them would be recalled."""
    memory = NotedMemory(ResumeCache(tmp_path))
    audited(paced(memory, deterministic=False))
    assert not any("turn" in name for name in memory.names)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (LimitReachedError("the server answers no more", cure="Wait."), None),
        (ModelCrashedError("the model crashed", cure="Mend it."), GapReason.MODEL_CRASHED),
    ],
)
def test_a_limit_keeps_what_was_seen_and_a_crash_does_not(
    tmp_path: Path, error: AuditorError, reason: GapReason | None
) -> None:
    once, before = paced(), audited(paced())
    observe_checks([OPEN, CLEAR, AccuracyCheck()], once, lambda _: None, Nobody(), ALLOWED)
    assert isinstance(once.model, PacedModel)
    failing = paced(ResumeCache(tmp_path), error=error, fails_after=once.model.queries + 5)
    found = audited(failing)[OPEN.id]
    if reason is None:
        assert cut(found) == cut(before[OPEN.id])
    else:
        assert isinstance(found, Gap)
        assert found.reason is reason


def test_progress_counts_a_check_once_and_names_it_again(tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    progress = CallbackProgress(lambda *said: told.append(said))
    progress.expects({("unnamed", check.id): 1.0 for check in CHECKS})
    audited(paced(ResumeCache(tmp_path)), progress)
    assert (f"{OPEN.id} on unnamed, more rows in the time that is left") in [it[2] for it in told]
    assert told[-1][:2] == (len(CHECKS), len(CHECKS))
    assert [it[0] for it in told] == sorted(it[0] for it in told)


@pytest.mark.parametrize("moments", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_an_audit_that_was_interrupted_while_a_check_went_on_reads_as_an_undisturbed_one(
    tmp_path: Path, moments: int
) -> None:
    """Its rows, its evidence and its clock."""
    turns: list[int] = []

    class Turns(Stopping):
        def started(self, target: str, check: Check) -> None:
            if check.id in self.done:
                turns.append(self.said)
            Stopping.started(self, target, check)

    whole, last = Turns(), paced(ResumeCache(tmp_path / "whole"))
    expected = audited(last, whole)
    at = np.linspace(turns[0] * 0.8, whole.said - 1, moments).astype(int)
    assert sum(at > turns[0]) >= moments // 2
    for moment in at.tolist():
        folder = tmp_path / f"at {moment}"
        first, seen = Stopping(moment), paced(ResumeCache(folder))
        with pytest.raises(CancelledError):
            audited(seen, first)
        memory = NotedMemory(ResumeCache(folder))
        again = paced(memory)
        found = audited(again, Nobody())
        assert shown(found) == shown(expected), f"cut at {moment} of {whole.said}"
        assert spent(again) == spent(last)


def shown(results: dict[str, Result]) -> list[object]:
    return [it if isinstance(it, Gap) else it.observation for it in results.values()]
