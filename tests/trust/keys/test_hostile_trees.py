"""Folders made to slip something past a good signature: each is refused, by code or error."""

import os
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from external_models import external_model

from auditor.errors import ArtifactError
from auditor.trust.artifacts.files import digest_artifact, measure_artifact
from auditor.trust.artifacts.verify import VerificationRequest, inspect_artifact_signature
from auditor.trust.signatures.keys import KeySigner
from auditor.trust.signatures.model_serialisations import ModelSerialisation
from auditor.trust.signatures.model_signing import sign_files, sign_model
from auditor.trust.signatures.trusted_signers import TrustedSigners
from auditor.trust.verification_result import IssueCode, VerificationProfile

SIGNER = KeySigner(ec.derive_private_key(71, ec.SECP256R1()))
FILES = {"config.json": b"{}", "lib/model.py": b"x = 1", "naïve.bin": b"1", "weights.bin": b"w" * 9}


@dataclass(frozen=True)
class Tree:
    """A signed model, what is done to it, and what must be said of that."""

    spoil: Callable[[Path], object]
    said: IssueCode | str


def written(name: str, content: bytes = b"import os") -> Callable[[Path], object]:
    def spoil(model: Path) -> None:
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_bytes(content)

    return spoil


def linked(name: str, to: str) -> Callable[[Path], object]:
    def spoil(model: Path) -> None:
        (model / name).unlink(missing_ok=True)
        (model / name).symlink_to(to)

    return spoil


def folder_linked(model: Path) -> None:
    (model / "lib").rename(model.parent / "lib")
    (model / "lib").symlink_to("../lib")


def renamed(name: str, to: str) -> Callable[[Path], object]:
    return lambda model: (model / name).rename(model / to)


def swapped(model: Path) -> None:
    (model / "config.json").rename(model / "x")
    (model / "naïve.bin").rename(model / "config.json")
    (model / "x").rename(model / "naïve.bin")


def socketed(model: Path) -> None:
    os.mknod(model / "device", 0o600 | 0o140000)


def truncated(model: Path) -> None:
    os.truncate(model / "weights.bin", 8)


def nested(model: Path) -> None:
    (model / "sub").mkdir()
    (model / "sub" / "model.sig").write_bytes((model / "model.sig").read_bytes())


def decomposed(model: Path) -> None:
    (model / "naïve.bin").rename(model / unicodedata.normalize("NFD", "naïve.bin"))


def not_text(model: Path) -> None:
    Path(os.fsdecode(os.fsencode(model) + b"/\xff.py")).write_bytes(b"")


TREES: Mapping[str, Tree] = {
    "file changed": Tree(written("config.json", b"{ }"), IssueCode.DIGEST_MISMATCH),
    "file changed to the same size": Tree(
        written("weights.bin", b"v" * 9), IssueCode.DIGEST_MISMATCH
    ),
    "file cut short": Tree(truncated, IssueCode.DIGEST_MISMATCH),
    "file emptied": Tree(written("weights.bin", b""), IssueCode.DIGEST_MISMATCH),
    "file removed": Tree(lambda model: (model / "config.json").unlink(), IssueCode.MISSING_FILE),
    "folder emptied": Tree(lambda model: (model / "lib/model.py").unlink(), IssueCode.MISSING_FILE),
    "file renamed": Tree(renamed("config.json", "code.py"), IssueCode.EXTRA_FILE),
    "file moved into a folder": Tree(
        renamed("config.json", "lib/config.json"), IssueCode.MISSING_FILE
    ),
    "names in another case": Tree(renamed("config.json", "Config.json"), IssueCode.MISSING_FILE),
    "names composed otherwise": Tree(decomposed, IssueCode.MISSING_FILE),
    "two files swapped": Tree(swapped, IssueCode.DIGEST_MISMATCH),
    "code added": Tree(written("hook.py"), IssueCode.EXTRA_FILE),
    "empty file added": Tree(written("__init__.py", b""), IssueCode.EXTRA_FILE),
    "hidden file added": Tree(written(".hidden"), IssueCode.EXTRA_FILE),
    "compiled code added": Tree(written("lib/__pycache__/model.pyc"), IssueCode.EXTRA_FILE),
    "file of one space added": Tree(written(" "), IssueCode.EXTRA_FILE),
    "file that turns the reading direction": Tree(written("a\u202egpj.py"), IssueCode.EXTRA_FILE),
    "file with a line break added": Tree(written("a\nb"), IssueCode.EXTRA_FILE),
    "file with a backslash added": Tree(written("..\\x"), IssueCode.EXTRA_FILE),
    "shard name added as a file": Tree(written("weights.bin:0:9", b"w" * 9), IssueCode.EXTRA_FILE),
    "another signature added": Tree(written("other.sig", b"{}"), IssueCode.EXTRA_FILE),
    "signature in a folder": Tree(nested, IssueCode.EXTRA_FILE),
    "hook of git": Tree(written(".git/hooks/post-checkout", b"#!/bin/sh"), IssueCode.GIT_FILE),
    "workflow of a host": Tree(written(".github/x.yml"), IssueCode.GIT_FILE),
    "names that git ignores": Tree(written(".gitignore"), IssueCode.GIT_FILE),
    "file linked to itself elsewhere": Tree(
        linked("config.json", "../config.json"), "symbolic link"
    ),
    "file linked to nothing": Tree(linked("extra", "nowhere"), "symbolic link"),
    "file linked to the system": Tree(linked("extra", "/etc/passwd"), "symbolic link"),
    "file linked to its neighbour": Tree(linked("naïve.bin", "config.json"), "symbolic link"),
    "folder linked": Tree(folder_linked, "symbolic link"),
    "folder linked to its parent": Tree(linked("loop", ".."), "symbolic link"),
    "pipe added": Tree(lambda model: os.mkfifo(model / "pipe"), "special file"),
    "socket added": Tree(socketed, "special file"),
    "name that is no text": Tree(not_text, "UTF-8"),
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    for name, content in FILES.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(content)
    (made / "model.sig").write_bytes(sign_files(digest_artifact(made), SIGNER, name="model"))
    (tmp_path / "config.json").write_bytes(FILES["config.json"])
    return made


def look(model: Path, profile: VerificationProfile) -> tuple[IssueCode, ...]:
    question = VerificationRequest(TrustedSigners.key(SIGNER.public_pem()), profile=profile)
    found, _ = inspect_artifact_signature(model, model / "model.sig", question)
    assert found.verified == (not found.mistakes)
    return tuple(item.code for item in found.objections)


@pytest.mark.parametrize("profile", VerificationProfile)
@pytest.mark.parametrize("what", TREES)
def test_a_hostile_tree_is_refused(what: str, profile: VerificationProfile, model: Path) -> None:
    tree = TREES[what]
    assert look(model, profile) == ()
    tree.spoil(model)
    if isinstance(tree.said, IssueCode):
        assert tree.said in look(model, profile)
    else:
        with pytest.raises(ArtifactError, match=tree.said):
            look(model, profile)


def test_the_attributes_of_git_at_the_root_are_the_only_file_that_compat_lets_by(
    model: Path,
) -> None:
    (model / ".gitattributes").write_bytes(b"*.bin filter=lfs")
    assert (
        look(model, VerificationProfile.STRICT)
        == look(model, VerificationProfile.COMPAT)
        == (IssueCode.GIT_ATTRIBUTES,)
    )
    question = VerificationRequest(
        TrustedSigners.key(SIGNER.public_pem()), profile=VerificationProfile.COMPAT
    )
    assert inspect_artifact_signature(model, model / "model.sig", question)[0].verified


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "a/../../w.bin", "link.bin"])
def test_a_model_that_keeps_weights_outside_is_neither_signed_nor_verified(
    location: str, tmp_path: Path
) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(b"12345678")
    (folder / "link.bin").symlink_to(tmp_path / "w.bin")
    (folder / "m.onnx").write_bytes(external_model(location))
    with pytest.raises(ArtifactError):
        digest_artifact(folder / "m.onnx")


