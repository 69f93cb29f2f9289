"""Lists the available targets of this machine, and tests a target with a small generated model."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from auditor._resources import scratch_folder
from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.evidence_levels import TargetEvidence, assess_evidence
from auditor.domain.execution_providers import PROVIDERS, UNTESTED, describe_support
from auditor.domain.json import Json, digest_json, write_fields
from auditor.domain.operator_placement import OperatorPlacement
from auditor.domain.targets import Fingerprint, TargetSpec
from auditor.domain.tasks import ClassificationTask
from auditor.errors import TargetError
from auditor.targets.emulation import find_emulator_program, is_emulator_ready
from auditor.targets.fingerprint import select_platform_facts
from auditor.targets.probe import probe_target
from auditor.targets.session import open_model

SEED = 7
ROWS, SIDE, CHANNELS, CLASSES = 256, 8, 8, 10
BATCH = "N"
"""The small model's own open axis: of its rows."""
PADS = (1, 1, 1, 1)
CUT = 10  # decimal places of figures that people read


@dataclass(frozen=True, slots=True)
class TargetTrial:
    """What became of the small model on a target, beside the reference.

    ``flips`` of ``rows`` were decided otherwise, ``difference`` is the largest of two scores.
    ``pinned`` says that it fell back with an open number of rows, and ran with one row at a time:
    some chips take no open axis.
    """

    spec: TargetSpec
    placement: OperatorPlacement
    fingerprint: Fingerprint
    rows: int
    flips: int
    difference: float
    pinned: bool = False

    @property
    def identity(self) -> str:
        """Digest of what must match for this to be the same place, whatever model is open."""
        return digest_json(select_platform_facts(self.fingerprint.identity_facts))

    @property
    def evidence(self) -> TargetEvidence:
        """How far figures that are measured here speak of the declared target."""
        return assess_evidence(self.spec, self.fingerprint)

    @property
    def falls_back(self) -> bool | None:
        """Whether operators run elsewhere than declared; ``None`` where nobody says."""
        return bool(self.placement.elsewhere) if self.placement.known else None

    def to_json(self) -> dict[str, Json]:
        """Return what `auditor gate --fingerprint` reads, and what a person wants to see."""
        return {
            "name": self.spec.name,
            "identity": self.identity,
            "support": describe_support(self.spec),
            "placement": self.placement.to_json(),
            "falls_back": self.falls_back,
            "share_on_target": self.placement.share if self.placement.known else None,
            "evidence": self.evidence.level.value,
            "pinned": {BATCH: 1} if self.pinned else {},
            "parity": {
                "rows": self.rows,
                "flips": self.flips,
                "largest_difference": round(self.difference, CUT),
            },
            "fingerprint": self.fingerprint.to_json(),
        }


def try_target(spec: TargetSpec, reference: TargetSpec) -> TargetTrial:
    """Open the small model on a target and on the reference, and compare.

    Raises ``TargetError`` for a target that opens no file, and what ``open_model`` raises.
    """
    if spec.served:
        raise TargetError(
            f"the target {spec.name!r} runs no file of ours, so that none can be tried on it",
            cure="Probe a target of runtime onnxruntime or openvino.",
        )
    classes = tuple(str(label) for label in range(CLASSES))
    task = ClassificationTask(classes, classes[-1], classes[-1])
    rows = np.random.default_rng(SEED).normal(size=(ROWS, 1, SIDE, SIDE)).astype(np.float32)
    with scratch_folder() as name:
        raw = build_small_model()
        (name / "trial.onnx").write_bytes(raw)
        files = (FileDigest("trial.onnx", len(raw), hashlib.sha256(raw).hexdigest()),)
        artifact = Artifact("auditor's trial", "1", files)
        with open_model(reference, name, artifact, task, rows) as model:
            expected = model.predict(rows)

        def tried(asked: TargetSpec) -> TargetTrial:
            with open_model(asked, name, artifact, task, rows) as model:
                scores = model.predict(rows)
                return TargetTrial(
                    spec,
                    model.placement,
                    model.fingerprint,
                    rows=ROWS,
                    flips=int((scores.argmax(axis=1) != expected.argmax(axis=1)).sum()),
                    difference=float(np.abs(scores - expected).max()),
                )

        found = tried(spec)
        if not found.falls_back or spec.runtime != "onnxruntime" or BATCH in spec.free_dimensions:
            return found
        pinned = tried(replace(spec, free_dimensions={**spec.free_dimensions, BATCH: 1}))
        return found if pinned.falls_back is not False else replace(pinned, pinned=True)


