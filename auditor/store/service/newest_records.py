"""The newest record of a model, among those of a project's audits and those judged of them."""

from sqlalchemy import select

from auditor.store.service.people_tables import RejudgementRow
from auditor.store.service.trend_tables import TrendStandingRow
from auditor.store.store import Store


def newest_record(store: Store, project: str, model: str) -> str | None:
    """Return the digest of the record at which the newest audit of a model stands, if any does."""
    standing, later = TrendStandingRow, RejudgementRow
    last = (
        select(standing.submission, standing.record)
        .where(standing.project == project, standing.model == model)
        .order_by(standing.finished.desc(), standing.submission.desc())
        .limit(1)
    )
    with store.reading() as session:
        found = session.execute(last).first()
        if found is None:
            return None
        again = select(later.record_digest).where(later.submission == found.submission)
        return session.scalar(again.order_by(later.number.desc()).limit(1)) or str(found.record)
