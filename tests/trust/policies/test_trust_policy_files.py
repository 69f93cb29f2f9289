"""A trust policy as a file: the keys beside it belong to it, and every mistake has its line."""

import json
import re
from pathlib import Path

import pytest
import yaml
from trust_papers import BUILD, CI, RELEASE, STRANGER, authority, document

from auditor.errors import TrustPolicyError
from auditor.reports.schemas import find_schema_errors
from auditor.trust.policies.evaluate_signature import RULE
from auditor.trust.policies.read import CLOCKS, HEAD, TOP
from auditor.trust.policy_files import load_trust_policy
from auditor.trust.timestamps import TimestampAuthorities
from auditor.trust.verification_result import IssueCode


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
    with_next = yaml.safe_load((tmp_path / "trust.yaml").read_text())
    with_next["metadata"]["next_owner"] = "next.pub"
    (tmp_path / "next.yaml").write_text(yaml.safe_dump(with_next))
    (tmp_path / "next.pub").write_bytes(STRANGER.public_pem())
    assert load_trust_policy(tmp_path / "next.yaml").policy.next_owner == STRANGER.public_pem()
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
    assert find_schema_errors("trust-policy", whole) == []
    assert find_schema_errors("trust-policy", json.loads(json.dumps({**whole, "ruels": []})))
    for clocks in ({"roots": []}, {"policies": ["1.2.3"]}, {"roots": ["a"], "policies": ["1.02"]}):
        assert find_schema_errors("trust-policy", {**whole, "clocks": clocks})
    whole["rules"][0]["require"][0]["any_of"] = [{"root": "acme"}]
    assert find_schema_errors("trust-policy", whole)


PAGE = (Path(__file__).parents[3] / "docs" / "trust.md").read_text(encoding="utf-8")


def test_the_policy_of_the_documentation_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "trust.yaml"
    path.write_text(PAGE.split("```yaml\n")[1].split("```")[0])
    for name, key in {"ops": RELEASE, "build": BUILD, "ci": CI}.items():
        (tmp_path / f"{name}.pub").write_bytes(key.public_pem())
    root = authority()
    for name in ("ca.pem", "tsa.pem"):
        (tmp_path / name).write_bytes(root)
    (tmp_path / "trusted_root.json").write_text("{}")
    read = load_trust_policy(path).policy
    assert [item.models for item in read.rules] == [("credit-*",)]
    assert read.clocks == TimestampAuthorities(
        (root,), frozenset({"1.3.6.1.4.1.99999.1"}), read.revoked
    )
    assert find_schema_errors("trust-policy", yaml.safe_load(dated(path.read_text()))) == []


def test_the_documentation_names_every_setting_and_code() -> None:
    for name in (
        *TOP,
        *HEAD,
        *RULE,
        *CLOCKS,
        "pem",
        "trusted_root",
        "since",
        "highest",
        "roles",
        "optional",
    ):
        assert name in {"apiVersion", "kind"} or f"`{name}`" in PAGE, name
    ours = list(IssueCode)[list(IssueCode).index(IssueCode.POLICY_EXPIRED) :]
    assert len(ours) == 13
    assert [code for code in ours if f"`{code}`" not in PAGE] == []


def dated(text: str) -> str:
    """Quote the days and times, which YAML would read as such."""
    return re.sub(r"(\d{4}-\d{2}-\d{2}(T[\d:]+Z)?)", r'"\1"', text)
