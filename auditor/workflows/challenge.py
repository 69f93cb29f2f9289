"""Try somebody's counterexamples on a record's target, and count what is left of its verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

from auditor.attacks.counterexamples.claims import Weighed, weigh
from auditor.attacks.counterexamples.given import Given
from auditor.attacks.counterexamples.reasons import claims_of
from auditor.claimed import Claims, claimless
from auditor.confronting import given_by, ground_of
from auditor.datasets.examples import Examples
from auditor.domain.baselines import Circumstances
from auditor.domain.challenges import Challenge, Moved, Outcome, Trial
from auditor.domain.challenges import Result as Came
from auditor.domain.findings import Finding
from auditor.domain.observed import Result, Seen
from auditor.domain.policies import Effect
from auditor.domain.readings import Gap
from auditor.domain.records import AuditRecord
from auditor.domain.subjects import Subject
from auditor.domain.targets import TargetSpec
from auditor.domain.verdicts import ACCEPTABLE
from auditor.domain.verdicts import Outcome as Judged
from auditor.errors import UsageError
from auditor.judging.context import context_of
from auditor.judging.judge import judge
from auditor.measuring import CONFIDENCE, readings

KEPT = ACCEPTABLE | {Judged.NOT_APPLICABLE}


@dataclass(frozen=True, slots=True)
class NotTried:
    """Why nothing was decided: examples count on the record's own target alone."""

    reason: str
    cure: str


@dataclass(frozen=True, slots=True)
class Tried:
    """What was tried: on which target, which file of examples, and what came of each claim."""

    target: str
    examples: str
    weighed: Mapping[str, Weighed]
    signer: str
    at: str


def chosen_target(record: AuditRecord, name: str | None) -> TargetSpec:
    """Return the target to try on. Raises ``UsageError`` where it is none of the record's."""
    known = {item.name: item for item in record.request.targets}
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name is None or name not in known:
        raise UsageError(
            "the record speaks of several targets"
            if name is None
            else f"the record speaks of no target {name!r}",
            cure=f"Say --target with one of {', '.join(known)}.",
        )
    return known[name]


def try_examples(
    claims: Claims, files: Sequence[Examples], subject: Subject, signer: str, at: str
) -> Challenge | NotTried:
    """Try the last of ``files`` against every claim that the record makes of the subject's target.

    The files before it are those of earlier challenges, which are counted first: many small ones
    together come to what one large one does.

    Raises ``DatasetError`` for examples that are no inputs of the model, ``RecordError`` where the
    record claims nothing that such examples could refute.
    """
    record, target = claims.record, subject.target.name
    elsewhere = _elsewhere(record, subject)
    if elsewhere is not None:
        return elsewhere
    ground = ground_of(subject)
    results, weighed = claims.results, dict[str, Weighed]()
    for examples in files:
        results, weighed = _weighed(results, target, given_by(ground, examples))
    if not weighed:
        raise claimless(claims, target, files[-1])
    tried = Tried(target, files[-1].digest, weighed, signer, at)
    return _challenge(claims, results, tried)


def _challenge(claims: Claims, results: Sequence[Result], tried: Tried) -> Challenge:
    """Judge what is left by the record's own policy, and put down what the examples came to."""
    record = claims.record
    request, assurance = record.request, record.assurance
    context = context_of(request, assurance, CONFIDENCE, claims.waivers, record.finished)
    under = Circumstances.of(request, record.observations, record.fingerprints)
    known = context.against(claims.compared, under)
    findings = judge(claims.policy, cache(partial(readings, results)), known)
    trials = tuple(trial for item in tried.weighed.values() for trial in item.trials)
    disproved = tuple(check for check, item in tried.weighed.items() if item.disproved)
    artifact = request.artifact
    return Challenge(
        record=record.digest,
        record_id=record.id,
        artifact=None if artifact is None else artifact.digest,
        target=tried.target,
        identity=record.fingerprints[tried.target].identity,
        examples=tried.examples,
        trials=trials,
        disproved=disproved,
        moved=_moved(record.findings, findings),
        outcome=_outcome(record, findings, trials, disproved),
        signer=tried.signer,
        tried=tried.at,
        evidence=_contradicted(record, tried.target, trials),
    )


def _contradicted(record: AuditRecord, target: str, trials: Sequence[Trial]) -> tuple[str, ...]:
    """Return the digests of what was seen by the checks under which an example holds."""
    held = {item.check for item in trials if item.result is Came.HOLDS}
    seen = (item for item in record.observations if item.target == target and item.check in held)
    return tuple(sorted({item.basis for item in seen}))


def _elsewhere(record: AuditRecord, subject: Subject) -> NotTried | None:
    found, model = record.fingerprints.get(subject.target.name), subject.model
    if isinstance(model, Gap):
        return NotTried(f"the model could not be opened: {model.detail}", model.cure)
    if found is None:
        return NotTried("the record's own target did not open", "Challenge another target of it.")
    if model.fingerprint.identity != found.identity:
        return NotTried(
            f"this is not the record's target: it was {found.identity}, and here is "
            f"{model.fingerprint.identity}",
            "Try the examples on the machine and runtime that the record names.",
        )
    return None


def _weighed(
    results: Sequence[Result], target: str, given: Given
) -> tuple[tuple[Result, ...], dict[str, Weighed]]:
    """Return the results with every broken row counted, and what came of each claim."""
    counted, found = list(results), dict[str, Weighed]()
    for place, item in enumerate(results):
        if isinstance(item, Gap) or item.observation.target != target:
            continue
        told = claims_of(item.check, item.evidence, item.observation.params, given.kind)
        if isinstance(told, str):
            continue
        weighed = weigh(item.check.id, told, item.evidence, given)
        found[item.check.id] = weighed
        if weighed.evidence is not None:
            counted[place] = Seen(item.observation, item.check, weighed.evidence)
    return tuple(counted), found


def _moved(before: Sequence[Finding], after: Sequence[Finding]) -> tuple[Moved, ...]:
    was = {(item.name, item.target): item.outcome for item in before}
    return tuple(
        Moved(item.name, item.target, was[item.name, item.target].value, item.outcome.value)
        for item in after
        if was.get((item.name, item.target), item.outcome) is not item.outcome
    )


def _outcome(
    record: AuditRecord,
    findings: Sequence[Finding],
    trials: Sequence[Trial],
    disproved: Sequence[str],
) -> Outcome:
    """Return what it comes to: refuted, where a denying rule was kept and is no more."""
    if not any(item.result is Came.HOLDS for item in trials):
        return Outcome.FAILED
    kept = {(item.name, item.target) for item in record.findings if item.outcome in KEPT}
    lost = [
        item
        for item in findings
        if item.effect is Effect.DENY
        and item.outcome not in KEPT
        and (item.name, item.target) in kept
    ]
    return Outcome.REFUTED if lost or disproved else Outcome.LOWERED
