"""Run a record's request again, and compare what was measured."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from auditor.domain.checks import Check, depends_on_machine
from auditor.domain.json import Json
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Repeatability
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.domain.waivers import SignedWaiver
from auditor.errors import RecordError
from auditor.policy.evaluate.engine import equals_but_for_waivers
from auditor.workflows.prepare import AuditOverrides

SLACK = 1e-9


def index_files_by_digest(folder: Path) -> Mapping[str, Path]:
    """Index the files below a folder by digest."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                found["sha256:" + hashlib.file_digest(file, "sha256").hexdigest()] = path
    return found


def require_training_permission(request: AuditRequest, *, given: bool, sandboxed: bool) -> None:
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


def check_reproduction(
    theirs: AuditRecord, mine: AuditRecord, checks: Iterable[Check | type[Check]]
) -> tuple[VerificationStep, ...]:
    """Compare two records of one request, a step a check on a target.

    Readings that repeat exactly must be equal where the fingerprints' identities are; all others
    must agree within their intervals. What a check of ``checks`` declares to hang on the machine
    only has to be there: an interval over the calls of one run says nothing of how another run
    finds the machine. What one run left out for want of time or queries is not compared either.
    """
    known = {check.id: check for check in checks}
    steps = [_same_request(theirs, mine), *_targets(theirs, mine)]
    places = dict.fromkeys((item.target, item.check) for item in (*theirs.readings, *mine.readings))
    compared = 0
    for target, name in places:
        check = known.get(name)
        loose = (lambda _: False) if check is None else partial(depends_on_machine, check)
        exact = _identity(theirs, target) == _identity(mine, target)
        place = (target, name)
        pairs = _ReproducedReadings(_of(theirs, place), _of(mine, place), loose)
        compared += sum(isinstance(item, Measurement) for item in pairs.compared)
        steps.append(pairs.step(f"{name} on {target}", exact=exact))
    return (*steps, _findings(theirs, mine, known, anything=compared > 0))


@dataclass(frozen=True, slots=True)
class _ReproducedReadings:
    """What two runs of one check read; ``loose`` says of a metric that it hangs on the machine."""

    theirs: Sequence[Reading]
    mine: Sequence[Reading]
    loose: Callable[[str], bool]

    @property
    def compared(self) -> list[Reading]:
        """The fresh readings that are held against the record's."""
        known = {_coordinates(item) for item in self.theirs}
        held = [item for item in self.mine if not self.loose(item.metric)]
        return [item for item in held if _coordinates(item) in known]

    def step(self, name: str, *, exact: bool) -> VerificationStep:
        """Tell what came of the comparison, and what was not compared."""
        firm, mistakes = self.compared, self._differences(exact=exact)
        moved = sorted({item.metric for item in self.theirs if self.loose(item.metric)})
        left_out = any(_left_out(item) for item in (*self.theirs, *self.mine))
        apart = [f"hangs on the machine: {', '.join(moved)}"] if moved else []
        apart += ["left out for want of time or queries, which depend on the target"] * left_out
        said = [f"not compared: {'; '.join(apart)}"] if apart else []
        if firm:
            kind = "equal" if exact and _all_exact(firm) else "within their intervals"
            said.insert(0, f"{len(firm)} readings {kind}")
        if not firm and not mistakes:
            return VerificationStep(name, StepResult.NOT_CHECKED, "; ".join(said))
        return VerificationStep.of(name, mistakes, "; ".join(said))

    def _differences(self, *, exact: bool) -> list[str]:
        mine = {self._place(item): item for item in self.mine}
        theirs = {self._place(item): item for item in self.theirs}
        missing = [
            f"{name} is missing now"
            for name, item in theirs.items()
            if name not in mine and not _excused(item, self.mine)
        ]
        added = [
            f"{name} is new"
            for name, item in mine.items()
            if name not in theirs and not _excused(item, self.theirs)
        ]
        moved = [
            f"{name} was {_shown(item)}, and is {_shown(mine[name])}"
            for name, item in theirs.items()
            if name in mine
            and not self.loose(item.metric)
            and not _agree(item, mine[name], exact=exact)
        ]
        return [*missing, *added, *moved]

    def _place(self, reading: Reading) -> str:
        # Whether a figure of the machine could be told at all is of the machine, too.
        if self.loose(reading.metric):
            return f"{reading.metric} {json.dumps(dict(reading.params), sort_keys=True)}"
        return _coordinates(reading)


