"""Local audit engine: runs checks one after another in this process and turns errors into gaps.

A heartbeat reports progress while a check waits for the owner's code, and is where it can be
stopped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

from auditor.checks.measure import CONFIDENCE, compute_readings, get_check_parameters
from auditor.checks.requirements import find_unmet_need
from auditor.domain.audit_checkpoint import AuditCheckpoint, ScopedCheckpoint
from auditor.domain.check_subject import CheckShard, ProgressReporter, Subject, derive_seed
from auditor.domain.checks import Check, Need, is_timing, uses_need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Blob, Item, encode_observed
from auditor.domain.json import Json, digest_json
from auditor.domain.observed_checks import ObservedCheck, Result
from auditor.domain.readings import Gap, GapReason
from auditor.domain.records import CheckObservation, DuplicateRows
from auditor.domain.training_recipes import HeartbeatRecipe, TrainingRecipe
from auditor.errors import (
    AuditorError,
    BrokenCheckError,
    CancelledError,
    EndpointLostError,
    LimitReachedError,
    MissingExtraError,
    ModelCrashedError,
    ModelFailedError,
    ModelOutOfMemoryError,
    ModelTimeoutError,
    RecipeError,
    RuntimeMissingError,
    ShadowsError,
    TargetChangedError,
    TwinError,
    find_raise_site,
)
from auditor.workflows.engine.counted_checkpoint import BEGUN, CountedCheckpoint
from auditor.workflows.engine.time_allowance import TimeAllowance

REASONS: dict[type[AuditorError], GapReason] = {
    ModelCrashedError: GapReason.MODEL_CRASHED,
    ModelTimeoutError: GapReason.MODEL_HUNG,
    ModelOutOfMemoryError: GapReason.MODEL_OUT_OF_MEMORY,
    ModelFailedError: GapReason.MODEL_FAILED,
    TwinError: GapReason.TWIN_UNSUPPORTED,
    MissingExtraError: GapReason.NEEDS_EXTRA,
    BrokenCheckError: GapReason.CHECK_CRASHED,
    RuntimeMissingError: GapReason.NEEDS_RUNTIME,
    RecipeError: GapReason.RECIPE_FAILED,
    ShadowsError: GapReason.SHADOWS_FAILED,
    LimitReachedError: GapReason.OVER_BUDGET,
    EndpointLostError: GapReason.ENDPOINT_LOST,
    TargetChangedError: GapReason.TARGET_CHANGED,
}


def convert_error_to_gap(error: AuditorError, target: str = "", check: str = "") -> Gap:
    """Say an error as a Gap."""
    reason = REASONS.get(type(error), GapReason.UNSUPPORTED)
    return Gap(reason=reason, detail=error.problem, cure=error.cure, target=target, check=check)


class ProgressHeartbeat:
    """Passes on how far a check is, and says it again while nothing moves.

    Either may raise ``CancelledError``: so a training of minutes is stopped within seconds.
    """

    def __init__(self, progress: ProgressReporter) -> None:
        self._progress = progress
        self._last = (0, 1, "")

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Say how far it is."""
        self._last = (done, total, note)
        self._progress(done, total, note)

    def again(self) -> None:
        """Say once more what was said last."""
        self._progress(*self._last)


def attach_heartbeat(recipe: TrainingRecipe | Gap, said: ProgressHeartbeat) -> TrainingRecipe | Gap:
    """Return the recipe, which calls ``said.again`` while its code works, if it knows how to."""
    return recipe.attended(said.again) if isinstance(recipe, HeartbeatRecipe) else recipe


OF_FILES = frozenset({Need.ARTIFACT, Need.DOCUMENTS})
"""What a check that asks no model needs."""
WHOLE = "evidence"
"""The name under which a check's whole evidence is remembered."""


