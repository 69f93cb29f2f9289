"""A model's name and version belong to the first artifact that was registered under them."""

from dataclasses import replace

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.requests import AuditRequest
from auditor.domain.trust import Binding
from auditor.store.store import Store

FIRST, SECOND = "ab" * 32, "cd" * 32


def asking(usual: AuditRequest, name: str, version: str, content: str | None) -> AuditRequest:
    files = () if content is None else (FileDigest("model.onnx", 5, content),)
    artifact = Artifact(name, version, files) if files else None
    return replace(usual, name=name, version=version, artifact=artifact)


def register(store: Store, request: AuditRequest, day: int) -> None:
    with store.unit_of_work() as work:
        work.register(request, f"2026-01-0{day}T00:00:00Z")


def told(store: Store, request: AuditRequest) -> list[tuple[str, str, str]]:
    with store.unit_of_work() as work:
        found = work.contradictions(request)
    return [(item.name, item.version, item.registered[:10]) for item in found]


def test_what_was_never_registered_contradicts_nothing(store: Store, asked: AuditRequest) -> None:
    assert told(store, asking(asked, "credit", "1", FIRST)) == []


def test_other_bytes_under_a_name_and_version_contradict_the_first(
    store: Store, asked: AuditRequest
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


def test_the_same_bytes_may_be_audited_again_and_again(store: Store, asked: AuditRequest) -> None:
    mine = asking(asked, "credit", "1", FIRST)
    for day in (1, 2):
        register(store, replace(mine, seed=day), day)
        assert told(store, replace(mine, seed=9)) == []


def test_old_bytes_under_a_new_version_or_name_contradict_the_first(
    store: Store, asked: AuditRequest
) -> None:
    register(store, asking(asked, "credit", "1", FIRST), 1)
    for name, version in (("credit", "2"), ("lottery", "1")):
        again = asking(asked, name, version, FIRST)
        assert told(store, again) == [("credit", "1", "2026-01-01")]
    register(store, asking(asked, "credit", "2", FIRST), 2)
    assert told(store, asking(asked, "credit", "2", FIRST)) == [("credit", "1", "2026-01-01")]
    assert told(store, asking(asked, "credit", "1", FIRST)) == []


def test_names_are_looked_for_as_they_are(store: Store, asked: AuditRequest) -> None:
    register(store, asking(asked, "credit_%", "1", FIRST), 1)
    assert told(store, asking(asked, "credit-x", "1", SECOND)) == []
    assert told(store, asking(asked, "credit_%", "1", SECOND)) == [("credit_%", "1", "2026-01-01")]
    register(store, asking(asked, 'Prüfung "2"', "1", FIRST), 2)
    assert len(told(store, asking(asked, 'Prüfung "2"', "1", SECOND))) == 1


def test_predictions_without_an_artifact_bind_nothing(store: Store, asked: AuditRequest) -> None:
    nothing = asking(asked, "credit", "1", None)
    register(store, nothing, 1)
    assert told(store, asking(asked, "credit", "1", FIRST)) == []
    register(store, asking(asked, "credit", "1", FIRST), 2)
    assert told(store, nothing) == []


def test_a_binding_names_the_bytes(store: Store, asked: AuditRequest) -> None:
    mine = asking(asked, "credit", "1", FIRST)
    register(store, mine, 1)
    with store.unit_of_work() as work:
        (found,) = work.contradictions(asking(asked, "credit", "1", SECOND))
    assert mine.artifact is not None
    assert found == Binding("credit", "1", mine.artifact.digest, "2026-01-01T00:00:00Z")
