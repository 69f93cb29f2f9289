"""Check for a backdoor: one small trigger that sends any row to one class."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from auditor.attacks.poisoning.backdoor_detectors import CleanseEffort, MarginAscent
from auditor.attacks.poisoning.backdoor_evidence import DetectionRules
from auditor.attacks.poisoning.backdoor_readings import BACKDOOR, backdoor_readings
from auditor.attacks.poisoning.backdoor_rows import split_backdoor_rows
from auditor.attacks.poisoning.backdoor_scan import BackdoorScan, BackdoorScanPlan
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, Reading
from auditor.metrics.stats.proportions import clopper_pearson

SECONDS_A_PASS = 1e-5
SECONDS_A_LESSON = 3e-3
"""About what a recipe of a small network takes a row; one that fits a forest takes a tenth."""
KINDS = 3


@dataclass(frozen=True, slots=True)
class BackdoorCheck(Check):
    """Looks for a backdoor in your model in three ways: blindly on the target, by decisions alone,
    and by gradients of the twin.

    **Search.** On the target, the check classifies ``noise`` inputs without meaning. It puts
    ``tried`` small patches (in tables: extreme and rare values of one or two columns) and ``mixed``
    patterns, mixed into the whole input, on ``backgrounds`` rows, and the best for each class again
    on ``again`` rows. On the twin, it fits the smallest mask that sends all rows to a class, for
    every class (Neural Cleanse, Wang et al. 2019), and maximises the margin of every class without
    any row (MM-BD, Wang et al. 2024). If there are more than ``classes`` classes, only those that
    the blind scans suggest are searched.

    **Detectors.** A detector reports a class that stands out from the others by ``index`` median
    absolute deviations and is far ahead of the second. It may also report up to a third of the
    classes that stand out together, because a backdoor may have several targets. If you have a
    recipe, ``clean_models`` models are trained again on labelled rows that had no part in training.
    Ready shadow models that learned from reference rows alone all replace them, unless
    ``clean_models`` is 0. The target's statistics are compared with theirs, and the found trigger
    is tried on them. A trigger found on one half of the evaluation rows is judged on up to ``rows``
    of the other half, on the target.

    **Verdict ``shown``.** Two detectors report one class and a trigger that one of them found
    works:

    - at least ``success`` of the rows of other classes go there (lower limit at ``level``,
      corrected for all classes and kinds);
    - it covers at most ``most_mask`` of the input, or is mixed in at a strength of at most
      ``most_blend``;
    - it succeeds more often than random contents, than the best trigger of the same size for any
      other class that two detectors do not report, and than on any clean model. A class that is
      close to all others by nature is therefore no backdoor.

    **Verdict ``inconclusive``.** One detector alone reports a class to which a trigger works, or
    two report one and no trigger works. The verdict is also inconclusive if a backdoor could not be
    shown: fewer than two detectors could report a class (fewer than four classes, or a table
    without twin and recipe), too few rows judge a trigger, or small blind triggers work for a
    quarter of the other classes too, as on networks with rare inputs of large weight.

    **Limits.** The figures are bounds.

    - The blind scans cover squares and patterns. A mark of another form is at best found by the
      twin alone, which is ``inconclusive``, and often by no detector.
    - A mask that works here and not on clean models is no sign by itself: nearly every clean model
      has such masks of its own.
    - The check does not search for a backdoor that sends the rows of one class alone to another.
    - It can miss a backdoor with more targets than a third of the classes, one that a rare object
      in the scene triggers, and one that moves pixels a little everywhere.
    - Triggers keep the ranges and steps of the input space, not the relations between columns of a
      table.

    Up to ``examples`` triggered rows are kept with their clean inputs.
    """

    rows: int = 200
    fitting: int = 400
    noise: int = 2000
    tried: int = 400
    mixed: int = 48
    backgrounds: int = 12
    again: int = 48
    steps: int = 60
    batch: int = 12
    climbing: int = 40
    starts: int = 4
    classes: int = 10
    clean_models: int = 0
    level: float = 0.05
    index: float = 2.0
    success: float = 0.6
    most_mask: float = 0.15
    most_blend: float = 0.3
    examples: int = 6

    id: ClassVar[str] = "poisoning.backdoor"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Backdoor triggers that turn all rows into one class"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.CLASSIFICATION, Need.EVALUATION, Need.MODEL, Need.SPACE}
    )
    wants: ClassVar[frozenset[Need]] = frozenset(
        {Need.LABELS, Need.PARENT, Need.RECIPE, Need.REFERENCE, Need.SHADOWS, Need.TWIN}
    )
    emits: ClassVar[Mapping[str, Metric]] = BACKDOOR
    coordinates: ClassVar[frozenset[str]] = frozenset({"detector", "noise", "trigger"})
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("iso-42001", "A.6.2.4"),
        FrameworkControl("mitre-atlas", "AML.T0018"),
        FrameworkControl("mitre-atlas", "AML.T0020"),
        FrameworkControl("owasp-ml", "ML02"),
        FrameworkControl("owasp-ml", "ML10"),
        FrameworkControl("nist-ai-100-2", "NISTAML.023"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {},
        Budget.CI: {
            "rows": 400, "tried": 1200, "mixed": 144, "backgrounds": 16, "again": 96, "steps": 150,
            "batch": 24, "climbing": 100, "starts": 8, "classes": 30, "clean_models": 4,
        },
        Budget.FULL: {
            "rows": 2000, "fitting": 2000, "noise": 10_000, "tried": 4800, "mixed": 480,
            "backgrounds": 24, "again": 300, "steps": 400, "batch": 48, "climbing": 300,
            "starts": 20, "classes": 200, "clean_models": 19,
        },
    }  # fmt: skip

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        counts = (
            self.rows, self.fitting, self.noise - 1, self.tried, self.mixed, self.backgrounds,
            self.again, self.steps, self.batch, self.climbing, self.starts, self.classes,
        )  # fmt: skip
        if min(counts) < 1 or min(self.clean_models, self.examples) < 0:
            message = "counts of poisoning.backdoor are at least 1, and noise at least 2"
            raise ValueError(message)
        shares = (self.level, self.success, self.most_mask, self.most_blend)
        if not all(0 < share < 1 for share in shares) or self.index <= 0:
            message = "level, success and sizes are shares within 0..1, and index is above 0"
            raise ValueError(message)

    @property
    def plan(self) -> BackdoorScanPlan:
        """How hard is looked."""
        return BackdoorScanPlan(
            noise=self.noise,
            tried=self.tried,
            mixed=self.mixed,
            backgrounds=self.backgrounds,
            again=self.again,
            effort=CleanseEffort(self.steps, self.batch),
            climb=MarginAscent(self.climbing, self.starts),
            classes=self.classes,
            clean_models=self.clean_models,
            examples=self.examples,
        )

    @property
    def rules(self) -> DetectionRules:
        """When a backdoor counts as shown."""
        return DetectionRules(self.level, self.index, self.success, self.most_mask, self.most_blend)

    def cost(self, size: AuditSize) -> CheckCost:
        """Return upper bounds of what is asked, and about the seconds: clean models are counted as
        if there were a recipe, by the rows that they learn and those that they are asked about.
        """
        classes, judged = min(self.classes, size.classes), min(self.rows, (size.rows + 1) // 2)
        blind = self.noise + (self.tried + self.mixed) * self.backgrounds
        asked = size.rows + blind + 2 * 3 * classes * self.again
        tests = KINDS * (classes + 3) * judged + classes * judged
        passes = classes * (self.steps * self.batch + self.climbing * self.starts)
        reference = size.beside.get(DatasetRole.REFERENCE.value, 0)
        learnt = max(reference, min(self.fitting, size.rows // 2))
        model = learnt * SECONDS_A_LESSON + (blind + KINDS * judged) * SECONDS_A_PASS
        seconds = passes * SECONDS_A_PASS + self.clean_models * model
        return CheckCost(asked + tests, passes, seconds, clean=size.rows)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return the half width that a success has where it is 0 or 1."""
        judged = min(self.rows, (size.rows + 1) // 2)
        if judged < 1:
            return {}
        level = 1 - (1 - confidence) / KINDS
        return {"attack_success_rate": clopper_pearson(0, judged, level).high / 2}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Look on one half of the evaluation rows, and judge triggers on the other."""
        ground = split_backdoor_rows(subject, self.rows, self.fitting)
        if isinstance(ground, Gap):
            return {"gap": write_gap(ground)}
        about: dict[str, Json] = {
            "classes": list(ground.asker.task.classes),
            "fitted": len(ground.fitted),
        }
        return {**BackdoorScan(subject, ground, self.plan).evidence(), "about": about}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count successes again, and recompute how far classes stand out."""
        if "gap" in evidence:
            return (read_gap(evidence["gap"]),)
        return backdoor_readings(evidence, confidence, self.rules)


CHECK: type[Check] = BackdoorCheck
