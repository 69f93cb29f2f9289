"""The engine turns whatever goes wrong in a check into a Gap, and never into silence."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from auditor.checks.measure import compute_readings
from auditor.domain.artifacts import SignatureMaterial
from auditor.domain.audit_checkpoint import AuditCheckpoint
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Blob, Evidence
from auditor.domain.observed_checks import ObservedCheck, Result
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import ClassificationTask
from auditor.errors import AuditorError, CancelledError, ModelCrashedError, ModelTimeoutError
from auditor.workflows.engine.local import observe_checks
from auditor.workflows.engine.time_allowance import TimeAllowance

ABSENT = Gap(reason=GapReason.NEEDS_MODEL, detail="no model", cure="bring one")
SIZE = AuditSize(rows=0, classes=2)
SUBJECT = Subject(
    artifact=None,
    structure=ABSENT,
    signature=SignatureMaterial(),
    model=ABSENT,
    twin=ABSENT,
    task=ClassificationTask(("0", "1"), "1", "1"),
    space=ABSENT,
    datasets={},
    audit_seed=7,
    seed=7,
    budget=Budget.SMOKE,
    target=TargetSpec("cpu"),
)


@dataclass(frozen=True)
class Dice(Check):
    """Throws dice; what it measures is known on paper."""

    id: ClassVar[str] = "quality.dice"
    version: ClassVar[int] = 3
    title: ClassVar[str] = "Dice"
    needs: ClassVar[frozenset[Need]] = frozenset()
    emits: ClassVar[Mapping[str, Metric]] = {"mean": Metric("Mean", Unit.COUNT)}
    throws: int = 10

    def cost(self, size: AuditSize) -> CheckCost:
        return CheckCost()

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        return {}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        subject.progress(1, 2, "throwing")
        return {"throws": np.random.default_rng(subject.seed).integers(1, 7, self.throws)}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        throws = evidence["throws"]
        assert isinstance(throws, np.ndarray)
        mean = float(throws.mean())
        return (
            Measurement(
                metric="mean",
                value=mean,
                low=mean - 1,
                high=mean + 1,
                method="paper",
                n=10,
                unit=Unit.COUNT,
                confidence=confidence,
            ),
        )


class Note:
    """Remembers what an engine says."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def started(self, target: str, check: Check) -> None:
        self.said.append(f"started {check.id} on {target}")

    def advanced(self, done: int, total: int, note: str = "") -> None:
        self.said.append(f"{done}/{total} {note}")

    def ended(self, target: str, check: Check, result: Result) -> None:
        self.said.append(f"ended {check.id}")


class Shelf:
    """A memory in this process."""

    def __init__(self) -> None:
        self.held: dict[str, Evidence] = {}

    def recall(self, name: str) -> Evidence | None:
        return self.held.get(name)

    def remember(self, name: str, evidence: Evidence) -> None:
        self.held[name] = evidence


def run(
    check: Check, note: Note | None = None, memory: AuditCheckpoint | None = None
) -> tuple[Result, list[Blob]]:
    blobs: list[Blob] = []
    subject = SUBJECT if memory is None else replace(SUBJECT, memory=memory)
    (result,) = observe_checks(
        [check], subject, blobs.append, note or Note(), TimeAllowance(TargetSpec("cpu"), SIZE)
    )
    return result, blobs


def test_an_observation_names_its_evidence_by_digest() -> None:
    note = Note()
    result, blobs = run(Dice(), note)
    assert isinstance(result, ObservedCheck)
    assert result.observation.evidence == {"throws": blobs[0].digest}
    assert result.observation.params == {"throws": 10}
    assert note.said == ["started quality.dice on cpu", "1/2 throwing", "ended quality.dice"]


def test_the_frame_fills_in_where_a_reading_comes_from() -> None:
    result, blobs = run(Dice())
    (reading,) = compute_readings([result], 0.9)
    assert isinstance(reading, Measurement)
    assert (reading.target, reading.check, reading.version) == ("cpu", "quality.dice", 3)
    assert reading.evidence == (blobs[0].digest,)
    assert reading.confidence == 0.9


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert run(Dice())[1] == run(Dice())[1]


