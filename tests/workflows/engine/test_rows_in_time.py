"""An attack ends between two parts of its rows when its share of the time ends, and says so."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evasion_toys import LinearTwin, ToyModel, box, classes, linear, subject
from interrupted_audits import Stopping
from numpy.typing import NDArray
from watching import Nobody

from auditor.checks.evasion.l2 import L2EvasionCheck
from auditor.checks.evasion.linf import LinfEvasionCheck
from auditor.checks.evasion.linf_query import LinfQueryCheck
from auditor.checks.hardware.attestation import AttestationCheck
from auditor.checks.measure import compute_readings
from auditor.checks.quality.accuracy import AccuracyCheck
from auditor.domain.audit_checkpoint import ScopedCheckpoint
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import Subject
from auditor.domain.checks import Check
from auditor.domain.datasets import DatasetRole
from auditor.domain.observed_checks import ObservedCheck, Result
from auditor.domain.policies import MetricLimits, Rule, RuleEffect, Severity
from auditor.domain.readings import Gap, GapReason, Measurement
from auditor.domain.row_limits import ALL_ROWS, ROWS_IN_TIME, FixedRows
from auditor.domain.target_spend import SpendCounter, TargetSpend
from auditor.domain.targets import TargetSpec
from auditor.errors import CancelledError
from auditor.metrics.stats.proportions import clopper_pearson
from auditor.metrics.stats.sequential import plan_looks, spend_on_looks
from auditor.store.resume_cache import ResumeCache
from auditor.workflows.engine.counted_checkpoint import CountedCheckpoint
from auditor.workflows.engine.local import observe_check, observe_checks
from auditor.workflows.engine.time_allowance import RowsInTime, TimeAllowance, TimeMeter

ROWS = 200
SIZE = AuditSize(rows=ROWS, classes=2)
LINF = LinfEvasionCheck(eps=(0.05, 0.1), rows=ROWS)


@dataclass(slots=True)
class Paced(ToyModel):
    """A target that tells its pace."""

    pace: float = 1.0


def paced(pace: float = 1.0) -> Subject:
    """Return a linear model, whose twin is exact, on rows that it mostly gets right."""
    plain, twin, weights, bias = linear(3, 6)
    rows = np.random.default_rng(5).random((ROWS, 6))
    labels: NDArray[np.int64] = (rows @ weights + bias).argmax(axis=1)
    model = Paced(plain.logits, pace=pace)
    return subject(model, twin, rows, labels, box((6,)), classes(2))


def observed(check: Check, allowance: TimeAllowance, seen: Subject | None = None) -> ObservedCheck:
    (result,) = observe_checks([check], seen or paced(), lambda _: None, Nobody(), allowance)
    assert isinstance(result, ObservedCheck)
    return result


def allowed(seconds: float, **more: object) -> TimeAllowance:
    made = TimeAllowance(TargetSpec("cpu"), SIZE, Budget.CI, seconds, (LINF,))
    return replace(made, **more)  # type: ignore[arg-type] -- fields of the allowance


def robust(seen: ObservedCheck) -> Measurement:
    return next(
        it
        for it in compute_readings([seen], 0.95)
        if isinstance(it, Measurement) and it.metric == "robust_accuracy"
    )


def test_where_everything_fits_nothing_is_cut_and_no_figure_changes() -> None:
    ample, unlimited = (
        observed(LINF, allowed(1e9)),
        observed(LINF, TimeAllowance(TargetSpec("cpu"), SIZE)),
    )
    assert ROWS_IN_TIME not in ample.evidence
    assert ample.observation.evidence == unlimited.observation.evidence
    assert robust(ample).n == ROWS


def test_an_attack_that_does_not_fit_looks_at_the_first_rows_alone() -> None:
    cost = LINF.cost(SIZE)
    seen = observed(LINF, allowed(cost.price(1.0, 3.0) / 10))
    cut = seen.evidence[ROWS_IN_TIME]
    assert isinstance(cut, dict)
    assert 0 < cut["rows"] < cut["of"] == ROWS
    assert robust(seen).n == cut["rows"] == len(seen.evidence["labels"])  # type: ignore[arg-type]
    whole = observed(LINF, allowed(1e9))
    assert seen.evidence["ids"] == whole.evidence["ids"][: cut["rows"]]  # type: ignore[index]


def test_its_time_is_kept_but_for_the_last_part() -> None:
    cost, subject_ = LINF.cost(SIZE), paced()
    share = cost.price(1.0, 3.0) / 10
    observed(LINF, allowed(share), subject_)
    assert isinstance(subject_.model, Paced)
    assert isinstance(subject_.twin, LinearTwin)
    spent = subject_.model.queries + 3 * subject_.twin.passes
    assert spent <= 1.3 * share


def test_a_record_is_repeated_with_its_own_rows_whatever_the_pace() -> None:
    first = observed(LINF, allowed(LINF.cost(SIZE).price(1.0, 3.0) / 10))
    cut = first.evidence[ROWS_IN_TIME]
    assert isinstance(cut, dict)
    rows = recorded(cut)  # type: ignore[arg-type] -- JSON
    again = observed(LINF, allowed(1.0, repeats={LINF.id: rows}))
    assert again.observation.evidence == first.observation.evidence


def test_an_attack_of_which_no_row_fits_is_a_gap() -> None:
    (left,) = observe_checks([LINF], paced(), lambda _: None, Nobody(), allowed(1.0))
    assert isinstance(left, Gap)
    assert left.reason is GapReason.OVER_BUDGET


def test_what_rules_ask_for_comes_first_and_attacks_share_what_is_left() -> None:
    other, unasked = L2EvasionCheck(rows=ROWS), AccuracyCheck()
    made = allowed(1e4, checks=(unasked, other, LINF), asked=frozenset({LINF.id, other.id}))
    assert [it.id for it in made.in_order(made.checks)][-1] == unasked.id
    first = next(it for it in made.in_order(made.checks) if it.by_parts)
    for asked, share in ((frozenset({LINF.id, other.id}), 1e4 / 2), (frozenset({first.id}), 1e4)):
        limit = replace(made, asked=asked).limit_rows(first, paced())
        assert isinstance(limit, RowsInTime)
        ((meter, end, _),) = limit.ends
        assert end - meter.read() == pytest.approx(share)


def test_the_rows_of_a_reference_keep_the_machine_of_the_target_busy() -> None:
    """But not a target with a limit of its own, which is slower than its reference."""
    check, seen = AttestationCheck(), paced()
    cost = check.cost(SIZE)
    made = allowed(cost.queries + cost.reference / 2)
    refused = made.over(check, seen.model, seen.bench, seen.twin)
    assert refused is not None
    assert f"{cost.reference:,} of the reference" in refused.detail
    apart = replace(made, spec=TargetSpec("board", seconds=1e9))
    assert apart.over(check, seen.model, seen.bench, seen.twin) is None
    assert allowed(2.0 * (cost.queries + cost.reference)).over(check, seen.model) is None


def test_a_check_that_cannot_be_cut_has_all_its_rows() -> None:
    assert allowed(1.0).limit_rows(AccuracyCheck(), paced()) is ALL_ROWS


def recorded(cut: dict[str, Any]) -> FixedRows:
    return FixedRows(
        tuple(cut["parts"]), cut["races"], cut["looks"], cut["decided"], tuple(cut.get("asked", ()))
    )


@pytest.mark.parametrize("truth", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dearer", [0.01, 0.25, 4.0, 100.0])
def test_intervals_cover_though_time_decides_how_many_rows_there_are(
    truth: float, dearer: float
) -> None:
    """A row that withstands costs ``dearer`` times one that breaks, and parts grow from two rows.

    2,000 audits each; a coverage of .95 would be seen below .935 once in 500 of them.
    """
    rng = np.random.default_rng([int(truth * 100), int(dearer * 100)])
    covered = 0
    for _ in range(2000):
        held = rng.random(400) < truth
        costs, spent = np.where(held, dearer, 1.0), [0.0]
        meter = TimeMeter(0.0, "", "", lambda spent=spent: spent[0], 1.0)  # type: ignore[misc]
        limit, done = RowsInTime(((meter, 60.0 * max(1.0, dearer / 4), dearer),), 2), 0
        while done < len(held) and (part := limit.take(done, len(held) - done)):
            spent[0] += float(costs[done : done + part].sum())
            done += part
        interval = clopper_pearson(int(held[:done].sum()), done, 0.95)
        covered += interval.low <= truth <= interval.high
    assert covered >= 0.935 * 2000


def test_parts_grow_while_rows_are_cheap_and_end_with_the_time() -> None:
    spent = [0.0]
    meter = TimeMeter(0.0, "", "", lambda: spent[0], 1.0)
    limit, done, parts = RowsInTime(((meter, 1000.0, 50.0),), 2), 0, []
    while part := limit.take(done, 10**6):
        parts.append(part)
        spent[0] += 5.0 * part
        done += part
    assert parts[:4] == [2, 4, 8, 16]
    assert max(parts) <= 64
    assert 900 <= spent[0] <= 1000


@pytest.mark.parametrize(("fit", "seen"), [(30, 20), (20, 20), (12, 8), (5, 4)])
def test_a_check_ends_at_once_where_fewer_rows_fit_than_it_needs(fit: int, seen: int) -> None:
    """It needs 20 of them: of 12 that fit it looks at no more than its first part."""
    spent = [0.0]
    meter = TimeMeter(0.0, "", "", lambda: spent[0], 1.0)
    limit, done = RowsInTime(((meter, 5.0 * fit, 5.0),), min(8, fit - 1), least=20), 0
    while part := limit.take(done, 1000):
        spent[0] += 5.0 * part
        done += part
    assert done >= seen if fit >= 20 else done == seen


def test_progress_is_that_of_the_time_where_it_ends_the_rows() -> None:
    told: list[float] = []
    subject_ = paced()

    class Watch(Nobody):
        def advanced(self, done: int, total: int, note: str = "") -> None:
            told.append(done / total)

    time = LINF.cost(SIZE).price(1.0, 3.0) / 50
    (seen,) = observe_checks([LINF], subject_, lambda _: None, Watch(), allowed(time))
    assert isinstance(seen, ObservedCheck)
    assert told == sorted(told)
    assert told[-2] > 0.5
    assert len(seen.evidence["labels"]) < 0.2 * ROWS  # type: ignore[arg-type] -- an array


RULE = Rule(
    id="robust",
    title="",
    severity=Severity.HIGH,
    effect=RuleEffect.DENY,
    check=LINF.id,
    metric="robust_accuracy",
    where={"eps": 0.05},
    limits=MetricLimits(least=0.5),
    accept_withstood=True,
)


@pytest.mark.parametrize("truth", [0.05, 0.35, 0.5, 0.65, 0.95])
def test_a_decision_made_early_is_wrong_as_seldom_as_it_may_be(truth: float) -> None:
    """Whatever stops the rows, the interval that is reported covers in 95 of 100 audits.

    2,000 audits of 500 rows each, which end at the first look that decides a limit of .5.
    """
    rng = np.random.default_rng(int(truth * 100))
    covered, wrong, early, rows = 0, 0, 0, 0
    for _ in range(2000):
        held = (rng.random(500) < truth).cumsum()
        looks = plan_looks(500)
        for at in (*looks, 500):
            level = spend_on_looks(0.95, len(looks), early=at < 500)
            interval = clopper_pearson(int(held[at - 1]), at, level)
            if interval.high < 0.5 or interval.low >= 0.5:
                break
        covered += interval.low <= truth <= interval.high
        mistaken = interval.high < 0.5 <= truth or truth < 0.5 <= interval.low
        wrong += mistaken
        early += mistaken and at < 500
        rows += at
    assert covered >= 0.94 * 2000
    assert wrong <= 0.05 * 2000
    assert early <= 0.01 * 2000
    if abs(truth - 0.5) > 0.4:
        assert rows / 2000 <= 25  # a clear answer needs few rows


def test_a_rule_that_is_decided_stops_paying_and_says_so() -> None:
    loose = LinfEvasionCheck(eps=(0.05, 0.3), rows=ROWS)
    clear = replace(RULE, where={"eps": 0.3})
    time = loose.cost(SIZE).price(1.0, 3.0) / 3
    spent = {}
    for name, rules in (("undecided", ()), ("decided", (clear,))):
        subject_ = paced()
        seen = observed(loose, allowed(time, rules=rules, checks=(loose,)), subject_)
        assert isinstance(subject_.model, Paced)
        assert isinstance(subject_.twin, LinearTwin)
        spent[name] = subject_.model.queries + 3 * subject_.twin.passes
        cut = seen.evidence[ROWS_IN_TIME]
        assert isinstance(cut, dict)
        assert cut["decided"] is (name == "decided")
    assert spent["decided"] < spent["undecided"] / 2
    reading = next(
        it
        for it in compute_readings([seen], 0.95)
        if isinstance(it, Measurement) and it.metric == "robust_accuracy" and it.params["eps"] > 0.1
    )
    assert reading.details["decided_early"] is True
    assert reading.method.endswith(f"for {cut['looks']} looks")
    assert (reading.confidence, reading.n) == (0.95, cut["rows"])
    level = spend_on_looks(0.95, cut["looks"], early=True)  # type: ignore[arg-type] -- JSON
    plain = clopper_pearson(0, cut["rows"], level)  # type: ignore[arg-type] -- JSON
    assert (reading.value, reading.high) == (0.0, plain.high)
    again = observed(loose, allowed(1.0, repeats={LINF.id: recorded(cut)}))
    assert again.observation.evidence == seen.observation.evidence


@pytest.mark.parametrize(
    "rule",
    [
        replace(RULE, limits=None, require="value > 0.5"),
        replace(RULE, for_each=("slice",)),
        replace(RULE, where={"eps": 0.123}),
        replace(RULE, check="evasion.l2"),
        replace(RULE, where={"eps": 0.3, "target": "elsewhere"}),
    ],
)
def test_only_a_plain_rule_that_finds_its_figure_ends_a_check_early(rule: Rule) -> None:
    loose = LinfEvasionCheck(eps=(0.05, 0.3), rows=ROWS)
    time = loose.cost(SIZE).price(1.0, 3.0) / 3
    seen = observed(loose, allowed(time, rules=(rule,), checks=(loose,)))
    cut = seen.evidence[ROWS_IN_TIME]
    assert isinstance(cut, dict)
    assert cut["decided"] is False


def test_rows_that_race_are_broken_at_each_budget_where_the_whole_attack_breaks_them() -> None:
    whole = observed(LINF, allowed(1e9))
    raced = observed(LINF, allowed(1.0, repeats={LINF.id: FixedRows((50, 150), races=True)}))
    plain = observed(LINF, allowed(1.0, repeats={LINF.id: FixedRows((50, 150))}))
    for eps in LINF.eps:
        kept, other, beside = (
            next(
                it.value
                for it in compute_readings([seen], 0.95)
                if isinstance(it, Measurement)
                and it.metric == "robust_accuracy"
                and it.params["eps"] == eps
            )
            for seen in (whole, raced, plain)
        )
        assert kept == other == beside
    spent = {
        name: sum(bill["passes"] for bill in seen.evidence["settings"]["log"])  # type: ignore[index,call-overload]
        for name, seen in (("raced", raced), ("plain", plain))
    }
    assert spent["raced"] < spent["plain"]


def test_bounded_attacks_go_to_the_budgets_that_rules_ask_about_alone() -> None:
    check, rows, asked = replace(LINF, eps=(0.02, 0.05, 0.1)), (50, 150), (0.05,)
    curves, passes, waiting = [], [], []
    for only in ((), asked):
        limit = FixedRows(rows, races=True, asked=only)
        seen = observed(check, allowed(1.0, repeats={check.id: limit}))
        cut, settings = seen.evidence[ROWS_IN_TIME], seen.evidence["settings"]
        assert isinstance(cut, dict)
        assert isinstance(settings, dict)
        assert cut.get("asked", []) == list(only)
        passes.append(sum(bill["passes"] for bill in settings["log"]))
        robust = [it for it in compute_readings([seen], 0.95) if it.metric == "robust_accuracy"]
        curves.append({it.params["eps"]: it.value for it in robust if isinstance(it, Measurement)})
        waiting.append({it.params["eps"]: it.reason for it in robust if isinstance(it, Gap)})
    whole, part = curves
    assert list(whole) == list(check.eps)
    # Rows are not walked to the end for what no rule asks about
    assert waiting == [{}, dict.fromkeys(check.eps[:1], GapReason.OVER_BUDGET)]
    assert list(part) == list(check.eps[1:])
    assert part[asked[0]] == whole[asked[0]]
    assert all(part[eps] >= whole[eps] for eps in part)  # bounds as well, if weaker ones
    assert passes[1] < passes[0]


def test_the_budgets_of_all_rules_on_a_check_are_asked_about() -> None:
    some = replace(RULE, where={"eps": LINF.eps[0]})
    other = replace(RULE, id="other", where={"eps": LINF.eps[-1]})
    each = replace(RULE, id="each", where={})
    for rules, asked in (
        ((some, other), (LINF.eps[0], LINF.eps[-1])),
        ((some, each), ()),
        ((), ()),
    ):
        limit = allowed(100.0, rules=rules).limit_rows(LINF, paced())
        assert limit.asked == asked


def test_where_a_rule_asks_for_the_smallest_change_no_row_races() -> None:
    size = replace(RULE, metric="min_breaking_eps", where={})
    for rules, races in (((RULE,), True), ((size,), False)):
        limit = allowed(100.0, rules=rules).limit_rows(LINF, paced())
        assert limit.races is races


def test_rows_that_were_not_scored_yet_count_before_the_first_part() -> None:
    """All evaluation rows are scored first; where that takes all the time, nothing is attacked."""
    many = replace(allowed(900.0), size=AuditSize(rows=2000, classes=2))
    seen = paced()
    assert many.over(LINF, seen.model, seen.bench, seen.twin) is not None
    assert many.over(LINF, seen.model, seen.bench, seen.twin, scored=True) is None


TOGETHER = (LINF, L2EvasionCheck(rows=ROWS), LinfQueryCheck(rows=ROWS), AccuracyCheck())
CUT = allowed(2e4, checks=TOGETHER, asked=frozenset({LINF.id}), rules=(RULE,))


def in_turn(
    memory: ResumeCache, watch: Nobody, *, pace: float = 1.0, apart: bool = False
) -> tuple[list[Result], Subject]:
    """Observe all checks as a process of its own does, or each of them in another one."""
    seen, results = replace(paced(pace), memory=memory), []
    for check in CUT.in_order(TOGETHER):
        if apart:
            seen = replace(paced(pace), memory=memory)
        results.append(observe_check(check, seen, lambda _: None, watch, CUT))
    return results, seen


def summed(results: list[Result]) -> list[object]:
    return [it.observation if isinstance(it, ObservedCheck) else it for it in results]


def spent(seen: Subject) -> TargetSpend:
    """Return what was spent, but for the time of the clock on the wall."""
    found = seen.counter.read(TargetSpend.of_process(seen.model, seen.bench, seen.twin))
    return replace(found, elapsed=0.0)


@pytest.mark.parametrize(
    ("moments", "apart"),
    [
        pytest.param(6, False, id="together-6"),
        pytest.param(3, True, id="apart-3"),
        pytest.param(50, False, id="together-50", marks=pytest.mark.slow),
        pytest.param(50, True, id="apart-50", marks=pytest.mark.slow),
    ],
)
def test_an_audit_goes_on_with_its_clock_whenever_it_is_interrupted(
    tmp_path: Path, moments: int, *, apart: bool
) -> None:
    """Its rows, its evidence and what is left of its time are those of an undisturbed one."""
    whole = Stopping()
    expected, last = in_turn(ResumeCache(tmp_path / "whole"), whole)
    cut = [isinstance(it, ObservedCheck) and ROWS_IN_TIME in it.evidence for it in expected]
    assert cut == [True, False, True, True]
    chance = np.random.default_rng(moments)
    for moment in chance.choice(whole.said, moments, replace=False).tolist():
        memory, first, again = ResumeCache(tmp_path / f"at {moment}"), Stopping(moment), Stopping()
        with pytest.raises(CancelledError):
            in_turn(memory, first, apart=apart)
        found, seen = in_turn(memory, again, apart=apart)
        assert summed(found) == summed(expected), f"cut at {moment} of {whole.said}"
        assert not first.done & again.worked
        assert spent(seen) == spent(last)


@pytest.mark.parametrize(("elapsed", "read"), [(0.0, 700.0), (800.0, 800.0), (1e6, 1400.0)])
def test_time_goes_by_between_rows_and_a_busy_machine_takes_as_much_again_at_most(
    elapsed: float, read: float
) -> None:
    seen = paced(1.0)
    assert isinstance(seen.model, Paced)
    seen.model.queries = 700
    began = TargetSpend(elapsed=time.monotonic() - elapsed)
    ((meter, *_),) = limit_of(replace(seen, counter=SpendCounter(since=began)))
    assert meter.read() == pytest.approx(read, abs=5.0)


def test_a_resumed_meter_reads_what_the_interrupted_one_read(tmp_path: Path) -> None:
    """Also where the process before opened the model at greater cost, and saw a slower pace."""
    memory = ResumeCache(tmp_path)
    seen, again = (replace(paced(pace), memory=memory) for pace in (2.0, 1.0))
    assert isinstance(seen.model, Paced)
    seen.model.queries, seen.model.busy = 700, 3.5
    ((meter, *_),) = limit_of(seen)
    CountedCheckpoint(seen).remember("a part", {"scores": np.arange(3)})
    assert isinstance(again.model, Paced)
    again.model.queries = 300
    found = CountedCheckpoint(again).recall("a part")
    assert found is not None
    assert list(found) == ["scores"]
    ((resumed, *_),) = limit_of(again)
    assert resumed.read() == meter.read() == 700 * 2.0
    assert spent(again) == spent(seen)
    again.model.queries, again.model.busy, again.model.pace = 310, 0.25, 0.5
    assert spent(again) == replace(spent(seen), queries=710, busy=3.75, pace=0.5)


def limit_of(seen: Subject) -> tuple[tuple[TimeMeter, float, float], ...]:
    limit = CUT.limit_rows(LINF, seen)
    assert isinstance(limit, RowsInTime)
    return limit.ends


def test_a_check_that_was_begun_keeps_its_time_and_its_parts_at_another_pace(
    tmp_path: Path,
) -> None:
    (whole, *_), _ = in_turn(ResumeCache(tmp_path / "whole"), watch := Stopping())
    memory = ResumeCache(tmp_path / "cut")
    with pytest.raises(CancelledError):
        in_turn(memory, Stopping(watch.said // 20))
    again = replace(paced(0.1), memory=memory)
    found = observe_check(LINF, again, lambda _: None, Nobody(), CUT)
    assert isinstance(found, ObservedCheck)
    assert isinstance(whole, ObservedCheck)
    assert found.observation == whole.observation
    assert isinstance(again.twin, LinearTwin)
    assert 0 < again.twin.passes < spent(again).passes


def test_scores_that_were_known_are_not_asked_for_again(tmp_path: Path) -> None:
    memory = ResumeCache(tmp_path)
    first, other = (replace(paced(), memory=memory) for _ in range(2))
    scores = first.probabilities(DatasetRole.EVALUATION)
    CountedCheckpoint(first).end()
    CountedCheckpoint(other).begin(ScopedCheckpoint(memory, "another check"))
    assert isinstance(other.model, Paced)
    assert np.array_equal(other.probabilities(DatasetRole.EVALUATION), scores)
    assert other.model.queries == 0
