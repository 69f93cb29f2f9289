"""Evidence that agents send: kept once it has the digest announced, and noted as theirs."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auditor.domain.agents import Agent
from auditor.errors import StoreError
from auditor.leasing.terms import Leasehold
from auditor.refusals import StandingError, TooLargeError, UploadError
from auditor.uploading import PRIVATE_FILE, PRIVATE_FOLDER, Arriving


@contextmanager
def receiving(hold: Leasehold, agent: Agent, digest: str, length: int) -> Iterator[Arriving]:
    """Take a blob of evidence in, whole or not at all, from an agent that has a shard in hand.

    Raises ``StandingError`` for one that has none, ``TooLargeError``, and ``UploadError`` for
    bytes of another digest or length.
    """
    if not hold.leases.taken(agent.id):
        raise StandingError("this agent has no lease", cure="Send evidence of a lease alone.")
    if length > hold.most:
        raise TooLargeError(
            f"the evidence has {length} bytes, and this service takes {hold.most}",
            cure="Ask who runs the service for a higher limit.",
        )
    path = hold.kept.store.blobs.root / ".uploads" / f"evidence-{secrets.token_hex(16)}"
    try:
        with _opened(path, length) as arriving:
            yield arriving
        if arriving.left or not hold.kept.store.blobs.take(path, digest):
            raise UploadError(
                f"the bytes sent are not those of {digest}; nothing of them is kept",
                cure="Send the blob again, whole.",
            )
    finally:
        path.unlink(missing_ok=True)
    hold.agents.note_evidence(agent.id, digest, length, hold.clock())


@contextmanager
def _opened(path: Path, length: int) -> Iterator[Arriving]:
    try:
        path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        flags = os.O_CREAT | os.O_WRONLY | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.fdopen(os.open(path, flags, PRIVATE_FILE), "wb")
    except OSError as error:
        raise StoreError(
            f"evidence cannot be written: {error.strerror}",
            cure="See that the service's disk has room, and that it may write there.",
        ) from error
    with file:
        yield Arriving(file, length)
