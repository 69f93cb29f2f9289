"""hardware.determinism, reliability, memory and cost on models with planted defects."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benched_subjects import CPU, benched, linear, looping, rows, save, separating
from onnx import helper
from scored_subjects import ends, gaps, measured, names, read

from auditor.checks.hardware.cost import CHECK as COST
from auditor.checks.hardware.determinism import CHECK as DETERMINISM
from auditor.checks.hardware.memory import CHECK as MEMORY
from auditor.checks.hardware.reliability import CHECK as RELIABILITY
from auditor.domain.artifacts import Artifact
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.checks import is_timing
from auditor.domain.model_instrumentation import NO_BENCH
from auditor.domain.readings import BoundKind, Gap, Repeatability
from auditor.domain.tasks import RegressionTask

WAYS = ("repeat", "threads", "rows", "load")
QUICK = {"rows": 60, "repeats": 2, "threads": (2,), "sizes": (1, 7)}


def test_a_linear_model_gives_the_same_answer_in_any_company(tmp_path: Path) -> None:
    with benched(tmp_path, linear(tmp_path), rows()) as subject:
        found = read(DETERMINISM(**QUICK), subject)
    for way in WAYS:
        label = measured(found, "label_disagreement", varied=way)
        assert (label.value, label.low) == (0.0, 0.0)
        assert 0 < label.high < 0.07
        assert measured(found, "max_score_difference", varied=way).value == 0.0
    assert measured(found, "max_score_difference", varied="load").bound is BoundKind.AT_LEAST


def noisy(folder: Path) -> Artifact:
    """Scores with noise that is drawn anew at each call."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("RandomNormalLike", ["z"], ["n"], scale=3.0),
        helper.make_node("Add", ["z", "n"], ["y"]),
    ]
    return save(folder, nodes, separating(0.1))


def test_a_model_that_draws_lots_is_told(tmp_path: Path) -> None:
    with benched(tmp_path, noisy(tmp_path), rows()) as subject:
        found = read(DETERMINISM(**QUICK), subject)
    repeat = measured(found, "label_disagreement", varied="repeat")
    assert ends(repeat)[0] > 0.2
    assert measured(found, "max_score_difference", varied="repeat").value > 0.1


