"""What an owner's private training calls so that canaries can be told apart in its gradients.

White-box canaries are records whose gradient is one coordinate of its own, which no other record
touches: Nasr et al. (2023), USENIX Security, section 4. What an adversary sees of each is that
coordinate in every step, after clipping and noise.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.accounting.likelihoods import Likelihoods
from auditor.domain.tasks import Floats

LOUD = 1e6
"""The length of a canary's gradient before it is clipped: far beyond any clipping norm."""
NOBODY = -1
Records = NDArray[np.int64]


class CanaryHook:
    """Writes canaries into the gradients of each record, and sums up what the steps show of them.

    Made in the owner's ``dp_train(data, settings)``, which trains with the gradients of ``join``,
    tells ``saw`` of each step, and returns ``seen()``. ``settings`` name the ``canaries`` and the
    claimed ``rate``, which is that of a step. Raises ``ValueError`` for a rate that is none.
    """

    def __init__(self, data: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        self.canary: Records = np.asarray(data["canary"], dtype=np.int64)
        self.count = int(settings["canaries"])
        self._likelihoods = Likelihoods(self.count, float(settings["rate"]))
        self._steps, self._drawn = 0, 0

    def join(self, gradients: Floats, records: Records) -> Floats:
        """Return ``[b, d + canaries]`` gradients, not clipped yet, of ``[b, d]`` ones.

        ``records`` ``[b]`` are the row numbers of the data. A canary's own gradient is zero but for
        its coordinate.
        """
        canary = self.canary[records]
        rows = np.flatnonzero(canary != NOBODY)
        joined = np.zeros((len(records), gradients.shape[1] + self.count))
        joined[:, : gradients.shape[1]] = gradients
        joined[rows] = 0.0
        joined[rows, gradients.shape[1] + canary[rows]] = LOUD
        return joined

    def saw(self, coordinates: Floats, drawn: int) -> None:
        """Take in one step: the canaries' coordinates ``[canaries]`` of the noisy sum or mean of
        gradients, and how many records it was drawn from.
        """
        self._likelihoods.add(np.asarray(coordinates, dtype=np.float64))
        self._steps, self._drawn = self._steps + 1, self._drawn + int(drawn)

    def seen(self) -> dict[str, NDArray[Any]]:
        """Return what the audit takes: a score each canary, the steps, and the records drawn."""
        return {
            "scores": self._likelihoods.scores,
            "steps": np.array([self._steps], dtype=np.int64),
            "drawn": np.array([self._drawn], dtype=np.int64),
        }