def test_weights_beside_a_model_are_signed_with_it(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(external_model("w.bin"))
    (tmp_path / "w.bin").write_bytes(b"12345678")
    (tmp_path / "neighbour.txt").touch()
    bundle = sign_files(digest_artifact(tmp_path / "m.onnx"), SIGNER, name="m.onnx")
    (tmp_path / "m.sig").write_bytes(bundle)
    question = VerificationRequest(TrustedSigners.key(SIGNER.public_pem()))
    assert inspect_artifact_signature(tmp_path / "m.onnx", tmp_path / "m.sig", question)[0].verified
    (tmp_path / "w.bin").write_bytes(b"12345679")
    found, _ = inspect_artifact_signature(tmp_path / "m.onnx", tmp_path / "m.sig", question)
    assert found.codes == (IssueCode.DIGEST_MISMATCH,)


def test_a_shard_of_a_file_that_grew_beyond_measure_is_refused_without_hashing_it(
    tmp_path: Path,
) -> None:
    path, signature = tmp_path / "m.bin", tmp_path / "m.sig"
    path.write_bytes(bytes(10_000))
    measured = measure_artifact(path, ModelSerialisation(shard=4096))
    signature.write_bytes(sign_model(measured, SIGNER, name="m.bin"))
    question = VerificationRequest(TrustedSigners.key(SIGNER.public_pem()))
    assert inspect_artifact_signature(path, signature, question)[0].verified
    os.truncate(path, 2**40)
    told: list[int] = []
    found, _ = inspect_artifact_signature(path, signature, question, told.append)
    assert (found.codes, told) == ((IssueCode.DIGEST_MISMATCH,), [])


def test_nothing_is_hashed_for_a_signature_that_does_not_hold(model: Path) -> None:
    told: list[int] = []
    other = KeySigner(ec.derive_private_key(72, ec.SECP256R1()))
    question = VerificationRequest(TrustedSigners.key(other.public_pem()))
    found, _ = inspect_artifact_signature(model, model / "model.sig", question, told.append)
    assert (found.codes, told) == ((IssueCode.KEY,), [])


def test_what_is_planted_while_others_are_hashed_is_found(model: Path) -> None:
    def plant(_: int) -> None:
        (model / "planted.py").touch()

    question = VerificationRequest(TrustedSigners.key(SIGNER.public_pem()))
    with pytest.raises(ArtifactError, match="changed while it was read"):
        inspect_artifact_signature(model, model / "model.sig", question, plant)
    (model / "planted.py").unlink()
    with pytest.raises(ArtifactError, match="changed while it was read"):
        digest_artifact(model, leave_out=(model / "model.sig",), advance=plant)
