"""A model's name and version belong to the first artifact that was registered under them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import event

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.requests import AuditRequest, PolicyRef
from auditor.domain.trust_context import ModelBinding
from auditor.store.record_store import RecordStore

FIRST, SECOND = "ab" * 32, "cd" * 32


def asking(usual: AuditRequest, name: str, version: str, content: str | None) -> AuditRequest:
    files = () if content is None else (FileDigest("model.onnx", 5, content),)
    artifact = Artifact(name, version, files) if files else None
    return replace(usual, name=name, version=version, artifact=artifact)


def register(store: RecordStore, request: AuditRequest, day: int, project: str = "") -> None:
    with store.unit_of_work(project) as work:
        work.register(request, f"2026-01-0{day}T00:00:00Z")


@contextmanager
def heard(store: RecordStore) -> Iterator[list[tuple[str, Any]]]:
    """Collect what the database is asked about registrations."""
    said: list[tuple[str, Any]] = []

    def hear(*given: Any) -> None:  # noqa: ANN401 -- SQLAlchemy's own types
        if "registration" in given[2]:
            said.append((given[2], given[3]))

    event.listen(store.engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(store.engine, "before_cursor_execute", hear)


def told(
    store: RecordStore, request: AuditRequest, project: str = ""
) -> list[tuple[str, str, str]]:
    with store.unit_of_work(project) as work:
        found = work.contradictions(request)
    return [(item.name, item.version, item.registered[:10]) for item in found]


def test_what_was_never_registered_contradicts_nothing(
    store: RecordStore, asked: AuditRequest
) -> None:
    assert told(store, asking(asked, "credit", "1", FIRST)) == []


def test_other_bytes_under_a_name_and_version_contradict_the_first(
    store: RecordStore, asked: AuditRequest
) -> None:
    mine = asking(asked, "credit", "1", FIRST)
    other = asking(asked, "credit", "1", SECOND)
    register(store, mine, 1)
    assert told(store, other) == [("credit", "1", "2026-01-01")]
    register(store, other, 2)
    # The first bytes stay bound, and what was tried with the others changes nothing.
    assert told(store, mine) == []
    assert told(store, other) == [("credit", "1", "2026-01-01")]
    assert told(store, asking(asked, "credit", "2", SECOND)) == []


def test_the_same_bytes_may_be_audited_again_and_again(
    store: RecordStore, asked: AuditRequest
) -> None:
    mine = asking(asked, "credit", "1", FIRST)
    for day in (1, 2):
        register(store, replace(mine, seed=day), day)
        assert told(store, replace(mine, seed=9)) == []


def test_old_bytes_under_a_new_version_or_name_contradict_the_first(
    store: RecordStore, asked: AuditRequest
) -> None:
    register(store, asking(asked, "credit", "1", FIRST), 1)
    for name, version in (("credit", "2"), ("lottery", "1")):
        again = asking(asked, name, version, FIRST)
        assert told(store, again) == [("credit", "1", "2026-01-01")]
    register(store, asking(asked, "credit", "2", FIRST), 2)
    assert told(store, asking(asked, "credit", "2", FIRST)) == [("credit", "1", "2026-01-01")]
    assert told(store, asking(asked, "credit", "1", FIRST)) == []


def test_names_are_looked_for_as_they_are(store: RecordStore, asked: AuditRequest) -> None:
    register(store, asking(asked, "credit_%", "1", FIRST), 1)
    assert told(store, asking(asked, "credit-x", "1", SECOND)) == []
    assert told(store, asking(asked, "credit_%", "1", SECOND)) == [("credit_%", "1", "2026-01-01")]
    register(store, asking(asked, 'Prüfung "2"', "1", FIRST), 2)
    assert len(told(store, asking(asked, 'Prüfung "2"', "1", SECOND))) == 1


def test_predictions_without_an_artifact_bind_nothing(
    store: RecordStore, asked: AuditRequest
) -> None:
    nothing = asking(asked, "credit", "1", None)
    register(store, nothing, 1)
    assert told(store, asking(asked, "credit", "1", FIRST)) == []
    register(store, asking(asked, "credit", "1", FIRST), 2)
    assert told(store, nothing) == []


def test_a_binding_names_the_bytes(store: RecordStore, asked: AuditRequest) -> None:
    mine = asking(asked, "credit", "1", FIRST)
    register(store, mine, 1)
    with store.unit_of_work() as work:
        (found,) = work.contradictions(asking(asked, "credit", "1", SECOND))
    assert mine.artifact is not None
    assert found == ModelBinding("credit", "1", mine.artifact.digest, "2026-01-01T00:00:00Z")


def test_what_one_project_registers_binds_no_other(store: RecordStore, asked: AuditRequest) -> None:
    mine = asking(asked, "credit", "1", FIRST)
    register(store, mine, 1, "theirs")
    for project in ("", "mine"):
        assert told(store, asking(asked, "credit", "1", SECOND), project) == []
        assert told(store, asking(asked, "lottery", "1", FIRST), project) == []
    other = asking(asked, "credit", "1", SECOND)
    assert told(store, other, "theirs") == [("credit", "1", "2026-01-01")]
    register(store, other, 2, "mine")
    register(store, mine, 3, "mine")
    assert told(store, mine, "mine") == [("credit", "1", "2026-01-02")]
    assert told(store, mine, "theirs") == []


def test_names_may_be_as_long_as_they_were(store: RecordStore, asked: AuditRequest) -> None:
    """Earlier versions bounded no name, and kept them."""
    long = asking(asked, "x" * 100_000, "1", FIRST)
    register(store, long, 1)
    assert [it[1] for it in told(store, asking(asked, "credit", "1", FIRST))] == ["1"]
    assert told(store, asking(asked, "credit", "1", SECOND)) == []


def test_a_name_and_a_version_cannot_be_taken_for_others(
    store: RecordStore, asked: AuditRequest
) -> None:
    register(store, asking(asked, "credit", "1.1", FIRST), 1)
    for name, version in (("credit1", ".1"), ("credit\x001", "1"), ("credit,1", "1")):
        assert told(store, asking(asked, name, version, SECOND)) == []


def test_what_was_registered_is_found_by_an_index(store: RecordStore, asked: AuditRequest) -> None:
    mine = asking(asked, "credit", "1", FIRST)
    register(store, mine, 1)
    if store.engine.dialect.name == "sqlite":
        told_by = "EXPLAIN QUERY PLAN "
        with heard(store) as said:
            told(store, replace(mine, version="2"))
            with store.looking() as work:
                work.policies_used(mine.policy.name)
        with store.engine.connect() as connection:
            plans = [
                str(row)
                for statement, values in said
                for row in connection.exec_driver_sql(told_by + statement, values)
            ]
        assert len(said) == 4
        assert not [it for it in plans if "SCAN registration" in it or "SCAN requests" in it]


def test_editions_of_a_policy_are_those_that_the_project_used(
    store: RecordStore, asked: AuditRequest
) -> None:
    for day, (version, project) in enumerate([("2", "theirs"), ("1", "mine"), ("1", "mine")], 1):
        policy = PolicyRef("fair", version, f"sha256:{version}")
        register(store, replace(asked, policy=policy, seed=day), day, project)
    for project, editions in (("mine", [("1", "02")]), ("theirs", [("2", "01")]), ("", [])):
        with store.looking(project) as work:
            found = work.policies_used("fair")
        assert [(it.version, at[8:10]) for it, at in found] == editions
