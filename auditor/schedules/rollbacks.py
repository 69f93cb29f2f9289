"""Which version of a model can be gone back to: the newest whose gate is open now, or none."""

from collections.abc import Iterator

from auditor.domain.canonical import Json
from auditor.domain.records import AuditRecord
from auditor.domain.verdicts import Verdict
from auditor.errors import AuditorError
from auditor.gatekeeping import Asking
from auditor.schedules.parts import Scheduler
from auditor.store.service.trends import Standing, standings_of

MOST_VERSIONS = 20


def rollbacks(
    scheduler: Scheduler, project: str, submission: str, record: AuditRecord
) -> Iterator[dict[str, Json]]:
    """Yield what to go back to on each target on which a record does not pass.

    Of the model only the newest 20 versions are looked at, the failing one apart; as many gates
    are asked at most a target.
    """
    request = record.request
    failing = [it for it in standings_of(submission, record) if it.verdict != Verdict.PASS.value]
    versions = scheduler.trends.versions(project, (request.name,), MOST_VERSIONS)
    for here in failing:
        others = _others(versions, here)
        found = next((it for it in others if _is_open(scheduler, project, here, it)), None)
        candidate: dict[str, Json] | None = None
        if found is not None:
            candidate = {
                "version": found.version,
                "artifact": found.artifact,
                "record": found.record,
                "audit": found.submission,
            }
        yield {"target": here.target, "candidate": candidate}


def _others(versions: tuple[Standing, ...], here: Standing) -> Iterator[Standing]:
    """Yield other versions that were audited on a target, the newest first, each once."""
    seen = {"", here.artifact}
    for item in versions:
        if item.target == here.target and item.artifact not in seen:
            seen.add(item.artifact)
            yield item


def _is_open(scheduler: Scheduler, project: str, here: Standing, other: Standing) -> bool:
    asking = Asking(
        project=project, artifact=other.artifact, policy=here.policy, target=here.target
    )
    try:
        return scheduler.gate(asking).open
    except AuditorError:
        return False  # a record whose files are lost opens nothing
