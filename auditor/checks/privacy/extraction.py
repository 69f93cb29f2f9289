"""Check of model extraction: how faithful a copy can be made by a number of queries."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np

from auditor.attacks.privacy.logit_recovery import build_score_reader
from auditor.attacks.privacy.model_extraction import (
    METRICS,
    STRATEGIES,
    ExtractionPlan,
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
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.number_text import format_scalar
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, Measurement, Reading, Scalar, Unit
from auditor.domain.report_blocks import BlockPlace, Reads, ReportBlock, ReportSection
from auditor.domain.report_panels import (
    BlockPanel,
    IntervalChart,
    IntervalRow,
    format_detail_share,
    format_figure_cells,
    interval_ends,
)
from auditor.domain.tasks import ClassificationTask
from auditor.metrics.stats.proportions import clopper_pearson

SECONDS_A_LESSON = 8e-5
COPIES = (
    "Share of held-out rows on which a copy decides like the model. Dots are copies "
    "trained on the model's answers, squares the best copy trained on the true labels "
    "of as many rows. A better attacker can copy more."
)
MOST_COPIES = 12


@dataclass(frozen=True, slots=True)
class ModelExtractionCheck(Check):
    """Measures how faithfully an attacker can copy your model by querying it.

    Stand-ins learn the target's answers to an increasing number of ``queries``. ``fidelity`` is the
    share of held-out rows on which a stand-in decides as the target. Queries are natural rows
    (``knockoff``), or natural rows and mixtures of two in turn (``mixup``), from the reference data
    or else from one half of the evaluation data. Up to ``rows`` evaluation rows that no query used
    are judged. The stand-in is a small network with one hidden layer, so ``fidelity`` is a bound: a
    better one copies more.

    ``gain_over_labels`` is the fidelity minus that of a baseline that needs no model. The baseline
    is the same network trained on true labels, mixed as rows are, of as many queries or fewer: the
    most faithful one, or the guess of the most common label if that is better. ``verdict`` is
    ``shown`` if some such gain is above 0 at ``level``, corrected for all of them. Evidence holds
    decisions, not rows.
    """

    queries: tuple[int, ...] = (100, 400, 1000)
    strategies: tuple[str, ...] = STRATEGIES
    rows: int = 2000
    level: float = 0.01

    id: ClassVar[str] = "privacy.extraction"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Model extraction by queries"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MODEL, Need.EVALUATION, Need.CLASSIFICATION})
    wants: ClassVar[frozenset[Need]] = frozenset({Need.LABELS, Need.REFERENCE, Need.SPACE})
    emits: ClassVar[Mapping[str, Metric]] = {
        "fidelity": Metric(
            "Rows that a copy decides like the model", Unit.SHARE, BoundKind.AT_LEAST,
            higher_is_better=False,
        ),
        "gain_over_labels": Metric(
            "Fidelity gained from the model's answers, compared with true labels", Unit.SHARE,
            BoundKind.AT_LEAST, higher_is_better=False,
        ),
        "verdict": Metric(
            "Extraction detected", Unit.NONE, BoundKind.AT_LEAST, exact=True
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
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.GIVEN_AWAY, 4)

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
        # The task, what the target answers, and what labels say, if there are any
        task, model = subject.task, subject.model
        if isinstance(model, Gap) or not isinstance(task, ClassificationTask):
            message = "a copy needs a model that decides, and the frame asks for one"
            raise TypeError(message)
        reader = build_score_reader(subject, softens=False)
        told = {"answers": asked.ask(lambda rows: reader(model.predict(rows)))}
        if taken.labels is not None:
            told["labels"] = asked.labels(taken.labels, len(task.classes))
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

    @classmethod
    def block(cls, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show how faithful copies are, by growing numbers of queries."""
        found = [m for m in measurements if m.metric == "fidelity" and interval_ends(m) is not None]
        found.sort(key=lambda m: (str(m.params.get("strategy")), _queries(m)))
        if not found:
            return ReportBlock()
        rows = [row for m in found[:MOST_COPIES] for row in _copies(m)]
        panel = BlockPanel(
            title="Fidelity of the copies",
            caption=COPIES,
            chart=IntervalChart(tuple(rows), Unit.SHARE),
            header=("Queries", "Fidelity", "Interval", "How sure", "Trained on labels"),
            rows=tuple(
                (_asked(m), *format_figure_cells(m), format_detail_share(m, "taught_by_labels"))
                for m in found
            ),
        )
        return ReportBlock(parts=(panel,))


def _copies(m: Measurement) -> Iterator[IntervalRow]:
    """Yield what answers teach, and beside it what labels do."""
    yield IntervalRow(_asked(m), *(interval_ends(m) or (0.0, 0.0, 0.0)), 0, m.doubted)
    labels = m.details.get("taught_by_labels")
    if isinstance(labels, int | float):
        yield IntervalRow("", labels, labels, labels, 1)


def _queries(m: Measurement) -> float:
    asked = m.params.get("queries")
    return float(asked) if isinstance(asked, int | float) else 0.0


def _asked(m: Measurement) -> str:
    return f"{format_scalar(_queries(m))} by {m.params.get('strategy', '')}"


CHECK: type[Check] = ModelExtractionCheck
