"""Attacks of ART through our frame: known answers, re-checked claims, and honest gaps."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from evasion_toys import (
    NOTHING,
    LinearTwin,
    ToyModel,
    arena,
    box,
    classes,
    linear,
    subject,
)
from numpy.typing import NDArray

from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.readings import build_robustness_readings
from auditor.attacks.evasion.suite_parser import build_suite
from auditor.checks.evasion.art import ArtEvasionCheck
from auditor.checks.measure import CONFIDENCE
from auditor.domain.check_subject import CheckShard, Subject, report_nothing
from auditor.domain.evidence import Evidence, encode_evidence
from auditor.domain.readings import Gap, GapReason, Measurement, Reading
from auditor.domain.tasks import FeatureKind, Floats, InputFeature, InputSpace
from auditor.errors import PolicyError, suggest_install

SIDE = 6
EPS = (0.01, 0.03, 0.06)
Seen = dict[tuple[str, float], Measurement]


def pictures(seed: int = 5, rows: int = 24) -> tuple[Subject, ToyModel, Floats, Floats]:
    """Two classes, told apart by one plane; rows in the middle of the box, all of them right."""
    model, twin, weights, bias = linear(seed, SIDE * SIDE)
    rng = np.random.default_rng(seed)
    inputs = rng.uniform(0.3, 0.7, (rows, 1, SIDE, SIDE))
    labels: NDArray[np.int64] = model.logits(inputs.reshape(rows, -1)).argmax(axis=1)
    space = box((1, SIDE, SIDE))
    return subject(model, twin, inputs, labels, space, classes(2)), model, weights, bias


def margins(inputs: Floats, weights: Floats, bias: Floats) -> Floats:
    """Return by how much each row's own logit leads."""
    logits = inputs.reshape(len(inputs), -1) @ weights + bias
    return np.asarray(np.abs(logits[:, 0] - logits[:, 1]))


def run(check: ArtEvasionCheck, there: Subject) -> tuple[Evidence, tuple[Reading, ...]]:
    evidence = check.observe(there, CheckShard())
    return evidence, check.figures(evidence, CONFIDENCE)


def robust(readings: Sequence[Reading]) -> Seen:
    return {
        (str(item.params["attack"]), cast("float", item.params["eps"])): item
        for item in readings
        if isinstance(item, Measurement) and item.metric == "robust_accuracy"
    }


def gap(readings: Sequence[Reading], attack: str) -> Gap:
    (found,) = [
        item for item in readings if isinstance(item, Gap) and item.params["attack"] == attack
    ]
    return found


def claims(reading: Measurement) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", reading.details["claims"])


def rows_of(there: Subject) -> Floats:
    (dataset,) = there.datasets.values()
    assert dataset.inputs is not None
    return dataset.inputs.astype(np.float64)


@pytest.mark.slow
@pytest.mark.parametrize("attack", ["FastGradientMethod", "ProjectedGradientDescent"])
@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2)])
def test_a_linear_model_falls_where_the_dual_norm_says(attack: str, norm: str, dual: int) -> None:
    there, _, weights, bias = pictures()
    length = np.linalg.norm(weights[:, 0] - weights[:, 1], dual)
    distance = np.sort(margins(rows_of(there), weights, bias) / length)
    middle = [float(distance[place] + distance[place + 1]) / 2 for place in (5, 11, 20)]
    check = ArtEvasionCheck(attacks=(attack,), eps=tuple(middle), norm=norm, most_queries=500)
    found = robust(run(check, there)[1])
    assert [found[attack, eps].value for eps in middle] == [18 / 24, 12 / 24, 3 / 24]
    assert all(claims(item)["outside"] == 0 for item in found.values())
    assert all(claims(item)["confirmed"] == claims(item)["claimed"] for item in found.values())


@pytest.mark.slow
def test_attacks_of_art_and_our_own_agree_on_a_linear_model() -> None:
    there, model, _, _ = pictures(seed=9, rows=40)
    (dataset,) = there.datasets.values()
    assert dataset.inputs is not None
    assert dataset.labels is not None
    assert isinstance(there.twin, LinearTwin)
    own = arena(model, dataset.inputs, dataset.labels, box((1, SIDE, SIDE)), there.twin)
    swept = run_sweep(build_suite(("cross_entropy:20",), Norm.LINF), own, EPS, 0, report_nothing)
    ours = [float(np.mean(swept.breaking > eps + 1e-6)) for eps in EPS]
    attacks = ("FastGradientMethod", "MomentumIterativeMethod", "ProjectedGradientDescent")
    settings = tuple(f"{name}.max_iter=20" for name in attacks[1:])
    check = ArtEvasionCheck(attacks=attacks, settings=settings, eps=EPS, rows=40)
    found = robust(run(check, there)[1])
    for name in attacks:
        assert [found[name, eps].value for eps in EPS] == ours


