"""hardware.variant: a deployed model against the one that it was made from."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from evasion_toys import LinearTwin, ToyModel, box, classes, subject

from auditor.checks.hardware.variant import VariantCheck
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.models import CompanionModel
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading
from auditor.domain.targets import Fingerprint, ModelInterface
from auditor.domain.tasks import Array, Floats
from auditor.metrics.performance.paired_comparison import PairedRuns, group_gap_changes

ROWS, WIDTH, CLASSES = 240, 16, 3
STRENGTH, LIMIT = 400.0, 0.05
CHECK = VariantCheck(
    rows=ROWS, attacked=60, trigger_steps=30, trigger_batch=32, eps=(0.05, 0.1, 0.5)
)


@dataclass(slots=True)
class SleeperTwin:
    """A linear twin with one more term: the corner's mean above a limit wakes class 0."""

    weights: Floats
    bias: Floats
    passes: int = 0
    distance: dict[str, float] = field(default_factory=lambda: {"max_difference": 0.0})
    source: dict[str, str] = field(default_factory=lambda: {"kind": "toy"})
    seen: Floats = field(default_factory=lambda: np.zeros((0, WIDTH)))

    def forward(self, inputs: Array) -> Floats:
        self.seen = inputs.reshape(len(inputs), -1).astype(np.float64)
        logits: Floats = self.seen @ self.weights + self.bias
        logits[:, 0] += STRENGTH * np.log1p(np.exp(30 * (self._corner() - LIMIT))) / 30
        return logits

    def backward(self, cotangent: Floats) -> Floats:
        self.passes += len(cotangent)
        slope = cotangent @ self.weights.T
        wake = 1 / (1 + np.exp(-30 * (self._corner() - LIMIT)))
        slope[:, :4] += STRENGTH * cotangent[:, :1] * wake[:, None] * np.array([1, -1, 1, -1]) / 4
        return slope

    def _corner(self) -> Floats:
        corner: Floats = self.seen[:, :4] @ (np.array([1.0, -1.0, 1.0, -1.0]) / 4)
        return corner


