"""A database from before standings were kept has them once it is brought up to date."""

from pathlib import Path

import pytest
from alembic.command import upgrade
from alembic.config import Config
from sqlalchemy import create_engine, text

from auditor._resources import find_shipped_folder
from auditor.service.domain.submissions import SubmissionState
from auditor.service.store.submission_backlog import SubmissionBacklog
from auditor.store.database import migrate
from auditor.store.record_store import RecordStore

SUBMISSIONS = """INSERT INTO submissions (id, project, model, body_digest, body, submitted) VALUES
('a', 'mine', 'm', 'd', '{}', '1'), ('b', 'mine', 'm', 'd', '{}', '2')"""
EVENTS = """INSERT INTO submission_events (submission, number, at, kind, detail) VALUES
('a', 1, 'now', 'queued', '{}'), ('a', 2, 'now', 'running', '{}'), ('a', 3, 'now', 'note', '{}'),
('b', 1, 'now', 'queued', '{}'), ('b', 2, 'now', 'failed', '{}')"""


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def test_standings_follow_from_the_histories_that_are_there(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'auditor.db'}"
    if kind == "postgresql":
        url = str(request.getfixturevalue("postgresql_url"))
    config = Config()
    config.set_main_option(
        "script_location", str(find_shipped_folder("alembic")).replace("%", "%%")
    )
    engine = create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        upgrade(config, "0004")
        for row in ("INSERT INTO projects VALUES ('mine', 'now')", SUBMISSIONS, EVENTS):
            connection.execute(text(row))
    engine.dispose()
    migrate(url)
    store = RecordStore.open(url, tmp_path / "blobs")
    counted = SubmissionBacklog(store).counted()
    assert (counted[SubmissionState.RUNNING], counted[SubmissionState.QUEUED]) == (1, 0)
    with store.reading() as session:
        found = session.execute(text("SELECT submission, state FROM submission_standings"))
        assert sorted(tuple(row) for row in found) == [("a", "running"), ("b", "failed")]
    store.close()
