"""Uploads that are wrong in every way that a socket allows, drawn from a seed."""

import gzip
import hashlib
import random
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

TIMEOUT = 20.0
NAMES = (
    "../../etc/passwd", "..%2f..%2fetc", "/etc/passwd", "%2Fetc%2Fpasswd", "a%00b", "C:%5Cwindows",
    ".hidden", "%2e%2e", "a%0d%0aX-Evil:%201", "x" * 300, "%ff%fe", "~root%2f.ssh", "..",
)  # fmt: skip
DIGESTS = (
    "..%2f..%2fetc%2fpasswd", "sha256:../../x", "sha256:" + "A" * 64, "md5:" + "0" * 32,
    "sha256:" + "0" * 63, "sha256:" + "0" * 64 + "%2f..%2f..", "sha256%3a" + "g" * 64, "%00", ".",
    "sha512:" + "0" * 128, "sha256:" + "0" * 64 + "%0a",
)  # fmt: skip
NUMBERS = (
    "-1",
    "0x10",
    "1e3",
    "9" * 15,
    "9" * 40,
    "1.0",
    " ",
    "+5",
    "NaN",
    "٣".encode().decode("latin-1"),
)


@dataclass(frozen=True)
class Sending:
    """One call: its first line and headers, its body as it goes over the line, and its trick."""

    trick: str
    path: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    verb: str = "PUT"


@dataclass
class Hostile:
    """Draws sendings; ``sent`` counts the bytes of bodies that may lie in parts afterwards."""

    seed: int
    key: str
    sent: int = 0
    draws: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.draws = random.Random(self.seed)  # noqa: S311 -- the same for all who test

    def draw(self) -> Sending:
        tricks: list[Callable[[], Sending]] = [
            self.truncated, self.huge, self.bomb, self.wrong, self.named, self.undigested,
            self.elsewhere, self.numbered, self.endless, self.torn, self.twofold, self.longer,
        ]  # fmt: skip
        trick = self.draws.choice(tricks)
        made = trick()
        self.sent += len(made.body)
        return made

    def some(self) -> bytes:
        return self.draws.randbytes(self.draws.randrange(1, 20000))

    def to(self, raw: bytes) -> str:
        kind = self.draws.choice(("artifacts", "datasets"))
        return f"/v1/{kind}/sha256:{hashlib.sha256(raw).hexdigest()}"

    def truncated(self) -> Sending:
        """Less comes than was announced, and then the line breaks."""
        raw = self.some()
        length = [("Content-Length", str(len(raw) + self.draws.randrange(1, 10**6)))]
        return Sending("truncated", self.to(raw), length, raw)

    def huge(self) -> Sending:
        """Ten gigabytes and more are announced, and a few bytes come."""
        raw, size = self.some(), self.draws.choice((10**10, 10**12, 10**14))
        name = self.draws.choice(("Content-Length", "Upload-Length"))
        length = [("Content-Length", str(len(raw))), ("Upload-Length", str(size))]
        return Sending(
            "huge", self.to(raw), length if name != "Content-Length" else [(name, str(size))], raw
        )

    def bomb(self) -> Sending:
        """A small body that would be a large one if anybody unpacked it."""
        inner = bytes(10**6)
        raw = gzip.compress(inner)
        coded = [("Content-Length", str(len(raw))), ("Content-Encoding", "gzip")]
        return Sending("bomb", self.to(inner), coded, raw)

    def wrong(self) -> Sending:
        """Bytes of another digest."""
        raw = self.some()
        return Sending("wrong", self.to(raw + b"x"), [("Content-Length", str(len(raw)))], raw)

    def named(self) -> Sending:
        """A name that is a path, or no line."""
        raw, name = self.some(), self.draws.choice(NAMES)
        said = [("Content-Length", str(len(raw))), ("Upload-Name", name)]
        return Sending("named", self.to(raw), said, raw)

    def undigested(self) -> Sending:
        """A path that ends in no digest."""
        raw = self.some()
        path = f"/v1/artifacts/{self.draws.choice(DIGESTS)}"
        return Sending("undigested", path, [("Content-Length", str(len(raw)))], raw)

    def elsewhere(self) -> Sending:
        """An offset that nothing has reached."""
        raw, at = self.some(), self.draws.choice((1, 17, 10**6, 10**13))
        said = [("Content-Length", str(len(raw))), ("Upload-Offset", str(at))]
        return Sending("elsewhere", self.to(raw), said, raw)

    def numbered(self) -> Sending:
        """A header that is no whole number."""
        raw, name = self.some(), self.draws.choice(("Upload-Offset", "Upload-Length"))
        said = [("Content-Length", str(len(raw))), (name, self.draws.choice(NUMBERS))]
        return Sending("numbered", self.to(raw), said, raw)

    def endless(self) -> Sending:
        """Chunks, of which nothing says how long they are together."""
        raw = self.some()
        body = f"{len(raw):x}\r\n".encode() + raw + b"\r\n0\r\n\r\n"
        return Sending("endless", self.to(raw), [("Transfer-Encoding", "chunked")], body)

    def torn(self) -> Sending:
        """Chunks whose sizes are none."""
        raw = self.some()
        body = self.draws.choice((b"-5\r\n", b"zz\r\n", b"f" * 40 + b"\r\n", b"5;x\n")) + raw
        said = [("Transfer-Encoding", "chunked"), ("Upload-Length", str(len(raw)))]
        return Sending("torn", self.to(raw), said, body)

    def twofold(self) -> Sending:
        """Two lengths, of which one server believes the one and another the other."""
        raw = self.some()
        second = self.draws.choice((("Content-Length", "1"), ("Transfer-Encoding", "chunked")))
        return Sending(
            "twofold", self.to(raw + b"!"), [("Content-Length", str(len(raw))), second], raw
        )

    def longer(self) -> Sending:
        """More comes than the file was announced to have."""
        raw = self.some()
        said = [("Content-Length", str(len(raw))), ("Upload-Length", str(len(raw) // 2))]
        return Sending("longer", self.to(raw), said, raw)


def answer_to(sending: Sending, address: tuple[str, int], key: str) -> int | None:
    """Send it over a line of its own; return the status, or ``None`` where nothing was said."""
    head = [f"{sending.verb} {sending.path} HTTP/1.1", "Host: localhost",
            f"Authorization: Bearer {key}", "Connection: close"]  # fmt: skip
    head += [f"{name}: {said}" for name, said in sending.headers]
    raw = "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + sending.body
    with socket.create_connection(address, timeout=TIMEOUT) as line:
        try:
            line.sendall(raw)
            line.shutdown(socket.SHUT_WR)
            said = line.recv(64)
        except (ConnectionResetError, BrokenPipeError):
            return None
    return int(said.split(b" ")[1]) if said else None
