"""What stands beside the figures of a comparison, as lists of lines."""

from auditor.moving.values import Comparison
from auditor.rendering.juxtaposed.words import Juxtaposed, gap_lines, only_lines

BOUND = (
    "Figures under attack are bounds. That one moved says that this attack found more or less "
    "than before; it is no estimate of how much the model itself changed."
)


def apart_lines(comparison: Comparison) -> tuple[str, ...]:
    """Name the checks that were not compared, and say why."""
    return tuple(
        f"{item.check} on {item.target}: {item.reason}" for item in comparison.incomparable
    )


def beside_lists(shown: Juxtaposed) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return under a heading each what one of two records lacks, or has alone."""
    found = shown.comparison
    return (
        ("Missing now", gap_lines(shown.after, found.gaps_opened)),
        ("No longer missing", gap_lines(shown.before, found.gaps_closed)),
        ("Measured only before", only_lines(shown.before, found.only_before)),
        ("Measured only after", only_lines(shown.after, found.only_after)),
    )
