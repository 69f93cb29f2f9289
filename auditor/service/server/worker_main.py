"""The program that does a service's work: ``python -m auditor.service.server.worker_main
DESCRIPTOR``.
"""

import os
import signal
import socket
import sys

from auditor._gc import pause_collection, resume_collection


def main() -> None:
    """Work until the process that asks is there no more, whoever ended it and however."""
    descriptor = int(sys.argv[1])
    # A program that is started here, and outlives this one, would hold the line open.
    os.set_inheritable(descriptor, False)  # noqa: FBT003 -- of the system
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)  # whoever is told to stop asks for no more steps
    pause_collection()
    from auditor.service.server.worker_steps import WorkerProcess  # noqa: PLC0415 -- takes seconds; a signal may come

    resume_collection()

    with socket.socket(fileno=descriptor) as line:
        WorkerProcess(line).attend()
    os._exit(0)  # a step in hand is done again: nobody is there to be told of its end


if __name__ == "__main__":
    main()
