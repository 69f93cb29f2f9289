from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from evasion_toys import LinearTwin, ToyModel, box, classes, linear, subject
from numpy.typing import NDArray

from auditor.attacks.evasion.run_check import REFINE
from auditor.checks.evasion.linf import CHECK, LinfEvasionCheck
from auditor.checks.evasion.linf_query import LinfQueryCheck
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading, Repeatability
from auditor.domain.tasks import FeatureKind, InputFeature, InputSpace
from auditor.errors import PolicyError

CHECKS = {"linf": LinfEvasionCheck(), "linf_query": LinfQueryCheck(iterations=60)}
EPS = (0.02, 0.05, 0.1, 0.2)


def toy(seed: int = 0, rows: int = 80) -> Subject:
    model, twin, _, _ = linear(seed, 10)
    inputs = np.random.default_rng(seed).random((rows, 10)).astype(np.float32)
    labels = model.logits(inputs.astype(np.float64)).argmax(axis=1)
    labels[:8] = 1 - labels[:8]
    return subject(model, twin, inputs, labels, box((10,)), classes(2))


def measured(readings: tuple[Reading, ...]) -> list[Measurement]:
    found = [reading for reading in readings if isinstance(reading, Measurement)]
    assert len(found) == len(readings)
    return found


def stored(evidence: Evidence) -> dict[str, Any]:
    return {name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()}


@pytest.fixture(params=list(CHECKS))
def check(request: pytest.FixtureRequest) -> LinfEvasionCheck | LinfQueryCheck:
    return CHECKS[request.param]


def test_the_readings_are_the_closed_form_of_a_linear_model() -> None:
    seen = toy()
    model = seen.model
    assert isinstance(model, ToyModel)
    readings = measured(
        LinfEvasionCheck(rows=80).figures(
            LinfEvasionCheck(rows=80).observe(seen, CheckShard()), 0.95
        )
    )
    data = next(iter(seen.datasets.values()))
    twin = seen.twin
    assert isinstance(twin, LinearTwin)
    assert data.inputs is not None
    assert data.labels is not None
    x = data.inputs.astype(np.float64)
    side = np.where(data.labels == 1, 1.0, -1.0)[:, None]
    way = side * (twin.weights[:, 1] - twin.weights[:, 0])
    for reading in readings[1:5]:
        eps = reading.params["eps"]
        assert isinstance(eps, float)
        worst = np.where(way > 0, np.maximum(x - eps, 0), np.minimum(x + eps, 1))
        robust = (worst * way).sum(axis=1) + side[:, 0] * (twin.bias[1] - twin.bias[0]) > 0
        assert reading.value == pytest.approx(robust.mean())


def test_readings_come_in_one_order_at_any_confidence(
    check: LinfEvasionCheck | LinfQueryCheck,
) -> None:
    evidence = check.observe(toy(), CheckShard())
    names = [
        ("clean_accuracy", {"norm": "linf"}),
        *(("robust_accuracy", {"eps": eps, "norm": "linf"}) for eps in EPS),
        ("min_breaking_eps", {"norm": "linf"}),
    ]
    for confidence in (0.5, 0.95, 0.9999):
        readings = measured(check.figures(evidence, confidence))
        assert [(reading.metric, dict(reading.params)) for reading in readings] == names
        for reading in readings:
            assert reading.metric in check.emits
            assert reading.bound is check.emits[reading.metric].bound
            assert reading.unit is check.emits[reading.metric].unit
            assert isinstance(reading.value, float)
            assert reading.low is not None
            assert reading.high is not None
            assert reading.low <= reading.value <= reading.high


def test_accuracy_falls_as_the_budget_grows(check: LinfEvasionCheck | LinfQueryCheck) -> None:
    readings = measured(check.figures(check.observe(toy(), CheckShard()), 0.95))
    shares = [reading.value for reading in readings[:5]]
    assert shares == sorted(shares, reverse=True)  # type: ignore[type-var]  # all are numbers
    assert shares[0] == pytest.approx(72 / 80)
    assert shares[4] < shares[0]  # type: ignore[operator]  # all are numbers


