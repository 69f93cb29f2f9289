"""A finished part of a sweep as evidence, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

import numpy as np

from auditor.attacks.bills import Bill
from auditor.attacks.frame import Mask, Standing
from auditor.domain.evidence import Evidence
from auditor.domain.tasks import Array, Floats


def keep(standing: Standing, log: Sequence[Bill]) -> Evidence:
    """Return what is known of a part's rows and what it cost."""
    return {
        "crafted": standing.crafted,
        "probabilities": standing.probabilities,
        "margin": standing.margin,
        "broken": standing.broken,
        "breaking": standing.breaking,
        "log": [asdict(bill) for bill in log],
    }


def restore(known: Evidence) -> tuple[Standing, list[Bill]]:
    """Return what ``keep`` kept."""
    standing = Standing(
        crafted=cast("Array", np.asarray(known["crafted"])),
        probabilities=cast("Floats", known["probabilities"]),
        margin=cast("Floats", known["margin"]),
        broken=cast("Mask", known["broken"]),
        breaking=cast("Floats", known["breaking"]),
    )
    bills = cast("Sequence[Mapping[str, Any]]", known["log"])
    return standing, [Bill(**bill) for bill in bills]