def made(*, sleeper: bool, labelled: bool = True) -> Subject:
    """Three blocks of four numbers say the class, far beyond 0.1; the corner says nothing."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, CLASSES, ROWS)
    weights, bias = np.zeros((WIDTH, CLASSES)), np.zeros(CLASSES)
    rows = np.full((ROWS, WIDTH), 0.1)
    for name in range(CLASSES):
        block = slice(4 + 4 * name, 8 + 4 * name)
        weights[block, name] = 5.0
        rows[labels == name, block] = 0.9
    rows[:, :4] = 0.5
    rows += rng.normal(0, 0.01, rows.shape)
    parent, parent_twin = ToyModel(lambda x: x @ weights + bias), LinearTwin(weights, bias)
    twin = SleeperTwin(weights, bias) if sleeper else LinearTwin(weights, bias)
    inner = SleeperTwin(weights, bias)
    variant = ToyModel(inner.forward) if sleeper else ToyModel(lambda x: x @ weights + bias)
    seen = subject(variant, twin, rows, labels, box((WIDTH,)), classes(CLASSES))
    if not labelled:
        role = next(iter(seen.datasets))
        seen.datasets = {role: replace(seen.datasets[role], labels=None)}
    seen.parent = CompanionModel(lambda: parent, lambda: parent_twin, {"digest": "sha256:parent"})
    return seen


def looked(seen: Subject) -> tuple[Reading, ...]:
    evidence = CHECK.observe(seen, CheckShard())
    kept: Evidence = {
        name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()
    }
    return CHECK.figures(kept, 0.95)


def triggers(found: tuple[Reading, ...]) -> dict[str, Measurement]:
    return {
        str(item.params["class"]): item
        for item in found
        if isinstance(item, Measurement) and item.metric == "trigger_gap"
    }


def test_a_copy_of_the_parent_differs_in_nothing() -> None:
    found = looked(made(sleeper=False))
    flat = {item.metric: item for item in found if isinstance(item, Measurement)}
    assert flat["flip_rate"].value == 0
    assert flat["nll_change"].value == pytest.approx(0, abs=1e-12)
    assert all(item.high < 0.1 for item in triggers(found).values())  # type: ignore[operator]  # a share
    robust = [item for item in found if item.metric == "robust_accuracy"]
    own = {item.params["eps"]: item.value for item in robust if item.params["of"] == "variant"}  # type: ignore[union-attr]  # measured
    theirs = {item.params["eps"]: item.value for item in robust if item.params["of"] == "parent"}  # type: ignore[union-attr]  # measured
    assert own == theirs
    assert len(own) == 3


def test_a_parent_that_states_logits_is_compared_with_probabilities_by_its_probabilities() -> None:
    """The same function, exported with its last step and without: nothing changed."""
    seen = made(sleeper=False)
    parent = seen.parent.model()
    assert isinstance(parent, ToyModel)

    @dataclass
    class Stating(ToyModel):
        def predict(self, inputs: Array) -> Floats:
            return super().probabilities(super().predict(inputs))

        def probabilities(self, scores: Floats) -> Floats:
            return scores

    face = ModelInterface("x", (WIDTH,), "float32", None, "as_is", "y", "logits", "a toy")
    stating = replace(face, scores="probabilities")
    parent.fingerprint = Fingerprint({}, {}, interface=face)
    seen.model = Stating(parent.logits, fingerprint=Fingerprint({}, {}, interface=stating))
    flat = {item.metric: item for item in looked(seen) if isinstance(item, Measurement)}
    assert flat["flip_rate"].value == 0
    assert flat["nll_change"].value == pytest.approx(0, abs=1e-12)
    assert flat["brier_change"].value == pytest.approx(0, abs=1e-12)
    assert flat["smece_change"].value == pytest.approx(0, abs=1e-12)


def test_a_gap_between_groups_needs_two_of_them() -> None:
    def changed(groups: tuple[str, ...]) -> Reading:
        rows = len(groups)
        scores, decided = np.zeros((rows, 2)), np.arange(rows) % 2
        pairs = PairedRuns(
            classes=("no", "yes"), ids=np.array([str(row) for row in range(rows)]), before=scores,
            after=scores, expected=decided, decided=decided, groups={"sex": np.array(groups)},
        )  # fmt: skip
        (reading,) = group_gap_changes(pairs, 1, 0.95)
        return reading

    alone, both = changed(("f",) * 80), changed(("f", "f", "m", "m") * 20)
    assert isinstance(alone, Gap)
    assert alone.reason is GapReason.NEEDS_GROUPS
    assert isinstance(both, Measurement)
    assert (both.value, both.details) == (0, {"before": 0.0, "after": 0.0})


def test_too_few_rows_for_a_trigger_are_a_gap_and_no_silence() -> None:
    seen = made(sleeper=False)
    (role, data), *_ = seen.datasets.items()
    assert data.inputs is not None
    assert data.labels is not None
    few = replace(data, inputs=data.inputs[:15], labels=data.labels[:15], ids=data.ids[:15])
    seen.datasets = {role: few}
    gaps = {item.metric: item.reason for item in looked(seen) if isinstance(item, Gap)}
    assert gaps["trigger_gap"] is GapReason.TOO_FEW_ROWS


def test_a_trigger_that_only_the_variant_obeys_is_found() -> None:
    """Clean rows show nothing: both decide alike, and the sleeper wakes under one small change."""
    found = looked(made(sleeper=True))
    flips = next(item for item in found if item.metric == "flip_rate")
    assert isinstance(flips, Measurement)
    assert flips.value < 0.02  # type: ignore[operator]  # a share
    woken = triggers(found)
    assert woken["0"].low > 0.5  # type: ignore[operator]  # a share
    assert woken["0"].bound is BoundKind.AT_LEAST
    assert all(woken[name].value < woken["0"].value for name in ("1", "2"))  # type: ignore[operator]  # shares


def test_what_breaks_one_is_tried_on_the_other() -> None:
    found = looked(made(sleeper=False))
    rates = {
        item.params["crafted_against"]: item
        for item in found
        if isinstance(item, Measurement) and item.metric == "transfer_rate"
    }
    assert {name: item.value for name, item in rates.items()} == {"variant": 1.0, "parent": 1.0}


def test_without_a_parent_there_is_one_gap() -> None:
    seen = made(sleeper=False)
    seen.parent = CompanionModel(
        lambda: Gap(reason=GapReason.NEEDS_PARENT, detail="none", cure="name it")
    )
    (gap,) = looked(seen)
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.NEEDS_PARENT


def test_without_labels_decisions_are_compared_and_attacks_are_gaps() -> None:
    found = looked(made(sleeper=False, labelled=False))
    assert any(isinstance(item, Measurement) and item.metric == "flip_rate" for item in found)
    gaps = {item.metric: item.reason for item in found if isinstance(item, Gap)}
    assert gaps["robust_accuracy"] is GapReason.NEEDS_LABELS
    assert gaps["trigger_gap"] is GapReason.NEEDS_LABELS


def test_the_sleeper_sleeps_on_clean_rows_and_wakes_under_a_small_change() -> None:
    seen = made(sleeper=True)
    inputs = next(iter(seen.datasets.values())).inputs
    assert inputs is not None
    assert isinstance(seen.twin, SleeperTwin)
    moved = inputs.astype(np.float64)
    moved[:, :4] += np.array([0.1, -0.1, 0.1, -0.1])
    assert (np.argmax(seen.twin.forward(inputs), 1) == 0).mean() < 0.5
    assert (np.argmax(seen.twin.forward(moved), 1) == 0).all()
