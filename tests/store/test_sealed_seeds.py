"""The seed of a sealed audit is recomputed from its record; one that was shopped is found."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auditor.domain.json import compute_digest, parse_json
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditAttempt, AuditRequest, PolicyRef
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.domain.waivers import WaiverRef
from auditor.reports.html.verdict import describe_attempt
from auditor.reports.schemas import validate_record
from auditor.service.domain.submissions import AuditOrder, Submission
from auditor.service.store.audit_attempts import AttemptStore
from auditor.service.store.submission_history import ServiceStore
from auditor.store.record_store import RecordStore
from auditor.trust.ledger.events import LeafOpening
from auditor.trust.ledger.notes import MemoryNoteSigner
from auditor.trust.ledger.receipts import LedgerReceipt
from auditor.workflows.verify.sealed_seed import check_sealed_seed

NOW = "2026-01-01T00:00:00Z"
SIGNER = MemoryNoteSigner("audits.example.org/log", Ed25519PrivateKey.from_private_bytes(b"7" * 32))
STRANGER = MemoryNoteSigner(
    "audits.example.org/log", Ed25519PrivateKey.from_private_bytes(b"8" * 32)
)
Make = Callable[..., AuditRecord]


def register(store: RecordStore, number: int, request: AuditRequest) -> AuditRequest:
    """Register a request as a sealed audit's, and return it as it is carried out."""
    kept = ServiceStore(store)
    submission = Submission(
        id=f"sub-{number:024x}",
        project="mine",
        submitter="k1",
        submitted=NOW,
        order=AuditOrder(
            audit_file=compute_digest(b"audit"),
            source="audit.yaml",
            inputs=(),
            policy=compute_digest(b"policy"),
            targets=("cpu",),
            sealed=True,
        ),
    )
    kept.submit(submission, None)
    AttemptStore(store).register(submission, request, NOW)
    return kept.registered(submission.id).request


@pytest.fixture
def log(sqlite_url: str, home: Path) -> Iterator[RecordStore]:
    """Open an empty store whose ledger is signed."""
    opened = RecordStore.open(sqlite_url, home / "blobs", SIGNER)
    ServiceStore(opened).add_project("mine", NOW)
    yield opened
    opened.close()


@pytest.fixture
def sealed(log: RecordStore, asked: AuditRequest) -> AuditRequest:
    """Register a request whose seed the ledger gives."""
    return register(log, 1, asked)


@pytest.fixture
def told(make_record: Make) -> Callable[..., VerificationStep]:
    """Say what verifying makes of a record of a request, read back from its bytes."""

    def look(request: AuditRequest, key: MemoryNoteSigner | None = SIGNER) -> VerificationStep:
        record = read_record(make_record(request=request).canonical())
        assert not validate_record(parse_json(record.canonical()))
        (step,) = check_sealed_seed(record, None if key is None else key.key)
        return step

    return look


def attempt_of(request: AuditRequest) -> AuditAttempt:
    assert request.attempt is not None
    return request.attempt


def tried(request: AuditRequest, **changes: object) -> AuditRequest:
    """Return a request with something else said of its attempt."""
    return replace(request, attempt=replace(attempt_of(request), **changes))  # type: ignore[arg-type]


Told = Callable[..., VerificationStep]


def test_a_drawn_seed_holds_under_the_ledgers_key_and_is_not_checked_without(
    sealed: AuditRequest, told: Told
) -> None:
    step = told(sealed)
    assert step.result is StepResult.HOLDS, step.detail
    assert step.detail.endswith("the ledger audits.example.org/log; attempt 1")
    unknown = told(sealed, None)
    assert unknown.result is StepResult.NOT_CHECKED
    assert "--ledger-key" in unknown.detail
    assert describe_attempt(sealed).startswith("number 1 of digits-cnn under baseline; seed sealed")


def test_a_seed_that_somebody_chose_is_found_with_a_key_and_without(
    sealed: AuditRequest, told: Told
) -> None:
    for key in (SIGNER, None):
        step = told(replace(sealed, seed=sealed.seed ^ 1), key)
        assert step.result is StepResult.FAILED
        assert step.detail.startswith("SEED_NOT_DRAWN: the seed is ")


