"""Run a record's request again, and compare what was measured."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from auditor.domain.canonical import Json
from auditor.domain.readings import Gap, Measurement, Reading, Reason, Repeat, Unit
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.domain.steps import Step
from auditor.domain.waivers import SignedWaiver
from auditor.errors import RecordError
from auditor.judging.waiving import same_but_for_waivers
from auditor.preparing import Overrides

SLACK = 1e-9
TIMINGS = frozenset({Unit.SECOND, Unit.PER_SECOND})


def gather(folder: Path) -> Mapping[str, Path]:
    """Index the files below a folder by digest."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                found["sha256:" + hashlib.file_digest(file, "sha256").hexdigest()] = path
    return found


def require_leave_to_train(request: AuditRequest, *, given: bool, sandboxed: bool) -> None:
    """Refuse to run the code of a record's recipe unless whoever reproduces it gave leave.

    The leave in the audit file was its author's, also to run code without a sandbox: here it is
    run ``sandboxed`` or not at all. Raises ``RecordError``.
    """
    recipe = request.recipe
    if recipe is None or not recipe.allowed or (given and sandboxed):
        return
    if given:
        raise RecordError(
            "the record's request trains by code, and without bubblewrap, which does not work "
            "here, that code could read every file that you can",
            cure="Install bubblewrap, or reproduce the record on a machine that has it.",
        )
    paths = [item.path for item in request.inputs if f"sha256:{item.file.sha256}" == recipe.digest]
    raise RecordError(
        f"the record's request trains by the code {', '.join(paths)} ({recipe.digest}), which "
        "would run on this machine",
        cure="Read it, and say --allow-recipe to run it in a sandbox of bubblewrap.",
    )


def compare(theirs: AuditRecord, mine: AuditRecord) -> tuple[Step, ...]:
    """Compare two records of one request, a step a check on a target.

    Readings that repeat exactly must be equal where the fingerprints' identities are; all others
    must agree within their intervals. Timings are exempt: an interval over the calls of one run
    says nothing of how another run finds the machine.
    """
    steps = [_same_request(theirs, mine), *_targets(theirs, mine)]
    places = (*theirs.readings, *mine.readings)
    for place in dict.fromkeys((item.target, item.check) for item in places):
        same_target = _identity(theirs, place[0]) == _identity(mine, place[0])
        left, right = _of(theirs, place), _of(mine, place)
        if _left_out(left) or _left_out(right):
            said = "left out for want of time or queries, which depend on the target"
            steps.append(Step.of(f"{place[1]} on {place[0]}", [], said))
            continue
        mistakes = _differences(left, right, exact=same_target)
        exact = same_target and _all_exact(right)
        kind = "equal" if exact else "within their intervals, timings exempt"
        steps.append(Step.of(f"{place[1]} on {place[0]}", mistakes, f"{len(left)} readings {kind}"))
    return (*steps, _findings(theirs, mine))


def _findings(theirs: AuditRecord, mine: AuditRecord) -> Step:
    """Compare what the rules came to; a rule on timings alone may come out otherwise."""
    again = {(item.name, item.target): item for item in mine.findings}
    timed = {
        (item.name, item.target)
        for record in (theirs, mine)
        for item in record.findings
        if any(_is_timing(record.readings[index]) for index in item.readings)
    }
    moved = [
        f"{item.name} on {item.target} came to {item.outcome}"
        for item in theirs.findings
        if (item.name, item.target) not in timed
        and (
            (item.name, item.target) not in again
            or not same_but_for_waivers(item.outcome, again[item.name, item.target].outcome)
        )
    ]
    measured = any(isinstance(item, Measurement) for item in mine.readings)
    mistakes = moved if measured else ["nothing was measured that could be compared"]
    same = len(theirs.findings) == len(mine.findings)
    mistakes += [] if same else [f"there are {len(mine.findings)} findings now"]
    return Step.of("findings", mistakes, f"{len(theirs.findings)} findings, the same outcomes")


def _is_timing(reading: Reading) -> bool:
    return isinstance(reading, Measurement) and reading.unit in TIMINGS


