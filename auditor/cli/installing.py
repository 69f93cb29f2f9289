"""How this very installation gets an extra: what is recorded names the package, a terminal this."""

import json
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

from auditor.extras import SAID, worded_today

OWN = re.compile(r"auditor\[([\w,-]+)\]")


def as_installed(text: str) -> str:
    """Return ``text`` with each word on an extra as the line that works from where auditor lies."""
    text = worded_today(text)
    if not SAID.search(text):
        return text
    came_from, pip = _came_from(), _pip()

    def line(found: re.Match[str]) -> str:
        wanted = requirement(found[1], came_from)
        return f"Run `{pip} install {wanted}`" if wanted else found[0]

    return SAID.sub(line, text)


def requirement(extras: str, came_from: Mapping[str, Any]) -> str:
    """Return what pip is told, quoted; ``came_from`` is a ``direct_url.json`` (PEP 610), or empty.

    A checkout stays editable. Where nobody knows from where auditor came, the packages that the
    extras consist of are named, and never auditor: an index may hold anything under that name.
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
    except (AttributeError, KeyError, TypeError, ValueError):  # damaged: nobody knows
        place = ""
    return shlex.quote(f"auditor[{extras}] @ {place}") if place else _packages(extras)


def _packages(extras: str) -> str:
    """Return the packages that extras consist of, quoted; nothing where no metadata says so."""
    try:
        told = requires("auditor") or []
    except PackageNotFoundError:
        return ""
    wanted, found = extras.split(","), dict[str, None]()
    for extra in wanted:
        for line in told:
            package, _, marker = (part.strip() for part in line.partition(";"))
            if not re.search(rf"extra == ['\"]{re.escape(extra)}['\"]", marker):
                continue
            if own := OWN.fullmatch(package):
                wanted += [name for name in own[1].split(",") if name not in wanted]
            else:
                found[package] = None
    return shlex.join(found)


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
