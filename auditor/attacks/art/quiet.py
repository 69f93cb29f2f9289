"""A library's noise and chance, kept from spreading: warnings, printing, global random numbers."""

import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

import numpy as np

Call = Callable[[], None]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Start the global random numbers of Python, numpy and torch at ``seed``; put them back after.

    Generators that a library makes without a seed are drawn from numpy's, for as long.
    """
    with ExitStack() as stack:
        stack.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002 -- of the library
        stack.callback(random.setstate, random.getstate())
        stack.callback(setattr, np.random, "RandomState", np.random.RandomState)
        torch = sys.modules.get("torch")
        if torch is not None:
            stack.callback(torch.set_rng_state, torch.get_rng_state())
            torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 -- the library draws from it
        random.seed(seed)
        vars(np.random)["RandomState"] = _Seeded
        yield


_GENERATOR = np.random.RandomState


class _Kind(type):
    """Takes every generator of numpy's for one of these: libraries ask what they are given."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _GENERATOR)


class _Seeded(np.random.RandomState, metaclass=_Kind):
    """A generator that takes its seed from numpy's own where it is given none."""

    def __init__(self, seed: Any = None) -> None:  # noqa: ANN401 -- whatever numpy takes
        own = np.random.randint(0, 2**31 - 1) if seed is None else seed  # noqa: NPY002 -- as above
        super().__init__(own)


@contextmanager
def silenced() -> Iterator[Callable[[Call], Call]]:
    """Keep what is printed and warned of from everybody.

    Gives a function which makes a call heard all the same: our own progress is no noise.
    """
    out, err = sys.stdout, sys.stderr

    def aloud(call: Call) -> Call:
        def heard() -> None:
            with redirect_stdout(out), redirect_stderr(err):
                call()

        return heard

    noise = StringIO()
    with warnings.catch_warnings(), redirect_stdout(noise), redirect_stderr(noise):
        warnings.simplefilter("ignore")
        yield aloud
