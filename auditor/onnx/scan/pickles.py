"""Safety scan of pickles by their opcodes: which names they import and call, without loading.

The stack is followed with each opcode's own declaration of what it takes and leaves
(``pickletools``), so that names put together by memo or by duplication are found as well.
"""

import io
import pickletools
from collections.abc import Iterator
from dataclasses import dataclass, field

from auditor.onnx.scan.unsafe_entries import UnsafeCode, UnsafeEntry, printable_excerpt

MOST_PICKLES = 1000
"""Older torch files hold five pickles in a row; more than this is not read on."""
PROTO = b"\x80"
PROTOCOLS = range(2, 6)
CALLS = frozenset({"REDUCE", "BUILD", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX"})
IMPORTS = frozenset({"GLOBAL", "INST", "EXT1", "EXT2", "EXT4"})
EXTENSIONS = frozenset({"EXT1", "EXT2", "EXT4"})
_STORE = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_FETCH = frozenset({"GET", "BINGET", "LONG_BINGET"})
_BROKEN = (ValueError, IndexError, KeyError, OverflowError, EOFError)
COMPUTED = "(a name that the pickle computes)"
HARMLESS = frozenset(
    {
        "_codecs.encode",
        "builtins.complex",
        "builtins.set",
        "collections.OrderedDict",
        "collections.defaultdict",
        "joblib.numpy_pickle.NumpyArrayWrapper",
        "numpy.core.multiarray._reconstruct",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray._reconstruct",
        "numpy._core.multiarray.scalar",
        "numpy.dtype",
        "numpy.ndarray",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_tensor_v2",
        "torch.Size",
        "torch.BFloat16Storage",
        "torch.BoolStorage",
        "torch.ByteStorage",
        "torch.DoubleStorage",
        "torch.FloatStorage",
        "torch.HalfStorage",
        "torch.IntStorage",
        "torch.LongStorage",
        "torch.storage.UntypedStorage",
    }
)
"""Names that only rebuild arrays. A pickle that imports no other is still a pickle, and listed."""


@dataclass(slots=True)
class _PickleMachine:
    """What following one pickle's opcodes has shown so far; ``None`` stands for any object."""

    stack: list[object] = field(default_factory=list)
    memo: dict[int, object] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)
    calls: int = 0
    extensions: int = 0


def starts_like_pickle(raw: bytes) -> bool:
    """Whether bytes start as every pickle of protocol 2 or later does."""
    return raw[:1] == PROTO and len(raw) > 1 and raw[1] in PROTOCOLS


def looks_like_pickle(raw: bytes) -> bool:
    """Whether bytes are one whole pickle of protocol 2 or later, whatever follows it."""
    if not starts_like_pickle(raw):
        return False
    try:
        for _ in pickletools.genops(io.BytesIO(raw)):
            pass
    except _BROKEN:
        return False
    return True


def looks_like_text_pickle(raw: bytes) -> bool:
    """Whether bytes are exactly one pickle of protocol 0 or 1 that imports a name.

    Those have no head to know them by, and a single full stop is one; no words of people's are a
    whole pickle with an import in it.
    """
    try:
        found = [(opcode.name, place) for opcode, _, place in pickletools.genops(raw)]
    except _BROKEN:
        return False
    names = {name for name, _ in found}
    return bool(names & IMPORTS) and found[-1][1] == len(raw) - 1


def scan_pickle(raw: bytes, where: str) -> Iterator[UnsafeEntry]:
    """Say what a pickle may do on loading: one entry for itself, one for each name not harmless."""
    machine = _PickleMachine()
    whole = _follow_all(raw, machine)
    calls = f"a pickle that makes {machine.calls} calls on loading"
    yield UnsafeEntry(UnsafeCode.PICKLE, where, f"{calls}; load weights from a format without code")
    for name in machine.names:
        if name not in HARMLESS:
            yield UnsafeEntry(UnsafeCode.PICKLE_GLOBAL, where, f"imports {printable_excerpt(name)}")
    if machine.extensions:
        yield UnsafeEntry(
            UnsafeCode.PICKLE_EXTENSION, where, "imports by copyreg extension numbers"
        )
    if not whole:
        yield UnsafeEntry(UnsafeCode.UNREADABLE, where, "a pickle that ends early or is malformed")


def _follow_all(raw: bytes, machine: _PickleMachine) -> bool:
    """Follow pickle after pickle; return whether each that starts as one is whole."""
    stream, start = io.BytesIO(raw), 0
    for count in range(MOST_PICKLES):
        try:
            _follow(stream, machine)
        except _BROKEN:
            # Raw weights may follow the pickles of an older torch file.
            return count > 0 and raw[start : start + 1] != PROTO
        start = stream.tell()
        if start >= len(raw):
            break
    return True


def _follow(stream: io.BytesIO, machine: _PickleMachine) -> None:
    machine.stack.clear()
    machine.memo.clear()
    for opcode, argument, _ in pickletools.genops(stream):
        machine.calls += opcode.name in CALLS
        machine.extensions += opcode.name in EXTENSIONS
        if opcode.name in {"GLOBAL", "INST"}:
            machine.names[str(argument).replace(" ", ".", 1)] = None
        elif opcode.name == "STACK_GLOBAL":
            module, name = machine.stack[-2:] if len(machine.stack) > 1 else (None, None)
            if isinstance(module, str) and isinstance(name, str):
                stacked_name = f"{module}.{name}"
            else:
                stacked_name = COMPUTED
            machine.names[stacked_name] = None
        _move(opcode, argument, machine)


def _move(opcode: pickletools.OpcodeInfo, argument: object, machine: _PickleMachine) -> None:
    stack = machine.stack
    if opcode.name in _STORE or opcode.name == "MEMOIZE":
        place = len(machine.memo) if opcode.name == "MEMOIZE" else int(str(argument))
        machine.memo[place] = stack[-1]
        return
    if opcode.name in _FETCH:
        stack.append(machine.memo[int(str(argument))])
        return
    if opcode.name == "DUP":
        stack.append(stack[-1])
        return
    if pickletools.markobject in opcode.stack_before:
        while stack.pop() is not pickletools.markobject:
            pass
        below = opcode.stack_before.index(pickletools.markobject)
    else:
        below = len(opcode.stack_before)
    for _ in range(below):
        stack.pop()
    for left in opcode.stack_after:
        if left is pickletools.markobject:
            stack.append(pickletools.markobject)
        else:
            stack.append(argument if isinstance(argument, str) else None)
