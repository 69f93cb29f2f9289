"""Confinement of the child process: privileges dropped before a library or a model is loaded.

Only the standard library is imported here: nothing native runs before the limits hold.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from dataclasses import dataclass
from typing import NoReturn

from auditor.targets.sandbox import landlock, seccomp
from auditor.targets.sandbox.landlock import SIGNALS

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
# CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS, from linux/sched.h
OWN_NAMESPACES = 0x10000000 | 0x40000000 | 0x08000000 | 0x04000000
OWN_MOUNTS = 0x00020000  # CLONE_NEWNS
# mount_setattr(2): its number on every architecture of ours, from asm-generic/unistd.h
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE = 442, -100, 0x8000
MOUNT_ATTR_RDONLY, MS_BIND, MS_PRIVATE = 1, 1 << 12, 1 << 18
PR_CAPBSET_DROP, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 24, 47, 4
CAPABILITY_VERSION, MOST_CAPABILITIES = 0x20080522, 64
MOST_OPEN_FILES = 256
MOST_PROCESSES = 512
"""Beside those that there are, where a child may start any; the kernel does not hold root to it."""
CPU_SECONDS = 7 * 24 * 3600
"""Time limits are the parent's; this ends what would go on when there is no parent any more."""


@dataclass(frozen=True, slots=True)
class FrameChannel:
    """The two file descriptors that carry frames."""

    incoming: int
    outgoing: int


def take_channel() -> FrameChannel:
    """Move the pipes away from descriptors 0 and 1, so that no library can write into a frame.

    What libraries print goes to standard error, of which the parent keeps the end.
    """
    channel = FrameChannel(os.dup(0), os.dup(1))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return channel


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLimits:
    """What a child is asked to take on.

    ``faked_files`` are the bytes of a file that an emulator or a driver may keep in memory; the
    kernel has one limit for all files, so that the tree of files must be read-only otherwise.
    ``alone``: it starts no other process. ``readable`` is all that it may read under Landlock.
    """

    level: str
    memory_limit: int
    parent: int
    faked_files: int = 0
    alone: bool = False
    readable: tuple[str, ...] = ()


def confine_process(asked: SandboxLimits) -> str:
    """Take on the limits and return the isolation level that really holds.

    ``drop_system_calls`` has to follow, when all processes are started that this one needs.
    """
    level = asked.level
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, asked.faked_files)
    _limit(resource.RLIMIT_NOFILE, MOST_OPEN_FILES)
    _limit(resource.RLIMIT_AS, asked.memory_limit)
    _limit(resource.RLIMIT_CPU, CPU_SECONDS)
    if not asked.alone:
        # How many tasks there are now: the kernel counts those of a user together
        try:
            with open("/proc/loadavg", encoding="ascii") as file:  # noqa: PTH123 -- no pathlib yet
                processes = int(file.read().split()[3].partition("/")[2])
        except (OSError, ValueError, IndexError):
            processes = 0
        _limit(resource.RLIMIT_NPROC, MOST_PROCESSES + processes)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    if level == "landlock" and not landlock.restrict_file_access(asked.readable):
        level = "namespaces"
    if level == "namespaces" and not _own_namespaces():
        level = "limits"
    if level == "limits" and asked.faked_files:
        sys.exit(
            "an emulator or a driver that keeps files in memory needs a read-only tree of files, "
            "and that needs bubblewrap, or a kernel with Landlock, or one that lets a user have "
            "namespaces"
        )
    # Hold no capability, those in an own namespace included, and get none by another program
    for capability in range(MOST_CAPABILITIES):
        _prctl(PR_CAPBSET_DROP, capability)
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    with contextlib.suppress(OSError, AttributeError):
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
        none = (ctypes.c_uint32 * 6)()
        ctypes.CDLL(None, use_errno=True).capset(ctypes.byref(header), ctypes.byref(none))
    if level != "bubblewrap":  # which has --die-with-parent, and hides the parent's number
        _prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != asked.parent:  # it died before the line above
            sys.exit("the parent is gone")
    return level


def drop_system_calls(level: str, *, alone: bool) -> str:
    """Give up the calls to the kernel that nothing here needs; return the level that holds then.

    Landlock knows neither sockets of all kinds nor attributes of files: without this it is less.
    """
    scoped = level == "landlock" and landlock.landlock_version() >= SIGNALS
    done = seccomp.install_filter(
        alone=alone,
        attributes=level in {"landlock", "limits"},
        tree=level == "limits",
        signals=not alone and (level == "bubblewrap" or scoped),
    )
    return "limits" if level == "landlock" and not done else level


def exec_other_program(command: list[str], level: str, asked: SandboxLimits) -> NoReturn:
    """Become an emulator or another Python that runs this program again, within these limits.

    First the parent is told which level holds: what comes after it is no program of ours.
    """
    said = json.dumps({"ok": True, "isolation": level, "arrays": []}).encode()
    os.write(1, len(said).to_bytes(4, "big") + said)  # one frame, without what reads frames
    limits = ["--memory-limit", str(asked.memory_limit), "--parent", str(asked.parent)]
    whole = [*command, "--isolation", level, *limits, "--confined"]
    os.execv(command[0], whole)  # noqa: S606 -- our own command


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(kind, (most, most))


def _own_namespaces() -> bool:
    """Move into an own user, network, IPC and host-name namespace, where the kernel lets us.

    The own view of the files is read-only.
    """
    user, group = os.geteuid(), os.getegid()
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None, use_errno=True)
        if int(library.unshare(OWN_NAMESPACES | OWN_MOUNTS)) == 0:
            _be_known(user, group)
            # Make every mount read-only, but for what the kernel tells this process of itself.
            # `mount_attr` is: to set, to clear, propagation, user map.
            own = f"/proc/{os.getpid()}".encode()
            library.mount(own, own, None, MS_BIND, None)  # where it fails, that is read-only too
            shut = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY, 0, MS_PRIVATE, 0)
            opened = (ctypes.c_uint64 * 4)(0, MOUNT_ATTR_RDONLY, 0, 0)
            size = ctypes.sizeof(shut)
            done = library.syscall(
                MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, ctypes.byref(shut), size
            )
            library.syscall(MOUNT_SETATTR, AT_FDCWD, own, 0, ctypes.byref(opened), size)
            return int(done) == 0
    return False


def _be_known(user: int, group: int) -> None:
    """Keep the own user and group in the new namespace: files of nobody cannot be made."""
    said = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
    with contextlib.suppress(OSError):
        for name, text in said.items():
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123 -- no pathlib yet
                file.write(text)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):  # not Linux
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
