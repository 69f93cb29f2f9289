"""hardware.attestation on real stacks: what differs signs otherwise, and what cannot be told."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from subjects_on import NOWHERE
from workers import software_gpu, worker

from auditor.attacks.hardware.fingerprint_inputs import (
    ChallengeInputs,
    build_challenges,
    decide_classes,
)
from auditor.domain.artifacts import Artifact, FileDigest, SignatureMaterial
from auditor.domain.budgets import Budget
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.models import CompanionModel, Model
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, ClassificationTask
from auditor.targets.emulation import is_emulator_ready
from auditor.targets.session import open_model
from auditor.workflows.engine.audit_subject import REFERENCE
from auditor.workflows.settings import AuditorSettings

pytestmark = pytest.mark.slow
DIGITS = Path(__file__).parents[2] / "examples" / "digits"
CLASSES = tuple("0123456789")
TASK = ClassificationTask(CLASSES, "9", "9")
SAME, OTHER = 0.01, 0.2
"""At most this share of labels differs between runs of one stack, and at least that between two."""
Ask = Callable[[TargetSpec, str], float]
OPENVINO = {"INFERENCE_PRECISION_HINT": "f32"}


class Rows(CalibrationDataReader):
    """Rows to calibrate a quantisation by."""

    def __init__(self, name: str, rows: Array) -> None:
        self._rows = ({name: rows[index : index + 16]} for index in range(0, 256, 16))

    def get_next(self) -> dict[str, Array] | None:
        return next(self._rows, None)


@pytest.fixture(scope="module")
def rows() -> Array:
    return np.load(DIGITS / "test.npz")["x"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, rows: Array) -> Path:
    made = tmp_path_factory.mktemp("stacks")
    shutil.copy(DIGITS / "model.onnx", made / "float.onnx")
    quantize_static(
        made / "float.onnx",
        made / "int8.onnx",
        Rows("pixels", rows),
        per_channel=True,
        reduce_range=True,  # else processors without VNNI clip sums at 16 bits, in their own order
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return made


def opened(stack: ExitStack, folder: Path, rows: Array, spec: TargetSpec, name: str) -> Model:
    raw = (folder / name).read_bytes()
    digest = FileDigest(name, len(raw), hashlib.sha256(raw).hexdigest())
    artifact = Artifact(name, "1", (digest,))
    return stack.enter_context(open_model(spec, folder, artifact, TASK, rows[:64]))


def subject(reference: Model, rows: Array) -> Subject:
    ids = tuple(str(row) for row in range(len(rows)))
    data = Dataset(DatasetRole.EVALUATION, (FileDigest("t", 1, "0" * 64),), rows, None, ids)
    return Subject(
        artifact=None,
        structure=NOWHERE,
        signature=SignatureMaterial(),
        model=reference,
        twin=NOWHERE,
        task=TASK,
        space=NOWHERE,
        datasets={DatasetRole.EVALUATION: data},
        audit_seed=7,
        seed=7,
        budget=Budget.CI,
        reference=CompanionModel(lambda: reference, about=REFERENCE.to_json()),
    )


def asking(folder: Path, rows: Array, artifact: str, count: int) -> Iterator[Ask]:
    """Ask a stack about challenges made on the reference; return the share that differs."""
    with ExitStack() as stack:
        reference = opened(stack, folder, rows, REFERENCE, artifact)
        about = subject(reference, rows)
        made = build_challenges(about, count, 7)
        assert isinstance(made, ChallengeInputs)

        def disagreement(spec: TargetSpec, name: str = artifact) -> float:
            with ExitStack() as inner:
                model = opened(inner, folder, rows, spec, name)
                return float(np.mean(decide_classes(about, model, made.inputs) != made.expected))

        yield disagreement


@pytest.fixture
def ask(folder: Path, rows: Array) -> Iterator[Ask]:
    yield from asking(folder, rows, "float.onnx", 256)


@pytest.fixture
def ask_few(folder: Path, rows: Array) -> Iterator[Ask]:
    yield from asking(folder, rows, "float.onnx", 64)


@pytest.fixture
def ask_int8(folder: Path, rows: Array) -> Iterator[Ask]:
    yield from asking(folder, rows, "int8.onnx", 128)


def test_the_same_stack_signs_alike_however_it_is_asked(ask: Ask) -> None:
    assert ask(TargetSpec("again"), "float.onnx") <= SAME
    assert ask(TargetSpec("two", threads=2), "float.onnx") <= SAME


def test_a_quantised_artifact_signs_otherwise(ask: Ask) -> None:
    assert ask(TargetSpec("int8"), "int8.onnx") >= OTHER


@pytest.mark.parametrize("hint", [{}, OPENVINO], ids=["left alone", "float32"])
def test_openvino_signs_otherwise(ask: Ask, hint: dict[str, str]) -> None:
    python = worker("openvino")
    spec = TargetSpec("ov", runtime="openvino", interpreter=python, provider_options=hint)
    assert ask(spec, "float.onnx") >= OTHER


def test_an_engine_is_not_told_from_itself_behind_another_door(folder: Path, rows: Array) -> None:
    native = TargetSpec(
        "ov", runtime="openvino", interpreter=worker("openvino"), provider_options=OPENVINO
    )
    behind = TargetSpec(
        "ep", provider="OpenVINOExecutionProvider", interpreter=worker("ort-openvino")
    )
    with ExitStack() as stack:
        reference = opened(stack, folder, rows, REFERENCE, "float.onnx")
        about = subject(reference, rows)
        made = build_challenges(about, 256, 7)
        assert isinstance(made, ChallengeInputs)
        both = [opened(stack, folder, rows, spec, "float.onnx") for spec in (native, behind)]
        first, second = (decide_classes(about, model, made.inputs) for model in both)
    assert np.mean(first != second) <= 0.05


def test_a_gpu_played_in_software_signs_otherwise(
    ask_few: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    software_gpu()
    monkeypatch.setenv("ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER", "1")
    spec = TargetSpec("gpu", library="onnxruntime_ep_webgpu", interpreter=worker("plugins"))
    assert ask_few(spec, "float.onnx") >= OTHER


def test_an_emulated_processor_signs_otherwise(
    ask_few: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUDITOR_HOME")  # emulators are kept in the user's own home
    if not is_emulator_ready("Haswell", AuditorSettings.from_environment().home):
        pytest.skip("no emulator is here: auditor targets emulate Haswell")
    assert ask_few(TargetSpec("haswell", emulated="Haswell"), "float.onnx") >= OTHER


def test_exact_arithmetic_hides_the_graphs_optimisation(ask_int8: Ask) -> None:
    """Sums of whole numbers come out the same in any order: the details say so."""
    assert ask_int8(TargetSpec("extended", graph_optimization="extended"), "int8.onnx") <= 0.05
