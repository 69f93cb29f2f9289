"""A cache of values made from the store, valid while the store's change mark stays the same."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

V = TypeVar("V")
MAKERS = 2
"""So many values are made at once: more threads that compute would keep the loop from every answer
that is known; with one, all would wait for whoever waits for a disk."""


@dataclass(frozen=True, slots=True)
class _CacheEntry(Generic[V]):
    value: V
    mark: Hashable
    began: float


class MarkedCache(Generic[V]):
    """Remembers values by name, each while the mark that it was made under is that of now.

    A mark is read before what is made under it, so that what changes meanwhile is made anew. One
    caller at a time makes a value: whoever asked before that began takes what comes of it. Nothing
    is remembered for more than ``longest`` seconds, nor more than ``most`` values.
    """

    def __init__(self, longest: float, most: int = 1000) -> None:
        self._longest, self._most = longest, most
        self._lock = Lock()
        self._makers = WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]()
        self._made: OrderedDict[Hashable, _CacheEntry[V]] = OrderedDict()
        self._turns: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    async def of(
        self,
        name: Hashable,
        mark: Hashable,
        make: Callable[[], Awaitable[V]],
        keeps: Callable[[V], bool] = lambda _: True,
    ) -> V:
        """Return the value of a name; what ``make`` raises, or what ``keeps`` denies, is not kept.

        ``mark`` was read since the caller asked.
        """
        asked = monotonic()
        found = self._made.get(name)
        if found is not None and found.mark == mark and asked - found.began < self._longest:
            return found.value
        # A lock belongs to one loop; it goes when nobody waits for it any more.
        loop = asyncio.get_running_loop()
        turn = self._turns.setdefault((loop, name), asyncio.Lock())
        makers = self._makers.setdefault(loop, asyncio.Semaphore(MAKERS))
        async with turn:
            found = self._made.get(name)
            if found is not None and found.began >= asked:
                return found.value
            async with makers:
                began = monotonic()
                value = await make()
            if keeps(value):
                made = _CacheEntry(value, mark, began)
                with self._lock:
                    self._made[name] = made
                    self._made.move_to_end(name)
                    old = made.began - self._longest
                    while (
                        len(self._made) > self._most or next(iter(self._made.values())).began < old
                    ):
                        self._made.popitem(last=False)
            return value
