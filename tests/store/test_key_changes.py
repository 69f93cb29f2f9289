"""Keys over time: rotated on the old one's word, revoked, expired; what is out of time is named."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from ledger_toys import LOG

from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult
from auditor.errors import KeyFileError, LedgerError
from auditor.store.key_audit import audit_keys
from auditor.store.key_lifecycle import (
    build_key_book,
    record_key_revocation,
    record_key_rotation,
    register_key_use,
)
from auditor.store.record_store import RecordStore
from auditor.trust.keys.rotation import sign_rotation
from auditor.trust.ledger.key_events import KeyChange, KeyEvent, KeyRegistry
from auditor.trust.signatures.keys import KeySigner
from auditor.trust.signatures.records import sign_record
from auditor.workflows.ledger import append_record, log_key_roles

OLD, NEW, OTHER = (KeySigner(ec.derive_private_key(seed, ec.SECP256R1())) for seed in (61, 62, 63))
Make = Callable[..., AuditRecord]


def at(day: int) -> str:
    return f"2026-03-{day:02}T00:00:00Z"


def pem(signer: KeySigner) -> str:
    return signer.public_pem().decode()


@pytest.fixture
def ledger(store: RecordStore) -> RecordStore:
    """A ledger that knows the old key."""
    signed = replace(store, signer=LOG)
    log_key_roles(signed, {"report": pem(OLD)}, at(1))
    return signed


@pytest.fixture
def kept(ledger: RecordStore, make_record: Make) -> Callable[..., None]:
    """Keep a record that a key signed, on a day."""

    def keep(signer: KeySigner, day: int, *, seen: bool = True) -> None:
        record = make_record(id=f"r-{day}", finished=at(day))
        bundle = sign_record(record.canonical(), None, "m", signer)
        with ledger.unit_of_work() as work:
            work.register(record.request, at(day))
        if seen:
            append_record(ledger, record, bundle)
            return
        with ledger.unit_of_work() as work:  # as one who has the store's own code would
            work.save(record, bundle)

    return keep


def known(store: RecordStore) -> KeyRegistry:
    with store.ledger() as ledger:
        return build_key_book(ledger.key_entries())


def rotated(store: RecordStore, day: int) -> None:
    with store.unit_of_work() as work:
        record_key_rotation(work, "report", OLD, NEW, at(day))


def revoked(store: RecordStore, signer: KeySigner, since: int, day: int) -> None:
    life = known(store).lives[pem(signer)]
    with store.unit_of_work() as work:
        record_key_revocation(work, life, at(since), "a stolen laptop", at(day))


def found(store: RecordStore) -> str:
    step = audit_keys(store.engine)
    return "" if step.result is StepResult.HOLDS else step.detail


def test_one_key_follows_another_on_its_word(
    ledger: RecordStore, kept: Callable[..., None]
) -> None:
    kept(OLD, 2)
    rotated(ledger, 3)
    kept(NEW, 4)
    lives = known(ledger).lives
    assert lives[pem(NEW)].begun.told.replaces == pem(OLD)
    assert lives[pem(OLD)].retired is not None
    assert found(ledger) == ""
    rotated(ledger, 5)  # an interrupted rotation is gone on with, and says nothing twice
    assert known(ledger).lives == lives


def test_a_key_that_came_to_its_end_signs_no_record(
    ledger: RecordStore, kept: Callable[..., None]
) -> None:
    rotated(ledger, 3)
    with pytest.raises(KeyFileError, match="retired"):
        kept(OLD, 4)
    with pytest.raises(KeyFileError, match="retired"):
        log_key_roles(ledger, {"report": pem(OLD)}, at(4))
    revoked(ledger, NEW, 4, 5)
    with pytest.raises(KeyFileError, match="revoked since"):
        kept(NEW, 6)
    with pytest.raises(KeyFileError, match="by no report key"):
        kept(OTHER, 6)


def end_by_rotation(ledger: RecordStore) -> KeySigner:
    rotated(ledger, 3)
    return OLD


def end_by_revocation(ledger: RecordStore) -> KeySigner:
    revoked(ledger, OLD, 3, 3)
    return OLD


def end_by_date(ledger: RecordStore) -> KeySigner:
    with ledger.unit_of_work() as work:
        register_key_use(work, "report", pem(OTHER), at(2), not_after=at(3))
    return OTHER


ENDS: dict[str, Callable[[RecordStore], KeySigner]] = {
    "retired by leaf": end_by_rotation,
    "revoked since": end_by_revocation,
    "to sign until": end_by_date,
    "by no report key": lambda _: OTHER,
}


@pytest.mark.parametrize("words", ENDS)
def test_a_record_that_a_key_signed_after_its_end_is_named(
    ledger: RecordStore, kept: Callable[..., None], words: str
) -> None:
    kept(ENDS[words](ledger), 8, seen=False)
    assert "the record r-8 (leaf" in found(ledger)
    assert words in found(ledger)


def test_a_record_is_as_old_as_the_leaves_before_it(
    ledger: RecordStore, kept: Callable[..., None], make_record: Make
) -> None:
    kept(OLD, 2)
    with ledger.unit_of_work() as work:
        work.register(make_record().request, at(6))
    kept(OLD, 3)  # it says the third, and lies behind a leaf of the sixth
    revoked(ledger, OLD, 5, 7)
    assert "r-3" in found(ledger)
    assert "r-2" not in found(ledger)


def test_what_a_ledger_took_over_may_be_of_a_key_that_was_gone(
    store: RecordStore, make_record: Make
) -> None:
    record = make_record()
    with store.unit_of_work() as work:
        work.register(record.request, at(1))
        work.save(record, sign_record(record.canonical(), None, "m", OTHER))
        work.happened.clear()  # as a version without a ledger kept them
    signed = replace(store, signer=LOG)
    log_key_roles(signed, {"report": pem(OLD)}, at(2))
    step = audit_keys(signed.engine)
    assert step.result is StepResult.HOLDS
    assert "1 signed by none of them before it knew any" in step.detail


def test_a_key_has_one_role(ledger: RecordStore) -> None:
    with pytest.raises(KeyFileError, match="may not be the model key too"):
        log_key_roles(ledger, {"model": pem(OLD)}, at(2))
    with pytest.raises(KeyFileError, match="two roles"):
        log_key_roles(ledger, {"report": pem(NEW), "model": pem(NEW)}, at(2))
    with ledger.unit_of_work() as work:  # a hand that knows no rules
        work.append(*KeyEvent(KeyChange.IN_USE, "model", pem(OLD)).event(at(2)))
    assert "a key has one role" in found(ledger)
    with pytest.raises(LedgerError, match="contradict"):
        log_key_roles(ledger, {"report": pem(OLD)}, at(3))


def test_a_ledgers_key_is_for_good(ledger: RecordStore) -> None:
    life = known(ledger).lives[str(LOG.key)]
    with (
        pytest.raises(KeyFileError, match="cannot be rotated or revoked"),
        ledger.unit_of_work() as work,
    ):
        record_key_revocation(work, life, at(1), "lost", at(2))
    with (
        pytest.raises(KeyFileError, match="cannot be rotated or revoked"),
        ledger.unit_of_work() as work,
    ):
        record_key_rotation(work, "ledger", OLD, NEW, at(2))


def test_what_cannot_be_is_refused(ledger: RecordStore) -> None:
    life = known(ledger).lives[pem(OLD)]
    with pytest.raises(KeyFileError, match="has not been yet"), ledger.unit_of_work() as work:
        record_key_revocation(work, life, at(9), "lost", at(8))
    with pytest.raises(KeyFileError, match="was in use before"), ledger.unit_of_work() as work:
        record_key_rotation(work, "report", OLD, OLD, at(2))
    revoked(ledger, OLD, 2, 3)
    with pytest.raises(KeyFileError, match="is revoked since"):
        revoked(ledger, OLD, 1, 3)
    with pytest.raises(KeyFileError, match="may sign no more"):
        rotated(ledger, 4)


def test_a_rotation_that_the_old_key_never_spoke_of_is_named(ledger: RecordStore) -> None:
    words = sign_rotation(OTHER, NEW.public_pem(), "report").decode()
    told = KeyEvent(KeyChange.IN_USE, "report", pem(NEW), replaces=pem(OLD), rotation=words)
    with ledger.unit_of_work() as work:
        work.append(*told.event(at(2)))
    assert "without that one's word" in found(ledger)


@pytest.mark.parametrize(("new", "role"), [(NEW, "model"), (OTHER, "report")], ids=["role", "key"])
def test_a_rotation_into_another_role_or_to_another_key_is_no_word(
    ledger: RecordStore, new: KeySigner, role: str
) -> None:
    word = sign_rotation(OLD, new.public_pem(), role).decode()
    told = KeyEvent(KeyChange.IN_USE, "report", pem(NEW), replaces=pem(OLD), rotation=word)
    with ledger.unit_of_work() as work:
        work.append(*told.event(at(2)))
    assert "speaks of another key or role" in found(ledger)
