"""Sessions of people at a browser: a random id in a cookie that stands for a key that holds."""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from time import monotonic

LONGEST, IDLE = 12 * 3600.0, 3600.0
"""Seconds after which a session ends, in all and without a call."""
MOST_OF_A_KEY, MOST = 20, 10_000
"""So many sessions at once, of one key and in all; the one used longest ago gives way."""
RANDOM = 32
SECURE, PLAIN = "__Host-auditor-session", "auditor-session"
"""The cookie's name where the page came by HTTPS, and where it did not."""
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody at a browser: whose key it is, what its forms must show, where it was begun.

    ``origin`` is the service's address as that browser calls it.
    """

    key: str
    token: str
    origin: str
    began: float

    @property
    def secure(self) -> bool:
        """Whether the pages come by HTTPS, so that the cookie may go by nothing else."""
        return self.origin.startswith("https://")

    @property
    def cookie(self) -> str:
        """The name of its cookie."""
        return SECURE if self.secure else PLAIN


class Sessions:
    """The sessions of one process: they end with it, and of an id only a digest is held."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._held: OrderedDict[str, tuple[Session, float]] = OrderedDict()

    def begin(self, key: str, origin: str) -> tuple[str, Session]:
        """Begin a session of a key, and return its id, which only its cookie holds, and it."""
        named, now = secrets.token_urlsafe(RANDOM), self._clock()
        session = Session(key, secrets.token_urlsafe(RANDOM), origin, now)
        with self._lock:
            own = [name for name, (held, _) in self._held.items() if held.key == key]
            for name in own[: max(0, len(own) - MOST_OF_A_KEY + 1)]:
                del self._held[name]
            while len(self._held) >= MOST:
                self._held.popitem(last=False)
            self._held[_hashed(named)] = session, now
        return named, session

    def find(self, named: str) -> Session | None:
        """Return the session of an id, unless it has ended; it was used now."""
        name, now = _hashed(named), self._clock()
        with self._lock:
            session, used = self._held.pop(name, (None, 0.0))
            if session is None or now - session.began >= LONGEST or now - used >= IDLE:
                return None
            self._held[name] = session, now
        return session

    def end(self, named: str) -> None:
        """End a session, if there is one of that id."""
        with self._lock:
            self._held.pop(_hashed(named), None)


def _hashed(named: str) -> str:
    return hashlib.sha256(named.encode(errors="replace")).hexdigest()