def _same_request(theirs: AuditRecord, mine: AuditRecord) -> Step:
    # How often a service was asked before is its own affair, as is when it was.
    left, right = (replace(item.request, attempt=None) for item in (theirs, mine))
    same = left.digest == right.digest
    mistakes = [] if same else ["the inputs make another request than the record's"]
    return Step.of("request", mistakes, f"the same request, {mine.request.digest}")


def _targets(theirs: AuditRecord, mine: AuditRecord) -> list[Step]:
    steps = []
    for name in theirs.fingerprints:
        same = _identity(theirs, name) == _identity(mine, name)
        detail = "the same fingerprint" if same else "another fingerprint: compared by intervals"
        steps.append(Step.of(f"target {name}", [], detail))
    return steps


def _identity(record: AuditRecord, target: str) -> str | None:
    fingerprint = record.fingerprints.get(target)
    return None if fingerprint is None else fingerprint.identity


def _of(record: AuditRecord, place: tuple[str, str]) -> list[Reading]:
    return [item for item in record.readings if (item.target, item.check) == place]


def _left_out(readings: Sequence[Reading]) -> bool:
    return any(isinstance(item, Gap) and item.reason is Reason.OVER_BUDGET for item in readings)


def _all_exact(readings: Sequence[Reading]) -> bool:
    return all(isinstance(item, Gap) or item.repeat is Repeat.EXACT for item in readings)


def _differences(left: Sequence[Reading], right: Sequence[Reading], *, exact: bool) -> list[str]:
    mine = {_coordinates(item): item for item in right}
    theirs = {_coordinates(item): item for item in left}
    missing = [f"{name} is missing now" for name in theirs if name not in mine]
    added = [f"{name} is new" for name in mine if name not in theirs]
    moved = [
        f"{name} was {_shown(item)}, and is {_shown(mine[name])}"
        for name, item in theirs.items()
        if name in mine and not _agree(item, mine[name], exact=exact)
    ]
    return [*missing, *added, *moved]


def _coordinates(reading: Reading) -> str:
    if isinstance(reading, Gap):
        return f"gap {reading.reason} {reading.metric} {json.dumps(reading.params, sort_keys=True)}"
    return f"{reading.metric} {json.dumps({**reading.params, **reading.slice}, sort_keys=True)}"


def _agree(left: Reading, right: Reading, *, exact: bool) -> bool:
    """Compare by what the fresh reading says of itself: the record's own word proves nothing."""
    if isinstance(left, Gap) or isinstance(right, Gap):
        return isinstance(left, Gap) and isinstance(right, Gap) and left.reason is right.reason
    if exact and right.repeat is Repeat.EXACT:
        return _bare(left) == _bare(right)
    if right.repeat is Repeat.INTERVAL and right.unit in TIMINGS:
        return True
    if isinstance(left.value, bool | str) or isinstance(right.value, bool | str):
        return left.value == right.value
    if left.low is None or left.high is None or right.low is None or right.high is None:
        return left.value == right.value or right.repeat is Repeat.INTERVAL
    return left.low <= right.high + SLACK and right.low <= left.high + SLACK


def _bare(reading: Measurement) -> dict[str, Json]:
    return {name: value for name, value in reading.to_json().items() if name != "evidence"}


def _shown(reading: Reading) -> str:
    if isinstance(reading, Gap):
        return f"a gap ({reading.reason})"
    interval = "" if reading.low is None else f" [{reading.low:.6g}, {reading.high:.6g}]"
    value = reading.value
    return (f"{value:.6g}" if isinstance(value, float) else str(value)) + interval


def overrides_of(record: AuditRecord, waivers: tuple[SignedWaiver, ...] = ()) -> Overrides:
    """Return the overrides under which an audit file and ``waivers`` give a request again."""
    request = record.request
    return Overrides(
        policy=request.policy.name,
        targets=tuple(target.name for target in request.targets),
        budget=request.budget,
        only=request.only,
        judged_again=record.derived_from is not None,
        granted=waivers,
        turn=request.turn,
    )
