"""A trust policy as a file: the keys beside it belong to it, and every mistake has its line."""

import json
from pathlib import Path

import pytest
import yaml
from trust_papers import BUILD, RELEASE, STRANGER, document

from auditor.errors import TrustPolicyError
from auditor.rendering.schemas import mistakes
from auditor.trustfiles import load_trust_policy


def written(folder: Path, **keys: object) -> Path:
    """A policy whose keys lie beside it."""
    found = document()
    found["keys"]["release"] = {"pem": "release.pub", **keys}
    (folder / "release.pub").write_bytes(RELEASE.public_pem())
    path = folder / "trust.yaml"
    path.write_text(yaml.safe_dump(found))
    return path


def test_a_key_beside_the_policy_is_read_and_digested_with_it(tmp_path: Path) -> None:
    read = load_trust_policy(written(tmp_path))
    assert read.policy.keys["release"].pem == RELEASE.public_pem()
    assert [item.name for item in read.files] == ["trust.yaml", "release.pub"]
    # It is the same policy as the one with the key written out.
    (tmp_path / "inline.yaml").write_text(yaml.safe_dump(document()))
    assert read.policy.digest == load_trust_policy(tmp_path / "inline.yaml").policy.digest


def test_another_key_under_the_same_name_is_another_policy(tmp_path: Path) -> None:
    path = written(tmp_path)
    before = load_trust_policy(path).policy.digest
    (tmp_path / "release.pub").write_bytes(BUILD.public_pem())
    with pytest.raises(TrustPolicyError, match="is the same key as"):
        load_trust_policy(path)
    (tmp_path / "release.pub").write_bytes(STRANGER.public_pem())
    assert before != load_trust_policy(path).policy.digest


@pytest.mark.parametrize("name", ["../release.pub", "/etc/passwd", "a//b", "missing.pub", "."])
def test_files_that_are_not_beside_it_are_refused_with_their_line(
    name: str, tmp_path: Path
) -> None:
    path = written(tmp_path, pem=name)
    line = next(at for at, text in enumerate(path.read_text().splitlines(), 1) if name in text)
    with pytest.raises(TrustPolicyError, match=rf"^trust.yaml:{line}: keys.release.pem") as refused:
        load_trust_policy(path)
    assert "own folder" in refused.value.cure


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no settings"),
        ("a: [", "trust.yaml:"),
        ("kind: TrustPolicy\nkind: TrustPolicy\n", "stands twice"),
        ("apiVersion: auditor/v1\nkind: TrustPolicy\nruels: []\n", "trust.yaml:3: ruels"),
    ],
)
def test_what_is_no_policy_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "trust.yaml"
    path.write_text(text)
    with pytest.raises(TrustPolicyError, match=said):
        load_trust_policy(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yaml"):
        with pytest.raises(TrustPolicyError, match="is not a file"):
            load_trust_policy(path)


def test_a_policy_follows_its_published_schema(tmp_path: Path) -> None:
    whole = yaml.safe_load(written(tmp_path).read_text())
    assert mistakes("trust-policy", whole) == []
    assert mistakes("trust-policy", json.loads(json.dumps({**whole, "ruels": []})))
    whole["rules"][0]["require"][0]["any_of"] = [{"root": "acme"}]
    assert mistakes("trust-policy", whole)
