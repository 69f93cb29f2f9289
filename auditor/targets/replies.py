"""What a model's answers hold, checked before it is used."""

import numpy as np

from auditor.domain.models import ModelTiming
from auditor.domain.tasks import Floats
from auditor.errors import ModelCrashedError
from auditor.targets.outputs import Key
from auditor.targets.protocol import Anything, MessageFrame


def read_output(reply: MessageFrame, name: str) -> tuple[Anything, tuple[Key, ...] | None]:
    """Return one output of an ``infer`` reply, with its class keys where it is a ZipMap."""
    array = reply.arrays.get(name)
    if array is None:
        raise _unexpected(f"the output {name!r} is missing")
    keys = reply.header.get("keys", {}).get(name)
    if keys is None:
        return array, None
    if not isinstance(keys, list) or array.ndim != 2 or len(keys) != array.shape[1]:  # noqa: PLR2004 -- rows and columns
        raise _unexpected(f"the classes of the output {name!r} are not those of its columns")
    return array, tuple(key if isinstance(key, int) else str(key) for key in keys)


def read_timing(reply: MessageFrame, batch_rows: int) -> ModelTiming:
    """Return the times of a `time` reply. Raises ``ModelCrashedError`` for what is none."""
    said = reply.header
    try:
        return ModelTiming(
            load=float(said["load"]),
            first=float(said["first"]),
            warmup=int(said["warmup"]),
            single=_times(reply, "single"),
            batch=_times(reply, "batch"),
            batch_rows=batch_rows,
            conditions={str(name): float(seen) for name, seen in said["conditions"].items()},
            transport=_times(reply, "transport") if "transport" in reply.arrays else None,
            processor=_times(reply, "processor") if "processor" in reply.arrays else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unexpected(f"its timings lack {error}") from error


def _times(reply: MessageFrame, name: str) -> Floats:
    times = reply.arrays.get(name)
    if times is None or times.dtype != np.float64 or times.ndim != 1 or not len(times):
        raise _unexpected(f"the times {name!r} are missing")
    if not (np.isfinite(times).all() and (times >= 0).all()):
        raise _unexpected(f"the times {name!r} are no times")
    return times


def _unexpected(what: str) -> ModelCrashedError:
    return ModelCrashedError(
        f"the target's answer cannot be used: {what}", cure="Update the auditor on that target."
    )
