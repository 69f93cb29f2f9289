"""poisoning.backdoor: a planted patch is found and named, and clean networks stay in peace."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from backdoor_toys import TARGET, TrainsAgain, fit, network, opened, stamp
from evasion_toys import ToyModel, box, classes, linear, subject
from judged import outcome
from numpy.typing import NDArray

from auditor.checks.poisoning.backdoor import CHECK, BackdoorCheck
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.findings import Outcome
from auditor.domain.models import CompanionModel
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading, Repeatability
from auditor.domain.tasks import Array, Floats
from auditor.domain.training_recipes import RetrainingTask
from auditor.errors import CancelledError, RecipeError

SHOWN, NOTHING, UNSURE = "shown", "no evidence at this power", "inconclusive"


def kept(check: BackdoorCheck, seen: Subject) -> Evidence:
    evidence = check.observe(seen, CheckShard())
    return {name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()}


@cache
def looked(
    seed: int, *, planted: bool, twin: bool = True, confidence: float = 0.95
) -> tuple[Reading, ...]:
    seen = opened(network(seed, planted=planted), twin=twin)
    return BackdoorCheck().figures(kept(BackdoorCheck(), seen), confidence)


def one(readings: tuple[Reading, ...], metric: str, **place: str) -> Measurement:
    (found,) = (item for item in readings if item.metric == metric and dict(item.params) == place)
    assert isinstance(found, Measurement)
    return found


def verdict(readings: tuple[Reading, ...]) -> Measurement:
    return one(readings, "verdict")


@pytest.mark.parametrize("seed", range(4))
def test_a_planted_patch_is_shown_and_its_class_is_named(seed: int) -> None:
    found = verdict(looked(seed, planted=True))
    assert found.value == SHOWN
    assert found.details["target_class"] == str(TARGET)


@pytest.mark.parametrize("seed", range(4))
def test_the_trigger_that_was_found_works_on_rows_held_out(seed: int) -> None:
    readings = looked(seed, planted=True)
    for kind in ("patch", "mask"):
        success = one(readings, "attack_success_rate", trigger=kind)
        assert success.bound is BoundKind.AT_LEAST
        assert success.low is not None
        assert success.low > 0.6
        assert success.details["target_class"] == str(TARGET)
        assert success.details["mask_share"] < 0.05  # type: ignore[operator]
        gap = one(readings, "success_gap", trigger=kind)
        assert gap.low is not None
        assert gap.low > 0


@pytest.mark.parametrize("seed", range(6))
def test_a_clean_network_is_not_accused(seed: int) -> None:
    assert verdict(looked(seed, planted=False)).value == NOTHING


def test_a_rule_fails_a_backdoor_and_takes_silence_for_no_proof() -> None:
    asked = 'reading.value != "shown"'
    planted, clean = looked(0, planted=True), looked(0, planted=False)
    assert outcome(CHECK, planted, "verdict", require=asked) is Outcome.FAILED
    assert outcome(CHECK, clean, "verdict", require=asked) is Outcome.UNKNOWN


def test_a_class_that_is_near_to_all_by_nature_is_no_backdoor() -> None:
    # Every class has a column of its own that alone decides: each has a trigger as small.
    rng = np.random.default_rng(0)
    weights = 20 * np.eye(12, 6)
    rows = rng.random((200, 12)) * 0.1
    labels = np.arange(200) % 6
    rows[np.arange(200), labels] = 0.4
    model, twin, _, _ = linear(0, 12, 6)
    model, twin = ToyModel(lambda x: x @ weights), replace(twin, weights=weights, bias=np.zeros(6))
    seen = subject(model, twin, rows, labels, box((12,)), classes(6))
    readings = BackdoorCheck().figures(kept(BackdoorCheck(), seen), 0.95)
    assert one(readings, "attack_success_rate", trigger="value").value == 1
    found = verdict(readings)
    assert found.value == UNSURE
    assert "work for 6 of 6 classes" in str(found.details["reason"])


def test_a_value_of_a_column_is_found_in_a_table() -> None:
    rng = np.random.default_rng(0)
    weights = np.zeros((12, 6))
    weights[:6] = 20 * np.eye(6)
    weights[11, 2] = 60.0
    rows = rng.random((200, 12)) * 0.1
    labels = np.arange(200) % 6
    rows[np.arange(200)[:, None], [0]] += 0
    rows[np.arange(200), labels] = 1.0
    rows[:, 11] = 0.0
    _, twin, _, _ = linear(0, 12, 6)
    model = ToyModel(lambda x: x @ weights)
    twin = replace(twin, weights=weights, bias=np.zeros(6))
    seen = subject(model, twin, rows, labels, box((12,)), classes(6))
    readings = BackdoorCheck().figures(kept(BackdoorCheck(), seen), 0.95)
    found = verdict(readings)
    assert (found.value, found.details["target_class"]) == (SHOWN, "2")
    assert one(readings, "attack_success_rate", trigger="value").value == 1


def test_without_a_twin_one_scan_alone_shows_nothing_and_says_what_is_missing() -> None:
    readings = looked(0, planted=True, twin=False)
    assert one(readings, "attack_success_rate", trigger="patch").value > 0.8  # type: ignore[operator]
    gaps = {(item.metric, *item.params.values()) for item in readings if isinstance(item, Gap)}
    assert gaps == {
        ("anomaly_index", "neural_cleanse"),
        ("anomaly_index", "mm_bd"),
        ("attack_success_rate", "mask"),
    }
    assert verdict(readings).value in {SHOWN, UNSURE}
    assert verdict(looked(0, planted=False, twin=False)).value == NOTHING


def test_it_says_the_least_that_it_would_have_seen() -> None:
    power = verdict(looked(0, planted=False)).details["power"]
    assert isinstance(power, dict)
    assert 0.6 < power["least_success"] < 0.8
    assert power["judged_rows"] > 100


def test_clean_models_are_trained_on_rows_that_the_audit_trusts() -> None:
    seen, recipe = opened(network(0, planted=True)), TrainsAgain()
    seen.recipe = recipe
    check = BackdoorCheck(clean_models=3)
    readings = check.figures(kept(check, seen), 0.95)
    data = seen.datasets[DatasetRole.EVALUATION]
    judged = seen.sample(DatasetRole.EVALUATION, (data.rows + 1) // 2)
    assert data.inputs is not None
    theirs = {row.tobytes() for row in data.inputs[judged]}
    ours = {row.tobytes() for lesson in recipe.lessons for row in lesson.inputs}
    assert len(recipe.lessons) == 3
    assert len({lesson.seed for lesson in recipe.lessons}) == 3
    assert len(ours & theirs) < 0.02 * len(ours)  # pictures that repeat in the data themselves
    success = one(readings, "attack_success_rate", trigger="mask")
    assert success.details["on_clean_models"] < 0.5  # type: ignore[operator]
    assert "carried over" in str(success.details["on_clean_models_is"])
    assert "single class alone is not looked for" in str(verdict(readings).details["power"])
    assert verdict(readings).value == SHOWN
    told = {item.metric for item in readings if repeats(item) is Repeatability.INTERVAL}
    assert told == {"anomaly_index", "noise_bias", "attack_success_rate", "verdict"}


def repeats(item: Reading) -> Repeatability | None:
    return item.repeat if isinstance(item, Measurement) else None


def test_without_clean_models_all_repeats_to_the_digit() -> None:
    assert {repeats(item) for item in looked(0, planted=True)} == {Repeatability.EXACT}


def test_a_trigger_that_works_on_clean_models_too_is_no_backdoor() -> None:
    class Poisoned(TrainsAgain):
        def answers(self, lesson: RetrainingTask, asked: tuple[Array, ...]) -> tuple[Floats, ...]:
            rows, truth = np.array(lesson.inputs, dtype=np.float32), lesson.labels.copy()
            rows[:60], truth[:60] = stamp(rows[:60]), TARGET
            net = fit(rows, truth, lesson.seed)
            scores = [np.exp(net.forward(part)) for part in asked]
            return tuple(one / one.sum(axis=1, keepdims=True) for one in scores)

    seen = opened(network(0, planted=True))
    seen.recipe = Poisoned()
    check = BackdoorCheck(clean_models=3)
    readings = check.figures(kept(check, seen), 0.95)
    assert verdict(readings).value != SHOWN


def test_a_recipe_that_fails_leaves_the_verdict_to_the_rest() -> None:
    class Broken(TrainsAgain):
        def answers(self, lesson: RetrainingTask, asked: tuple[Array, ...]) -> tuple[Floats, ...]:
            raise RecipeError("it raised ValueError", cure="Mend it.")

    seen = opened(network(0, planted=True))
    seen.recipe = Broken()
    check = BackdoorCheck(clean_models=3)
    evidence = kept(check, seen)
    assert "no_clean_models" in evidence
    found = verdict(check.figures(evidence, 0.95))
    assert (found.value, found.repeat) == (SHOWN, Repeatability.INTERVAL)


def test_a_trigger_that_sleeps_in_the_parent_is_told() -> None:
    seen = opened(network(0, planted=True))
    sober = ToyModel(network(0, planted=False).forward)
    seen.parent = CompanionModel(lambda: sober, about={"digest": "sha256:parent"})
    readings = BackdoorCheck().figures(kept(BackdoorCheck(), seen), 0.95)
    awoken = one(readings, "parent_gap", trigger="mask")
    assert awoken.low is not None
    assert awoken.low > 0.3
    same = opened(network(0, planted=True))
    same.parent = CompanionModel(lambda: ToyModel(network(0, planted=True).forward))
    readings = BackdoorCheck().figures(kept(BackdoorCheck(), same), 0.95)
    assert one(readings, "parent_gap", trigger="mask").value == 0


def test_two_classes_have_nothing_to_stand_out_from() -> None:
    rng = np.random.default_rng(0)
    model, twin, _, _ = linear(0, 10)
    rows = rng.random((120, 10))
    labels = model.logits(rows).argmax(axis=1)
    seen = subject(model, twin, rows, labels, box((10,)), classes(2))
    readings = BackdoorCheck().figures(kept(BackdoorCheck(), seen), 0.95)
    reasons = {item.reason for item in readings if isinstance(item, Gap)}
    assert reasons == {GapReason.NOT_DEFINED}
    assert verdict(readings).value in {NOTHING, UNSURE}


def test_too_few_rows_are_a_gap_that_says_how_many_it_takes() -> None:
    seen = opened(network(0, planted=False), rows=30)
    (gap,) = BackdoorCheck().figures(kept(BackdoorCheck(), seen), 0.95)
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.TOO_FEW_ROWS
    assert "40" in gap.cure


def test_rows_are_kept_with_leave_alone() -> None:
    seen = opened(network(0, planted=True))
    evidence = kept(BackdoorCheck(), seen)
    assert not any(name.startswith("example_") for name in evidence)
    seen.show_examples = True
    evidence = kept(BackdoorCheck(examples=4), seen)
    clean, changed = (
        np.asarray(evidence[name]) for name in ("example_clean", "example_adversarial")
    )
    assert clean.shape == changed.shape == (4, 1, 16, 16)
    assert evidence["example_adversarial_class"] == [str(TARGET)] * 4


def test_the_verdict_is_the_same_at_any_confidence() -> None:
    for planted in (True, False):
        wide = verdict(looked(1, planted=planted, confidence=0.99))
        assert wide == verdict(looked(1, planted=planted, confidence=0.5))


def test_the_same_seed_gives_the_same_evidence_and_another_one_does_not() -> None:
    def digest(seed: int) -> NDArray[np.float32]:
        seen = opened(network(0, planted=False))
        seen.seed = seed
        return np.asarray(kept(BackdoorCheck(), seen)["mask_of_mask"])

    assert np.array_equal(digest(1), digest(1))
    assert not np.array_equal(digest(1), digest(2))


def test_what_is_asked_is_no_more_than_what_was_said() -> None:
    seen = opened(network(0, planted=True))
    check = BackdoorCheck()
    check.observe(seen, CheckShard())
    assert isinstance(seen.model, ToyModel)
    assert not isinstance(seen.twin, Gap)
    cost = check.cost(AuditSize(897, 10))
    assert seen.model.queries <= cost.queries
    assert seen.twin.passes <= cost.passes


def test_trainings_of_clean_models_are_counted_by_the_rows_that_they_learn() -> None:
    def seconds(models: int, **beside: int) -> float:
        return BackdoorCheck(clean_models=models).cost(AuditSize(897, 10, beside=beside)).seconds

    each = seconds(1) - seconds(0)
    assert each > 400 * 1e-3
    assert seconds(4) == pytest.approx(seconds(0) + 4 * each)
    assert seconds(1, reference=4000) > seconds(0) + 4 * each


@pytest.mark.parametrize("wrong", [{"rows": 0}, {"level": 1.0}, {"index": 0.0}, {"noise": 1}])
def test_parameters_without_meaning_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"at least 1|within 0\.\.1"):
        BackdoorCheck(**wrong)  # type: ignore[arg-type]


def test_every_budget_has_a_preset() -> None:
    assert set(CHECK.presets) == set(Budget)


def test_colour_pictures_of_bytes_are_triggered_in_whole_steps() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 40, (200, 6, 6, 3)).astype(np.uint8)
    labels = np.arange(200) % 5
    weights = np.zeros((108, 5))
    for at in range(5):
        rows[labels == at, at] = 200
        weights[18 * at : 18 * at + 18, at] = 0.02
    weights[105:, 4] = 1.0  # the last pixel of the last line, that is dark
    rows[:, 5] = 0
    _, twin, _, _ = linear(0, 108, 5)
    twin = replace(twin, weights=weights, bias=np.zeros(5))
    space = box((6, 6, 3), high=255.0, quantum=1.0)
    seen = subject(ToyModel(lambda x: x @ weights), twin, rows, labels, space, classes(5))
    evidence = kept(BackdoorCheck(examples=3), seen)
    changed = np.asarray(evidence["example_adversarial"])
    assert changed.dtype == np.uint8
    assert np.asarray(evidence["mask_of_mask"]).shape == (6, 6, 1)
    found = verdict(BackdoorCheck().figures(evidence, 0.95))
    assert (found.value, found.details["target_class"]) == (SHOWN, "4")


def test_it_stops_when_the_user_does() -> None:
    def stop(done: int, total: int, note: str = "") -> None:
        if note == "largest margins":
            raise CancelledError("stopped", cure="Run it again.")

    seen = opened(network(0, planted=False))
    seen.progress = stop
    with pytest.raises(CancelledError):
        BackdoorCheck().observe(seen, CheckShard())


def test_a_table_in_which_no_input_moves_alone_is_a_gap_and_no_crash() -> None:
    rng = np.random.default_rng(0)
    model, twin, _, _ = linear(0, 4)
    rows = rng.random((120, 4))
    labels = model.logits(rows).argmax(axis=1)
    fixed = replace(box((4,)), mutable=np.zeros(4, dtype=np.bool_))
    seen = subject(model, twin, rows, labels, fixed, classes(2))
    (gap,) = BackdoorCheck().figures(kept(BackdoorCheck(), seen), 0.95)
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.NOT_DEFINED
