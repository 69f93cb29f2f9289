"""Challenge workflow: tests submitted counterexamples against the claims of an audit record.

Each counterexample is paired with the row that it starts from, and the target answers both. Claims
that no example in a file could refute are listed as untested.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np

from auditor.attacks.counterexamples.refutable_claims import (
    ROBUST,
    ExampleOutcomes,
    claims_of,
    weigh_examples,
)
from auditor.attacks.counterexamples.submission import (
    ChallengeContext,
    CounterexampleBatch,
    build_threat_factory,
)
from auditor.attacks.evasion.attack_setup import REPEATS, requires_integers, true_targets
from auditor.attacks.evasion.judge import query_target
from auditor.checks.measure import CONFIDENCE, compute_readings
from auditor.domain.baselines import MeasurementConditions
from auditor.domain.challenges import (
    Challenge,
    ChallengeOutcome,
    CounterexampleKind,
    ExampleResult,
    ExampleTrial,
    RuleOutcomeChange,
)
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.findings import ACCEPTABLE, Finding, Outcome
from auditor.domain.models import TwinKind, TwinSource
from auditor.domain.observed_checks import ObservedCheck, Result
from auditor.domain.policies import Policy, RuleEffect
from auditor.domain.readings import BoundKind, Gap, Measurement
from auditor.domain.records import AuditRecord
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import ClassificationTask
from auditor.domain.waivers import Waiver
from auditor.errors import DatasetError, RecordError, UsageError
from auditor.inputs.datasets.counterexamples import CounterexampleSet
from auditor.policy.evaluate.context import build_judging_context
from auditor.policy.evaluate.engine import judge_readings
from auditor.workflows.engine.audit_subject import open_subject
from auditor.workflows.engine.target_factory import TargetFactory
from auditor.workflows.prepare import PreparedAudit


@contextmanager
def open_challenged_subject(
    prepared: PreparedAudit, spec: TargetSpec, openers: TargetFactory
) -> Iterator[Subject]:
    """Open the model alone on a target of the record, by the edges that an audit opens it with."""
    bare = replace(
        prepared.materials,
        parent=None,
        reference=None,
        recipe=None,
        shadows=None,
        generator=None,
        twin=TwinSource(TwinKind.NONE),
    )
    with open_subject(spec, bare, openers, twin=lambda _: False) as subject:
        yield subject


def build_challenge_context(subject: Subject) -> ChallengeContext:
    """Return what examples are held against: all evaluation rows, and the target.

    Raises ``RecordError`` where there is nothing that an example could start from.
    """
    dataset, task, model = subject.datasets.get(DatasetRole.EVALUATION), subject.task, subject.model
    truth = None if dataset is None else true_targets(dataset, task)
    if dataset is None or dataset.inputs is None or truth is None or isinstance(model, Gap):
        raise RecordError(
            "the record rests on no labelled inputs that an example could start from",
            cure="Challenge a record of an audit with evaluation data and a model.",
        )
    repeats = 1 if model.deterministic else REPEATS
    interface = model.fingerprint.interface
    whole = requires_integers(model, dataset.inputs)
    space = None if isinstance(subject.space, Gap) else subject.space
    return ChallengeContext(
        inputs=dataset.inputs,
        labels=truth,
        places={row: at for at, row in enumerate(dataset.ids)},
        task=task,
        ask=lambda inputs: query_target(model, inputs, repeats)[1],
        threat=build_threat_factory(space, dataset.inputs.shape[1:], whole=whole),
        space=space,
        whole=whole,
        takes=None if interface is None else interface.input_shape,
    )


def explain_input_mismatch(subject: Subject, examples: CounterexampleSet) -> str:
    """Return why examples are no inputs of a subject's model, or nothing where they are."""
    dataset = subject.datasets.get(DatasetRole.EVALUATION)
    if dataset is None or dataset.inputs is None or examples.kind is CounterexampleKind.VIEWS:
        return ""
    try:
        examples.fitted(dataset.inputs)
    except DatasetError as error:
        return error.problem
    return ""


