"""Landlock rules: the files that a process may read, and none to write."""

import contextlib
import ctypes
import os
import stat
from collections.abc import Iterable

CREATE, ADD, RESTRICT = 444, 445, 446
VERSION, PATH_BENEATH = 1, 1
OLDEST = 3
"""Before it, files could be truncated."""
SIGNALS = 6
"""From it on, signals and abstract sockets stay inside."""
EXECUTE, WRITE, READ, LIST, TRUNCATE, DEVICE = 1, 2, 4, 8, 1 << 14, 1 << 15
OF_FILES = EXECUTE | WRITE | READ | TRUNCATE | DEVICE
OF_TREE = (1 << 15) - 1  # all that version 3 knows
OF_NET, OF_SCOPE = 3, 3
OWN = "/proc/self"
MACHINE = (
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/loadavg", "/proc/sys", "/proc/driver",
    "/sys",
)  # fmt: skip
"""What runtimes read about the machine, none of which is about another process."""
DEVICES = (
    "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/dri", "/dev/kfd",
    "/dev/accel", "/dev/dxg",
)  # fmt: skip
NVIDIA = "nvidia"


def landlock_version() -> int:
    """Return the version of Landlock that this kernel has, 0 where it has none."""
    with contextlib.suppress(OSError, AttributeError):
        return max(0, int(_call(CREATE, None, 0, VERSION)))
    return 0


def restrict_file_access(readable: Iterable[str]) -> bool:
    """Keep this process to reading what lies below ``readable``; say whether the kernel does.

    Nothing may be made, changed or removed, no port used, and from version 6 on no signal sent to
    a process outside.
    """
    known = landlock_version()
    if known < OLDEST:
        return False
    tree = OF_TREE | (DEVICE if known >= 5 else 0)  # noqa: PLR2004 -- the version that knows them
    wanted = (tree, OF_NET if known >= 4 else 0, OF_SCOPE if known >= SIGNALS else 0)  # noqa: PLR2004
    asked = (ctypes.c_uint64 * 3)(*wanted)
    sizes = {3: 8, 4: 16, 5: 16}
    rules = int(_call(CREATE, ctypes.byref(asked), sizes.get(known, 24), 0))
    if rules < 0:
        return False
    try:
        for place in (*readable, *MACHINE):
            _allow(rules, place, (EXECUTE | READ | LIST) & tree)
        for place in (*DEVICES, *_nvidia(), OWN):
            _allow(rules, place, (READ | WRITE | LIST | DEVICE) & tree)
        return int(_call(RESTRICT, rules, 0)) == 0
    finally:
        os.close(rules)


def _nvidia() -> list[str]:
    with contextlib.suppress(OSError):
        return [f"/dev/{name}" for name in os.listdir("/dev") if name.startswith(NVIDIA)]  # noqa: PTH208 -- no pathlib yet
    return []


def _allow(rules: int, place: str, access: int) -> None:
    try:
        held = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # what is not there needs no rule
        return
    try:
        if not stat.S_ISDIR(os.fstat(held).st_mode):
            access &= OF_FILES
        asked = access.to_bytes(8, "little") + held.to_bytes(
            4, "little"
        )  # packed, as the kernel has it
        _call(ADD, rules, PATH_BENEATH, ctypes.c_char_p(asked), 0)
    finally:
        os.close(held)


def _call(number: int, *arguments: object) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    return int(library.syscall(ctypes.c_long(number), *arguments))
