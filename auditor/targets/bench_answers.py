"""What a child says of weights, kernels, memory and times, read as what may be anything."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from auditor.domain.benches import Kernel, Weight
from auditor.domain.tasks import Floats
from auditor.errors import ModelCrashedError
from auditor.targets.frames import Frame
from auditor.targets.messages import plain

MOST_NAME = 300
MOST_LISTED = 100_000


def listed(reply: Frame, name: str) -> list[Mapping[str, Any]]:
    """Return the JSON objects in the bytes of an array. Raises ``ModelCrashedError``."""
    raw = reply.arrays.get(name)
    try:
        items = json.loads(b"" if raw is None else raw.astype(np.uint8).tobytes())
    except (ValueError, RecursionError) as error:
        raise unexpected(f"its list of {name} is no JSON: {error}") from error
    if not isinstance(items, list) or len(items) > MOST_LISTED:
        raise unexpected(f"its list of {name} is none, or has more than {MOST_LISTED} entries")
    return items


def weight(said: Mapping[str, Any]) -> Weight:
    """Read one weight. Raises ``ModelCrashedError``."""
    try:
        return Weight(
            name=str(said["name"]),  # as it is: a fault names it again
            dtype=_name(said["dtype"]),
            shape=tuple(int(size) for size in said["shape"]),
            node=_name(said["node"]),
            operator=_name(said["operator"]),
            order=int(said["order"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise unexpected(f"a weight lacks {error}") from error


def kernel(said: Mapping[str, Any]) -> Kernel:
    """Read one kernel. Raises ``ModelCrashedError``."""
    try:
        node, operator, provider = (_name(said[key]) for key in ("node", "operator", "provider"))
        seconds, calls = float(said["seconds"]), int(said["calls"])
    except (KeyError, TypeError, ValueError) as error:
        raise unexpected(f"a kernel lacks {error}") from error
    if not (0 <= seconds < np.inf and calls > 0):
        raise unexpected(f"a kernel took {seconds} s in {calls} calls")
    return Kernel(node, operator, provider, seconds, calls)


def count(said: Mapping[str, Any], name: str) -> int:
    """Read a whole number of at least 1. Raises ``ModelCrashedError``."""
    value = said.get(name)
    if type(value) is not int or value < 1:
        raise unexpected(f"{name} is {plain(str(value), 50)}")
    return value


def numbers(said: object) -> dict[str, float]:
    """Read numbers by their names. Raises ``ModelCrashedError``."""
    if not isinstance(said, Mapping):
        raise unexpected("the conditions are missing")
    return {_name(name): float(value) for name, value in said.items()}


def times(reply: Frame, name: str, shape: tuple[int, ...] | None = None) -> Floats:
    """Read times in seconds, of a shape where one is given. Raises ``ModelCrashedError``."""
    found = reply.arrays.get(name)
    if found is None or found.dtype != np.float64 or (shape and found.shape != shape):
        raise unexpected(f"the times {name!r} are missing")
    if not (np.isfinite(found).all() and (found >= 0).all()):
        raise unexpected(f"the times {name!r} are no times")
    return found


def unexpected(what: str) -> ModelCrashedError:
    """Return the error of an answer that cannot be used."""
    return ModelCrashedError(
        f"the target's answer cannot be used: {what}", cure="Update the auditor on that target."
    )


def _name(said: object) -> str:
    return plain(str(said), MOST_NAME)
