"""Broken records, keys and signatures."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hostile import Break, Case, cut, missing, swapped, written

from auditor.domain.json import encode_canonical

OUT = "out"
RECORD = f"{OUT}/record.json"
BUNDLE = f"{OUT}/record.sigstore.json"
KEY = f"{OUT}/signer.pub"
VERIFY = ("verify", OUT, "--key", KEY)
JUDGE = ("judge", OUT, "--policy", "policy.yaml")
REPRODUCE = ("reproduce", OUT)
GATE = (
    *("gate", "--artifact", "model.onnx", "--policy", "policy.yaml"),
    *("--record", OUT, "--key", KEY),
)
SIGNED = ("verify", "model.onnx", "--signature", "model.sig", "--key", "../home/model.pub")


def changed(edit: Callable[[Any], object]) -> Break:
    """Change the record and write it back in canonical form."""

    def change(folder: Path) -> None:
        record = json.loads((folder / RECORD).read_bytes())
        edit(record)
        (folder / RECORD).write_bytes(encode_canonical(record))

    return change


def replaced(old: bytes, new: bytes) -> Break:
    """Change bytes of the record as they stand."""

    def change(folder: Path) -> None:
        raw = (folder / RECORD).read_bytes()
        assert old in raw
        (folder / RECORD).write_bytes(raw.replace(old, new))

    return change


def reaching_out(folder: Path) -> None:
    """Let the record name a device as evidence, which would never end."""
    digest = "sha256:" + "../" * 30 + "dev/zero"

    def edit(record: Any) -> None:  # noqa: ANN401 -- any JSON
        for seen in record["observations"]:
            seen["evidence"] = dict.fromkeys(seen["evidence"], digest)

    changed(edit)(folder)


def without_evidence(folder: Path) -> None:
    for blob in (folder / OUT / "evidence").iterdir():
        blob.unlink()


PROMISE = b"\x93NUMPY\x01\x00\x46\x00" + (
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (1125899906842624,), }"[:69].ljust(69)
    + b"\n"
)


def forged(raw: bytes) -> Break:
    """Put other bytes, under their own digest, in the place of everything that was seen."""
    digest = "sha256:" + hashlib.sha256(raw).hexdigest()

    def edit(record: Any) -> None:  # noqa: ANN401 -- any JSON
        for seen in record["observations"]:
            seen["evidence"] = dict.fromkeys(seen["evidence"], digest)

    def forge(folder: Path) -> None:
        changed(edit)(folder)
        (folder / OUT / "evidence" / digest.removeprefix("sha256:")).write_bytes(raw)

    return forge


def piped_evidence(folder: Path) -> None:
    blob = min((folder / OUT / "evidence").iterdir())
    blob.unlink()
    os.mkfifo(blob)


def public(key: Any) -> Break:  # noqa: ANN401 -- any private key of the library
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return written(KEY, pem)


def private(key: ec.EllipticCurvePrivateKey) -> Break:
    return written(KEY, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def four(
    says: tuple[str, ...], breaks: Break, *, codes: tuple[int, int, int, int]
) -> dict[tuple[str, ...], Case]:
    """One broken record, met by every command that reads records."""
    asked = (VERIFY, JUDGE, REPRODUCE, GATE)
    return {
        command: Case(says, breaks, code, command=command)
        for command, code in zip(asked, codes, strict=True)
    }


GONE, REFUSED, CAUGHT = (2, 2, 2, 2), (1, 2, 2, 1), (1, 1, 1, 1)
BROKEN = {
    "that is not there": four(
        ("record.json", "No such file", "auditor audit --out"), missing(RECORD), codes=GONE
    ),
    "of 0 bytes": four(("record.json", "not JSON"), written(RECORD, b""), codes=REFUSED),
    "cut in half": four(("record.json", "not JSON"), cut(RECORD, 0.5), codes=REFUSED),
    "of random bytes": four(
        ("record.json", "not JSON"), written(RECORD, b"\x80\xff\0"), codes=REFUSED
    ),
    "that is a list": four(("record.json", "not an object"), written(RECORD, "[]"), codes=REFUSED),
    "nested without end": four(
        ("record.json", "not JSON"), written(RECORD, "[" * 100_000), codes=REFUSED
    ),
    "with a key twice": four(
        ("record.json", "'schema'", "twice"),
        written(RECORD, '{"schema":"a","schema":"b"}'),
        codes=REFUSED,
    ),
    "of another schema": four(
        ("record.json", "auditor/record/v9", "auditor/record/v1"),
        changed(lambda record: record.update(schema="auditor/record/v9")),
        codes=REFUSED,
    ),
    "without its request": four(
        ("record.json.request", "object"),
        changed(lambda record: record.pop("request")),
        codes=REFUSED,
    ),
    "with text for a number": four(
        ("record.json.request.seed", "int"),
        changed(lambda record: record["request"].update(seed="7")),
        codes=REFUSED,
    ),
    "with text among the readings of a finding": four(
        ("record.json.findings[0].readings", "whole number"),
        changed(lambda record: record["findings"][0].update(readings=["first"])),
        codes=REFUSED,
    ),
    "with a huge number": four(
        ("record.json", "exceeds"),
        replaced(b'"seed":3', b'"seed":1' + bytes([48]) * 30),
        codes=REFUSED,
    ),
    "with half a character": four(
        ("record.json", "UTF-8"),
        replaced(b'"name":"line"', b'"name":"\\ud800"'),
        codes=REFUSED,
    ),
    "whose verdict was edited": four(
        ("record.json", "not consistent"),
        changed(lambda record: record.update(verdict="fail")),
        codes=REFUSED,
    ),
    "that points at a reading that is not there": four(
        ("record.json.findings[0].readings", "among the 5 readings"),
        changed(lambda record: record["findings"][0].update(readings=[99])),
        codes=REFUSED,
    ),
}
RECORDS = {
    f"{name}: {command[0]}": case
    for name, cases in BROKEN.items()
    for command, case in cases.items()
} | {
    "whose signature is not there": Case(
        ("record.sigstore.json", "No such file", "auditor audit"), missing(BUNDLE), command=VERIFY
    ),
    "whose signature is garbage": Case(
        ("record.sigstore.json",), written(BUNDLE, b"\x00garbage"), 1, command=VERIFY
    ),
    "whose signature is garbage, at a gate": Case(
        ("record.sigstore.json",), written(BUNDLE, b"{}"), 1, command=GATE
    ),
    "without evidence": Case(("evidence/", "No such file"), without_evidence, 1, command=VERIFY),
    "without evidence to judge": Case(
        ("does not verify", "evidence/", "No such file", "unchanged"),
        without_evidence,
        command=JUDGE,
    ),
    "that reaches out of its folder": Case(
        ("evidence", "../dev/zero", "which is not a digest"), reaching_out, 1, command=VERIFY
    ),
    "with a pipe for evidence": Case(
        ("evidence/", "not a regular file"), piped_evidence, 1, command=VERIFY
    ),
    "with a pipe for a report": Case(
        ("report.html", "not a regular file", "all its files"),
        swapped(f"{OUT}/report.html", os.mkfifo),
        command=VERIFY,
    ),
    "that is a pipe": Case(
        ("record.json", "not a regular file", "all its files"),
        swapped(RECORD, os.mkfifo),
        command=VERIFY,
    ),
    **{
        f"whose evidence is {name}: {command[0]}": Case(words, forged(raw), code, command=command)
        for name, raw, said in (
            ("another's", b"[]", ("quality.accuracy on cpu", "not what that check sees")),
            ("no JSON", b"{", ("neither an array nor JSON",)),
            ("a cut array", b"\x93NUMPY", ("neither an array nor JSON",)),
            ("nested without end", b"[" * 100_000, ("neither an array nor JSON",)),
            ("an array that promises too much", PROMISE, ("neither an array nor JSON",)),
        )
        for command, code in ((VERIFY, 1), (JUDGE, 2))
        for words in (
            [("evidence", *said)] if command is VERIFY else [("does not verify", "unchanged")]
        )
    },
    "without its report": Case(
        ("report.html", "No such file", "all its files"),
        missing(f"{OUT}/report.html"),
        command=VERIFY,
    ),
    "that is a file": Case(
        ("neither a record folder nor a bundle.zip", "auditor audit"),
        lambda _: None,
        command=("verify", "model.onnx", "--key", KEY),
    ),
    "that nobody wrote": Case(
        ("nowhere", "cannot be read", "the output folder of `auditor audit`, its bundle.zip"),
        lambda _: None,
        command=("verify", "./nowhere", "--key", KEY),
    ),
    "judged by a policy that is not there": Case(
        ("none.yaml", "Write the path"),
        lambda _: None,
        command=("judge", OUT, "--policy", "./none.yaml"),
    ),
    "asked for with an age of no unit": Case(
        ("'30'", "30d"), lambda _: None, command=(*GATE, "--max-age", "30")
    ),
    "asked for with a probe that is not there": Case(
        ("none.json", "cannot be read", "Name"),
        lambda _: None,
        command=(*GATE, "--fingerprint", "./none.json"),
    ),
    "asked for with an artifact that is not there": Case(
        ("none.onnx", "cannot be read", "Name"),
        lambda _: None,
        command=(GATE[0], "--artifact", "./none.onnx", *GATE[3:]),
    ),
}
P384 = ec.generate_private_key(ec.SECP384R1())
KEYS = {
    "that is not there": Case(
        ("signer.pub", "cannot be read", "auditor keys new"), missing(KEY), command=VERIFY
    ),
    "of 0 bytes": Case(("signer.pub", "Name a public key"), written(KEY, b""), command=VERIFY),
    "of garbage": Case(
        ("signer.pub", "Name a public key"), written(KEY, b"\x00\xff" * 50), command=VERIFY
    ),
    "of a megabyte": Case(("signer.pub", "too large"), written(KEY, bytes(2**20)), command=VERIFY),
    "that is a folder": Case(
        ("signer.pub", "auditor keys new"), swapped(KEY, Path.mkdir), command=VERIFY
    ),
    "that is private": Case(
        ("signer.pub", "private", "Name a public key"), private(P384), command=VERIFY
    ),
    "of RSA": Case(
        ("signer.pub", "curve", "Name a public key"),
        public(rsa.generate_private_key(65537, 2048)),
        command=VERIFY,
    ),
    "of Ed25519": Case(
        ("signer.pub", "curve", "Name a public key"),
        public(ed25519.Ed25519PrivateKey.generate()),
        command=VERIFY,
    ),
    "of somebody else": Case(("failed signature",), public(P384), 1, command=VERIFY),
    "of somebody else, at a gate": Case(("failed signature",), public(P384), 1, command=GATE),
    "of RSA, at a gate": Case(
        ("signer.pub", "curve", "Name a public key"),
        public(rsa.generate_private_key(65537, 2048)),
        command=GATE,
    ),
    "for judging that is garbage": Case(
        ("signer.pub", "Name a public key"),
        written(KEY, b"no"),
        command=(*JUDGE, "--key", KEY),
    ),
    "to sign with that is garbage": Case(
        ("model.key", "not a private key", "auditor keys new"),
        lambda folder: (folder.parent / "home" / "model.key").write_bytes(b"no"),
        command=("sign", "model.onnx", "--out", "./fresh.sig"),
    ),
    "to sign with that is public": Case(
        ("signer.key", "public key", "Name the private key"),
        lambda folder: (folder.parent / "home" / "signer.key").write_bytes(
            (folder / KEY).read_bytes()
        ),
        command=("audit", "audit.yaml", "--out", "./fresh"),
    ),
}
SIGNATURES = {
    "that is not there": Case(
        ("model.sig", "No such file", "auditor sign"), missing("model.sig"), command=SIGNED
    ),
    "of 0 bytes": Case(("failed bundle",), written("model.sig", b""), 1, command=SIGNED),
    "of garbage": Case(("failed bundle",), written("model.sig", b"\x00\xff"), 1, command=SIGNED),
    "cut in half": Case(("failed bundle",), cut("model.sig", 0.5), 1, command=SIGNED),
    "nested without end": Case(
        ("failed bundle",), written("model.sig", "[" * 100_000), 1, command=SIGNED
    ),
    "that is the record's": Case(
        ("failed",),
        lambda folder: (folder / "model.sig").write_bytes((folder / BUNDLE).read_bytes()),
        1,
        command=SIGNED,
    ),
    "of a model that is not there": Case(
        ("model.onnx", "No such file", "the model file"), missing("model.onnx"), command=SIGNED
    ),
    "of a model that was emptied": Case(
        ("model.onnx", "empty"), written("model.onnx", b""), command=SIGNED
    ),
}
