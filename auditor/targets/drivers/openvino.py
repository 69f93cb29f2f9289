"""OpenVINO sessions of an artifact: open, score and time, and the precision that it chose."""

import functools
import hashlib
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auditor.domain.digests import Digest
from auditor.targets.protocol import Anything
from auditor.targets.sandbox.machine_facts import read_conditions, read_machine_facts
from auditor.targets.sandbox.opsets import read_opsets
from auditor.targets.sandbox.request_loop import Operation, RefusalError
from auditor.targets.sandbox.scoring import OpenedSession, build_operations

ov: Any = importlib.import_module("openvino")  # it is installed in workers only
CPU = "CPU"
TYPES = {
    "f16": "tensor(float16)", "f32": "tensor(float)", "f64": "tensor(double)",
    "i8": "tensor(int8)", "i16": "tensor(int16)", "i32": "tensor(int32)", "i64": "tensor(int64)",
    "u8": "tensor(uint8)", "u16": "tensor(uint16)", "u32": "tensor(uint32)",
    "u64": "tensor(uint64)", "boolean": "tensor(bool)", "string": "tensor(string)",
}  # fmt: skip
"""OpenVINO's names of element types, and ONNX Runtime's, which the parent reads."""
ENDS = frozenset({"Input", "Output", "Const"})
"""Kinds of node in the executed graph that compute nothing."""
FOREIGN = {
    "library": "a plugin provider of onnxruntime",
    "session": "entries of an onnxruntime session",
    "free_dimensions": "named free dimensions",
}
ERRORS: tuple[type[Exception], ...] = (RuntimeError, ValueError, TypeError, OSError)


def operations() -> Mapping[str, Operation]:
    """Return what a child of this role answers."""
    return build_operations(OpenVinoRuntime(), probe_openvino)


def probe_openvino() -> Mapping[str, Any]:
    """Say what machine and runtime this is, without opening anything."""
    return {
        "machine": read_machine_facts(),
        "runtime": _runtime(),
        "conditions": read_conditions(),
        "devices": [
            {
                "provider": "openvino",
                "kind": name,
                "vendor": str(ov.Core().get_property(name, "FULL_DEVICE_NAME")),
            }
            for name in ov.Core().available_devices
        ],
    }


class OpenVinoRuntime:
    """Compiles files with OpenVINO for one device."""

    errors = ERRORS

    def open(self, path: Path, asked: Mapping[str, Any]) -> OpenedSession:
        """Read and compile a file. Raises ``RefusalError`` and ``ERRORS``."""
        level = asked.get("graph_optimization", "all")
        foreign = [f"`{name}` ({words})" for name, words in FOREIGN.items() if asked.get(name)]
        if level != "all":
            foreign.append(f"`graph_optimization: {level}`")
        if foreign:
            raise RefusalError(
                "target",
                f"the runtime openvino does not know {', '.join(foreign)}",
                "Remove it, and write OpenVINO's own properties under `provider_options`.",
            )
        device, core = str(asked.get("device") or CPU), ov.Core()
        _require(device, core.available_devices)
        model = core.read_model(str(path))
        own = {
            str(name): str(value) for name, value in (asked.get("provider_options") or {}).items()
        }
        properties = {"INFERENCE_NUM_THREADS": str(asked["threads"]), "NUM_STREAMS": "1", **own}
        compiled = core.compile_model(model, device, properties)
        request, outputs = compiled.create_infer_request(), list(compiled.outputs)
        names = [port.any_name for port in outputs]

        def run(wanted: list[str] | None, feeds: dict[str, Anything]) -> list[object]:
            found = request.infer(feeds)
            return [found[outputs[names.index(name)]].copy() for name in wanted or names]

        devices = [str(name) for name in compiled.get_property("EXECUTION_DEVICES")]
        # The facts of each node that is executed, as OpenVINO names them
        graph = compiled.get_runtime_model().get_ordered_ops()
        nodes = [
            {str(name): str(fact.value) for name, fact in node.get_rt_info().items()}
            for node in graph
        ]
        nodes = [node for node in nodes if node.get("layerType") not in ENDS]
        about = {
            "machine": read_machine_facts(),
            "conditions": read_conditions(),
            "runtime": _runtime(),
            "precision": _precision(compiled, nodes),
            "inputs": [_slot(port) for port in compiled.inputs],
            "outputs": [_slot(port) for port in outputs],
            "placement": {devices[0]: _tally(nodes, "layerType")} if len(devices) == 1 else None,
            "placement_source": "vendor",
            "placed_on": device,
            "providers": devices,
            "opsets": read_opsets(path),
        }
        return OpenedSession(run, names, about)

    def refuse(self, file: str, doing: str, error: Exception) -> RefusalError:
        """Turn the runtime's exception into words."""
        said = " ".join(str(error).split())[:500].rstrip(".")
        return RefusalError(
            "model",
            f"{file}: OpenVINO could not {doing}: {said}",
            "Check that the model runs in openvino with rows of this data.",
        )


def _require(device: str, available: list[str]) -> None:
    if device not in available and not any(name.startswith(f"{device}.") for name in available):
        raise RefusalError(
            "target",
            f"OpenVINO {ov.__version__} finds no device {device!r} on this machine",
            f"Name one of {', '.join(available)}; AUTO and HETERO choose for themselves, so that "
            "nobody could say what was measured.",
        )


def _precision(compiled: Any, nodes: list[dict[str, str]]) -> dict[str, Any]:  # noqa: ANN401
    """Say in which precision the model really computes: the chip decides, unless it is pinned."""
    return {
        "inference": compiled.get_property("INFERENCE_PRECISION_HINT").to_string(),
        "nodes": _tally(nodes, "runtimePrecision"),
        "kernels": _tally(nodes, "primitiveType"),
    }


def _tally(nodes: list[dict[str, str]], fact: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for node in nodes:
        name = node.get(fact, "unknown")
        found[name] = found.get(name, 0) + 1
    return dict(sorted(found.items()))


def _slot(port: Any) -> dict[str, Any]:  # noqa: ANN401
    rank = port.partial_shape.rank
    axes = list(port.partial_shape) if rank.is_static else []
    kind = port.element_type.to_string()
    return {
        "name": port.any_name,
        "type": TYPES.get(kind, f"tensor({kind})"),
        "shape": [None if axis.is_dynamic else axis.get_length() for axis in axes],
    }


def _runtime() -> dict[str, Any]:
    return {
        "name": "openvino",
        "version": ov.__version__,
        "library": _library_digest(),
        "providers": list(ov.Core().available_devices),
    }


@functools.cache
def _library_digest() -> str:
    libraries = sorted((Path(ov.__file__).parent / "libs").glob("libopenvino*.so*"))
    hasher = hashlib.sha256()
    for library in libraries:
        with library.open("rb") as stream:
            hasher.update(hashlib.file_digest(stream, "sha256").digest())
    return Digest.of_hex(hasher.hexdigest()) if libraries else "unknown"