def test_half_of_the_rows_break_at_the_median_budget(
    check: LinfEvasionCheck | LinfQueryCheck,
) -> None:
    readings = measured(check.figures(check.observe(toy(), CheckShard()), 0.95))
    median = readings[-1].value
    below = [r.value for r in readings[1:5] if r.params["eps"] >= median]  # type: ignore[operator]
    above = [r.value for r in readings[1:5] if r.params["eps"] < median]  # type: ignore[operator]
    assert all(value <= 0.5 for value in below)  # type: ignore[operator]
    assert all(value > 0.5 for value in above)  # type: ignore[operator]


def test_figures_need_the_stored_evidence_and_nothing_else(
    check: LinfEvasionCheck | LinfQueryCheck,
) -> None:
    evidence = check.observe(toy(), CheckShard())
    assert check.figures(stored(evidence), 0.95) == check.figures(evidence, 0.95)


def test_the_same_subject_gives_the_same_bytes(check: LinfEvasionCheck | LinfQueryCheck) -> None:
    first, second = (check.observe(toy(), CheckShard()) for _ in range(2))
    assert list(first) == list(second)
    for name in first:
        assert encode_evidence(first[name]).digest == encode_evidence(second[name]).digest, name


def test_queries_and_passes_stay_within_the_cost_that_was_told(
    check: LinfEvasionCheck | LinfQueryCheck,
) -> None:
    seen = toy()
    cost = check.cost(AuditSize(rows=80, classes=2))
    evidence = check.observe(seen, CheckShard())
    assert isinstance(seen.model, ToyModel)
    assert isinstance(seen.twin, LinearTwin)
    assert seen.model.queries <= cost.queries
    assert seen.twin.passes <= cost.passes
    told = evidence["settings"]
    assert isinstance(told, Mapping)
    log = cast("list[dict[str, int]]", told["log"])
    assert seen.model.queries == 80 + sum(bill["queries"] for bill in log)
    assert seen.twin.passes == sum(bill["passes"] for bill in log)


def test_a_model_that_nothing_breaks_costs_exactly_what_was_told(
    check: LinfEvasionCheck | LinfQueryCheck,
) -> None:
    if isinstance(check, LinfEvasionCheck):
        check = replace(check, stages=("cross_entropy:20", "margin:20"))
    model = ToyModel(lambda x: np.tile([3.0, 0.0], (len(x), 1)))
    twin = LinearTwin(np.zeros((4, 2)), np.array([3.0, 0.0]))
    rows, labels = np.full((9, 4), 0.5), np.zeros(9, dtype=np.int64)
    seen = subject(model, twin, rows, labels, box((4,)), classes(2))
    readings = measured(check.figures(check.observe(seen, CheckShard()), 0.95))
    cost = check.cost(AuditSize(rows=9, classes=2))
    assert {reading.value for reading in readings} == {1.0}
    assert twin.passes == cost.passes
    if isinstance(check, LinfQueryCheck):
        assert model.queries == cost.queries - 9 * REFINE  # nothing to refine
    assert readings[-1].details["unbroken_share"] == 1.0


def test_a_smaller_sample_takes_the_first_rows_of_the_audits_permutation() -> None:
    evidence = LinfEvasionCheck(rows=10).observe(toy(), CheckShard())
    wanted = toy().sample(next(iter(toy().datasets)), 10)
    assert evidence["ids"] == [f"row-{row}" for row in wanted]


def test_without_leave_no_row_of_the_users_is_kept(
    check: LinfEvasionCheck | LinfQueryCheck,
) -> None:
    seen = toy()
    seen.show_examples = False
    evidence = check.observe(seen, CheckShard())
    kept = evidence.get("example_clean", np.empty((0, 10)))
    assert isinstance(kept, np.ndarray)
    assert len(kept) == 0
    assert measured(check.figures(evidence, 0.95))[-2].details["broken"] != 0


