"""A disclosed folder is checked as docs/disclosure.md says, by nothing but the standard library."""

import hashlib
import hmac
import json
import re
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from disclosed_folders import named

Command = Callable[..., Any]
TARGET, CHECK = "cpu", "quality.accuracy"


def root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, as it is written there: split at the largest power of two."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\1" + root(leaves[:half]) + root(leaves[half:])).digest()


def commitment(folder: Path, item: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "evidence" / named(folder, item)).read_bytes())
    return found


def opened(folder: Path, item: str) -> list[bytes]:
    """The leaves of an item as its opening gives them."""
    rows = json.loads((folder / "openings" / named(folder, item)).read_bytes())["rows"]
    return [
        bytes.fromhex(row)
        if isinstance(row, str)
        else hashlib.sha256(b"\0" + bytes.fromhex(row[0]) + b64decode(row[1])).digest()
        for row in rows
    ]


def salted(key: bytes, item: str, rows: list[bytes]) -> list[bytes]:
    """The leaves of an item as the record's key gives them."""
    place = json.dumps([TARGET, CHECK, item], separators=(",", ":")).encode()
    own = hmac.new(key, b"auditor/salts/v1\0" + place, "sha256").digest()
    return [
        hashlib.sha256(b"\0" + hashlib.sha256(own + at.to_bytes(8, "big")).digest() + row).digest()
        for at, row in enumerate(rows)
    ]


@pytest.mark.parametrize("item", ["ids", "labels", "decided", "probabilities", "task"])
def test_openings_lead_to_the_roots_that_the_record_names(disclosed: Path, item: str) -> None:
    bound = commitment(disclosed / "part", item)
    leaves = opened(disclosed / "part", item)
    assert len(leaves) == bound["leaves"]
    assert root(leaves).hex() == bound["root"]


@pytest.mark.parametrize("item", ["labels", "probabilities", "task"])
def test_the_key_and_the_rows_lead_there_too(disclosed: Path, item: str) -> None:
    full = disclosed / "full"
    key = bytes.fromhex(json.loads((full / "disclosure.key").read_bytes())["key"])
    raw = (full / "rows" / named(full, item)).read_bytes()
    rows = [raw]
    if item != "task":
        start = raw.index(b"\n") + 1  # the header of a .npy file ends in a line feed
        size = (len(raw) - start) // 240
        rows = [raw[at : at + size] for at in range(start, len(raw), size)]
    assert root(salted(key, item, rows)).hex() == commitment(full, item)["root"]


def test_the_hidden_names_of_data_are_those_of_the_page(disclosed: Path) -> None:
    key = json.loads((disclosed / "full" / "disclosure.key").read_bytes())
    record = json.loads((disclosed / "full" / "record.json").read_bytes())
    raw = (disclosed / "test.csv").read_bytes()
    listed = [{"name": "test.csv", "sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)}]
    plain = hashlib.sha256(json.dumps(listed, separators=(",", ":")).encode()).hexdigest()
    secret, told = bytes.fromhex(key["key"]), f"sha256:{plain}".encode()
    hidden = hmac.new(secret, b"auditor/data/v1\0" + told, "sha256").hexdigest()
    (data,) = (one for one in record["request"]["inputs"] if one["path"] == "test.csv")
    assert (data["sha256"], data["name"], data["size"]) == (hidden, hidden, 0)


@pytest.mark.slow
def test_no_check_names_a_row_in_what_is_signed(auditor: Command, disclosed: Path) -> None:
    lines = (disclosed / "test.csv").read_text().splitlines()
    twins = [line.replace("r", "t", 1) for line in lines[1:120]]  # some rows leak
    (disclosed / "train.csv").write_text("\n".join([lines[0], *twins]) + "\n")
    told = (disclosed / "audit.yaml").read_text()
    training = "  training: {path: train.csv, labels: y, id: id, groups: [town]}\npolicy:"
    (disclosed / "all.yaml").write_text(told.replace("policy:", training))
    assert auditor("audit", "all.yaml", "--out", "all").code in {0, 1, 3}
    for name in ("record.json", "report.html", "summary.md", "results.sarif", "bom.cdx.json"):
        said = (disclosed / "all" / name).read_text()
        assert not re.findall(r"\b[rt]\d+\b", said), name
