"""How attacks are called beside each other, and why some of what they found is not believed."""

from collections.abc import Mapping, Sequence

from auditor.domain.canonical import Json
from auditor.domain.readings import Measurement
from auditor.rendering.doubting import UNSTEADY, reasons
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.phrases import check_title

NAMED_BY = "Accuracy under "
MOST_REASONS = 3


def series_name(inputs: RenderedInputs, check: str) -> str:
    """Name an attack by its check's title, without what all of them begin with."""
    title = check_title(inputs, check)
    return title.removeprefix(NAMED_BY)


def doubts(measured: Sequence[Measurement]) -> tuple[str, ...]:
    """Say why doubted figures are not to be believed, each reason once."""
    found = dict.fromkeys(_doubt(m.details) for m in measured if m.doubted)
    if not found:
        return ()
    told = "; ".join(list(found)[:MOST_REASONS])
    return (f"Hollow marks are not to be believed: {told}.",)


def _doubt(details: Mapping[str, Json]) -> str:
    steady = details.get("deterministic", True)
    return reasons(details) or ("the check doubts them" if steady else UNSTEADY)
