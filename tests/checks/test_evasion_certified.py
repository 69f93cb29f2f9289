"""Proofs of robustness: what counts, what does not, and that the target has the last word."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from evasion_toys import NOTHING, LinearTwin, ToyModel, box, classes, linear, subject
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from scipy.stats import beta
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

from auditor.checks.evasion.certified import CHECK, CertifiedRobustnessCheck
from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading, Repeatability
from auditor.domain.robustness_certificates import NearestMisclassification, PerturbationBoxes
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, ClassificationTask, Floats
from auditor.errors import PolicyError
from auditor.targets.certifier import open_certifier
from auditor.targets.session import open_model

EPS = (0.01, 0.05, 0.1, 0.2)
QUICK = CertifiedRobustnessCheck(eps=EPS, rows=80, samples=100, selection=10)


@dataclass
class LinearProver:
    """Exact leads of ``x @ weights + bias`` over boxes, less ``slack``."""

    weights: Floats
    bias: Floats
    slack: float = 0.0
    kind: str = "network"

    def margins(self, boxes: PerturbationBoxes) -> Mapping[str, Floats]:
        low, high = (part.reshape(len(part), -1) for part in (boxes.lower, boxes.upper))
        side = np.where(boxes.labels == 1, 1.0, -1.0)[:, None]
        way = side * (self.weights[:, 1] - self.weights[:, 0])
        least = np.where(way > 0, low, high)
        lead = (way * least).sum(axis=1) + side[:, 0] * (self.bias[1] - self.bias[0])
        return {"interval": lead - 3, "crown": lead - self.slack}

    def nearest(self, boxes: PerturbationBoxes, *, steps: int) -> NearestMisclassification:
        raise NotImplementedError


@dataclass
class StumpProver:
    """Rows are wrong where the first number exceeds 0.5, as the target says, or ``proved``."""

    shift: float = 0.0
    told: float = 0.5
    kind: str = "trees"
    asked: list[int] = field(default_factory=list)

    def margins(self, boxes: PerturbationBoxes) -> Mapping[str, Floats]:
        raise NotImplementedError

    def nearest(self, boxes: PerturbationBoxes, *, steps: int) -> NearestMisclassification:
        self.asked.append(steps)
        clean = boxes.clean.astype(np.float64)
        crafted = np.repeat(clean[:, None], 2, axis=1)
        crafted[:, 0, 0] = self.told
        crafted[:, 1, 0] = 0.5 + 1e-3
        distance = crafted[:, :, 0] - clean[:, None, 0]
        return NearestMisclassification(distance[:, 0] + self.shift, crafted, distance)


def toy(seed: int = 0, rows: int = 80) -> tuple[Subject, LinearTwin]:
    model, twin, weights, bias = linear(seed, 10)
    inputs = np.random.default_rng(seed).random((rows, 10)).astype(np.float32)
    labels = model.logits(inputs.astype(np.float64)).argmax(axis=1)
    labels[:8] = 1 - labels[:8]
    seen = subject(model, NOTHING, inputs, labels, box((10,)), classes(2))
    return replace(seen, certifier=LinearProver(weights, bias)), twin


def stumps(*, shift: float = 0.0, told: float = 0.5) -> tuple[Subject, StumpProver]:
    model = ToyModel(lambda x: np.stack([0.5 - x[:, 0], x[:, 0] - 0.5], axis=1))
    inputs = np.random.default_rng(3).random((60, 4)) * 0.5
    seen = subject(model, NOTHING, inputs, np.zeros(60, dtype=np.int64), box((4,)), classes(2))
    prover = StumpProver(shift, told)
    return replace(seen, certifier=prover), prover


def measured(readings: tuple[Reading, ...]) -> list[Measurement]:
    found = [reading for reading in readings if isinstance(reading, Measurement)]
    assert len(found) == len(readings)
    return found


def by_graph(readings: tuple[Reading, ...]) -> list[Measurement]:
    return [r for r in readings if isinstance(r, Measurement) and "eps" in r.params]


def stored(evidence: Evidence) -> dict[str, Any]:
    return {name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()}


@pytest.fixture(params=["network", "trees"])
def seen(request: pytest.FixtureRequest) -> Subject:
    return toy()[0] if request.param == "network" else stumps()[0]


def test_the_share_that_is_proved_is_the_closed_form_of_a_linear_model() -> None:
    seen, twin = toy()
    readings = by_graph(QUICK.figures(QUICK.observe(seen, CheckShard()), 0.95))
    data = seen.datasets[DatasetRole.EVALUATION]
    assert data.inputs is not None
    assert data.labels is not None
    x, side = data.inputs.astype(np.float64), np.where(data.labels == 1, 1.0, -1.0)[:, None]
    way = side * (twin.weights[:, 1] - twin.weights[:, 0])
    assert [reading.params["eps"] for reading in readings] == list(EPS)
    for reading in readings:
        eps = reading.params["eps"]
        assert isinstance(eps, float)
        worst = np.where(way > 0, np.maximum(x - eps, 0), np.minimum(x + eps, 1))
        kept = (worst * way).sum(axis=1) + side[:, 0] * (twin.bias[1] - twin.bias[0]) > 0
        assert reading.value == pytest.approx(kept.mean())
        assert reading.params == {"norm": "linf", "eps": eps, "method": "crown"}
        assert reading.bound is BoundKind.AT_LEAST


def test_rows_that_are_wrong_already_are_never_certified() -> None:
    seen, _ = toy()
    evidence = dict(QUICK.observe(seen, CheckShard()))
    evidence["lead_crown"] = np.ones((4, 80))
    readings = by_graph(QUICK.figures(evidence, 0.95))
    assert {reading.value for reading in readings} == {72 / 80}


def test_what_is_proved_of_a_box_is_proved_of_every_smaller_one() -> None:
    seen, _ = toy()
    evidence = dict(QUICK.observe(seen, CheckShard()))
    leads = np.full((4, 80), -1.0)
    leads[2, 8:] = 1.0
    evidence["lead_crown"] = leads
    order = evidence["ids"]
    assert isinstance(order, list)
    wrong = sum(int(str(name).removeprefix("row-")) < 8 for name in order[8:])
    values = [reading.value for reading in by_graph(QUICK.figures(evidence, 0.95))]
    assert values == [(72 - wrong) / 80] * 3 + [0.0]


def test_trees_are_certified_below_the_distance_that_the_target_confirms() -> None:
    seen, prover = stumps()
    check = CertifiedRobustnessCheck(
        eps=(0.1, 0.2, 0.3), rows=60, states=77, samples=50, selection=5
    )
    readings = check.figures(check.observe(seen, CheckShard()), 0.95)
    data = seen.datasets[DatasetRole.EVALUATION]
    assert data.inputs is not None
    away = 0.5 - data.inputs[:, 0]
    for reading in by_graph(readings):
        eps = reading.params["eps"]
        assert reading.value == (away > eps).mean()
        assert reading.params["method"] == "veritas"
        assert not reading.doubted
    (median,) = [r for r in measured(readings) if r.metric == "min_breaking_eps"]
    assert median.value == pytest.approx(np.sort(away)[29])
    assert median.details["confirmed_median"] == pytest.approx(np.sort(away)[29], abs=2e-3)
    assert median.bound is BoundKind.AT_LEAST
    assert set(prover.asked) == {77}


def test_a_candidate_that_the_target_decides_rightly_is_no_upper_end() -> None:
    # At 0.45 the target still says 0: only the second candidate counts.
    seen, _ = stumps(told=0.45)
    readings = QUICK.figures(QUICK.observe(seen, CheckShard()), 0.95)
    (median,) = [r for r in measured(readings) if r.metric == "min_breaking_eps"]
    assert isinstance(median.value, float)
    assert median.details["confirmed_median"] == pytest.approx(median.value + 0.051)
    assert median.details["settled"] == 0
    assert median.high is not None
    assert median.high > median.value


def test_a_proof_that_the_target_contradicts_is_doubted() -> None:
    seen, _ = stumps(shift=0.1)
    readings = QUICK.figures(QUICK.observe(seen, CheckShard()), 0.95)
    doubted = [r for r in measured(readings) if r.params.get("method") == "veritas"]
    assert doubted
    assert all(reading.doubted for reading in doubted)


def test_the_lower_limit_of_smoothing_gives_up_the_certificates_own_error(seen: Subject) -> None:
    evidence = QUICK.observe(seen, CheckShard())
    lax = replace(QUICK, alpha=0.05)
    for reading in measured(lax.figures(evidence, 0.95)):
        if reading.params.get("method") == "smoothing":
            assert isinstance(reading.low, float)
            assert isinstance(reading.value, float)
            kept, rows = reading.details["certified"], reading.n
            assert isinstance(kept, int)
            exact = clopper_low(kept, rows)
            assert reading.low == pytest.approx(max(0.0, exact - 0.05))


def clopper_low(kept: int, rows: int) -> float:
    return float(beta.ppf(0.025, kept, rows - kept + 1)) if kept else 0.0


def test_smoothing_certifies_less_the_larger_the_radius(seen: Subject) -> None:
    readings = measured(QUICK.figures(QUICK.observe(seen, CheckShard()), 0.95))
    shares = [r for r in readings if r.params.get("method") == "smoothing"]
    assert [r.params["radius"] for r in shares] == [0.0, 0.1, 0.25, 0.5]
    values = [r.value for r in shares]
    assert values == sorted(values, reverse=True)  # type: ignore[type-var]  # all are numbers
    assert all(r.params["sigma"] == 0.25 for r in shares)
    assert all(r.params["norm"] == "l2" for r in shares)


def test_readings_come_in_one_order_at_any_confidence(seen: Subject) -> None:
    evidence = QUICK.observe(seen, CheckShard())
    first = measured(QUICK.figures(evidence, 0.95))
    for confidence in (0.5, 0.9999):
        readings = measured(QUICK.figures(evidence, confidence))
        assert [(r.metric, r.params) for r in readings] == [(r.metric, r.params) for r in first]
        for reading in readings:
            assert reading.bound is QUICK.emits[reading.metric].bound
            assert reading.unit is QUICK.emits[reading.metric].unit
            assert isinstance(reading.value, float)
            assert reading.low is not None
            assert reading.high is not None
            assert 0 <= reading.low <= reading.value <= reading.high <= 1


def test_figures_need_the_stored_evidence_and_nothing_else(seen: Subject) -> None:
    evidence = QUICK.observe(seen, CheckShard())
    assert QUICK.figures(stored(evidence), 0.95) == QUICK.figures(evidence, 0.95)


def test_the_same_subject_gives_the_same_bytes() -> None:
    first, second = (QUICK.observe(toy()[0], CheckShard()) for _ in range(2))
    assert list(first) == list(second)
    for name in first:
        assert encode_evidence(first[name]).digest == encode_evidence(second[name]).digest, name


def test_queries_stay_within_the_cost_that_was_told(seen: Subject) -> None:
    QUICK.observe(seen, CheckShard())
    assert isinstance(seen.model, ToyModel)
    data = seen.datasets[DatasetRole.EVALUATION]
    assert seen.model.queries <= QUICK.cost(AuditSize(rows=data.rows, classes=2)).queries


def test_without_a_certifier_there_is_a_gap_and_smoothing_still_counts() -> None:
    seen = replace(toy()[0], certifier=NOTHING)
    readings = QUICK.figures(QUICK.observe(seen, CheckShard()), 0.95)
    (gap,) = [reading for reading in readings if isinstance(reading, Gap)]
    assert (gap.metric, dict(gap.params)) == ("certified_accuracy", {"norm": "linf"})
    assert gap.cure == "none"
    assert [r.params["method"] for r in readings if "radius" in r.params] == ["smoothing"] * 4


def test_a_model_that_nothing_gets_right_proves_nothing() -> None:
    seen, twin = toy()
    data = seen.datasets[DatasetRole.EVALUATION]
    assert isinstance(seen.model, ToyModel)
    assert data.inputs is not None
    wrong = 1 - seen.model.logits(data.inputs.astype(np.float64)).argmax(axis=1)
    lost = replace(seen, datasets={DatasetRole.EVALUATION: replace(data, labels=wrong)})
    readings = by_graph(QUICK.figures(QUICK.observe(lost, CheckShard()), 0.95))
    assert {reading.value for reading in readings} == {0.0}
    trees, _ = stumps()
    lost = replace(
        trees,
        datasets={
            DatasetRole.EVALUATION: replace(
                trees.datasets[DatasetRole.EVALUATION], labels=np.ones(60, dtype=int)
            )
        },
    )
    values = {r.value for r in by_graph(QUICK.figures(QUICK.observe(lost, CheckShard()), 0.95))}
    assert values == {0.0}
    assert twin.passes == 0


def test_figures_of_a_model_that_changes_its_mind_are_doubted(seen: Subject) -> None:
    assert isinstance(seen.model, ToyModel)
    seen.model.deterministic = False
    for reading in measured(QUICK.figures(QUICK.observe(seen, CheckShard()), 0.95)):
        assert reading.doubted
        assert reading.repeat is Repeatability.INTERVAL


def test_every_budget_gives_at_least_three_eps_and_radii() -> None:
    for budget in Budget:
        made = CertifiedRobustnessCheck(**CHECK.presets[budget])  # type: ignore[arg-type]
        assert len(set(made.eps)) >= 3
        assert len(set(made.radii)) >= 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"eps": ()}, {"eps": (1.5,)}, {"rows": 0}, {"samples": 0}, {"radii": ()},
        {"radii": (-0.1,)}, {"radii": (math.inf,)}, {"sigma": 0.0}, {"alpha": 0.5}, {"states": 0},
    ],
)  # fmt: skip
def test_parameters_without_a_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        CertifiedRobustnessCheck(**wrong)


# The artifact itself, in its own process.


@contextmanager
def opened(
    folder: Path,
    rows: Array,
    labels: NDArray[np.int64],
    task: ClassificationTask,
    span: float = 1.0,
) -> Iterator[Subject]:
    path = folder / "model.onnx"
    raw = path.read_bytes()
    artifact = Artifact(
        "m", "1", (FileDigest("model.onnx", len(raw), hashlib.sha256(raw).hexdigest()),)
    )
    spec = TargetSpec("cpu")
    made = subject(
        ToyModel(lambda x: x), NOTHING, rows, labels, box(rows.shape[1:], high=span), task
    )
    with (
        open_model(spec, folder, artifact, task, rows[:64]) as model,
        open_certifier(spec, folder, artifact, model) as certifier,
    ):
        yield replace(made, model=model, certifier=certifier, artifact=artifact)


def saved(folder: Path, nodes: list[onnx.NodeProto], shape: list[Any], **weights: Array) -> None:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(array.astype(np.float32), name)
            for name, array in weights.items()
        ],
    )
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.save(model, str(folder / "model.onnx"))


def test_a_network_file_is_bounded_in_a_process_of_its_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    saved(
        tmp_path,
        [
            helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
            helper.make_node("Flatten", ["t"], ["f"]),
            helper.make_node("Gemm", ["f", "w", "b"], ["y"]),
        ],
        [3, 4, 4],
        w=rng.normal(size=(48, 3)),
        b=np.array([0.5, 0.0, -0.5]),
    )
    weights = numpy_helper.to_array(onnx.load(str(tmp_path / "model.onnx")).graph.initializer[0])
    rows = rng.random((30, 4, 4, 3))  # the data has its channels last
    scores = rows.reshape(30, -1) @ weights + [0.5, 0.0, -0.5]
    labels = scores.argmax(axis=1)
    check = CertifiedRobustnessCheck(eps=(0.005, 0.02, 0.05), rows=30, samples=10, selection=5)
    with opened(tmp_path, rows, labels, classes(3)) as seen:
        readings = by_graph(check.figures(check.observe(seen, CheckShard()), 0.95))
    for reading in readings:
        eps = reading.params["eps"]
        assert isinstance(eps, float)
        kept = np.ones(30, dtype=np.bool_)
        flat = rows.reshape(30, -1)
        for other in range(3):
            way = weights[:, labels].T - weights[:, other]
            worst = np.where(way > 0, np.maximum(flat - eps, 0), np.minimum(flat + eps, 1))
            ahead = (worst * way).sum(axis=1) + np.array([0.5, 0.0, -0.5])[labels]
            kept &= (labels == other) | (ahead - [0.5, 0.0, -0.5][other] > 1e-3)
        assert reading.value == pytest.approx(kept.mean(), abs=1 / 30)


@pytest.mark.parametrize("positive", ["0", "1"])
def test_a_forest_file_is_searched_in_a_process_of_its_own(positive: str, tmp_path: Path) -> None:
    rows, labels = load_breast_cancer(return_X_y=True)
    rows = ((rows - rows.min(axis=0)) / np.ptp(rows, axis=0)).astype(np.float32)
    model = GradientBoostingClassifier(n_estimators=15, random_state=0).fit(rows[::2], labels[::2])
    onnx.save(to_onnx(model, rows[:1]), str(tmp_path / "model.onnx"))
    task = ClassificationTask(("0", "1"), positive, positive, 0.4)
    check = CertifiedRobustnessCheck(eps=(0.01, 0.03, 0.1), rows=30, samples=10, selection=5)
    with opened(tmp_path, rows[1::2], labels[1::2], task) as seen:
        evidence = check.observe(seen, CheckShard())
        readings = check.figures(evidence, 0.95)
        model_of = seen.model
        assert not isinstance(model_of, Gap)
        candidates, distance = evidence["candidates"], evidence["distance"]
        assert isinstance(candidates, np.ndarray)
        assert isinstance(distance, np.ndarray)
        there = np.isfinite(distance)
        said = task.decide(model_of.probabilities(model_of.predict(candidates[there])))
    wrong = said != np.repeat(np.asarray(evidence["labels"]), there.sum(axis=1))
    assert wrong.all(), "each point is broken on the target"
    values = [reading.value for reading in by_graph(readings)]
    assert values == sorted(values, reverse=True)  # type: ignore[type-var]  # all are numbers
    assert values[0] > values[-1]  # type: ignore[operator]  # all are numbers
    (median,) = [r for r in measured(readings) if r.metric == "min_breaking_eps"]
    assert median.details["settled"] == 30
    assert not median.doubted


@pytest.mark.slow
def test_what_cannot_be_bounded_is_a_gap_that_names_the_operator(tmp_path: Path) -> None:
    saved(tmp_path, [helper.make_node("Mul", ["x", "x"], ["y"])], [3])
    rows = np.random.default_rng(0).random((20, 3)).astype(np.float32) * 3
    check = CertifiedRobustnessCheck(rows=10, samples=10, selection=5)
    with opened(tmp_path, rows, rows.argmax(axis=1), classes(3), span=3.0) as seen:
        readings = check.figures(check.observe(seen, CheckShard()), 0.95)
    (gap,) = [reading for reading in readings if isinstance(reading, Gap)]
    assert gap.reason is GapReason.TWIN_UNSUPPORTED
    assert "ai.onnx::Mul" in gap.detail


@pytest.mark.slow
def test_nothing_is_proved_of_a_file_that_is_not_what_the_target_runs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    node = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    saved(tmp_path, node, [3], w=5 * np.eye(3))
    rows = rng.random((20, 3)).astype(np.float32)
    with opened(tmp_path, rows, rows.argmax(axis=1), classes(3)) as seen:
        saved(tmp_path, node, [3], w=6 * np.eye(3))  # read when the certifier is first asked
        check = CertifiedRobustnessCheck(rows=10, samples=10, selection=5)
        readings = check.figures(check.observe(seen, CheckShard()), 0.95)
    (gap,) = [reading for reading in readings if isinstance(reading, Gap)]
    assert "differ from the target's" in gap.detail


def test_no_process_starts_before_something_is_asked(tmp_path: Path) -> None:
    model = RandomForestClassifier(3, random_state=0).fit(np.eye(3), [0, 1, 2])
    onnx.save(to_onnx(model, np.eye(3, dtype=np.float32)), str(tmp_path / "model.onnx"))
    rows = np.eye(3, dtype=np.float32)
    with opened(tmp_path, rows, np.arange(3), classes(3)) as seen:
        assert vars(vars(seen.certifier)["_keeper"])["_child"] is None
        assert not isinstance(seen.certifier, Gap)
        assert seen.certifier.kind == "trees"


def test_the_class_is_the_check() -> None:
    assert CHECK is CertifiedRobustnessCheck
    assert CHECK.id == "evasion.certified"
