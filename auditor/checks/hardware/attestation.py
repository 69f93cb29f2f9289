"""Attestation of chip, runtime and precision by labels of inputs at the decision boundary."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.hardware.fingerprint_inputs import (
    ChallengeResponse,
    Labels,
    build_challenges,
    commit_nonce,
    count_reference_queries,
    majority_labels,
    read_response,
)
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, GapReason, Reading, Unit
from auditor.metrics.performance.paired_comparison import share_reading
from auditor.metrics.stats.proportions import clopper_pearson

ALIKE = 0.99
NAMELESS = re.compile(r"[0-9a-f]{16}\.[A-Za-z0-9_-]+=*")
CANNOT_TELL: tuple[str, ...] = (
    "how many threads run, and how many rows a request has",
    "machines whose processors have the same instruction sets",
    "versions of a runtime that share their kernels",
    "graph optimisation `none`, `basic` and often `extended`: the kernels stay the same",
    "an engine and the same engine behind another runtime, as openvino and its provider",
    "of a quantised artifact, whatever computes whole numbers exactly, in any order",
)
"""Measured: between these, labels at the border agree."""


@dataclass(frozen=True, slots=True)
class AttestationCheck(Check):
    """Identifies the target by its labels for inputs that lie so near the reference's decision
    border that rounding decides them.

    The labels are the target's signature: other instruction sets, runtimes, precisions and graph
    optimisations give other labels. Write the signature of a known target under ``recorded``, as
    ``name=signature``, and later audits measure how far their labels agree with it.

    Recorded answers can be replayed. ``nonce``, a secret of your audit alone, gives new challenges.
    Its SHA-256 is its commitment; a nonce with a commitment among ``spent`` proves no freshness.
    """

    inputs: int = 512
    repeats: int = 3
    recorded: tuple[str, ...] = ()
    nonce: str = ""
    spent: tuple[str, ...] = ()

    id: ClassVar[str] = "hardware.attestation"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Labels that identify the target"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.ARTIFACT, Need.MODEL, Need.EVALUATION, Need.CLASSIFICATION}
    )
    attacks_model: ClassVar[bool] = True
    emits: ClassVar[Mapping[str, Metric]] = {
        "label_agreement": Metric(
            "Border inputs with the same decision as on the reference", Unit.SHARE
        ),
        "repeat_agreement": Metric(
            "Border inputs with the same decision each time", Unit.SHARE, higher_is_better=True
        ),
        "recorded_agreement": Metric(
            "Border inputs with the same decision as in a recorded signature",
            Unit.SHARE,
            higher_is_better=True,
        ),
        "fresh_agreement": Metric(
            "New challenges with the same decision as on the reference",
            Unit.SHARE,
            higher_is_better=True,
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("iso-42001", "A.6.2.6"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"inputs": 128, "repeats": 2},
        Budget.CI: {"inputs": 512, "repeats": 3},
        Budget.FULL: {"inputs": 1024, "repeats": 5},
    }
    about: ClassVar[str] = (
        "The check made inputs so close to the border between two classes that rounding decides "
        "them. Their labels distinguish chips and runtimes, even behind an endpoint that returns "
        "labels alone."
    )
    cures: ClassVar[tuple[str, ...]] = (
        (
            "Ask the operator of the target about changes, and record its labels again once the "
            "cause is known."
        ),
    )

    def __post_init__(self) -> None:
        """Refuse two signatures under one name: only one of them would be compared."""
        names = [_named(entry)[0] for entry in self.recorded]
        if len(set(names)) < len(names):
            message = f"recorded has {len(names)} signatures under {len(set(names))} names"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Say what observing will spend at most; the reference is asked far more."""
        made = 1 + bool(self.nonce)
        return CheckCost(
            queries=self.inputs * (self.repeats + bool(self.nonce)),
            reference=made * count_reference_queries(self.inputs, size.rows),
        )

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Say the half width where all labels agree."""
        best = clopper_pearson(max(self.inputs, 1), max(self.inputs, 1), confidence)
        return dict.fromkeys(self.emits, (best.high - best.low) / 2)

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Return what reference and target say at the border, and of fresh challenges."""
        made = build_challenges(subject, self.inputs, subject.seed)
        if isinstance(made, Gap):
            return {"gap": made.to_json()}
        told = [made.ask(subject) for _ in range(max(1, self.repeats))]
        seen: dict[str, NDArray[np.generic] | Json] = {
            "expected": made.expected,
            "labels": np.stack(told),
            "about": dict(made.about),
        }
        if self.nonce:
            secret = int(hashlib.sha256(f"{subject.seed}\n{self.nonce}".encode()).hexdigest(), 16)
            fresh = build_challenges(subject, self.inputs, secret)
            if isinstance(fresh, Gap):
                return {"gap": fresh.to_json()}
            seen |= {"fresh_expected": fresh.expected, "fresh_labels": fresh.ask(subject)}
        return seen

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compute the shares of labels that agree."""
        if "gap" in evidence:
            return (read_gap(evidence["gap"]),)
        about = cast("Mapping[str, Json]", evidence["about"])
        expected, told = (cast("Labels", evidence[name]) for name in ("expected", "labels"))
        signature = ChallengeResponse(str(about["inputs_digest"]), majority_labels(told))
        details: dict[str, Json] = {
            **about,
            "signature": signature.written(),
            "cannot_tell": list(CANNOT_TELL),
        }
        stable = (told == told[0]).all(axis=0)
        return (
            share_reading(
                "label_agreement", signature.labels == expected, confidence, details=details
            ),
            share_reading("repeat_agreement", stable, confidence, details={"repeats": len(told)}),
            *self._recorded(signature, confidence),
            self._fresh(evidence, confidence),
        )

    def _recorded(self, found: ChallengeResponse, confidence: float) -> list[Reading]:
        if not self.recorded:
            return [_absent("recorded_agreement", "No signature is recorded.", NOTHING_RECORDED)]
        known = {name: read_response(text) for name, text in map(_named, self.recorded)}
        readings: list[Reading] = []
        for name, kept in known.items():
            alike = None if kept is None else found.same(kept)
            if alike is None:
                readings.append(_other_inputs(name))
                continue
            twins = [other for other, its in known.items() if other != name and _near(its, kept)]
            readings.append(
                share_reading(
                    "recorded_agreement",
                    alike,
                    confidence,
                    params={"recorded": name},
                    details={"not_told_from": twins},
                )
            )
        return readings

    def _fresh(self, evidence: Evidence, confidence: float) -> Reading:
        if not self.nonce:
            return _absent(
                "fresh_agreement",
                "The challenges follow from the audit's seed, so that answers may be replayed.",
                "Set `nonce` of hardware.attestation to a secret that no audit had before.",
            )
        committed = commit_nonce(self.nonce)
        if committed in self.spent:
            return _absent(
                "fresh_agreement",
                f"The nonce of {committed} was spent before: its challenges are known.",
                "Set a `nonce` that no audit had before.",
            )
        names = ("fresh_expected", "fresh_labels")
        expected, told = (cast("Labels", evidence[name]) for name in names)
        return share_reading(
            "fresh_agreement", told == expected, confidence, details={"commitment": committed}
        )


NOTHING_RECORDED = (
    "Take `signature` from the details of label_agreement of a trusted audit, and set `recorded` "
    "of hardware.attestation to [name=signature]."
)


def _named(entry: str) -> tuple[str, str]:
    name, found, text = entry.partition("=")
    # The sign may also be the end of a signature without a name.
    nameless = not found or NAMELESS.fullmatch(entry) is not None
    return ("recorded", entry) if nameless else (name, text)


def _near(one: ChallengeResponse | None, other: ChallengeResponse | None) -> bool:
    alike = None if one is None or other is None else one.same(other)
    return alike is not None and bool(alike.mean() >= ALIKE)


def _other_inputs(name: str) -> Gap:
    return Gap(
        reason=GapReason.OTHER_PARAMETERS,
        detail=f"The signature {name!r} was taken with other inputs: the data, the seed, `inputs` "
        "or the machine that runs the reference differ.",
        cure="Audit with the data, seed and reference of the record, or record a new signature.",
        metric="recorded_agreement",
        params={"recorded": name},
    )


def _absent(metric: str, detail: str, cure: str) -> Gap:
    return Gap(reason=GapReason.NOT_DEFINED, detail=detail, cure=cure, metric=metric)


CHECK: type[Check] = AttestationCheck
