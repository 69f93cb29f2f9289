"""The reference tool verifies what we sign, and we verify what it signs.

``model_signing`` 1.1.1 is installed into an environment of its own; it imports pyOpenSSL without
saying so. One process of it does all that a test asks, since starting it takes longest.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hostile_bundles
import hostile_certificates
import hostile_manifests
import hostile_materials
import hostile_shards
import hostile_trust
import pytest
from authority_forge import Pki
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fetching import out_of_reach_skips
from hostile_corpus import CASES
from hostile_reference import ACCEPTED_BY_THE_REFERENCE
from signature_forge import CONTENTS, Forge, key_of

from auditor.trust.artifacts.files import measure_artifact
from auditor.trust.artifacts.verify import VerificationRequest, inspect_artifact_signature
from auditor.trust.signatures.keys import KeySigner
from auditor.trust.signatures.model_signing import ModelFileDigests, sign_model
from auditor.trust.signatures.trusted_signers import (
    SignerIdentity,
    TrustedSigners,
    VerificationTime,
)
from auditor.trust.verification_result import IssueCode, SignatureVerification, VerificationProfile

pytestmark = [pytest.mark.slow, pytest.mark.fetches, pytest.mark.xdist_group("reference")]
COLLECTED = (hostile_bundles, hostile_certificates, hostile_manifests, hostile_materials,
             hostile_shards, hostile_trust)  # fmt: skip
PACKAGES = ("model-signing==1.1.1", "pyopenssl", "blake3")
CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
ASK = """
import json, pathlib, sys
from model_signing import hashing, signing, verifying
def ask(job):
    if job["do"] == "sign":
        config = signing.Config().set_hashing_config(getattr(
            hashing.Config(), job["use"])(hashing_algorithm=job["hash"], **job["more"]))
        if job["chain"]:
            config.use_certificate_signer(private_key=job["key"],
                signing_certificate=pathlib.Path(job["chain"][0]),
                certificate_chain=[pathlib.Path(p) for p in job["chain"][1:]])
        else:
            config.use_elliptic_key_signer(private_key=job["key"])
        return config.sign(job["model"], job["signature"])
    config = verifying.Config().set_ignore_unsigned_files(job["unsigned"])
    if job["chain"]:
        config.use_certificate_verifier(certificate_chain=[pathlib.Path(p) for p in job["chain"]])
    else:
        config.use_elliptic_key_verifier(public_key=job["key"])
    config.verify(pathlib.Path(job["model"]), job["signature"])
said = {}
for name, job in json.load(sys.stdin).items():
    try:
        ask(job)
        said[name] = "accepted"
    except Exception as error:
        said[name] = f"{type(error).__name__}: {error}"[:300]