def pair_examples(ground: ChallengeContext, examples: CounterexampleSet) -> CounterexampleBatch:
    """Return examples beside the rows that they start from, and the target's answers to both.

    Raises ``DatasetError`` for examples that are no inputs of the model.
    """
    rows = tuple(row or "" for row in examples.rows)
    at = np.array([ground.places.get(row, 0) for row in rows], dtype=np.int64)
    clean, labels = ground.inputs[at], ground.labels[at]
    inputs = clean if examples.kind is CounterexampleKind.VIEWS else examples.fitted(ground.inputs)
    asked = examples.kind is not CounterexampleKind.PERTURBATIONS
    said_clean = ground.ask(clean) if asked else np.zeros((len(rows), 0))
    said = ground.ask(inputs) if examples.kind is CounterexampleKind.INPUTS else said_clean
    # Which examples were given another label than the evaluation data hold
    task = ground.task
    held = (
        [task.classes[int(label)] for label in labels]
        if isinstance(task, ClassificationTask)
        else [str(label) for label in labels]
    )
    pairs = zip(examples.labels, held, strict=True)
    return CounterexampleBatch(
        ground=ground,
        kind=examples.kind,
        inputs=inputs,
        rows=rows,
        known=np.array([row in ground.places for row in rows]),
        disputed=np.array([given is not None and given != label for given, label in pairs]),
        clean=clean,
        labels=labels,
        said=said,
        said_clean=said_clean,
        views=examples.views,
    )


@dataclass(frozen=True, slots=True)
class RecordClaims:
    """A record whose folder verifies, with all that was seen, and the policy that judged it."""

    record: AuditRecord
    results: tuple[Result, ...]
    policy: Policy
    waivers: tuple[Waiver, ...] = ()
    compared: AuditRecord | None = None

    def seen_on(self, target: str) -> Iterator[ObservedCheck]:
        """Return what was seen of one target."""
        for item in self.results:
            if isinstance(item, ObservedCheck) and item.observation.target == target:
                yield item


@dataclass(frozen=True, slots=True)
class UntestedCheck:
    """A check under which no example of a file was tried, and why.

    ``robust`` where it claims how many rows stay right under attack, which a challenge by that
    file then neither refutes nor upholds.
    """

    check: str
    why: str
    robust: bool


def list_untested_checks(
    claims: RecordClaims, target: str, kind: CounterexampleKind
) -> tuple[UntestedCheck, ...]:
    """Return the checks of a target under which examples of a kind are not tried.

    Of those that measured something, which say something of examples or claim robustness.
    """
    record = claims.record
    measured = frozenset(
        (item.check, item.metric)
        for item in record.readings
        if isinstance(item, Measurement) and item.target == target
    )
    found = []
    for item in claims.seen_on(target):
        name, why = item.check.id, _why_not(item, kind)
        robust = (name, ROBUST) in measured
        told = item.check.by_example is not None and any(name == check for check, _ in measured)
        if why and (robust or told):
            found.append(UntestedCheck(name, why, robust))
    return tuple(found)


def is_robustness_untested(
    claims: RecordClaims, told: Challenge, beside: tuple[UntestedCheck, ...]
) -> bool:
    """Whether all the robustness that a record claims is of checks that were not tried.

    What was tried counts where it claims a bound; an accuracy is an estimate.
    """
    tried = {item.check for item in told.trials}
    bounded = (
        item.check.id in tried
        and any(metric.bound is not BoundKind.ESTIMATE for metric in item.check.emits.values())
        for item in claims.seen_on(told.target)
    )
    return any(item.robust for item in beside) and not any(bounded)


def build_no_claims_error(
    claims: RecordClaims, target: str, given: CounterexampleSet
) -> RecordError:
    """Return the error that says of every check why a file of examples refutes nothing of it."""
    whys = [why for item in claims.seen_on(target) if (why := _why_not(item, given.kind))]
    return RecordError(
        "; ".join([f"the record claims nothing of {target} that {given.name} could refute", *whys]),
        cure="Challenge a record of an attack, of a proof, or of quality.accuracy, with the arrays "
        "that `auditor challenge --help` names for it.",
    )


def _why_not(seen: ObservedCheck, kind: CounterexampleKind) -> str:
    found = claims_of(seen.check, seen.evidence, seen.observation.params, kind)
    return found if isinstance(found, str) else ""


KEPT = ACCEPTABLE | {Outcome.NOT_APPLICABLE}


@dataclass(frozen=True, slots=True)
class ChallengeRefusal:
    """Why nothing was decided: examples count on the record's own target alone."""

    reason: str
    cure: str


@dataclass(frozen=True, slots=True)
class ChallengeRun:
    """What was tried: on which target, which file of examples, and what came of each claim."""

    target: str
    examples: str
    weighed: Mapping[str, ExampleOutcomes]
    signer: str
    at: str


def choose_challenged_target(record: AuditRecord, name: str | None) -> TargetSpec:
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


