"""A trust policy is accepted under one owner's key, each version once, and never an older one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from trust_papers import OWNER, STRANGER, Change, headed, policy, ruled, signer

from auditor.domain.trust_context import TrustPolicyStatus
from auditor.domain.verification_steps import StepResult, VerificationStep, all_hold
from auditor.errors import StoreError
from auditor.service.store.audit_log_check import SERVICE_ROWS
from auditor.store.blob_urls import StoreLocation
from auditor.store.ledger_audit import LedgerReference, audit_ledger
from auditor.store.record_store import RecordStore
from auditor.trust.policies.signed_statements import sign_trust_policy
from auditor.trust.policies.trust_policy import TrustPolicy
from auditor.trust.signatures.keys import KeySigner
from auditor.workflows.ledger import open_ledger_store
from auditor.workflows.trust_acceptance import (
    accept_trust_policy,
    find_trust_policy_status,
    list_accepted_versions,
)

OWNED = OWNER.public_pem()
NEXT = signer(7006)
AT = "2026-06-01T00:00:00Z"


@pytest.fixture
def kept(home: Path) -> Iterator[RecordStore]:
    store, _ = open_ledger_store(
        StoreLocation(f"sqlite:///{home / 'auditor.db'}", home / "blobs", home, "log")
    )
    yield store
    store.close()


def accepting(
    store: RecordStore, trust: TrustPolicy, key: bytes | None = OWNED
) -> tuple[VerificationStep, ...]:
    return accept_trust_policy(store, trust, sign_trust_policy(trust, OWNER), key, AT)


def refusals(steps: tuple[VerificationStep, ...]) -> list[str]:
    return [step.detail.partition(":")[0] for step in steps if step.result is StepResult.FAILED]


def version(number: int, *changes: Change) -> TrustPolicy:
    return policy(headed(version=number), *changes)


def test_an_accepted_policy_stands_and_is_an_event_of_the_ledger(kept: RecordStore) -> None:
    assert find_trust_policy_status(kept, version(1)) is TrustPolicyStatus.UNKNOWN
    assert all_hold(accepting(kept, version(1)))
    assert find_trust_policy_status(kept, version(1)) is TrustPolicyStatus.ACCEPTED
    with kept.ledger() as ledger:
        entries = [ledger.entry(index) for index in range(ledger.head().size)]
    types = [item.leaf.type.value for item in entries]
    assert types == ["key-event", "trust-policy"]
    assert entries[-1].event.subjects["trust_policy"] == version(1).digest
    assert kept.signer is not None
    assert all_hold(audit_ledger(kept.engine, LedgerReference(kept.signer.key), SERVICE_ROWS))


def test_the_first_version_needs_the_owners_key_and_later_ones_do_not(kept: RecordStore) -> None:
    assert refusals(accepting(kept, version(1), None)) == ["POLICY_OWNER"]
    assert list_accepted_versions(kept, "acme") == ()
    accepting(kept, version(1))
    assert all_hold(accepting(kept, version(2), None))
    assert [item.ref.version for item in list_accepted_versions(kept, "acme")] == [1, 2]


def test_another_owner_takes_over_nothing(kept: RecordStore) -> None:
    accepting(kept, version(1))
    theirs = sign_trust_policy(version(2), STRANGER)
    assert refusals(accept_trust_policy(kept, version(2), theirs, STRANGER.public_pem(), AT)) == [
        "POLICY_OWNER",
        "KEY",
    ]
    assert refusals(accept_trust_policy(kept, version(2), theirs, None, AT)) == ["KEY"]
    assert find_trust_policy_status(kept, version(2)) is TrustPolicyStatus.NEWER


def following(trust: TrustPolicy, by: KeySigner) -> bytes:
    return sign_trust_policy(trust, by)


def test_the_owner_hands_over_to_the_next_one_whom_a_version_names(kept: RecordStore) -> None:
    def naming(found: dict[str, dict[str, object]]) -> None:
        found["metadata"]["next_owner"] = NEXT.public_pem().decode()

    accepting(kept, version(1))
    assert refusals(
        accept_trust_policy(kept, version(2), following(version(2), NEXT), None, AT)
    ) == ["KEY"]
    assert all_hold(accepting(kept, version(2, naming)))
    third = version(3)
    assert all_hold(accept_trust_policy(kept, third, following(third, NEXT), NEXT.public_pem(), AT))
    # Now the new key is the pinned one, and the old one signs no more.
    assert refusals(accepting(kept, version(4), None)) == ["KEY"]
    fourth = version(4)
    assert all_hold(accept_trust_policy(kept, fourth, following(fourth, NEXT), None, AT))


def test_a_next_owner_who_is_named_and_signs_nothing_takes_nothing_away(kept: RecordStore) -> None:
    def naming(found: dict[str, dict[str, object]]) -> None:
        found["metadata"]["next_owner"] = NEXT.public_pem().decode()

    accepting(kept, version(1, naming))
    assert all_hold(accepting(kept, version(2), None))
    assert refusals(
        accept_trust_policy(kept, version(3), following(version(3), NEXT), None, AT)
    ) == ["KEY"]


def test_a_version_never_goes_down(kept: RecordStore) -> None:
    accepting(kept, version(2))
    assert refusals(accepting(kept, version(1))) == ["POLICY_ROLLBACK"]
    assert find_trust_policy_status(kept, version(1)) is TrustPolicyStatus.OLDER


def test_one_version_never_changes_its_content(kept: RecordStore) -> None:
    accepting(kept, version(2))
    other = version(2, ruled(models=["*"]))
    assert refusals(accepting(kept, other)) == ["POLICY_CHANGED"]
    assert find_trust_policy_status(kept, other) is TrustPolicyStatus.CHANGED


def test_accepting_once_more_adds_nothing(kept: RecordStore) -> None:
    accepting(kept, version(1))
    with kept.ledger() as ledger:
        before = ledger.head()
    assert all_hold(accepting(kept, version(1)))
    with kept.ledger() as ledger:
        assert ledger.head() == before


def test_what_nobody_signed_is_not_accepted(kept: RecordStore) -> None:
    other = sign_trust_policy(version(1, ruled(models=["*"])), OWNER)
    assert refusals(accept_trust_policy(kept, version(1), other, OWNED, AT)) == ["CONTRADICTION"]
    assert list_accepted_versions(kept, "acme") == ()


def test_policies_of_two_names_do_not_mix(kept: RecordStore) -> None:
    accepting(kept, version(2))
    assert (
        find_trust_policy_status(kept, policy(headed(name="acme2", version=1)))
        is TrustPolicyStatus.UNKNOWN
    )


def test_a_policy_that_was_tampered_with_in_the_store_is_refused(kept: RecordStore) -> None:
    accepting(kept, version(1))
    with kept.engine.begin() as connection:
        names = connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'ledger_openings'"
        ).scalars()
        for name in list(names):
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        connection.exec_driver_sql(
            "UPDATE ledger_openings SET document = x'7b7d' WHERE event_id LIKE 'trust-%'"
        )
    with pytest.raises(StoreError, match="is damaged"):
        list_accepted_versions(kept, "acme")
