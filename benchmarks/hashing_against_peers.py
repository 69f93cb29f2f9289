"""Hashing and verifying signed models, against OpenSSL's own speed and model_signing.

    python benchmarks/hashing_against_peers.py [--environments FOLDER] [--megabytes 1024]

Every round measures each in turn, so that what else the machine does meets all alike; told are the
median of the rounds' ratios and their range. CPU seconds are those of a whole process over all its
threads, for the job alone; of the two commands that sign, for all that a user waits for. The limit
of a core is what `openssl speed -evp sha256` says of blocks of 16 KiB, which never leave the cache.
The model comes in eight files, as large ones are published, in two, and in one; each core hashes
one file at a time. Files are read once before, so that no disk is measured. Wall seconds depend on
what else the machine does.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from figures import over, tell
from peers import asked, environment

from auditor.trust.artifacts.files import measure_artifact
from auditor.trust.artifacts.verify import VerificationRequest, inspect_artifact_signature
from auditor.trust.signatures.keys import KeySigner
from auditor.trust.signatures.model_serialisations import HashAlgorithm, ModelSerialisation
from auditor.trust.signatures.model_signing import sign_model
from auditor.trust.signatures.trusted_signers import TrustedSigners

SEED = 7
ROUNDS = 5
LOOKS = 200
FILES = (8, 2, 1)
GOALS = {
    "sha256: bytes a CPU second, of OpenSSL's limit, 1 file": 0.95,
    "sha256: CPU seconds of model_signing, of ours, 8 files": 1.25,
    "sha256: wall seconds of model_signing, of ours, 8 files": 1.25,
    "verifications a CPU second": 1000,
}
PACKAGES = ("model-signing==1.1.1", "pyopenssl", "blake3")
SMALL = {"config.json": 1_000, "model.onnx": 250_000, "weights/part.bin": 49_000}
HASHING = """
import json, sys, time
from model_signing import hashing
hashing.Config().hash(sys.argv[2])
spent, begun = time.process_time(), time.perf_counter()
hashing.Config().use_file_serialization(hashing_algorithm=sys.argv[3]).hash(sys.argv[1])
print(json.dumps({"cpu": time.process_time() - spent, "wall": time.perf_counter() - begun}))
"""
VERIFYING = """
import json, sys, time
from model_signing import verifying
def look():
    config = verifying.Config().use_elliptic_key_verifier(public_key=sys.argv[3])
    config.verify(sys.argv[1], sys.argv[2])
look()
spent = time.process_time()
for _ in range(int(sys.argv[4])):
    look()
print(json.dumps({"cpu": time.process_time() - spent}))
"""


def spent(job: Callable[[], object]) -> tuple[float, float]:
    """Return the CPU and the wall seconds of a job."""
    cpu, wall = time.process_time(), time.perf_counter()
    job()
    return time.process_time() - cpu, time.perf_counter() - wall


def limit() -> float:
    """Return the bytes that OpenSSL hashes in a second of one core."""
    told = subprocess.run(
        ["openssl", "speed", "-mr", "-evp", "sha256", "-seconds", "1", "-bytes", "16384"],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    found = [line for line in told.stdout.splitlines() if line.startswith("+F")]
    return float(found[-1].split(":")[-1])


def write(folder: Path, sizes: dict[str, int]) -> Path:
    """Write a model of random files."""
    rng = np.random.default_rng(SEED)
    for name, size in sizes.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("wb") as file:
            for begin in range(0, size, 2**24):
                file.write(rng.bytes(min(2**24, size - begin)))
    return folder


def told(label: str, ratios: list[float], files: str = "") -> None:
    """Print a median and its range, and keep it with what the model came in."""
    middle, least, most = statistics.median(ratios), min(ratios), max(ratios)
    against = "model_signing 1.1.1" if "model_signing" in label else "the limit that is named"
    unit, what = "1/s" if "verifications" in label else "x", f"{label}, {files}" if files else label
    tell(over("hashing", what, ratios, against, unit=unit, goal=GOALS.get(what)))
    print(f"{label:<66} {middle:8.2f} ({least:.2f} to {most:.2f}, n={len(ratios)})")


def hashing(large: Path, small: Path, peer: Path | None) -> None:
    """Compare the hashing of a large model."""
    size, files = measured(large)
    ours: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        top = limit()
        cpu, wall = spent(lambda: measure_artifact(large))
        ours.setdefault("sha256: bytes a CPU second, of OpenSSL's limit", []).append(
            size / cpu / top
        )
        ours.setdefault("sha256: bytes a wall second, of one core's limit", []).append(
            size / wall / top
        )
        fast, quick = spent(
            lambda: measure_artifact(large, ModelSerialisation(HashAlgorithm.BLAKE3))
        )
        ours.setdefault("blake3: bytes a CPU second, of sha256's", []).append(cpu / fast)
        for kind, mine, whole in (("sha256", cpu, wall), ("blake3", fast, quick)):
            theirs = asked(peer, HASHING, large, small, kind)
            if theirs:
                name = f"{kind}: CPU seconds of model_signing, of ours"
                ours.setdefault(name, []).append(theirs["cpu"] / mine)
                name = f"{kind}: wall seconds of model_signing, of ours"
                ours.setdefault(name, []).append(theirs["wall"] / whole)
    print(f"\n{size >> 20} MiB in {files}, {os.cpu_count()} cores, {limit() / 1e9:.2f} GB/s a core")
    for label, ratios in ours.items():
        told(label, ratios, files)


def measured(model: Path) -> tuple[int, str]:
    """Return a model's bytes, and in words its number of files."""
    sizes = [path.stat().st_size for path in model.iterdir()]
    return sum(sizes), f"{len(sizes)} file{'s' * (len(sizes) > 1)}"


