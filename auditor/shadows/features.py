"""Numbers for stand-in models to learn from, whatever the rows are."""

import re
import zlib

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import TEXT
from auditor.domain.tasks import Array
from auditor.shadows.stacks import chunks

WORDS = re.compile(r"\w+")
BUCKETS = 512
WIDEST = 4096


def numbers(inputs: Array) -> NDArray[np.float32]:
    """Return ``[n, d]`` numbers of rows: flat inputs, or of texts ``[n]`` hashed counts of words.

    Of more than ``WIDEST`` numbers a row, neighbours are averaged. Word counts are logarithms of
    one more, in ``BUCKETS`` places (Weinberger et al. 2009, ICML).
    """
    if inputs.dtype.kind == TEXT:
        return _counted(inputs)
    width = int(np.prod(inputs.shape[1:]))
    run = -(-width // WIDEST)
    starts = np.arange(0, width, run)
    sizes = np.diff(np.append(starts, width))
    found = np.empty((len(inputs), len(starts)), dtype=np.float32)
    for part in chunks(len(inputs), width):
        flat = inputs[part].reshape(-1, width).astype(np.float64)
        found[part] = flat if run == 1 else np.add.reduceat(flat, starts, axis=1) / sizes
    return found


def _counted(texts: Array) -> NDArray[np.float32]:
    found = np.zeros((len(texts), BUCKETS), dtype=np.float32)
    for row, text in enumerate(texts):
        for word in WORDS.findall(str(text).lower()):
            found[row, zlib.crc32(word.encode()) % BUCKETS] += 1
    return np.log1p(found)
