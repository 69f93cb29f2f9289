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
from urllib.parse import urlsplit
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
    url, vcs = came_from.get("url", ""), came_from.get("vcs_info")
    if came_from.get("dir_info", {}).get("editable"):
        return "--editable " + shlex.quote(f"{url2pathname(urlsplit(url).path)}[{extras}]")
    if vcs:
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    return shlex.quote(f"auditor[{extras}] @ {url}" if url else f"auditor[{extras}]")


def _came_from() -> Mapping[str, Any]:
    try:
        written = distribution("auditor").read_text("direct_url.json")
    except PackageNotFoundError:
        written = None
    return json.loads(written) if written else {}


def _pip() -> str:
    """Return the pip of this environment: another one may come first where it is not active."""
    own = Path(sys.executable).parent / "pip"
    if not own.exists() or shutil.which("pip") == str(own):
        return "pip"
    return shlex.quote(str(own))
