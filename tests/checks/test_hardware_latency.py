"""hardware.latency: order statistics of times measured on the target."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import ArrayLike
from onnx import TensorProto, helper

from auditor.checks.hardware.latency import CHECK, Latency
from auditor.domain.artifacts import Artifact, FileDigest, SignatureMaterial
from auditor.domain.budgets import Budget, Size
from auditor.domain.datasets import Dataset, Role
from auditor.domain.evidence import Evidence, decode, encode
from auditor.domain.readings import Gap, Measurement, Reason, Repeat
from auditor.domain.subjects import Shard, Subject
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Classification
from auditor.targets.opening import open_model

NOWHERE = Gap(reason=Reason.UNSUPPORTED, detail="not asked", cure="none")


def evidence(single: ArrayLike, batch: ArrayLike, rows: int = 10) -> Evidence:
    about = {"load": 0.1, "first": 0.2, "warmup": 3, "batch_rows": rows, "conditions": {}}
    return {"single": np.asarray(single), "batch": np.asarray(batch), "about": about}


def test_known_times_give_their_order_statistics() -> None:
    times = np.arange(1, 1001) / 1000
    p50, p90, p99, throughput = Latency().figures(evidence(times[::-1], [0.5] * 20), 0.95)
    assert (p50.value, p90.value, p99.value) == (0.5, 0.9, 0.99)
    assert (p50.low, p50.high) == (0.469, 0.532)  # ranks 469 and 532: David and Nagaraja, 7.1
    assert (throughput.value, throughput.low, throughput.high) == (20.0, 20.0, 20.0)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_the_readings_are_the_same_at_any_confidence(confidence: float) -> None:
    found = Latency().figures(evidence(np.ones(5000), np.ones(50)), confidence)
    assert [reading.metric for reading in found] == list(Latency.emits)
    assert all(reading.repeat is Repeat.INTERVAL for reading in found)
    assert {reading.unit for reading in found} == {m.unit for m in Latency.emits.values()}


def test_a_wider_confidence_gives_a_wider_interval() -> None:
    rng = np.random.default_rng(0)
    seen = evidence(rng.exponential(size=3000), rng.exponential(size=100))
    for narrow, wide in zip(
        Latency().figures(seen, 0.8), Latency().figures(seen, 0.99), strict=True
    ):
        assert wide.low <= narrow.low <= narrow.value <= narrow.high <= wide.high


def test_too_few_calls_are_a_gap_that_says_how_many() -> None:
    p50, p90, p99, throughput = Latency().figures(evidence(np.ones(100), np.ones(3)), 0.95)
    assert isinstance(p50, Measurement)
    assert isinstance(p90, Measurement)
    assert (p99.reason, throughput.reason) == (Reason.TOO_FEW_ROWS, Reason.TOO_FEW_ROWS)
    assert "100 were made" in p99.detail


def test_a_faster_batch_is_a_higher_throughput() -> None:
    slow, fast = (
        Latency().figures(evidence(np.ones(10), np.full(20, t), 64), 0.95)[3] for t in (2.0, 1.0)
    )
    assert (slow.value, fast.value) == (32.0, 64.0)


@pytest.fixture
def subject(tmp_path: Path) -> Iterator[Subject]:
    """A subject whose model waits: a loop of 2000 small products a call."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Mul", ["v", "one"], ["w"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, None),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["trips", "", "x"], ["y"], body=body)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
        [
            helper.make_tensor("trips", TensorProto.INT64, [], [2000]),
            helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
        ],
    )
    sets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=8), tmp_path / "slow.onnx")
    artifact = Artifact("slow", "1", (FileDigest("slow.onnx", 1, "0" * 64),))
    task = Classification(("a", "b", "c"), "c", "c")
    inputs = np.random.default_rng(1).normal(size=(80, 3)) * 5
    files = (FileDigest("test.npz", 1, "0" * 64),)
    data = Dataset(Role.EVALUATION, files, inputs, None, tuple(map(str, range(80))))
    with open_model(TargetSpec("cpu"), tmp_path, artifact, task, inputs) as model:
        yield Subject(
            artifact=artifact,
            structure=NOWHERE,
            signature=SignatureMaterial(),
            model=model,
            twin=NOWHERE,
            task=task,
            space=NOWHERE,
            datasets={Role.EVALUATION: data},
            audit_seed=7,
            seed=7,
            budget=Budget.SMOKE,
        )


def test_what_is_timed_on_the_target_gives_every_figure(subject: Subject) -> None:
    check = CHECK(calls=400, warmup=5, batch_rows=8, seconds=20.0)
    asked = subject.model.queries
    seen = check.observe(subject, Shard())
    stored = {name: decode(encode(item).raw) for name, item in seen.items()}
    assert check.figures(stored, 0.95) == check.figures(seen, 0.95)
    p50, _, p99, throughput = check.figures(stored, 0.95)
    assert (len(seen["single"]), len(seen["batch"]), p50.n) == (400, 20, 400)
    assert 1e-4 < p50.low <= p50.value <= p50.high <= p99.high
    assert throughput.value > 0
    assert set(p50.details) == {"load", "first", "warmup", "batch_rows", "conditions"}
    assert {"load_average", "stolen_share", "cpu_seconds_a_call"} == set(p50.details["conditions"])
    pilot = 1 + 5 + 12
    assert subject.model.queries == asked + pilot + 5 + 400 + 20 * 8


def test_a_slow_model_is_asked_less_often(subject: Subject) -> None:
    few = CHECK(calls=10_000, warmup=5, batch_rows=1000, seconds=0.1).observe(subject, Shard())
    assert len(few["single"]) < 1000
    assert few["about"]["batch_rows"] < 1000


@pytest.mark.parametrize("budget", list(Budget))
def test_the_cost_covers_what_a_budget_spends(budget: Budget) -> None:
    check = CHECK(**CHECK.presets[budget])
    assert check.cost(Size(100, 2)).queries >= check.calls + check.warmup
