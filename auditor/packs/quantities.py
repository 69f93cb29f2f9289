"""Numbers with a unit, as people write bounds: ``100 ms``, ``2 MiB``, ``5 %``."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from auditor.domain.readings import Unit
from auditor.errors import PolicyError

NUMBER = re.compile(r"[-+]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][-+]?\d{1,3})?")
QUANTITY = re.compile(
    rf"(?P<number>{NUMBER.pattern})"
    r"(?:\s*(?P<unit>[%/A-Za-zµ]\S{0,9})|\s+(?P<rate>1/\S{1,8}))"
)

UNITS: Mapping[Unit, Mapping[str, Decimal]] = MappingProxyType(
    {
        Unit.SHARE: {"share": Decimal(1), "%": Decimal("0.01")},
        Unit.SECOND: {
            "s": Decimal(1),
            "ms": Decimal("0.001"),
            "us": Decimal("0.000001"),
            "µs": Decimal("0.000001"),
            "ns": Decimal("0.000000001"),
            "min": Decimal(60),
            "h": Decimal(3600),
        },
        Unit.BYTE: {
            "B": Decimal(1),
            "kB": Decimal(10**3),
            "MB": Decimal(10**6),
            "GB": Decimal(10**9),
            "TB": Decimal(10**12),
            "KiB": Decimal(2**10),
            "MiB": Decimal(2**20),
            "GiB": Decimal(2**30),
            "TiB": Decimal(2**40),
        },
        Unit.PER_SECOND: {
            "1/s": Decimal(1),
            "/s": Decimal(1),
            "1/ms": Decimal(1000),
            "1/min": 1 / Decimal(60),
            "1/h": 1 / Decimal(3600),
        },
        Unit.NAT: {"nat": Decimal(1), "bit": Decimal(math.log(2))},
        Unit.COUNT: {},
        Unit.NONE: {},
    }
)
"""What one of each unit is in the unit of a metric; binary prefixes are written as such."""


def in_unit(text: str, unit: Unit, metric: str) -> float:
    """Return a number with its unit in the unit of a metric.

    Raises ``PolicyError`` for a unit in which the metric is not measured.
    """
    found = QUANTITY.fullmatch(text)
    written = "" if found is None else found["unit"] or found["rate"]
    known = UNITS[unit]
    if found is None or written not in known:
        named = unit.value if known else "no unit"
        raise PolicyError(
            f"{text!r} does not fit {metric}, which is measured in {named}",
            cure=f"Write it in {', '.join(known)}." if known else "Write the number alone.",
        )
    value = float(Decimal(found["number"]) * known[written])
    if not math.isfinite(value):
        raise PolicyError(f"{text!r} is not finite", cure="Write a number of ordinary size.")
    return value
