"""The bench: the artifact run on its target otherwise than as declared."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny_models import Classes, Workshop

from auditor.domain.artifacts import Artifact
from auditor.domain.isolation import IsolationLevel
from auditor.domain.model_instrumentation import (
    NO_BENCH,
    BitFlip,
    GraphWeight,
    ModelBench,
    RunAlteration,
)
from auditor.domain.models import Model
from auditor.domain.readings import Gap
from auditor.domain.targets import EndpointSpec, TargetSpec
from auditor.domain.tasks import Array
from auditor.errors import ModelFailedError, RuntimeMissingError
from auditor.targets.child_process import ChildProcess
from auditor.targets.instrumented_model import open_bench, read_json_objects
from auditor.targets.isolation import build_sandbox_bounds, find_strongest_isolation
from auditor.targets.protocol import MessageFrame
from auditor.targets.sandbox.altered_models import WeightFile
from auditor.targets.sandbox.profiling import profile_kernels
from auditor.targets.sandbox.trace_reader import start_trace_reader
from auditor.targets.session import build_opening_request, open_model

CPU = TargetSpec("cpu", time_limit=60.0)
EYE = np.eye(3, dtype=np.float32)
ROWS = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [2.0, 3.0, 1.0]], dtype=np.float32) * 4
SIGN, LARGEST = 31, 30


@contextmanager
def benched(
    folder: Path, artifact: Artifact, classes: Classes, rows: Array = ROWS, spec: TargetSpec = CPU
) -> Iterator[tuple[Model, ModelBench]]:
    with ExitStack() as stack:
        model = stack.enter_context(open_model(spec, folder, artifact, classes(3), rows))
        bench = stack.enter_context(open_bench(spec, folder, artifact, model))
        assert not isinstance(bench, Gap)
        yield model, bench


def two_layers(workshop: Workshop) -> Artifact:
    return workshop.save(
        [
            workshop.node("MatMul", ["x", "w"], ["z"], name="first"),
            workshop.node("Add", ["z", "b"], ["y"], name="second"),
        ],
        [workshop.value("x", ["N", 3])],
        [workshop.value("y", ["N", 3])],
        workshop.weights(w=EYE, b=np.zeros(3, dtype=np.float32)),
    )


def test_without_an_alteration_the_bench_scores_as_the_model_does(
    workshop: Workshop, classes: Classes
) -> None:
    with benched(workshop.folder, two_layers(workshop), classes) as (model, bench):
        before = model.queries
        for alteration in (RunAlteration(), RunAlteration(rows=1), RunAlteration(threads=2)):
            assert bench.scores(ROWS, alteration).tobytes() == model.predict(ROWS).tobytes()
        assert (bench.queries, model.queries - before) == (9, 9)
        assert bench.busy > 0


def test_options_of_the_session_arrive_there(workshop: Workshop, classes: Classes) -> None:
    with benched(workshop.folder, two_layers(workshop), classes) as (_, bench):
        bench.scores(ROWS, RunAlteration(graph_optimization="none"))
        own = {"session.record_ep_graph_assignment_info": "0"}
        with pytest.raises(RuntimeMissingError, match="is the auditor's own"):
            bench.scores(ROWS, RunAlteration(session=own))
        assert len(bench.scores(ROWS, RunAlteration())) == 3


def test_a_flipped_bit_changes_what_that_weight_says_and_nothing_else(
    workshop: Workshop, classes: Classes
) -> None:
    with benched(workshop.folder, two_layers(workshop), classes) as (model, bench):
        flips = (BitFlip("w", 4, SIGN),)  # the middle of the diagonal: 1 becomes -1
        expected = ROWS * [1, -1, 1]
        assert bench.scores(ROWS, RunAlteration(flips=flips)).tolist() == expected.tolist()
        assert model.predict(ROWS).tolist() == ROWS.tolist()
        assert bench.scores(ROWS, RunAlteration()).tolist() == ROWS.tolist()


def test_faults_that_break_scores_are_kept_and_faults_that_break_the_model_are_told(
    workshop: Workshop, classes: Classes
) -> None:
    artifact = workshop.save(
        [
            workshop.node("MatMul", ["x", "w"], ["z"]),
            workshop.node("Reshape", ["z", "s"], ["y"]),
        ],
        [workshop.value("x", ["N", 3])],
        [workshop.value("y", ["N", 3])],
        workshop.weights(w=EYE, s=np.array([-1, 3])),
    )
    with benched(workshop.folder, artifact, classes) as (_, bench):
        faults = [(BitFlip("w", 0, LARGEST),), (BitFlip("s", 1, 5),), (BitFlip("w", 0, SIGN),)]
        infinite, broken, negative = bench.faulty(ROWS, faults)
        # 1.0 with its largest exponent bit set is infinity; 3 with bit 5 set is 35
        assert not isinstance(infinite, str)
        assert np.isinf(infinite[:, 0]).all()
        assert isinstance(broken, str)
        assert "35" in broken
        assert not isinstance(negative, str)
        assert (negative[:, 0] == -ROWS[:, 0]).all()


@pytest.mark.parametrize(
    ("flip", "match"),
    [
        (BitFlip("v", 0, 0), "no weight 'v'"),
        (BitFlip("w", 9, 0), "bit 0 of element 9"),
        (BitFlip("w", 0, 32), "bit 32"),
    ],
    ids=str,
)
def test_a_bit_that_is_not_there_cannot_be_turned(
    workshop: Workshop, classes: Classes, flip: BitFlip, match: str
) -> None:
    with (
        benched(workshop.folder, two_layers(workshop), classes) as (_, bench),
        pytest.raises(ModelFailedError, match=match),
    ):
        bench.scores(ROWS, RunAlteration(flips=(flip,)))


def test_weights_are_listed_with_the_layer_that_takes_them(
    workshop: Workshop, classes: Classes
) -> None:
    quantised = workshop.save(
        [
            workshop.node("DequantizeLinear", ["q", "scale", "zero"], ["w"], name="open"),
            workshop.node("MatMul", ["x", "w"], ["z"], name="product"),
            workshop.node("Constant", [], ["b"], value=numpy_helper.from_array(EYE[0])),
            workshop.node("Add", ["z", "b"], ["y"], name="shift"),
        ],
        [workshop.value("x", ["N", 3])],
        [workshop.value("y", ["N", 3])],
        workshop.weights(q=EYE.astype(np.int8), scale=np.float32(1), zero=np.int8(0), unused=EYE),
    )
    with benched(workshop.folder, quantised, classes) as (_, bench):
        found = {weight.name: weight for weight in bench.weights()}
    assert found["q"] == GraphWeight("q", "int8", (3, 3), "product", "MatMul", 1)
    assert found["b"] == GraphWeight("b", "float32", (3,), "shift", "Add", 3)
    assert set(found) == {"q", "scale", "zero", "b"}


def flipped(path: Path, name: str, element: int, bit: int) -> Array:
    model = onnx.load_from_string(WeightFile(path).damaged([(name, element, bit)]))
    return numpy_helper.to_array(next(t for t in model.graph.initializer if t.name == name))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (TensorProto.FLOAT, [1.5, -2.0]),
        (TensorProto.DOUBLE, [1.5, -2.0]),
        (TensorProto.FLOAT16, [1.5, -2.0]),
        (TensorProto.BFLOAT16, [1.5, -2.0]),
        (TensorProto.INT8, [5, -7]),
        (TensorProto.UINT8, [5, 7]),
        (TensorProto.INT16, [5, -7]),
        (TensorProto.INT32, [5, -7]),
        (TensorProto.INT64, [5, -7]),
        (TensorProto.UINT32, [5, 7]),
        (TensorProto.UINT64, [5, 7]),
        (TensorProto.INT4, [5, -7]),
        (TensorProto.UINT4, [5, 7]),
    ],
)
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
def test_a_bit_of_any_type_is_turned_however_it_is_stored(
    tmp_path: Path, kind: int, values: list[float], *, raw: bool
) -> None:
    tensor = helper.make_tensor("w", kind, [2], values)
    array = numpy_helper.to_array(tensor)
    if raw:
        tensor = numpy_helper.from_array(array, "w")
    graph = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["y"])], "g", [],
        [helper.make_tensor_value_info("y", kind, [2])], [tensor],
    )  # fmt: skip
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph), path)
    listed = WeightFile(path).listed()
    width = 4 if "int4" in listed[0]["dtype"] else 8 * array.itemsize
    for bit in (0, width - 1):
        found = flipped(path, "w", 1, bit)
        if width == 4:
            expected = (int(array[1]) & 0xF) ^ (1 << bit)
            assert int(found[1]) & 0xF == expected
        else:
            before, after = (np.frombuffer(a[1:].tobytes(), np.uint8) for a in (array, found))
            changed = np.unpackbits(before ^ after, bitorder="little")
            assert np.nonzero(changed)[0].tolist() == [bit]
        assert found[0] == array[0]


def external_model(folder: Path) -> Artifact:
    workshop = Workshop(folder)
    two_layers(workshop)
    path = folder / "model.onnx"
    onnx.save(
        onnx.load(path), path, save_as_external_data=True, location="weights.bin",
        size_threshold=0,
    )  # fmt: skip
    return Artifact("tiny", "1", tuple(workshop.digest(n) for n in ("model.onnx", "weights.bin")))


def test_weights_outside_the_file_are_turned_without_touching_their_file(
    workshop: Workshop, classes: Classes
) -> None:
    artifact = external_model(workshop.folder)
    before = (workshop.folder / "weights.bin").read_bytes()
    with benched(workshop.folder, artifact, classes) as (_, bench):
        found = bench.scores(ROWS, RunAlteration(flips=(BitFlip("w", 0, SIGN),)))
    assert found.tolist() == (ROWS * [-1, 1, 1]).tolist()
    assert (workshop.folder / "weights.bin").read_bytes() == before


def test_a_weight_that_leaves_the_folder_is_not_read(workshop: Workshop) -> None:
    external_model(workshop.folder)
    path = workshop.folder / "model.onnx"
    model = onnx.load(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = "../secret"
    (workshop.folder.parent / "secret").write_bytes(b"x" * 100)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(Exception, match="inside the model's folder"):
        WeightFile(path).damaged([(model.graph.initializer[0].name, 0, 0)])


@pytest.mark.slow
def test_a_footprint_sees_the_memory_that_weights_and_batches_take(
    workshop: Workshop, classes: Classes
) -> None:
    wide = 2000
    artifact = workshop.save(
        [workshop.node("MatMul", ["x", "u"], ["z"]), workshop.node("MatMul", ["z", "v"], ["y"])],
        [workshop.value("x", ["N", 3])],
        [workshop.value("y", ["N", 3])],
        workshop.weights(
            u=np.full((3, wide * 1000), 1e-3, np.float32),
            v=np.full((wide * 1000, 3), 1e-3, np.float32),
        ),
    )
    with benched(workshop.folder, artifact, classes) as (_, bench):
        found = bench.footprint(ROWS, 8)
        queries = bench.queries
    weights, row = 2 * 3 * wide * 1000 * 4, wide * 1000 * 4
    assert found.before > 10 * 2**20
    assert weights * 0.9 < found.opened - found.before < weights * 4
    assert found.peak - found.opened > 0.9 * 8 * row
    assert queries == 8


def test_a_profile_names_every_kernel_and_where_it_ran(
    workshop: Workshop, classes: Classes
) -> None:
    spec = TargetSpec("cpu", graph_optimization="none")
    with benched(workshop.folder, two_layers(workshop), classes, spec=spec) as (_, bench):
        found = bench.profile(ROWS)
        assert bench.scores(ROWS, RunAlteration()).tolist() == ROWS.tolist()
    assert [(k.node, k.operator, k.calls) for k in found] == [
        ("first", "MatMul", 1), ("second", "Add", 1),
    ]  # fmt: skip
    assert {k.provider for k in found} == {"CPUExecutionProvider"}
    assert all(0 <= k.seconds < 1 for k in found)


def test_a_profile_larger_than_a_pipe_holds_arrives_whole(
    workshop: Workshop, classes: Classes
) -> None:
    count = 3000
    artifact = workshop.save(
        [workshop.node("Neg", [f"v{i}"], [f"v{i + 1}"], name=f"n{i}") for i in range(count)],
        [workshop.value("v0", ["N", 3])],
        [workshop.value(f"v{count}", ["N", 3])],
    )
    with benched(workshop.folder, artifact, classes) as (_, bench):
        assert len(bench.profile(ROWS)) == count


def test_a_profile_arrives_however_long_the_session_takes_to_open(
    workshop: Workshop, classes: Classes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runtime names its trace by the time; a clock that stands still is as late as can be."""
    spec = TargetSpec("cpu", graph_optimization="none")
    path = workshop.folder / two_layers(workshop).files[0].name
    request = MessageFrame(
        {"opening": build_opening_request(spec, path), "input": "x"}, {"x": ROWS}
    )
    monkeypatch.setattr("time.time_ns", lambda: 0)
    try:
        assert json.loads(bytes(profile_kernels(request).arrays["kernels"]))[0]["node"] == "first"
    finally:
        started = start_trace_reader()
        os.close(started.written)
        os.close(started.told)
        os.waitpid(started.process, 0)
        start_trace_reader.cache_clear()


