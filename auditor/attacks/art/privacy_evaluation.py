"""Evaluates the claims of third-party privacy attacks, and builds readings from them.

Membership claims are checked on rows of known membership. Attribute guesses are compared with a
baseline that never saw the model. Model copies are scored on rows outside the attacker's queries.
Reconstructed rows are judged in the same way as those of our own model inversion.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.privacy.attribute_inference import (
    AttackCodes,
    AttributeInferenceRows,
    AttributeSplit,
    AttributeTestFamily,
    SecretColumn,
    choose_secret_columns,
    grade_guesses,
    impute_levels,
    list_secret_columns,
    no_secret_gap,
    read_attribute_outcomes,
    split_attribute_rows,
)
from auditor.attacks.privacy.membership import Include, build_stack_decider
from auditor.attacks.privacy.membership_pool import MembershipPool, gather_pool
from auditor.attacks.privacy.membership_readings import AUC, RATES, VERDICT, too_few_non_members_gap
from auditor.attacks.privacy.membership_statistics import (
    FPR,
    NegativeControl,
    apply_threshold,
    attack_auc,
    average_control,
    blind_auc,
    blind_scores,
    rank_test,
    tail_advantage,
    tpr_at_fpr,
)
from auditor.attacks.privacy.membership_verdicts import (
    LEAK_LEVEL,
    TESTS,
    MembershipFinding,
    detectable_leaks,
)
from auditor.attacks.privacy.model_extraction import (
    KNOCKOFF,
    METRICS,
    ExtractionQueries,
    ExtractionSplit,
    QueryPlaces,
    copy_readings,
    decide_copies,
    extraction_verdict,
    majority_share,
    make_queries,
    read_copy_agreements,
    split_extraction_rows,
    train_copies,
)
from auditor.attacks.privacy.model_inversion import (
    NONE,
    InversionCampaign,
    InversionObservations,
    cell_to_json,
)
from auditor.attacks.privacy.model_inversion_evaluation import (
    NO_CLASSES,
    InversionSplit,
    split_inversion_rows,
)
from auditor.attacks.privacy.model_inversion_readings import InversionFindings
from auditor.attacks.privacy.shadow_models import (
    KINDS,
    NETWORK_KIND,
    draw_halves,
    train_one_sided_models,
)
from auditor.attacks.privacy.shadow_training import ModelStack, to_feature_matrix, train_stack
from auditor.domain.check_subject import Subject
from auditor.domain.checks import Metric
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, Item
from auditor.domain.gaps import read_gap
from auditor.domain.json import Json
from auditor.domain.readings import (
    BoundKind,
    ConfidenceInterval,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Repeatability,
    Scalar,
    Unit,
)
from auditor.domain.tasks import Array, ClassificationTask, Floats, get_class_names
from auditor.metrics.stats.proportions import clopper_pearson
from auditor.metrics.stats.roc_auc import auc
from auditor.metrics.stats.share_differences import share_difference

ADVANTAGE = "membership_advantage"
MODELS = 4
SALT = 77
UNSEEN, SIDED = "unseen", "sided"
"""Stand-ins that learn from both kinds of rows, or from members alone."""
Mask = NDArray[np.bool_]
Told = tuple[Mask, Floats]
"""Of each row, whether it is called a member, and how much like one it is said to look."""
Tell = Callable[[Array, NDArray[np.int64], Callable[[Array], Floats] | None], Told | None]
"""An attack: of rows with labels, by what the target answers, or another model in its place."""


@dataclass(frozen=True, slots=True, eq=False)
class ClaimShadows:
    """Stand-ins that saw rows or did not, ``include`` ``[k, n]`` of a pool."""

    stack: ModelStack
    include: Include


@dataclass(frozen=True, slots=True, eq=False)
class MembershipClaimSetup:
    """A pool of which one half, ``known`` ``[n]``, is the attacker's, and the other half judges.

    ``blind`` ``[n]`` is how much like a member each row looks to whom no model is known; ``unseen``
    are stand-ins of both kinds of rows, ``sided`` of training data alone.
    """

    pool: MembershipPool
    known: Mask
    blind: Floats
    unseen: ClaimShadows
    sided: ClaimShadows
    labels_only: bool

    @classmethod
    def of(cls, subject: Subject, rows: int) -> "MembershipClaimSetup | Gap":
        """Take up to ``rows`` rows of each kind, and train what stands in for the model."""
        pool = gather_pool(subject, rows)
        if isinstance(pool, Gap):
            return pool
        classes = len(get_class_names(subject.task))
        features = to_feature_matrix(pool.inputs)
        include = draw_halves(MODELS, len(features), np.random.default_rng([subject.seed, SALT]))
        both = train_stack(
            features, pool.labels, classes, include, KINDS[NETWORK_KIND],
            seed=subject.seed + SALT, progress=subject.progress,
        )  # fmt: skip
        known = np.zeros(len(pool.labels), dtype=np.bool_)
        for side in (pool.member, ~pool.member):
            known[np.flatnonzero(side)[::2]] = True
        return cls(
            pool,
            known,
            blind_scores(features, pool.labels, pool.member, subject.seed),
            ClaimShadows(both, include),
            ClaimShadows(*train_one_sided_models(subject, pool, classes, NETWORK_KIND)),
            subject.labels_only(DatasetRole.EVALUATION),
        )

    def hear(self, subject: Subject, tell: Tell) -> Evidence | None:
        """Let an attack tell of the judging half, by the target and by stand-ins; ``None`` where it
        tells nothing of the target.
        """
        judged = np.flatnonzero(~self.known)
        rows, labels = self.pool.inputs[judged], self.pool.labels[judged]
        told = tell(rows, labels, None)
        if told is None:
            return None
        found: dict[str, Item] = {
            "claimed": told[0],
            "scores": told[1].astype(np.float64),
            "member": self.pool.member[judged],
            "blind": self.blind[judged],
            "ids": np.asarray(self.pool.ids, dtype=np.str_)[judged],
        }
        for name, side in ((UNSEEN, self.unseen), (SIDED, self.sided)):
            said = [
                tell(rows, labels, _answer(subject, side.stack, at, labels_only=self.labels_only))
                for at in range(side.stack.models)
            ]
            kept = [at for at, one in enumerate(said) if one is not None]
            if kept:
                scores = [one[1] for one in said if one is not None]
                found[f"{name}_scores"] = np.stack(scores).astype(np.float64)
                found[f"{name}_saw"] = side.include[kept][:, judged]
        return found


def _answer(
    subject: Subject, stack: ModelStack, at: int, *, labels_only: bool
) -> Callable[[Array], Floats]:
    """Return how one stand-in answers, as the model does: with chances, or with decisions."""
    if labels_only:
        decide = build_stack_decider(subject, stack)
        return lambda rows: np.eye(stack.classes)[decide(rows)[at]]
    return lambda rows: stack.probabilities(to_feature_matrix(rows))[at].astype(np.float64)


def membership_claim_readings(
    evidence: Evidence, name: str, looks: int, confidence: float
) -> Iterator[Reading]:
    """Yield what an attack's claims are worth: ``looks`` attacks share the verdict's level."""
    finding = _finding(evidence, name, looks)
    scores, member = finding.scores, finding.member
    yield _measured(finding, auc(scores, member, confidence), AUC, {})
    claimed = cast("Mask", evidence["claimed"]).astype(np.bool_)
    hits, false = int(claimed[member].sum()), int(claimed[~member].sum())
    sizes = int(member.sum()), int((~member).sum())
    gap = share_difference((hits, sizes[0]), (false, sizes[1]), confidence)
    # What came of the rows that were called members
    called = hits + false
    told: dict[str, Json] = {
        "called_members": called,
        "that_are": hits,
        "judged_members": sizes[0],
        "judged_others": sizes[1],
    }
    if called:
        right = clopper_pearson(hits, called, confidence)
        told["precision"] = [right.value, right.low, right.high]
    yield _measured(finding, gap, ADVANTAGE, {"claims": told})
    for metric, (fpr, least) in RATES.items():
        if sizes[1] < least:
            yield replace(too_few_non_members_gap(metric, sizes[1], least), params=_params(finding))
        else:
            yield _measured(finding, tpr_at_fpr(scores, member, fpr, confidence), metric, {})
    yield Measurement(
        metric=VERDICT,
        value=finding.said.value,
        bound=BoundKind.AT_LEAST,
        method="fisher's and mann-whitney's tests at 0.001, bonferroni over attacks",
        n=len(member),
        params=_params(finding),
        repeat=Repeatability.INTERVAL,
        doubted=finding.doubted,
        astray=finding.astray,
        details={**finding.details(), "power": detectable_leaks(finding), "reason": finding.reason},
    )


def _params(finding: MembershipFinding) -> dict[str, Scalar]:
    return {"attack": finding.attack[0]}


def _measured(
    finding: MembershipFinding, interval: ConfidenceInterval, metric: str, more: Mapping[str, Json]
) -> Measurement:
    return Measurement.of(
        interval,
        metric,
        Unit.SHARE,
        bound=BoundKind.AT_LEAST,
        params=_params(finding),
        repeat=Repeatability.INTERVAL,
        doubted=finding.doubted,
        astray=finding.astray,
        details={**finding.details(), **more},
    )


def _finding(evidence: Evidence, name: str, looks: int) -> MembershipFinding:
    scores = cast("Floats", evidence["scores"])
    member = cast("Mask", evidence["member"]).astype(np.bool_)
    return MembershipFinding(
        (name, NETWORK_KIND),
        scores,
        member,
        rank_test(scores, member),
        apply_threshold(scores, member, FPR),
        attack_auc(scores, member),
        tail_advantage(scores, member),
        _gate(evidence, UNSEEN, member),
        _gate(evidence, SIDED, member),
        blind_auc(cast("Floats", evidence["blind"]), member),
        LEAK_LEVEL / (TESTS * looks),
    )


def _gate(evidence: Evidence, name: str, member: Mask) -> NegativeControl | None:
    if f"{name}_scores" not in evidence:
        return None
    scores = cast("Floats", evidence[f"{name}_scores"])
    saw = cast("Mask", evidence[f"{name}_saw"]).astype(np.bool_)
    return average_control(np.where(saw, np.nan, scores), member, taught_by_members=name == SIDED)


LEVELS = 10


@dataclass(frozen=True, slots=True, eq=False)
class AttributeClaimSetup:
    """Which columns are guessed, and of whom.

    Every other member, ``lent``, is known to the attacker; ``asked`` are the rest and all others.
    """

    taken: AttributeSplit
    secrets: tuple[SecretColumn, ...]
    classes: int

    @classmethod
    def of(cls, subject: Subject, rows: int, columns: int) -> "AttributeClaimSetup | Gap":
        """Take up to ``rows`` members and as many others, and up to ``columns`` secrets."""
        taken = split_attribute_rows(subject, rows)
        if isinstance(taken, Gap):
            return taken
        features = () if isinstance(subject.space, Gap) else subject.space.features
        dataset = subject.datasets[DatasetRole.EVALUATION]
        found = list_secret_columns(taken.known.numbers, features, dataset.features, LEVELS)
        asked = choose_secret_columns(found, features, tuple(dataset.groups), columns)
        if not asked:
            return no_secret_gap(LEVELS)
        return cls(taken, asked, len(get_class_names(subject.task)))

    @property
    def places(self) -> AttackCodes:
        """Where the rows that are asked about stand among all."""
        lent = np.flatnonzero(self.taken.members)[::2]
        return np.setdiff1d(np.arange(len(self.taken.members)), lent)

    @property
    def asked(self) -> AttributeInferenceRows:
        """Rows that are asked about."""
        return self.taken.asked.take(self.places)

    @property
    def lent(self) -> AttributeInferenceRows:
        """Members whom the attacker knows."""
        return self.taken.asked.take(np.flatnonzero(self.taken.members)[::2])

    def hear(self, guess: Callable[[SecretColumn], AttackCodes | None]) -> Evidence | None:
        """Let an attack guess each column, and an imputer too; ``None`` where it does not."""
        asked, places = self.asked, self.places
        attack, baseline = [], []
        for secret in self.secrets:
            said = guess(secret)
            if said is None:
                return None
            truth = secret.codes(asked.numbers)
            prior = impute_levels(secret, self.taken.known, asked, self.classes)
            attack.append(grade_guesses(said, truth))
            baseline.append(grade_guesses(prior.argmax(axis=1), truth))
        clusters = self.taken.clusters
        joined: dict[str, Item] = {} if clusters is None else {"clusters": clusters[places]}
        return {
            "attack": np.stack(attack),
            "baseline": np.stack(baseline),
            "members": self.taken.members[places],
            "ids": np.asarray(self.taken.ids, dtype=np.str_)[places],
            "columns": [{"name": it.name, "levels": len(it.levels)} for it in self.secrets],
            "known": {"known_rows": len(self.taken.known.labels), "copies": self.taken.copies},
            **joined,
        }


def attribute_claim_readings(
    evidence: Evidence, name: str, looks: int, level: float, confidence: float
) -> Iterator[Reading]:
    """Yield the gains of one attack's guesses; ``looks`` attacks share its verdict's level."""
    known = cast("Mapping[str, Json]", evidence["known"])
    names = [str(it["name"]) for it in cast("list[Mapping[str, Json]]", evidence["columns"])]
    told = dict(zip(names, read_attribute_outcomes(evidence), strict=True))
    family = AttributeTestFamily(len(told) * looks, level)
    for column, contest in told.items():
        params: dict[str, Scalar] = {"attack": name, "column": column}
        yield family.advantage(contest, params, confidence, known)
    yield family.conclusion(told, {"attack": name})


@dataclass(frozen=True, slots=True, eq=False)
class ExtractionClaimSetup:
    """What a thief may ask about, and the held-out rows on which his copy is judged.

    ``by_labels`` ``[n]`` is how a copy decides that true labels taught, where there are any.
    """

    taken: ExtractionSplit
    held: Array
    target: QueryPlaces
    ids: Array
    by_labels: QueryPlaces | None

    @classmethod
    def of(cls, subject: Subject, rows: int, most: int) -> "ExtractionClaimSetup | Gap":
        """Hold out up to ``rows`` rows; the thief has ``most`` others."""
        taken = split_extraction_rows(subject, rows, (most,))
        task = subject.task
        if isinstance(taken, Gap) or not isinstance(task, ClassificationTask):
            if isinstance(taken, Gap):
                return taken
            message = f"{METRICS[0]} is that of decisions, and the frame asks for a classification"
            raise TypeError(message)
        dataset = subject.datasets[DatasetRole.EVALUATION]
        held = np.asarray(dataset.inputs)[taken.held]
        asked = make_queries(
            taken.pool, len(taken.pool), (KNOCKOFF,), (), np.random.default_rng(subject.seed)
        )
        return cls(
            taken,
            held,
            subject.decisions(DatasetRole.EVALUATION)[taken.held].astype(np.int64),
            np.asarray(dataset.ids)[taken.held],
            None if taken.labels is None else _by_labels(subject, task, asked, taken.labels, held),
        )

    def hear(self, said: Floats, asked: int) -> Evidence:
        """Write down how a copy decides, by what it says ``[n, classes]`` of the held-out rows."""
        found: dict[str, Item] = {
            "target": self.target.astype(np.int16),
            "answers": said.argmax(axis=1)[None].astype(np.int16),
            "ids": self.ids.astype(np.str_),
            "cells": [{"strategy": KNOCKOFF, "queries": len(self.taken.pool)}],
            "about": {**self.taken.to_json(), "asked": asked},
            **self.taken.clusters,
        }
        if self.by_labels is not None:
            found["labels"] = self.by_labels[None].astype(np.int16)
        return found


def _by_labels(
    subject: Subject,
    task: ClassificationTask,
    asked: ExtractionQueries,
    labels: QueryPlaces,
    held: Array,
) -> QueryPlaces:
    include = np.ones((1, len(asked.rows)), dtype=np.bool_)
    targets = asked.labels(labels, len(task.classes))
    stack = train_copies(asked, targets, include, subject.seed, subject.progress)
    found: QueryPlaces = decide_copies(stack, held, task.decide)[0].astype(np.int64)
    return found


def extraction_claim_readings(
    evidence: Evidence, name: str, looks: int, level: float, confidence: float
) -> Iterator[Reading]:
    """Yield the fidelity of one attack's copy, and its gain over true labels."""
    (copy,) = read_copy_agreements(evidence)
    about = cast("dict[str, Json]", evidence["about"])
    details: dict[str, Json] = {
        "commonest_decision": majority_share(evidence),
        "natural_rows": about["pool"],
        "asked": about["asked"],
    }
    params: dict[str, Scalar] = {"attack": name, "queries": copy.queries}
    for reading in copy_readings(copy, confidence, looks, details):
        yield replace(reading, params=params)
    yield replace(extraction_verdict((copy,), level / looks), params={"attack": name})


