"""hardware.faults: flipped bits of stored weights, and what they do to decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from benched_subjects import benched, linear, rows, save, separating
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from scored_subjects import measured, read

from auditor.checks.hardware.faults import CHECK
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import CheckShard
from auditor.domain.checks import find_refusal_gap
from auditor.domain.model_instrumentation import NO_BENCH, BitFlip, GraphWeight, ModelBench
from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import Array, Floats
from auditor.errors import ModelFailedError
from auditor.metrics.hardware.bit_flips import (
    count_elements,
    count_stored_bits,
    sample_bits,
    sample_layer_bits,
)

LABELS = np.arange(120) % 2
EXPONENT = 30


def test_the_largest_exponent_bit_is_found_to_be_the_worst(tmp_path: Path) -> None:
    artifact, inputs = linear(tmp_path), rows()
    check = CHECK(trials=256, rows=60, layers=1, least=2)
    with benched(tmp_path, artifact, inputs, LABELS) as subject:
        found = read(check, subject)
    worst = measured(found, "worst_mismatch")
    assert worst.value is not None
    assert worst.value >= 0.45
    high = measured(found, "bit_mismatch_rate", bit=EXPONENT, dtype="float32")
    low = [measured(found, "bit_mismatch_rate", bit=bit).value for bit in range(10)]
    assert high.value >= 0.4, "nearly every weight with bit 30 flipped swamps the others"
    assert low == [0.0] * 10, "the last bits of a mantissa change no decision of such rows"
    top = measured(found, "mismatch_rate").details["worst"][0]
    assert (top["weight"], top["layer"], top["operator"]) == ("w", "product", "MatMul")
    assert measured(found, "harmful_share", above=0.1).value > 0.03


def test_a_model_that_keeps_its_decisions_has_no_mismatch(tmp_path: Path) -> None:
    """A clean twin: every score is multiplied by 0 before it is used, so no weight matters."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="product"),
        helper.make_node("Clip", ["a", "low", "high"], ["c"], name="clip"),
        helper.make_node("Sign", ["c"], ["s"], name="sign"),
        helper.make_node("Abs", ["s"], ["t"]),
        helper.make_node("Mul", ["t", "nothing"], ["n"]),
        helper.make_node("Gather", ["x", "first"], ["f"], axis=1),
        helper.make_node("Neg", ["f"], ["g"]),
        helper.make_node("Concat", ["g", "f"], ["d"], axis=1),
        helper.make_node("Add", ["d", "n"], ["y"]),
    ]
    weights = {
        "w": np.full((4, 2), 0.5, np.float32),
        "low": np.float32(-1),
        "high": np.float32(1),
        "nothing": np.float32(0),
        "first": np.array([0]),
    }
    artifact = save(tmp_path, nodes, weights)
    with benched(tmp_path, artifact, rows(), LABELS) as subject:
        found = read(CHECK(trials=64, rows=40, layers=8, least=8), subject)
    layer = measured(found, "layer_mismatch_rate", layer="product")
    assert layer.value == 0.0
    assert layer.high < 1.0


