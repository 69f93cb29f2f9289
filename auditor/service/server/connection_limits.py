"""Limits on idle and slow HTTP connections."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD, STALL, LINGER = 30.0, 60.0, 10.0
"""Seconds that the head of a call may take, that a caller may take nothing of an answer, and that
a connection has to close."""


class BoundedProtocol(H11Protocol):
    """A connection that at every moment answers a call, or is closed at some time to come.

    Bodies that come slowly are ``auditor.service.api.body_timeout``'s: only what reads one knows
    that it waits.
    """

    head, stall, linger = HEAD, STALL, LINGER
    _due: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """Begin to wait for a call."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Take up what came, which may end the time that the next head has, but not lengthen it."""
        super().data_received(data)
        self._await_head()

    def on_response_complete(self) -> None:
        """Begin to wait for the next call, or for what is left of the body of this one."""
        super().on_response_complete()
        self._await_head()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, also where its caller takes nothing of what is to be sent."""
        super().timeout_keep_alive_handler()
        self._abort_soon()

    def pause_writing(self) -> None:
        """Wait until the caller takes what was sent, and not for ever."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self.stall, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on to send."""
        super().resume_writing()
        _end(self._stalled)
        self._stalled = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        _end(self._due)
        _end(self._stalled)

    def _await_head(self) -> None:
        """See to it that there is an end where no call is answered."""
        if self.cycle is not None and not self.cycle.response_complete:
            _end(self._due)
            self._due = None
        elif self.timeout_keep_alive_task is None and self._due is None:
            self._due = self.loop.call_later(self.head, self._close)

    def _close(self) -> None:
        self.transport.close()
        self._abort_soon()

    def _abort_soon(self) -> None:
        self.loop.call_later(self.linger, self.transport.abort)


def _end(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
