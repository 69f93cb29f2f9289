#!/usr/bin/env python3
"""Verify a record of `auditor` offline: a folder as it was written, or a bundle.zip of it.

    python3 verify.py bundle.zip --key signer.pub [--ledger-key ledger.pub] [--artifact model.onnx]

It needs Python 3.9 or newer and the package `cryptography`, and nothing of auditor. Take it, and
the keys, from a source that you trust: whoever forges a bundle can put another verifier into it.
It holds every signature against the key that you give, every file and piece of evidence against
the digests that were signed, the statements against the record, and the record against the ledger.
It cannot judge, compute figures again or read the report: `auditor verify` does. It writes nothing.
Exit code: 0 when every step holds, 1 when one fails, 2 for a command or key that cannot be used.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import struct
import sys
import zlib
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, NoReturn, Tuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

RECORD, BUNDLE, SIGNER = "record.json", "record.sigstore.json", "signer.pub"
PROOF, LEDGER = "proof.tlog-proof", "ledger.pub"
STATEMENTS = {
    "verdict.vsa.json": ("verdict", "https://slsa.dev/verification_summary/v1"),
    "verdict.svr.json": ("properties", "https://in-toto.io/attestation/svr/v0.2"),
    "test-result.json": ("test result", "https://in-toto.io/attestation/test-result/v0.1"),
}
LATER = ("timestamp.tsr", "signer.tlog-proof", "challenges", "approvals")
OPENERS = ("openings", "rows", "disclosure.key", "erasure.tlog-proof")
BESIDE = {**dict.fromkeys(LATER, "put there later"), **dict.fromkeys(OPENERS, "committed rows")}
FOLDERS = ("evidence", "openings", "rows", "challenges", "approvals")
UNSIGNED = {RECORD, BUNDLE, SIGNER, PROOF, LEDGER, *STATEMENTS, *BESIDE}
PREDICATE, STATEMENT = "urn:auditor:record:v1", "https://in-toto.io/Statement/v1"
IN_TOTO = "application/vnd.in-toto+json"
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
MOST_BYTES, PIECE, HEX = 2**30, 2**20, "[0-9a-f]{64}"
PLACES = f"(evidence|openings|rows)/{HEX}|(challenges|approvals)/{HEX}[.](sigstore[.]json|npz|pub)"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}|" + PLACES)
CURVES = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512()}
Object = Dict[str, Any]  # a member of a wrong kind fails the step that looks at it
Files = Dict[str, Callable[[], Iterator[bytes]]]
Key = Tuple[ec.EllipticCurvePublicKey, bytes, str, str]  # with its PEM, its name and its hint
Steps = List["Step"]
LedgerKey = Tuple[ed25519.Ed25519PublicKey, str, str, str]  # with its text, its name and its id


class Refused(Exception):  # noqa: N818 -- named for what happened
    """A reason not to believe something: a stable code, and words."""


class Step(NamedTuple):
    """What was looked at, and what came of it: ok, failed (with a code) or not checked."""

    name: str
    result: str
    code: str
    detail: str


def refuse(code: str, text: str) -> NoReturn:
    """Fail the step that is being taken."""
    raise Refused(code, text)


def sha256(raw: bytes) -> str:
    """Return the hexadecimal digest of ``raw``."""
    return hashlib.sha256(raw).hexdigest()


def files_of_folder(path: Path) -> Files:
    """Return a folder's files; no link is followed, and nothing but regular files is opened."""
    found: Files = {}
    for prefix in ("", *(f"{name}/" for name in FOLDERS)):
        for item in sorted((path / prefix).iterdir()) if (path / prefix).is_dir() else ():
            name = prefix + item.name
            if item.is_symlink():
                refuse("LINK", f"{name!a} is a link")
            if name in FOLDERS and item.is_dir():
                continue
            if not item.is_file() or not NAME.fullmatch(name):
                refuse("PATH", f"{name!a} is no file of a record")
            if item.stat().st_size > MOST_BYTES:
                refuse("TOO_LARGE", f"{name} is larger than any file of a record")
            found[name] = partial(pieces_of_file, item)
    return found


