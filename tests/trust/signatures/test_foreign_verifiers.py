"""Tools that nobody here wrote verify our bundles, and refuse changed ones.

Debian's cosign, npm's Sigstore verifier and securesystemslib, each from its own package registry.
All verify bundles of keys. The chains of certificates that model signing prescribes are refused by
the first two, which is held here so that it is noticed when that changes.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import attested_records
import pytest
from authority_forge import Pki
from cryptography.hazmat.primitives.asymmetric import ec
from fetching import out_of_reach_skips
from signature_forge import FILES, key_of

from auditor.trust.encoding.dsse import InTotoStatement, SubjectDigest
from auditor.trust.signatures.keys import KeySigner
from auditor.trust.signatures.model_signing import PREDICATE, ModelFileDigests, sign_model
from auditor.trust.signatures.sigstore_bundle import sign_bundle

pytestmark = [pytest.mark.slow, pytest.mark.fetches]
CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
ROOT = b"".join(bytes.fromhex(item.sha256) for item in FILES)
"""The bytes whose SHA-256 the subject of a model signature names."""
NPM = ("@sigstore/verify@4.1.3", "@sigstore/bundle@5.0.1")
JAVASCRIPT = """
const { readFileSync } = require("fs");
const { createPublicKey } = require("crypto");
const { bundleFromJSON } = require("@sigstore/bundle");
const { Verifier, toSignedEntity } = require("@sigstore/verify");
const said = {};
for (const [name, { bundle, key }] of Object.entries(JSON.parse(readFileSync(0)))) {
  try {
    const publicKey = createPublicKey(key);
    const trust = { publicKey: () => ({ publicKey, validFor: () => true }), tlogs: [], ctlogs: [],
      certificateAuthorities: [], timestampAuthorities: [] };
    const options = { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 };
    new Verifier(trust, options).verify(toSignedEntity(bundleFromJSON(JSON.parse(bundle))));
    said[name] = "accepted";
  } catch (error) { said[name] = String(error); }
}
console.log(JSON.stringify(said));
"""
SECURESYSTEMSLIB = """
import json, sys
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey
said = {}
for name, job in json.load(sys.stdin).items():
    key = SSlibKey.from_crypto(load_pem_public_key(job["key"].encode()))
    envelope = json.loads(job["bundle"])["dsseEnvelope"]
    for one in envelope["signatures"]:
        one["keyid"] = key.keyid
    try:
        Envelope.from_dict(envelope).verify([key], 1)
        said[name] = "accepted"
    except Exception as error:
        said[name] = f"{type(error).__name__}: {error}"
