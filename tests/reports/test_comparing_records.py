"""Two records side by side: what moved beyond its intervals, and what may not be said to have."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rendering_records import FAILING, POLICY

from auditor.checks.measure import compute_readings, get_check_parameters, instantiate_check
from auditor.checks.registry import discover_checks
from auditor.domain.evidence import Evidence
from auditor.domain.findings import Finding, Outcome
from auditor.domain.json import Json
from auditor.domain.observed_checks import ObservedCheck
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Repeatability, Unit
from auditor.domain.records import AuditRecord, CheckObservation
from auditor.domain.requests import DatasetRef
from auditor.policy.record_comparison import RecordSide, compare_records
from auditor.policy.record_comparison_result import (
    ChangeBasis,
    ComparisonDirection,
    RecordComparison,
)

CHECKS = discover_checks()
ACCURACY = "quality.accuracy"
SHARE = Measurement(
    metric="accuracy",
    value=0.9,
    low=0.86,
    high=0.93,
    confidence=0.95,
    method="clopper-pearson",
    n=400,
    unit=Unit.SHARE,
    target="cpu",
    check=ACCURACY,
    version=2,
)


def side(
    *found: Reading, findings: Sequence[Finding] = (), observations: Sequence[CheckObservation] = ()
) -> RecordSide:
    record = replace(
        FAILING, readings=found, findings=tuple(findings), observations=tuple(observations)
    )
    return RecordSide(record, POLICY, ())


def scored(
    right: Sequence[bool], *, ids: Sequence[str] | None = None, data: str = "d"
) -> RecordSide:
    """A record of quality.accuracy over rows that were right or wrong."""
    count = len(right)
    decided = np.where(right, 1, 0).astype(np.int64)
    evidence: Evidence = {
        "ids": np.array(list(ids or [f"r{i}" for i in range(count)])),
        "labels": np.ones(count, dtype=np.int64),
        "probabilities": np.stack([1 - 0.8 * decided - 0.1, 0.8 * decided + 0.1], axis=1),
        "decided": decided,
        "task": {"classes": ["no", "yes"], "positive": 1, "decided_otherwise": 0},
    }
    check = instantiate_check(CHECKS[ACCURACY], {})
    origin = CheckObservation(
        "cpu", ACCURACY, check.version, get_check_parameters(check), 7, {"ids": "sha256:1"}
    )
    seen = ObservedCheck(origin, check, evidence)
    request = replace(FAILING.request, datasets=(DatasetRef("evaluation", data, count),))
    record = replace(
        FAILING,
        request=request,
        readings=compute_readings([seen], 0.95),
        findings=(),
        observations=(origin,),
    )
    return RecordSide(record, POLICY, (seen,))


def figure(found: RecordComparison, metric: str = "accuracy") -> Mapping[str, object]:
    (one,) = (item for item in found.moved if item.after.metric == metric)
    return {"way": one.way, "basis": one.basis, "alone": one.alone, "change": one.change}


def against(before: RecordSide, after: RecordSide) -> RecordComparison:
    return compare_records(before, after, CHECKS)


def changed(**other: object) -> RecordComparison:
    return against(side(SHARE), side(replace(SHARE, **other)))  # type: ignore[arg-type]  # fields by name


@settings(max_examples=20)
@given(st.lists(st.booleans(), min_size=40, max_size=80))
def test_a_record_beside_itself_never_moved(right: list[bool]) -> None:
    found = against(scored(right), scored(right))
    assert found.alone == found.proven == 0
    assert not found.got_worse


def test_what_falls_beyond_both_intervals_got_worse_and_what_rises_got_better() -> None:
    assert figure(changed(value=0.6, low=0.55, high=0.65))["way"] is ComparisonDirection.WORSE
    assert figure(changed(value=0.99, low=0.97, high=1.0))["way"] is ComparisonDirection.BETTER


def test_overlapping_intervals_that_leave_zero_possible_did_not_move() -> None:
    told = figure(changed(value=0.88, low=0.84, high=0.92))
    assert (told["way"], told["alone"]) == (ComparisonDirection.SAME, False)


def test_the_same_rows_are_compared_row_by_row_and_see_what_intervals_cannot() -> None:
    before = scored([True] * 360 + [False] * 40)
    after = scored([True] * 345 + [False] * 55)
    by_row, apart = against(before, after), against(before, scored(after_rows(), data="other"))
    assert figure(by_row)["basis"] is ChangeBasis.ROWS
    assert figure(by_row)["way"] is ComparisonDirection.WORSE
    assert figure(apart)["basis"] is ChangeBasis.INTERVALS
    assert figure(apart)["way"] is ComparisonDirection.SAME


def after_rows() -> list[bool]:
    return [True] * 345 + [False] * 55


def test_rows_are_matched_by_id_and_not_by_their_order() -> None:
    ids = [f"r{i}" for i in range(400)]
    rows = [True] * 360 + [False] * 40
    found = against(scored(rows, ids=ids), scored(rows[::-1], ids=ids[::-1]))
    assert figure(found)["change"].value == 0.0  # type: ignore[attr-defined]  # an interval
    assert figure(found)["basis"] is ChangeBasis.ROWS


@pytest.mark.parametrize(
    "ids", [[f"x{i}" for i in range(50)], ["same"] * 50], ids=["other", "twice"]
)
def test_other_rows_and_rows_named_twice_are_not_paired(ids: list[str]) -> None:
    rows = [True] * 45 + [False] * 5
    assert figure(against(scored(rows, ids=ids), scored(rows)))["basis"] is ChangeBasis.INTERVALS


def test_one_change_among_many_figures_must_hold_after_correction_for_all() -> None:
    slight = replace(SHARE, value=0.84, low=0.80, high=0.88)
    others = [replace(SHARE, slice={"town": str(i)}) for i in range(40)]
    alone = against(side(SHARE), side(slight))
    among = against(side(SHARE, *others), side(slight, *others))
    assert (alone.alone, alone.proven) == (1, 1)
    assert (among.compared, among.alone, among.proven) == (41, 1, 0)
    assert not among.got_worse


def test_neither_doubted_figures_nor_times_count_as_moved() -> None:
    told = figure(changed(value=0.1, low=0.05, high=0.15, doubted=True))
    assert (told["basis"], told["way"]) == (ChangeBasis.DOUBTED, ComparisonDirection.SAME)
    time = replace(SHARE, check="hardware.latency", metric="p50", unit=Unit.SECOND)
    later = replace(time, value=9.0, low=8.0, high=10.0, repeat=Repeatability.INTERVAL)
    told = figure(against(side(time), side(later)), "p50")
    assert (told["basis"], told["way"]) == (ChangeBasis.MOMENT, ComparisonDirection.SAME)


@pytest.mark.parametrize(("factor", "way"), [(3.0, "same"), (100.0, "otherwise")])
@pytest.mark.parametrize("metric", ["slowdown", "p99"])
def test_a_figure_of_the_machine_never_got_worse(metric: str, factor: float, way: str) -> None:
    """It moved only where both runs are as far apart as a reproduction warns of."""
    ratio = replace(SHARE, check="hardware.reliability", metric=metric, unit=Unit.NONE)
    later = replace(ratio, value=0.9 * factor, low=0.89 * factor, high=0.91 * factor)
    found = against(side(ratio), side(later))
    assert (figure(found, metric)["basis"], figure(found, metric)["way"]) == (
        ChangeBasis.MOMENT,
        way,
    )
    assert found.compared == found.proven == 0
    assert not found.got_worse


def declaring(*found: Reading, tags: tuple[str, ...] = (), **settings: Json) -> RecordSide:
    """A record of an audit file that declares these settings of ``task``."""
    plain = side(*found)
    declared = {f"task.{name}": value for name, value in settings.items()}
    request = replace(plain.record.request, declared=declared or None, tags=tags)
    return replace(plain, record=replace(plain.record, request=request))


def test_figures_under_another_setting_are_neither_better_nor_worse() -> None:
    within = replace(SHARE, check="quality.errors", metric="within_tolerance")
    copies = replace(SHARE, check="data.duplicates", metric="exact_share")
    better = replace(within, value=0.99, low=0.98, high=1.0)
    fewer = replace(copies, value=0.5, low=0.45, high=0.55)
    found = against(
        declaring(within, copies, tolerance=42),
        declaring(better, fewer, tolerance=60, tags=("not-about-people",)),
    )
    assert [(it.name, it.before, it.after) for it in found.declared] == [
        ("task.tolerance", "42", "60"),
        ("tags", "not set", "not-about-people"),
    ]
    assert [(it.check, it.reason) for it in found.incomparable] == [
        ("quality.errors", "task.tolerance 42 \N{RIGHTWARDS ARROW} 60")
    ]
    assert [it.after.metric for it in found.moved] == ["exact_share"]
    assert found.moved[0].way is ComparisonDirection.BETTER
    assert found.to_json()["conclusion"] == "declarations_changed"
    assert not found.got_worse


def test_a_setting_at_its_default_is_named_as_such() -> None:
    found = against(declaring(SHARE), declaring(SHARE, threshold=0.3))
    assert [it.reason for it in found.incomparable] == [
        "task.threshold 0.5 \N{RIGHTWARDS ARROW} 0.3"
    ]


@pytest.mark.parametrize(
    ("name", "was", "now", "reason"),
    [
        ("positive", "yes", "no", "task.positive yes \N{RIGHTWARDS ARROW} no"),
        ("favourable", "yes", "no", "task.favourable yes \N{RIGHTWARDS ARROW} no"),
        ("movable", 7, 4, "movable inputs 7 \N{RIGHTWARDS ARROW} 4"),
        ("eps_absolute", [2], [1], "largest change of an input 2 \N{RIGHTWARDS ARROW} 1"),
    ],
)
def test_what_a_figure_itself_says_of_its_setting_makes_it_incomparable(
    name: str, was: Json, now: Json, reason: str
) -> None:
    old, new = (replace(SHARE, check="evasion.linf", details={name: it}) for it in (was, now))
    found = against(side(old), side(new))
    assert [it.reason for it in found.incomparable] == [reason]
    assert not found.moved


def test_a_claim_and_a_parameter_of_the_policy_are_declared_too() -> None:
    def claiming(accuracy: float, eps: Json) -> RecordSide:
        one = side(SHARE, observations=[seen_by(3, eps=eps)])
        request = replace(one.record.request, claims={"accuracy": accuracy})
        return replace(one, record=replace(one.record, request=request))

    found = against(claiming(0.8, [0.1]), claiming(0.9, [0.1, 0.2]))
    assert [(it.name, it.before, it.after) for it in found.declared] == [
        ("claims.accuracy", "0.8", "0.9"),
        ("evasion.linf eps", "0.1", "0.1, 0.2"),
    ]
    assert not found.incomparable


def test_a_signature_that_no_longer_verifies_got_worse() -> None:
    yes = replace(
        SHARE, check="provenance.signature", metric="verified", value=True, low=None, high=None
    )
    found = against(side(yes), side(replace(yes, value=False)))
    assert figure(found, "verified")["way"] is ComparisonDirection.WORSE
    assert found.got_worse


def seen_by(version: int, **params: object) -> CheckObservation:
    known = get_check_parameters(instantiate_check(CHECKS["evasion.linf"], {}))
    told = {**known, **params}
    return CheckObservation("cpu", "evasion.linf", version, told, 7, {})  # type: ignore[arg-type]  # JSON


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (seen_by(4), "version 3 of the check before, version 4 after"),
        (seen_by(3, rows=500), "other parameters: rows was 200, and is 500"),
        (seen_by(3, eps=[0.05, 0.1]), ""),
    ],
    ids=["version", "parameters", "grid"],
)
def test_checks_that_did_not_ask_the_same_are_not_compared(
    after: CheckObservation, reason: str
) -> None:
    robust = replace(
        SHARE, check="evasion.linf", metric="robust_accuracy", params={"eps": 0.1, "norm": "linf"}
    )
    low = replace(robust, value=0.1, low=0.05, high=0.15)
    found = against(side(robust, observations=[seen_by(3)]), side(low, observations=[after]))
    assert [item.reason for item in found.incomparable] == ([reason] if reason else [])
    assert found.got_worse is not bool(reason)


def finding(outcome: Outcome) -> Finding:
    return replace(FAILING.findings[0], outcome=outcome, readings=())


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        (Outcome.PASSED, Outcome.FAILED, True),
        (Outcome.WITHSTOOD, Outcome.UNKNOWN, True),
        (Outcome.FAILED, Outcome.PASSED, False),
        (Outcome.PASSED, Outcome.WITHSTOOD, False),
        (Outcome.UNKNOWN, Outcome.FAILED, True),
    ],
)
def test_a_required_rule_that_is_not_kept_any_more_is_worse(
    before: Outcome,
    after: Outcome,
    lost: bool,  # noqa: FBT001 -- a case
) -> None:
    found = against(side(SHARE, findings=[finding(before)]), side(SHARE, findings=[finding(after)]))
    assert found.got_worse is lost
    assert [item.changed for item in found.findings] == [True]


def test_what_one_record_lacks_is_listed() -> None:
    gap = Gap(
        reason=GapReason.NEEDS_GROUPS, detail="", cure="", target="cpu", check="fairness.groups"
    )
    more = replace(SHARE, slice={"town": "a"})
    found = against(side(SHARE, gap), side(SHARE, more))
    assert found.gaps_closed == (gap,)
    assert found.gaps_opened == ()
    assert found.only_after == (more,)


def test_what_was_asked_otherwise_is_named() -> None:
    other = replace(FAILING.request, seed=8, version="9")
    before: AuditRecord = replace(FAILING, readings=(SHARE,))
    found = against(
        RecordSide(before, POLICY, ()), RecordSide(replace(before, request=other), POLICY, ())
    )
    assert {item.name for item in found.differences} == {"version", "seed"}


def test_what_another_fingerprint_differs_in_is_named() -> None:
    cpu = FAILING.fingerprints["cpu"]
    facts = {"runtime": {"version": "1.31.0"}, "machine": {"cpu": {"flags": ["avx2", "sse4_2"]}}}
    newer = {"runtime": {"version": "1.32.0"}, "machine": {"cpu": {"flags": ["avx2"]}}}
    sides = [
        RecordSide(
            replace(FAILING, fingerprints={"cpu": replace(cpu, identity_facts=it)}), POLICY, ()
        )
        for it in (facts, newer)
    ]
    named = {item.name: (item.before, item.after) for item in against(*sides).differences}
    assert named["facts of target cpu"] == (
        "runtime version 1.31.0, machine cpu flags sse4_2",
        "runtime version 1.32.0",
    )
    assert set(named) == {"target cpu", "facts of target cpu"}