def pieces_of_file(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes; what was exchanged for a link meanwhile is not followed."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        yield from iter(partial(file.read, PIECE), b"")


def files_of_zip(path: Path) -> Files:
    """Return a ZIP's members, if it has auditor's one form: stored, sorted, bare, no other byte."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 22))
        end = file.read()
        if len(end) != 22 or end[:4] != b"PK\5\6":  # noqa: PLR2004 -- bytes of an end record
            refuse("ZIP", "it is no ZIP, or something follows it")
        count, length, start = struct.unpack("<H2L", end[10:20])
        tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, length, start, 0)
        if not 0 < length < MOST_BYTES or start + length + 22 != size or tail != end:
            refuse("ZIP", "its end is not the one that auditor writes")
        file.seek(start)
        raw, at, offset, last = file.read(length), 0, 0, ""
        found: Files = {}
        for _ in range(count):
            crc, _, held, named = struct.unpack("<3LH", raw[at + 16 : at + 30])
            name = raw[at + 46 : at + 46 + named].decode("ascii", "replace")
            if not NAME.fullmatch(name):
                refuse("PATH", f"{name[:100]!a} is no file of a record")
            if name <= last or held > MOST_BYTES:
                refuse("DUPLICATE", f"{name} stands twice, out of order, or is too large")
            local, entry = headers(name, held, crc, offset)
            file.seek(offset)
            if file.read(len(local)) != local or raw[at : at + len(entry)] != entry:
                refuse("ZIP", f"the headers of {name} are not the ones that auditor writes")
            found[name] = partial(pieces_of_zip, path, name, offset + len(local), held, crc)
            at, offset, last = at + len(entry), offset + len(local) + held, name
    return found if (at, offset) == (length, start) else refuse("ZIP", "it holds hidden bytes")


def headers(name: str, size: int, crc: int, offset: int) -> tuple[bytes, bytes]:
    """Return what stands before a member, and its entry: a regular file of 1980."""
    same = (20, 0, 0, 0, 33, crc, size, size, len(name), 0)
    local = struct.pack("<4s5H3L2H", b"PK\3\4", *same) + name.encode()
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 788, *same, 0, 0, 0, 0o100644 << 16, offset)
    return local, entry + name.encode()


def pieces_of_zip(path: Path, name: str, begin: int, size: int, crc: int) -> Iterator[bytes]:
    """Yield a member's bytes."""
    found = 0
    with path.open("rb") as file:
        file.seek(begin)
        while size and (piece := file.read(min(size, PIECE))):
            size, found = size - len(piece), zlib.crc32(piece, found)
            yield piece
    if size or found != crc:
        refuse("ZIP", f"{name} is not whole")


def read(files: Files, name: str) -> bytes:
    """Return all of a file that has to be parsed."""
    return b"".join(files[name]() if name in files else refuse("MISSING", f"no {name} is there"))


def digest_of(files: Files, name: str) -> str:
    """Return the SHA-256 of a file of any size."""
    hasher = hashlib.sha256()
    for piece in files[name]() if name in files else refuse("MISSING", f"no {name} is there"):
        hasher.update(piece)
    return hasher.hexdigest()


def parse(raw: bytes, place: str) -> Object:
    """Read a JSON object that has one meaning for every reader."""

    def unique(pairs: list[tuple[str, Any]]) -> Object:
        if len({key for key, _ in pairs}) != len(pairs):
            refuse("DUPLICATE_KEY", f"{place} has a member twice")
        return dict(pairs)

    constant = partial(refuse, "FORMAT")
    try:
        found = json.loads(raw.decode(), object_pairs_hook=unique, parse_constant=constant)
    except (ValueError, RecursionError):
        refuse("FORMAT", f"{place} is not JSON")
    return found if isinstance(found, dict) else refuse("FORMAT", f"{place} is no object")


def written(value: object) -> bytes:
    """Return the canonical form of texts, whole numbers, lists and objects (RFC 8785)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def unbase64(text: str, place: str) -> bytes:
    """Decode base64 in its one spelling."""
    raw = base64.b64decode(text, validate=True)
    return raw if base64.b64encode(raw).decode() == text else refuse("FORMAT", f"{place}: base64")


def read_key(raw: bytes) -> Key:
    """Read one public key on a curve that auditor signs with."""
    try:
        key = None if b"PRIVATE" in raw else serialization.load_pem_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        refuse("KEY", "the key is not one public key in PEM form, on P-256, P-384 or P-521")
    info, form = serialization.PublicFormat.SubjectPublicKeyInfo, serialization.Encoding
    der, pem = key.public_bytes(form.DER, info), key.public_bytes(form.PEM, info)
    hint = base64.b64encode(hashlib.sha256(der).digest()).decode()
    return key, pem, f"sha256:{sha256(der)}", hint


def unseal(raw: bytes, name: str, kind: str, key: Key) -> Object:
    """Return the statement that the key signed in a Sigstore bundle with one DSSE signature."""
    envelope = parse(raw, name)["dsseEnvelope"]
    (signed,) = envelope["signatures"]
    signatures = [{"keyid": "", "sig": signed["sig"]}]
    sealed = {"payload": envelope["payload"], "payloadType": IN_TOTO, "signatures": signatures}
    material = {"publicKey": {"hint": key[3]}, "tlogEntries": []}
    form = {"dsseEnvelope": sealed, "mediaType": MEDIA_TYPE, "verificationMaterial": material}
    payload, signature = unbase64(envelope["payload"], name), unbase64(signed["sig"], name)
    pae = b"DSSEv1 %d %b %d %b" % (len(IN_TOTO), IN_TOTO.encode(), len(payload), payload)
    try:
        key[0].verify(signature, pae, ec.ECDSA(CURVES[key[0].curve.name]))
    except InvalidSignature:
        refuse("SIGNATURE", f"the signature in {name} does not hold under the key")
    if written(form) != raw:
        refuse("FORMAT", f"{name} is no bundle as auditor writes it")
    statement = parse(payload, f"the statement in {name}")
    if (statement["_type"], statement["predicateType"]) != (STATEMENT, kind):
        refuse("STATEMENT", f"{name} is signed, and is no statement of type {kind}")
    return statement


def about(name: str, digest: str) -> Object:
    """Return how a statement names what it speaks of."""
    return {"name": name, "digest": {"sha256": digest[-64:]}}


def signed_record(files: Files, key: Key) -> tuple[Object, dict[str, str]]:
    """Return the record that the key signed, and the digests of the files signed with it."""
    statement = unseal(read(files, BUNDLE), BUNDLE, PREDICATE, key)
    raw = read(files, RECORD)
    first = [about(RECORD, sha256(raw))]
    if statement["subject"][:1] != first:
        refuse("DIGEST", f"{RECORD} is not what was signed")
    record = parse(raw, RECORD)
    request, artifact = record["request"], record["request"]["artifact"]
    named = [about(artifact["name"], artifact["digest"])] if artifact["digest"] is not None else []
    first += named if not served(record) or statement["subject"][1:2] == named else []
    said = {"verdict": record["verdict"], "policy": request["policy"]["digest"], "id": record["id"]}
    if statement["subject"][: len(first)] != first or statement["predicate"] != said:
        refuse("STATEMENT", f"the statement in {BUNDLE} says other things than the record")
    rest = [(item["name"], item["digest"]["sha256"]) for item in statement["subject"][len(first) :]]
    if len(dict(rest)) != len(rest) or UNSIGNED & dict(rest).keys():
        refuse("STATEMENT", "a file is signed twice, or one that is never signed")
    return {**record, "digest": sha256(raw), "raw": raw.decode()}, dict(rest)


def served(record: Object) -> list[str]:
    """Return the targets where a server or a function answered, and no file was run."""
    specs, runs = record["request"]["target_specs"], {"endpoint", "cascade", "callable"}
    return [item["name"] for item in specs if runs & {item["runtime"], *item}]


def check_files(files: Files, signed: dict[str, str], key: Key) -> str:
    """Hold every file but the evidence against what was signed."""
    for name, digest in sorted(signed.items()):
        if digest_of(files, name) != digest:
            refuse("DIGEST", f"{name} is not the file that was signed")
    strange = {name for name in files if "/" not in name} - signed.keys() - UNSIGNED
    if strange:
        refuse("EXTRA", f"{min(strange)} is not signed")
    if read(files, SIGNER) != key[1]:
        refuse("KEY", f"{SIGNER} is not the key given")
    return f"{len(signed)} files are the ones that were signed"


def check_evidence(files: Files, record: Object) -> str:
    """Hold all evidence, the policy and what owners declare against the digests in the record."""
    request = record["request"]
    named = [digest for item in record["observations"] for digest in item["evidence"].values()]
    named += [item[part] for item in request.get("waivers", ()) for part in ("digest", "key")]
    named += [request["policy"]["digest"], *map(request.get, ("system", "risks", "baseline"))]
    named = {item.split(":")[1] for item in named if item}
    held = {name.split("/")[1] for name in files if name.startswith("evidence/")}
    if held - named:
        refuse("EXTRA", f"the record does not name evidence/{min(held - named)}")
    wrong = [item for item in sorted(named) if digest_of(files, f"evidence/{item}") != item]
    if wrong:
        refuse("DIGEST", f"evidence/{wrong[0]} does not have the digest that is its name")
    return f"{len(named)} pieces of evidence have the digests that the record names"


def check_record(record: Object) -> str:
    """Fold the findings of the denying rules again."""
    found = {item["outcome"] for item in record["findings"] if item["effect"] == "deny"}
    seen = found - {"not_applicable"}
    kept = bool(seen) and seen <= {"passed", "withstood", "waived"}
    verdict = "fail" if "failed" in seen else "pass" if kept else "inconclusive"
    if (record["schema"], record["verdict"]) != ("auditor/record/v1", verdict):
        refuse("VERDICT", f"it is no record that says {verdict}, as its findings do")
    return f"the verdict {verdict} follows from the findings"


def check_statement(files: Files, name: str, record: Object, key: Key) -> str:
    """Hold a statement, and its signature, against what the record has it say."""
    said = unseal(read(files, name), name, STATEMENTS[name][1], key)
    artifact = record["request"]["artifact"]
    held = sorted((item["name"], item["sha256"]) for item in artifact["files"])
    root = sha256(b"".join(bytes.fromhex(digest) for _, digest in held))
    subjects = [about(*item) for item in held]
    subjects.append(about(f"{artifact['name']}@{artifact['version']}", root))
    if artifact["digest"] is None or (served(record) and said["subject"][0]["name"] == RECORD):
        subjects = [about(RECORD, record["digest"])]
    rest = [item["name"] for item in said["subject"][len(subjects) :]]
    if said["subject"][: len(subjects)] != subjects or rest not in ([], ["model.sig#payload"]):
        refuse("STATEMENT", f"{name} speaks of other things than the record does")
    passes, mine = record["verdict"] == "pass", said["predicate"]
    green = {
        "verdict": {mine.get("verificationResult") == "PASSED"},
        "properties": {"AUDITOR_VERDICT_PASS" in mine.get("properties", ())},
        "test result": {mine.get("result") in ("PASSED", "WARNED"), mine.get("failedTests") == []},
    }
    word = mine["urn:auditor:ext:verdict"]
    if green[STATEMENTS[name][0]] != {passes} or word != record["verdict"]:
        refuse("VERDICT", f"{name} does not say what the record does")
    named = {record["digest"], record["request"]["policy"]["digest"][-64:]}
    if not all(f'{{"sha256":"{digest}"}}'.encode() in written(mine) for digest in named):
        refuse("STATEMENT", f"{name} is of another record or policy")
    return f"{name} is signed, and agrees with the record: {record['verdict']}"


def read_ledger_key(raw: bytes) -> LedgerKey:
    """Read NAME+HASH+KEY (C2SP signed-note): an Ed25519 key with the name of its ledger."""
    text = raw.decode().strip()
    name, key_id, rest = text.split("+", 2)
    key = unbase64(rest, "the ledger key")
    if key[:1] != b"\1" or sha256(name.encode() + b"\n" + key)[:8] != key_id:
        refuse("KEY", "the ledger key is not NAME+HASH+KEY of an Ed25519 key")
    return ed25519.Ed25519PublicKey.from_public_bytes(key[1:]), text, name, key_id


def check_ledger(files: Files, record: Object, ledger: LedgerKey) -> str:
    """Follow the proof from the record to a checkpoint that the ledger's key signed."""
    key, vkey, name, key_id = ledger
    if LEDGER in files and read(files, LEDGER).decode() != f"{vkey}\n":
        refuse("KEY", f"{LEDGER} is not the ledger key given")
    head, _, note = read(files, PROOF).decode().partition("\n\n")
    first, extra, index, *proof = head.split("\n")
    if first != "c2sp.org/tlog-proof@v1" or index != f"index {int(index[6:])}":
        refuse("LEDGER", f"{PROOF} is no proof of a ledger")
    opening = parse(unbase64(extra[6:], PROOF), PROOF)
    if extra != f"extra {base64.b64encode(opening_of(files, record, opening)).decode()}":
        refuse("LEDGER", f"{PROOF} is of another record or signature")
    text, _, lines = note.rpartition("\n\n")
    if not re.fullmatch(r"(\u2014 [^\s+]+ [A-Za-z0-9+/]+=*\n)+", lines):
        refuse("LEDGER", f"{PROOF} has a line that is no signature")
    origin, size, root = text.split("\n")
    mine = [line for line in lines.split("\n") if line.startswith(f"\u2014 {name} ")]
    held = [unbase64(line.split(" ")[2], PROOF) for line in mine]
    held = [raw[4:] for raw in held if raw[:4].hex() == key_id]
    try:
        for signature in held:
            key.verify(signature, text.encode() + b"\n")
    except InvalidSignature:
        held = []
    if not held or origin != name:
        refuse("LEDGER", f"no signature of {name} on the checkpoint holds")
    leaf = hashlib.sha256(b"\0" + opening["leaf"].encode()).digest()
    path = [unbase64(item, PROOF) for item in proof]
    if root_of(leaf, int(index[6:]), int(size), path) != unbase64(root, PROOF):
        refuse("LEDGER", "the proof does not lead from the record to the checkpoint")
    return f"the record is leaf {index[6:]} of {size} in the ledger {name}"


def opening_of(files: Files, record: Object, opening: Object) -> bytes:
    """Return what has to open the leaf of this record and signature: digests, leaf, and salt."""
    request, salt, bundle = record["request"], opening["salt"], digest_of(files, BUNDLE)
    roles = [item["role"] for item in request["datasets"]]
    told = {"record": f"sha256:{record['digest']}", "request": request_digest(record)}
    told |= {"policy": request["policy"]["digest"], "artifact": request["artifact"]["digest"]}
    told["derived_from"] = record["derived_from"]
    told["trust_policy"] = (request.get("trust") or {}).get("digest")
    for place, role in enumerate(roles):
        many = f".{roles[:place].count(role)}" if roles.count(role) > 1 else ""
        told[f"data.{role}{many}"] = request["datasets"][place]["digest"]
    told["lineage"] = opening["subjects"].get("lineage")  # of the store's edges, for its own audit
    told = {role: item for role, item in told.items() if item is not None}

    def salted(role: str, digest: str) -> str:
        return sha256(bytes.fromhex(salt) + f"{role} {digest}".encode())

    leaf = {"after": parse(opening["leaf"].encode(), PROOF)["after"], "time": record["finished"]}
    leaf |= {"digest": salted("digest", f"sha256:{bundle}"), "id": record["id"], "type": "record"}
    leaf |= {"subjects": {role: salted(role, item) for role, item in told.items()}, "v": 1}
    rest = {"digest": f"sha256:{bundle}", "salt": salt, "subjects": told}
    return written({"leaf": written(leaf).decode(), **rest})


def request_digest(record: Object) -> str:
    """Return the digest of the request's own bytes: those of a canonical document are canonical."""
    for mark in re.finditer('"request":', record["raw"]):
        found, end = json.JSONDecoder().raw_decode(record["raw"], mark.end())
        if found == record["request"]:
            return f"sha256:{sha256(record['raw'][mark.end() : end].encode())}"
    refuse("FORMAT", f"{RECORD} has no request")


def root_of(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Return the root to which a proof of inclusion leads (RFC 9162, 2.1.3.2), or nothing."""
    at, last, found = index, size - 1, leaf
    for item in path:
        if not last:
            return b""
        right = at & 1 or at == last
        found = hashlib.sha256(b"\1" + (item + found if right else found + item)).digest()
        while right and not at & 1 and at:
            at, last = at >> 1, last >> 1
        at, last = at >> 1, last >> 1
    return b"" if last or not 0 <= index < size else found


def check_artifact(record: Object, path: Path) -> str:
    """Look for a file among those of the model that was audited."""
    digest = sha256(path.read_bytes())
    if digest not in {item["sha256"] for item in record["request"]["artifact"]["files"]}:
        refuse("ARTIFACT", f"{path.name!a} is no file of the model that was audited")
    if served(record):
        refuse("ENDPOINT", f"a server answered on {served(record)[0]!a}: ask `auditor gate`")
    return f"{path.name!a} is a file of the model that was audited"


def tried(steps: Steps, name: str, look: Callable[..., Any], *given: Any) -> Any:  # noqa: ANN401
    """Take one step, and return what it found; whatever is malformed fails it."""
    found = None
    try:
        found = look(*given)
        step = Step(name, "ok", "", found if isinstance(found, str) else "")
    except Refused as refused:
        step = Step(name, "failed", *refused.args)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the step fails
        step = Step(name, "failed", "FORMAT", f"it is malformed ({type(error).__name__})")
    steps.append(step)
    return found


def verify(place: Path, key: Key | None, ledger: LedgerKey | None, artifacts: list[Path]) -> Steps:
    """Look at everything that can be looked at without auditor, step by step."""
    steps: Steps = []
    files = tried(steps, "paths", files_of_folder if place.is_dir() else files_of_zip, place)
    if not files:
        return steps
    text = f"only {SIGNER} in it says who signed: give the owner's key, from elsewhere, by --key"
    steps.append(Step("key", *(("ok", "", key[2]) if key else ("failed", "NOT_TRUSTED", text))))
    held = key or tried(steps, SIGNER, lambda: read_key(read(files, SIGNER)))
    found = held and tried(steps, "signature", signed_record, files, held)
    if not found:
        return steps
    record, signed = found
    tried(steps, "files", check_files, files, signed, held)
    tried(steps, "evidence", check_evidence, files, record)
    tried(steps, "record", check_record, record)
    for name, (step, _) in STATEMENTS.items():
        tried(steps, step, check_statement, files, name, record, held)
    if ledger is not None:
        tried(steps, "ledger", check_ledger, files, record, ledger)
    for path in artifacts:
        tried(steps, "artifact", check_artifact, record, path)
    left = {"figures": "computing them again from the evidence takes `auditor verify`"}
    left |= {} if ledger else {"ledger": "no --ledger-key was given"}
    there = {name.split("/")[0] for name in files}
    left |= {name: f"{BESIDE[name]}: `auditor verify`" for name in BESIDE if name in there}
    left["report.html"] = f"NOT compared with the record, whose verdict is {record['verdict']}"
    return steps + [Step(name, "not checked", "", text) for name, text in left.items()]


def main(arguments: list[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    words = argparse.ArgumentParser(description="Verify a record of auditor offline.")
    words.add_argument("place", type=Path, help="a record's folder, or a bundle.zip")
    words.add_argument("--key", type=Path, help="the signer's public key, from its owner")
    words.add_argument("--ledger-key", type=Path, help="the ledger's public key: it must hold it")
    words.add_argument("--artifact", type=Path, action="append", default=[], help="a model's file")
    words.add_argument("--json", action="store_true", help="say it for machines")
    asked = words.parse_args(arguments)
    try:
        place, given = asked.place.resolve(), (asked.key, asked.ledger_key)
        inside = [path is not None and place in path.resolve().parents for path in given]
        if inside[1]:
            refuse("NOT_TRUSTED", f"{LEDGER} in it proves nothing: get the key from its owner")
        key = read_key(asked.key.read_bytes()) if asked.key and not inside[0] else None
        ledger = read_ledger_key(asked.ledger_key.read_bytes()) if asked.ledger_key else None
        if not (asked.place.is_dir() or asked.place.is_file()):
            refuse("PATH", f"{asked.place} is no folder and no file")
    except (Refused, OSError, ValueError) as error:
        print(f"error: {error.args[-1] if isinstance(error, Refused) else error}", file=sys.stderr)
        return 2
    steps = verify(asked.place, key, ledger, asked.artifact)
    holds = all(step.result != "failed" for step in steps)
    if asked.json:
        print(json.dumps({"holds": holds, "steps": [step._asdict() for step in steps]}, indent=1))
    else:
        for step in steps:
            print(f"{step.result:12}{step.name:14}{step.code}{': ' * bool(step.code)}{step.detail}")
        print(f"It holds; report.html was {steps[-1].detail}" if holds else "It does not verify.")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
