"""A twin is refused where its gradient does not lead where the target's own scores go."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from tiny_models import Classes, Workshop
from twin_pairs import examined, opened, unit_space

from auditor._resources import PACKAGE
from auditor.domain.artifacts import Artifact
from auditor.domain.readings import GapReason
from auditor.domain.tasks import (
    Array,
    ClassificationTask,
    FeatureKind,
    Floats,
    InputFeature,
    InputSpace,
    RegressionTask,
    ScoreKind,
)
from auditor.targets.gradient_check import DIRECTIONS, SlopeComparison, find_step_range
from auditor.targets.twin import DISTANCE_ROWS, GRADIENT_ROWS, LEAST_CORRELATION, SHARES

DIGITS = PACKAGE.parent / "examples" / "digits"
A_STEP = 2 * DIRECTIONS * GRADIENT_ROWS
TEN = ClassificationTask(tuple("0123456789"), "9", "9")


@pytest.fixture(scope="module")
def digits() -> Array:
    with np.load(DIGITS / "test.npz") as held:
        name = next(name for name in held if held[name].ndim > 1)
        rows: Array = held[name].reshape(-1, 1, 8, 8)
        return rows


def behind(
    workshop: Workshop, nodes: list[onnx.NodeProto], after: list[onnx.NodeProto], **constants: float
) -> Artifact:
    """Put nodes between the input ``x`` and the network, which reads ``pre``, and behind it."""
    model = onnx.load(str(DIGITS / "model.onnx"))
    source, sink = model.graph.input[0].name, model.graph.output[0].name
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = "pre" if name == source and nodes else name
    network = list(model.graph.node)
    for node in (*nodes, *after):
        for place, name in enumerate(node.input):
            node.input[place] = {"x": source, "z": sink}.get(name, name)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *network, *after])
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value, dtype=np.float32), name)
        for name, value in constants.items()
    )
    if after:
        model.graph.output[0].name = after[-1].output[0]
    return workshop.keep(model.SerializeToString())


def test_a_network_on_real_digits_passes_and_its_queries_are_counted(
    workshop: Workshop, digits: Array
) -> None:
    artifact = behind(workshop, [], [])
    with opened(workshop, artifact, TEN, digits) as model:
        before = model.queries
        found = examined(model, workshop.folder / "model.onnx", digits, unit_space((1, 8, 8)))
        assert model.queries - before == min(len(digits), DISTANCE_ROWS) + A_STEP
    assert found.gap is None
    assert found.distance["gradient_correlation"] > 0.98
    assert (found.distance["step"], found.distance["gradient_rows"]) == (SHARES[0], GRADIENT_ROWS)


def test_the_same_seed_examines_the_same(workshop: Workshop, digits: Array) -> None:
    artifact, path = behind(workshop, [], []), workshop.folder / "model.onnx"
    with opened(workshop, artifact, TEN, digits) as model:
        first, again, other = (examined(model, path, digits, seed=seed) for seed in (1, 1, 2))
    assert first.distance == again.distance
    assert first.distance["gradient_correlation"] != other.distance["gradient_correlation"]


def test_a_gradient_of_other_pixels_is_refused_with_its_correlation(
    workshop: Workshop, digits: Array
) -> None:
    artifact, path = behind(workshop, [], []), workshop.folder / "model.onnx"
    with opened(workshop, artifact, TEN, digits) as model:
        found = examined(model, path, digits, unit_space((1, 8, 8)), bend=shuffled)
    assert found.distance["agreement"] == 1.0
    assert found.gap is not None
    assert found.gap.reason is GapReason.TWIN_DIFFERS
    assert "correlates by" in found.gap.detail
    assert abs(found.distance["gradient_correlation"]) < LEAST_CORRELATION


def shuffled(slope: Floats) -> Floats:
    """Give each pixel the slope of another one."""
    flat = slope.reshape(len(slope), -1)
    return flat[:, np.random.default_rng(0).permutation(flat.shape[1])].reshape(slope.shape)


def nearest_level(levels: int) -> tuple[list[onnx.NodeProto], dict[str, object]]:
    """Return nodes that replace each pixel by the nearest of some levels, found by ArgMin."""
    node = helper.make_node
    nodes = [
        node("Unsqueeze", ["x", "last"], ["u"]),
        node("Sub", ["u", "levels"], ["s"]),
        node("Abs", ["s"], ["a"]),
        node("ArgMin", ["a"], ["i"], name="nearest", axis=-1, keepdims=0),
        node("Cast", ["i"], ["c"], to=onnx.TensorProto.FLOAT),
        node("Mul", ["c", "step"], ["level"]),
        node("Mul", ["x", "none"], ["rest"]),
        node("Add", ["level", "rest"], ["pre"]),
    ]
    return nodes, {"levels": np.linspace(0, 1, levels), "step": 1 / (levels - 1), "none": 0.0}


def test_a_cut_gradient_is_refused_and_the_operator_that_cuts_it_named(
    workshop: Workshop, digits: Array
) -> None:
    nodes, constants = nearest_level(17)
    artifact = behind(workshop, nodes, [], **constants)  # type: ignore[arg-type]  # arrays too
    path = workshop.folder / "model.onnx"
    model = onnx.load(str(path))
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1]), "last"))
    artifact = workshop.keep(model.SerializeToString())
    with opened(workshop, artifact, TEN, digits) as model:
        found = examined(model, path, digits, unit_space((1, 8, 8)))
    assert found.gap is not None
    assert found.gap.reason is GapReason.TWIN_DIFFERS
    assert f"zero on all of {GRADIENT_ROWS} rows" in found.gap.detail
    assert "ArgMin" in found.gap.detail
    assert "'nearest'" in found.gap.detail


def test_rounded_pixels_stand_still_at_the_small_step_and_pass_at_the_large_one(
    workshop: Workshop, digits: Array
) -> None:
    node = helper.make_node
    nodes = [
        node("Mul", ["x", "levels"], ["a"]),
        node("Round", ["a"], ["b"]),
        node("Div", ["b", "levels"], ["pre"]),
    ]
    artifact = behind(workshop, nodes, [], levels=16.0)
    with opened(workshop, artifact, TEN, digits) as model:
        before = model.queries
        found = examined(model, workshop.folder / "model.onnx", digits, unit_space((1, 8, 8)))
        assert model.queries - before >= min(len(digits), DISTANCE_ROWS) + 2 * A_STEP
    assert found.gap is None
    assert found.distance["step"] == SHARES[1]
    assert found.distance["gradient_correlation"] > 0.9


@pytest.mark.parametrize("heat", [50.0, 1000.0])
def test_scores_that_saturate_are_measured_where_they_still_move(
    workshop: Workshop, digits: Array, heat: float
) -> None:
    node = helper.make_node
    after = [node("Mul", ["z", "heat"], ["h"]), node("Softmax", ["h"], ["p"], axis=-1)]
    artifact = behind(workshop, [], after, heat=heat)
    with opened(workshop, artifact, TEN, digits) as model:
        assert not model.scores_are_logits
        found = examined(model, workshop.folder / "model.onnx", digits, unit_space((1, 8, 8)))
    assert found.gap is None
    assert found.distance["gradient_correlation"] > 0.3


def test_a_model_with_noise_is_compared_with_its_own_spread(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    weights, rows = rng.normal(size=(6, 3)), rng.normal(size=(200, 6))
    workshop.linear(weights)
    quiet = workshop.folder / "quiet.onnx"
    (workshop.folder / "model.onnx").rename(quiet)
    artifact = workshop.save(
        [
            workshop.node("MatMul", ["x", "w"], ["z"]),
            workshop.node("RandomNormalLike", ["z"], ["n"], scale=0.05),
            workshop.node("Add", ["z", "n"], ["y"]),
        ],
        [workshop.value("x", ["N", 6])],
        [workshop.value("y", ["N", 3])],
        workshop.weights(w=weights.astype(np.float32)),
    )
    with opened(workshop, artifact, classes(3), rows) as model:
        assert not model.deterministic
        found = examined(model, quiet, rows)
        doubled = examined(model, quiet, rows, bend=lambda slope: slope[:, ::-1].copy())
    assert found.gap is None
    assert found.distance["own_difference"] > 0.01
    assert found.distance["gradient_correlation"] > 0.9
    assert doubled.gap is not None


def test_a_regression_is_compared_in_the_spread_of_its_values(
    workshop: Workshop, rng: np.random.Generator
) -> None:
    weights, rows = rng.normal(size=(4, 1)) * 1e5, rng.normal(size=(100, 4))
    artifact, path = workshop.linear(weights), workshop.folder / "model.onnx"
    with opened(workshop, artifact, RegressionTask(1.0), rows) as model:
        found = examined(model, path, rows)
        workshop.linear(weights * 1.01)
        other = examined(model, path, rows)
    assert found.gap is None
    # A linear function's central differences are its derivative.
    assert found.distance["gradient_correlation"] == pytest.approx(1.0, abs=1e-4)
    assert found.distance["max_difference"] < 1e-5
    assert other.gap is not None
    assert 0.005 < other.distance["max_difference"] < 0.1


def test_a_model_that_stands_still_cannot_be_tried(
    workshop: Workshop, rng: np.random.Generator
) -> None:
    rows, task = (
        rng.normal(size=(30, 3)),
        ClassificationTask(("a", "b"), "b", "b", output=ScoreKind.LOGITS),
    )
    artifact = workshop.linear(np.zeros((3, 2)))
    with opened(workshop, artifact, task, rows) as model:
        found = examined(model, workshop.folder / "model.onnx", rows)
    assert found.gap is not None
    assert found.gap.reason is GapReason.TWIN_DIFFERS
    assert "zero on all" in found.gap.detail


def test_noise_is_given_back_to_a_correlation() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(200, 12))
    seen = truth + rng.normal(size=(8, 200, 12)) * 2
    once = SlopeComparison(seen[:1], truth).correlation
    assert once == pytest.approx(1 / np.sqrt(5), abs=0.05)
    assert SlopeComparison(seen, truth).correlation == pytest.approx(1.0, abs=0.05)
    assert abs(SlopeComparison(seen, rng.normal(size=(200, 12))).correlation) < 0.1


@settings(max_examples=50)
@given(
    share=st.sampled_from([0.02, 0.1, 1.0]),
    seed=st.integers(0, 2**16),
    kind=st.sampled_from(["float64", "int64"]),
)
def test_moved_rows_stay_in_the_box_on_their_steps_and_keep_what_is_immutable(
    share: float, seed: int, kind: str
) -> None:
    rng = np.random.default_rng(seed)
    kinds = [FeatureKind.NUMERIC, FeatureKind.INTEGER, FeatureKind.CATEGORICAL, FeatureKind.NUMERIC]
    features = tuple(
        InputFeature(name, kind, immutable=name == "d")
        for name, kind in zip("abcd", kinds, strict=True)
    )
    low, high = np.array([-1.0, 0.0, 0.0, 0.0]), np.array([1.0, 60.0, 3.0, 9.0])
    space = InputSpace(low, high, np.zeros(4), np.ones(4, dtype=np.bool_), features)
    rows = np.floor(low + rng.random((9, 4)) * (high - low))
    rows = rows.astype(kind)
    reach = find_step_range(space, rows, whole=kind == "int64")
    signs = rng.choice([-1.0, 1.0], size=rows.shape)
    for moved in reach.pair(rows, signs, share):
        assert moved.dtype == rows.dtype
        assert ((moved >= low) & (moved <= high)).all()
        assert (moved[:, 1] == np.rint(moved[:, 1])).all()
        assert (moved[:, 2:] == rows[:, 2:]).all()
        assert (np.abs(moved[:, 1] - rows[:, 1]) <= max(1.0, share * 60 + 0.5)).all()
    ahead, back = reach.pair(rows, signs, share)
    assert (ahead[:, 1] != back[:, 1]).all()