BASELINES = 2


@dataclass(frozen=True, slots=True, eq=False)
class InversionClaimSetup:
    """Which classes are aimed at, ``[n]``, from rows drawn evenly in their ranges."""

    campaign: InversionCampaign
    taken: InversionSplit
    classes: int
    seed: int

    @classmethod
    def of(cls, subject: Subject, classes: int, starts: int) -> "InversionClaimSetup | Gap":
        """Aim ``starts`` times at each of up to ``classes`` classes."""
        taken = split_inversion_rows(subject)
        if isinstance(taken, Gap):
            return taken
        known = taken.classes(len(get_class_names(subject.task)))
        if not known.size:
            return NO_CLASSES
        rng = np.random.default_rng(subject.seed)
        aims = np.repeat(np.sort(rng.permutation(known)[:classes]), starts)
        campaign = InversionCampaign.of(subject, taken, aims, 1, (1 + BASELINES) * len(aims))
        return cls(campaign, taken, len(get_class_names(subject.task)), subject.seed)

    @property
    def starts(self) -> Array:
        """Rows ``[n, ...]`` from which an attack sets out."""
        ground, rng = self.campaign.victim.ground, np.random.default_rng([self.seed, 2])
        drawn = rng.random((len(self.campaign.victim.aims), len(ground.low)))
        return ground.settle(ground.low + drawn * ground.width)

    def hear(self, name: str, made: Floats) -> Evidence:
        """Judge rows ``[n, d]`` in the data's units, which are brought back to what it can hold."""
        campaign = self.campaign
        sightings = InversionObservations(campaign)
        for rows in (campaign.victim.ground.settle(made), *campaign.baselines()):
            sightings.add(rows)
        known = self.taken.attacker
        right = campaign.judge.hits(known.inputs, known.labels)
        return {
            **sightings.evidence(),
            "cells": [cell_to_json((name, NONE))],
            "about": {
                "seed": self.seed,
                "judge": [int(right.sum()), len(right)],
                "classes": self.classes,
                "members": bool(len(self.taken.members.labels)),
                "clustered": self.taken.clustered,
                "public_data": self.taken.public.value,
                "public_rows": len(known.labels),
            },
        }