def test_a_row_whose_answer_depends_on_its_neighbours_is_told(tmp_path: Path) -> None:
    """Scores are centred on the batch: the same request repeats exactly, another one does not."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("ReduceMean", ["z"], ["m"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["z", "m"], ["y"]),
    ]
    with benched(tmp_path, save(tmp_path, nodes, separating()), rows()) as subject:
        found = read(DETERMINISM(**QUICK), subject)
    assert measured(found, "label_disagreement", varied="repeat").value == 0.0
    assert ends(measured(found, "label_disagreement", varied="rows"))[0] > 0.2


def test_without_a_bench_only_repeats_are_measured(tmp_path: Path) -> None:
    with benched(tmp_path, linear(tmp_path), rows()) as subject:
        subject.bench = NO_BENCH
        found = read(DETERMINISM(**QUICK), subject)
    assert measured(found, "label_disagreement", varied="repeat").value == 0.0
    missing = [item for item in found if isinstance(item, Gap)]
    assert {item.params["varied"] for item in missing} == set(WAYS) - {"repeat"}
    assert names(found) == ["label_disagreement", "max_score_difference"] * len(WAYS)


def test_a_regression_has_values_and_no_decisions(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    artifact = save(tmp_path, nodes, {"w": np.ones((4, 1), np.float32)}, classes=1)
    with benched(tmp_path, artifact, rows(), task=RegressionTask(0.1)) as subject:
        found = read(DETERMINISM(**QUICK), subject)
    assert gaps(found, "no decisions")
    assert measured(found, "max_score_difference", varied="threads").value == 0.0


def test_a_soak_of_a_sound_model_has_no_errors(tmp_path: Path) -> None:
    with benched(tmp_path, linear(tmp_path), rows()) as subject:
        found = read(RELIABILITY(calls=800, seconds=60.0), subject)
    errors = measured(found, "error_rate")
    assert (errors.value, errors.low, errors.n) == (0.0, 0.0, 800)
    assert errors.high < 0.01
    p99 = measured(found, "p99")
    assert 0 < p99.low <= p99.high < 5
    assert p99.repeat is Repeatability.INTERVAL
    slowdown = measured(found, "slowdown")
    assert ends(slowdown)[0] < 3


def picky(folder: Path) -> Artifact:
    """Refuses rows whose third feature is above 0.75: it looks beyond the end of a table."""
    nodes = [
        helper.make_node("Gather", ["x", "third"], ["t"], axis=1),
        helper.make_node("Greater", ["t", "limit"], ["bad"]),
        helper.make_node("Where", ["bad", "beyond", "within"], ["at"]),
        helper.make_node("Squeeze", ["at", "axis"], ["places"]),
        helper.make_node("Gather", ["table", "places"], ["n"]),
        helper.make_node("Unsqueeze", ["n", "axis"], ["column"]),
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("Add", ["z", "column"], ["y"]),
    ]
    weights = {
        **separating(),
        "third": np.array([2]),
        "limit": np.float32(0.75),
        "beyond": np.int64(99),
        "within": np.int64(0),
        "axis": np.array([1]),
        "table": np.zeros(3, np.float32),
    }
    return save(folder, nodes, weights)


def test_rows_that_the_model_refuses_are_errors_and_the_soak_goes_on(tmp_path: Path) -> None:
    inputs = rows()
    inputs[:, 2] = 0.1
    artifact = picky(tmp_path)
    with benched(tmp_path, artifact, inputs) as subject:
        inputs[::4, 2] = 0.9  # after the model was met with rows that it takes
        found = read(RELIABILITY(calls=240, seconds=60.0), subject)
    errors = measured(found, "error_rate")
    assert errors.value == pytest.approx(0.25)
    assert errors.n == 240
    assert "could not score" in errors.details["said"][0]
    assert measured(found, "timeout_rate").value == 0.0


def test_calls_that_time_out_are_told_from_errors(tmp_path: Path) -> None:
    inputs = rows(40)
    inputs[:, 1] = 0.1
    artifact = looping(tmp_path, 2**40)
    spec = replace(CPU, time_limit=2.0)
    with benched(tmp_path, artifact, inputs, spec=spec) as subject:
        inputs[subject.sample("evaluation", 4)[3], 1] = 0.9
        found = read(RELIABILITY(calls=6, seconds=60.0), subject)
    late = measured(found, "timeout_rate")
    assert late.value == pytest.approx(1 / 6)
    assert measured(found, "error_rate").value == late.value
    assert gaps(found, "answered calls")


@pytest.mark.slow
def test_memory_is_measured_in_fresh_processes(tmp_path: Path) -> None:
    wide = 1_000_000
    nodes = [
        helper.make_node("MatMul", ["x", "u"], ["a"]),
        helper.make_node("MatMul", ["a", "v"], ["y"]),
    ]
    weights = {
        "u": np.full((4, wide), 1e-3, np.float32),
        "v": np.tile(np.array([[-1e-3, 1e-3]], np.float32), (wide, 1)),
    }
    artifact = save(tmp_path, nodes, weights)
    with benched(tmp_path, artifact, rows() * 10) as subject:
        found = read(MEMORY(starts=6, batch_rows=8), subject)
    before, opened, peak, added = (measured(found, metric).value for metric in MEMORY.emits)
    held = 6 * wide * 4
    assert before < before + 0.9 * held < opened < peak
    assert added > held + 0.9 * 8 * wide * 4
    assert measured(found, "resident_peak").details == {"batch_rows": 8}


def test_too_few_starts_are_a_gap(tmp_path: Path) -> None:
    seen = {"gap": None, "bytes": np.arange(9).reshape(3, 3) * 1000, "rows": 4}
    found = MEMORY(starts=3).figures(seen, 0.95)
    assert all(isinstance(item, Gap) for item in found)
    assert "3 were made" in found[0].detail


def test_a_price_is_the_declared_one_over_what_was_measured(tmp_path: Path) -> None:
    spec = replace(CPU, price_per_hour=3.6)
    with benched(tmp_path, linear(tmp_path), rows(), spec=spec) as subject:
        found = read(COST(calls=120, warmup=10, seconds=2.0), subject)
    pace = measured(found, "rows_per_second")
    price = measured(found, "price_per_million_rows")
    assert price.value == pytest.approx(1e6 * 0.001 / pace.value)
    assert ends(price) == pytest.approx((1e3 / pace.high, 1e3 / pace.low))
    assert price.low <= price.value <= price.high


def cost_evidence(**about: object) -> dict[str, object]:
    known = {
        "batch_rows": 10, "conditions": {}, "price_per_hour": None, "price_per_query": None,
        "agree": 0.05, "stolen": 0.05, **about,
    }  # fmt: skip
    return {"single": np.ones(90), "batch": np.full(20, 0.5), "about": known}


def test_without_a_price_or_a_counter_nothing_is_guessed() -> None:
    rate, price, energy = COST().figures(cost_evidence(), 0.95)
    assert rate.value == 20.0
    assert isinstance(price, Gap)
    assert "price_per_hour" in price.cure
    assert isinstance(energy, Gap)
    assert "no measurement" in energy.detail


def test_counted_joules_are_an_upper_bound_of_the_models_own() -> None:
    seen = {"joules_a_batch": 0.02}
    _, _, energy = COST().figures(cost_evidence(conditions=seen), 0.95)
    assert energy.value == pytest.approx(2000.0)
    assert energy.bound is BoundKind.AT_MOST


def test_a_price_a_query_is_a_price_as_well() -> None:
    _, price, _ = COST().figures(cost_evidence(price_per_query=2e-6), 0.95)
    assert (price.low, price.value, price.high) == pytest.approx((2.0, 2.0, 2.0))


def test_a_noisy_machine_casts_doubt_and_passes_nothing() -> None:
    seen = cost_evidence(price_per_hour=1.0, conditions={"stolen_share": 0.3})
    rate, price, _ = COST().figures(seen, 0.95)
    assert rate.doubted
    assert price.doubted
    assert "30.0%" in rate.details["doubts"][0]


@pytest.mark.parametrize("check", [COST, RELIABILITY])
def test_what_speaks_of_time_is_known_to(check: type) -> None:
    assert is_timing(check)


@pytest.mark.parametrize("budget", list(Budget))
@pytest.mark.parametrize("check", [COST, RELIABILITY, MEMORY, DETERMINISM])
def test_costs_and_precisions_are_known_before(check: type, budget: Budget) -> None:
    made = check(**check.presets[budget])
    assert made.cost(AuditSize(1000, 2)).queries > 0
    assert all(0 < half < 1 for half in made.precision(AuditSize(1000, 2), 0.95).values())
