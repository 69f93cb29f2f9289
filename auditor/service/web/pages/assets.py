"""The stylesheet and scripts of the pages, under addresses that change with their bytes."""

from fastapi import Response

from auditor.refusals import NotFoundError
from auditor.web.assets import MEDIA, asset, version_of
from auditor.web.entries import Entry
from auditor.web.routing import routes

FOREVER = "public, max-age=31536000, immutable"
router = routes()


@router.get("/static/{version}/{name}")
def static(version: str, name: str) -> Response:
    """Send a file that pages load."""
    if name not in MEDIA or version_of(name) != f"/static/{version}/{name}":
        raise NotFoundError("there is no such file", cure="Load the page again.")
    return Response(asset(name), media_type=MEDIA[name], headers={"Cache-Control": FOREVER})


ENTRY = Entry("/static", router)