def _findings(
    theirs: AuditRecord, mine: AuditRecord, checks: Mapping[str, Check | type[Check]], *,
    anything: bool,
) -> VerificationStep:  # fmt: skip
    """Compare what the rules came to; one on what hangs on the machine may come out otherwise."""
    again = {(item.name, item.target): item for item in mine.findings}
    loose = {
        (item.name, item.target)
        for item in mine.findings
        if any(_is_loose(mine.readings[index], checks) for index in item.readings)
    }
    moved = [
        f"{item.name} on {item.target} came to {item.outcome}"
        for item in theirs.findings
        if (item.name, item.target) not in loose
        and (
            (item.name, item.target) not in again
            or not equals_but_for_waivers(item.outcome, again[item.name, item.target].outcome)
        )
    ]
    mistakes = moved if anything else ["nothing was measured that could be compared"]
    same = len(theirs.findings) == len(mine.findings)
    mistakes += [] if same else [f"there are {len(mine.findings)} findings now"]
    about = f"{len(theirs.findings) - len(loose)} findings, the same outcomes"
    apart = f"; not compared, for they hang on the machine: {len(loose)}" if loose else ""
    return VerificationStep.of("findings", mistakes, about + apart)


def _is_loose(reading: Reading, checks: Mapping[str, Check | type[Check]]) -> bool:
    check = checks.get(reading.check)
    return check is not None and depends_on_machine(check, reading.metric)


def _same_request(theirs: AuditRecord, mine: AuditRecord) -> VerificationStep:
    # How often a service was asked before is its own affair, as is when it was.
    left, right = (replace(item.request, attempt=None) for item in (theirs, mine))
    same = left.digest == right.digest
    mistakes = [] if same else ["the inputs make another request than the record's"]
    return VerificationStep.of("request", mistakes, f"the same request, {mine.request.digest}")


def _targets(theirs: AuditRecord, mine: AuditRecord) -> list[VerificationStep]:
    steps = []
    for name in theirs.fingerprints:
        same = _identity(theirs, name) == _identity(mine, name)
        detail = "the same fingerprint" if same else "another fingerprint: compared by intervals"
        steps.append(VerificationStep.of(f"target {name}", [], detail))
    return steps


def _identity(record: AuditRecord, target: str) -> str | None:
    fingerprint = record.fingerprints.get(target)
    return None if fingerprint is None else fingerprint.identity


def _of(record: AuditRecord, place: tuple[str, str]) -> list[Reading]:
    return [item for item in record.readings if (item.target, item.check) == place]


def _left_out(reading: Reading) -> bool:
    return isinstance(reading, Gap) and reading.reason is GapReason.OVER_BUDGET


def _excused(reading: Reading, others: Sequence[Reading]) -> bool:
    """Whether the other run left a reading out; who left something out claims nothing by it."""
    if _left_out(reading):
        return True
    return any(
        _left_out(gap)
        and gap.metric in {"", reading.metric}
        and gap.params.items() <= reading.params.items()
        for gap in others
    )


def _all_exact(readings: Sequence[Reading]) -> bool:
    return all(isinstance(item, Gap) or item.repeat is Repeatability.EXACT for item in readings)


def _coordinates(reading: Reading) -> str:
    if isinstance(reading, Gap):
        return f"gap {reading.reason} {reading.metric} {json.dumps(reading.params, sort_keys=True)}"
    return f"{reading.metric} {json.dumps({**reading.params, **reading.slice}, sort_keys=True)}"


def _agree(left: Reading, right: Reading, *, exact: bool) -> bool:
    """Compare by what the fresh reading says of itself: the record's own word proves nothing."""
    if isinstance(left, Gap) or isinstance(right, Gap):
        return isinstance(left, Gap) and isinstance(right, Gap) and left.reason is right.reason
    if exact and right.repeat is Repeatability.EXACT:
        return _bare(left) == _bare(right)
    if isinstance(left.value, bool | str) or isinstance(right.value, bool | str):
        return left.value == right.value
    if left.low is None or left.high is None or right.low is None or right.high is None:
        return left.value == right.value or right.repeat is Repeatability.INTERVAL
    return left.low <= right.high + SLACK and right.low <= left.high + SLACK


def _bare(reading: Measurement) -> dict[str, Json]:
    return {name: value for name, value in reading.to_json().items() if name != "evidence"}


def _shown(reading: Reading) -> str:
    if isinstance(reading, Gap):
        return f"a gap ({reading.reason})"
    interval = "" if reading.low is None else f" [{reading.low:.6g}, {reading.high:.6g}]"
    value = reading.value
    return (f"{value:.6g}" if isinstance(value, float) else str(value)) + interval


def build_reproduction_overrides(
    record: AuditRecord, waivers: tuple[SignedWaiver, ...] = ()
) -> AuditOverrides:
    """Return the overrides under which an audit file and ``waivers`` give a request again."""
    request = record.request
    return AuditOverrides(
        policy=request.policy.name,
        targets=tuple(target.name for target in request.targets),
        budget=request.budget,
        only=request.only,
        judged_again=record.derived_from is not None,
        granted=waivers,
        turn=request.turn,
    )
