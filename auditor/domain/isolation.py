"""Isolation levels: how far a process that opens a model is cut off from the machine."""

from enum import StrEnum


class IsolationLevel(StrEnum):
    """What a child cannot reach.

    At every level memory, time, open files and writing are limited, no capability is held, and
    where the kernel has seccomp (x86-64 and Arm) no socket, no other process, no signal and no
    other group of processes can be had. ``bubblewrap`` and ``landlock``: of the file system
    only the runtime's own files and the staged artifact, to read; bubblewrap also hides that there
    are others. ``namespaces``: all files that the user reads can be read. ``limits``: the same, and
    what keeps files from changes is seccomp alone. The strongest comes first.
    """

    BUBBLEWRAP = "bubblewrap"
    LANDLOCK = "landlock"
    NAMESPACES = "namespaces"
    LIMITS = "limits"

    def reaches(self, least: "IsolationLevel") -> bool:
        """Whether this level is as strong as ``least``, or stronger."""
        levels = list(IsolationLevel)
        return levels.index(self) <= levels.index(least)


REQUIRED = "AUDITOR_REQUIRE_ISOLATION"
"""The environment variable that names the weakest level of every child; processes inherit it."""
REMOTE = "remote"
"""The level of a target of which nothing is opened on the machine that audits."""


def is_isolation_sufficient(told: str | None, least: IsolationLevel | None) -> bool:
    """Whether a level is as strong as a policy asks; ``None`` is one that no record tells."""
    if least is None or told == REMOTE:
        return True
    return told in list(IsolationLevel) and IsolationLevel(told).reaches(least)