def inversion_claim_readings(
    evidence: Evidence, name: str, rounds: int, level: float, confidence: float
) -> Iterator[Reading]:
    """Yield what one attack's rows gain, how near they lie to members, and the verdict."""
    found = InversionFindings.of(evidence, rounds, level)
    for reading in found.readings(confidence):
        yield replace(reading, params={"attack": name})
    verdict: Measurement = found.verdict()
    yield replace(verdict, params={"attack": name})


ROUNDS, CLAIM_LEVEL = 1999, 0.01
MEMBERSHIP, ATTRIBUTE, INVERSION, EXTRACTION = "membership", "attribute", "inversion", "extraction"
MAIN: Mapping[str, str] = {
    MEMBERSHIP: "auc",
    ATTRIBUTE: "advantage",
    INVERSION: "gain_over_baseline",
    EXTRACTION: "fidelity",
}
"""What is missing where an attack of a kind gives nothing."""


def _share(title: str) -> Metric:
    return Metric(title, Unit.SHARE, BoundKind.AT_LEAST, higher_is_better=False)


EMITS: Mapping[str, Metric] = {
    "auc": _share("AUC of the membership attack"),
    "tpr_at_fpr_0_01": _share("True-positive rate at a false-positive rate of 1 %"),
    "tpr_at_fpr_0_001": _share("True-positive rate at a false-positive rate of 0.1 %"),
    ADVANTAGE: _share("Members called members, minus non-members called members"),
    "advantage": _share(
        "Correct guesses of a member's column that only the model's memory explains"
    ),
    "fidelity": _share("Rows that a copy decides like the model"),
    "gain_over_labels": _share(
        "Fidelity gained from the model's answers, compared with true labels"
    ),
    "gain_over_baseline": _share(
        "Reconstructed rows that look like their class, minus public rows that do"
    ),
    "member_proximity": _share(
        "Members minus non-members among the rows nearest to reconstructed rows"
    ),
    "verdict": Metric("Leak detected", Unit.NONE, BoundKind.AT_LEAST, exact=True),
}


