"""Evidence as content-addressed blobs, with row clusters and image axes.

A third party can recompute every measurement from the evidence.
"""

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import Dataset
from auditor.domain.json import Json, compute_digest, encode_canonical, parse_json

NPY_MAGIC = b"\x93NUMPY"
Item: TypeAlias = "NDArray[Any] | Json"
Evidence: TypeAlias = Mapping[str, Item]
"""What one ``observe`` saw, by name: arrays (``.npy`` blobs) and JSON values (canonical)."""


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes under their own digest."""

    digest: str
    raw: bytes


def encode_evidence(item: Item) -> Blob:
    """Return the blob of one item. Equal items give equal bytes.

    Raises ``ValueError`` for object arrays, NaN or infinity in JSON.
    """
    if isinstance(item, np.ndarray):
        buffer = io.BytesIO()
        np.lib.format.write_array(
            buffer, np.asarray(item, order="C"), version=(1, 0), allow_pickle=False
        )
        raw = buffer.getvalue()
    else:
        raw = encode_canonical(item)
    return Blob(compute_digest(raw), raw)


def decode_evidence(raw: bytes) -> Item:
    """Read a blob back. Raises ``ValueError`` when it is neither npy nor canonical JSON."""
    if raw.startswith(NPY_MAGIC):
        read_array_header(io.BytesIO(raw), len(raw))
        array: NDArray[Any] = np.load(io.BytesIO(raw), allow_pickle=False)
        return array
    return parse_json(raw)


def encode_observed(
    evidence: Evidence, keep: Callable[[Blob], None]
) -> tuple[dict[str, str], Evidence]:
    """Return the digests of what was seen, and the evidence as anyone reads it back from blobs.

    ``keep`` has each blob, one after another: of a million rows all of them fill much memory.
    Readings are computed from the evidence: a record names it in canonical order, and so does JSON
    its keys, whatever the order in which an audit file declares columns.
    Raises what ``encode_evidence`` raises.
    """
    names = cast("Mapping[str, None]", parse_json(encode_canonical(dict.fromkeys(evidence))))
    digests: dict[str, str] = {}
    read: dict[str, Item] = {}
    for name in names:
        blob = encode_evidence(evidence[name])
        keep(blob)
        digests[name], read[name] = blob.digest, decode_evidence(blob.raw)
    return digests, read


def read_array_header(stream: IO[bytes], size: int) -> tuple[int, np.dtype[Any]]:
    """Return how many elements of which type an ``.npy`` of ``size`` bytes declares.

    Raises ``ValueError`` where it does not hold just as many bytes: a header that promises more
    would make NumPy allocate all of it.
    """
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0
    shape, _, dtype = (
        read(stream) if version == (1, 0) else np.lib.format.read_array_header_2_0(stream)
    )
    count = math.prod(shape)
    empty = count > 0 and dtype.itemsize == 0  # any number of them fits into no byte
    if not dtype.hasobject and (empty or count * dtype.itemsize != size - stream.tell()):
        message = f"an array of shape {shape} does not fit into {size} bytes"
        raise ValueError(message)
    return count, dtype


KEY = "clusters"


def write_clusters(dataset: Dataset) -> dict[str, Item]:
    """Return the evidence of which rows share a cluster; nothing where none do."""
    cluster = dataset.cluster
    return {} if cluster is None or not dataset.clustered else {KEY: cluster.codes}


def read_clusters(evidence: Evidence) -> NDArray[np.int64] | None:
    """Return the cluster ``[n]`` of each row, or ``None`` where every row stands alone."""
    codes = evidence.get(KEY)
    return None if codes is None else cast("NDArray[np.integer]", codes).astype(np.int64)


def explain_dependence(what: str = "the interval") -> str:
    """Say why a figure is doubted that takes rows of one cluster for independent."""
    return f"rows of one cluster are not independent, and {what} takes them as if they were"


def describe_cluster_doubt(clustered: object, what: str = "the interval") -> dict[str, Json]:
    """Return what the details of such a figure say, where rows are ``clustered``."""
    return {"doubt": explain_dependence(what)} if clustered else {}


FEWEST_AXES, MOST_CHANNELS = 2, 4
IMAGE_AXES = 3


def find_image_axes(row: tuple[int, ...]) -> tuple[int, int, int | None] | None:
    """Return the axes of height, width and channels of a row, or ``None`` where it is no image.

    Two axes are a grey image; of three axes a short first or last one is the channels.
    """
    if len(row) == FEWEST_AXES:
        return (0, 1, None)
    if len(row) != IMAGE_AXES:
        return None
    if row[0] <= MOST_CHANNELS or row[2] > MOST_CHANNELS:
        return (1, 2, 0)
    return (0, 1, 2)