@pytest.mark.parametrize(
    "level", [IsolationLevel.BUBBLEWRAP, IsolationLevel.LANDLOCK, IsolationLevel.NAMESPACES]
)
def test_a_driver_that_keeps_files_in_memory_can_be_profiled_all_the_same(
    workshop: Workshop, level: IsolationLevel
) -> None:
    """Where such a driver is loaded, nothing on the machine may be written, by any way."""
    if level is IsolationLevel.BUBBLEWRAP is not find_strongest_isolation():
        pytest.skip("bubblewrap does not work here")
    path = workshop.folder / two_layers(workshop).files[0].name
    opening = build_opening_request(TargetSpec("cpu"), path)
    asked = {"op": "profile", "opening": opening, "outputs": None, "fixed_batch": None}
    held = replace(
        build_sandbox_bounds(TargetSpec("cpu"), workshop.folder, isolation=level), driven=True
    )
    with ChildProcess("drivers.onnxruntime", held, "the child of a driver") as child:
        if child.level is not level:
            pytest.skip(f"{level} does not work here")
        reply = child.ask({**asked, "input": "x"}, {"x": ROWS}, seconds=60)
        assert [kernel["operator"] for kernel in read_json_objects(reply, "kernels")] == ["Gemm"]


def test_arrivals_are_counted_from_when_they_were_due(workshop: Workshop, classes: Classes) -> None:
    with benched(workshop.folder, two_layers(workshop), classes) as (_, bench):
        due = np.array([0.0, 0.05, 0.05, 0.05, 0.1])
        found = bench.arrivals(ROWS, due)
    assert found.due.tolist() == due.tolist()
    assert (found.began >= found.due).all()
    assert (found.began[1:] >= found.ended[:-1]).all(), "one at a time, in order"
    assert found.began[4] - 0.1 < 30  # on a busy machine, seconds late
    assert found.conditions["cpu_seconds_a_call"] > 0


