"""A crash, a hang or a model without end is a clear error, and never takes the audit down."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from tiny_models import Classes, Workshop

from auditor.domain.artifacts import Artifact
from auditor.domain.isolation import IsolationLevel
from auditor.domain.targets import TargetSpec
from auditor.errors import (
    ArtifactError,
    AuditorError,
    ModelCrashedError,
    ModelFailedError,
    ModelOutOfMemoryError,
    ModelTimeoutError,
)
from auditor.targets.isolation import find_strongest_isolation
from auditor.targets.session import open_model

CPU = TargetSpec("cpu")
ROWS = np.full((4, 3), 5.0)
LEVELS = sorted({IsolationLevel.LIMITS, find_strongest_isolation()})


def descendants(parent: int) -> list[int]:
    """Return the processes below ``parent``, the lowest last."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = list(children.get(parent, ()))
    for child in found:
        found.extend(children.get(child, ()))
    return found


def model_process() -> int:
    """Return the process that holds the model: all it started is the reader of its profiles."""
    return descendants(os.getpid())[-2]


def gated(workshop: Workshop) -> Artifact:
    """Save a model that is harmless for rows up to 6, and loops for ever beyond."""
    body = workshop.node("Identity", ["go"], ["go_on"])
    keep = workshop.node("Identity", ["v"], ["w"])
    inner = helper.make_graph(
        [body, keep],
        "body",
        [
            workshop.value("i", [], TensorProto.INT64),
            workshop.value("go", [], TensorProto.BOOL),
            workshop.value("v", None),
        ],
        [workshop.value("go_on", [], TensorProto.BOOL), workshop.value("w", None)],
    )
    return workshop.save(
        [
            workshop.node("ReduceMax", ["x"], ["most"], keepdims=0),
            workshop.node("Greater", ["most", "limit"], ["go_first"]),
            workshop.node("Loop", ["trips", "go_first", "x"], ["y"], body=inner),
        ],
        [workshop.value("x", ["N", 3])],
        [workshop.value("y", ["N", 3])],
        workshop.weights(trips=np.array(2**62, np.int64), limit=np.array(6.0, np.float32)),
    )


def growing(workshop: Workshop) -> Artifact:
    """Save a model whose intermediate result has as many numbers as its largest input says."""
    return workshop.save(
        [
            workshop.node("ReduceMax", ["x"], ["most"], keepdims=1),
            workshop.node("Cast", ["most"], ["size"], to=TensorProto.INT64),
            workshop.node("Reshape", ["size", "one"], ["shape"]),
            workshop.node("ConstantOfShape", ["shape"], ["much"]),
            workshop.node("ReduceSum", ["much"], ["sum"], keepdims=0),
            workshop.node("Sub", ["x", "sum"], ["y"]),
        ],
        [workshop.value("x", ["N", 3])],
        [workshop.value("y", ["N", 3])],
        workshop.weights(one=np.array([1], np.int64)),
    )


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT], ids=lambda n: n.name)
def test_a_crash_names_its_signal_and_the_next_request_opens_the_model_anew(
    workshop: Workshop, classes: Classes, level: IsolationLevel, number: signal.Signals
) -> None:
    artifact = workshop.linear(np.eye(3))
    with open_model(CPU, workshop.folder, artifact, classes(3), ROWS, isolation=level) as model:
        before = model.predict(ROWS)
        asked = model.queries
        os.kill(model_process(), number)
        with pytest.raises(ModelCrashedError, match=rf"'tiny' on the target 'cpu'.*{number.name}"):
            model.predict(ROWS)
        assert (model.predict(ROWS) == before).all()
        assert model.queries == asked + 8


def test_a_killed_process_counts_as_out_of_memory(workshop: Workshop, classes: Classes) -> None:
    with open_model(CPU, workshop.folder, workshop.linear(np.eye(3)), classes(3), ROWS) as model:
        os.kill(model_process(), signal.SIGKILL)
        with pytest.raises(ModelOutOfMemoryError, match="4 GiB"):
            model.predict(ROWS)


@pytest.mark.parametrize("level", LEVELS)
def test_a_model_that_loops_for_ever_is_ended_in_time(
    workshop: Workshop, classes: Classes, level: IsolationLevel
) -> None:
    spec = TargetSpec("cpu", time_limit=1.5)
    before = set(descendants(os.getpid()))
    with open_model(
        spec, workshop.folder, gated(workshop), classes(3), ROWS, isolation=level
    ) as model:
        children = set(descendants(os.getpid())) - before
        assert children
        start = time.monotonic()
        with pytest.raises(ModelTimeoutError, match=r"did not answer within 1\.5 s"):
            model.predict(ROWS * 2)
        assert time.monotonic() - start < 120
        assert not set(descendants(os.getpid())) & children
        assert (model.predict(ROWS) == ROWS).all()


def test_a_model_that_asks_for_too_much_memory_is_told_so(
    workshop: Workshop, classes: Classes
) -> None:
    spec = TargetSpec("cpu", memory_limit=2**30)
    with open_model(spec, workshop.folder, growing(workshop), classes(3), ROWS) as model:
        with pytest.raises(ModelOutOfMemoryError, match=r"more memory than it has \(1 GiB\)"):
            model.predict(ROWS * 2**28)
        assert (model.predict(ROWS) == ROWS).all()


