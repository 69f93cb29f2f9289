"""A time-stamping authority of OpenSSL's (`openssl ts`), and a small server in front of it."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

POLICY, OTHER_POLICY = "1.3.6.1.4.1.99999.1", "1.3.6.1.4.1.99999.2"
CONFIG = f"""
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[clock]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[tsa]
default_tsa = one
[one]
dir = .
serial = ./serial
crypto_device = builtin
signer_cert = ./clock.pem
signer_key = ./clock.key
certs = ./chain.pem
default_policy = {POLICY}
other_policies = {OTHER_POLICY}
digests = sha256, sha384, sha512
signer_digest = sha384
accuracy = secs:1, millisecs:500
tsa_name = yes
ess_cert_id_chain = yes
ess_cert_id_alg = sha256
"""


@dataclass(frozen=True)
class Authority:
    """A root, an authority below it, and a clock below that; all in a folder of their own."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root.pem"

    @classmethod
    def made(cls, folder: Path, *, rsa: bool = False, days: int = 3000) -> "Authority":
        folder.mkdir(parents=True)
        (folder / "config").write_text(CONFIG)
        (folder / "serial").write_text("01\n")
        made = cls(folder)
        for name in ("root", "middle", "clock"):
            kind = ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if rsa and name == "clock" else [
                "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]  # fmt: skip
            made.openssl("genpkey", "-algorithm", *kind, "-out", f"{name}.key")
        made.openssl("req", "-x509", "-new", "-key", "root.key", "-subj", "/CN=root", "-days",
                     days + 100, "-config", "config", "-extensions", "authority", "-out",
                     "root.pem")  # fmt: skip
        for name, above, use in (("middle", "root", "authority"), ("clock", "middle", "clock")):
            made.openssl("req", "-new", "-key", f"{name}.key", "-subj", f"/CN={name}", "-config",
                         "config", "-out", f"{name}.csr")  # fmt: skip
            made.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{above}.pem", "-CAkey",
                         f"{above}.key", "-CAcreateserial", "-days", days, "-extfile", "config",
                         "-extensions", use, "-out", f"{name}.pem")  # fmt: skip
        made.bring("middle", "root")
        return made

    def bring(self, *names: str) -> None:
        """Say which certificates come with each timestamp, in which order."""
        found = "".join((self.folder / f"{name}.pem").read_text() for name in names)
        (self.folder / "chain.pem").write_text(found)

    def openssl(self, *words: object) -> str:
        command = ["openssl", *map(str, words)]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def answer(self, request: bytes) -> bytes:
        """Stamp what a request asks for, as OpenSSL does."""
        (self.folder / "query.tsq").write_bytes(request)
        self.openssl("ts", "-reply", "-config", "config", "-queryfile", "query.tsq", "-out",
                     "reply.tsr")  # fmt: skip
        return (self.folder / "reply.tsr").read_bytes()

    def accepts(self, answer: bytes, covered: bytes, *more: object) -> bool:
        """Whether OpenSSL finds that an answer stamps these bytes."""
        (self.folder / "covered").write_bytes(covered)
        (self.folder / "answer.tsr").write_bytes(answer)
        command = ["openssl", "ts", "-verify", "-data", "covered", "-in", "answer.tsr", "-CAfile",
                   "root.pem", *map(str, more)]  # fmt: skip
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        return done.returncode == 0 and "Verification: OK" in done.stdout


@contextmanager
def served(answer: Callable[[bytes], bytes], *, status: int = 200) -> Iterator[str]:
    """Serve an authority over HTTP on this machine, and give its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/timestamp-query"
            body = answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tsa"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
