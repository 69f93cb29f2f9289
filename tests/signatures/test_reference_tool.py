"""The reference tool verifies what we sign, and we verify what it signs.

``model_signing`` 1.1.1 is installed into an environment of its own; it imports pyOpenSSL without
saying so.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fetching import out_of_reach_skips
from signature_forge import key_of

from auditor.signatures.keys import KeySigner
from auditor.signatures.objections import Code
from auditor.signatures.oms import verify
from auditor.signatures.signers import sign_files
from auditor.signing.artifacts import digest_artifact

pytestmark = [pytest.mark.slow, pytest.mark.fetches]
PACKAGES = ("model-signing==1.1.1", "pyopenssl")
CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tool's program."""
    place = tmp_path_factory.mktemp("reference")
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    pip = [str(place / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    out_of_reach_skips([*pip, *PACKAGES], place)
    return place / "bin" / "model_signing"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "credit model"
    (folder / "weights").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"graph")
    (folder / "weights" / "part one.bin").write_bytes(b"1")
    (folder / "weights" / "größe:2.bin").write_bytes(b"2")
    (folder / "empty").touch()
    return folder


@pytest.fixture(params=CURVES)
def signer(request: pytest.FixtureRequest, tmp_path: Path) -> KeySigner:
    made = key_of(CURVES[request.param], 2026)
    pem = made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "signer.key").write_bytes(pem)
    (tmp_path / "signer.pub").write_bytes(made.public_pem())
    return made


def accepts(reference: Path, model: Path, signature: Path) -> bool:
    key = model.parent / "signer.pub"
    arguments = ["verify", "key", model, "--public_key", key, "--signature", signature]
    return not subprocess.run([reference, *arguments], capture_output=True, check=False).returncode


def signed_by(reference: Path, model: Path, signature: Path) -> bytes:
    key = model.parent / "signer.key"
    arguments = ["sign", "key", model, "--private_key", key, "--signature", signature]
    subprocess.run([reference, *arguments], capture_output=True, check=True)
    return signature.read_bytes()


def test_the_reference_accepts_what_we_sign(
    reference: Path, model: Path, signer: KeySigner
) -> None:
    signature = model.parent / "model.sig"
    signature.write_bytes(sign_files(digest_artifact(model), signer, name=model.name))
    assert accepts(reference, model, signature)
    (model / "model.onnx").write_bytes(b"other")
    assert not accepts(reference, model, signature)


def test_we_accept_what_the_reference_signs(
    reference: Path, model: Path, signer: KeySigner
) -> None:
    signature = model / "model.sig"
    bundle = signed_by(reference, model, signature)
    files = digest_artifact(model, leave_out=(signature,))
    found = verify(bundle, signer.public_pem(), files)
    assert found.objections == ()
    assert found.verified
    (model / "planted.py").touch()
    planted = digest_artifact(model, leave_out=(signature,))
    assert Code.EXTRA_FILE in verify(bundle, signer.public_pem(), planted).codes


def test_we_accept_a_lone_file_that_the_reference_signs_with_a_warning(
    reference: Path, model: Path, signer: KeySigner
) -> None:
    lone = model / "empty"
    lone.write_bytes(b"graph")
    lone = lone.rename(model.parent / "lone.bin")
    bundle = signed_by(reference, lone, model.parent / "lone.sig")
    found = verify(bundle, signer.public_pem(), digest_artifact(lone))
    assert found.codes == (Code.SINGLE_FILE_NAME,)
    assert found.verified


def test_the_reference_passes_over_files_planted_among_gits_and_we_do_not(
    reference: Path, model: Path, signer: KeySigner
) -> None:
    signature = model.parent / "model.sig"
    bundle = signed_by(reference, model, signature)
    (model / ".github").mkdir()
    (model / ".github" / "planted.py").write_bytes(b"import os")
    assert accepts(reference, model, signature)
    found = verify(bundle, signer.public_pem(), digest_artifact(model))
    assert Code.IGNORE_PATHS in found.codes
    assert not found.verified