def test_broken_examples_are_kept_with_their_clean_rows_up_to_the_number_asked(
    check: LinfEvasionCheck | LinfQueryCheck,
) -> None:
    seen = toy()
    evidence = check.observe(seen, CheckShard())
    clean, crafted = evidence["example_clean"], evidence["example_adversarial"]
    assert isinstance(clean, np.ndarray)
    assert isinstance(crafted, np.ndarray)
    assert clean.shape == crafted.shape == (8, 10)
    assert isinstance(seen.model, ToyModel)
    said = seen.model.logits(crafted.astype(np.float64)).argmax(axis=1)
    assert evidence["example_adversarial_class"] == [str(index) for index in said]
    assert evidence["example_clean_class"] != evidence["example_adversarial_class"]
    eps = evidence["example_eps"]
    assert isinstance(eps, list)
    assert (np.abs(crafted - clean).max(axis=1) <= np.array(eps) + 1e-6).all()
    assert eps == sorted(eps)
    rows = evidence["example_rows"]
    named = measured(check.figures(evidence, 0.95))[-1].details["examples"]
    assert named == rows


def test_no_clean_row_is_kept_where_none_is_to_be_shown() -> None:
    evidence = LinfEvasionCheck(examples=0).observe(toy(), CheckShard())
    assert not [name for name in evidence if name.startswith("example")]
    assert (
        measured(LinfEvasionCheck(examples=0).figures(evidence, 0.95))[-1].details["examples"] == []
    )


def test_crafted_inputs_are_kept_for_every_broken_row(
    check: LinfEvasionCheck | LinfQueryCheck,
) -> None:
    seen = toy()
    evidence = check.observe(seen, CheckShard())
    crafted, places, labels = (evidence[name] for name in ("crafted", "crafted_rows", "labels"))
    assert isinstance(crafted, np.ndarray)
    assert isinstance(labels, np.ndarray)
    assert isinstance(seen.model, ToyModel)
    said = seen.model.logits(crafted.astype(np.float64)).argmax(axis=1)
    assert (said != labels[places]).all()
    last = measured(check.figures(evidence, 0.95))[-2]
    assert last.details["broken"] == len(crafted)


def test_a_change_beyond_its_budget_does_not_count_whatever_the_target_said() -> None:
    check = LinfEvasionCheck(examples=0)
    evidence = dict(check.observe(toy(), CheckShard()))
    before = measured(check.figures(evidence, 0.95))
    distance = evidence["distance"]
    assert isinstance(distance, np.ndarray)
    evidence["distance"] = np.where(distance > 0, 0.9, 0.0)
    after = measured(check.figures(evidence, 0.95))
    assert after[1].value == after[4].value == before[0].value


def test_a_row_broken_at_one_budget_counts_as_broken_at_every_larger_one() -> None:
    check = LinfEvasionCheck(examples=0)
    evidence = dict(check.observe(toy(), CheckShard()))
    before = measured(check.figures(evidence, 0.95))
    distance = evidence["distance"]
    assert isinstance(distance, np.ndarray)
    for nearer in (0.03, 0.06, 0.15):
        evidence["distance"] = np.where(distance > 0, nearer, 0.0)
        curve = [reading.value for reading in measured(check.figures(evidence, 0.95))[1:5]]
        assert curve == [before[0].value if eps < nearer else before[4].value for eps in EPS]


def test_an_example_that_moved_further_than_it_says_is_measured_anew() -> None:
    check = LinfEvasionCheck()
    evidence = dict(check.observe(toy(), CheckShard()))
    before = measured(check.figures(evidence, 0.95))[4]
    crafted = evidence["example_adversarial"]
    assert isinstance(crafted, np.ndarray)
    evidence["example_adversarial"] = crafted + 0.5
    after = measured(check.figures(evidence, 0.95))[4]
    assert after.details["broken"] == before.details["broken"] - 8  # type: ignore[operator]


