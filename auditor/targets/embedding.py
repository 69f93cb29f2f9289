"""What a model makes of rows before it decides, asked of its target batch by batch."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.domain.benches import NO_LAYER, Embedding
from auditor.domain.readings import Gap
from auditor.domain.tasks import Array
from auditor.targets.bench_answers import unexpected
from auditor.targets.frames import Anything, Frame
from auditor.targets.messages import plain
from auditor.targets.replies import output_of

Ask = Callable[[str, Mapping[str, Anything], Mapping[str, Any]], Frame]
MOST_NAME = 300


def embed(ask: Ask, batches: Iterable[Mapping[str, Anything]], before: str) -> Embedding | Gap:
    """Return what the last layer before the output ``before`` is given for the rows of batches.

    ``ask`` sends an operation, arrays, and more of the header. Numbers beyond float32 are kept as
    infinities. Raises ``ModelCrashedError`` for answers that are none.
    """
    tap = ask("tap", {}, {"before": before}).header.get("tap")
    if tap is None:
        return NO_LAYER
    if not isinstance(tap, Mapping) or not isinstance(tap.get("value"), str):
        raise unexpected("the name of the value inside the graph is missing")
    more = {"tap": tap["value"], "outputs": [tap["value"]]}
    parts = []
    for arrays in batches:
        rows = len(next(iter(arrays.values())))
        output, _ = output_of(ask("altered", arrays, more), tap["value"])
        if output.shape[:1] != (rows,) or output.dtype.kind not in "biuf":
            return NO_LAYER
        parts.append(_table(output, 1 if tap.get("channels") == 1 else -1))
    if len({part.shape[1] for part in parts}) != 1:
        return NO_LAYER
    node, operator = (plain(str(tap.get(name)), MOST_NAME) for name in ("node", "operator"))
    return Embedding(np.concatenate(parts), node, operator, tap.get("given") is True)


def split(inputs: Array, step: int) -> list[Array]:
    """Return rows in parts of ``step``, the last as it comes."""
    return [inputs[start : start + step] for start in range(0, len(inputs), step)]


def _table(output: Anything, channels: int) -> NDArray[np.float32]:
    """Return ``[n, d]``: the mean over all axes but the rows and ``channels``."""
    if output.ndim == 1:
        output = output[:, np.newaxis]
    with np.errstate(over="ignore"):
        values = output.astype(np.float32)
    kept = {0, channels % values.ndim}
    others = tuple(axis for axis in range(values.ndim) if axis not in kept)
    mean: NDArray[np.float32] = values.mean(axis=others, dtype=np.float32) if others else values
    return mean
