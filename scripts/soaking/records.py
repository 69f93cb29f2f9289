"""What the store has of audits once all is over: the figures, and what is wrong with them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from auditor.domain.json import JsonPart, digest_json, parse_json
from auditor.reports.folder import RECORD
from auditor.reports.manifest import materialize_folder
from auditor.service.domain.submissions import SubmissionEvent, SubmissionEventKind
from auditor.service.store.submission_history import ServiceStore
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.workspace import Workspace, open_workspace
from soaking.fleets import Fleet


@dataclass(frozen=True, slots=True)
class Found:
    """The digest of a record's figures, and what an audit lost or did twice."""

    figures: str
    mistakes: tuple[str, ...]


def look_at(fleet: Fleet, ended: Mapping[str, str], checks: Iterable[str]) -> dict[str, Found]:
    """Look at every audit that is done."""
    with open_workspace(AuditorSettings(fleet.home, fleet.database)) as place:
        done = [name for name, state in ended.items() if state == "done"]
        return {name: _found(place, name, sorted(checks)) for name in done}


def _found(place: Workspace, name: str, checks: list[str]) -> Found:
    kept = ServiceStore(place.store)
    ending = kept.outcome(name)
    if ending is None:
        return Found("", ("it has no ending",))
    with materialize_folder(place.store.blobs, ending.files) as folder:
        record = JsonPart(parse_json(folder.read(RECORD)), "record")
    with place.store.ledger() as ledger:
        leaves = len(ledger.find(record.get("id", str)))
    mistakes = _twice(kept.events(name), checks)
    if leaves != 1:
        mistakes.append(f"the ledger has its record {leaves} times")
    return Found(digest_json(record.value["readings"]), tuple(mistakes))


def _twice(events: Iterable[SubmissionEvent], checks: list[str]) -> list[str]:
    ended = Counter[str]()
    mistakes = []
    for event in events:
        check = str(event.detail.get("check"))
        if event.kind == SubmissionEventKind.CHECK_STARTED and ended[check]:
            mistakes.append(f"{check} had ended, and ran again")
        ended[check] += event.kind == SubmissionEventKind.CHECK_ENDED
    if sorted(ended.elements()) != checks:
        mistakes.append(f"what ended is {', '.join(sorted(ended.elements()))}")
    return mistakes