def test_an_input_that_nobody_can_move_gives_a_gap(
    check: LinfEvasionCheck | LinfQueryCheck,
) -> None:
    still = box((10,), mutable=np.zeros(10, dtype=np.bool_))
    seen = toy()
    seen.space = still
    (gap,) = check.figures(check.observe(seen, CheckShard()), 0.95)
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.NOT_DEFINED
    assert "none of the 10 input coordinates" in gap.detail
    assert isinstance(seen.model, ToyModel)
    assert seen.model.queries == 80


def test_only_quantities_that_may_change_are_moved(
    check: LinfEvasionCheck | LinfQueryCheck,
) -> None:
    features = (
        InputFeature("income"),
        InputFeature("dependants", FeatureKind.INTEGER),
        InputFeature("married", FeatureKind.BINARY),
        InputFeature("region", FeatureKind.CATEGORICAL),
        InputFeature("race", immutable=True),
    )
    space = InputSpace(
        np.zeros(5), np.array([100.0, 10.0, 1.0, 3.0, 1.0]), np.zeros(5), np.ones(5, bool), features
    )
    rng = np.random.default_rng(0)
    rows = np.column_stack(
        [rng.random(50) * 100, *(rng.integers(0, top + 1, 50) for top in (10, 1, 3, 1))]
    )
    weights = np.array([[0.0, 0.05], [0, 0.5], [0, 2.0], [0, 1.0], [0, 3.0]])
    twin = LinearTwin(weights, np.array([6.5, 0.0]))
    model = ToyModel(lambda x: x @ weights + twin.bias)
    labels = model.logits(rows).argmax(axis=1)
    evidence = check.observe(subject(model, twin, rows, labels, space, classes(2)), CheckShard())
    crafted = evidence["crafted"]
    assert isinstance(crafted, np.ndarray)
    assert len(crafted) > 5
    clean: NDArray[np.float64] = rows[row_numbers(evidence)]
    np.testing.assert_array_equal(crafted[:, 2:], clean[:, 2:])
    np.testing.assert_array_equal(crafted[:, 1], np.rint(crafted[:, 1]))
    robust = measured(check.figures(evidence, 0.95))[1]
    assert robust.details["movable"] == 1  # at eps 0.02 no integer of 0..10 can move


def test_a_budget_below_the_step_of_every_input_withstands_nothing(
    check: LinfEvasionCheck | LinfQueryCheck,
) -> None:
    space = InputSpace(
        np.zeros(2), np.full(2, 10.0), np.zeros(2), np.ones(2, bool),
        (InputFeature("rooms", FeatureKind.INTEGER), InputFeature("floors", FeatureKind.INTEGER)),
    )  # fmt: skip
    rows = np.random.default_rng(0).integers(0, 11, (50, 2)).astype(float)
    weights = np.array([[0.0, 0.5], [0, 0.5]])
    twin = LinearTwin(weights, np.array([5.0, 0.0]))
    model = ToyModel(lambda x: x @ weights + twin.bias)
    labels = model.logits(rows).argmax(axis=1)
    both = replace(check, eps=(0.02, 0.2))
    evidence = both.observe(subject(model, twin, rows, labels, space, classes(2)), CheckShard())
    readings = both.figures(evidence, 0.95)
    gap = next(it for it in readings if isinstance(it, Gap))
    assert (gap.metric, gap.params) == ("robust_accuracy", {"eps": 0.02, "norm": "linf"})
    assert "no input can move" in gap.detail
    figures = [it for it in readings if isinstance(it, Measurement)]
    robust = [it for it in figures if it.metric == "robust_accuracy"]
    assert [it.params["eps"] for it in robust] == [0.2]
    assert robust[0].value is not None
    assert robust[0].value < 1


