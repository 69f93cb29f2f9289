"""Twins from ``torch.export`` programs (``.pt2``), read as data and run node by node.

``torch.export.load`` unpickles example inputs, evaluates expressions of sizes and compiles guards,
and each of these runs code from the file (https://docs.pytorch.org/docs/stable/export.html). A twin
needs none of them: the graph is JSON, and the weights beside it are raw bytes.
"""

import json
import operator
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from auditor.domain.targets import ModelInterface
from auditor.errors import TwinError
from auditor.onnx.graph import GraphNode, NodeAttributes, OnnxGraph
from auditor.onnx.output_heads import LogitTransform
from auditor.onnx.twin.torch_twin import ProgramStep, TorchProgram, TorchTwin

MAJOR = 8
"""The version of the schema that is read, as torch 2.13 writes it; minor ones only add to it."""
MOST_BYTES = 4 * 2**30
DTYPES: Mapping[int, torch.dtype] = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64,
    6: torch.float16, 7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip
"""``ScalarType`` of the schema, the kinds that a network's weights have."""
STRIDED = 7
BROKEN = (
    zipfile.BadZipFile, zlib.error, OSError, ValueError, KeyError, TypeError, AttributeError,
    IndexError, RuntimeError, RecursionError, NotImplementedError,
)  # fmt: skip
CURE = (
    "Save it with torch.export.save of a recent torch, on the CPU, in eval mode, with plain "
    "tensors as weights."
)


class ExportedArchive:
    """An opened ``.pt2`` file. Whatever it holds beside graph and numbers is left alone."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises ``TwinError`` where it is no such archive."""
        self._name = path.name
        try:
            self._zip = zipfile.ZipFile(path)
            found = [
                name for name in self._zip.namelist() if name.endswith("/" + "models/model.json")
            ]
            if len(found) != 1:
                message = f"it holds {len(found)} programs of the name 'model', and one is needed"
                raise ValueError(message)
            self._root = found[0].removesuffix("models/model.json")
            self.document: Mapping[str, Any] = json.loads(self._read("models/model.json"))
            version = self.document["schema_version"]["major"]
        except BROKEN as mistake:
            raise self.unreadable(str(mistake)) from mistake
        if version != MAJOR:
            raise self.unreadable(f"its schema is version {version}, and {MAJOR} is read")

    def __enter__(self) -> Self:
        """Return the archive itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._zip.close()

    def tensors(self, folder: str, config: str) -> dict[str, Tensor]:
        """Return the tensors that a JSON file of ``data/`` lists, by name.

        Raises ``TwinError`` for one that is a pickle or an object of code.
        """
        try:
            listed = json.loads(self._read(f"data/{folder}/{config}"))["config"]
            return {name: self._tensor(folder, name, item) for name, item in listed.items()}
        except BROKEN as mistake:
            raise self.unreadable(str(mistake)) from mistake

    def unreadable(self, why: str) -> TwinError:
        """Return the error that says why this file is not read."""
        return TwinError(f"{self._name} cannot be read as an exported program: {why}", cure=CURE)

    def _tensor(self, folder: str, name: str, item: Mapping[str, Any]) -> Tensor:
        meta = item["tensor_meta"]
        if item["use_pickle"] or meta is None or meta["layout"] != STRIDED:
            raise self.unreadable(f"{name!r} is a pickle, which may run code, and no plain tensor")
        if meta["device"]["type"] != "cpu":
            raise self.unreadable(f"{name!r} lies on the device {meta['device']['type']!r}")
        dtype, raw = DTYPES[meta["dtype"]], self._read(f"data/{folder}/{item['path_name']}")
        sizes, strides = ([size["as_int"] for size in meta[key]] for key in ("sizes", "strides"))
        if 0 in sizes:
            return torch.zeros(sizes, dtype=dtype)
        flat = torch.frombuffer(bytearray(raw), dtype=dtype)
        # A view of a copy: as_strided refuses whatever lies outside of the bytes.
        return torch.as_strided(flat, sizes, strides, meta["storage_offset"]["as_int"]).clone()

    def _read(self, name: str) -> bytes:
        entry = self._zip.getinfo(self._root + name)
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > MOST_BYTES:
            raise self.unreadable(f"{name} is compressed or too large, which torch never writes")
        return self._zip.read(entry)


ATEN = "torch.ops.aten."
ON_NUMBERS = frozenset(
    {"add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "pow"}
    | {"eq", "ne", "lt", "le", "gt", "ge"}
)
"""Functions of Python's ``operator`` that compute sizes."""
ASSERTIONS = ("_assert", "sym_constrain_range")
FORBIDDEN = re.compile("from_file|save|load|unsafe|sparse|resize|set_|manual_seed|storage|nested")
"""Functions of ATen that reach outside of their arguments, or trust them to be well formed."""
LITERALS = frozenset(
    {"as_int", "as_ints", "as_float", "as_floats", "as_bool", "as_bools", "as_string"}
)
FORMATS = {1: torch.contiguous_format, 2: torch.channels_last, 4: torch.preserve_format}
FLAT = 1
KEYWORD = 2
Call = Callable[..., Any]


