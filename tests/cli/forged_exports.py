"""Bundles that somebody tampered with, by what was done: files, their archive, or their folder."""

import base64
import io
import json
import os
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auditor.domain.json import encode_canonical
from auditor.reports.attestations import NAMES
from auditor.reports.folder import BUNDLE, LEDGER, PROOF, RECORD, RESULTS, SIGNER, SVR, VERDICT
from auditor.reports.formats.bundle_zip import pack_bundle
from auditor.trust.ledger.notes import MemoryNoteSigner, sign_note
from auditor.trust.ledger.receipts import LedgerReceipt
from auditor.trust.signatures.keys import KeySigner
from auditor.trust.signatures.sigstore_bundle import sign_bundle

Files = dict[str, bytes]
STRANGER = KeySigner(ec.derive_private_key(4711, ec.SECP256R1()))
"""Somebody whom nobody trusts."""


@dataclass(frozen=True)
class Exports:
    """Three records of one signer: passing, passing too, and failing; files by name."""

    good: Files
    twin: Files
    failing: Files

    @property
    def evidence(self) -> list[str]:
        return sorted(name for name in self.good if "/" in name)

    @property
    def tops(self) -> list[str]:
        return sorted(name for name in self.good if "/" not in name)


def payload_of(raw: bytes) -> bytes:
    return base64.b64decode(json.loads(raw)["dsseEnvelope"]["payload"])


def edited(raw: bytes, edit: Callable[[Any], object]) -> bytes:
    """JSON with something in it changed, in canonical form."""
    found = json.loads(raw)
    edit(found)
    return encode_canonical(found)