def row_numbers(evidence: Evidence) -> list[int]:
    ids, places = evidence["ids"], evidence["crafted_rows"]
    assert isinstance(ids, list)
    assert isinstance(places, np.ndarray)
    return [int(str(ids[place]).removeprefix("row-")) for place in places]


def test_figures_of_a_model_that_changes_its_mind_are_doubted(
    check: LinfEvasionCheck | LinfQueryCheck,
) -> None:
    seen = toy()
    assert isinstance(seen.model, ToyModel)
    seen.model.deterministic = False
    for reading in measured(check.figures(check.observe(seen, CheckShard()), 0.95)):
        assert reading.doubted
        assert reading.repeat is Repeatability.INTERVAL


def test_what_an_attack_finds_is_a_bound_and_never_an_estimate(
    check: LinfEvasionCheck | LinfQueryCheck,
) -> None:
    assert check.emits["robust_accuracy"].bound is BoundKind.AT_MOST
    assert check.emits["min_breaking_eps"].bound is BoundKind.AT_MOST


def test_every_budget_gives_at_least_three_eps(check: LinfEvasionCheck | LinfQueryCheck) -> None:
    for budget in Budget:
        made = type(check)(**check.presets[budget])  # type: ignore[arg-type]
        assert len(set(made.eps)) >= 3


def test_a_policys_values_join_in_any_order_and_only_once() -> None:
    check = LinfEvasionCheck(eps=(0.2, 0.02, 0.2, 0.1))
    readings = measured(check.figures(check.observe(toy(), CheckShard()), 0.95))
    assert [reading.params.get("eps") for reading in readings[1:-1]] == [0.02, 0.1, 0.2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"eps": ()},
        {"eps": (0.0,)},
        {"eps": (1.5,)},
        {"stages": ()},
        {"rows": 0},
        {"stages": ("x:20",)},
        {"stages": ("margin",)},
        {"stages": ("margin:0",)},
    ],
)
def test_parameters_without_a_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        LinfEvasionCheck(**wrong)


def test_the_best_precision_is_half_of_an_exact_interval(
    check: LinfEvasionCheck | LinfQueryCheck,
) -> None:
    # Clopper-Pearson of 60 of 60 at 95 %: from 0.025 ** (1 / 60) to 1.
    said = check.precision(AuditSize(rows=60, classes=2), 0.95)["robust_accuracy"]
    assert said == pytest.approx((1 - 0.025 ** (1 / 60)) / 2)


def test_the_class_is_the_check() -> None:
    assert CHECK is LinfEvasionCheck
    assert CHECK.id == "evasion.linf"


@pytest.mark.parametrize("check", [LinfEvasionCheck(rows=20), LinfQueryCheck(rows=20)])
def test_ranges_that_rows_hardly_fill_are_told_beside_the_figures(
    check: LinfEvasionCheck | LinfQueryCheck,
) -> None:
    seen = toy()
    wide = replace(seen, space=box((10,), high=255.0))
    for subject_, told in ((seen, False), (wide, True)):
        curve = measured(check.figures(check.observe(subject_, CheckShard()), 0.95))[1:]
        assert all((it.details.get("filled", 1.0) < 0.005) == told for it in curve)


def test_a_table_fills_its_ranges_as_its_median_column_does() -> None:
    features = tuple(InputFeature(name, FeatureKind.NUMERIC, low=0, high=4) for name in "abc")
    space = replace(box((3,), high=4.0, features=features))
    rows = np.array([[0, 1, 0], [4, 2, 0.5]])
    assert space.measure_fill(rows) == 0.25
    assert replace(space, mutable=np.zeros(3, dtype=np.bool_)).measure_fill(rows) == 1.0
    assert replace(space, features=()).measure_fill(rows) == 1.0
