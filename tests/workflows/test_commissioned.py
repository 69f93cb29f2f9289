"""Audits that a service carries out a check at a time are equal to those on one's own machine."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from durable_toys import until
from small_audits import write_example
from watching import Nobody

from auditor.domain.json import Json, compute_digest, encode_canonical, parse_json
from auditor.domain.policies import AssuranceLevel
from auditor.domain.readings import Gap, GapReason
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.targets import Fingerprint
from auditor.errors import InvalidInputError, SubmissionError
from auditor.reports.folder import BUNDLE, RECORD, RecordFolder
from auditor.service.domain.submissions import (
    AuditOrder,
    ShardKey,
    Submission,
    SubmissionResult,
    SubmissionState,
)
from auditor.service.jobs.durable import DurableEngine, EngineClient, EngineConfig
from auditor.service.jobs.executor import AuditExecutor, build_executor
from auditor.service.store.submission_history import ServiceStore
from auditor.workflows.audit import run_audit
from auditor.workflows.prepare import prepare_audit, read_overridden_audit_file
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.verify.folder import verify_folder
from auditor.workflows.verify.verifiers import build_verifier
from auditor.workflows.wiring import build_path_resolver, build_resolvers
from auditor.workflows.workspace import Workspace, open_workspace

NOW = "2026-01-01T00:00:00Z"
ONLY = ("data.duplicates", "evasion.linf", "provenance.signature", "quality.accuracy")


@dataclass(frozen=True)
class Asked:
    """A service with one submission, what was submitted, and the record of the same audit here."""

    place: Workspace
    service: ServiceStore
    submission: Submission
    here: AuditRecord

    def again(self, number: int, **changes: object) -> Submission:
        order = replace(self.submission.order, **changes)  # type: ignore[arg-type]
        other = replace(self.submission, id=f"sub-{number:024x}", order=order)
        return self.service.submit(other, None)[0]

    def work(self) -> AuditExecutor:
        return build_executor(self.place, {})


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """Audit here, and leave all that was asked among the blobs of a service."""
    folder = tmp_path_factory.mktemp("example")
    write_example(folder)
    path = folder / "audit.yaml"
    settings = AuditorSettings.from_environment(
        {**os.environ, "AUDITOR_HOME": str(folder / "home")}
    )
    parts = build_resolvers(folder)
    file = read_overridden_audit_file(path.read_bytes(), path.name, parts, only=ONLY)
    with open_workspace(settings) as place:
        with prepare_audit(file, build_path_resolver(path), parts) as given:
            place.keep_inputs(given, build_path_resolver(path))
            prepared = place.informed(given)
            here = run_audit(prepared, place.surroundings(), Nobody())
        service = ServiceStore(place.store)
        service.add_project("default", NOW)
        submission = Submission(
            id="sub-" + "0" * 24,
            project="default",
            submitter="k",
            submitted=NOW,
            order=AuditOrder(
                audit_file=compute_digest(file.raw),
                source=path.name,
                inputs=here.request.inputs,
                policy=here.request.policy.digest,
                targets=("cpu",),
                only=ONLY,
            ),
        )
        yield Asked(place, service, submission, here)


def record_of(asked: Asked, submission: Submission) -> AuditRecord:
    files = files_of(asked, submission)
    return read_record(files[RECORD])


def files_of(asked: Asked, submission: Submission) -> dict[str, bytes]:
    ending = asked.service.outcome(submission.id)
    assert ending is not None
    assert ending.files is not None
    blobs = asked.place.store.blobs
    manifest = parse_json(blobs.get(ending.files))
    assert isinstance(manifest, dict)
    return {name: blobs.get(str(item)) for name, item in manifest.items()}


def seen(record: AuditRecord) -> dict[str, Json]:
    """Return what is the same wherever it was audited: services count, and nobody else does."""
    alone = replace(record, request=replace(record.request, attempt=None))
    body = alone.to_json()
    return {name: body[name] for name in ("request", "observations", "readings", "findings")}


@pytest.fixture(scope="module")
def served(asked: Asked) -> Submission:
    """Carry the submission out as one process does that nobody disturbs."""
    submission, work = asked.again(1), asked.work()
    for target, checks in work.plan(submission.id):
        for check in checks:
            work.observe(submission.id, target, check)
    work.conclude(submission.id)
    return submission


def seen_before(asked: Asked, served: Submission, check: str) -> dict[str, Json]:
    """Return what a worker kept of a check."""
    key = ShardKey(submission=served.id, target="cpu", check=check)
    body = parse_json(asked.service.result(key) or b"")
    assert isinstance(body, dict)
    return body


def keep(asked: Asked, submission: Submission, check: str, body: Json) -> None:
    """Keep as seen of a check what a worker might have sent."""
    key = ShardKey(submission=submission.id, target="cpu", check=check)
    asked.service.put_result(key, encode_canonical(body), NOW)


def test_a_served_audit_sees_and_finds_what_the_same_audit_does_here(
    asked: Asked, served: Submission, tmp_path: Path
) -> None:
    submission = served
    record = record_of(asked, submission)
    assert seen(record) == seen(asked.here)
    assert record.fingerprints.keys() == asked.here.fingerprints.keys()
    assert record.assurance is AssuranceLevel.A1
    assert asked.service.state(submission.id) is SubmissionState.DONE
    for name, raw in files_of(asked, submission).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(raw)
    # A service's key shows more than A0 only to those whose trust policy says so.
    believed = replace(build_verifier(tmp_path / "signer.pub"), highest=AssuranceLevel.A1)
    steps = verify_folder(RecordFolder(tmp_path), believed)
    assert [step for step in steps if step.result.value == "failed"] == []
    kinds = [event.kind for event in asked.service.events(submission.id)]
    assert [kind for kind in kinds if kind in set(SubmissionState)] == ["queued", "running", "done"]
    assert kinds.count("check_started") == kinds.count("check_ended") == len(ONLY)


def test_a_process_that_dies_between_any_two_calls_changes_nothing(asked: Asked) -> None:
    only = ("quality.accuracy", "evasion.linf")  # the cheapest first, as budget smoke wants it
    submission = asked.again(2, only=only)
    started: list[AuditExecutor] = []

    def fresh() -> AuditExecutor:
        started.append(asked.work())
        return started[-1]

    assert fresh().plan(submission.id) == (("cpu", only),)
    registered, before = asked.service.registered(submission.id), leaves(asked)
    assert fresh().plan(submission.id) == (("cpu", only),)
    assert asked.service.registered(submission.id) == registered
    for check in only:
        fresh().observe(submission.id, "cpu", check)
    fresh().observe(submission.id, "cpu", only[0])
    assert leaves(asked) == before
    fresh().conclude(submission.id)
    fresh().conclude(submission.id)
    fresh().failed(submission.id, "too late", "Nothing.")
    record, here = record_of(asked, submission), asked.here
    assert record.readings == tuple(item for item in here.readings if item.check in only)
    assert record.observations == tuple(it for it in here.observations if it.check in only)
    assert [item.outcome for item in record.findings] == [it.outcome for it in here.findings]
    assert leaves(asked) == before + 1
    assert asked.service.state(submission.id) is SubmissionState.DONE
    for work in started:
        work.close()


def leaves(asked: Asked) -> int:
    with asked.place.store.ledger() as ledger:
        return ledger.head().size


def test_a_conclusion_that_was_interrupted_gives_the_record_that_it_had_signed(
    asked: Asked, served: Submission
) -> None:
    submission, work = asked.again(3, only=("quality.accuracy",)), asked.work()
    work.plan(submission.id)
    body = seen_before(asked, served, "quality.accuracy")
    keep(asked, submission, "quality.accuracy", body)
    finished = "2026-02-01T00:00:00Z"
    assert asked.service.finish(submission.id, finished) == finished
    # The record was kept, and the process died before it could say so.
    commission = replace(work.commission, service=_Dying(asked.place.store))
    with pytest.raises(KeyboardInterrupt):
        AuditExecutor(commission).conclude(submission.id)
    before = leaves(asked)
    assert asked.service.outcome(submission.id) is None
    work.conclude(submission.id)
    record = record_of(asked, submission)
    assert (record.finished, leaves(asked)) == (finished, before)
    with asked.place.store.unit_of_work() as unit:
        kept = unit.find_record(record.id)
    assert kept is not None
    assert files_of(asked, submission)[BUNDLE] == kept.bundle


def test_the_durable_engine_carries_a_submission_through(asked: Asked, tmp_path: Path) -> None:
    post = EngineConfig(
        database=f"sqlite:///{tmp_path / 'engine.db'}", executor="here", targets=("cpu",),
        polling=0.05, locks=tmp_path / "locks",
    )  # fmt: skip
    works, bad = asked.again(7, only=("quality.accuracy",)), asked.again(8, targets=("npu",))
    work = asked.work()
    engine = DurableEngine(post, work, asked.service.owner)
    engine.launch()
    client = EngineClient(post)
    client.connect()
    for submission in (works, bad):
        client.submit(submission.id)
    until(lambda: not {works.id, bad.id} & {it.id for it in asked.service.unended()}, 300)
    client.close()
    engine.stop(0)
    work.close()
    assert asked.service.state(works.id) is SubmissionState.DONE
    (reading, *_) = record_of(asked, works).readings
    assert reading in asked.here.readings
    failed = asked.service.outcome(bad.id)
    assert failed is not None
    assert failed.failure is not None
    assert failed.failure.problem == "there is no target 'npu'"


class _Dying(ServiceStore):
    """A store whose process dies before a submission ends."""

    def end(self, submission: str, ending: SubmissionResult) -> bool:
        raise KeyboardInterrupt


def test_a_submission_that_was_cancelled_is_worked_at_no_more(asked: Asked) -> None:
    submission, work = asked.again(4), asked.work()
    work.plan(submission.id)
    asked.service.end(submission.id, SubmissionResult(ended=NOW))
    for check in ONLY:
        work.observe(submission.id, "cpu", check)
    work.conclude(submission.id)
    assert work.plan(submission.id) == ()
    assert asked.service.state(submission.id) is SubmissionState.CANCELLED
    assert "check_started" not in [event.kind for event in asked.service.events(submission.id)]


def kept_elsewhere(asked: Asked, served: Submission, number: int, **changes: Json) -> Submission:
    """Submit, and let another worker than the last one have seen the first check."""
    checks = ("data.duplicates", "quality.accuracy")
    submission = asked.again(number, only=checks)
    asked.work().plan(submission.id)
    for check, changed in zip(checks, (changes, {}), strict=True):
        body = seen_before(asked, served, check)
        keep(asked, submission, check, {**body, **changed})
    return submission


def test_a_check_that_was_seen_elsewhere_than_the_last_one_is_a_gap(
    asked: Asked, served: Submission
) -> None:
    other = Fingerprint({"isa": "another"}, {})
    submission = kept_elsewhere(asked, served, 5, fingerprint=other.to_json())
    asked.work().conclude(submission.id)
    record = record_of(asked, submission)
    gaps = {item.check: item.reason for item in record.readings if isinstance(item, Gap)}
    assert gaps == {"data.duplicates": GapReason.TARGET_CHANGED}
    assert record.fingerprints["cpu"].identity != other.identity


def test_checks_of_another_version_are_not_concluded_on(asked: Asked, served: Submission) -> None:
    submission = kept_elsewhere(asked, served, 6, code=compute_digest(b"other code"))
    with pytest.raises(SubmissionError, match="another version of auditor"):
        asked.work().conclude(submission.id)
    assert asked.service.state(submission.id) is SubmissionState.RUNNING


CHANGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a target that is written out": (
        lambda raw: raw.replace(b"[cpu]", b"[{name: own, runtime: onnxruntime}]"),
        "written out",
    ),
    "a target that is not there": (lambda raw: raw.replace(b"[cpu]", b"[npu]"), "no target 'npu'"),
    "a recipe": (lambda raw: raw + b"recipe: {path: test.csv, allow: true}\n", "recipe"),
    "withheld rows": (lambda raw: raw + b"disclosure: rows\n", "disclosure"),
    "a file of the server": (
        lambda raw: raw.replace(b"test.csv", b"/etc/passwd"),
        "no input '/etc/passwd'",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_not_for_a_service_is_refused_before_anything_runs(
    asked: Asked, change: str
) -> None:
    make, words = CHANGES[change]
    blobs = asked.place.store.blobs
    raw = make(blobs.get(asked.submission.order.audit_file))
    number = 100 + list(CHANGES).index(change)
    submission = asked.again(number, audit_file=blobs.put(raw))
    with pytest.raises(InvalidInputError, match=words):
        asked.work().plan(submission.id)
    assert asked.service.state(submission.id) is SubmissionState.QUEUED
