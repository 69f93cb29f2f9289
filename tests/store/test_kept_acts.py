"""Acts of callers are rows with a leaf each, so that none can be changed or lost unseen."""

import pytest
from ledger_toys import LOG, failures, hands
from sqlalchemy import text

from auditor.errors import StoreError, UsageError
from auditor.service.domain.access import (
    AccessRole,
    ApiKey,
    AuditLogAction,
    build_log_entry,
    build_operator_log_entry,
)
from auditor.service.store.projects import AuditLogStore, append_audit_log
from auditor.service.store.submission_history import ServiceStore
from auditor.store.record_store import RecordStore
from auditor.workflows.ledger import log_key_roles

NOW = "2026-01-01T00:00:00Z"
KEY = ApiKey(
    id="k1", project="mine", role=AccessRole.ADMIN, name="ci", secret_hash="ab" * 32, created=NOW
)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def empty_url(request: pytest.FixtureRequest, sqlite_url: str) -> str:
    """Give either database, of which one is slow to have."""
    if request.param == "sqlite":
        return sqlite_url
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def acted(store: RecordStore) -> RecordStore:
    """A ledger with three acts: of an operator, of a key, and of somebody else's project."""
    signed = RecordStore(store.engine, store.blobs, LOG)
    log_key_roles(signed, {"report": "a public key"}, NOW)
    kept = ServiceStore(signed)
    for name in ("mine", "theirs"):
        made = build_operator_log_entry(name, AuditLogAction.PROJECT_MADE, name, NOW)
        assert kept.add_project(name, NOW, made)
    kept.add_key(KEY, build_log_entry(KEY, AuditLogAction.KEY_MADE, KEY.id, NOW, role="admin"))
    return signed


def size(store: RecordStore) -> int:
    with store.ledger() as ledger:
        return ledger.head().size


def test_an_act_is_listed_by_its_project_with_who_and_what_and_a_leaf(acted: RecordStore) -> None:
    (key, project), end = AuditLogStore(acted).listed("mine")
    assert end == ""
    assert (key.caller, key.kind, key.about, key.detail) == (
        "k1", AuditLogAction.KEY_MADE, "k1", {"role": "admin"},
    )  # fmt: skip
    assert (project.caller, project.kind) == ("operator", AuditLogAction.PROJECT_MADE)
    with acted.ledger() as ledger:
        (entry,) = ledger.find(key.id)
    assert entry.event.digest == key.digest
    assert failures(acted) == ""


def test_a_list_goes_on_from_its_cursor_and_from_no_other_projects(acted: RecordStore) -> None:
    page, cursor = AuditLogStore(acted).listed("mine", limit=1)
    rest, end = AuditLogStore(acted).listed("mine", cursor, limit=1)
    assert [item.kind for item in (*page, *rest)] == [
        AuditLogAction.KEY_MADE,
        AuditLogAction.PROJECT_MADE,
    ]
    assert end == ""
    for strange in (cursor, "act-" + "0" * 24):
        with pytest.raises(UsageError, match="no cursor"):
            AuditLogStore(acted).listed("theirs", strange)


def test_what_changed_nothing_is_no_act(acted: RecordStore) -> None:
    before, kept = size(acted), ServiceStore(acted)
    again = build_operator_log_entry("mine", AuditLogAction.PROJECT_MADE, "mine", NOW)
    assert not kept.add_project("mine", NOW, again)
    with pytest.raises(StoreError, match="already"):
        kept.add_key(KEY, build_log_entry(KEY, AuditLogAction.KEY_MADE, KEY.id, NOW))
    ended = [
        kept.end_key("k1", NOW, "x", build_log_entry(KEY, AuditLogAction.KEY_ENDED, "k1", NOW))
        for _ in "12"
    ]
    assert ended == [True, False]
    assert size(acted) == before + 1


def test_an_act_and_what_it_changes_are_kept_together_or_not_at_all(acted: RecordStore) -> None:
    before = size(acted)
    of_nobody = build_operator_log_entry("nobody", AuditLogAction.HOOK_MADE, "h1", NOW)
    with pytest.raises(StoreError), acted.unit_of_work() as work:  # noqa: PT012 -- a transaction
        append_audit_log(work, build_log_entry(KEY, AuditLogAction.HOOK_MADE, "h1", NOW))
        append_audit_log(work, of_nobody)
    assert size(acted) == before
    assert len(AuditLogStore(acted).listed("mine")[0]) == 2


CHANGED = {
    "caller = 'k2'": "caller = 'k1'",
    "detail = '{}'": """detail = '{"role":"admin"}'""",
    "detail = 'x'": """detail = '{"role":"admin"}'""",
    "kind = 'nothing'": "kind = 'key_made'",
    "subject = 'me'": "subject = NULL",
    "project = 'theirs'": "project = 'mine'",
}
"""What is changed of an act by hand, and what it was."""


def test_an_act_that_is_changed_lost_or_put_in_by_hand_is_named(acted: RecordStore) -> None:
    def reached(done: str) -> str:
        with hands(acted.engine) as connection:
            connection.execute(text(done))
        return failures(acted)

    for change, was in CHANGED.items():
        assert "(leaf 4) was changed" in reached(f"UPDATE acts SET {change} WHERE number = 3")  # noqa: S608
        assert reached(f"UPDATE acts SET {was} WHERE number = 3") == ""  # noqa: S608
    columns = "number, id, project, caller, kind, about, at, detail"
    values = f"9, 'act-x', 'mine', 'k1', 'key_ended', 'k1', '{NOW}', '{{}}'"
    put = f"INSERT INTO acts ({columns}) VALUES ({values})"  # noqa: S608
    assert "the act act-x is in no leaf of the ledger" in reached(put)
    assert "(leaf 4) is missing from acts" in reached("DELETE FROM acts WHERE number = 3")


@pytest.mark.parametrize("verb", ["UPDATE acts SET caller = 'me'", "DELETE FROM acts"])
def test_the_database_refuses_another_word(acted: RecordStore, verb: str) -> None:
    refused = pytest.raises(StoreError, match="never changed or deleted")
    with refused, acted.transaction() as session:
        session.execute(text(verb))
