"""How the child gives up what it does not need, before it loads a library or opens a model.

Only the standard library is imported here: nothing native runs before the limits hold.
"""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from dataclasses import dataclass
from typing import NoReturn

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
# CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS, from linux/sched.h
OWN_NAMESPACES = 0x10000000 | 0x40000000 | 0x08000000 | 0x04000000
OWN_MOUNTS = 0x00020000  # CLONE_NEWNS
# mount_setattr(2): its number on every architecture of ours, from asm-generic/unistd.h
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE = 442, -100, 0x8000
MOUNT_ATTR_RDONLY, MS_PRIVATE = 1, 1 << 18
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
SCRATCH, SCRATCH_SIZE = "/dev/shm", b"size=16m,nr_inodes=16k,mode=0700"  # noqa: S108 -- hidden by our own
"""Where a child may write that sees the machine's files read-only: a small memory of its own."""
MOST_OPEN_FILES = 256


@dataclass(frozen=True, slots=True)
class Channel:
    """The two file descriptors that carry frames."""

    incoming: int
    outgoing: int


def take_channel() -> Channel:
    """Move the pipes away from descriptors 0 and 1, so that no library can write into a frame.

    What libraries print goes to standard error, of which the parent keeps the end.
    """
    channel = Channel(os.dup(0), os.dup(1))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return channel


def confine(level: str, memory_limit: int, parent: int, faked_files: int = 0) -> str:
    """Take on the limits and return the isolation level that really holds.

    ``faked_files`` are the bytes of a file that an emulator or a driver may keep in memory; the
    kernel has one limit for all files, so that the tree of files is then made read-only.
    """
    if level == "namespaces" and not _leave_network(read_only=faked_files > 0):
        level = "limits"
    if level == "limits" and faked_files:
        sys.exit(
            "an emulator or a driver that keeps files in memory needs a read-only tree of files, "
            "and that needs bubblewrap, or a kernel that lets a user have namespaces"
        )
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, faked_files)
    _limit(resource.RLIMIT_NOFILE, MOST_OPEN_FILES)
    _limit(resource.RLIMIT_AS, memory_limit)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    if level != "bubblewrap":  # which has --die-with-parent, and hides the parent's number
        _die_with(parent)
    return level


def hand_over(command: list[str], level: str, memory_limit: int, parent: int) -> NoReturn:
    """Become an emulator or another Python that runs this program again, within these limits."""
    limits = ["--memory-limit", str(memory_limit), "--parent", str(parent)]
    whole = [*command, "--isolation", level, *limits, "--confined"]
    os.execv(command[0], whole)  # noqa: S606 -- our own command


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(kind, (most, most))


def _die_with(parent: int) -> None:
    _prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # it died before the line above
        sys.exit("the parent is gone")


def _leave_network(*, read_only: bool) -> bool:
    """Move into an own user, network, IPC and host-name namespace, where the kernel lets us.

    With ``read_only`` also into an own view of the files, in which nothing of the machine's can be
    written.
    """
    wanted = OWN_NAMESPACES | (OWN_MOUNTS if read_only else 0)
    user, group = os.geteuid(), os.getegid()
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None, use_errno=True)
        if int(library.unshare(wanted)) != 0:
            return False
        if read_only:
            _be_known(user, group)
            return _write_nothing(library)
        return True
    return False


def _be_known(user: int, group: int) -> None:
    """Keep the own user and group in the new namespace: files of nobody cannot be made."""
    said = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
    with contextlib.suppress(OSError):
        for name, text in said.items():
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123 -- no pathlib yet
                file.write(text)


def _write_nothing(library: ctypes.CDLL) -> bool:
    """Make every mount read-only. ``mount_attr`` is: to set, to clear, propagation, user map.

    A memory of its own hides ``SCRATCH``; where that cannot be had, it may write nowhere.
    """
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY, 0, MS_PRIVATE, 0)
    asked = (AT_FDCWD, b"/", AT_RECURSIVE, ctypes.byref(attributes), ctypes.sizeof(attributes))
    if int(library.syscall(MOUNT_SETATTR, *asked)) != 0:
        return False
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    library.mount(b"tmpfs", SCRATCH.encode(), b"tmpfs", flags, SCRATCH_SIZE)
    return True


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):  # not Linux
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
