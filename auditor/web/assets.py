"""What pages load beside themselves: one stylesheet, and a few scripts."""

import hashlib
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from auditor.errors import AuditorError
from auditor.shipped import shipped

MEDIA: Mapping[str, str] = MappingProxyType({
    "site.css": "text/css; charset=utf-8",
    "site.js": "text/javascript; charset=utf-8",
    "signing.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
})  # fmt: skip
"""Every file that is served, and as what; there are no others."""
LONG = 12


@cache
def asset(name: str) -> bytes:
    """Return a file's bytes; the stylesheet begins with that of reports.

    Raises ``AuditorError`` for a name that is none of ``MEDIA``.
    """
    if name not in MEDIA:
        raise AuditorError(f"there is no file {name[:80]!r}", cure="Name one that a page loads.")
    own = (shipped("web") / "static" / name).read_bytes()
    return (shipped("reports") / "report.css").read_bytes() + own if name == "site.css" else own


@cache
def version_of(name: str) -> str:
    """Return the address of a file, which changes with its bytes."""
    return f"/static/{hashlib.sha256(asset(name)).hexdigest()[:LONG]}/{name}"
