"""Garbage collection pauses: spares modules and long-lived objects.

A full collection walks everything that was ever kept, and holds the interpreter meanwhile: with the
modules of an audit 0.4 s, in which no call is answered. What is frozen is walked no more (Python's
documentation of ``gc.freeze``); what refers to nothing any more is let go of at once as ever.
"""

import gc
from functools import cache


@cache  # the count of what is frozen would tell it too, but walks all of that
def pause_collection() -> None:
    """Collect nothing while modules are loaded: hardly any of what they make is garbage.

    Without effect in a process that did so before: what it has made since may well be garbage.
    """
    gc.disable()


def resume_collection() -> None:
    """Collect again, but nothing of what is there; without effect where loading was not begun."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def freeze_live_objects() -> None:
    """Let go of the garbage that is there, and walk what is left no more."""
    gc.collect()
    gc.freeze()