def slow_model(workshop: Workshop, trips: int) -> Artifact:
    """Rows that start with a large number take ``trips`` turns of a loop, others one."""
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
    return workshop.save(
        [
            workshop.node("ReduceMax", ["x"], ["m"], keepdims=0),
            workshop.node("Greater", ["m", "limit"], ["large"]),
            workshop.node("Where", ["large", "many", "few"], ["trips"]),
            helper.make_node("Loop", ["trips", "", "x"], ["y"], body=body),
        ],
        [workshop.value("x", ["N", 3])],
        [workshop.value("y", ["N", 3])],
        workshop.weights(
            limit=np.float32(100), many=np.int64(trips), few=np.int64(1), one=np.float32(1)
        ),
    )


@pytest.mark.slow
def test_a_queue_that_builds_up_is_part_of_the_latency(
    workshop: Workshop, classes: Classes
) -> None:
    rows = ROWS * 100  # every row takes the long way
    with benched(workshop.folder, slow_model(workshop, 20_000), classes, rows) as (_, bench):
        alone = float(np.median(bench.each(rows, 5)))
        found = bench.arrivals(rows, np.zeros(10))
    latency = found.ended - found.due
    assert alone > 0.001
    assert latency[9] > 5 * alone, "the tenth of ten at once waits for nine"