print(json.dumps(said))
"""
Jobs = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tool's interpreter."""
    place = tmp_path_factory.mktemp("reference")
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    pip = [str(place / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    out_of_reach_skips([*pip, *PACKAGES], place)
    return place / "bin" / "python"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "credit model"
    (folder / "weights").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"graph" * 2000)
    (folder / "weights" / "part one.bin").write_bytes(b"1")
    (folder / "weights" / "größe:2.bin").write_bytes(b"2")
    (folder / "empty").touch()
    return folder


def told(reference: Path, jobs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Let the tool do each job, and return what it says of it."""
    done = subprocess.run(
        [reference, "-c", ASK],
        input=json.dumps(jobs, default=str),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return said


def signing(
    model: Path, signature: Path, key: Path, chain: Sequence[Path] = (), *, how: str = "sha256",
    use: str = "use_file_serialization", **more: object,
) -> dict[str, Any]:  # fmt: skip
    return {"do": "sign", "model": model, "signature": signature, "key": key, "chain": list(chain),
            "hash": how, "use": use, "more": more}  # fmt: skip


def verifying(
    model: Path, signature: Path, key: Path | None = None, chain: Sequence[Path] = (), *,
    unsigned: bool = False,
) -> dict[str, Any]:  # fmt: skip
    return {"do": "verify", "model": model, "signature": signature, "key": key,
            "chain": list(chain), "unsigned": unsigned}  # fmt: skip


def saved(signer: KeySigner, folder: Path, name: str) -> tuple[Path, Path]:
    """Write both halves of a key."""
    pem = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    private.write_bytes(pem)
    public.write_bytes(signer.public_pem())
    return private, public


def look(model: Path, signature: Path, question: VerificationRequest) -> SignatureVerification:
    return inspect_artifact_signature(model, signature, question)[0]


def test_keys_of_every_curve_serve_both(reference: Path, model: Path, tmp_path: Path) -> None:
    jobs: Jobs = {}
    keys = {}
    for curve, kind in CURVES.items():
        signer = key_of(kind, 2026)
        private, public = saved(signer, tmp_path, curve)
        keys[curve] = VerificationRequest(TrustedSigners.key(public.read_bytes()))
        ours, theirs = tmp_path / f"{curve}.ours", tmp_path / f"{curve}.theirs"
        ours.write_bytes(sign_model(measure_artifact(model), signer, name=model.name))
        jobs |= {f"{curve} verifies": verifying(model, ours, public)}
        jobs |= {f"{curve} signs": signing(model, theirs, private)}
        jobs |= {f"{curve} by another key": verifying(model, ours, saved(
            key_of(kind, 9), tmp_path, "other")[1])}  # fmt: skip
    said = told(reference, jobs)
    for name, answer in said.items():
        assert (answer == "accepted") != name.endswith("another key"), (name, answer)
    for curve, question in keys.items():
        found = look(model, tmp_path / f"{curve}.theirs", question)
        assert (found.objections, found.verified) == ((), True)
    (model / "model.onnx").write_bytes(b"other")
    jobs = {curve: verifying(model, tmp_path / f"{curve}.ours", tmp_path / f"{curve}.pub")
            for curve in CURVES}  # fmt: skip
    assert "accepted" not in told(reference, jobs).values()
    for curve, question in keys.items():
        found = look(model, tmp_path / f"{curve}.theirs", question)
        assert found.codes == (IssueCode.DIGEST_MISMATCH,)


def test_certificates_of_every_curve_serve_both(
    reference: Path, model: Path, tmp_path: Path
) -> None:
    jobs: Jobs = {}
    questions = {}
    now = VerificationTime(datetime.now(UTC))
    for curve, kind in CURVES.items():
        pki = Pki.lasting(kind)
        signer = KeySigner(pki.own_key)
        private, _ = saved(signer, tmp_path, curve)
        paths = [tmp_path / f"{curve}.{name}.pem" for name in ("leaf", "middle", "root")]
        for path, item in zip(paths, (*pki.chain, pki.root), strict=True):
            path.write_bytes(item.pem)
        questions[curve] = VerificationRequest(pki.trusted, now)
        ours, theirs = tmp_path / f"{curve}.ours", tmp_path / f"{curve}.theirs"
        chain = [item.read for item in pki.chain]
        ours.write_bytes(
            sign_model(measure_artifact(model), signer, name="credit-risk@3.2.1", chain=chain)
        )
        jobs |= {f"{curve} verifies": verifying(model, ours, chain=paths[2:])}
        jobs |= {f"{curve} signs": signing(model, theirs, private, paths[:2])}
    assert set(told(reference, jobs).values()) == {"accepted"}
    for curve, question in questions.items():
        found = look(model, tmp_path / f"{curve}.theirs", question)
        assert (found.objections, found.verified) == ((), True)


def test_we_verify_every_serialisation_that_the_reference_signs(
    reference: Path, model: Path, tmp_path: Path
) -> None:
    (model / "empty").unlink()  # the reference signs no shard of an empty file
    (model / "weights" / "größe:2.bin").unlink()  # and takes no colon in the name of a sharded one
    signer = key_of(ec.SECP256R1(), 2026)
    private, public = saved(signer, tmp_path, "signer")
    hows: Mapping[str, dict[str, Any]] = {
        "blake2": {"how": "blake2"},
        "blake3": {"how": "blake3"},
        "shards": {"use": "use_shard_serialization", "shard_size": 4096},
        "shards of blake2": {"use": "use_shard_serialization", "shard_size": 5000, "how": "blake2"},
    }
    jobs = {name: signing(model, tmp_path / name, private, **how) for name, how in hows.items()}
    assert set(told(reference, jobs).values()) == {"accepted"}
    question = VerificationRequest(TrustedSigners.key(public.read_bytes()))
    for name in hows:
        found = look(model, tmp_path / name, question)
        assert (name, found.objections, found.verified) == (name, (), True)
    (model / "weights" / "part one.bin").write_bytes(b"3")
    for name in hows:
        assert look(model, tmp_path / name, question).codes == (IssueCode.DIGEST_MISMATCH,), name


def test_a_lone_file_that_the_reference_signs_needs_the_profile_compat(
    reference: Path, model: Path, tmp_path: Path
) -> None:
    private, public = saved(key_of(ec.SECP256R1(), 2026), tmp_path, "signer")
    lone, signature = model / "model.onnx", tmp_path / "lone.sig"
    lone = lone.rename(tmp_path / "lone.bin")
    assert told(reference, {"": signing(lone, signature, private)}) == {"": "accepted"}
    trusted = TrustedSigners.key(public.read_bytes())
    assert not look(lone, signature, VerificationRequest(trusted)).verified
    found = look(lone, signature, VerificationRequest(trusted, profile=VerificationProfile.COMPAT))
    assert (found.codes, found.verified) == ((IssueCode.SINGLE_FILE_NAME,), True)


def test_the_reference_sorts_by_parts_of_paths_which_compat_takes(
    reference: Path, model: Path, tmp_path: Path
) -> None:
    (model / "weights.txt").touch()
    private, public = saved(key_of(ec.SECP256R1(), 2026), tmp_path, "signer")
    signature = tmp_path / "s.sig"
    assert told(reference, {"": signing(model, signature, private)}) == {"": "accepted"}
    trusted = TrustedSigners.key(public.read_bytes())
    assert look(model, signature, VerificationRequest(trusted)).codes == (IssueCode.RESOURCE_ORDER,)
    assert look(
        model, signature, VerificationRequest(trusted, profile=VerificationProfile.COMPAT)
    ).verified


def test_the_reference_accepts_what_the_corpus_says_it_does(
    reference: Path, tmp_path: Path, forge: Forge
) -> None:
    _, public = saved(forge.signer, tmp_path, "forge")
    jobs: Jobs = {}
    for name in ACCEPTED_BY_THE_REFERENCE:
        bundle, files, *trusted = CASES[name][1](forge)
        place = tmp_path / name
        model = laid_out(place / "model", name, files)
        (place / "s.sig").write_bytes(bundle)
        roots = []
        if trusted:
            assert trusted[0].identities == (SignerIdentity.parse("email:ml-release@acme.example"),)
            roots = [place / "root.pem"]
            roots[0].write_bytes(trusted[0].roots[0])
        outside = name == "name_climbs_out"
        jobs[name] = verifying(model, place / "s.sig", public, roots, unsigned=outside)
    assert told(reference, jobs) == dict.fromkeys(ACCEPTED_BY_THE_REFERENCE, "accepted")


def laid_out(model: Path, name: str, files: Any) -> Path:  # noqa: ANN401 -- of either kind
    """Write the files of a case."""
    assert not isinstance(files, ModelFileDigests)
    for item in files:
        (model / item.name).parent.mkdir(parents=True, exist_ok=True)
        (model / item.name).write_bytes(CONTENTS.get(item.name, b"import os"))
    if name == "name_climbs_out":
        (model / "config.json").rename(model.parent / "outside")
    if name == "name_has_two_slashes":
        (model / "a").mkdir()
        (model / "config.json").rename(model / "a" / "config.json")
    if name == "code_is_planted_in_git_hooks":
        (model / ".git/hooks/post-checkout").write_bytes(b"#!/bin/sh")
    return model
