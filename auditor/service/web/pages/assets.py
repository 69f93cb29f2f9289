"""Static assets of the pages: stylesheet and scripts, under addresses by digest."""

from fastapi import Response

from auditor.errors import NotFoundError
from auditor.service.web.routing import (
    ASSET_MEDIA_TYPES,
    PageEntry,
    build_asset_url,
    create_page_router,
    read_asset,
)

FOREVER = "public, max-age=31536000, immutable"
router = create_page_router()


@router.get("/static/{version}/{name}")
def send_asset(version: str, name: str) -> Response:
    """Send a file that pages load."""
    if name not in ASSET_MEDIA_TYPES or build_asset_url(name) != f"/static/{version}/{name}":
        raise NotFoundError("this file does not exist", cure="Reload the page.")
    return Response(
        read_asset(name), media_type=ASSET_MEDIA_TYPES[name], headers={"Cache-Control": FOREVER}
    )


ENTRY = PageEntry("/static", router)
