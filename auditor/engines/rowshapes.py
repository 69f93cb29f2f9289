"""Rows that do not fit the model, told by the schema that they were made by."""

from auditor.domain.datasets import Role
from auditor.domain.nearest import listed
from auditor.domain.tasks import InputSpace
from auditor.engines.openers import Materials
from auditor.errors import RowShapeError


def by_schema(error: RowShapeError, materials: Materials) -> RowShapeError:
    """Return the error with what the schema lists, and which columns of the data it does not.

    It stays as it is where no schema says which columns a row has.
    """
    space, data = materials.space, materials.datasets.get(Role.EVALUATION)
    features = space.features if isinstance(space, InputSpace) else ()
    if not features:
        return error
    free = [] if data is None else [repr(name) for name in data.slices]
    left = f"; not listed: {listed(free)}" if free else ""
    return RowShapeError(
        f"{error.problem}; the schema lists {len(features)} columns{left}",
        cure="List every column that the model takes in input.features, in the model's order.",
    )