def open_exported_twin(path: Path, interface: ModelInterface, run: int = 1024) -> TorchTwin:
    """Return the twin that a ``.pt2`` file holds, with one input and one output.

    Only functions of ATen are run, on tensors that the file holds as plain bytes; a final softmax
    or sigmoid is left out. Raises ``TwinError`` for a file that holds more than that, or whose
    input is not what the interface takes.
    """
    with ExportedArchive(path) as archive:
        try:
            reader = _ExportedGraphReader(archive)
            batch = reader.batch(interface)
            value, finish = reader.head(interface)
            program = reader.program(value)
        except BROKEN as mistake:
            raise archive.unreadable(f"{type(mistake).__name__}: {mistake}") from mistake
    return TorchTwin(program, value=value, finish=finish, batch=batch, run=run)


class _ExportedGraphReader:
    """Turns the graph of an archive into a program of ours."""

    def __init__(self, archive: ExportedArchive) -> None:
        self._archive = archive
        module = archive.document["graph_module"]
        self._graph: Mapping[str, Any] = module["graph"]
        self._opset = int(archive.document["opset_version"]["aten"])
        weights = self._archive.tensors("weights", "model_weights_config.json")
        constants = self._archive.tensors("constants", "model_constants_config.json")
        fed = {}
        for spec in module["signature"]["input_specs"]:
            for kind, item in spec.items():
                if kind in {"parameter", "buffer"}:
                    name = item[f"{kind}_name"]
                    fed[item["arg"]["name"]] = (weights if name in weights else constants)[name]
                elif kind == "tensor_constant":
                    fed[item["arg"]["name"]] = constants[item["tensor_constant_name"]]
                elif kind != "user_input":
                    raise self._archive.unreadable(f"it takes an input of the kind {kind!r}")
        self._constants = fed
        specs = module["signature"]["input_specs"]
        given = [spec["user_input"]["arg"] for spec in specs if "user_input" in spec]
        if len(given) != 1 or "as_tensor" not in given[0]:
            raise self._archive.unreadable(f"it takes {len(given)} inputs, and not one tensor")
        (self._input,) = [str(given[0]["as_tensor"]["name"])]
        (output,) = module["signature"]["output_specs"]
        self._output = str(output["user_output"]["arg"]["as_tensor"]["name"])

    def batch(self, interface: ModelInterface) -> int | None:
        """Return the number of rows that the program takes, ``None`` for any."""
        first, *row = self._graph["tensor_values"][self._input]["sizes"]
        shape = tuple(size.get("as_int") for size in row)
        if shape != interface.input_shape:
            raise self._archive.unreadable(
                f"its rows have the shape {shape}, and the model's {interface.input_shape}"
            )
        rows: int | None = first.get("as_int")
        return rows

    def head(self, interface: ModelInterface) -> tuple[str, LogitTransform]:
        """Return where logits are taken from, and what to do with them."""
        if interface.scores == "values":
            return self._output, LogitTransform.AS_IS
        sizes = self._graph["tensor_values"][self._output]["sizes"]
        column = len(sizes) == FLAT or sizes[-1].get("as_int") == 1
        nothing: Mapping[str, Any] = {"target": ""}
        nodes = self._graph["nodes"]
        last = next((node for node in nodes if self._output in _made(node)), nothing)
        name = str(last["target"]).removeprefix(ATEN).split(".")[0]
        if name not in {"softmax", "_softmax", "sigmoid"}:
            return self._output, LogitTransform.BINARY_AS_IS if column else LogitTransform.AS_IS
        given = str(last["inputs"][0]["arg"]["as_tensor"]["name"])
        if column:
            return given, LogitTransform.BINARY_AS_IS
        return given, LogitTransform.LOG_SIGMOID if name == "sigmoid" else LogitTransform.AS_IS

    def program(self, value: str) -> TorchProgram:
        """Return the program up to ``value``."""
        nodes = [item for item in self._graph["nodes"] if not _asserts(item)]
        steps = tuple(self._step(item, place) for place, item in enumerate(nodes))
        graph = OnnxGraph(
            nodes=tuple(step.node for step in steps),
            constants={},
            inputs={self._input: ()},
            outputs=(value,),
        ).needed_for(value)
        kept = {id(node) for node in graph.nodes}
        return TorchProgram(
            graph, tuple(step for step in steps if id(step.node) in kept), self._constants
        )

    def _step(self, item: Mapping[str, Any], place: int) -> ProgramStep:
        target, made = str(item["target"]), _made(item)
        names: list[str] = []
        plan = [
            (bool(arg.get("kind") != KEYWORD), arg["name"], _argument(arg["arg"], names))
            for arg in item["inputs"]
        ]
        uses = tuple(dict.fromkeys(names))
        node = GraphNode(
            name=str(item.get("name") or f"#{place}"),
            domain="torch.aten",
            operator=target.removeprefix(ATEN),
            opset=self._opset,
            inputs=uses,
            outputs=made,
            attributes=NodeAttributes({}, len(made)),
        )
        call = self._call(target)

        def apply(_: NodeAttributes, /, *given: Any) -> Any:  # noqa: ANN401 -- tensors and sizes
            values = dict(zip(uses, given, strict=True))
            args = [make(values) for positional, _, make in plan if positional]
            named = {name: make(values) for positional, name, make in plan if not positional}
            made = call(*args, **named)
            return tuple(made) if isinstance(made, list) else made

        return ProgramStep(node, apply)

    def _call(self, target: str) -> Call:
        if target.startswith("_operator.") and target.removeprefix("_operator.") in ON_NUMBERS:
            found: Call = getattr(operator, target.removeprefix("_operator."))
            return found
        name, _, overload = target.removeprefix(ATEN).partition(".")
        packet = None if FORBIDDEN.search(name) else getattr(torch.ops.aten, name, None)
        if not target.startswith(ATEN) or packet is None or overload not in packet.overloads():
            raise TwinError(
                f"the exported program uses {target!r}, which is no function of ATen",
                cure="Export the twin without custom operators, control flow and assertions.",
            )
        function: Call = getattr(packet, overload)
        _refuse_effects(target, function)
        return function


