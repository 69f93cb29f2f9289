"""Check of attribute inference: whether the model reveals a column of training rows."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.privacy.attribute_inference import (
    AttributeGuesses,
    AttributeSplit,
    AttributeTestFamily,
    ScoreOracle,
    SecretColumn,
    choose_secret_columns,
    guess_attribute,
    list_secret_columns,
    no_secret_gap,
    read_attribute_outcomes,
    split_attribute_rows,
    unread_group_gap,
)
from auditor.attacks.privacy.logit_recovery import ScoreReader
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.models import Model
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, Measurement, Reading, Unit
from auditor.domain.report_blocks import BlockPlace, Reads, ReportBlock, ReportSection
from auditor.domain.report_panels import (
    build_interval_panels,
    format_detail_share,
    format_figure_cells,
)
from auditor.domain.row_evidence import RowEvidence
from auditor.domain.tasks import Array, Floats, get_class_names
from auditor.metrics.stats.means import paired_difference

SECONDS_A_GUESS = 2e-5
CERTAIN_FLOOR, LABELS_FLOOR = 1e-6, 0.05
"""The least chance of a label that an attacker believes: of a model that gives labels alone, that
it errs once in twenty."""
COLUMNS = (
    "How much more often the attack guesses a member's level than an imputer that "
    "never sees the model, minus the same for non-members. 0 is no leak; intervals "
    "hold jointly. Each figure is a lower bound: an attacker who knows more can find "
    "more."
)


@dataclass(frozen=True, slots=True)
class AttributeInferenceCheck(Check):
    """Tests whether an attacker can guess a column of your training data's members from the model's
    answers.

    The attack covers up to ``rows`` members and as many others. The attacker knows each row's label
    and other columns, and queries the model with each level of the column. Up to ``columns``
    columns of two to ``levels`` levels that the model reads are attacked: declared groups first,
    then immutable columns, then all others. A one-hot group is one column.

    The attacker chooses the level with the greatest product of the model's probability for the true
    label and an imputer's probability for the level. The imputer is a logistic regression on rows
    outside the training data: the reference data, or one half of the evaluation data.

    ``advantage`` is the smaller of two gains: the gain of the attack over the imputer alone on the
    same members, and that gain minus the gain on others. General knowledge of the model counts in
    the first alone, and a difference between the two samples in neither. It is a bound: other
    attackers may know more.

    ``verdict`` is ``shown`` if the gain of some column is above 0 at ``level``, corrected for all
    columns. If the imputer alone does better on one of the two samples, they differ, and figures
    are doubted. Evaluation rows that are also in the training data are left out. Evidence holds
    which guesses were right, not the guesses.
    """

    rows: int = 2000
    columns: int = 6
    levels: int = 10
    level: float = 0.01

    id: ClassVar[str] = "privacy.attribute"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Attribute inference about training rows"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.MODEL, Need.EVALUATION, Need.LABELS, Need.CLASSIFICATION, Need.TRAINING}
    )
    wants: ClassVar[frozenset[Need]] = frozenset({Need.REFERENCE, Need.SPACE, Need.GROUPS})
    coordinates: ClassVar[frozenset[str]] = frozenset({"column"})
    emits: ClassVar[Mapping[str, Metric]] = {
        "advantage": Metric(
            "Correct guesses of a member's column that only the model's memory explains",
            Unit.SHARE, BoundKind.AT_LEAST, higher_is_better=False,
        ),
        "verdict": Metric(
            "Attribute leak detected", Unit.NONE, BoundKind.AT_LEAST, exact=True
        ),
    }  # fmt: skip
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.10"),
        FrameworkControl("iso-42001", "A.6.2.4"),
        FrameworkControl("mitre-atlas", "AML.T0024.001"),
        FrameworkControl("owasp-ml", "ML03"),
        FrameworkControl("nist-ai-100-2", "NISTAML.03"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"rows": 500, "columns": 3},
        Budget.CI: {},
        Budget.FULL: {"rows": 10_000, "columns": 20},
    }
    by_row: ClassVar[RowEvidence] = RowEvidence(
        each=frozenset({"clusters", "ids", "members"}), apart=frozenset({"about", "columns", "gap"})
    )
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.GIVEN_AWAY, 3)

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if min(self.rows, self.columns) < 1 or self.levels <= 1 or not 0 < self.level < 1:
            message = "rows and columns are at least 1, levels at least 2, and level within 0..1"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Return an upper bound: each row with each level of each column."""
        members = min(self.rows, size.beside.get(DatasetRole.TRAINING.value, 0))
        asked = (members + min(self.rows, size.rows)) * self.columns * self.levels
        return CheckCost(queries=asked, seconds=SECONDS_A_GUESS * asked)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return about the half width where the attack and the imputer always agree."""
        others = min(self.rows, size.rows // 2)
        members = min(self.rows, size.beside.get(DatasetRole.TRAINING.value, others))
        if min(members, others) < 1:
            return {}
        level = 1 - (1 - confidence) / self.columns
        parts = (paired_difference(0, 0, rows, level) for rows in (members, others))
        return {"advantage": math.hypot(*[(it.high - it.low) / 2 for it in parts])}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Guess each secret of members and others, and keep which guesses were right."""
        looked = self._looked(subject)
        if isinstance(looked, Gap):
            return {"gap": write_gap(looked)}
        taken, found, asked = looked
        dataset = subject.datasets[DatasetRole.EVALUATION]
        unread = sorted(set(dataset.groups) - {secret.name for secret in found})
        told = list(_guessed(subject, taken, asked))
        joined = {} if taken.clusters is None else {"clusters": taken.clusters}
        return {
            "attack": np.stack([it.attack for it in told]),
            "baseline": np.stack([it.baseline for it in told]),
            "members": taken.members,
            "ids": np.asarray(taken.ids, dtype=np.str_),
            "columns": [{"name": it.name, "levels": len(it.levels)} for it in asked],
            "about": {
                "unread": cast("Json", unread),
                "known_rows": len(taken.known.labels),
                "copies": taken.copies,
            },
            **joined,
        }

    def refuses(self, subject: Subject) -> Gap | None:
        """Say that there are too few rows, or no secret among the columns."""
        looked = self._looked(subject)
        return looked if isinstance(looked, Gap) else None

    def _looked(
        self, subject: Subject
    ) -> tuple[AttributeSplit, tuple[SecretColumn, ...], tuple[SecretColumn, ...]] | Gap:
        """Return the rows, all secrets in them and those to guess, before the model is asked."""
        taken = split_attribute_rows(subject, self.rows)
        if isinstance(taken, Gap):
            return taken
        features = () if isinstance(subject.space, Gap) else subject.space.features
        dataset = subject.datasets[DatasetRole.EVALUATION]
        found = list_secret_columns(taken.known.numbers, features, dataset.features, self.levels)
        asked = choose_secret_columns(found, features, tuple(dataset.groups), self.columns)
        return (taken, found, asked) if asked else no_secret_gap(self.levels)

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count right guesses of members and others; the verdict is at the check's own level."""
        if "gap" in evidence:
            return (read_gap(evidence["gap"]),)
        about = cast("Mapping[str, Json]", evidence["about"])
        names = [str(it["name"]) for it in cast("list[Mapping[str, Json]]", evidence["columns"])]
        contests = dict(zip(names, read_attribute_outcomes(evidence), strict=True))
        family = AttributeTestFamily(len(contests), self.level)
        found: list[Reading] = [
            family.advantage(contest, {"column": name}, confidence, about)
            for name, contest in contests.items()
        ]
        unread = cast("list[str]", about["unread"])
        return (*found, *map(unread_group_gap, unread), family.conclusion(contests))

    @classmethod
    def block(cls, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show what is given away of each column."""
        return ReportBlock(
            parts=build_interval_panels(
                [m for m in measurements if m.metric == "advantage"],
                lambda m: str(m.params.get("column", "")),
                title="Attribute leak by column",
                caption=COLUMNS,
                header=("Column", "Gain", "Interval", "How sure", "Members right", "Imputer right"),
                ideal=0.0,
                unit=Unit.NONE,
                cells=lambda m: (
                    *format_figure_cells(m),
                    format_detail_share(m, "members_accuracy"),
                    format_detail_share(m, "members_baseline"),
                ),
            )
        )


@dataclass(slots=True, eq=False)
class _CalibratedProbabilities:
    """Hears ``[n, classes]`` probabilities of rows with these labels, at the temperature of what it
    hears first. Sure scores serve it best, so that it never softens any.
    """

    model: Model
    labels: NDArray[np.int64]
    reader: ScoreReader | None = None

    def __call__(self, rows: Array) -> Floats:
        scores = self.model.predict(rows)
        if self.reader is None:
            self.reader = ScoreReader.of(self.model, scores, self.labels).unsoftened
        return self.reader(scores)


def _guessed(
    subject: Subject, taken: AttributeSplit, asked: tuple[SecretColumn, ...]
) -> Iterator[AttributeGuesses]:
    if isinstance(subject.model, Gap):
        message = "an attack needs a model, and the frame asks for one"
        raise TypeError(message)
    floor = LABELS_FLOOR if subject.labels_only(DatasetRole.EVALUATION) else CERTAIN_FLOOR
    classes = len(get_class_names(subject.task))
    oracle = ScoreOracle(
        _CalibratedProbabilities(subject.model, taken.asked.labels), classes, floor
    )
    for done, secret in enumerate(asked):
        subject.progress(done, len(asked), f"guessing {secret.name}")
        yield guess_attribute(secret, taken.known, taken.asked, oracle)


CHECK: type[Check] = AttributeInferenceCheck
