"""What the page of one audit tells: how far it is, what it came to, what happened."""

from collections.abc import Mapping

from auditor.api.routes.audits import with_people
from auditor.api.showing import audit_of
from auditor.domain.api_keys import ApiKey
from auditor.domain.submissions import ENDED, Said, Submission
from auditor.people.standing import records_of
from auditor.refusals import NotFoundError
from auditor.store.service.courses import course
from auditor.web.facts import RecordFacts
from auditor.web.parts import Site
from auditor.web.progress import progress_of
from auditor.web.standing import Sight, Stand, stand_of
from auditor.web.words import BLIND, sign_of

LAST = 8
"""So many of the last checks and events are shown while an audit runs."""


def audit_told(
    site: Site, caller: ApiKey, name: str, *, look: bool = False
) -> Mapping[str, object]:
    """Return all that the page of an audit says. Raises ``NotFoundError``.

    Who is asked to label first, but perhaps decides nothing, says with ``look`` to be shown all.
    """
    return told_of(site, caller, audit_of(site.service, caller, name), look=look)


def told_of(
    site: Site, caller: ApiKey, found: Submission, *, look: bool = False
) -> Mapping[str, object]:
    """Return the same of an audit of the caller's project."""
    kept, overviews = site.service.kept, site.overviews
    # The history first: what happens meanwhile is then newer than what is said to be seen.
    events = course(kept, found.id)
    line = overviews.line(caller.project, found.id)
    if line is None:
        raise NotFoundError(f"there is no audit {found.id}", cure="Choose one from the list.")
    ending = kept.outcome(found.id)
    facts, stand = _with_people(site, caller, found) if line.record else (None, None)
    blind = stand is not None and _is_blind(stand, look=look)
    return {
        "title": f"Audit of {line.model}",
        "submission": found,
        "line": line,
        "sign": BLIND if blind else sign_of(line) if stand is None else stand.sign,
        "blind": blind,
        "stand": stand,
        "ended": line.state in ENDED,
        "seen": events[-1].number if events else 0,
        "progress": progress_of(events, site.service.desk.readers.checks),
        "events": [event for event in events if event.kind != Said.PROGRESS],
        "last": LAST,
        "failure": None if ending is None else ending.failure,
        "facts": facts,
        "people": with_people(site.service, found) if facts else {},
        "several_targets": len(line.targets) > 1,
        "before": overviews.before(line, caller.project) if facts else None,
    }


def _with_people(site: Site, caller: ApiKey, found: Submission) -> tuple[RecordFacts, Stand]:
    """Return the facts of an audit's last record, and where that stands."""
    last = records_of(site.service.people, found)[-1]
    facts = site.facts.of([last], site.latest.bodies)[last]
    return facts, stand_of(site, caller, found, facts)


def _is_blind(stand: Stand, *, look: bool) -> bool:
    return stand.sight is Sight.SHUT or (stand.sight is Sight.ASKED and not look)