class ProgressListener(Protocol):
    """Who wants to know how far an audit is."""

    def started(self, target: str, check: Check) -> None:
        """Say that a check begins."""
        ...

    def advanced(self, done: int, total: int, note: str = "") -> None:
        """Say how far the check at hand is; may raise ``CancelledError``."""
        ...

    def ended(self, target: str, check: Check, result: Result) -> None:
        """Say that a check has ended."""
        ...


def observe_checks(
    checks: Sequence[Check],
    subject: Subject,
    keep: Callable[[Blob], None],
    watch: ProgressListener,
    allowance: TimeAllowance,
) -> tuple[Result, ...]:
    """Observe every check on one target. A check that cannot or crashes gives a Gap.

    So does one that would keep the target busy for longer than is allowed. Checks that their time
    cut short share what others left, until no row more fits. Results come in the order of
    ``checks``.
    """
    first, late = allowance.divide(checks)
    held: dict[str, Item] = {}

    def share(result: Result) -> Result:
        return result if isinstance(result, Gap) else result.shared(held)

    def observe(check: Check) -> Result:
        return share(observe_check(check, subject, keep, watch, allowance))

    results = {check.id: observe(check) for check in first}
    turn, more = 0, True
    while more:
        turn, more = turn + 1, False
        going = [check for check in first if allowance.may_go_on(check, results[check.id])]
        for place, check in enumerate(going):
            seen = cast("ObservedCheck", results[check.id])
            goes_on = CheckTurn(turn, len(going) - place, seen)
            found = go_on_with_check(check, subject, keep, watch, allowance, turn=goes_on)
            if found is not seen:
                results[check.id], more = share(found), True
    for check in late:
        results[check.id] = observe(check)
    return tuple(results[check.id] for check in checks)


def observe_check(
    check: Check,
    subject: Subject,
    keep: Callable[[Blob], None],
    watch: ProgressListener,
    allowance: TimeAllowance,
) -> Result:
    """Observe one check on one target as far as its time goes, or say as a Gap why it cannot be.

    Time is counted on from before an interruption.
    """
    target = subject.target.name
    watch.started(target, check)
    result: Result | None = find_unmet_need(check, subject)
    if result is None:
        counted = CountedCheckpoint(subject)
        own = _own(check, subject, counted)
        counted.begin(own.memory)
        result = allowance.refuse(check, subject)
        if result is None:
            own = replace(own, row_limit=allowance.limit_rows(check, subject))
            result = _observe(check, own, target, keep, watch)
        counted.end()
    if isinstance(result, Gap):
        result = replace(result, target=target, check=check.id)
    watch.ended(target, check, result)
    return result


@dataclass(frozen=True, slots=True)
class CheckTurn:
    """A check that goes on with its rows: for which time, among how many, and what was seen."""

    number: int
    waiting: int
    seen: ObservedCheck


def go_on_with_check(  # noqa: PLR0913 -- as above, and what goes on
    check: Check,
    subject: Subject,
    keep: Callable[[Blob], None],
    watch: ProgressListener,
    allowance: TimeAllowance,
    *,
    turn: CheckTurn,
) -> Result:
    """Return what was seen and more rows, or the very same where no row more fits.

    Rows that were seen are recalled. So a check does not go on without a memory, nor on a model
    that answers at random: clean rows read otherwise each time. A check that fails now is a Gap, as
    if it had had the time at once; but what a server's limit ends keeps what was seen.
    """
    if not subject.remembers:
        return turn.seen
    target, counted = subject.target.name, CountedCheckpoint(subject)
    own = _own(check, subject, counted)
    if _own(check, subject, subject.memory).memory.recall(BEGUN) is None:
        return turn.seen
    name = f"turn {turn.number}"
    counted.begin(ScopedCheckpoint(own.memory, name))
    limit = allowance.extend_rows(check, subject, turn.seen.evidence, turn.waiting)
    if limit is None:
        return turn.seen
    watch.started(target, check)
    own = replace(own, row_limit=limit)
    result = _observe(check, own, target, keep, watch, whole=f"{WHOLE} {name}")
    counted.end()
    if isinstance(result, Gap) and result.reason is GapReason.OVER_BUDGET:
        result = turn.seen
    watch.ended(target, check, result)
    return result