def test_nothing_is_left_running_after_the_model_is_closed(
    workshop: Workshop, classes: Classes
) -> None:
    before = descendants(os.getpid())
    with open_model(CPU, workshop.folder, workshop.linear(np.eye(3)), classes(3), ROWS):
        assert len(descendants(os.getpid())) > len(before)
    assert set(descendants(os.getpid())) <= set(before)


def test_a_child_ends_with_its_parent(workshop: Workshop, classes: Classes, tmp_path: Path) -> None:
    workshop.linear(np.eye(3))
    program = f"""
import os, numpy as np
from pathlib import Path
from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import ClassificationTask
from auditor.targets.session import open_model
artifact = Artifact("tiny", "1", (FileDigest("model.onnx", 1, ""),))
task = ClassificationTask(("0", "1", "2"), "2", "2")
folder = Path({str(workshop.folder)!r})
with open_model(TargetSpec("cpu"), folder, artifact, task, np.full((4, 3), 5.0)):
    print("open", flush=True)
    os.read(0, 1)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout.readline() == b"open\n"
        orphans = descendants(parent.pid)
        assert orphans
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 120
    while any(Path(f"/proc/{pid}").exists() for pid in orphans) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in orphans)


def refused(
    workshop: Workshop,
    artifact: Artifact,
    classes: Classes,
    error: type[AuditorError],
    match: str,
) -> None:
    with (
        pytest.raises(error, match=match) as caught,
        open_model(CPU, workshop.folder, artifact, classes(3), ROWS),
    ):
        pass
    assert caught.value.cure
    assert str(workshop.folder) not in str(caught.value)


def test_a_custom_operator_is_refused_by_name(workshop: Workshop, classes: Classes) -> None:
    artifact = workshop.save(
        [workshop.node("Quant", ["x"], ["y"], domain="qonnx.custom_op")],
        [workshop.value("x", ["N", 3])],
        [workshop.value("y", ["N", 3])],
        domains=["qonnx.custom_op"],
    )
    refused(workshop, artifact, classes, ModelFailedError, r"model\.onnx.*qonnx\.custom_op:Quant")


def external(workshop: Workshop, location: str) -> Artifact:
    weights = workshop.weights(w=np.eye(3, dtype=np.float32))
    weights[0].ClearField("raw_data")
    weights[0].data_location = TensorProto.EXTERNAL
    weights[0].external_data.add(key="location", value=location)
    return workshop.save(
        [workshop.node("MatMul", ["x", "w"], ["y"])],
        [workshop.value("x", ["N", 3])],
        [workshop.value("y", ["N", 3])],
        weights,
    )


def test_missing_external_data_is_refused_by_name(workshop: Workshop, classes: Classes) -> None:
    refused(
        workshop,
        external(workshop, "weights.bin"),
        classes,
        ArtifactError,
        r"'w' lie in the external file 'weights\.bin', which is missing",
    )


def test_external_data_beside_the_model_is_read(workshop: Workshop, classes: Classes) -> None:
    artifact = external(workshop, "weights.bin")
    (workshop.folder / "weights.bin").write_bytes(np.eye(3, dtype=np.float32).tobytes())
    with open_model(CPU, workshop.folder, artifact, classes(3), ROWS) as model:
        assert (model.predict(ROWS) == ROWS).all()


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd"])
def test_external_data_outside_the_folder_is_refused(
    workshop: Workshop, classes: Classes, location: str
) -> None:
    (workshop.folder.parent / "secret.bin").write_bytes(bytes(36))
    refused(
        workshop,
        external(workshop, location),
        classes,
        ModelFailedError,
        "'w' lies outside the model's folder",
    )


@pytest.mark.parametrize(
    "raw", [b"hello", b"", b"\x80\x04}q\x00."], ids=["text", "empty", "pickle"]
)
def test_what_is_no_onnx_file_is_refused(workshop: Workshop, classes: Classes, raw: bytes) -> None:
    refused(workshop, workshop.keep(raw), classes, ArtifactError, r"model\.onnx")


def test_an_opset_of_the_future_is_refused(workshop: Workshop, classes: Classes) -> None:
    artifact = workshop.save(
        [workshop.node("Relu", ["x"], ["y"])],
        [workshop.value("x", ["N", 3])],
        [workshop.value("y", ["N", 3])],
        opset=99,
    )
    refused(workshop, artifact, classes, ArtifactError, "newer ONNX version")


def test_a_graph_that_does_not_hang_together_is_refused(
    workshop: Workshop, classes: Classes
) -> None:
    artifact = workshop.save(
        [workshop.node("Relu", ["nowhere"], ["y"])],
        [workshop.value("x", ["N", 3])],
        [workshop.value("y", ["N", 3])],
    )
    refused(workshop, artifact, classes, ModelFailedError, r"model\.onnx.*'nowhere'")


def test_rows_that_the_runtime_refuses_do_not_end_the_process(
    workshop: Workshop, classes: Classes
) -> None:
    artifact = workshop.save(
        [workshop.node("Reshape", ["x", "two"], ["y"])],
        [workshop.value("x", ["N", 3])],
        [workshop.value("y", [4, 3])],
        workshop.weights(two=np.array([4, 3], np.int64)),
    )
    with open_model(CPU, workshop.folder, artifact, classes(3), ROWS) as model:
        before = descendants(os.getpid())
        with pytest.raises(ModelFailedError, match="Reshape"):
            model.predict(np.ones((5, 3)))
        assert (model.predict(ROWS) == ROWS).all()
        assert descendants(os.getpid()) == before
