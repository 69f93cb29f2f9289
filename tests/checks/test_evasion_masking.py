"""Every planted masking is named, no plain model is, and figures that rest on it are doubted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evasion_toys import LinearTwin, ToyModel, box, classes, linear, subject
from masked_models import MASKED, PLAIN, forest, logistic, subject_of
from watching import Nobody

from auditor.attacks.gradient_masking.gradient_survey import EXAMINED_ROWS
from auditor.attacks.gradient_masking.indicators import INDICATORS, MOST_MISSED, is_surely_above
from auditor.checks.evasion.linf import LinfEvasionCheck
from auditor.checks.evasion.linf_query import LinfQueryCheck
from auditor.checks.evasion.masking import CHECK, GradientMaskingCheck
from auditor.checks.measure import compute_readings
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check
from auditor.domain.evidence import Blob, Evidence, decode_evidence, encode_evidence
from auditor.domain.json import encode_canonical
from auditor.domain.observed_checks import Result
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Repeatability
from auditor.domain.row_limits import ROWS_IN_TIME, FixedRows
from auditor.errors import PolicyError
from auditor.workflows.engine.local import observe_checks
from auditor.workflows.engine.time_allowance import TimeAllowance

SHOWS = {
    "int8": {"zero_gradient_share", "black_box_only_share", "unbounded_missed_share"},
    "eight levels": {"zero_gradient_share", "black_box_only_share", "unbounded_missed_share"},
    "thermometer": {"zero_gradient_share", "black_box_only_share", "random_only_share"},
    "threshold": {"zero_gradient_share", "random_only_share", "larger_eps_missed_share"},
    "steep": {"unbounded_missed_share"},
    "wavy": {"one_step_only_share", "black_box_only_share"},
    "floored softmax": {"zero_gradient_share", "unbounded_missed_share"},
    "noise": {"randomised_share"},
    "stranger": {"phantom_share"},
}
SKLEARN: Mapping[str, Callable[[Path, int], Subject]] = {"forest": forest, "logistic": logistic}
QUICK_MASKED = ("wavy", "stranger")
QUICK_PLAIN = ("int8",)
SLOW = pytest.mark.slow


def plain(name: str, folder: Path, seed: int) -> Subject:
    if name in SKLEARN:
        return SKLEARN[name](folder, seed)
    return subject_of(PLAIN[name](seed), folder, seed)


def looked(
    seen: Subject, check: GradientMaskingCheck | None = None
) -> dict[str, list[Measurement]]:
    """Return readings by metric, from stored evidence."""
    check = check or GradientMaskingCheck()
    evidence = {
        name: decode_evidence(encode_evidence(item).raw)
        for name, item in check.observe(seen, CheckShard()).items()
    }
    found: dict[str, list[Measurement]] = {}
    for reading in check.figures(evidence, 0.95):
        encode_canonical(reading.to_json())
        if isinstance(reading, Measurement):
            found.setdefault(reading.metric, []).append(reading)
    return found


def named(found: Mapping[str, Sequence[Measurement]], what: str) -> set[str]:
    (summary,) = found["believable"]
    told: Any = summary.details[what]
    return {sign["indicator"] for sign in told}


def marked(names: Sequence[str], quick: Sequence[str]) -> list[Any]:
    return [name if name in quick else pytest.param(name, marks=SLOW) for name in names]


@pytest.mark.parametrize("name", marked(list(MASKED), QUICK_MASKED))
def test_a_planted_masking_is_named_by_the_signs_that_it_has(name: str, tmp_path: Path) -> None:
    found = looked(subject_of(MASKED[name](0), tmp_path, 0))
    assert found["believable"][0].value is False
    assert named(found, "failed") >= SHOWS[name]


@pytest.mark.parametrize("name", marked([*PLAIN, *SKLEARN], QUICK_PLAIN))
def test_a_plain_model_is_believed(name: str, tmp_path: Path) -> None:
    found = looked(plain(name, tmp_path, 0))
    assert named(found, "failed") == set()
    assert found["believable"][0].value is True


@SLOW
@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 6))]
)
def test_over_seeds_all_maskings_are_found_and_no_plain_model_is(seed: int, tmp_path: Path) -> None:
    found = {name: looked(subject_of(MASKED[name](seed), tmp_path, seed)) for name in MASKED}
    assert [name for name in found if found[name]["believable"][0].value] == []
    alarms = [
        name
        for name in [*PLAIN, *SKLEARN]
        if not looked(plain(name, tmp_path, seed))["believable"][0].value
    ]
    assert alarms == []


def test_a_softmax_that_saturates_is_told_and_believed(tmp_path: Path) -> None:
    found = looked(subject_of(PLAIN["hot softmax"](0), tmp_path, 0))
    assert found["believable"][0].value is True
    assert named(found, "noted") == {"softmax_output", "saturated_share"}
    assert found["saturated_share"][0].value > 0.9  # type: ignore[operator]  # a share


# What becomes of the figures


CHECKS: tuple[Check, ...] = (
    LinfEvasionCheck(rows=60),
    LinfQueryCheck(rows=60),
    GradientMaskingCheck(),
)


def observed(seen: Subject, checks: Sequence[Check] = CHECKS) -> tuple[Result, ...]:
    def keep(_: Blob) -> None:
        pass

    return observe_checks(
        checks, seen, keep, Nobody(), TimeAllowance(seen.target, AuditSize(rows=60, classes=10))
    )


def of(found: Sequence[Reading], check: str, metric: str) -> list[Measurement]:
    return [
        item
        for item in found
        if isinstance(item, Measurement) and (item.check, item.metric) == (check, metric)
    ]


@pytest.fixture(scope="module")
def rounded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, ...]:
    """What is seen of an INT8 net whose twin has the gradient of rounding: none."""
    folder = tmp_path_factory.mktemp("rounded")
    return observed(subject_of(MASKED["int8"](0), folder, 0))


def test_every_sign_says_what_it_found_and_what_to_do(rounded: tuple[Result, ...]) -> None:
    (summary,) = of(compute_readings(rounded, 0.95), "evasion.masking", "believable")
    failed: Any = summary.details["failed"]
    assert {sign["indicator"] for sign in failed} >= SHOWS["int8"]
    assert len({sign["indicator"] for sign in failed}) == len(failed)
    zero = failed[0]
    assert zero["indicator"] == "zero_gradient_share"
    assert "gradient is zero or not finite: 48 of 48" in zero["found"]
    assert "model.twin: auto" in zero["means"]


def test_masked_figures_are_doubted_and_the_black_box_stands_in(
    rounded: tuple[Result, ...],
) -> None:
    alone, found = compute_readings(rounded[:2], 0.95), compute_readings(rounded, 0.95)
    before, after = (of(item, "evasion.linf", "robust_accuracy")[-1] for item in (alone, found))
    black = of(found, "evasion.linf_query", "robust_accuracy")[-1]
    assert before.value > 0.8  # type: ignore[operator]  # a share
    assert not before.doubted
    assert after.doubted
    assert (after.value, after.low, after.high) == (black.value, black.low, black.high)
    assert after.value < 0.2  # type: ignore[operator]  # a share
    assert after.details["believe_instead"] == {
        "check": "evasion.linf_query",
        "eps": 0.2,
        "norm": "linf",
        "value": black.value,
        "low": black.low,
        "high": black.high,
        "n": 60,
    }
    was: Any = after.details["found_by_gradients"]
    assert was["value"] == before.value
    assert set(after.evidence) >= {*before.evidence, *black.evidence}
    assert not black.doubted
    assert not of(found, "evasion.linf", "clean_accuracy")[0].doubted


def test_a_believed_models_figures_stay_as_they_are(tmp_path: Path) -> None:
    results = observed(subject_of(PLAIN["mlp"](0), tmp_path, 0))
    alone, found = compute_readings(results[:2], 0.95), compute_readings(results, 0.95)
    assert found[: len(alone)] == alone


def test_doubt_does_not_depend_on_the_confidence(rounded: tuple[Result, ...]) -> None:
    shown = [
        [(item.check, item.metric, dict(item.params), isinstance(item, Gap) or item.doubted)
         for item in compute_readings(rounded, confidence)]
        for confidence in (0.5, 0.95, 0.9999)
    ]  # fmt: skip
    assert shown[0] == shown[1] == shown[2]


# The contract of a check, on models that are solved on paper


def toy(*, masked: bool = False, rows: int = 60, deterministic: bool = True) -> Subject:
    model, twin, _, _ = linear(0, 10)
    model.deterministic = deterministic
    if masked:
        twin = LinearTwin(np.zeros_like(twin.weights), twin.bias)
    inputs = np.random.default_rng(0).random((rows, 10)).astype(np.float32)
    labels = model.logits(inputs.astype(np.float64)).argmax(axis=1)
    return subject(model, twin, inputs, labels, box((10,)), classes(2))


def test_a_linear_model_shows_nothing_and_its_unbounded_attack_breaks_every_row() -> None:
    found = looked(toy())
    shares = [item for name in found for item in found[name] if name.endswith("_share")]
    assert {item.value for item in shares} == {0.0}
    assert found["unbounded_missed_share"][0].n == 50
    assert found["believable"][0].value is True


def test_a_twin_without_gradient_shows_it_on_every_row() -> None:
    found = looked(toy(masked=True))
    assert found["zero_gradient_share"][0].value == 1.0
    assert found["unbounded_missed_share"][0].value == 1.0
    assert found["believable"][0].value is False
    assert len(found["zero_gradient_share"][0].details["worst_rows"]) == 8  # type: ignore[arg-type]  # a list


def test_a_model_that_answers_at_random_is_named_even_where_five_answers_agree() -> None:
    found = looked(toy(deterministic=False))
    assert named(found, "failed") == {"randomised_share"}
    assert {item.repeat for name in found for item in found[name]} == {Repeatability.INTERVAL}


def test_the_same_subject_gives_the_same_bytes_and_the_same_readings() -> None:
    first, second = (GradientMaskingCheck().observe(toy(), CheckShard()) for _ in range(2))
    assert list(first) == list(second)
    for name in first:
        assert encode_evidence(first[name]).digest == encode_evidence(second[name]).digest, name
    stored = {name: decode_evidence(encode_evidence(item).raw) for name, item in first.items()}
    assert GradientMaskingCheck().figures(stored, 0.9) == GradientMaskingCheck().figures(first, 0.9)


@pytest.mark.parametrize("masked", [False, True])
def test_queries_and_passes_stay_within_the_cost_that_was_told(*, masked: bool) -> None:
    seen = toy(masked=masked)
    cost = GradientMaskingCheck().cost(AuditSize(rows=60, classes=2))
    GradientMaskingCheck().observe(seen, CheckShard())
    assert isinstance(seen.model, ToyModel)
    assert isinstance(seen.twin, LinearTwin)
    assert cost.queries / 10 < seen.model.queries <= cost.queries
    assert cost.passes / 10 < seen.twin.passes <= cost.passes


def test_too_few_right_rows_are_a_gap_and_not_a_clean_bill() -> None:
    seen = toy()
    data = next(iter(seen.datasets.values()))
    assert data.labels is not None
    data.labels[9:] = 1 - data.labels[9:]
    (gap,) = GradientMaskingCheck().figures(
        GradientMaskingCheck().observe(seen, CheckShard()), 0.95
    )
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.TOO_FEW_ROWS


def test_columns_that_nobody_may_move_are_a_gap() -> None:
    seen = toy()
    seen.space = box((10,), mutable=np.zeros(10, dtype=np.bool_))
    (gap,) = GradientMaskingCheck().figures(
        GradientMaskingCheck().observe(seen, CheckShard()), 0.95
    )
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.NOT_DEFINED


def test_columns_that_decide_and_cannot_move_are_no_masking() -> None:
    model, twin, weights, bias = linear(0, 10)
    weights[0] = (-40.0, 40.0)
    bias += (20.0, -20.0)
    mutable = np.arange(10) > 0
    inputs = np.random.default_rng(1).random((60, 10)).astype(np.float32)
    inputs[:, 0] = np.arange(60) % 2
    labels = model.logits(inputs.astype(np.float64)).argmax(axis=1)
    seen = subject(model, twin, inputs, labels, box((10,), mutable=mutable), classes(2))
    found = looked(seen)
    assert found["believable"][0].value is True
    assert "unbounded_missed_share" not in found  # no copy breaks a row, so nothing must


def test_every_budget_looks_at_three_eps_and_every_metric_is_declared() -> None:
    for budget in Budget:
        assert len(set(GradientMaskingCheck(**GradientMaskingCheck.presets[budget]).eps)) >= 3  # type: ignore[arg-type]  # as JSON has them
    assert set(CHECK.emits) == {"believable", *INDICATORS}


@pytest.mark.parametrize(
    "wrong", [{"eps": ()}, {"rows": 0}, {"near": 0.0}, {"stages": ("square:5x1x1",)}]
)
def test_parameters_without_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        GradientMaskingCheck(**wrong)


# Where time is limited, some rows alone are examined


def cut_short(seen: Subject, *parts: int) -> Evidence:
    limited = replace(seen, row_limit=FixedRows(parts))
    return GradientMaskingCheck().observe(limited, CheckShard())


def judged(evidence: Evidence) -> Reading:
    found = GradientMaskingCheck().figures(evidence, 0.95)
    return next(it for it in found if it.metric in {"believable", ""})


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=SLOW) for seed in (1, 2))])
@pytest.mark.parametrize("name", marked([*MASKED, *PLAIN], ("steep", "wavy", "stranger", "int8")))
def test_as_few_rows_as_count_tell_masked_from_plain_gradients(
    name: str, seed: int, tmp_path: Path
) -> None:
    for kind, believed in ((MASKED, False), (PLAIN, True)):
        if name in kind:
            folder = tmp_path / str(believed)
            folder.mkdir()
            made = subject_of(kind[name](seed), folder, seed)
            found = judged(cut_short(made, 8, EXAMINED_ROWS - 8))
            assert isinstance(found, Measurement)
            assert (found.value, found.n) == (believed, EXAMINED_ROWS)


def test_as_few_rows_as_count_find_attacks_that_miss_three_rows_in_ten() -> None:
    """A false alarm of one that misses one row in a hundred is as seldom as its level says."""
    draws = np.random.default_rng(0).random((4000, EXAMINED_ROWS))
    for missed, least, most in ((0.3, 0.95, 1.0), (0.01, 0.0, 0.05)):
        alarms = [
            is_surely_above(count, EXAMINED_ROWS, MOST_MISSED)
            for count in (draws < missed).sum(axis=1).tolist()
        ]
        assert least <= np.mean(alarms) <= most


def test_fewer_rows_than_count_are_a_gap_that_says_how_many_there_was_time_for() -> None:
    found = judged(cut_short(toy(), EXAMINED_ROWS - 1))
    assert isinstance(found, Gap)
    assert found.reason is GapReason.OVER_BUDGET
    assert f"at {EXAMINED_ROWS - 1} of 50 rows" in found.detail


def test_parts_give_the_rows_of_the_whole_in_order_and_are_repeated_by_their_sizes() -> None:
    whole = GradientMaskingCheck().observe(toy(), CheckShard())
    cut = cut_short(toy(), 8, 16)
    told = cut[ROWS_IN_TIME]
    assert isinstance(told, dict)
    assert (told["rows"], told["of"], told["parts"]) == (24, 50, [8, 16])
    assert cut["ids"] == whole["ids"][:24]  # type: ignore[index] -- a list
    again = cut_short(toy(), *told["parts"])
    assert {k: encode_evidence(v).raw for k, v in again.items()} == {
        k: encode_evidence(v).raw for k, v in cut.items()
    }
    assert ROWS_IN_TIME not in whole