def _refuse_effects(target: str, function: Any) -> None:  # noqa: ANN401 -- torch's own type
    """Refuse what names a file, or gives nothing back; in-place functions are usual in exports."""
    schema = function._schema  # noqa: SLF001 -- torch has no other way to ask
    if any("file" in item.name for item in schema.arguments) or not schema.returns:
        raise TwinError(
            f"the exported program uses {target!r}, which does more than compute",
            cure="Export the twin without it.",
        )


def _argument(said: Mapping[str, Any], names: list[str]) -> Call:
    """Return what gives an argument its value; the names that it uses join ``names``."""
    ((kind, value),) = said.items()
    if kind in LITERALS:
        return lambda _: value
    if kind == "as_none":
        return lambda _: None
    if kind == "as_device":
        return lambda _: torch.device("cpu")
    table = {"as_scalar_type": DTYPES, "as_memory_format": FORMATS}.get(kind)
    if table is not None:
        known = table[value]
        return lambda _: known
    if kind == "as_layout":
        return lambda _: torch.strided
    return _reference(kind, value, names)


def _reference(kind: str, value: Any, names: list[str]) -> Call:  # noqa: ANN401 -- JSON
    if kind in {"as_tensors", "as_optional_tensors", "as_sym_ints"}:
        makers = [_reference("one", item, names) for item in value]
        return lambda values: [make(values) for make in makers]
    if kind == "as_tensor" or "name" in value:
        name = value["name"]
    elif "as_tensor" in value:
        name = value["as_tensor"]["name"]
    elif "as_name" in value:
        name = value["as_name"]
    elif "as_int" in value:
        return lambda _: value["as_int"]
    elif "as_none" in value:
        return lambda _: None
    else:
        raise TwinError(
            f"the exported program has an argument of the kind {kind!r}",
            cure="Export the twin without control flow and objects of its own.",
        )
    names.append(name)
    return lambda values: values[name]


def _made(node: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a node's results, those of a list one by one."""
    names = []
    for output in node["outputs"]:
        ((kind, value),) = output.items()
        if kind == "as_tensors":
            names += [item["name"] for item in value]
        elif kind != "as_none":
            names.append(value.get("name", value.get("as_name")))
    return tuple(map(str, names))


def _asserts(node: Mapping[str, Any]) -> bool:
    return str(node["target"]).removeprefix(ATEN).startswith(ASSERTIONS)