def test_a_fault_that_breaks_the_model_leaves_no_decision_right(tmp_path: Path) -> None:
    """The shape of a Reshape is a weight too: most of its bits break the model."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"], name="product"),
        helper.make_node("Reshape", ["z", "shape"], ["y"], name="reshape"),
    ]
    artifact = save(tmp_path, nodes, {**separating(), "shape": np.array([-1, 2])})
    with benched(tmp_path, artifact, rows(), LABELS) as subject:
        found = read(CHECK(trials=96, rows=40, layers=2, least=40), subject)
    broken = measured(found, "broken_share")
    assert 0.1 < broken.value < 0.6
    reshape = measured(found, "layer_mismatch_rate", layer="reshape")
    assert reshape.value > 0.9
    worst = measured(found, "mismatch_rate").details["worst"]
    assert any(entry["said"] for entry in worst)


def test_accuracy_under_faults_is_at_most_what_it_was(tmp_path: Path) -> None:
    with benched(tmp_path, linear(tmp_path), rows(), LABELS) as subject:
        check = CHECK(trials=64, rows=60, layers=0, least=2)
        seen = [read(check, subject) for _ in range(2)]
    assert seen[0] == seen[1], "the same seed turns over the same bits"
    accuracy = measured(seen[0], "accuracy")
    assert accuracy.details["clean_accuracy"] == 1.0
    assert 0.5 < accuracy.low <= accuracy.value < 1.0
    assert accuracy.details["bits"] == 8 * 32


@dataclass
class Spoiled:
    """A bench that answers every fault alike, whatever bits are turned over."""

    bench: ModelBench
    answer: Floats | str

    def weights(self) -> tuple[GraphWeight, ...]:
        return self.bench.weights()

    def faulty(self, inputs: Array, faults: Sequence[tuple[BitFlip, ...]]) -> list[Floats | str]:
        return [self.answer] * len(faults)


@pytest.mark.parametrize("answer", ["it is too large to be written", np.tile([9.0, 0.0], (40, 1))])
def test_harm_that_no_bit_did_is_counted_for_none(tmp_path: Path, answer: Floats | str) -> None:
    with benched(tmp_path, linear(tmp_path), rows(), LABELS) as subject:
        assert not isinstance(subject.bench, Gap)
        subject.bench = Spoiled(subject.bench, answer)
        with pytest.raises(ModelFailedError, match="written anew with no bit turned over"):
            CHECK(trials=8, rows=40).observe(subject, CheckShard())


def test_what_has_no_bench_or_no_weights_is_a_gap(tmp_path: Path) -> None:
    nodes = [helper.make_node("Split", ["x"], ["y", "rest"], axis=1)]
    artifact = save(tmp_path, nodes, {})
    with benched(tmp_path, artifact, rows(), LABELS) as subject:
        (none,) = read(CHECK(trials=8, rows=8), subject)
        assert find_refusal_gap(CHECK(), subject) == none
        subject.bench = NO_BENCH
        (closed,) = read(CHECK(trials=8, rows=8), subject)
        assert find_refusal_gap(CHECK(), subject) == closed
    assert isinstance(none, Gap)
    assert none.reason is GapReason.NOT_DEFINED
    assert isinstance(closed, Gap)
    assert closed.reason is NO_BENCH.reason


WEIGHTS = st.lists(
    st.tuples(st.sampled_from(["float32", "int8", "float16"]), st.integers(1, 50)),
    min_size=1,
    max_size=5,
).map(
    lambda made: [
        GraphWeight(f"w{i}", dtype, (size,), f"n{i}", "Gemm", i)
        for i, (dtype, size) in enumerate(made)
    ]
)


@given(WEIGHTS, st.integers(1, 60), st.integers(0, 2**31))
def test_every_drawn_bit_exists(weights: list[GraphWeight], count: int, seed: int) -> None:
    sizes = {weight.name: count_elements(weight) for weight in weights}
    found = sample_bits(weights, count, np.random.default_rng(seed))
    assert len(found) == count
    assert all(0 <= flip.element < sizes[flip.weight] for flip in found)


def test_all_bits_are_drawn_once_where_as_many_are_asked() -> None:
    weights = [
        GraphWeight("a", "float32", (3,), "n", "Gemm", 0),
        GraphWeight("b", "int8", (2, 2), "m", "Gemm", 1),
    ]
    count = count_stored_bits(weights)
    found = sample_bits(weights, count, np.random.default_rng(0))
    assert len({(flip.weight, flip.element, flip.bit) for flip in found}) == count == 128


def test_small_layers_are_filled_up() -> None:
    weights = [
        GraphWeight("big", "float32", (10_000,), "wide", "Gemm", 0),
        GraphWeight("small", "float32", (2,), "narrow", "Gemm", 1),
    ]
    generator = np.random.default_rng(0)
    chosen = sample_bits(weights, 50, generator)
    more = sample_layer_bits(weights, chosen, 8, 2, generator)
    assert sum(flip.weight == "small" for flip in [*chosen, *more]) >= 8
    assert not any(flip.weight == "big" for flip in more)


@pytest.mark.parametrize("budget", list(Budget))
def test_the_cost_covers_what_is_asked(budget: Budget) -> None:
    check = CHECK(**CHECK.presets[budget])
    assert check.cost(AuditSize(1000, 2)).queries >= check.trials * min(check.rows, 1000)


@pytest.mark.parametrize("wrong", [{"trials": 1}, {"rows": 0}, {"above": (1.0,)}, {"layers": -1}])
def test_parameters_without_a_meaning_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must be|shares"):
        CHECK(**wrong)
