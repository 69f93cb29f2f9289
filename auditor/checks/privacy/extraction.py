"""How faithful a copy of the model anybody makes who may ask it a number of questions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np

from auditor.attacks.privacy.model_extraction import (
    METRICS,
    STRATEGIES,
    ExtractionPlan,
    ExtractionQueries,
    ExtractionSplit,
    copy_readings,
    decide_copies,
    extraction_verdict,
    majority_share,
    make_queries,
    query_count_gap,
    read_copy_agreements,
    split_extraction_rows,
    train_copies,
)
from auditor.attacks.privacy.score_temperature import build_score_reader
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, Reading, Scalar, Unit
from auditor.domain.subjects import CheckShard, Subject
from auditor.domain.tasks import ClassificationTask, Floats
from auditor.metrics.stats.proportions import clopper_pearson

SECONDS_A_LESSON = 8e-5


@dataclass(frozen=True, slots=True)
class ModelExtractionCheck:
    """Teaches stand-ins by the target's answers to ever more ``queries``, and counts on how many
    held-out rows each decides as the target does.

    Queries are natural rows (``knockoff``), or natural rows and mixtures of two in turn
    (``mixup``): of the reference data, or else of one half of the evaluation data. Judged are up to
    ``rows`` evaluation rows that no query was made of. The stand-in is a small network of one
    hidden layer, so that ``fidelity`` is a bound: an attacker with a better one copies more.
    ``gain_over_labels`` is the fidelity less that of the same network taught by true labels, mixed
    as rows are, which needs no model to ask: of as many queries or fewer, the most faithful one,
    or the guess of the commonest label where that is better.
    ``verdict`` is ``shown`` where some such gain is above 0 at ``level``, corrected for all of
    them. Evidence holds decisions, not rows.
    """

    queries: tuple[int, ...] = (100, 400, 1000)
    strategies: tuple[str, ...] = STRATEGIES
    rows: int = 2000
    level: float = 0.01

    id: ClassVar[str] = "privacy.extraction"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "How faithfully the model can be copied by asking it"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MODEL, Need.EVALUATION, Need.CLASSIFICATION})
    wants: ClassVar[frozenset[Need]] = frozenset({Need.LABELS, Need.REFERENCE, Need.SPACE})
    uses: ClassVar[tuple[str, ...]] = ()
    emits: ClassVar[Mapping[str, Metric]] = {
        "fidelity": Metric(
            "Rows on which a copy decides as the model does", Unit.SHARE, BoundKind.AT_LEAST,
            higher_is_better=False,
        ),
        "gain_over_labels": Metric(
            "Fidelity that the model's answers gave beyond true labels", Unit.SHARE,
            BoundKind.AT_LEAST, higher_is_better=False,
        ),
        "verdict": Metric(
            "Whether answers make a better copy", Unit.NONE, BoundKind.AT_LEAST, exact=True
        ),
    }  # fmt: skip
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("iso-42001", "A.6.2.4"),
        FrameworkControl("mitre-atlas", "AML.T0024.002"),
        FrameworkControl("owasp-ml", "ML05"),
        FrameworkControl("nist-ai-100-2", "NISTAML.031"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"queries": (100, 200), "rows": 1000},
        Budget.CI: {},
        Budget.FULL: {"queries": (100, 400, 1000, 3000, 10_000), "rows": 10_000},
    }
    grid: ClassVar[Mapping[str, str]] = {"queries": "queries", "strategy": "strategies"}

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        known = set(self.strategies) <= set(STRATEGIES) and bool(self.strategies)
        if not known or not self.queries or min(*self.queries, self.rows) < 1:
            message = f"queries and rows are at least 1, and strategies among {STRATEGIES}"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Return what is asked, and about what teaching takes."""
        most = max(self.queries)
        lessons = most * len(self.queries) * len(self.strategies) * 2 * 30
        asked = min(self.rows, size.rows) + 2 * most
        return CheckCost(queries=asked, seconds=0.5 + SECONDS_A_LESSON * lessons / 10)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half width where nine rows in ten are decided alike."""
        beside = DatasetRole.REFERENCE.value in size.beside
        rows = min(self.rows, size.rows if beside else size.rows // 2)
        if rows < 1:
            return {}
        found = clopper_pearson(rows - rows // 10, rows, confidence)
        return {"fidelity": (found.high - found.low) / 2}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Ask, teach, and keep what target and stand-ins decide of the held-out rows."""
        taken = split_extraction_rows(subject, self.rows, self.queries)
        if isinstance(taken, Gap):
            return {"gap": write_gap(taken)}
        features = () if isinstance(subject.space, Gap) else subject.space.features
        rng = np.random.default_rng(subject.seed)
        asked = make_queries(taken.pool, taken.most, self.strategies, features, rng)
        plan = ExtractionPlan.of(asked, self.strategies, sorted(set(self.queries)))
        if not plan.cells:
            least = min(self.queries)
            return {"gap": write_gap(query_count_gap(least, taken.room, self.strategies[0]))}
        dataset, include = subject.datasets[DatasetRole.EVALUATION], plan.include(asked)
        held = np.asarray(dataset.inputs)[taken.held]
        task, told = _told(subject, taken, asked)
        found = {
            name: decide_copies(
                train_copies(asked, targets, include, subject.seed, subject.progress),
                held,
                task.decide,
            )
            for name, targets in told.items()
        }
        return {
            **found,
            "target": subject.decisions(DatasetRole.EVALUATION)[taken.held].astype(np.int16),
            "ids": np.asarray(dataset.ids)[taken.held],
            "cells": plan.to_json(),
            "about": taken.to_json(),
            **taken.clusters,
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count agreement again; the verdict is at the check's own level."""
        if "gap" in evidence:
            return (read_gap(evidence["gap"]),)
        about = cast("Mapping[str, int]", evidence["about"])
        cells = [(name, count) for name in self.strategies for count in sorted(set(self.queries))]
        seen = {(it.strategy, it.queries): it for it in read_copy_agreements(evidence)}
        there = {cell: seen[cell] for cell in cells if cell in seen}
        found: list[Reading] = []
        for name, count in cells:
            copy = there.get((name, count))
            if copy is None:
                gap = query_count_gap(count, about["room"], name)
                params: dict[str, Scalar] = {"strategy": name, "queries": count}
                found += [replace(gap, metric=it, params=params) for it in METRICS]
            else:
                guess = {
                    "commonest_decision": majority_share(evidence),
                    "natural_rows": about["pool"],
                }
                found += copy_readings(copy, confidence, len(there), guess)
        return (*found, extraction_verdict(tuple(there.values()), self.level))


def _told(
    subject: Subject, taken: ExtractionSplit, asked: ExtractionQueries
) -> tuple[ClassificationTask, Mapping[str, Floats]]:
    """Return the task, what the target answers, and what labels say, if there are any."""
    task, model = subject.task, subject.model
    if isinstance(model, Gap) or not isinstance(task, ClassificationTask):
        message = "a copy needs a model that decides, and the frame asks for one"
        raise TypeError(message)
    reader = build_score_reader(subject, softens=False)
    told = {"answers": asked.ask(lambda rows: reader(model.predict(rows)))}
    if taken.labels is not None:
        told["labels"] = asked.labels(taken.labels, len(task.classes))
    return task, told


CHECK: type[Check] = ModelExtractionCheck
