"""Rewords ONNX Runtime's errors with the place and the cure."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from onnxruntime.capi import onnxruntime_pybind11_state as native

from auditor.targets.sandbox.request_loop import RefusalError

RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    native.EPFail, native.EngineError, native.Fail, native.InvalidArgument, native.InvalidGraph,
    native.InvalidProtobuf, native.ModelLoaded, native.NoModel, native.NoSuchFile,
    native.NotImplemented, native.RuntimeException,
    RuntimeError, ValueError, TypeError, OSError,
)  # fmt: skip
"""All that opening or running a session raises; they have no base of their own."""

_NOISE = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : \w+ : |\x1b\[[0-9;]*m|/onnxruntime_src/\S+ |"
    r"Load model from \S+ failed:|Fatal error: |"
    r"Non-zero status code returned while |Status Message: "
)
_SIGNATURE = re.compile(r"\S+:\d+ \S[^)]*\([^)]*\)( const)? ")
_OUT_OF_MEMORY = re.compile(r"[Ff]ailed to allocate|bad_alloc|[Oo]ut of memory|std::length_error")


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """A message that we recognise: whose fault it is, and what helps."""

    pattern: re.Pattern[str]
    kind: str
    words: Callable[[str, re.Match[str]], str]
    cure: str


OPENING = "open it"
"""What is done to a file before anything runs: only then may the file itself be at fault."""
CUSTOM_CURE = (
    "Export the model with operators of the standard domain (ai.onnx), or have the custom "
    "operators written out as standard ones."
)
KNOWN = (
    KnownMessage(
        re.compile(r"([\w.:-]+\([-\d]+\)) is not a registered function/op"),
        "model",
        lambda file, found: f"{file}: ONNX Runtime has no operator {found[1]}",
        CUSTOM_CURE,
    ),
    KnownMessage(
        re.compile(r'In Node, \("[^"]*", ([^,]+), "([\w.-]*)".*No (Op reg|opset imp)', re.DOTALL),
        "model",
        lambda file, found: (
            f"{file}: ONNX Runtime has no operator {found[2] or 'ai.onnx'}:{found[1]}"
        ),
        CUSTOM_CURE,
    ),
    KnownMessage(
        re.compile(r'for initializer: (\S+)\..*path does not exist: "([^"]*)"'),
        "artifact",
        lambda file, found: (
            f"{file}: the weights {found[1]!r} lie in the external file "
            f"{found[2].rsplit('/', 1)[-1]!r}, which is missing"
        ),
        "Put the external data file beside the model, under the name that the model gives it.",
    ),
    KnownMessage(
        re.compile(r"Cannot parse data from external tensors.*for tensor: (\S+)"),
        "model",
        lambda file, found: (
            f"{file}: the shape {found[1]!r} is kept as external data, where ONNX Runtime cannot "
            "read shapes"
        ),
        "Save the model again with only its large tensors outside (onnx.save_model: "
        "size_threshold=1024).",
    ),
    KnownMessage(
        re.compile(r"for initializer: (\S+)\..*(escapes|Absolute path|[Ss]ymlink)"),
        "model",
        lambda file, found: (
            f"{file}: the external data of {found[1]!r} lies outside the model's folder"
        ),
        "Save the model again with its external data in its own folder.",
    ),
    KnownMessage(
        re.compile(r"Protobuf parsing failed|No graph was found|ModelProto does not have a graph"),
        "artifact",
        lambda file, _: f"{file} is not an ONNX file, or it is cut off",
        "Name the exported .onnx file as `model.artifact`, and check that it was copied whole.",
    ),
    KnownMessage(
        re.compile(r"[Oo]pset (\d+) is under development|Unknown model file format version|"
                   r"Unsupported model IR version"),
        "artifact",
        lambda file, _: f"{file} is written in a newer ONNX version than this runtime reads",
        "Export the model with an older opset, or update onnxruntime.",
    ),
    KnownMessage(
        re.compile(r"At least one output should be requested"),
        "model",
        lambda file, _: f"{file}: the model has no output",
        "Export the model with its scores [rows, classes] as an output.",
    ),
    KnownMessage(
        re.compile(r"Failed to construct locale with name:\s*([\w.@-]+)"),
        "model",
        lambda file, found: (
            f"{file}: the model reads texts by the locale {found[1]}, which is not installed here"
        ),
        "Export it with the locale C (skl2onnx: options={TfidfVectorizer: {'locale': 'C'}}), or "
        "install the locale.",
    ),
    KnownMessage(
        re.compile(r"Could not find an implementation for (\w+)\((\d+)\)"),
        "model",
        lambda file, found: (
            f"{file}: this target has no kernel for the operator {found[1]} (version {found[2]}) "
            "with the types that the model uses"
        ),
        "Export the model in float32, or name a target whose provider has that operator.",
    ),
)  # fmt: skip


def build_refusal(file: str, doing: str, error: Exception) -> RefusalError:
    """Turn the runtime's exception while ``doing`` something with ``file`` into a refusal."""
    said = str(error)
    if _OUT_OF_MEMORY.search(said):
        return RefusalError("memory", f"{file}: {_plain(said)}", "")
    for known in KNOWN:
        found = known.pattern.search(said)
        if found:
            return RefusalError(known.kind, known.words(file, found), known.cure)
    opening = doing == OPENING and isinstance(error, native.InvalidGraph | native.NoSuchFile)
    kind = "artifact" if opening else "model"
    return RefusalError(
        kind,
        f"{file}: ONNX Runtime could not {doing}: {_plain(said)}",
        "Check that the model runs in onnxruntime with rows of this data.",
    )


def _plain(said: str) -> str:
    short = _SIGNATURE.sub("", _NOISE.sub("", said))
    return " ".join(short.split())[:500].rstrip(".")