def flipped(raw: bytes) -> bytes:
    at = len(raw) // 2
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def each_file(of: Exports) -> Iterator[tuple[str, Files]]:
    """Every file changed, cut, emptied, dropped, and exchanged for another record's."""
    for name in [*of.tops, *of.evidence[:2], of.evidence[-1]]:
        kind = "a piece of evidence" if "/" in name else name
        place = f"{kind} {of.evidence.index(name)}" if "/" in name else kind
        raw = of.good[name]
        yield f"{place} changed", {**of.good, name: flipped(raw)}
        yield f"{place} cut", {**of.good, name: raw[: len(raw) // 2]}
        yield f"{place} longer", {**of.good, name: raw + b"\n"}
        yield f"{place} empty", {**of.good, name: b""}
        if name != LEDGER:  # whoever gives the ledger's key needs none in the folder
            yield f"{place} gone", {key: item for key, item in of.good.items() if key != name}
        for whose, other in (("its twin", of.twin), ("a failing record", of.failing)):
            if other.get(name, raw) != raw:
                yield f"{place} of {whose}", {**of.good, name: other[name]}


def each_statement(of: Exports) -> Iterator[tuple[str, Files]]:
    for name in (BUNDLE, *NAMES):
        raw, payload = of.good[name], payload_of(of.good[name])
        yield f"{name} by a stranger", {**of.good, name: sign_bundle(payload, STRANGER)}
        for other in (BUNDLE, *NAMES):
            if other != name:
                yield f"{name} that is {other}", {**of.good, name: of.good[other]}
        yield f"{name} signed twice", {**of.good, name: edited(raw, _twice)}
        yield f"{name} unsigned", {**of.good, name: edited(raw, _unsigned)}
        yield f"{name} of another type", {**of.good, name: edited(raw, _another_type)}
        yield f"{name} with a member twice", {
            **of.good, name: raw.replace(b'{"dsse', b'{"mediaType":"x","dsse', 1)
        }  # fmt: skip
        yield f"{name} nested without end", {**of.good, name: b"[" * 100_000}
        yield f"{name} that is a list", {**of.good, name: b"[]"}
    for name in NAMES:
        yield f"{name} of the passing record in the failing one", {
            **of.failing, name: of.good[name]
        }  # fmt: skip


def _twice(bundle: Any) -> None:  # noqa: ANN401 -- JSON
    bundle["dsseEnvelope"]["signatures"] *= 2


def _unsigned(bundle: Any) -> None:  # noqa: ANN401 -- JSON
    bundle["dsseEnvelope"]["signatures"] = []


def _another_type(bundle: Any) -> None:  # noqa: ANN401 -- JSON
    bundle["dsseEnvelope"]["payloadType"] = "text/plain"


def each_record(of: Exports) -> Iterator[tuple[str, Files]]:
    def record(name: str, edit: Callable[[Any], object]) -> tuple[str, Files]:
        return f"a record {name}", {**of.good, RECORD: edited(of.good[RECORD], edit)}

    yield record("with another verdict", lambda found: found.update(verdict="fail"))
    yield record("without findings", lambda found: found.update(findings=[]))
    yield record("of another model", lambda found: found["request"]["artifact"].update(name="x"))
    yield record("that is not an object of its schema", lambda found: found.clear())
    raw = of.good[RECORD]
    yield "a record with a member twice", {**of.good, RECORD: b'{"id":"x",' + raw[1:]}
    yield "a record with NaN", {**of.good, RECORD: raw.replace(b'"seed":3', b'"seed":NaN', 1)}
    forged = {
        **of.failing,
        RECORD: edited(of.failing[RECORD], lambda found: found.update(verdict="pass")),
    }
    yield "a failing record made passing", forged
    yield "everything signed by a stranger", by(STRANGER, of.good)
    yield "everything signed by a stranger, with the owner's key in it", {
        **by(STRANGER, of.good), SIGNER: of.good[SIGNER]
    }  # fmt: skip
    yield "a stranger's key in it", {**of.good, SIGNER: STRANGER.public_pem()}
    yield "a file more", {**of.good, "readme.txt": b"trust me"}
    yield "a file that some systems take for the record", {**of.good, "RECORD.JSON": b"{}"}
    yield "a script more", {**of.good, "sitecustomize.py": b"print('all of it holds')"}
    yield "evidence more", {**of.good, f"evidence/{'0' * 64}": b"[]"}
    first, last = of.evidence[0], of.evidence[-1]
    exchanged = {**of.good, first: of.good[last], last: of.good[first]}
    yield "two pieces of evidence exchanged", exchanged


def by(signer: KeySigner, files: Files) -> Files:
    """The same record, signed by somebody else throughout."""
    again = {name: sign_bundle(payload_of(files[name]), signer) for name in (BUNDLE, *NAMES)}
    return {**files, **again, SIGNER: signer.public_pem()}


def each_proof(of: Exports) -> Iterator[tuple[str, Files]]:
    """Proofs that lead elsewhere, or from elsewhere; the ledger's key is the right one."""
    good = LedgerReceipt.parse(of.good[PROOF])
    name = of.good[LEDGER].decode().split("+")[0]
    liar = MemoryNoteSigner(name, Ed25519PrivateKey.from_private_bytes(b"7" * 32))
    text = good.note.decode().rpartition("\n\n")[0] + "\n"
    origin, size, *rest = text.split("\n")

    def proof(**changed: Any) -> Files:  # noqa: ANN401 -- any field
        fields = {"index": good.index, "proof": good.proof, "note": good.note, "extra": good.extra}
        return {**of.good, PROOF: LedgerReceipt(**{**fields, **changed}).emit()}

    yield "a proof at another leaf", proof(index=good.index + 1)
    yield "a proof beyond the tree", proof(index=2**40)
    yield "a proof without hashes", proof(proof=())
    yield "a proof with a hash more", proof(proof=(*good.proof, bytes(32)))
    yield "a checkpoint of a stranger", proof(note=sign_note(text, [liar]))
    grown = "\n".join([origin, str(int(size) + 1), *rest])
    yield (
        "a checkpoint that was changed",
        proof(note=good.note.replace(text.encode(), grown.encode())),
    )
    yield "a checkpoint without signatures", proof(note=text.encode() + b"\n")
    yield "a proof with another salt", proof(extra=edited(good.extra, _salted))
    yield "a proof that opens another leaf", proof(extra=LedgerReceipt.parse(of.twin[PROOF]).extra)
    yield "a proof that opens nothing", proof(extra=b"{}")
    for what, old, new in (
        ("an index with a zero more", b"\nindex ", b"\nindex 0"),
        ("a checkpoint of no size", b"\n" + size.encode() + b"\n", b"\nmany\n"),
        ("another first line", b"tlog-proof@v1", b"tlog-proof@v2"),
    ):
        yield f"a proof with {what}", {**of.good, PROOF: of.good[PROOF].replace(old, new, 1)}
    yield "a proof with a line more", {**of.good, PROOF: of.good[PROOF] + b"and so on\n"}
    yield "another ledger's key in it", {**of.good, LEDGER: f"{liar.key}\n".encode()}


def _salted(opening: Any) -> None:  # noqa: ANN401 -- JSON
    opening["salt"] = "00" * 32


def forged_files(of: Exports) -> dict[str, Files]:
    """Everything that can be done to files; packed in the right form, and in a folder."""
    found: dict[str, Files] = {}
    for made in (each_file, each_statement, each_record, each_proof):
        for name, files in made(of):
            assert name not in found, name
            assert files not in (of.good, of.twin, of.failing), name
            found[name] = files
    return found


def told_lies(of: Exports, signer: KeySigner) -> dict[str, Files]:
    """What the owner of the key may sign and nobody should believe: one lie each.

    The ledger knows nothing of these signatures.
    """
    bad, found = of.failing, dict[str, Files]()

    def told(name: str, edit: Callable[[Any], object], files: Files = bad) -> Files:
        return {**files, name: sign_bundle(edited(payload_of(files[name]), edit), signer)}

    for what, name, edit in (
        ("a verdict that passes", VERDICT, _passed),
        ("a property that passes", SVR, _passed),
        ("a result that passes", RESULTS, _passed),
        ("no failed test", RESULTS, lambda said: said["predicate"].update(failedTests=[])),
        ("another word for the verdict", SVR, _another_word),
        ("no inputs", VERDICT, lambda said: said["predicate"].update(inputAttestations=[])),
        ("another policy", VERDICT, lambda said: said["predicate"].pop("policy")),
        ("no subjects", RESULTS, lambda said: said.update(subject=[])),
        ("another subject", VERDICT, lambda said: said["subject"][0].update(name="x")),
        ("a subject more", SVR, lambda said: said["subject"].append(said["subject"][0])),
        ("another type", RESULTS, lambda said: said.update(predicateType="urn:x")),
        ("another kind of statement", VERDICT, lambda said: said.update(_type="urn:x")),
        ("another id", BUNDLE, lambda said: said["predicate"].update(id="aud-x")),
        ("another model", BUNDLE, lambda said: said["subject"][1].update(name="x")),
        ("a file twice", BUNDLE, lambda said: said["subject"].append(said["subject"][-1])),
        ("a file that is never signed", BUNDLE, _signs_its_key),
        ("a file that is not there", BUNDLE, _signs_what_is_not_there),
    ):
        found[f"{name} with {what}"] = told(name, edit)
    for name in (BUNDLE, *NAMES):
        twice = b'{"_type":"x",' + payload_of(bad[name])[1:]
        found[f"{name} with a member twice in what is signed"] = {
            **bad,
            name: sign_bundle(twice, signer),
        }
    found["a verdict that does not follow from the findings"] = _relabelled(bad, signer)
    return found


def _passed(statement: Any) -> None:  # noqa: ANN401 -- JSON
    """Let any of the three statements say that all is well."""
    said = statement["predicate"]
    passing = {"verificationResult": "PASSED", "verifiedLevels": ["AUDITOR_ASSURANCE_A0"],
               "result": "PASSED", "failedTests": [],
               "properties": ["AUDITOR_VERDICT_PASS", "AUDITOR_ASSURANCE_A0"]}  # fmt: skip
    said.update({key: item for key, item in passing.items() if key in said})
    said["urn:auditor:ext:verdict"] = "pass"


def _another_word(statement: Any) -> None:  # noqa: ANN401 -- JSON
    statement["predicate"]["urn:auditor:ext:verdict"] = "inconclusive"


def _signs_its_key(statement: Any) -> None:  # noqa: ANN401 -- JSON
    statement["subject"].append({"name": SIGNER, "digest": {"sha256": "0" * 64}})


def _signs_what_is_not_there(statement: Any) -> None:  # noqa: ANN401 -- JSON
    statement["subject"].append({"name": "more.json", "digest": {"sha256": "0" * 64}})


def _relabelled(files: Files, signer: KeySigner) -> Files:
    """A failing record that says pass, and everything else that says so with it."""
    record = edited(files[RECORD], lambda found: found.update(verdict="pass"))
    old, new = (sha256(raw).hexdigest().encode() for raw in (files[RECORD], record))
    again = {**files, RECORD: record}
    for name in (BUNDLE, *NAMES):
        payload = payload_of(files[name]).replace(old, new)
        change = _says_pass if name == BUNDLE else _passed
        again[name] = sign_bundle(edited(payload, change), signer)
    return again


def _says_pass(statement: Any) -> None:  # noqa: ANN401 -- JSON
    statement["predicate"]["verdict"] = "pass"


def zipped(files: Mapping[str, bytes], edit: Callable[[str, zipfile.ZipInfo], object] | None = None,
           kind: int = zipfile.ZIP_STORED) -> bytes:  # fmt: skip
    """A ZIP as other programs write it; ``edit`` may change what is said of a member."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name, content in sorted(files.items()):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.compress_type = 3, kind
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            if edit is not None:
                edit(name, info)
            archive.writestr(info, content)
    return raw.getvalue()


def forged_archives(of: Exports) -> dict[str, bytes]:
    """Everything that can be done to the ZIP, around files that are good ones."""
    good = pack_bundle(of.good)
    assert zipped(of.good) == good  # so that each of these differs in one thing
    paths = {
        "a path upwards": "../evil", "an absolute path": "/etc/evil", "a drive": "C:evil",
        "a path out of the evidence": "evidence/../../evil", "a backslash": "..\\evil",
        "a hidden file": ".profile", "a folder": "evidence/", "another folder": "more/record.json",
        "a name that only looks alike": "rec\u043erd.json", "a long name": "a" * 300,
    }  # fmt: skip
    found = {f"{what}": zipped({**of.good, path: b"x"}) for what, path in paths.items()}
    found |= {
        "a name with a zero byte": zipped({**of.good, "aXb": b"x"}).replace(b"aXb", b"a\x00b"),
        "deflated": zipped(of.good, kind=zipfile.ZIP_DEFLATED),
        "a bomb": zipped({**of.good, "report.html": bytes(2**26)}, kind=zipfile.ZIP_DEFLATED),
        "a link": zipped(of.good, lambda name, info: _link(info) if name == RECORD else None),
        "another date": zipped(
            of.good, lambda _, info: setattr(info, "date_time", (2026,) + (1,) * 5)
        ),
        "an extra field": zipped(of.good, lambda _, info: setattr(info, "extra", b"UT\x01\x00x")),
        "a comment of a member": zipped(of.good, lambda _, info: setattr(info, "comment", b"x")),
        "bytes before it": b"#!/bin/sh\n" + good,
        "bytes behind it": good + b"x",
        "a second archive behind it": good + good,
        "an end cut off": good[:-1],
        "half of it": good[: len(good) // 2],
        "nothing at all": b"",
        "nothing but an end": b"PK\x05\x06" + bytes(18),
        "an entry more than there are": _counted(good, 1),
        "an entry fewer than there are": _counted(good, -1),
        "a directory that begins later": _counted(good, 0, begins=4),
        "an end that promises much": good[:-12] + struct.pack("<H2LH", 65535, 2**31, 2**31, 0)[:12],
        "no archive": of.good[RECORD],
        "a member twice": _doubled(of.good),
        "a member under another name in its header": _renamed(good, 0),
        "a member under another name in the directory": _renamed(good, -1),
        "another checksum": _summed(good),
        "encrypted, as it says": _encrypted(good),
        "out of order": _unsorted(of.good),
        "two that share their bytes": _shared(of.good),
    }
    return found


def _counted(raw: bytes, more: int, begins: int = 0) -> bytes:
    """An end that says other things of the directory than what is there."""
    count, length, start = struct.unpack("<H2L", raw[-12:-2])
    fields = (count + more, count + more, length - begins, start + begins, 0)
    return raw[:-14] + struct.pack("<2H2LH", *fields)


def _link(info: zipfile.ZipInfo) -> None:
    info.external_attr = (stat.S_IFLNK | 0o777) << 16


def _doubled(files: Files) -> bytes:
    """The good record, and under the same name a bad one, of which readers see one or the other."""
    raw = zipped({**files, "record.jsoo": flipped(files[RECORD])})
    return raw.replace(b"record.jsoo", b"record.json")


def _renamed(raw: bytes, which: int) -> bytes:
    places = [at for at in range(len(raw)) if raw.startswith(b"summary.md", at)]
    headers = [at for at in places if raw[at - 30 : at - 26] == b"PK\x03\x04"]
    entries = [at for at in places if raw[at - 46 : at - 42] == b"PK\x01\x02"]
    at = headers[0] if which == 0 else entries[0]
    return raw[:at] + b"summary.me" + raw[at + 10 :]


def _summed(raw: bytes) -> bytes:
    """The same checksum, wrong, in both places: the content is the right one."""
    at, entry = raw.index(b"PK\x03\x04"), raw.index(b"PK\x01\x02")
    wrong = bytes(byte ^ 255 for byte in raw[at + 14 : at + 18])
    raw = raw[: at + 14] + wrong + raw[at + 18 :]
    return raw[: entry + 16] + wrong + raw[entry + 20 :]


def _encrypted(raw: bytes) -> bytes:
    entry = raw.index(b"PK\x01\x02")
    return raw[: entry + 8] + b"\x01\x00" + raw[entry + 10 :]


def _unsorted(files: Files) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name, content in sorted(files.items(), reverse=True):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, content)
    return raw.getvalue()


def _shared(files: Files) -> bytes:
    """Two entries of the directory that begin at the same place."""
    raw = zipped(files)
    entries = [at for at in range(len(raw)) if raw.startswith(b"PK\x01\x02", at)]
    first = raw[entries[0] + 42 : entries[0] + 46]
    return raw[: entries[1] + 42] + first + raw[entries[1] + 46 :]


def forged_folders(root: Path) -> dict[str, Callable[[Path], object]]:
    """Everything that can be done to a folder and not to files by name."""
    elsewhere = root / "elsewhere"

    def linked(name: str) -> Callable[[Path], object]:
        def link(folder: Path) -> None:
            (folder / name).rename(elsewhere)
            (folder / name).symlink_to(elsewhere)

        return link

    def pipe(folder: Path) -> None:
        (folder / VERDICT).unlink()
        os.mkfifo(folder / VERDICT)

    def folder_for_file(folder: Path) -> None:
        (folder / SVR).unlink()
        (folder / SVR).mkdir()

    def large(folder: Path) -> None:
        with (folder / RESULTS).open("wb") as file:
            file.truncate(2**31)

    return {
        "a link for the record": linked(RECORD),
        "a link for the evidence": linked("evidence"),
        "a link that leads nowhere": lambda folder: (folder / "x").symlink_to(root / "nowhere"),
        "a pipe for a verdict": pipe,
        "a folder for a file": folder_for_file,
        "a folder more": lambda folder: (folder / "more").mkdir(),
        "a file of two gigabytes": large,
        "a folder in the evidence": lambda folder: (folder / "evidence" / ("0" * 64)).mkdir(),
        "a hidden file": lambda folder: (folder / ".hidden").write_bytes(b""),
    }
