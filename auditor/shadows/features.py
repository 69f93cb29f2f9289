"""Numbers for stand-in models to learn from, whatever the rows are."""

import re
import zlib

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Array

WORDS = re.compile(r"\w+")
BUCKETS = 512
TEXT = "U"


def numbers(inputs: Array) -> NDArray[np.float32]:
    """Return ``[n, d]`` numbers of rows: flat inputs, or of texts ``[n]`` hashed counts of words.

    Word counts are logarithms of one more, in ``BUCKETS`` places (Weinberger et al. 2009, ICML).
    """
    if inputs.dtype.kind != TEXT:
        return inputs.reshape(len(inputs), -1).astype(np.float32)
    found = np.zeros((len(inputs), BUCKETS), dtype=np.float32)
    for row, text in enumerate(inputs):
        for word in WORDS.findall(str(text).lower()):
            found[row, zlib.crc32(word.encode()) % BUCKETS] += 1
    return np.log1p(found)
