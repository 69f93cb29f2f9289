"""Common interface of inference endpoint clients, with response validation and error messages.

A response is validated before any number in it is used. Error messages contain no secrets.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Protocol

import numpy as np

from auditor.domain.json import write_fields
from auditor.errors import ModelFailedError, TargetError
from auditor.targets.input_layout import DTYPES
from auditor.targets.outputs import Key
from auditor.targets.protocol import Anything, to_plain_text


@dataclass(frozen=True, slots=True)
class TensorMetadata:
    """An input or output as a server declares it, with ONNX Runtime's name of its type."""

    name: str
    type: str
    shape: tuple[int | None, ...]

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """What a server says of itself.

    ``certificate`` is the SHA-256 of its TLS certificate, empty on a plain connection.
    """

    name: str = ""
    version: str = ""
    extensions: tuple[str, ...] = ()
    certificate: str = ""


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What a server says of one model."""

    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]
    name: str = ""
    versions: tuple[str, ...] = ()
    platform: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class InferenceResponse:
    """The outputs of one request, and which model and version the server says gave them."""

    arrays: Mapping[str, Anything]
    model: str = ""
    version: str = ""
    keys: Mapping[str, list[Key]] = field(default_factory=dict)


class EndpointClient(Protocol):
    """Speaks one protocol with one server; each call is one attempt and connects if it must.

    Every call raises ``AttemptError`` for what may pass and deliberate errors for what will not.
    """

    @property
    def connections(self) -> int:
        """How often the server was connected to, as far as the client is told."""
        ...

    def server(self) -> ServerMetadata:
        """Ask the server what it is."""
        ...

    def served(self) -> ModelMetadata:
        """Ask what the model takes and gives."""
        ...

    def infer(self, name: str, rows: Anything, outputs: Sequence[str]) -> InferenceResponse:
        """Send ``rows`` as the input ``name``, and read at least ``outputs``."""
        ...

    def ping(self) -> None:
        """Make a round trip that does not touch the model."""
        ...

    def close(self) -> None:
        """Drop the connection."""
        ...


LABELS = frozenset("iubS")
TEXT_TYPE = "tensor(string)"
MOST_WORDS = 300


def check_answer(
    answer: InferenceResponse, outputs: Iterable[TensorMetadata], wanted: Iterable[str]
) -> None:
    """Refuse an answer without a wanted output, or with one that is not as declared.

    Sizes behind the first axis and the kind of type must agree where they are declared; axes of
    size 1 come and go between servers. Raises ``ModelFailedError``.
    """
    declared = {slot.name: slot for slot in outputs}
    for name in wanted:
        array = answer.arrays.get(name)
        if array is None:
            there = to_plain_text(", ".join(sorted(answer.arrays)), MOST_WORDS) or "none"
            raise ModelFailedError(
                f"the server's answer lacks the output {name!r}; it has {there}",
                cure="Let the server's metadata name the outputs that its runtime gives.",
            )
        slot = declared.get(name)
        if slot is not None and name not in answer.keys:
            _check_type(slot, array)
            shape_declared = [size for size in slot.shape[1:] if size != 1]
            real = [size for size in array.shape[1:] if size != 1]
            fits = len(shape_declared) == len(real) and all(
                size is None or size == found
                for size, found in zip(shape_declared, real, strict=True)
            )
            opened = sum(
                size is None for size in shape_declared
            )  # an open axis may turn out to be 1
            fits = fits or (opened > 0 and len(real) < len(shape_declared))
            if slot.shape and not fits:
                raise ModelFailedError(
                    f"the server declares the output {slot.name!r} as {list(slot.shape)} and sends "
                    f"{list(array.shape)}",
                    cure="Let the server's metadata and its runtime say the same.",
                )


def _check_type(slot: TensorMetadata, array: Anything) -> None:
    dtype = "S" if slot.type == TEXT_TYPE else DTYPES.get(slot.type)
    if not slot.shape or dtype is None:  # nothing is declared, as over plain JSON
        return
    kinds = np.dtype(dtype).kind, array.dtype.kind
    if kinds[0] != kinds[1] and set(kinds) != {"i", "u"}:
        raise ModelFailedError(
            f"the server declares the output {slot.name!r} as {slot.type} and sends {array.dtype}",
            cure="Let the server's metadata and its runtime say the same.",
        )


def find_label_outputs(outputs: tuple[TensorMetadata, ...]) -> tuple[TensorMetadata, ...]:
    """Return the outputs that can hold labels, or all where none is declared as such."""
    found = tuple(
        slot
        for slot in outputs
        if slot.type == TEXT_TYPE or np.dtype(DTYPES.get(slot.type, "f4")).kind in LABELS
    )
    return found or outputs


def select_label_outputs(arrays: Mapping[str, Anything]) -> dict[str, Anything]:
    """Return outputs that are decisions and nothing else: labels, or one-hot rows.

    Raises ``ModelFailedError`` for scores, from which an attack would learn what ``labels_only``
    says that nobody can.
    """
    return {name: _labels(name, array) for name, array in arrays.items()}


def _labels(name: str, array: Anything) -> Anything:
    columns = array.reshape(len(array), -1) if array.ndim and len(array) else array
    if columns.ndim < 2 or array.dtype.kind == "S" or columns.shape[1] == 1:  # noqa: PLR2004 -- rows and columns
        if array.dtype.kind != "f":
            return array
        whole = array.astype(np.int64) if np.isfinite(array).all() else None
        if whole is not None and (whole == array).all():
            return whole
    elif (((columns == 0) | (columns == 1)).all(axis=1) & (columns.sum(axis=1) == 1)).all():
        return array
    raise ModelFailedError(
        f"the endpoint is declared as `labels_only`, but its output {name!r} holds scores",
        cure="Remove `labels_only`, or name the path of the labels.",
    )


PASSING = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Statuses after which the same request may be sent again."""
UNREAD = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""Those of them with which a server turns a request away without looking at it."""


class AttemptError(Exception):
    """One attempt failed in a way that may pass.

    ``wait`` is how many seconds the server asks to be left alone; ``reached`` says whether the
    server may have taken the rows all the same, ``lost`` whether the connection is gone.
    """

    def __init__(
        self, problem: str, *, wait: float | None = None, reached: bool = True, lost: bool = False
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.wait = wait
        self.reached = reached
        self.lost = lost


def build_http_failure(
    title: str, status: int, said: str, retry_after: str, now: float
) -> Exception:
    """Return what a response other than a success means.

    ``said`` is the server's own words, ``retry_after`` its header of that name, and ``now`` the
    seconds since 1970 that dates in it are counted from.
    """
    problem = f"{title} answers {status}{_words(said)}"
    if status in PASSING:
        return AttemptError(problem, wait=_seconds(retry_after, now), reached=status not in UNREAD)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return TargetError(
            problem,
            cure="Name the environment variables that hold its credentials under "
            "`endpoint.headers`, and see that they are still valid.",
        )
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.NOT_IMPLEMENTED}:
        return TargetError(
            problem, cure="Look at `endpoint.url`, `model`, `model_version` and `protocol`."
        )
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return TargetError(
            f"{problem}: it sends us elsewhere, where the headers must not go",
            cure="Give the address that it redirects to as `endpoint.url`.",
        )
    cure = "Look at the server's log for that request."
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        cure = "Set `endpoint.batch_limit` to fewer rows."
    return ModelFailedError(problem, cure=cure)


def _words(said: str) -> str:
    text = " ".join(to_plain_text(said, MOST_WORDS).split())
    return f": {text}" if text else ""


def _seconds(said: str, now: float) -> float | None:
    """Read ``Retry-After``: seconds, or a date (RFC 9110, 10.2.3)."""
    if not said:
        return None
    if said.isascii() and said.isdigit():
        return float(said[:9])
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - now)
    except (ValueError, OverflowError):
        return None
