"""A witness at an address, from the command line: it cosigns, or the command says why not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auditor.reports.folder import PROOF
from auditor.trust.ledger.merkle import EMPTY, TreeHead, verify_consistency
from auditor.trust.ledger.notes import (
    LogCheckpoint,
    MemoryNoteSigner,
    SignedNote,
    WitnessRequest,
    cosign_checkpoint,
)

ONLY = ("--only", "quality.accuracy")
SIGNER = MemoryNoteSigner("witness.example/w", Ed25519PrivateKey.from_private_bytes(b"w" * 32))
Command = Callable[..., Any]


@dataclass
class Seen:
    """What a witness remembers, and what it is told to answer instead of the truth."""

    head: TreeHead = field(default_factory=lambda: TreeHead(0, EMPTY))
    instead: tuple[int, bytes] | None = None

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        if self.instead is not None or path != "/w/add-checkpoint":
            return self.instead or (404, b"")
        asked = WitnessRequest.parse(body)
        text = SignedNote.parse(asked.note).text
        head = LogCheckpoint.parse(text).head
        if asked.old != self.head.size:
            return 409, f"{self.head.size}\n".encode()
        if not verify_consistency(head, self.head, asked.proof):
            return 422, b""
        self.head = head
        return 200, f"{cosign_checkpoint(text, 1_700_000_000, SIGNER)}\n".encode()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def url(seen: Seen) -> Iterator[str]:
    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            status, body = seen.answer(self.path, raw)
            self.send_response(status)
            if status == 301:
                self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Door)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/w"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def ask(auditor: Command, url: str, tmp_path: Path) -> Command:
    key = tmp_path / "witness.vkey"
    key.write_text(f"{SIGNER.key}\n")
    return lambda *more: auditor("ledger", "witness", *(more or (url,)), "--witness-key", key)


def test_a_cosigned_ledger_proves_records_under_both_keys(
    auditor: Command, ask: Command, example: Path, home: Path, tmp_path: Path
) -> None:
    out = example / "out"
    assert auditor("audit", example / "audit.yaml", *ONLY, "--out", out).code == 0
    ended = ask()
    assert ended.code == 0, ended.said
    assert "witness.example/w cosigned the checkpoint of 5 leaves at 2023-11-14T22:13:20Z" in (
        ended.said
    )
    record = next(line for line in (out / "record.json").read_text().split('"') if "aud-" in line)
    assert auditor("ledger", "prove", record, "--out", out / PROOF).code == 0
    keys = ("--ledger-key", home / "ledger.pub", "--witness-key", tmp_path / "witness.vkey")
    ended = auditor("verify", out, "--key", home / "signer.pub", *keys)
    assert ended.code == 0, ended.said
    assert "cosigned by witness.example/w" in ended.said
    again = ask()
    assert "cosigned the checkpoint of 6 leaves" in again.said
    checked = auditor("ledger", "verify", "--witness-key", tmp_path / "witness.vkey")
    assert checked.code == 0, checked.said


def test_a_first_run_may_be_this_one_and_says_so(ask: Command) -> None:
    ended = ask()
    assert ended.code == 0
    assert "First run: made the ledger key" in ended.said


@pytest.mark.parametrize(
    ("instead", "words"),
    [
        ((403, b""), "it does not trust the ledger's key"),
        ((404, b""), "it does not know this ledger"),
        ((422, b""), "it saw another ledger under this key"),
        ((500, b""), "no reason that auditor knows"),
        ((301, b""), "refused with status 301"),
        ((409, b"99\n"), "leaves were lost"),
        ((409, b"many\n"), "names no size"),
        ((200, b""), "holds no signature lines"),
        ((200, f"{cosign_checkpoint('other', 5, SIGNER)}\n".encode()), "does not hold"),
    ],
)
def test_a_refusal_is_explained_and_nothing_is_kept(
    auditor: Command, ask: Command, seen: Seen, instead: tuple[int, bytes], words: str
) -> None:
    seen.instead = instead
    ended = ask()
    assert ended.code == 2
    assert words in ended.said
    assert "cosignature" not in auditor("ledger", "show").said


def test_an_address_where_nobody_is_or_that_is_none_is_refused(ask: Command) -> None:
    silent, none = ask("http://127.0.0.1:9/w"), ask("ftp://127.0.0.1/w")
    assert "does not answer" in silent.said
    assert "is not an address of a witness" in none.said
    assert (silent.code, none.code) == (4, 2)


def test_the_origin_is_chosen_at_the_first_run(
    auditor: Command, ask: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITOR_LEDGER_ORIGIN", "ledger.example.org/{key}")
    assert ask().code == 0
    origin = (home / "ledger.pub").read_text().partition("+")[0]
    assert origin.startswith("ledger.example.org/")
    assert len(origin) == len("ledger.example.org/") + 64
    assert auditor("ledger", "checkpoint").out.startswith(f"{origin}\n")
