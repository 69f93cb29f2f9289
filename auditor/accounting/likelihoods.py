"""How much likelier all steps of a canary's coordinate are with the canary than without it.

A step that holds a canary moves its coordinate by a clip, and a step that does not leaves noise.
No other score of the noisy sums tells better who was in (Neyman and Pearson): it is the privacy
loss itself, which accountants compose. A plain sum over the steps also adds up the noise of the
steps that held nothing, and tells much less where noise is small.
"""

import numpy as np

from auditor.domain.tasks import Floats

SIGNALS = 2.0 ** np.arange(-4, 7)
"""Clips a standard deviation of the noise at which steps are looked at: all that noise may be."""
FAINTEST = 1e-300


class Likelihoods:
    """Sums up, step by step, the log-likelihood ratios of ``canaries`` coordinates.

    ``rate`` is the chance with which a step holds a record. What the clip is in units of the noise
    is not taken on the owner's word: all of ``SIGNALS`` are summed, and the likeliest of them is
    chosen by the coordinates alone. That looks at nothing but what training gives away, so that
    bounds from guesses by these scores hold as they do of any others.
    """

    def __init__(self, canaries: int, rate: float) -> None:
        if not 0 < rate <= 1:
            message = f"the rate of a step lies between 0 and 1, and is {rate:g}"
            raise ValueError(message)
        self._sums: Floats = np.zeros((len(SIGNALS), canaries))
        with np.errstate(divide="ignore"):
            self._absent, self._present = float(np.log1p(-rate)), float(np.log(rate))

    def add(self, coordinates: Floats) -> None:
        """Take in one step's coordinates ``[canaries]``, in any unit.

        One that is no finite number leaves scores that are none.
        """
        signals = SIGNALS[:, None]
        with np.errstate(invalid="ignore"):
            ratios = signals * (coordinates / noise_of(coordinates)) - signals**2 / 2
            self._sums += np.logaddexp(self._absent, self._present + ratios)

    @property
    def scores(self) -> Floats:
        """The log-likelihood ratios ``[canaries]`` at the likeliest signal, each canary in by a
        fair coin.
        """
        with np.errstate(invalid="ignore"):
            likely = np.logaddexp(0.0, self._sums).sum(axis=1)
        chosen: Floats = self._sums[int(np.argmax(likely))].copy()
        return chosen


def noise_of(coordinates: Floats) -> float:
    """Return the noise's standard deviation in one step: that of the coordinates below zero.

    Canaries move theirs up alone. Where there is no noise to speak of, it is said to be as small as
    ``SIGNALS`` reach.
    """
    below = coordinates[coordinates < 0]
    found = float(np.sqrt(np.mean(below**2))) if len(below) else 0.0
    loudest = float(np.abs(coordinates).max(initial=0.0))
    return max(found, loudest / float(SIGNALS[-1]), FAINTEST)
