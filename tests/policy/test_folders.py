"""Finding policies by name and by path."""

from pathlib import Path

import pytest
from pack_cases import RULE, written

from auditor.errors import PolicyError
from auditor.policy.control_catalogues import load_catalogues, read_catalogue
from auditor.policy.load import MOST_BYTES, find_policy_bytes, list_policies


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "mine.yaml").write_bytes(written(RULE))
    (folder / "other.v2.yaml").write_bytes(written(RULE))
    return folder


def test_a_name_finds_a_pack_and_a_path_finds_a_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_bytes(b"own")
    assert find_policy_bytes("mine", tmp_path, folder) == (written(RULE), "mine.yaml")
    assert find_policy_bytes("other.v2", tmp_path, folder)[1] == "other.v2.yaml"
    assert find_policy_bytes("own.yaml", tmp_path, folder) == (b"own", "own.yaml")
    assert find_policy_bytes(str(tmp_path / "own.yaml"), folder, folder)[0] == b"own"


@pytest.mark.parametrize("wanted", ["nobody", "../policies/nobody.yaml", "", ".", "/", "policies"])
def test_what_is_not_there_is_answered_with_what_is(
    folder: Path, tmp_path: Path, wanted: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        find_policy_bytes(wanted, tmp_path, folder)
    assert "mine, other.v2" in caught.value.cure


def test_a_file_that_is_too_large_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(PolicyError, match="more than 1,000,000"):
        find_policy_bytes("large.yaml", tmp_path, folder)


def test_packs_are_listed_with_name_version_and_owner(folder: Path) -> None:
    first, _ = list_policies(folder)
    assert first.to_json() == {
        "name": "mine",
        "version": "1.0.0",
        "owner": "risk@example.org",
        "rules": 1,
        "description": "",
    }


CATALOGUE = """\
apiVersion: auditor/v1
kind: Catalogue
metadata: {framework: f, title: F, version: '1', source: 'https://e.org', verified: 2026-11-27}
controls: {A.1: First}
"""


def test_a_framework_has_one_catalogue(tmp_path: Path) -> None:
    folder = tmp_path / "catalogues"
    folder.mkdir()
    (folder / "a.yaml").write_text(CATALOGUE)
    assert load_catalogues(tmp_path)["f"].controls == {"A.1": "First"}
    (folder / "b.yaml").write_text(CATALOGUE)
    with pytest.raises(PolicyError, match=r"b\.yaml describes f"):
        load_catalogues(tmp_path)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{A.1: First}", "{}"),
        ("2026-11-27", "lately"),
        ("2026-11-27", "2026-11-31"),
        ("First", "3"),
    ],
)
def test_a_malformed_catalogue_is_refused(before: str, after: str) -> None:
    with pytest.raises(PolicyError, match=r"c\.yaml"):
        read_catalogue(CATALOGUE.replace(before, after).encode(), "c.yaml")