print(json.dumps(said))
"""
Jobs = Mapping[str, tuple[bytes, bytes]]
Judge = Callable[[Jobs, bytes, str], dict[str, str]]


def bundle_of(signer: KeySigner) -> bytes:
    return sign_model(ModelFileDigests.of(FILES), signer, name="model")


def altered(raw: bytes) -> bytes:
    """The same bundle over another payload of the same length."""
    bundle = json.loads(raw)
    payload = bundle["dsseEnvelope"]["payload"]
    bundle["dsseEnvelope"]["payload"] = payload[:40] + chr(ord(payload[40]) ^ 1) + payload[41:]
    return json.dumps(bundle).encode()


def cases(curves: Mapping[str, ec.EllipticCurve] = CURVES) -> dict[str, tuple[bytes, bytes]]:
    """Bundles with the keys to verify them by; of each kind a good one and two bad ones."""
    found = {}
    for name, curve in curves.items():
        signer = key_of(curve, 4_242)
        raw, pem = bundle_of(signer), signer.public_pem()
        found[f"good {name}"] = (raw, pem)
        found[f"altered {name}"] = (altered(raw), pem)
        found[f"by another key {name}"] = (raw, key_of(curve, 4_243).public_pem())
    return found


def statements(curves: Mapping[str, ec.EllipticCurve] = CURVES) -> dict[str, tuple[bytes, bytes]]:
    """What is signed about a record, with keys; of each kind a good one and two bad ones."""
    found = {}
    for name, curve in curves.items():
        signer, other = key_of(curve, 4_242), key_of(curve, 4_243)
        for file, raw in attested_records.bundles(signer).items():
            found[f"good {file} {name}"] = (raw, signer.public_pem())
            found[f"altered {file} {name}"] = (altered(raw), signer.public_pem())
            found[f"by another key {file} {name}"] = (raw, other.public_pem())
    return found


def expect(said: Mapping[str, str]) -> None:
    for name, answer in said.items():
        assert (answer == "accepted") == name.startswith("good"), (name, answer)
    assert any(name.startswith("good") for name in said)


def asked(command: list[object], jobs: Jobs, folder: Path,
          env: Mapping[str, str] | None = None) -> dict[str, str]:  # fmt: skip
    given = {
        name: {"bundle": raw.decode(), "key": pem.decode()} for name, (raw, pem) in jobs.items()
    }
    done = subprocess.run(
        [str(word) for word in command],
        input=json.dumps(given),
        cwd=folder,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, str] = json.loads(done.stdout)
    return said


def test_securesystemslib_verifies_our_envelopes(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    out_of_reach_skips([*pip, "--no-deps", "--target", "lib", "securesystemslib==1.6.0"], tmp_path)
    command: list[object] = [sys.executable, "-c", SECURESYSTEMSLIB]
    jobs = {**cases(), **statements()}
    expect(asked(command, jobs, tmp_path, {"PYTHONPATH": str(tmp_path / "lib")}))


def test_the_verifier_of_npm_accepts_key_bundles_and_refuses_chains(tmp_path: Path) -> None:
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
    out_of_reach_skips([*install, *NPM], tmp_path)
    pki = Pki.made()
    signer = KeySigner(pki.own_key)
    chain = [item.read for item in pki.chain]
    chained = sign_model(ModelFileDigests.of(FILES), signer, name="model", chain=chain)
    # It knows SHA-256 alone, and so no signature of a larger curve.
    known = {"P-256": CURVES["P-256"]}
    chain_job = {"chain": (chained, signer.public_pem())}
    jobs = {**cases(known), **statements(known), **chain_job}
    expect(asked(["node", "-e", JAVASCRIPT], jobs, tmp_path))


@pytest.fixture
def cosign(tmp_path: Path) -> Judge:
    """Debian's cosign, offline, with a trust root that trusts nothing."""
    program = shutil.which("cosign")
    if program is None:
        out_of_reach_skips(["cosign", "version"], tmp_path)
    (tmp_path / "root.json").write_text(
        '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'
    )

    def judge(jobs: Jobs, blob: bytes, kind: str) -> dict[str, str]:
        said = {}
        (tmp_path / "blob").write_bytes(blob)
        for name, (raw, pem) in jobs.items():
            (tmp_path / "bundle.json").write_bytes(raw)
            (tmp_path / "key.pub").write_bytes(pem)
            words = ["verify-blob-attestation", "--bundle", "bundle.json", "--new-bundle-format",
                     "--key", "key.pub", "--insecure-ignore-tlog=true", "--trusted-root",
                     "root.json", "--type", kind, "blob"]  # fmt: skip
            done = subprocess.run([str(program), *words], cwd=tmp_path, capture_output=True,
                                  text=True, check=False, timeout=120)  # fmt: skip
            said[name] = "accepted" if done.returncode == 0 else done.stderr[-300:]
        return said

    return judge


def test_cosign_accepts_key_bundles_of_these_very_files(cosign: Judge) -> None:
    expect(cosign(cases({"P-256": CURVES["P-256"]}), ROOT, PREDICATE))
    signer = key_of(CURVES["P-256"], 4_242)
    # The subject must be the digest of the blob: of other files, a good bundle is none.
    good = {"of another model": (sign_model(ModelFileDigests.of(FILES[:2]), signer, name="m"),
                                 signer.public_pem())}  # fmt: skip
    assert "accepted" not in cosign(good, ROOT, PREDICATE).values()


def test_cosign_refuses_the_chains_that_the_format_prescribes(cosign: Judge) -> None:
    pki = Pki.made()
    signer = KeySigner(pki.own_key)
    chain = [item.read for item in pki.chain]
    raw = sign_model(ModelFileDigests.of(FILES), signer, name="model", chain=chain)
    said = cosign({"chain": (raw, signer.public_pem())}, ROOT, PREDICATE)
    assert said["chain"] != "accepted"


def test_cosign_accepts_any_statement_that_we_seal(cosign: Judge) -> None:
    signer = key_of(CURVES["P-256"], 4_242)
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc"
    kind = "https://slsa.dev/verification_summary/v1"
    statement = InTotoStatement(
        (SubjectDigest("abc", digest),), kind, {"verificationResult": "PASSED"}
    )
    jobs = {"good": (sign_bundle(statement.emit(), signer), signer.public_pem())}
    assert cosign(jobs, b"abc", kind) == {"good": "accepted"}
    assert cosign(jobs, b"abd", kind) != {"good": "accepted"}


def test_cosign_accepts_every_statement_about_a_record(cosign: Judge) -> None:
    jobs = statements({"P-256": CURVES["P-256"]})
    for file, kind in attested_records.TYPES.items():
        of_file = {name: job for name, job in jobs.items() if file in name}
        assert len(of_file) == 3
        expect(cosign(of_file, attested_records.ROOT, kind))
        assert "accepted" not in cosign(of_file, b"another model", kind).values()
