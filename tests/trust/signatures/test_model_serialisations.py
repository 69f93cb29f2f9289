"""Files in shards, and under each hash that the format knows."""

import base64
import hashlib
import json
from collections.abc import Mapping

import pytest
from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from signature_forge import Forge, key_of

from auditor.trust.signatures.model_serialisations import (
    LEAST_SHARD,
    FilePart,
    HashAlgorithm,
    ModelSerialisation,
)
from auditor.trust.signatures.model_signing import (
    ModelFileDigests,
    open_signature,
    sign_model,
    verify_model,
)
from auditor.trust.signatures.trusted_signers import TrustedSigners
from auditor.trust.verification_result import IssueCode

SIGNER = key_of(ec.SECP256R1(), 31)
PEM = SIGNER.public_pem()


def digest(kind: HashAlgorithm, raw: bytes) -> str:
    return (
        blake3(raw).hexdigest()
        if kind is HashAlgorithm.BLAKE3
        else hashlib.new(kind, raw).hexdigest()
    )


def measured(contents: Mapping[str, bytes], how: ModelSerialisation) -> ModelFileDigests:
    sizes = {name: len(content) for name, content in contents.items()}
    digests = {
        part.label: digest(how.hash, contents[part.name][part.start : part.end])
        for part in how.parts(sizes)
    }
    return ModelFileDigests(sizes, digests, how)


hows = st.builds(
    ModelSerialisation,
    st.sampled_from(HashAlgorithm),
    st.none() | st.integers(LEAST_SHARD, 3 * LEAST_SHARD),
)
names = st.sampled_from(["a", "b:0:1", "c d", "d/e", "größe", "日本:5", "A.txt", "A/B.txt"])
files = st.dictionaries(names, st.integers(0, 4 * LEAST_SHARD), min_size=1, max_size=5)


@given(files, hows)
def test_every_model_verifies_as_signed_and_no_byte_may_change(
    sizes: dict[str, int], how: ModelSerialisation
) -> None:
    contents = {name: bytes(size) for name, size in sizes.items()}
    bundle = sign_model(measured(contents, how), SIGNER, name="model")
    found = verify_model(bundle, PEM, measured(contents, how))
    assert (found.objections, found.verified) == ((), True)
    for name, content in contents.items():
        longer = {**contents, name: content + b"\0"}
        assert IssueCode.DIGEST_MISMATCH in verify_model(bundle, PEM, measured(longer, how)).codes
        other = {**contents, name: b"\1" + content[1:]}
        assert IssueCode.DIGEST_MISMATCH in verify_model(bundle, PEM, measured(other, how)).codes


@given(st.integers(0, 10**15), st.integers(LEAST_SHARD, 10**9))
def test_the_number_of_parts_is_known_before_they_are_made(size: int, shard: int) -> None:
    how = ModelSerialisation(HashAlgorithm.SHA256, max(shard, size // 1000))
    parts = how.parts_of("m", size)
    assert how.count(size) == len(parts)
    assert [part.start for part in parts[1:]] == [part.end for part in parts[:-1]]
    assert (parts[0].start, parts[-1].end) == (0, size)


def test_only_what_the_manifest_names_is_asked_to_be_hashed(forge: Forge) -> None:
    how = ModelSerialisation(HashAlgorithm.BLAKE2B, LEAST_SHARD)
    bundle = sign_model(measured({"a": b"1" * 5000, "b": b"2"}, how), forge.signer, name="m")
    opened = open_signature(bundle, TrustedSigners.key(forge.pem))
    assert opened.how == how
    # "a" has another size than was signed, and "c" was not signed: neither is worth a look.
    assert opened.wanted({"a": 10**15, "b": 1, "c": 5}) == (FilePart("b", 0, 1),)
    assert open_signature(bundle, TrustedSigners.key(PEM)).wanted({"b": 1}) == ()


def test_a_lone_dot_means_the_one_file_also_in_shards(forge: Forge) -> None:
    how = ModelSerialisation(HashAlgorithm.SHA256, LEAST_SHARD)
    content = bytes(5000)
    bundle = sign_model(measured({"lone.onnx": content}, how), forge.signer, name="lone.onnx")
    statement = json.loads(base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"]))
    for item in statement["predicate"]["resources"]:
        item["name"] = item["name"].replace("lone.onnx", ".")
    found = verify_model(forge.sign(statement), forge.pem, measured({"lone.onnx": content}, how))
    assert found.codes == (IssueCode.SINGLE_FILE_NAME,)


@pytest.mark.parametrize("spelled", [4096, 4096.0])
def test_the_size_of_shards_may_be_written_as_the_reference_does(
    spelled: float, forge: Forge
) -> None:
    how = ModelSerialisation(HashAlgorithm.SHA256, 4096)
    bundle = sign_model(measured({"a": bytes(5000)}, how), forge.signer, name="m")
    statement = json.loads(base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"]))
    statement["predicate"]["serialization"]["shard_size"] = spelled
    assert verify_model(
        forge.sign(statement), forge.pem, measured({"a": bytes(5000)}, how)
    ).verified


def test_shards_say_how_they_were_made_as_the_reference_does(forge: Forge) -> None:
    how = ModelSerialisation(HashAlgorithm.SHA256, 4096)
    bundle = sign_model(measured({"a": bytes(5000)}, how), forge.signer, name="m")
    statement = json.loads(base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"]))
    assert [(item["name"], item["algorithm"]) for item in statement["predicate"]["resources"]] == [
        ("a:0:4096", "sha256-sharded-4096"),
        ("a:4096:5000", "sha256-sharded-4096"),
    ]
