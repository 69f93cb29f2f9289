"""A Python function as a model: it runs in this process, and every answer is checked.

It implements ``ModelConnection`` as a child process does. Nothing keeps the function from anything
that this process may do, and nothing tells on what it runs.
"""

import hashlib
import inspect
import platform
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from auditor.domain.digests import Digest
from auditor.domain.targets import CallableSpec, TargetSpec
from auditor.domain.tasks import Array
from auditor.errors import ModelFailedError, TargetError, find_raise_site
from auditor.targets.protocol import Anything, MessageFrame, to_plain_text

ModelFunction: TypeAlias = Callable[[Any], Any]
"""Takes rows ``[n, …]``, returns scores ``[n, classes]`` or ``[n]``, or a label a row."""
INPUT, OUTPUT = "rows", "scores"
MOST_NAME = 256
MOST_AXES = 2
CURE = "Return one number, or one for each class, for every row that the function is given."


def describe_callable(function: ModelFunction) -> CallableSpec:
    """Return a function's name, and the digest of its source where that can be had.

    The source says nothing of weights and settings that the function reads elsewhere.
    """
    named: Any = function
    while isinstance(named, partial):
        named = named.func
    if not hasattr(named, "__qualname__"):  # an object that can be called
        named = type(named)
    name = to_plain_text(f"{named.__module__}.{named.__qualname__}", MOST_NAME)
    try:
        source = inspect.getsource(named)
    except (OSError, TypeError):
        return CallableSpec(function=name)
    digest = hashlib.sha256(source.encode(errors="backslashreplace")).hexdigest()
    return CallableSpec(function=name, source=Digest.of_hex(digest))


def find_function(spec: TargetSpec, functions: Mapping[str, ModelFunction]) -> ModelFunction:
    """Return the function that answers on a target, by the target's name.

    Raises ``TargetError`` where there is none, or another one than the target declares.
    """
    declared, function = spec.callable, functions.get(spec.name)
    if declared is None or function is None:
        raise missing_function_error(spec)
    found = describe_callable(function)
    if found != declared:
        raise TargetError(
            f"the target {spec.name!r} is the function {declared.function}, and the one that was "
            f"given is {found.function} or has another source",
            cure="Give the function that was audited, as it was.",
        )
    return function


def missing_function_error(spec: TargetSpec) -> TargetError:
    """Return the error of a function that only the program has that asks for the audit."""
    name = "" if spec.callable is None else f" {spec.callable.function}"
    return TargetError(
        f"the target {spec.name!r} is the Python function{name}, which runs only from Python",
        cure="Call auditor.audit with the function, or export the model to ONNX and name that file "
        "under model.artifact.",
    )


class CallableConnection:
    """Asks a function; implements ``ModelConnection``.

    ``sample`` are rows such as it will be given: single precision stays so, and all other numbers
    become double.
    """

    level = "none"

    def __init__(self, spec: TargetSpec, function: ModelFunction, sample: Array) -> None:
        self._title = f"the function {describe_callable(function).function}"
        self._spec = spec
        self._function = function
        self._single = sample.dtype == np.float32
        self._answered: tuple[str, tuple[int, ...]] | None = None

    @property
    def seconds(self) -> float:
        """The time limit of one request, which nothing enforces."""
        return self._spec.time_limit

    @property
    def opened(self) -> MessageFrame:
        """What is known of the function: its name, its source, and what runs it."""
        declared = self._spec.callable
        kind = "tensor(float)" if self._single else "tensor(double)"
        runtime = {
            "name": "python callable",
            "version": platform.python_version(),
            "numpy": np.__version__,
            **({} if declared is None else declared.to_json()),
        }
        header = {
            "machine": {},
            "runtime": runtime,
            "conditions": {},
            "placement": "unknown",
            "opsets": {},
            "inputs": [{"name": INPUT, "type": kind, "shape": []}],
            "outputs": [{"name": OUTPUT, "type": "tensor(double)", "shape": []}],
        }
        return MessageFrame(header)

    def ask(
        self, header: Mapping[str, Any], arrays: Mapping[str, Anything] | None = None
    ) -> MessageFrame:
        """Score rows (``infer``). Raises ``ModelFailedError`` for an answer that is none."""
        if header.get("op") != "infer":
            raise ModelFailedError(
                f"{self._title} cannot be asked to {header.get('op')}",
                cure="Export the model to ONNX, and audit that file on its target.",
            )
        (rows,) = (arrays or {}).values()
        given = rows.copy()
        try:
            answer = np.array(self._function(given))
        except (Exception, SystemExit) as error:
            said = to_plain_text(str(error)) or type(error).__name__
            raise ModelFailedError(
                f"{self._title} failed on {len(rows)} rows ({find_raise_site(error)}): {said}",
                cure="Fix the function, or the rows.",
            ) from error
        if given.tobytes() != rows.tobytes():
            raise self._refuse("changes the rows that it is given")
        return MessageFrame({"keys": {}}, {OUTPUT: self._checked(answer, len(rows))})

    def close(self) -> None:
        """Do nothing: the function is the caller's."""

    def _checked(self, answer: Anything, rows: int) -> Anything:
        kind, columns = answer.dtype.kind, answer.shape[1:]
        if kind not in "fiub":
            raise self._refuse(f"answers {answer.dtype.name}, which is not a number")
        if not 1 <= answer.ndim <= MOST_AXES or len(answer) != rows or 0 in columns:
            raise self._refuse(f"answers {rows} rows with the shape {answer.shape}")
        bad = ~np.isfinite(answer.reshape(rows, -1)).all(axis=1)
        if bad.any():
            raise self._refuse(f"answers row {int(np.argmax(bad))} of {rows} with NaN or infinity")
        family = "f" if kind == "f" else "i"
        if self._answered not in {None, (family, columns)}:
            raise self._refuse(
                f"answers with the shape {answer.shape} and {answer.dtype.name}, and did otherwise "
                "before"
            )
        self._answered = family, columns
        return answer.astype(np.float64 if family == "f" else np.int64)

    def _refuse(self, what: str) -> ModelFailedError:
        return ModelFailedError(f"{self._title} {what}", cure=CURE)
