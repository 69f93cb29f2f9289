"""Acts of a project's callers, for its admins."""

from typing import Annotated

from fastapi import APIRouter, Query

from auditor.api.act_shapes import ActPage, ActShown
from auditor.api.admitting import Admin
from auditor.api.parts import Served
from auditor.api.reading import Limit
from auditor.domain.acts import Act
from auditor.store.service.acts import Acts

CURSOR = r"^act-[0-9a-f]{24}$"
router = APIRouter(prefix="/v1/acts", tags=["acts"])


@router.get("")
def listed(
    caller: Admin, service: Served, limit: Limit = 50,
    cursor: Annotated[str | None, Query(pattern=CURSOR)] = None,
) -> ActPage:  # fmt: skip
    """List who did what in the project, the newest first. Each act has a leaf in the ledger."""
    found, following = Acts(service.store).listed(caller.project, cursor, limit)
    return ActPage(acts=[_shown(act) for act in found], next=following)


def _shown(act: Act) -> ActShown:
    return ActShown.model_validate({**act.to_json(), "digest": act.digest})
