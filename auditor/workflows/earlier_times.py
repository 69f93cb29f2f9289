"""How long the checks of an audit took, kept for the plans of the next ones."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from auditor.checks.measure import get_check_parameters
from auditor.domain.checks import Check
from auditor.domain.json import Json, digest_json
from auditor.domain.observed_checks import Result
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.domain.targets import TargetSpec
from auditor.store.check_times import CheckTimes, CheckTimeStore
from auditor.workflows.engine.local import ProgressListener
from auditor.workflows.prepare import PreparedAudit
from auditor.workflows.remaining_time import CheckPlace


@dataclass(slots=True)
class CheckTimer:
    """Passes on how far an audit is, and keeps the seconds of each check."""

    listener: ProgressListener
    seconds: dict[CheckPlace, float] = field(default_factory=dict)
    _began: float = 0.0

    def started(self, target: str, check: Check) -> None:
        """Note that a check begins."""
        self._began = time.monotonic()
        self.listener.started(target, check)

    def advanced(self, done: int, total: int, note: str = "") -> None:
        """Pass on how far the check at hand is."""
        self.listener.advanced(done, total, note)

    def ended(self, target: str, check: Check, result: Result) -> None:
        """Add how long a check took: one that goes on ends more than once."""
        place = target, check.id
        self.seconds[place] = self.seconds.get(place, 0.0) + time.monotonic() - self._began
        self.listener.ended(target, check, result)


def keep_times(
    store: CheckTimeStore,
    prepared: PreparedAudit,
    record: AuditRecord,
    seconds: Mapping[CheckPlace, float],
    whole: float,
) -> None:
    """Keep what the checks of an audit took, which took ``whole`` seconds from file to report."""
    request, checks = prepared.request, prepared.checks
    beside = max(0.0, whole - sum(seconds.values())) / len(request.targets)
    for spec in request.targets:
        if spec.name in record.fingerprints:
            identity = record.fingerprints[spec.name].identity
            named = {_name_check(it, request): seconds[spec.name, it.id] for it in checks}
            store.keep(_name_subject(request, spec), CheckTimes(identity, named, beside))


@dataclass(frozen=True, slots=True)
class EarlierTimes:
    """What the checks of a request took on a target before, by id, and an audit beside them."""

    checks: Mapping[str, float] = field(default_factory=dict)
    beside: float | None = None


def find_times(
    store: CheckTimeStore,
    request: AuditRequest,
    checks: Iterable[Check],
    spec: TargetSpec,
    identity: str | None = None,
) -> EarlierTimes:
    """Return what was kept of the same model with the same data on a target.

    Only of checks that are set as they were, with the same limit of time; and only if the target
    turned out to be ``identity``, where that is known.
    """
    kept = store.find(_name_subject(request, spec))
    if kept is None or identity not in {None, kept.identity}:
        return EarlierTimes()
    named = {it.id: _name_check(it, request) for it in checks}
    found = {name: kept.checks[it] for name, it in named.items() if it in kept.checks}
    return EarlierTimes(found, kept.beside)


def find_all_times(store: CheckTimeStore, prepared: PreparedAudit) -> dict[CheckPlace, float]:
    """Return what was kept of the checks of an audit on targets that are not opened yet."""
    request = prepared.request
    return {
        (spec.name, check): seconds
        for spec in request.targets
        for check, seconds in find_times(store, request, prepared.checks, spec).checks.items()
    }


def _name_subject(request: AuditRequest, spec: TargetSpec) -> str:
    """Return a name of the model, the data and the target as they are declared."""
    model = None if request.artifact is None else request.artifact.to_json()
    data: list[Json] = [[it.role, it.digest] for it in request.datasets]
    return digest_json([model, data, spec.to_json()])


def _name_check(check: Check, request: AuditRequest) -> str:
    params: dict[str, Json] = get_check_parameters(check)
    return digest_json([check.id, check.version, params, request.seconds])
