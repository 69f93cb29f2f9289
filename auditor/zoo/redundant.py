"""A network that is stored three times: by the median of three no single fault gets through."""

from pathlib import Path

from auditor.zoo.graphs import INPUT, Sheet, finish, plain, written
from auditor.zoo.layers import Network, Shape


def save_three(path: Path, network: Network, shape: Shape, *, voting: bool) -> None:
    """Write three copies that vote by the median of each score, or whose mean is taken."""
    sheet = Sheet()
    one, two, three = (written(sheet, INPUT, network, plain) for _ in range(3))
    if voting:
        one, two, three = (_number(sheet, value) for value in (one, two, three))
        low, high = sheet.add("Min", one, two), sheet.add("Max", one, two)
        value = sheet.add("Max", low, sheet.add("Min", high, three))
    else:
        total = sheet.add("Add", sheet.add("Add", one, two), three)
        value = sheet.add("Mul", total, sheet.number(1 / 3))
    finish(path, sheet, value, shape)


def _number(sheet: Sheet, value: str) -> str:
    """Put 0 for what is no number, as infinity times a dark pixel: medians let it through."""
    return sheet.add("Where", sheet.add("IsNaN", value), sheet.number(0.0), value)
