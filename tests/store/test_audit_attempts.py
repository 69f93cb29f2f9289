"""Attempts are counted as requests are registered, and sealed ones have a seed of the ledger's."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.datasets import DatasetRole
from auditor.domain.json import compute_digest
from auditor.domain.requests import UNDRAWN, AuditAttempt, AuditRequest, PolicyRef
from auditor.errors import LedgerError, StoreError
from auditor.service.domain.schedules import SealedSet
from auditor.service.domain.submissions import AuditOrder, Submission, SubmissionResult
from auditor.service.store.audit_attempts import AttemptStore, AttemptSubject, SealedSetStore
from auditor.service.store.submission_history import ServiceStore
from auditor.store.record_store import RecordStore
from auditor.trust.ledger.events import LedgerEventType
from auditor.trust.ledger.merkle import TreeHead
from auditor.trust.ledger.notes import MemoryNoteSigner
from auditor.trust.ledger.seed_draw import derive_ledger_seed, draw_seed

NOW = "2026-01-01T00:00:00Z"
SIGNER = MemoryNoteSigner("audits.example.org/log", Ed25519PrivateKey.from_private_bytes(b"7" * 32))
AT_ONCE = 8
"""Requests that are registered at once."""


def handed_in(store: RecordStore, number: int, **changes: object) -> Submission:
    usual = Submission(
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
        ),
    )
    own = {name: changes.pop(name) for name in ("project", "submitter") if name in changes}
    order = replace(usual.order, **changes)  # type: ignore[arg-type]  # each test names real fields
    asked = replace(usual, order=order, **own)  # type: ignore[arg-type]
    kept, _new = ServiceStore(store).submit(asked, None)
    return kept


@pytest.fixture
def signed(sqlite_url: str, home: Path) -> Iterator[RecordStore]:
    """Open an empty store whose ledger is signed, with two projects."""
    opened = RecordStore.open(sqlite_url, home / "blobs", SIGNER)
    for name in ("mine", "theirs"):
        ServiceStore(opened).add_project(name, NOW)
    yield opened
    opened.close()


def registered(store: RecordStore, submission: Submission) -> AuditRequest:
    return ServiceStore(store).registered(submission.id).request


def counted(
    store: RecordStore,
    number: int,
    request: AuditRequest,
    tried: AttemptSubject | None = None,
    **changes: object,
) -> AuditAttempt:
    """Register a request, and return which attempt it became."""
    submission = handed_in(store, number, **changes)
    assert AttemptStore(store).register(submission, request, NOW, tried)
    attempt = registered(store, submission).attempt
    assert attempt is not None
    return attempt


def requests_in(store: RecordStore) -> list[str]:
    """Return the digests of the requests in the ledger, the oldest first."""
    with store.ledger() as ledger:
        entries = [ledger.entry(index) for index in range(ledger.head().size)]
    return [it.event.digest for it in entries if it.event.type is LedgerEventType.REQUEST]


def test_each_request_of_a_line_has_the_next_number_whatever_it_asks_and_came_to(
    signed: RecordStore, asked: AuditRequest
) -> None:
    other = Artifact("digits-cnn", "2", (FileDigest("model.onnx", 9, "cd" * 32),))
    assert counted(signed, 1, asked) == AuditAttempt(number=1)
    assert ServiceStore(signed).end("sub-" + f"{1:024x}", SubmissionResult(ended=NOW))
    assert counted(signed, 2, replace(asked, seed=8)).number == 2
    assert counted(signed, 3, replace(asked, version="2", artifact=other)).number == 3
    assert counted(signed, 4, replace(asked, name="renamed")).number == 4
    assert counted(signed, 5, replace(asked, name="renamed", artifact=None)).number == 5
    assert counted(signed, 6, asked, project="theirs").number == 1
    elsewhere = PolicyRef("another", "1", compute_digest(b"another"))
    assert counted(signed, 7, replace(asked, policy=elsewhere)).number == 1
    newer = PolicyRef(asked.policy.name, "2", compute_digest(b"newer"))
    assert counted(signed, 8, replace(asked, policy=newer)).number == 6
    assert AttemptStore(signed).number("sub-" + f"{8:024x}") == 6
    assert AttemptStore(signed).number("sub-" + f"{9:024x}") is None


def named(request: AuditRequest, name: str) -> AuditRequest:
    """Return a request for a file of its own, under a name of its own."""
    made = FileDigest("model.onnx", 9, compute_digest(name.encode()).removeprefix("sha256:"))
    return replace(request, name=name, artifact=Artifact(name, "1", (made,)))


NETWORK, OTHER = compute_digest(b"a network"), compute_digest(b"another network")


def test_a_network_has_one_count_whatever_its_files_and_names(
    signed: RecordStore, asked: AuditRequest
) -> None:
    for number, name in enumerate(("first", "second", "third"), 1):
        attempt = counted(signed, number, named(asked, name), AttemptSubject(NETWORK))
        assert attempt == AuditAttempt(number=number)
    assert counted(signed, 4, named(asked, "fourth"), AttemptSubject(OTHER)).number == 1
    assert counted(signed, 5, named(asked, "fifth"), AttemptSubject()).number == 1
    assert (
        counted(signed, 6, named(asked, "sixth"), AttemptSubject(NETWORK), project="theirs").number
        == 1
    )
    elsewhere = PolicyRef("another", "1", compute_digest(b"another"))
    other = replace(named(asked, "seventh"), policy=elsewhere)
    assert counted(signed, 7, other, AttemptSubject(NETWORK)).number == 1


def test_data_have_a_count_of_their_own_whatever_the_model(
    signed: RecordStore, asked: AuditRequest
) -> None:
    rows, more = compute_digest(b"rows"), compute_digest(b"more rows")
    first = counted(signed, 1, named(asked, "first"), AttemptSubject(NETWORK, frozenset({rows})))
    assert first == AuditAttempt(number=1)
    second = counted(signed, 2, named(asked, "second"), AttemptSubject(OTHER, frozenset({rows})))
    assert second == AuditAttempt(number=2, by_data=True)
    assert AttemptStore(signed).number("sub-" + f"{2:024x}") == 2
    names = ["sub-" + f"{it:024x}" for it in (1, 2)]
    assert AttemptStore(signed).numbers(names) == dict(zip(names, (1, 2), strict=True))
    both = counted(signed, 3, named(asked, "third"), AttemptSubject(None, frozenset({rows, more})))
    assert both == AuditAttempt(number=3, by_data=True)
    # What its data came to is not what its line came to.
    assert counted(signed, 4, named(asked, "second"), AttemptSubject(OTHER)).number == 2
    assert (
        counted(signed, 5, named(asked, "x"), AttemptSubject(None, frozenset({more}))).number == 2
    )
    theirs = counted(signed, 6, asked, AttemptSubject(None, frozenset({rows})), project="theirs")
    assert theirs == AuditAttempt(number=1)


def test_rows_that_the_auditor_holds_are_counted_by_their_bytes_however_they_are_read(
    signed: RecordStore, asked: AuditRequest
) -> None:
    held = compute_digest(b"held")
    kept = SealedSet(
        project="mine", name="loans", role=DatasetRole.EVALUATION, by="k2", at=NOW, note="",
        file=FileDigest("rows.csv", 4, held.removeprefix("sha256:")),
    )  # fmt: skip
    assert SealedSetStore(signed).add(kept)
    for number, name in enumerate(("one", "two"), 1):
        attempt = counted(
            signed,
            number,
            named(asked, name),
            AttemptSubject(),
            sealed=True,
            sealed_sets=("loans",),
        )
        assert (attempt.number, attempt.by_data) == (number, number > 1)
        assert (attempt.sets, attempt.held) == (("loans",), ("evaluation",))
    own = counted(
        signed, 3, asked, AttemptSubject(), sealed=True, sealed_sets=("loans",), submitter=kept.by
    )
    assert (own.sets, own.held) == (("loans",), ())


def test_what_was_counted_before_networks_were_known_is_found_by_its_file(
    signed: RecordStore, asked: AuditRequest
) -> None:
    old = counted(signed, 1, named(asked, "old"), AttemptSubject())
    assert old.number == 1
    same = replace(named(asked, "old"), name="renamed")
    assert counted(signed, 2, same, AttemptSubject(NETWORK)).number == 2
    assert counted(signed, 3, named(asked, "rewritten"), AttemptSubject(NETWORK)).number == 3


def test_a_request_is_counted_once_however_often_it_is_planned(
    signed: RecordStore, asked: AuditRequest
) -> None:
    for sealed in (False, True):
        submission = handed_in(signed, 1 + sealed, sealed=sealed)
        assert AttemptStore(signed).register(submission, asked, NOW)
        first, leaves = registered(signed, submission), len(requests_in(signed))
        assert not AttemptStore(signed).register(submission, asked, "2026-01-02T00:00:00Z")
        assert registered(signed, submission) == first
        assert len(requests_in(signed)) == leaves
    assert counted(signed, 3, asked).number == 3


def test_a_sealed_request_is_registered_first_without_a_seed_and_then_with_the_one_drawn(
    signed: RecordStore, asked: AuditRequest
) -> None:
    submission = handed_in(signed, 1, sealed=True)
    AttemptStore(signed).register(submission, asked, NOW)
    request = registered(signed, submission)
    attempt = request.attempt
    assert attempt is not None
    assert attempt.proof is not None
    first = replace(asked, seed=UNDRAWN, attempt=AuditAttempt(number=1, sealed=True))
    assert request.undrawn == first
    assert requests_in(signed) == [first.digest, request.digest]
    with signed.ledger() as ledger:
        root = ledger.tree(1).root()
        assert attempt.proof.encode().endswith(ledger.checkpoint(1))
    assert request.seed == derive_ledger_seed(first.digest, TreeHead(1, root)) < 2**53
    drawn = draw_seed(attempt.proof.encode(), first.digest, SIGNER.key)
    assert (drawn.seed, drawn.size, drawn.origin) == (request.seed, 1, SIGNER.name)


def test_a_process_that_dies_between_the_two_changes_neither_number_nor_seed(
    signed: RecordStore, asked: AuditRequest
) -> None:
    submission = handed_in(signed, 1, sealed=True)
    unsigned = replace(signed, signer=None)
    with pytest.raises(LedgerError, match="no such checkpoint"):
        AttemptStore(unsigned).register(submission, asked, NOW)
    with pytest.raises(StoreError, match="was not registered"):
        registered(signed, submission)
    # It has its number, which nobody else gets.
    assert AttemptStore(signed).number(submission.id) == 1
    assert counted(signed, 2, asked).number == 2


def test_a_request_that_changed_between_the_two_is_refused(
    signed: RecordStore, asked: AuditRequest
) -> None:
    submission = handed_in(signed, 1, sealed=True)
    with pytest.raises(LedgerError):
        AttemptStore(replace(signed, signer=None)).register(submission, asked, NOW)
    changed = replace(asked, version="shopped")
    with pytest.raises(LedgerError):
        AttemptStore(signed).register(submission, changed, NOW)


def test_a_submission_is_asked_for_as_it_was_before_there_were_sealed_ones(
    signed: RecordStore,
) -> None:
    plain, sealed = handed_in(signed, 1), handed_in(signed, 2, sealed=True)
    assert "sealed" not in json.dumps(plain.to_json())
    assert plain.asked != sealed.asked
    assert ServiceStore(signed).submission("mine", sealed.id) == sealed


@pytest.mark.slow
@pytest.mark.parametrize("sealed", [False, True])
def test_requests_that_are_registered_at_once_have_numbers_of_their_own(
    url: str, home: Path, asked: AuditRequest, *, sealed: bool
) -> None:
    store = RecordStore.open(url, home / "blobs", SIGNER)
    ServiceStore(store).add_project("mine", NOW)
    handed = [handed_in(store, number, sealed=sealed) for number in range(AT_ONCE)]
    twice = [*handed, *handed]
    with ThreadPoolExecutor(len(twice)) as pool:
        list(pool.map(lambda it: AttemptStore(store).register(it, asked, NOW), twice))
    requests = [registered(store, it) for it in handed]
    numbers = [0 if it.attempt is None else it.attempt.number for it in requests]
    assert sorted(numbers) == list(range(1, AT_ONCE + 1))
    assert len({it.seed for it in requests}) == (AT_ONCE if sealed else 1)
    assert len(requests_in(store)) == AT_ONCE * (1 + sealed)
    store.close()