def privacy_claim_readings(evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
    """Return the figures of each attack, or why there are none.

    The evidence holds ``attack.told`` of each, with its family or an objection, and what was seen
    under ``attack.name``. Attacks of one family share the level of their verdicts.
    """
    about = cast("Mapping[str, Json]", evidence["about"])
    names = cast("list[str]", about["attacks"])
    told = {name: cast("Mapping[str, Json]", evidence[f"{name}.told"]) for name in names}
    found: list[Reading] = []
    for name in names:
        family = str(told[name]["family"])
        if "objection" in told[name]:
            said = cast("Mapping[str, Json]", told[name]["objection"])
            found.append(read_gap(said, MAIN.get(family, "verdict"), {"attack": name}))
            continue
        looks = sum(it["family"] == family and "objection" not in it for it in told.values())
        start = f"{name}."
        own = {key[len(start) :]: it for key, it in evidence.items() if key.startswith(start)}
        found += _READ[family](own, name, looks, confidence)
    return tuple(found) or (NONE_ASKED,)


_READ: Mapping[str, Callable[[Evidence, str, int, float], Iterable[Reading]]] = {
    MEMBERSHIP: membership_claim_readings,
    ATTRIBUTE: lambda own, name, looks, confidence: attribute_claim_readings(
        own, name, looks, CLAIM_LEVEL, confidence
    ),
    INVERSION: lambda own, name, looks, confidence: inversion_claim_readings(
        own, name, ROUNDS, CLAIM_LEVEL / looks, confidence
    ),
    EXTRACTION: lambda own, name, looks, confidence: extraction_claim_readings(
        own, name, looks, CLAIM_LEVEL, confidence
    ),
}
NONE_ASKED = Gap(
    reason=GapReason.OVER_BUDGET,
    detail="No attack of the Adversarial Robustness Toolbox is asked for at this budget.",
    cure="Name some in the policy, checks: {privacy.art: {attacks: [KnockoffNets]}}.",
)
