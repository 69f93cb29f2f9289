"""Comparing two records of one request: exact readings must be equal, timings are exempt."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from auditor.checks.registry import discover_checks
from auditor.domain.artifacts import FileDigest
from auditor.domain.budgets import Budget
from auditor.domain.findings import Finding, Outcome
from auditor.domain.json import compute_digest
from auditor.domain.policies import AssuranceLevel, RuleEffect, Severity
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Repeatability, Unit
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest, InputFile, PolicyRef
from auditor.domain.targets import Fingerprint, TargetSpec
from auditor.domain.training_recipes import RecipeRef
from auditor.domain.verification_steps import StepResult
from auditor.errors import RecordError
from auditor.inputs.materialize import index_files_by_digest, materialize_inputs
from auditor.workflows.reproduce import require_training_permission
from auditor.workflows.reproduced_readings import check_reproduction

SHARE = Measurement(
    metric="accuracy",
    value=0.9,
    low=0.85,
    high=0.95,
    method="m",
    n=100,
    unit=Unit.SHARE,
    target="cpu",
    check="quality.accuracy",
    version=1,
)
TIME = replace(
    SHARE,
    metric="p50",
    value=1e-4,
    low=9e-5,
    high=1.1e-4,
    unit=Unit.SECOND,
    repeat=Repeatability.INTERVAL,
    check="hardware.latency",
)
GAP = Gap(
    reason=GapReason.NEEDS_GROUPS, detail="d", cure="c", target="cpu", check="fairness.groups"
)


def record(
    *readings: Reading, identity: str = "zen4", inputs: tuple[InputFile, ...] = ()
) -> AuditRecord:
    return AuditRecord(
        id="aud-1",
        derived_from=None,
        assurance=AssuranceLevel.A0,
        request=AuditRequest(
            name="m",
            version="1",
            artifact=None,
            targets=(TargetSpec("cpu"),),
            datasets=(),
            policy=PolicyRef("p", "1", "sha256:" + "1" * 64),
            audit_file="sha256:" + "2" * 64,
            seed=7,
            budget=Budget.CI,
            inputs=inputs,
        ),
        confidence=0.95,
        fingerprints={"cpu": Fingerprint({"cpu": identity}, {})},
        observations=(),
        readings=readings,
        findings=(),
        lineage=(),
        tool={},
        registered="2026-05-10T09:00:00Z",
        finished="2026-05-10T10:00:00Z",
    )


CHECKS = tuple(discover_checks().values())


def agree(theirs: AuditRecord, mine: AuditRecord) -> bool:
    return check_reproduction(theirs, mine, CHECKS).holds


def of_machine(check: str, metric: str, value: float = 1.0) -> Measurement:
    emitted = discover_checks()[check].emits[metric]
    return replace(
        TIME, check=check, metric=metric, unit=emitted.unit, value=value, low=value, high=value
    )


MACHINE = (
    ("hardware.latency", "p50"),
    ("hardware.latency", "throughput"),
    ("hardware.memory", "resident_peak"),
    ("hardware.placement", "time_on_target"),
    ("hardware.reliability", "slowdown"),
    ("hardware.sponge", "worst_to_median_latency"),
    ("hardware.timing_leak", "advantage"),
    ("hardware.cost", "price_per_million_rows"),
)


def test_equal_readings_agree() -> None:
    assert agree(record(SHARE, TIME, GAP), record(SHARE, TIME, GAP))


@pytest.mark.parametrize("change", [{"value": 0.9 + 1e-12}, {"n": 101}, {"details": {"a": 1}}])
def test_an_exact_reading_that_moves_at_all_does_not_agree(change: Mapping[str, object]) -> None:
    assert not agree(record(SHARE), record(replace(SHARE, **change)))  # type: ignore[arg-type]


def test_on_another_fingerprint_intervals_must_meet() -> None:
    near = replace(SHARE, value=0.93, low=0.9, high=0.97)
    far = replace(SHARE, value=0.99, low=0.96, high=1.0)
    assert agree(record(SHARE), record(near, identity="haswell"))
    assert not agree(record(SHARE), record(far, identity="haswell"))
    assert not agree(record(SHARE), record(near))


@pytest.mark.parametrize(("check", "metric"), MACHINE)
def test_what_depends_on_the_machine_may_move_and_is_said_not_to_be_compared(
    check: str, metric: str
) -> None:
    now, then = of_machine(check, metric, 2.0), of_machine(check, metric)
    found = check_reproduction(record(SHARE, then), record(SHARE, now), CHECKS)
    assert found.holds
    (step,) = (item for item in found.steps if item.name == f"{check} on cpu")
    assert step.result is StepResult.NOT_CHECKED
    assert f"depends on the machine: {metric}" in step.detail


def test_times_that_came_too_few_to_tell_a_figure_are_of_the_machine_too() -> None:
    where = {"utilisation": 0.5}
    told = replace(of_machine("hardware.latency", "open_p99"), params=where)
    few = Gap(
        reason=GapReason.TOO_FEW_ROWS, detail="d", cure="c", target="cpu", check="hardware.latency",
        metric="open_p99", params=where,
    )  # fmt: skip
    fast = replace(few, reason=GapReason.NOT_DEFINED)
    for was, now in ((told, few), (few, told), (few, fast)):
        assert agree(record(SHARE, was), record(SHARE, now))


def test_a_figure_of_the_machine_that_is_missing_or_new_does_not_agree() -> None:
    told = of_machine("hardware.latency", "p50")
    assert not agree(record(SHARE, told), record(SHARE))
    assert not agree(record(SHARE), record(SHARE, told))


def test_a_forged_figure_is_found_beside_those_of_the_machine() -> None:
    told = of_machine("hardware.reliability", "slowdown")
    errors = replace(told, metric="error_rate", unit=Unit.SHARE, value=0.0, low=0.0, high=0.004)
    found = replace(errors, value=0.5, low=0.4, high=0.6)
    assert agree(record(errors, told), record(errors, replace(told, value=9.0)))
    assert not agree(record(errors, told), record(found, told))


def test_no_record_says_of_itself_what_depends_on_the_machine() -> None:
    posing = replace(SHARE, unit=Unit.SECOND, repeat=Repeatability.INTERVAL)
    assert not agree(record(posing), record(replace(SHARE, value=0.5, low=0.4, high=0.6)))
    both = replace(posing, value=0.5, low=0.4, high=0.6)
    assert not agree(record(posing), record(both)), "a check that nobody knows, or its unit"


def test_what_cannot_be_compared_at_all_does_not_agree() -> None:
    told = of_machine("hardware.latency", "p50")
    found = check_reproduction(record(told), record(told), CHECKS)
    assert "nothing was measured that could be compared" in found.steps[-1].detail
    assert not found.holds


def judged(theirs: AuditRecord, outcome: Outcome, *readings: int) -> AuditRecord:
    found = Finding(
        rule="r", title="t", target="cpu", measure="m", outcome=outcome, effect=RuleEffect.DENY,
        severity=Severity.HIGH, readings=readings, controls=(), message="", remediation="",
        limits="",
    )  # fmt: skip
    return replace(theirs, findings=(found,))


def test_a_rule_on_what_depends_on_the_machine_may_come_out_otherwise_and_no_other() -> None:
    bare = record(SHARE, of_machine("hardware.latency", "p50"))
    kept, broken = Outcome.PASSED, Outcome.FAILED
    assert agree(judged(bare, kept, 1), judged(bare, broken, 1))
    assert not agree(judged(bare, kept, 0), judged(bare, broken, 0))
    assert not agree(judged(bare, kept, 1), judged(bare, broken, 0)), "the record's own word"


def test_a_required_rule_on_times_that_fails_once_moves_the_level_of_the_others() -> None:
    bare = record(SHARE, of_machine("hardware.latency", "p50"))

    def ruled(times: Outcome, share: Outcome) -> AuditRecord:
        slow, wrong = (judged(bare, *it).findings[0] for it in ((times, 1), (share, 0)))
        return replace(bare, findings=(replace(slow, rule="slow"), wrong))

    sure = ruled(Outcome.FAILED, Outcome.FAILED)
    assert agree(sure, ruled(Outcome.PASSED, Outcome.UNKNOWN))
    assert not agree(sure, ruled(Outcome.FAILED, Outcome.UNKNOWN)), "nothing moved the level"
    assert not agree(sure, ruled(Outcome.PASSED, Outcome.PASSED)), "no level does that"
    found = check_reproduction(sure, ruled(Outcome.PASSED, Outcome.UNKNOWN), CHECKS)
    assert [item.to_json() for item in found.findings] == [
        {"rule": "slow", "target": "cpu", "recorded": "failed", "fresh": "passed"}
    ]
    assert "slow on cpu (failed, now passed)" in found.steps[-1].detail


def test_the_last_line_counts_what_agrees_and_what_is_not_compared() -> None:
    times = [of_machine("hardware.latency", metric) for metric in ("p50", "p90")]
    loose = replace(SHARE, metric="auc", repeat=Repeatability.INTERVAL)
    theirs, mine = (
        record(SHARE, loose, GAP, *times),
        record(SHARE, replace(loose, value=0.91), GAP, *times),
    )
    assert check_reproduction(theirs, mine, CHECKS).summary == (
        "Reproduced: 2 of 3 readings equal, 1 within their intervals; 2 timings not compared."
    )
    held = of_machine("hardware.memory", "resident_peak")
    assert check_reproduction(record(SHARE, held), record(SHARE, held), CHECKS).summary == (
        "Reproduced: 1 of 1 reading equal; 1 memory figure not compared."
    )
    both = record(SHARE, held, *times)
    assert check_reproduction(both, both, CHECKS).summary == (
        "Reproduced: 1 of 1 reading equal; 3 timings and memory figures not compared."
    )
    lost = check_reproduction(record(SHARE, loose), record(replace(SHARE, value=0.8)), CHECKS)
    assert lost.summary == "Not reproduced: 0 of 2 readings equal."


def test_what_is_not_compared_is_listed_with_both_figures() -> None:
    was, now = (of_machine("hardware.latency", "p50", value) for value in (1.0, 3.0))
    found = check_reproduction(record(SHARE, was), record(SHARE, now), CHECKS)
    (listed,) = json.loads(json.dumps(found.to_json()))["not_compared"]
    assert listed["reason"] == "depends on the machine"
    assert (listed["check"], listed["metric"]) == ("hardware.latency", "p50")
    assert (listed["recorded"]["value"], listed["fresh"]["value"]) == (1.0, 3.0)
    assert listed["warning"] == ""


@pytest.mark.parametrize(
    ("was", "now", "far"),
    [(1.0, 9.9, False), (1.0, 10.1, True), (10.1, 1.0, True), (0.0, 1.0, True), (-1.0, 1.0, True),
     (-1.0, -20.0, True), (-1.0, -2.0, False), (0.0, 0.0, False)],
)  # fmt: skip
def test_a_figure_that_is_not_compared_and_far_off_is_warned_of(
    was: float, now: float, *, far: bool
) -> None:
    left, right = (of_machine("hardware.latency", "p50", value) for value in (was, now))
    found = check_reproduction(record(SHARE, left), record(SHARE, right), CHECKS)
    assert [item.warning for item in found.warnings] == ["more than 10 times apart"] * far
    assert found.holds
    assert ("1 figure of the record far from this run" in found.summary) is far
    wide = replace(right, low=min(was, now), high=max(was, now))
    assert not check_reproduction(record(SHARE, left), record(SHARE, wide), CHECKS).warnings


def test_a_figure_that_only_the_record_has_is_warned_of() -> None:
    told = replace(of_machine("hardware.latency", "p99"))
    few = Gap(
        reason=GapReason.TOO_FEW_ROWS, detail="d", cure="c", target="cpu", check="hardware.latency",
        metric="p99",
    )  # fmt: skip
    found = check_reproduction(record(SHARE, told), record(SHARE, few), CHECKS)
    assert [item.warning for item in found.warnings] == ["only the record has a figure"]
    assert not check_reproduction(record(SHARE, few), record(SHARE, told), CHECKS).warnings


def test_a_figure_for_which_this_machine_has_no_counter_does_not_agree() -> None:
    told = of_machine("hardware.cost", "joules_per_million_rows")
    none = Gap(
        reason=GapReason.UNSUPPORTED, detail="d", cure="c", target="cpu", check="hardware.cost",
        metric="joules_per_million_rows",
    )  # fmt: skip
    assert not agree(record(SHARE, told), record(SHARE, none))
    assert not agree(record(SHARE, none), record(SHARE, told))
    assert agree(record(SHARE, told), record(SHARE, none, identity="haswell"))
    assert agree(record(SHARE, none), record(SHARE, none))


def test_a_rule_on_what_one_run_left_out_may_come_out_otherwise() -> None:
    told = replace(SHARE, check="quality.errors", metric="error_rate")
    over = Gap(
        reason=GapReason.OVER_BUDGET, detail="d", cure="c", target="cpu", check="quality.errors"
    )
    ran = judged(record(SHARE, told), Outcome.PASSED, 1)
    lost = judged(record(SHARE, over), Outcome.UNKNOWN, 1)
    assert agree(ran, lost)
    assert agree(lost, ran)
    (listed,) = check_reproduction(ran, lost, CHECKS).exempt
    assert (listed.recorded, listed.fresh) == (told, over)
    assert listed.warning == "only the record has a figure"
    (listed,) = check_reproduction(lost, ran, CHECKS).exempt
    assert (listed.recorded, listed.fresh, listed.warning) == (over, told, "")


def test_a_metric_left_out_excuses_no_other_figure_of_its_check() -> None:
    over = Gap(
        reason=GapReason.OVER_BUDGET, detail="d", cure="c", target="cpu", check=SHARE.check,
        metric="auc",
    )  # fmt: skip
    forged = replace(SHARE, value=0.99, low=0.97, high=1.0)
    assert not agree(record(forged, over), record(SHARE, over))
    assert not agree(record(forged, replace(over, metric="")), record(SHARE))
    auc = replace(SHARE, metric="auc")
    assert agree(record(SHARE, over), record(SHARE, auc))
    assert agree(record(SHARE, auc), record(SHARE, over))


def test_a_check_left_out_for_want_of_time_is_not_compared_and_not_called_the_same() -> None:
    told = replace(SHARE, check="quality.errors", metric="error_rate")
    over = Gap(
        reason=GapReason.OVER_BUDGET, detail="d", cure="c", target="cpu", check="quality.errors"
    )
    for was, now in ((told, over), (over, told)):
        found = check_reproduction(record(SHARE, was), record(SHARE, now), CHECKS)
        assert found.holds
        (step,) = (item for item in found.steps if item.name == "quality.errors on cpu")
        assert step.result is StepResult.NOT_CHECKED
    assert not agree(record(told), record(over)), "nothing was compared"


def test_an_interval_reading_that_does_not_depend_on_the_machine_must_meet() -> None:
    loose = replace(SHARE, repeat=Repeatability.INTERVAL)
    assert agree(record(loose), record(replace(loose, value=0.91)))
    assert not agree(record(loose), record(replace(SHARE, value=0.91))), "its own word is nothing"
    assert not agree(record(loose), record(replace(loose, value=0.99, low=0.97, high=1.0)))


@pytest.mark.parametrize(("was", "now"), [("shown", "no evidence at this power"), (True, False)])
def test_words_and_answers_of_a_run_that_may_scatter_are_compared_all_the_same(
    was: str | bool,  # noqa: FBT001 -- of a table
    now: str | bool,  # noqa: FBT001 -- of a table
) -> None:
    said = replace(
        SHARE, value=was, low=None, high=None, repeat=Repeatability.INTERVAL, unit=Unit.NONE
    )
    assert agree(record(said), record(said))
    assert not agree(record(said), record(replace(said, value=now)))
    assert not agree(record(said), record(replace(said, value=now), identity="haswell"))
    number = replace(said, value=3.0)
    assert agree(record(number), record(replace(number, value=4.0))), "seen once, without interval"


def test_missing_and_new_readings_do_not_agree() -> None:
    assert not agree(record(SHARE), record())
    assert not agree(record(SHARE), record(SHARE, replace(SHARE, metric="auc")))
    assert not agree(record(SHARE), record(replace(GAP, check=SHARE.check)))
    assert not agree(record(GAP), record(replace(GAP, reason=GapReason.CHECK_CRASHED)))


def test_records_that_measured_nothing_do_not_agree() -> None:
    assert not agree(record(), record())
    assert not agree(record(GAP), record(GAP))
    assert not agree(record(), record(SHARE))


def test_another_request_does_not_agree() -> None:
    other = record(SHARE)
    other = replace(other, request=replace(other.request, seed=8))
    assert not agree(record(SHARE), other)


def file(name: str, raw: bytes) -> FileDigest:
    return FileDigest(name, len(raw), compute_digest(raw).removeprefix("sha256:"))


FILES = {compute_digest(raw): raw for raw in (b"model", b"weights", b"cat", b"dog", b"table")}


def test_inputs_are_laid_out_as_the_audit_file_names_them(tmp_path: Path) -> None:
    inputs = (
        InputFile("m/model.onnx", file("model.onnx", b"model")),
        InputFile("m/model.onnx", file("weights.bin", b"weights")),
        InputFile("pictures", file("pictures/cat/1.png", b"cat")),
        InputFile("pictures", file("pictures/dog/1.png", b"dog")),
        InputFile("/elsewhere/test.csv", file("test.csv", b"table")),
    )
    laid = materialize_inputs(inputs, FILES.__getitem__, tmp_path)
    model = laid.locate("m/model.onnx")
    assert model.read_bytes() == b"model"
    assert (model.parent / "weights.bin").read_bytes() == b"weights"
    assert (laid.locate("pictures") / "cat" / "1.png").read_bytes() == b"cat"
    assert laid.locate("/elsewhere/test.csv").read_bytes() == b"table"
    with pytest.raises(RecordError, match="lists no input"):
        laid.locate("other.csv")


def test_a_name_that_climbs_out_stays_inside(tmp_path: Path) -> None:
    inputs = (InputFile("../../x.csv", file("../../x.csv", b"table")),)
    laid = materialize_inputs(inputs, FILES.__getitem__, tmp_path / "in")
    assert laid.locate("../../x.csv").resolve().is_relative_to(tmp_path / "in")


def test_an_input_with_other_bytes_is_refused(tmp_path: Path) -> None:
    inputs = (InputFile("x.csv", file("x.csv", b"table")),)
    with pytest.raises(RecordError, match="damaged"):
        materialize_inputs(inputs, lambda _: b"other", tmp_path)


def test_an_input_that_lies_in_a_file_is_copied_and_its_bytes_are_looked_at(
    tmp_path: Path,
) -> None:
    (tmp_path / "blob").write_bytes(b"table")
    inputs = (InputFile("x.csv", file("x.csv", b"table")),)
    laid = materialize_inputs(inputs, lambda _: tmp_path / "blob", tmp_path / "in")
    place = laid.locate("x.csv")
    assert place.read_bytes() == b"table"
    # A file that others link to meanwhile looks to whoever reads it as if it had changed.
    assert place.stat().st_nlink == 1
    (tmp_path / "blob").write_bytes(b"other")
    with pytest.raises(RecordError, match="damaged"):
        materialize_inputs(inputs, lambda _: tmp_path / "blob", tmp_path / "again")


def test_files_are_found_by_their_digest(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "renamed").write_bytes(b"table")
    assert (
        index_files_by_digest(tmp_path)[compute_digest(b"table")] == tmp_path / "deep" / "renamed"
    )


def test_code_of_a_record_runs_only_on_leave_of_who_reproduces_it() -> None:
    code = InputFile("recipe.py", FileDigest("recipe.py", 5, "5" * 64))
    ref = RecipeRef(digest="sha256:" + "5" * 64, function="train", allowed=True)
    request = replace(record(SHARE, inputs=(code,)).request, recipe=ref)
    with pytest.raises(RecordError, match=r"recipe\.py \(sha256:5+\)") as caught:
        require_training_permission(request, given=False, sandboxed=True)
    assert "--allow-recipe" in caught.value.cure
    require_training_permission(request, given=True, sandboxed=True)


@pytest.mark.parametrize("unsandboxed", [True, False])
def test_code_of_a_record_never_runs_without_bubblewrap(*, unsandboxed: bool) -> None:
    ref = RecipeRef(
        digest="sha256:" + "5" * 64, function="train", allowed=True, unsandboxed=unsandboxed
    )
    request = replace(record(SHARE).request, recipe=ref)
    with pytest.raises(RecordError, match="read every file") as caught:
        require_training_permission(request, given=True, sandboxed=False)
    assert "bubblewrap" in caught.value.cure


def test_a_record_that_ran_no_code_needs_no_leave() -> None:
    request = record(SHARE).request
    require_training_permission(request, given=False, sandboxed=True)
    ref = RecipeRef(digest="sha256:" + "5" * 64, function="train", allowed=False)
    require_training_permission(replace(request, recipe=ref), given=False, sandboxed=False)
