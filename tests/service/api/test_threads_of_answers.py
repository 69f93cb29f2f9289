"""The threads in which a process of a service answers the other one."""

import socket
import threading

from auditor.service.server.worker_process import RpcChannel


def test_who_answered_stays_since_what_it_started_would_end_with_it() -> None:
    ours, theirs = socket.socketpair()
    asking = RpcChannel(ours, {})
    answering = RpcChannel(theirs, {"who": lambda: threading.current_thread().name})
    attending = [threading.Thread(target=it.attend, daemon=True) for it in (asking, answering)]
    for thread in attending:
        thread.start()
    names = {str(asking.ask("who")) for _ in range(3)}
    attending[1].join(0.2)
    assert names <= {thread.name for thread in threading.enumerate()}
    for exchange in (asking, answering):
        exchange.close()
    for thread in attending:
        thread.join(120)