@pytest.mark.slow
def test_a_budget_is_a_share_of_each_columns_range_and_fixed_columns_stay() -> None:
    features = (
        InputFeature("income", low=0.0, high=200.0),
        InputFeature("share", low=-1.0, high=1.0),
        InputFeature("region", FeatureKind.CATEGORICAL, categories=(0.0, 1.0, 2.0)),
        InputFeature("born", low=1900.0, high=2000.0, immutable=True),
    )
    low, high = np.array([0.0, -1.0, 0.0, 1900.0]), np.array([200.0, 1.0, 2.0, 2000.0])
    space = InputSpace(low, high, np.zeros(4), np.ones(4, dtype=np.bool_), features)
    slope = np.array([0.01, 1.0, 5.0, 0.3])
    rng = np.random.default_rng(0)
    inputs = np.stack(
        [
            rng.uniform(80, 120, 20),
            rng.uniform(-0.3, 0.3, 20),
            rng.integers(0, 3, 20).astype(np.float64),
            rng.uniform(1940, 1960, 20),
        ],
        axis=1,
    )
    bias = -(slope[:2] @ [100.0, 0.0])

    def logits(x: Floats) -> Floats:
        lead = x[:, :2] @ slope[:2] + bias + 0 * x[:, 2] + 0 * x[:, 3]
        return np.stack([np.zeros(len(x)), lead], axis=1)

    weights = np.stack([np.zeros(4), slope * [1, 1, 0, 0]], axis=1)
    twin = LinearTwin(weights, np.array([0.0, bias]))
    labels: NDArray[np.int64] = logits(inputs).argmax(axis=1)
    distance = np.sort(np.abs(logits(inputs)[:, 1]) / (0.01 * 200 + 1.0 * 2))
    eps = float(distance[9] + distance[10]) / 2
    there = subject(ToyModel(logits), twin, inputs, labels, space, classes(2))
    check = ArtEvasionCheck(
        attacks=("FastGradientMethod", "HopSkipJump"), eps=(eps,), most_queries=30_000
    )
    check = replace(check, settings=("HopSkipJump.max_iter=2", "HopSkipJump.max_eval=100"))
    evidence, readings = run(check, there)
    assert robust(readings)["FastGradientMethod", eps].value == 1 / 2
    for name in check.attacks:
        places = cast("NDArray[np.int64]", evidence[f"{name}.crafted_rows"])
        crafted = cast("Floats", evidence[f"{name}.crafted"])
        sample = there.sample(next(iter(there.datasets)), 20)
        assert len(places)
        np.testing.assert_array_equal(crafted[:, 2:], inputs[sample][places, 2:])


@pytest.mark.slow
def test_attacks_that_only_ask_run_without_a_twin() -> None:
    there, model, weights, bias = pictures()
    there = replace(there, twin=NOTHING)
    nearest = margins(rows_of(there), weights, bias) / np.abs(weights[:, 0] - weights[:, 1]).sum()
    eps = float(nearest.max()) * 3
    check = ArtEvasionCheck(
        attacks=("HopSkipJump", "SquareAttack", "ZooAttack", "FastGradientMethod", "GeoDA"),
        settings=(
            "HopSkipJump.max_iter=5",
            "HopSkipJump.max_eval=200",
            "HopSkipJump.init_eval=20",
            "SquareAttack.max_iter=60",
            "ZooAttack.max_iter=20",
            "ZooAttack.learning_rate=0.1",
            "ZooAttack.use_resize=false",
            "ZooAttack.use_importance=false",
            "ZooAttack.nb_parallel=30",
        ),
        eps=(eps,),
        most_queries=50_000,
        rows=12,
    )
    _, readings = run(check, there)
    found = robust(readings)
    for name in ("HopSkipJump", "SquareAttack", "ZooAttack"):
        reading = found[name, eps]
        assert cast("float", reading.value) < 1, name
        assert reading.details["sees"] == "target"
        assert cast("int", reading.details["queries"]) > 12
    assert model.queries > sum(cast("int", item.details["queries"]) for item in found.values())
    assert gap(readings, "FastGradientMethod").reason is NOTHING.reason
    broken = gap(readings, "GeoDA")
    assert "numpy 2" in broken.detail
    assert broken.reason is GapReason.UNSUPPORTED


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attack", "words"),
    [
        ("AdversarialPatch", "needs"),
        ("CarliniWagnerASR", "a speech recogniser"),
        ("DPatch", "an object detector"),
        ("DecisionTreeAttack", "one decision tree"),
        ("FastGradientMethods", "no evasion attack"),
        ("HighConfidenceLowUncertainty", "a Gaussian process"),
        ("OverTheAirFlickeringPyTorch", "PyTorch"),
        ("LaserAttack", "cannot be made without"),
    ],
)
def test_an_attack_that_cannot_run_here_says_why(attack: str, words: str) -> None:
    there, _, _, _ = pictures()
    if attack == "AdversarialPatch":
        words = "AdversarialPatch"
    found = gap(
        run(ArtEvasionCheck(attacks=(attack,), rows=4, most_queries=9000), there)[1], attack
    )
    assert words in found.detail
    assert found.metric == "robust_accuracy"
    assert found.cure


