"""Rows as requests take them, and their outputs put together again."""

from collections.abc import Iterator, Sequence

import numpy as np

from auditor.errors import ModelFailedError
from auditor.targets.frames import Anything


def parts(rows: Anything, limit: int | None, fixed: int | None) -> Iterator[Anything]:
    """Yield the rows in requests of at most ``limit``, or of exactly ``fixed`` rows.

    The last of a fixed batch is filled up with its own last row. Raises ``ModelFailedError``
    where one of the two leaves no room for the other.
    """
    if fixed is not None and limit is not None and fixed > limit:
        raise ModelFailedError(
            f"the model takes batches of {fixed} rows, but `batch_limit` is {limit}",
            cure="Raise `endpoint.batch_limit`, or serve the model with an open batch axis.",
        )
    step = fixed or limit or max(1, len(rows))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        missing = (fixed or len(part)) - len(part)
        yield np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part


def sent(rows: int, fixed: int | None) -> int:
    """Return how many rows really go out for ``rows``."""
    return rows if fixed is None else -(-rows // fixed) * fixed


def join(
    name: str, found: Sequence[Anything], sizes: Sequence[int], rows: int, fixed: int | None
) -> Anything:
    """Put one output of several requests together, without what filled them up.

    A lone request's output comes as it is, for not every output speaks of rows. Raises
    ``ModelFailedError`` where an output of several does not have a row for each row sent: which
    row it speaks of would be a guess.
    """
    if len(found) == 1 and fixed is None:
        return found[0]
    if fixed == 1 and any(part.shape[:1] != (1,) for part in found):
        found = [part[np.newaxis] for part in found]  # it leaves out a batch axis of one
    for part, size in zip(found, sizes, strict=True):
        first = found[0]
        if part.shape[:1] != (size,) or part.shape[1:] != first.shape[1:]:
            raise ModelFailedError(
                f"the server's output {name!r} has the shape {part.shape} for {size} rows",
                cure="Serve the model with the rows as the first axis of its outputs.",
            )
        if part.dtype.kind != first.dtype.kind:
            raise ModelFailedError(
                f"the server's output {name!r} is {part.dtype} in one answer and {first.dtype} "
                "in another",
                cure="Look at the server's runtime for that model.",
            )
    return np.concatenate(list(found))[:rows]