def signing(large: Path, private: Path, peer: Path | None) -> None:
    """Compare the two commands that sign a large model, each as a process of its own."""
    if peer is None:
        return
    scratch, (size, files) = private.parent, measured(large)
    key, out = ["--signature", str(scratch / "theirs.sig")], str(scratch / "ours.sig")
    ours = [str(Path(sys.executable).parent / "auditor"), "sign", str(large), "--key", str(private)]
    theirs = [str(peer.parent / "model_signing"), "sign", "key", str(large), *key]
    ratios: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        cpu, wall = commanded([*ours, "--out", out], scratch)
        more, longer = commanded([*theirs, "--private_key", str(private)], scratch)
        ratios.setdefault("sign: CPU seconds of model_signing, of ours", []).append(more / cpu)
        ratios.setdefault("sign: wall seconds of model_signing, of ours", []).append(longer / wall)
    print(f"\n{size >> 20} MiB in {files}, the commands that sign by a key, with sha256")
    for label, found in ratios.items():
        told(label, found, files)


def commanded(command: list[str], home: Path) -> tuple[float, float]:
    """Return the CPU and the wall seconds of a command."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    around = {**os.environ, "AUDITOR_HOME": str(home / "home")}
    subprocess.run(command, check=True, capture_output=True, env=around)  # noqa: S603
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def verifying(small: Path, signer: KeySigner, peer: Path | None) -> None:
    """Compare how many small models are verified in a second of one core."""
    signature, key = small.parent / "small.sig", small.parent / "small.pub"
    signature.write_bytes(sign_model(measure_artifact(small), signer, name="small"))
    key.write_bytes(signer.public_pem())
    question = VerificationRequest(TrustedSigners.key(signer.public_pem()))
    rates: list[float] = []
    ratios: list[float] = []

    def look() -> None:
        for _ in range(LOOKS):
            assert inspect_artifact_signature(small, signature, question)[0].verified

    for _ in range(ROUNDS):
        cpu, _ = spent(look)
        rates.append(LOOKS / cpu)
        theirs = asked(peer, VERIFYING, small, signature, key, LOOKS)
        if theirs:
            ratios.append(theirs["cpu"] / cpu)
    print(f"\n{sum(SMALL.values())} bytes in {len(SMALL)} files, P-256, whole verifications")
    told("verifications a CPU second", rates)
    if ratios:
        told("CPU seconds of model_signing, of ours", ratios)


def main() -> None:
    """Compare, and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path)
    parser.add_argument("--megabytes", type=int, default=1024)
    chosen = parser.parse_args()
    print(" ".join(sys.argv))
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        peer = environment(chosen.environments or place, "model_signing", PACKAGES)
        whole = chosen.megabytes << 20
        large = [
            write(place / f"large-{count}", {f"{at}.bin": whole // count for at in range(count)})
            for count in FILES
        ]
        small = write(place / "small", SMALL)
        signer = KeySigner(ec.derive_private_key(SEED, ec.SECP256R1()))
        verifying(small, signer, peer)
        for model in large:
            measure_artifact(model)
            hashing(model, small, peer)
        private = place / "model.key"
        private.write_bytes(
            signer.key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        for model in large:
            signing(model, private, peer)


if __name__ == "__main__":
    main()
