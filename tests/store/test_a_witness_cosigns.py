"""Sigsum's witness cosigns our checkpoints, and refuses a fork, a rollback and a wrong size."""

import hashlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from debian import installed
from ledger_toys import NOW

from auditor.errors import LedgerError
from auditor.service.store.audit_log_check import SERVICE_ROWS
from auditor.store.ledger_audit import LedgerReference, audit_ledger
from auditor.store.record_store import RecordStore
from auditor.store.witness import cosign_checkpoint, submit_checkpoint
from auditor.trust.ledger.key_events import key_event_id
from auditor.trust.ledger.merkle import TreeHead, leaf_hash, merkle_root
from auditor.trust.ledger.notes import (
    LogCheckpoint,
    MemoryNoteSigner,
    NoteKey,
    NoteKeyType,
    SignedNote,
    WitnessRequest,
    find_cosigners,
    read_witness_size,
    sign_checkpoint,
)
from auditor.trust.ledger.receipts import LedgerReceipt
from auditor.workflows.ledger import build_receipt, log_key_roles

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RAW = KEY.public_key().public_bytes_raw()
# Sigsum's witness knows a log by this name alone.
LOG = MemoryNoteSigner(f"sigsum.org/v1/tree/{hashlib.sha256(RAW).hexdigest()}", KEY)
WITNESS = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
PATIENCE = 240.0

pytestmark = [pytest.mark.slow, pytest.mark.fetches]


@dataclass(frozen=True)
class Running:
    """A witness that answers at an address, under its key."""

    url: str
    key: NoteKey


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    installed(["sigsum-go"], shows=["sigsum-witness"])
    private, public = tmp_path / "witness", tmp_path / "log.pub"
    private.write_bytes(WITNESS.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    private.chmod(0o600)
    public.write_bytes(KEY.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    words = ["sigsum-witness", "-k", private, "--log-key", public, "--state-file",
             tmp_path / "state", address]  # fmt: skip
    # Debian builds it without modules, and so with a router that knows no methods.
    process = subprocess.Popen(words, env={**os.environ, "GODEBUG": "httpmuxgo121=0"})
    try:
        await_answer(address, process)
        yield Running(f"http://{address}", key_of_the_witness())
    finally:
        process.terminate()
        process.wait(PATIENCE)


def key_of_the_witness() -> NoteKey:
    raw = WITNESS.public_key().public_bytes_raw()
    return NoteKey(
        f"sigsum.org/v1/witness/{hashlib.sha256(raw).hexdigest()}", raw, NoteKeyType.COSIGNATURE
    )


def await_answer(address: str, process: subprocess.Popen[bytes]) -> None:
    host, _, port = address.partition(":")
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"sigsum-witness does not listen at {address}")


@pytest.fixture
def ledger(sqlite_url: str, home: Path) -> Iterator[RecordStore]:
    opened = RecordStore.open(sqlite_url, home / "blobs", LOG)
    log_key_roles(opened, {}, NOW)
    yield opened
    opened.close()


def test_our_checkpoints_are_cosigned_and_the_cosignatures_kept(
    running: Running, ledger: RecordStore
) -> None:
    ask = partial(submit_checkpoint, running.url)
    sizes = []
    for step in range(12):
        # What is kept of one cosignature is a leaf of the next checkpoint.
        sizes.append(cosign_checkpoint(ledger, running.key, ask, NOW).size)
        log_key_roles(ledger, {f"role-{step}": str(step) for step in range(step * 3)}, NOW)
    assert sizes == sorted(set(sizes))
    assert len(sizes) == 12
    assert failures_under(ledger, running) == ""
    with ledger.ledger() as reader:
        proof = LedgerReceipt.parse(build_receipt(reader, key_event_id("ledger", str(LOG.key))))
    assert find_cosigners(SignedNote.parse(proof.note), [running.key]) == (running.key,)


def test_who_forgot_what_was_cosigned_asks_again_with_the_size_that_is_answered(
    running: Running, ledger: RecordStore
) -> None:
    with ledger.ledger() as reader:
        first = reader.checkpoint()
        size = reader.head().size
    assert submit_checkpoint(running.url, WitnessRequest(0, (), first).emit()).status == 200
    again = submit_checkpoint(running.url, WitnessRequest(0, (), first).emit())
    assert (again.status, read_witness_size(again.body)) == (409, size)
    log_key_roles(ledger, {"report": "a key"}, NOW)
    assert (
        cosign_checkpoint(ledger, running.key, partial(submit_checkpoint, running.url), NOW).size
        > size
    )


def test_a_fork_a_rollback_and_a_forged_checkpoint_are_refused(
    running: Running, ledger: RecordStore, tmp_path: Path
) -> None:
    log_key_roles(ledger, {f"role-{step}": f"key {step}" for step in range(6)}, NOW)
    cosigned = cosign_checkpoint(
        ledger, running.key, partial(submit_checkpoint, running.url), NOW
    ).size
    fork = sign_checkpoint(
        LogCheckpoint(
            LOG.name, TreeHead(9, merkle_root([leaf_hash(b"%d" % at) for at in range(9)]))
        ),
        LOG,
    )
    with ledger.ledger() as reader:
        proof = reader.tree(reader.head().size).consistency(cosigned)
        last = reader.checkpoint()
        small = reader.checkpoint(1)
        from_one = reader.tree(reader.head().size).consistency(1)
    ask = partial(submit_checkpoint, running.url)
    assert ask(WitnessRequest(cosigned, proof, fork).emit()).status == 422
    assert ask(WitnessRequest(cosigned, (), small).emit()).status == 400
    assert ask(WitnessRequest(1, from_one, last).emit()).status == 409
    assert ask(WitnessRequest(cosigned, (), last.replace(b"\n8\n", b"\n9\n")).emit()).status in {
        400,
        403,
    }
    other = RecordStore.open(f"sqlite:///{tmp_path / 'fork.db'}", tmp_path / "blobs", LOG)
    log_key_roles(other, {f"role-{step}": f"other {step}" for step in range(9)}, NOW)
    with pytest.raises(LedgerError, match="it saw another ledger"):
        cosign_checkpoint(other, running.key, ask, NOW)
    other.close()


def test_a_ledger_that_lost_leaves_is_told_so(
    running: Running, ledger: RecordStore, tmp_path: Path
) -> None:
    log_key_roles(ledger, {f"role-{step}": f"key {step}" for step in range(3)}, NOW)
    ask = partial(submit_checkpoint, running.url)
    cosign_checkpoint(ledger, running.key, ask, NOW)
    older = RecordStore.open(f"sqlite:///{tmp_path / 'old.db'}", tmp_path / "blobs", LOG)
    log_key_roles(older, {}, NOW)
    with pytest.raises(LedgerError, match="leaves were lost"):
        cosign_checkpoint(older, running.key, ask, NOW)
    older.close()


def test_an_answer_under_another_key_is_not_kept(running: Running, ledger: RecordStore) -> None:
    false = replace(running.key, raw=RAW)
    with pytest.raises(LedgerError, match="carries no cosignature"):
        cosign_checkpoint(ledger, false, partial(submit_checkpoint, running.url), NOW)
    assert failures_under(ledger, running) == ""


def failures_under(ledger: RecordStore, running: Running) -> str:
    known = LedgerReference(LOG.key, (running.key,))
    audited = audit_ledger(ledger.engine, known, SERVICE_ROWS)
    steps = [step for step in audited if step.result.value == "failed"]
    return "\n".join(step.detail for step in steps)
