"""Readings of a scan of training rows for poison, from the stored scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.poisoning.training_scan import LOOKS, METHODS, Chosen, Codes, SuspicionScores
from auditor.domain.evidence import Evidence, explain_dependence
from auditor.domain.gaps import NOT_SEEN, OPEN, SHOWN, VERDICT, read_gap
from auditor.domain.json import Json
from auditor.domain.readings import (
    BiasDirection,
    BoundKind,
    ConfidenceInterval,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Unit,
)
from auditor.domain.row_evidence import RowEvidence
from auditor.domain.tasks import Floats
from auditor.metrics.stats.proportions import clopper_pearson

SHARE, PRECISION = "suspect_share", "expected_precision"
JOINT = "joint"
DIFFERS = (
    "the training rows as a whole are stranger than the trusted ones: another population, or "
    "poison in a fifth of them or more"
)
ALIKE_IN_CLUSTERS = explain_dependence("the test")
PLANTED = "_planted"
SCANNED = RowEvidence(
    each=frozenset({"ids", "labels", "suggested"}), apart=frozenset({"about", "gap"})
)
"""Scores run over trusted rows too, and are withheld whole."""


@dataclass(frozen=True, slots=True)
class ScanCriteria:
    """When anything is shown (``level``), how false a list may be, and how long it is."""

    level: float
    false_share: float
    listed: int


@dataclass(frozen=True, slots=True, eq=False)
class TrainingScanResult:
    """The scores of each method that had any, with what is said of the rows."""

    found: Mapping[str, SuspicionScores]
    ids: NDArray[np.str_]
    labels: Codes
    suggested: Codes
    about: Mapping[str, Json]
    terms: ScanCriteria

    @classmethod
    def of(cls, evidence: Evidence, terms: ScanCriteria) -> "TrainingScanResult":
        """Read the scan back."""
        ids = cast("NDArray[np.str_]", evidence["ids"])
        found = {}
        for name in (method for method in METHODS if method in evidence):
            scores = cast("Floats", evidence[name]).astype(np.float64)
            planted = cast("Floats", evidence.get(name + PLANTED, np.empty(0)))
            found[name] = SuspicionScores(
                scores[: len(ids)], scores[len(ids) :], planted.astype(np.float64)
            )
        labels, suggested = (cast("Codes", evidence[name]) for name in ("labels", "suggested"))
        about = cast("Mapping[str, Json]", evidence["about"])
        return cls(found, ids, labels, suggested, about, terms)

    def readings(self, confidence: float) -> tuple[Reading, ...]:
        """Return the shares and precisions of each method and of all, and the verdict."""
        gaps = cast("Mapping[str, Json]", self.about["gaps"])
        said: list[Reading] = []
        named: dict[str, Chosen] = {}
        for name in METHODS:
            if name not in self.found:
                said += [
                    read_gap(gaps[name], metric, {"method": name}) for metric in (SHARE, PRECISION)
                ]
                continue
            named[name] = self._named(name)
            said += self._method(name, named[name], confidence)
        return (*said, *self._joint(named, confidence), self._verdict())

    def p_value(self, method: str) -> float:
        """Return a method's p-value, as if no other had been tried."""
        return self.found[method].p_value()

    def _shown(self, name: str) -> bool:
        return self.p_value(name) <= self.terms.level / len(self.found)

    def _named(self, name: str) -> Chosen:
        """Return the rows that a method names: none unless something is shown."""
        found = self.found[name]
        if not self._shown(name):
            return np.zeros(len(self.ids), dtype=np.bool_)
        return found.named(self.terms.false_share)

    def _method(self, name: str, named: Chosen, confidence: float) -> list[Reading]:
        found = self.found[name]
        details: dict[str, Json] = {
            "p_value": self.p_value(name),
            "least_share": self._least(name),
            **self._list(named, [name]),
            **self._doubt([name]),
        }
        share = clopper_pearson(int(named.sum()), int(found.scored.sum()), confidence)
        if not named.any():
            return [self._share(share, name, details), _none_named(name)]
        precision = found.precision(named, confidence)
        return [self._share(share, name, details), self._precision(precision, name, details)]

    def _joint(self, named: Mapping[str, Chosen], confidence: float) -> list[Reading]:
        """Return what any method names; expected false ones add up."""
        everyone = np.any(list(named.values()), axis=0)
        scored = np.any([found.scored for found in self.found.values()], axis=0)
        told = [name for name in named if named[name].any()]
        details: dict[str, Json] = {**self._list(everyone, told), **self._doubt(list(self.found))}
        share = clopper_pearson(int(everyone.sum()), int(scored.sum()), confidence)
        if not told:
            return [self._share(share, JOINT, details), _none_named(JOINT)]
        level = 1 - (1 - confidence) / len(told)
        parts = [
            (named[name].sum(), self.found[name].precision(named[name], level)) for name in told
        ]
        value, low, high = (
            float(max(0, 1 - sum(k * (1 - getattr(p, end)) for k, p in parts) / everyone.sum()))
            for end in ("value", "low", "high")
        )
        method, n = parts[0][1].method, parts[0][1].n
        precision = ConfidenceInterval(value, low, high, confidence, method, n)
        return [self._share(share, JOINT, details), self._precision(precision, JOINT, details)]

    def _share(
        self, share: ConfidenceInterval, method: str, details: dict[str, Json]
    ) -> Measurement:
        """Where rows are clustered nothing is shown, and the share may as well be none."""
        known = replace(share, low=0.0) if self._clustered else share
        return _measured(known, SHARE, method, details)

    def _precision(
        self, precision: ConfidenceInterval, method: str, details: dict[str, Json]
    ) -> Measurement:
        return _measured(precision, PRECISION, method, details)

    def _verdict(self) -> Measurement:
        sure = [name for name in self.found if not self.found[name].differs()]
        shown = [name for name in sure if self._shown(name) and not self._clustered]
        least = [share for name in self.found if (share := self._least(name)) is not None]
        reasons = [DIFFERS] * (len(sure) < len(self.found)) + [ALIKE_IN_CLUSTERS] * self._clustered
        verdict = SHOWN if shown else OPEN if reasons else NOT_SEEN
        details: dict[str, Json] = {
            "level": self.terms.level,
            "shown_by": cast("Json", shown),
            "p_values": {name: self.p_value(name) for name in self.found},
            "power": {
                "least_share": min(least, default=None),
                "trusted_rows": max(found.known.size for found in self.found.values()),
            },
            "not_scanned": self.about["not_scanned"],
            **({"reason": "; ".join(reasons)} if verdict == OPEN else {}),
        }
        return Measurement(
            metric=VERDICT,
            bound=BoundKind.AT_LEAST,
            value=verdict,
            method="fisher's exact test and conformal p-values, bonferroni",
            n=len(self.ids),
            details=details,
        )

    @property
    def _clustered(self) -> bool:
        return bool(self.about["clustered"])

    def _least(self, name: str) -> float | None:
        return self.found[name].least_share(self.terms.level / LOOKS / len(self.found))

    def _doubt(self, methods: Sequence[str]) -> dict[str, Json]:
        doubts = [DIFFERS] if any(self.found[name].differs() for name in methods) else []
        doubts += [explain_dependence()] if self._clustered else []
        return {"doubt": "; ".join(doubts)} if doubts else {}

    def _list(self, named: Chosen, methods: Sequence[str]) -> dict[str, Json]:
        """Name the rows that are the strangest to any of the methods first."""
        classes = cast("Sequence[str]", self.about["classes"])
        best = np.ones(len(self.ids))
        for name in methods:
            best = np.where(named, np.minimum(best, self.found[name].chances()), best)
        order = np.argsort(np.where(named, best, 2.0), kind="stable")
        worst = order[: min(self.terms.listed, int(named.sum()))]
        suspects: list[Json] = [
            {
                "id": str(self.ids[row]),
                "label": classes[self.labels[row]],
                "suggested": classes[self.suggested[row]],
            }
            for row in worst
        ]
        return {
            "k": int(named.sum()),
            "false_share": self.terms.false_share,
            "suspects": suspects,
            "worst_rows": [str(self.ids[row]) for row in worst],
        }


def _measured(
    interval: ConfidenceInterval, metric: str, method: str, details: dict[str, Json]
) -> Measurement:
    # Strange rows that are no poison are named too; how many of them were not is then unknown
    return Measurement.of(
        interval,
        metric,
        Unit.SHARE,
        bound=BoundKind.AT_LEAST,
        params={"method": method},
        doubted="doubt" in details,
        astray=(BiasDirection.TOO_HIGH if metric == SHARE else BiasDirection.EITHER)
        if DIFFERS in str(details.get("doubt"))
        else None,
        details=details,
    )


def _none_named(method: str) -> Gap:
    return Gap(
        reason=GapReason.NOT_DEFINED,
        detail="No training row is named, so that there is no share of right names.",
        cure="Nothing needs to be done; more trusted rows show smaller shares of poison.",
        metric=PRECISION,
        params={"method": method},
    )