def build_small_model() -> bytes:
    """Return the small model: two convolutions and a product, logits of ten classes."""
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], name="conv1", pads=PADS),
        helper.make_node("Relu", ["c1"], ["r1"], name="relu1"),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], name="conv2", pads=PADS),
        helper.make_node("Relu", ["c2"], ["r2"], name="relu2"),
        helper.make_node("Flatten", ["r2"], ["flat"], name="flatten"),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["y"], name="logits"),
    ]
    rng = np.random.default_rng(SEED)
    graph = helper.make_graph(
        nodes,
        "trial",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [BATCH, 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [BATCH, CLASSES])],
        [
            numpy_helper.from_array(array.astype(np.float32), name)
            for name, array in {
                "w1": rng.normal(size=(CHANNELS, 1, 3, 3)),
                "b1": rng.normal(size=CHANNELS),
                "w2": rng.normal(size=(CHANNELS, CHANNELS, 3, 3)) / CHANNELS,
                "b2": rng.normal(size=CHANNELS),
                "w3": rng.normal(size=(CHANNELS * SIDE * SIDE, CLASSES)) / SIDE,
                "b3": rng.normal(size=CLASSES),
            }.items()
        ],
    )
    sets = [helper.make_opsetid("", 17)]
    made = helper.make_model(graph, opset_imports=sets, ir_version=8)
    return bytes(made.SerializeToString(deterministic=True))


RUNTIMES = re.compile(r"((?:onnxruntime|openvino|nxrt_ep)[a-z0-9_]*)-(\d[^-]*)\.dist-info")
PLAYED = ("Haswell", "Nehalem", "Cortex-A72")
"""Processors that are worth an emulator, one a kind."""


@dataclass(frozen=True, slots=True)
class TargetOffer:
    """One thing that there is: ``kind`` says what, ``state`` how it stands, ``support`` how far it
    can be relied on.
    """

    name: str
    kind: str
    state: str
    support: str = ""

    to_json = write_fields


def list_target_offers(
    declared: Mapping[str, TargetSpec], base: Path, home: Path
) -> tuple[TargetOffer, ...]:
    """Return declared targets, providers, devices, emulators and worker environments.

    The runtime of this environment is asked in a child; nothing is fetched. ``base`` is the
    folder that may hold worker environments, ``home`` the one that holds emulators.
    """
    probed = probe_target(TargetSpec("this environment"))
    available = [str(name) for name in probed["runtime"].get("providers", ())]
    return (
        *(
            TargetOffer(spec.name, "target", _declared(spec), describe_support(spec))
            for spec in declared.values()
        ),
        *_providers(available),
        *_devices(probed["devices"]),
        *_emulators(home),
        *_workers(base),
    )


def _declared(spec: TargetSpec) -> str:
    if spec.endpoint is not None:
        return f"endpoint {spec.endpoint.url}"
    if spec.cascade is not None:
        return f"cascade of {spec.cascade.edge.name} and {spec.cascade.cloud.name}"
    parts = [spec.runtime, spec.library or spec.provider, *([spec.device] if spec.device else [])]
    return ", ".join([*parts, *([f"emulated {spec.emulated}"] if spec.emulated else [])])


def _providers(available: list[str]) -> Iterator[TargetOffer]:
    for name in dict.fromkeys([*available, *PROVIDERS]):
        facts = PROVIDERS.get(name)
        state = "here" if name in available or facts is None else f"needs {facts.package}"
        yield TargetOffer(name, "provider", state, UNTESTED if facts is None else facts.support)


def _devices(discovered: object) -> Iterator[TargetOffer]:
    for device in discovered if isinstance(discovered, list) else ():
        if isinstance(device, Mapping):
            vendor = device.get("hardware_vendor") or "unknown vendor"
            state = f"{vendor}, by {device.get('provider')}"
            yield TargetOffer(str(device.get("kind")), "device", state)


def _emulators(home: Path) -> Iterator[TargetOffer]:
    for cpu in PLAYED:
        if is_emulator_ready(cpu, home):
            state = f"ready: {find_emulator_program(cpu, home)}"
        else:
            state = f"fetch it: auditor targets emulate {cpu}"
        yield TargetOffer(cpu, "emulator", state, "tested: its numbers, never its times")


def _workers(base: Path) -> Iterator[TargetOffer]:
    named = os.environ.get("AUDITOR_WORKERS")
    folders = [*sorted(base.glob(".venv-*")), *(sorted(Path(named).glob("*")) if named else [])]
    for folder in folders:
        found = sorted(
            f"{match[1].replace('_', '-')} {match[2]}"
            for place in folder.glob("lib/python3*/site-packages/*.dist-info")
            if (match := RUNTIMES.fullmatch(place.name))
        )
        if found and (folder / "bin" / "python").exists():
            yield TargetOffer(str(folder / "bin" / "python"), "worker", ", ".join(found))
