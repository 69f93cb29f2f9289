"""Hands that reach into a disclosed record's folder, and what each of them is told."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from auditor.domain.json import encode_canonical

Change = Callable[[Path], object]
ONLY = [word for check in ("quality.accuracy", "fairness.groups") for word in ("--only", check)]
HIDDEN = ("r1", "r5", "r200")
ACCURACY = "quality.accuracy"
BOUND = "they are not those that were bound"
FORM = "an opening is not of its form"


def named(folder: Path, item: str, check: str = ACCURACY) -> str:
    """The file name under which a check's item is committed to."""
    record = json.loads((folder / "record.json").read_bytes())
    (seen,) = (one for one in record["observations"] if one["check"] == check)
    digest: str = seen["evidence"][item]
    return digest.removeprefix("sha256:")


def everything(folder: Path) -> bytes:
    """All bytes of a folder, those of rows as they are, and the names of its files."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found += [path.name.encode(), path.read_bytes()]
    for path in sorted((folder / "openings").glob("*")):
        rows = json.loads(path.read_bytes())["rows"]
        found += [b64decode(row[1]) for row in rows if isinstance(row, list)]
    return b"\n".join(found)


def opening(folder: Path, item: str = "labels") -> Path:
    return folder / "openings" / named(folder, item)


def edit(item: str, change: Callable[[list[Any]], object]) -> Change:
    """Change the rows of one opening, and write it as it should be written."""

    def act(folder: Path) -> None:
        told = json.loads(opening(folder, item).read_bytes())
        change(told["rows"])
        opening(folder, item).write_bytes(encode_canonical(told))

    return act


def rewrite(change: Callable[[bytes], bytes]) -> Change:
    """Change the bytes of one opening."""

    def act(folder: Path) -> None:
        path = opening(folder)
        path.write_bytes(change(path.read_bytes()))

    return act


def flipped(row: list[str], at: int) -> list[str]:
    """A row with one bit of its salt (0) or its bytes (1) turned round."""
    raw = bytearray(bytes.fromhex(row[0]) if at == 0 else b64decode(row[1]))
    raw[0] ^= 1
    return [raw.hex(), row[1]] if at == 0 else [row[0], b64encode(bytes(raw)).decode()]


def put(rows: list[Any], at: int, row: object) -> None:
    rows[at] = row


def swap(rows: list[Any], one: int, other: int) -> None:
    rows[one], rows[other] = rows[other], rows[one]


def hashed(row: list[str]) -> str:
    """The hash by which a row is withheld."""
    import hashlib  # noqa: PLC0415 -- one line of RFC 6962, beside what it is for

    salted = bytes.fromhex(row[0]) + b64decode(row[1])
    return hashlib.sha256(b"\0" + salted).hexdigest()


def exchange(folder: Path) -> None:
    one, other = opening(folder, "labels"), opening(folder, "decided")
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def other_name(folder: Path) -> None:
    told = json.loads(opening(folder).read_bytes())
    told["commitment"] = f"sha256:{named(folder, 'decided')}"
    opening(folder).write_bytes(encode_canonical(told))


def linked(folder: Path) -> None:
    path = opening(folder)
    path.rename(folder.parent / "elsewhere")
    path.symlink_to(folder.parent / "elsewhere")


def commitment(change: Callable[[dict[str, Any]], object]) -> Change:
    def act(folder: Path) -> None:
        path = folder / "evidence" / named(folder, "labels")
        told = json.loads(path.read_bytes())
        change(told)
        path.write_bytes(encode_canonical(told))

    return act


def planted(name: str, raw: bytes = b"x") -> Change:
    def act(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(raw)

    return act


def record(folder: Path) -> None:
    path = folder / "record.json"
    path.write_bytes(path.read_bytes().replace(b'"committed":true', b'"committed":null'))


def ids_alone(folder: Path) -> None:
    """Show one row less of the ids than of all else."""
    edit("ids", lambda rows: put(rows, 0, hashed(rows[0])))(folder)


def header(folder: Path) -> None:
    raw = opening(folder).read_bytes()
    opening(folder).write_bytes(raw.replace(b"opening/v1", b"opening/v2"))


PARTLY: Mapping[str, tuple[Change, str]] = {
    "a row's value": (edit("labels", lambda rows: put(rows, 7, flipped(rows[7], 1))), BOUND),
    "a row's salt": (edit("labels", lambda rows: put(rows, 7, flipped(rows[7], 0))), BOUND),
    "two rows swapped": (edit("labels", lambda rows: swap(rows, 7, 8)), BOUND),
    "a shown and a withheld row swapped": (edit("labels", lambda rows: swap(rows, 1, 8)), BOUND),
    "all rows moved by one": (edit("labels", lambda rows: rows.append(rows.pop(0))), BOUND),
    "a row doubled in another's place": (
        edit("labels", lambda rows: put(rows, 8, rows[7])),
        BOUND,
    ),
    "a row doubled": (edit("labels", lambda rows: rows.append(rows[7])), "has 241 rows, and 240"),
    "a row left out": (edit("labels", lambda rows: rows.pop()), "has 239 rows, and 240"),
    "all rows left out": (edit("labels", lambda rows: rows.clear()), "has 0 rows, and 240"),
    "two rows made one hash": (
        edit("labels", lambda rows: (rows.pop(), put(rows, -1, hashed(rows[-1])))),
        "has 239 rows",
    ),
    "a withheld row's hash": (edit("labels", lambda rows: put(rows, 1, "00" * 32)), BOUND),
    "a withheld row invented": (
        edit("labels", lambda rows: put(rows, 1, rows[7])),
        BOUND,
    ),
    "a shown row withheld by another hash": (
        edit("labels", lambda rows: put(rows, 7, rows[1])),
        BOUND,
    ),
    "a row shown in one place only": (ids_alone, "withholds other rows in one place"),
    "a row made longer": (
        edit("labels", lambda rows: put(rows, 7, [rows[7][0], b64encode(bytes(16)).decode()])),
        BOUND,
    ),
    "a byte moved from the row to its salt": (
        edit("labels", lambda rows: put(rows, 7, [rows[7][0] + "00", rows[7][1]])),
        FORM,
    ),
    "a salt cut short": (
        edit("labels", lambda rows: put(rows, 7, [rows[7][0][:-2], rows[7][1]])),
        FORM,
    ),
    "a row of three parts": (edit("labels", lambda rows: rows[7].append("")), FORM),
    "a row that is a number": (edit("labels", lambda rows: put(rows, 7, 1)), FORM),
    "a salt in capitals": (
        edit("labels", lambda rows: put(rows, 7, [rows[7][0].upper(), rows[7][1]])),
        FORM,
    ),
    "base64 without its end": (
        edit("labels", lambda rows: put(rows, 7, [rows[7][0], rows[7][1].rstrip("=")])),
        FORM,
    ),
    "a space more": (rewrite(lambda raw: raw + b" "), FORM),
    "a member twice": (rewrite(lambda raw: raw[:-1] + b',"rows":[]}'), FORM),
    "a member more": (rewrite(lambda raw: raw[:-1] + b',"zeal":1}'), FORM),
    "another version": (header, FORM),
    "no JSON": (rewrite(lambda raw: raw[:40]), FORM),
    "deep JSON": (rewrite(lambda raw: b"[" * 100_000), FORM),
    "nothing": (rewrite(lambda raw: b""), FORM),
    "two openings exchanged": (exchange, "is of another commitment"),
    "an opening under another's name": (other_name, "is of another commitment"),
    "a link": (linked, "it is a symbolic link"),
    "a root of one's own": (
        commitment(lambda told: told.update(root="00" * 32)),
        "is damaged",
    ),
    "fewer rows promised": (
        commitment(lambda told: told.update(leaves=239, shape=[239])),
        "is damaged",
    ),
    "is not a commitment": (
        lambda folder: (folder / "evidence" / named(folder, "labels")).unlink(),
        "cannot be read",
    ),
    "an opening of nothing": (planted(f"openings/{'ab' * 32}"), "opens nothing that is named"),
    "rows without a key": (planted(f"rows/{'ab' * 32}"), "do not go together"),
    "a key beside openings": (planted("disclosure.key"), "do not go together"),
    "an erasure beside openings": (planted("erasure.tlog-proof"), "which was to be gone"),
    "evidence that is plain": (record, "record.json"),
}
"""What is done to a folder of which rows are withheld, and what the reason must say."""


def rows(folder: Path, item: str = "labels") -> Path:
    return folder / "rows" / named(folder, item)


def key(change: Callable[[dict[str, Any]], object]) -> Change:
    def act(folder: Path) -> None:
        path = folder / "disclosure.key"
        told = json.loads(path.read_bytes())
        change(told)
        path.write_bytes(encode_canonical(told))

    return act


def rows_changed(folder: Path) -> None:
    raw = bytearray(rows(folder).read_bytes())
    raw[-8] ^= 1
    rows(folder).write_bytes(bytes(raw))


def rows_exchanged(folder: Path) -> None:
    one, other = rows(folder, "labels"), rows(folder, "decided")
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def written_otherwise(folder: Path) -> None:
    path = rows(folder, "task")
    path.write_bytes(path.read_bytes().replace(b",", b", "))


ANOTHER = "is the key of another record"
FULLY: Mapping[str, tuple[Change, str]] = {
    "a row's value": (rows_changed, "its rows are not those that the record binds"),
    "the rows of another item": (rows_exchanged, "its rows are not those that the record binds"),
    "the same rows in other bytes": (written_otherwise, "not those that the record binds"),
    "no array": (
        lambda folder: rows(folder).write_bytes(b"x"),
        "its rows are neither an array nor JSON",
    ),
    "no rows": (lambda folder: rows(folder).unlink(), "cannot be read"),
    "no key": (lambda folder: (folder / "disclosure.key").unlink(), "do not go together"),
    "another key": (key(lambda told: told.update(key="00" * 32)), "does not stand for the input"),
    "a short key": (key(lambda told: told.update(key="00" * 31)), "is not of its form"),
    "a key for fewer": (key(lambda told: told["blobs"].popitem()), ANOTHER),
    "a key for more": (key(lambda told: told["blobs"].update({"sha256:00": "sha256:00"})), ANOTHER),
    "an input more": (
        key(
            lambda told: told["inputs"].update({"x": {"name": "x", "size": 1, "sha256": "ab" * 32}})
        ),
        ANOTHER,
    ),
    "an input of no digest": (
        key(lambda told: told["inputs"].update({"x": {"name": "x", "size": 1, "sha256": "x"}})),
        "is not of its form",
    ),
    "another input": (
        key(lambda told: next(iter(told["inputs"].values())).update(sha256="0" * 64)),
        "does not stand for the input",
    ),
    "another blob": (
        key(lambda told: told["blobs"].update(dict.fromkeys(told["blobs"], "sha256:00"))),
        "its rows are not those that the record binds",
    ),
    "an opening too": (planted(f"openings/{'ab' * 32}"), "do not go together"),
    "rows that nobody named": (planted(f"rows/{'ab' * 32}"), "opens nothing that is named"),
}
"""What is done to a folder that has everything, and what the reason must say."""