def test_an_attempt_that_says_another_number_is_found(sealed: AuditRequest, told: Told) -> None:
    step = told(tried(sealed, number=2))
    assert step.result is StepResult.FAILED
    assert step.detail.startswith("SEED_PROOF: the seed was drawn for another request")


def test_a_request_that_asks_for_something_else_is_found(sealed: AuditRequest, told: Told) -> None:
    assert told(replace(sealed, only=("quality.accuracy",))).detail.startswith("SEED_PROOF")
    assert told(
        replace(sealed, policy=PolicyRef("baseline", "2", compute_digest(b"x")))
    ).result is (StepResult.FAILED)


def test_the_checkpoint_of_another_request_gives_no_seed(
    log: RecordStore, sealed: AuditRequest, asked: AuditRequest, told: Told
) -> None:
    other = register(log, 2, asked)
    assert (attempt_of(other).number, other.seed == sealed.seed) == (2, False)
    replayed = replace(tried(sealed, proof=attempt_of(other).proof), seed=other.seed)
    assert told(replayed).detail.startswith("SEED_PROOF: the seed was drawn for another request")


def test_a_later_checkpoint_than_that_of_the_registration_gives_no_seed(
    log: RecordStore, sealed: AuditRequest, asked: AuditRequest, told: Told
) -> None:
    register(log, 2, asked)
    with log.ledger() as ledger:
        entry, note, size = ledger.entry(0), ledger.checkpoint(), ledger.head().size
        hashes = tuple(ledger.tree(size).inclusion(0))
    opening = LeafOpening(entry.leaf, entry.salt, entry.event.digest, entry.event.subjects)
    later = LedgerReceipt(0, hashes, note, opening.emit()).emit().decode()
    step = told(tried(sealed, proof=later))
    assert step.result is StepResult.FAILED
    assert "another checkpoint could have been chosen" in step.detail


def test_a_checkpoint_that_another_key_signed_gives_no_seed(
    sealed: AuditRequest, told: Told
) -> None:
    assert told(sealed, STRANGER).detail.startswith("SEED_PROOF: ")
    broken = str(attempt_of(sealed).proof).replace("index 0", "index 1")
    assert told(tried(sealed, proof=broken)).detail.startswith("SEED_PROOF: ")


def test_what_is_said_to_be_sealed_and_not_shown_fails_and_other_audits_have_no_such_step(
    sealed: AuditRequest, told: Told, make_record: Make
) -> None:
    assert told(tried(sealed, proof=None)).detail.startswith("SEED_NOT_DRAWN: ")
    # Nor can anybody say afterwards that the auditor held the data.
    assert told(tried(sealed, sets=("loans",))).result is StepResult.FAILED
    assert told(tried(sealed, held=("evaluation",))).result is StepResult.FAILED
    assert told(tried(sealed, by_data=True)).result is StepResult.FAILED
    # To say that it is not sealed does not make its proof go away.
    assert told(tried(sealed, sealed=False, number=3)).result is StepResult.FAILED
    for attempt in (None, AuditAttempt(number=7)):
        record = make_record(request=replace(sealed, attempt=attempt))
        assert check_sealed_seed(record, SIGNER.key) == ()


def test_judging_again_by_waivers_or_by_another_policy_leaves_the_seed_what_it_was(
    sealed: AuditRequest, told: Told
) -> None:
    hashed = compute_digest(b"waiver")
    waived = replace(
        sealed, waivers=(WaiverRef(hashed, hashed, hashed, "waiver.json"),), baseline=hashed
    )
    assert told(waived).result is StepResult.HOLDS
    other = sealed.under(PolicyRef("stricter", "1", compute_digest(b"stricter")))
    assert told(other).result is StepResult.HOLDS
    assert (
        told(other.under(PolicyRef("third", "1", compute_digest(b"third")))).result
        is StepResult.HOLDS
    )
    assert told(other.under(sealed.policy)).result is StepResult.HOLDS
    assert "under baseline" in describe_attempt(other)


def test_a_request_that_nobody_counted_is_written_as_it_always_was(asked: AuditRequest) -> None:
    assert "attempt" not in asked.to_json()
    assert asked.under(asked.policy) == asked