def _own(check: Check, subject: Subject, memory: AuditCheckpoint) -> Subject:
    """Return the subject with the seed of a check, and its part of a memory."""
    seed = derive_seed(subject.audit_seed, check.id, CheckShard())
    name = _name(check, subject, subject.target.name, seed)
    return replace(subject, seed=seed, memory=ScopedCheckpoint(memory, name))


def _observe(  # noqa: PLR0913 -- what is looked at, and who is told
    check: Check,
    subject: Subject,
    target: str,
    keep: Callable[[Blob], None],
    watch: ProgressListener,
    *,
    whole: str = WHOLE,
) -> Result:
    said, memory = ProgressHeartbeat(watch.advanced), subject.memory
    own = replace(subject, progress=said, recipe=attach_heartbeat(subject.recipe, said))
    try:
        evidence = memory.recall(whole)
        if evidence is None:
            evidence = check.observe(own, CheckShard())
            if not is_timing(check):
                memory.remember(whole, evidence)
        names, evidence = encode_observed(evidence, keep)
        params: dict[str, Json] = get_check_parameters(check)
        manner, copies = _manner(check, own), _copies(check, own)
        observation = CheckObservation(
            target, check.id, check.version, params, own.seed, names, copies=copies, **manner
        )
        seen = ObservedCheck(observation, check, evidence)
        compute_readings([seen], CONFIDENCE)
    except CancelledError:
        raise
    except AuditorError as error:
        return convert_error_to_gap(error, target, check.id)
    except Exception as error:  # noqa: BLE001 -- a check that crashes is a Gap, whatever it raises
        at = find_raise_site(error)
        place = f" at {at}" if at else ""
        return Gap(
            reason=GapReason.CHECK_CRASHED,
            detail=f"The check {check.id} crashed{place}: {type(error).__name__}: {error}",
            cure="This is a defect of the check, not of the model; report it with this line.",
            target=target,
            check=check.id,
        )
    return seen


def _name(check: Check, subject: Subject, target: str, seed: int) -> str:
    """Return all that a check's evidence depends on beside the request, as one name."""
    identity = "" if isinstance(subject.model, Gap) else subject.model.fingerprint.identity
    twin = subject.twin.detail if isinstance(subject.twin, Gap) else dict(subject.twin.source)
    proofs = subject.certifier.detail if isinstance(subject.certifier, Gap) else ""
    parts = [
        target,
        identity,
        twin,
        proofs,
        check.id,
        check.version,
        get_check_parameters(check),
        seed,
    ]
    return digest_json(cast("Json", parts))


def _manner(check: Check, subject: Subject) -> dict[str, Any]:
    """Return what there is to say of the way in which the model answers, if a check can ask it."""
    manner: dict[str, Any] = {"labels_only": subject.labels_only(DatasetRole.EVALUATION)}
    needs = check.needs | check.wants
    if isinstance(subject.model, Gap) or (needs and needs <= OF_FILES):
        return manner
    face = subject.model.fingerprint.interface
    other = [it for it in (() if face is None else face.labels) if it.doubt]
    worst = max(other, key=lambda it: it.differing / it.rows, default=None)
    return {**manner, "deterministic": subject.model.deterministic, "labels": worst}


def _copies(check: Check, subject: Subject) -> DuplicateRows | None:
    """Return how many evaluation rows are copies, where they weigh and a check looks at them."""
    data = subject.datasets.get(DatasetRole.EVALUATION)
    looks = any(uses_need(check, need) for need in (Need.EVALUATION, Need.PRODUCTION))
    if data is None or data.copies is None or not looks:
        return None
    return DuplicateRows(data.rows, data.distinct)