@pytest.mark.slow
def test_an_attack_that_asks_for_more_than_it_may_is_over_budget() -> None:
    there, _, _, _ = pictures()
    found = gap(
        run(ArtEvasionCheck(attacks=("HopSkipJump",), most_queries=50, rows=4), there)[1],
        "HopSkipJump",
    )
    assert found.reason is GapReason.OVER_BUDGET


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes() -> None:
    check = ArtEvasionCheck(
        attacks=("BoundaryAttack", "HopSkipJump", "ProjectedGradientDescent", "SquareAttack"),
        settings=(
            "BoundaryAttack.max_iter=5",
            "HopSkipJump.max_iter=2",
            "HopSkipJump.max_eval=50",
            "HopSkipJump.init_eval=10",
            "ProjectedGradientDescent.max_iter=5",
            "ProjectedGradientDescent.num_random_init=1",
            "SquareAttack.max_iter=20",
        ),
        most_queries=50_000,
        rows=6,
    )

    def digests(seed: int) -> dict[str, str]:
        np.random.seed(seed)  # noqa: NPY002 -- what others do with it must not matter
        evidence = check.observe(replace(pictures()[0], seed=11), CheckShard())
        return {name: encode_evidence(item).digest for name, item in evidence.items()}

    assert digests(1) == digests(2)
    other = check.observe(replace(pictures()[0], seed=12), CheckShard())
    assert encode_evidence(other["HopSkipJump.crafted"]).digest != digests(1)["HopSkipJump.crafted"]


@pytest.mark.slow
def test_figures_are_counted_from_the_evidence_alone() -> None:
    there, _, _, _ = pictures()
    check = ArtEvasionCheck(eps=EPS)
    evidence, readings = run(check, there)
    name = "FastGradientMethod"
    before = [robust(readings)[name, eps].value for eps in EPS]
    own = {
        item.removeprefix(f"{name}."): value
        for item, value in evidence.items()
        if item.startswith(name)
    }
    again = build_robustness_readings({**evidence, **own}, CONFIDENCE, {})
    values = [
        item.value for item in again if isinstance(item, Measurement) and "eps" in item.params
    ]
    assert values == before
    assert before[-1] != 1
    untold = {**evidence, f"{name}.adversarial_probabilities": evidence["clean_probabilities"]}
    after = robust(check.figures(untold, CONFIDENCE))
    assert [after[name, eps].value for eps in EPS] == [1, 1, 1]
    far = {**evidence, f"{name}.distance": cast("Floats", evidence[f"{name}.distance"]) + 1}
    beyond = robust(check.figures(far, CONFIDENCE))
    assert [beyond[name, eps].value for eps in EPS] == [1, 1, 1]


def test_no_list_of_checks_and_no_door_imports_art() -> None:
    script = (
        "import json, sys, auditor.cli.main\n"
        "from auditor.checks.registry import discover_checks\n"
        "found = 'evasion.art' in discover_checks()\n"
        "print(json.dumps([found, 'art' in sys.modules, 'torch' in sys.modules]))"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(said) == [True, False, False]


def test_without_art_the_check_says_how_to_install_it() -> None:
    script = (
        "import sys; sys.modules['art'] = None\n"
        "from auditor.checks.evasion.art import ArtEvasionCheck\n"
        "from auditor.errors import MissingExtraError\n"
        "try:\n    ArtEvasionCheck().observe(None, None)\n"
        "except MissingExtraError as error:\n    print(error.cure)"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert suggest_install("art") in said


@pytest.mark.parametrize(
    "params",
    [
        {"norm": "l3"},
        {"eps": (0.0,)},
        {"rows": 0},
        {"seconds": 0.0},
        {"settings": ("max_iter=3",)},
    ],
)
def test_parameters_without_meaning_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        ArtEvasionCheck(**params)


def test_without_a_named_attack_there_is_a_gap_that_says_how_to_name_one() -> None:
    there, _, _, _ = pictures()
    _, readings = run(ArtEvasionCheck(attacks=()), there)
    missing = readings[-1]
    assert isinstance(missing, Gap)
    assert "attacks:" in missing.cure