def test_every_row_is_timed_alone_and_slow_rows_stand_out(
    workshop: Workshop, classes: Classes
) -> None:
    rows = ROWS.copy()
    rows[1] *= 100
    with benched(workshop.folder, slow_model(workshop, 5000), classes, rows) as (_, bench):
        taken = bench.each(rows, 7)
        queries = bench.queries
    middle = np.median(taken, axis=0)
    assert taken.shape == (7, 3)
    assert middle[1] > 5 * middle[0]
    assert middle[1] > 5 * middle[2]
    assert queries == 21


@pytest.mark.slow
def test_a_fault_that_hangs_the_model_is_an_outcome(workshop: Workshop, classes: Classes) -> None:
    artifact = slow_model(workshop, 1)
    spec = TargetSpec("cpu", time_limit=5.0)
    with benched(workshop.folder, artifact, classes, spec=spec) as (_, bench):
        endless = (BitFlip("few", 0, 50),)
        began = time.monotonic()
        found, after = bench.faulty(ROWS, [endless, (BitFlip("limit", 0, 0),)])
    assert isinstance(found, str)
    assert "5 s" in found
    assert time.monotonic() - began < 300
    assert not isinstance(after, str)


def test_a_target_without_a_child_of_ours_has_no_bench(
    workshop: Workshop, classes: Classes
) -> None:
    artifact = two_layers(workshop)
    with open_model(CPU, workshop.folder, artifact, classes(3), ROWS) as model:
        for spec in (
            TargetSpec("far", endpoint=EndpointSpec(url="http://localhost:1")),
            TargetSpec("other", runtime="openvino"),
        ):
            with open_bench(spec, workshop.folder, artifact, model) as bench:
                assert bench == NO_BENCH


def test_nothing_runs_before_it_is_asked_and_nothing_stays_behind(
    workshop: Workshop, classes: Classes
) -> None:
    others = children()  # of tests before this one in the same process
    with benched(workshop.folder, two_layers(workshop), classes) as (_, bench):
        before = children()
        bench.scores(ROWS, RunAlteration())
        assert len(children() - before) == 1
    assert before - others
    assert children() <= others


def children() -> set[int]:
    own = os.getpid()
    found = set()
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == own and fields[0] != "Z":
            found.add(int(place.parent.name))
    return found