def test_what_an_interrupted_audit_had_observed_is_not_observed_again() -> None:
    memory = Shelf()
    first, kept = run(Dice(), memory=memory)
    note = Note()
    again, blobs = run(Dice(), note, memory=memory)
    assert "1/2 throwing" not in note.said
    assert isinstance(first, ObservedCheck)
    assert isinstance(again, ObservedCheck)
    assert again.observation == first.observation
    assert [blob.digest for blob in blobs] == [blob.digest for blob in kept]
    other, _ = run(Dice(throws=11), note, memory=memory)
    assert "1/2 throwing" in note.said
    assert isinstance(other, ObservedCheck)


def test_a_need_that_is_not_met_is_a_gap_before_anything_runs() -> None:
    @dataclass(frozen=True)
    class Needy(Dice):
        needs: ClassVar[frozenset[Need]] = frozenset({Need.MODEL})

        def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
            raise AssertionError

    result, blobs = run(Needy())
    assert isinstance(result, Gap)
    assert (result.reason, result.check, result.target) == (
        GapReason.NEEDS_MODEL,
        "quality.dice",
        "cpu",
    )
    assert blobs == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ModelCrashedError("it died", cure="look"), GapReason.MODEL_CRASHED),
        (ModelTimeoutError("it hung", cure="look"), GapReason.MODEL_HUNG),
        (ZeroDivisionError("by nothing"), GapReason.CHECK_CRASHED),
        (MemoryError(), GapReason.CHECK_CRASHED),
    ],
)
def test_whatever_a_check_raises_becomes_a_gap_with_a_reason(
    error: Exception, reason: GapReason
) -> None:
    @dataclass(frozen=True)
    class Raising(Dice):
        def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
            raise error

    result, _ = run(Raising())
    assert isinstance(result, Gap)
    assert result.reason is reason
    assert result.cure


def test_a_user_who_stops_is_obeyed() -> None:
    @dataclass(frozen=True)
    class Stopped(Dice):
        def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
            raise CancelledError("stopped", cure="start again")

    with pytest.raises(CancelledError):
        run(Stopped())


BROKEN: list[tuple[str, Measurement | None]] = [
    (
        "not finite",
        Measurement(
            metric="mean", value=float("nan"), low=0.0, high=1.0, method="m", n=1, unit=Unit.COUNT
        ),
    ),
    ("no interval", Measurement(metric="mean", value=1.0, method="m", n=1, unit=Unit.COUNT)),
    (
        "does not hold",
        Measurement(metric="mean", value=3.0, low=0.0, high=1.0, method="m", n=1, unit=Unit.COUNT),
    ),
    ("one end", Measurement(metric="mean", value=0.5, low=0.0, method="m", n=1, unit=Unit.COUNT)),
    (
        "malformed 'median'",
        Measurement(
            metric="median", value=0.5, low=0.0, high=1.0, method="m", n=1, unit=Unit.COUNT
        ),
    ),
    (
        "bound or unit",
        Measurement(metric="mean", value=0.5, low=0.0, high=1.0, method="m", n=1, unit=Unit.SHARE),
    ),
    (
        "bound or unit",
        Measurement(
            metric="mean",
            value=0.5,
            low=0.0,
            high=1.0,
            method="m",
            n=1,
            unit=Unit.COUNT,
            bound=BoundKind.AT_MOST,
        ),
    ),
    ("said nothing", None),
]


@pytest.mark.parametrize(("said", "reading"), BROKEN)
def test_a_reading_that_breaks_the_contract_is_a_gap(
    said: str, reading: Measurement | None
) -> None:
    @dataclass(frozen=True)
    class Sloppy(Dice):
        def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
            return () if reading is None else (reading,)

    result, _ = run(Sloppy())
    assert isinstance(result, Gap)
    assert result.reason is GapReason.CHECK_CRASHED
    assert said in result.detail


def test_every_model_error_has_a_reason_of_its_own() -> None:
    from auditor.workflows.engine.local import REASONS  # noqa: PLC0415 -- only this test looks at the table

    assert all(issubclass(error, AuditorError) for error in REASONS)
    assert len({REASONS[error] for error in REASONS}) == len(REASONS)
