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
        raise unexpected_answer_error(f"the output {name!r} is missing")
    keys = reply.header.get("keys", {}).get(name)
    if keys is None:
        return array, None
    if not isinstance(keys, list) or array.ndim != 2 or len(keys) != array.shape[1]:  # noqa: PLR2004 -- rows and columns
        raise unexpected_answer_error(
            f"the classes of the output {name!r} are not those of its columns"
        )
    return array, tuple(key if isinstance(key, int) else str(key) for key in keys)


def read_timing(reply: MessageFrame, batch_rows: int) -> ModelTiming:
    """Return the times of a `time` reply. Raises ``ModelCrashedError`` for what is none."""
    said = reply.header
    try:
        return ModelTiming(
            load=float(said["load"]),
            first=float(said["first"]),
            warmup=int(said["warmup"]),
            single=_series(reply, "single"),
            batch=_series(reply, "batch"),
            batch_rows=batch_rows,
            conditions={str(name): float(seen) for name, seen in said["conditions"].items()},
            transport=_series(reply, "transport") if "transport" in reply.arrays else None,
            processor=_series(reply, "processor") if "processor" in reply.arrays else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise unexpected_answer_error(f"its timings lack {error}") from error


def read_times(reply: MessageFrame, name: str, shape: tuple[int, ...] | None = None) -> Floats:
    """Read times in seconds, of a shape where one is given. Raises ``ModelCrashedError``."""
    found = reply.arrays.get(name)
    if found is None or found.dtype != np.float64 or (shape and found.shape != shape):
        raise unexpected_answer_error(f"the times {name!r} are missing")
    if not (np.isfinite(found).all() and (found >= 0).all()):
        raise unexpected_answer_error(f"the times {name!r} are no times")
    return found


def _series(reply: MessageFrame, name: str) -> Floats:
    found = reply.arrays.get(name)
    if found is not None and (found.ndim != 1 or not len(found)):
        raise unexpected_answer_error(f"the times {name!r} are missing")
    return read_times(reply, name)


def unexpected_answer_error(what: str) -> ModelCrashedError:
    """Return the error of an answer that cannot be used."""
    return ModelCrashedError(
        f"the target's answer cannot be used: {what}", cure="Update the auditor on that target."
    )
