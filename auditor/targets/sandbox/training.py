"""Loads and runs the owner's training recipe inside the sandbox.

Nothing of the auditor's is in this process but numbers that it sends, so that what the code does to
the process it does to its own answers alone.
"""

import contextlib
import io
import linecache
import random
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np

from auditor.targets.protocol import OUT_OF_MEMORY, Anything, MessageFrame, encode_frame
from auditor.targets.sandbox.request_loop import Operation, RefusalError

Untyped: TypeAlias = Any
"""What the owner's code and torch hold."""
MOST_SEED = 2**32
BATCH = 4096
"""Rows that a trained module is given at once."""
CURE = "Fix the code, or run it alone with rows of this data to see the whole traceback."


def operations() -> Mapping[str, Operation]:
    """Return what a child of this role answers."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # so that a crash does not take its words along
    tempfile.tempdir = "/tmp"  # noqa: S108 -- the sandbox's own, where there is one
    school = TrainingHost()
    return {
        "recipe_open": school.open,
        "recipe_train": school.train,
        "recipe_ask": school.ask,
        "recipe_call": school.call,
    }


class TrainingHost:
    """Holds the owner's code, and what it trained last."""

    def __init__(self) -> None:
        self._name = ""
        self._code: dict[str, Any] = {}
        self._answer: Callable[[Anything], object] | None = None

    def open(self, request: MessageFrame) -> MessageFrame:
        """Load the file at ``path``; tracebacks name it without its folder."""
        path = Path(request.header["path"])
        self._name, source = path.name, path.read_text(encoding="utf-8")
        lines = source.splitlines(keepends=True)
        linecache.cache[self._name] = (len(source), None, lines, self._name)
        self._code = {"__name__": path.stem, "__file__": str(path)}
        with self._telling("loaded"):
            exec(compile(source, self._name, "exec"), self._code)  # noqa: S102 -- the owner allowed it
        return MessageFrame({})

    def train(self, request: MessageFrame) -> MessageFrame:
        """Call ``function`` with rows, classes and seed; say what kind of model came back.

        An ONNX file is sent back as its bytes; of all else ``ask`` gives the answers.
        """
        called, seed = str(request.header["function"]), int(request.header["seed"])
        train = self._function(called)
        _sow(seed)
        with self._telling(called):
            found = train(request.arrays["inputs"], request.arrays["labels"], seed)
            kind, self._answer, raw = _fitted(found)
        if self._answer is None and raw is None:
            raise RefusalError(
                "recipe",
                f"{called} of {self._name} returned {_kind_of(found)}, which answers nothing",
                "Return a function predict(X) -> [n, classes] probabilities, a torch module, or "
                "the path or the bytes of an ONNX file.",
            )
        return MessageFrame({"kind": kind}, {} if raw is None else {"onnx": raw})

    def ask(self, request: MessageFrame) -> MessageFrame:
        """Return the ``scores`` of ``inputs`` as the model gives them, in double precision."""
        if self._answer is None:
            raise RefusalError("recipe", "nothing was trained that could answer", CURE)
        with self._telling("what it trained"):
            found = np.asarray(self._answer(request.arrays["inputs"]))
            return MessageFrame({}, {"scores": found.astype(np.float64)})

    def call(self, request: MessageFrame) -> MessageFrame:
        """Call any function with arrays and settings by name; it returns arrays by name."""
        called = str(request.header["function"])
        function = self._function(called)
        _sow(int(request.header["seed"]))
        with self._telling(called):
            returned = function(dict(request.arrays), dict(request.header["settings"]))
            if not isinstance(returned, Mapping):
                message = f"it returned {_kind_of(returned)}, not arrays by name"
                raise TypeError(message)
            reply = MessageFrame(
                {}, {str(name): np.asarray(item) for name, item in returned.items()}
            )
            encode_frame(reply)
        return reply

    def _function(self, called: str) -> Callable[..., object]:
        found = self._code.get(called)
        if not callable(found):
            names = sorted(
                name for name, item in self._code.items() if callable(item) and name[0] != "_"
            )
            listed = ", ".join(names) or "nothing"
            raise RefusalError(
                "recipe",
                f"{self._name} defines no function {called}; it defines {listed}",
                "Define it, or name another function under recipe in the audit file.",
            )
        return cast("Callable[..., object]", found)

    @contextlib.contextmanager
    def _telling(self, called: str) -> Iterator[None]:
        """Turn what the owner's code raises into a refusal, after its traceback in its output."""
        try:
            yield
        except MemoryError:
            raise
        except (Exception, SystemExit) as error:
            if OUT_OF_MEMORY.search(str(error).encode()):  # torch has no error of its own for it
                raise MemoryError(str(error)) from error
            traceback.print_exc()
            sys.stderr.flush()
            subject = self._name if called == "loaded" else f"{called} of {self._name}"
            frames = traceback.extract_tb(error.__traceback__)
            lines = [frame.lineno for frame in frames if frame.filename == self._name]
            line = f" at line {lines[-1]}" if lines else ""
            raise RefusalError(
                "recipe", f"{subject} raised {type(error).__name__}{line}", CURE
            ) from error


def _fitted(
    found: object,
) -> tuple[str, Callable[[Anything], object] | None, Anything | None]:
    """Return the kind of what was trained, what answers for it, and the bytes of an ONNX file."""
    if isinstance(found, str | Path):
        found = Path(found).read_bytes()
    if isinstance(found, bytes | bytearray):
        return "onnx", None, np.frombuffer(bytes(found), dtype=np.uint8)
    torch: Untyped = sys.modules.get("torch")
    if torch is not None and isinstance(found, torch.nn.Module):
        # What gives a module's outputs, batch by batch, in the type of its weights
        module = found
        module.eval()
        weight = next(iter(module.parameters()), None)
        kind = torch.float32 if weight is None else weight.dtype

        def answer(inputs: Anything) -> object:
            parts = np.array_split(inputs, range(BATCH, len(inputs), BATCH))
            with torch.no_grad():
                found = [module(torch.as_tensor(part).to(kind)).double().numpy() for part in parts]
            return np.concatenate(found)

        return "module", answer, None
    return "function", found if callable(found) else None, None


def _sow(seed: int) -> None:
    """Seed what the owner's code may draw from beside its own generators, and keep one thread."""
    random.seed(seed)
    np.random.seed(seed % MOST_SEED)  # noqa: NPY002 -- the owner's code may use the old generator
    torch: Untyped = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed % MOST_SEED)
        torch.set_num_threads(1)


def _kind_of(found: object) -> str:
    return "nothing" if found is None else f"a {type(found).__name__}"
