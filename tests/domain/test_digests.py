"""A digest is one text, and no other text is one."""

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import auditor._yaml  # noqa: F401 -- teaches PyYAML what a digest is
from auditor.domain.artifacts import FileDigest
from auditor.domain.digests import Digest, is_digest
from auditor.domain.json import compute_digest, encode_canonical
from auditor.errors import RecordError

DIGITS = hashlib.sha256(b"abc").hexdigest()


@given(st.binary())
def test_a_digest_is_its_text_and_gives_its_digits(raw: bytes) -> None:
    found = compute_digest(raw)
    assert found == f"sha256:{hashlib.sha256(raw).hexdigest()}"
    assert found.hex == hashlib.sha256(raw).hexdigest()
    assert Digest(found) == Digest.of_hex(found.hex) == found
    assert (
        encode_canonical({"digest": found})
        == json.dumps({"digest": found}).replace(": ", ":").encode()
    )
    assert type(found.hex) is type(str(found)) is str
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 -- our own bytes


@pytest.mark.parametrize(
    "text",
    [
        "",
        DIGITS,
        f"sha256:{DIGITS.upper()}",
        f"SHA256:{DIGITS}",
        f"sha256:{DIGITS[:-1]}",
        f"sha256:{DIGITS}0",
        f"sha256:{DIGITS}\n",
        f" sha256:{DIGITS}",
        f"key:sha256:{DIGITS}",
        f"sha256:../{DIGITS[3:]}",
        "sha256:" + "\u0661" * 64,
    ],
)
def test_no_other_text_is_a_digest(text: str) -> None:
    assert not is_digest(text)
    with pytest.raises(RecordError, match="is not a digest"):
        Digest(text)


def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert Digest.of_file(tmp_path / "a") == FileDigest.of("a", b"abc").digest
    assert FileDigest.of("a", b"abc").digest.hex == DIGITS


def test_a_digest_is_written_into_yaml_as_its_text() -> None:
    found = compute_digest(b"abc")
    assert yaml.safe_load(yaml.safe_dump({"digest": found})) == {"digest": str(found)}
