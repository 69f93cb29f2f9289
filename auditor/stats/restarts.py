"""Evidence that a rate has risen at a time nobody knows, at every look at once."""

from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp

from auditor.domain.tasks import Floats
from auditor.stats.sequential import Tally, rate_evidence


def restarted_evidence(batches: Sequence[Tally], limit: float) -> Floats:
    """Return the log e-value ``[k]`` after each batch against a rate of ``limit`` at most.

    A bettor has put the share ``1 / (j (j + 1))`` of his wealth aside for batch ``j``, and bets it
    from there on as ``rate_evidence`` does. Each part does not grow on average while the limit is
    kept, so neither does their sum, which starts at 1: by Ville it ever reaches ``1 / alpha`` with
    probability alpha at most. A rise at batch ``j`` is seen as soon as evidence from there on makes
    up for that share, however long all went well before (the mixture over start times of Shin,
    Ramdas and Rinaldo, E-detectors, with weights that sum to 1). Raises ``ValueError`` for a limit
    that is not within 0..1.
    """
    trials = np.array([batch.trials for batch in batches])
    successes = np.array([batch.successes for batch in batches])
    found = []
    for look in range(1, len(batches) + 1):
        shares = -np.log(np.arange(1.0, look + 1) * np.arange(2.0, look + 2))
        grown = [
            rate_evidence(
                Tally(int(trials[start:look].sum()), int(successes[start:look].sum())), limit
            )
            for start in range(look)
        ]
        found.append(float(logsumexp(np.append(shares + np.array(grown), -np.log(look + 1)))))
    return np.array(found)
