"""The same store on SQLite and on PostgreSQL, and records to keep in it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from postgresql_databases import postgresql_database, postgresql_url

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.budgets import Budget
from auditor.domain.json import compute_digest
from auditor.domain.lineage import LineageEdge
from auditor.domain.policies import AssuranceLevel
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest, DatasetRef, PolicyRef
from auditor.domain.targets import Fingerprint, TargetSpec
from auditor.store.database import migrate
from auditor.store.record_store import RecordStore

__all__ = ["postgresql_database", "postgresql_url"]


@pytest.fixture
def sqlite_url(home: Path) -> str:
    """Give the URL of a file that is not there yet."""
    return f"sqlite:///{home / 'auditor.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, sqlite_url: str) -> str:
    """Give the URL of a database without any table."""
    if request.param == "sqlite":
        return sqlite_url
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def url(empty_url: str) -> str:
    """Give the URL of a database at the newest revision."""
    migrate(empty_url)
    return empty_url


@pytest.fixture
def store(url: str, home: Path) -> Iterator[RecordStore]:
    """Open an empty store."""
    opened = RecordStore.open(url, home / "blobs")
    yield opened
    opened.close()


REQUEST = AuditRequest(
    name="digits-cnn",
    version="1.2.0",
    artifact=Artifact("digits-cnn", "1.2.0", (FileDigest("model.onnx", 5, "ab" * 32),)),
    targets=(TargetSpec("cpu"), TargetSpec("lost")),
    datasets=(DatasetRef("evaluation", compute_digest(b"data"), 450),),
    policy=PolicyRef("baseline", "1.0.0", compute_digest(b"policy")),
    audit_file=compute_digest(b"audit.yaml"),
    seed=7,
    budget=Budget.SMOKE,
)


@pytest.fixture
def asked() -> AuditRequest:
    """Ask for an audit on two targets, one of which will not open."""
    return REQUEST


@pytest.fixture(scope="session")
def make_record() -> Callable[..., AuditRecord]:
    """Make a small record; whatever is named replaces its usual value."""

    def make(**changes: object) -> AuditRecord:
        usual = AuditRecord(
            id="r-1",
            derived_from=None,
            assurance=AssuranceLevel.A0,
            request=REQUEST,
            confidence=0.95,
            fingerprints={"cpu": Fingerprint({"isa": "avx2"}, {"load": "low"})},
            observations=(),
            readings=(),
            findings=(),
            lineage=(LineageEdge("r-1", "used", compute_digest(b"data"), "evaluation"),),
            tool={"version": "0.1.0"},
            registered="2026-01-01T00:00:00Z",
            finished="2026-01-01T00:01:00Z",
        )
        return replace(usual, **changes)  # type: ignore[arg-type]  # each test names real fields

    return make
