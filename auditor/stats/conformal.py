"""P-values of rows by how many rows of a reference sample are as strange."""

import numpy as np

from auditor.domain.tasks import Floats


def conformal_p_values(scores: Floats, reference: Floats) -> Floats:
    """Return ``[n]``: the share of ``reference`` scores at least as great, each row counted itself.

    The reference must have no part in how rows are scored. Then a row from the same law has a
    value of at most u with probability u, and the values of all rows depend on each other
    positively, so that Benjamini and Hochberg's adjustment holds (Bates, Candes, Lei, Romano and
    Sesia 2023, Annals of Statistics 51, "Testing for outliers with conformal p-values"). Raises
    ``ValueError`` for an empty reference.
    """
    if not reference.size:
        message = "conformal p-values need a reference"
        raise ValueError(message)
    ordered = np.sort(reference)
    as_strange = reference.size - np.searchsorted(ordered, scores, side="left")
    return np.asarray((1 + as_strange) / (1 + reference.size))


def fewest_found(rows: int, reference: int, level: float) -> int:
    """Return how many rows must stand beyond the whole reference for any of them to be found.

    The least p-value there is, 1 / (1 + ``reference``), has to come to ``level`` times their share
    of all ``rows``.
    """
    return int(np.ceil(rows / (level * (1 + reference)) - 1e-9))
