"""Programs and libraries of Debian that tests check us with: installed, or said to be absent."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from fetching import out_of_reach_skips

PATIENT = ("-o", "DPkg::Lock::Timeout=240")
"""Other workers may be installing as well."""
UPDATE = "for try in 1 2 3 4 5 6; do apt-get -qq update && break; sleep 5; done"
"""For the lock of the lists, which that option does not speak of, apt-get does not wait."""


def installed(packages: Sequence[str], *, shows: Sequence[str | Path]) -> None:
    """See that packages are there; without the right to install them, skip, or fail if due.

    ``shows`` are programs by name, and files by path, that the packages bring.
    """
    if all(_there(item) for item in shows):
        return
    command = f"apt-get {' '.join(PATIENT)} -qq -y --no-install-recommends install"
    words = f"{UPDATE}; DEBIAN_FRONTEND=noninteractive {command} {' '.join(packages)}"
    leave = [] if os.geteuid() == 0 else ["sudo", "-n"]
    out_of_reach_skips([*leave, "sh", "-c", words], Path.cwd())
    assert all(_there(item) for item in shows), f"{packages} do not bring {shows}"


def _there(item: str | Path) -> bool:
    return item.exists() if isinstance(item, Path) else shutil.which(item) is not None
