"""How this very installation gets an extra: what is recorded names the package, a terminal this."""

import json
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

SAID = re.compile(r"pip install 'auditor\[([a-z0-9,-]+)\]'")
"""How errors and Gaps name an extra: by the package alone, for records hold no machine's paths."""


def as_installed(text: str) -> str:
    """Return ``text`` with each line that installs an extra as it works from where auditor lies."""
    if not SAID.search(text):
        return text
    came_from, pip = _came_from(), _pip()
    return SAID.sub(lambda found: f"{pip} install {requirement(found[1], came_from)}", text)


def requirement(extras: str, came_from: Mapping[str, Any]) -> str:
    """Return what pip is told, quoted; ``came_from`` is a ``direct_url.json`` (PEP 610), or empty.

    A checkout stays editable; what came from an index, or from nobody knows where, has its name.
    """
    try:
        url = urlsplit(str(came_from.get("url", "")))
        if came_from.get("dir_info", {}).get("editable"):
            return "--editable " + shlex.quote(f"{url2pathname(url.path)}[{extras}]")
        vcs = came_from.get("vcs_info")
        # Without who asks, and without what a signed address shows: this is printed.
        place = urlunsplit((url.scheme, url.netloc.rpartition("@")[2], url.path, "", ""))
        if vcs:
            place = f"{vcs['vcs']}+{place}@{vcs['commit_id']}"
        if inside := came_from.get("subdirectory"):
            place += f"#subdirectory={inside}"
    except (AttributeError, KeyError, TypeError, ValueError):  # damaged: its name is left
        place = ""
    return shlex.quote(f"auditor[{extras}] @ {place}" if place else f"auditor[{extras}]")


def _came_from() -> Mapping[str, Any]:
    try:
        told = json.loads(distribution("auditor").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        told = {}
    return told if isinstance(told, dict) else {}


def _pip() -> str:
    """Return the pip of this environment: another one may come first where it is not active."""
    own = Path(sys.executable).parent / "pip"
    if not own.exists() or shutil.which("pip") == str(own):
        return "pip"
    return shlex.quote(str(own))