def run_challenge(
    claims: RecordClaims, files: Sequence[CounterexampleSet], subject: Subject, signer: str, at: str
) -> Challenge | ChallengeRefusal:
    """Try the last of ``files`` against every claim that the record makes of the subject's target.

    The files before it are those of earlier challenges, which are counted first: many small ones
    together come to what one large one does.

    Raises ``DatasetError`` for examples that are no inputs of the model, ``RecordError`` where the
    record claims nothing that such examples could refute.
    """
    record, target = claims.record, subject.target.name
    found, model = record.fingerprints.get(subject.target.name), subject.model
    if isinstance(model, Gap):
        elsewhere = ChallengeRefusal(f"the model could not be opened: {model.detail}", model.cure)
    elif found is None:
        elsewhere = ChallengeRefusal(
            "the record's own target did not open", "Challenge another target of it."
        )
    elif model.fingerprint.identity != found.identity:
        elsewhere = ChallengeRefusal(
            f"this is not the record's target: it was {found.identity}, and here is "
            f"{model.fingerprint.identity}",
            "Try the examples on the machine and runtime that the record names.",
        )
    else:
        elsewhere = None
    if elsewhere is not None:
        return elsewhere
    ground = build_challenge_context(subject)
    results, weighed = claims.results, dict[str, ExampleOutcomes]()
    for examples in files:
        results, weighed = _weighed(results, target, pair_examples(ground, examples))
    if not weighed:
        raise build_no_claims_error(claims, target, files[-1])
    tried = ChallengeRun(target, files[-1].digest, weighed, signer, at)
    return _challenge(claims, results, tried)


def _challenge(claims: RecordClaims, results: Sequence[Result], tried: ChallengeRun) -> Challenge:
    """Judge what is left by the record's own policy, and put down what the examples came to."""
    record = claims.record
    request, assurance = record.request, record.assurance
    context = build_judging_context(request, assurance, CONFIDENCE, claims.waivers, record.finished)
    under = MeasurementConditions.of(request, record.observations, record.fingerprints)
    known = context.against(claims.compared, under)
    findings = judge_readings(claims.policy, cache(partial(compute_readings, results)), known)
    trials = tuple(trial for item in tried.weighed.values() for trial in item.trials)
    disproved = tuple(check for check, item in tried.weighed.items() if item.disproved)
    artifact = request.artifact
    held = {item.check for item in trials if item.result is ExampleResult.HOLDS}
    seen = (
        item for item in record.observations if item.target == tried.target and item.check in held
    )
    was = {(item.name, item.target): item.outcome for item in record.findings}
    moved = tuple(
        RuleOutcomeChange(
            item.name, item.target, was[item.name, item.target].value, item.outcome.value
        )
        for item in findings
        if was.get((item.name, item.target), item.outcome) is not item.outcome
    )
    return Challenge(
        record=record.digest,
        record_id=record.id,
        artifact=None if artifact is None else artifact.digest,
        target=tried.target,
        identity=record.fingerprints[tried.target].identity,
        examples=tried.examples,
        trials=trials,
        disproved=disproved,
        moved=moved,
        outcome=_outcome(record, findings, trials, disproved),
        signer=tried.signer,
        tried=tried.at,
        evidence=tuple(sorted({item.basis for item in seen})),
    )


def _weighed(
    results: Sequence[Result], target: str, given: CounterexampleBatch
) -> tuple[tuple[Result, ...], dict[str, ExampleOutcomes]]:
    """Return the results with every broken row counted, and what came of each claim."""
    counted, found = list(results), dict[str, ExampleOutcomes]()
    for place, item in enumerate(results):
        if isinstance(item, Gap) or item.observation.target != target:
            continue
        told = claims_of(item.check, item.evidence, item.observation.params, given.kind)
        if isinstance(told, str):
            continue
        weighed = weigh_examples(item.check.id, told, item.evidence, given)
        found[item.check.id] = weighed
        if weighed.evidence is not None:
            counted[place] = ObservedCheck(item.observation, item.check, weighed.evidence)
    return tuple(counted), found


def _outcome(
    record: AuditRecord,
    findings: Sequence[Finding],
    trials: Sequence[ExampleTrial],
    disproved: Sequence[str],
) -> ChallengeOutcome:
    """Return what it comes to: refuted, where a denying rule was kept and is no more."""
    if not any(item.result is ExampleResult.HOLDS for item in trials):
        return ChallengeOutcome.FAILED
    kept = {(item.name, item.target) for item in record.findings if item.outcome in KEPT}
    lost = [
        item
        for item in findings
        if item.effect is RuleEffect.DENY
        and item.outcome not in KEPT
        and (item.name, item.target) in kept
    ]
    return ChallengeOutcome.REFUTED if lost or disproved else ChallengeOutcome.LOWERED
