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

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
# CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS, from linux/sched.h
OWN_NAMESPACES = 0x10000000 | 0x40000000 | 0x08000000 | 0x04000000
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


def confine(level: str, memory_limit: int, parent: int) -> str:
    """Take on the limits and return the isolation level that really holds."""
    if level == "namespaces" and not _leave_network():
        level = "limits"
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, MOST_OPEN_FILES)
    _limit(resource.RLIMIT_AS, memory_limit)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    if level != "bubblewrap":  # which has --die-with-parent, and hides the parent's number
        _die_with(parent)
    return level


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(kind, (most, most))


def _die_with(parent: int) -> None:
    _prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # it died before the line above
        sys.exit("the parent is gone")


def _leave_network() -> bool:
    """Move into an own user, network, IPC and host-name namespace, where the kernel lets us."""
    with contextlib.suppress(OSError, AttributeError):
        return int(ctypes.CDLL(None, use_errno=True).unshare(OWN_NAMESPACES)) == 0
    return False


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):  # not Linux
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
