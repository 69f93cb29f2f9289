"""Manifests of shards and of other hashes that leave bytes out, or mean two things."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hostile_corpus import Made, case, register
from signature_forge import Forge, file_digest

from auditor.trust.signatures.model_serialisations import HashAlgorithm, ModelSerialisation
from auditor.trust.signatures.model_signing import ModelFileDigests
from auditor.trust.verification_result import IssueCode

SHARD = 4096
CONTENTS = {"empty": b"", "m.bin": bytes(range(256)) * 40, "n:1:2": b"n"}
"""Of three shards, none, and one."""
Spans = Sequence[tuple[str, int, int]]


def spans(contents: Mapping[str, bytes] = CONTENTS) -> list[tuple[str, int, int]]:
    sizes = {name: len(content) for name, content in contents.items()}
    parts = ModelSerialisation(HashAlgorithm.SHA256, SHARD).parts(sizes)
    return [(part.name, part.start or 0, part.end or 0) for part in parts]


def measured(
    contents: Mapping[str, bytes] = CONTENTS,
    kind: HashAlgorithm = HashAlgorithm.SHA256,
    shard: int | None = SHARD,
) -> ModelFileDigests:
    """What a verifier measures of such files."""
    how = ModelSerialisation(kind, shard)
    sizes = {name: len(content) for name, content in contents.items()}
    digests = {
        part.label: hashlib.new(kind, contents[part.name][part.start : part.end]).hexdigest()
        for part in how.parts(sizes)
    }
    return ModelFileDigests(sizes, digests, how)


def sharded(forge: Forge, listed: Spans | None = None, size: object = SHARD) -> dict[str, Any]:
    """A statement whose shards are those listed, each with its true digest."""
    statement = forge.statement(())
    statement["predicate"]["serialization"].update(method="shards", shard_size=size)
    statement["predicate"]["resources"] = [
        {
            "name": f"{name}:{start}:{end}",
            "algorithm": f"sha256-sharded-{SHARD}",
            "digest": hashlib.sha256(CONTENTS.get(name, b"")[start:end]).hexdigest(),
        }
        for name, start, end in (spans() if listed is None else listed)
    ]
    return forge.rooted(statement)


def spans_case(
    name: str, code: IssueCode, change: Callable[[list[tuple[str, int, int]]], object]
) -> None:
    """A case in which other shards are signed than the file has."""

    def build(forge: Forge) -> Made:
        listed = spans()
        change(listed)
        return forge.sign(sharded(forge, listed)), measured()

    register(name, code, build)


def size_case(name: str, code: IssueCode, size: object) -> None:
    def build(forge: Forge) -> Made:
        return forge.sign(sharded(forge, size=size)), measured()

    register(name, code, build)


def name_case(name: str, code: IssueCode, spelled: str) -> None:
    """A case in which one shard has another name."""

    def build(forge: Forge) -> Made:
        statement = sharded(forge)
        statement["predicate"]["resources"][1]["name"] = spelled
        return forge.sign(statement), measured()

    register(name, code, build)


spans_case("shard_left_out_at_the_start", IssueCode.SHARDS, lambda s: s.remove(("m.bin", 0, 4096)))
spans_case(
    "shard_left_out_in_the_middle", IssueCode.SHARDS, lambda s: s.remove(("m.bin", 4096, 8192))
)
spans_case(
    "shard_left_out_at_the_end",
    IssueCode.DIGEST_MISMATCH,
    lambda s: s.remove(("m.bin", 8192, 10240)),
)
spans_case("shard_signed_twice", IssueCode.DUPLICATE, lambda s: s.insert(1, s[1]))
spans_case("shards_that_overlap", IssueCode.SHARDS, lambda s: s.insert(2, ("m.bin", 2048, 6144)))
spans_case(
    "shard_of_another_size",
    IssueCode.SHARDS,
    lambda s: s.__setitem__(slice(1, 4), [("m.bin", 0, 10240)]),
)
spans_case(
    "shard_beyond_the_end",
    IssueCode.DIGEST_MISMATCH,
    lambda s: s.__setitem__(3, ("m.bin", 8192, 12288)),
)
spans_case(
    "empty_shard_beside_full_ones", IssueCode.SHARDS, lambda s: s.insert(4, ("m.bin", 10240, 10240))
)
spans_case(
    "shard_that_ends_before_it_starts",
    IssueCode.SHARDS,
    lambda s: s.__setitem__(2, ("m.bin", 4096, 4000)),
)
spans_case("empty_file_without_a_shard", IssueCode.EXTRA_FILE, lambda s: s.remove(("empty", 0, 0)))
spans_case("file_without_shards", IssueCode.EXTRA_FILE, lambda s: s.remove(("n:1:2", 0, 1)))
spans_case(
    "shards_of_a_file_that_is_not_there", IssueCode.MISSING_FILE, lambda s: s.append(("z", 0, 1))
)
spans_case("shards_out_of_order", IssueCode.RESOURCE_ORDER, list.reverse)
spans_case(
    "shards_of_one_file_out_of_order", IssueCode.RESOURCE_ORDER, lambda s: s.insert(1, s.pop(3))
)
spans_case(
    "shards_of_the_end_of_the_world", IssueCode.SHARDS,
    lambda s: s.__setitem__(3, ("m.bin", 8192, 999999999999999999)),
)  # fmt: skip
size_case("shards_of_no_size", IssueCode.SHARDS, 0)
size_case("shards_of_a_negative_size", IssueCode.SHARDS, -4096)
size_case("shards_of_one_byte", IssueCode.SHARDS, 1)
size_case("shards_of_half_a_byte", IssueCode.FORMAT, 4096.5)
size_case("shards_of_a_size_in_words", IssueCode.FORMAT, "4096")
size_case("shards_of_a_true_size", IssueCode.FORMAT, True)  # noqa: FBT003 -- JSON
size_case("shards_of_another_size_than_hashed", IssueCode.HASH_TYPE, 8192)
name_case("shard_without_a_place", IssueCode.SHARDS, "m.bin")
name_case("shard_with_half_a_place", IssueCode.SHARDS, "m.bin:0")
name_case("shard_with_a_signed_place", IssueCode.SHARDS, "m.bin:+0:4096")
name_case("shard_with_leading_zeros", IssueCode.SHARDS, "m.bin:00:4096")
name_case("shard_in_other_digits", IssueCode.SHARDS, "m.bin:0:\uff14096")
name_case("shard_with_spaces", IssueCode.SHARDS, "m.bin: 0:4096")
name_case("shard_outside_the_folder", IssueCode.PATH_ESCAPE, "../m.bin:0:4096")
name_case("shard_of_no_file", IssueCode.RESOURCE_NAME, ":0:4096")


@case(IssueCode.DIGEST_MISMATCH)
def a_byte_changed_in_a_shard(forge: Forge) -> Made:
    changed = bytearray(CONTENTS["m.bin"])
    changed[5000] ^= 1
    return forge.sign(sharded(forge)), measured({**CONTENTS, "m.bin": bytes(changed)})


@case(IssueCode.DIGEST_MISMATCH)
def bytes_added_after_the_last_shard(forge: Forge) -> Made:
    return forge.sign(sharded(forge)), measured({**CONTENTS, "m.bin": CONTENTS["m.bin"] + b"x"})


@case(IssueCode.EXTRA_FILE)
def an_empty_file_added_beside_shards(forge: Forge) -> Made:
    return forge.sign(sharded(forge)), measured({**CONTENTS, "__init__.py": b""})


@case(IssueCode.UNMEASURED)
def shards_where_whole_files_were_measured(forge: Forge) -> Made:
    files = tuple(file_digest(name, content) for name, content in CONTENTS.items())
    return forge.sign(sharded(forge)), files


@case(IssueCode.UNMEASURED)
def whole_files_where_shards_were_measured(forge: Forge) -> Made:
    files = tuple(file_digest(name, content) for name, content in CONTENTS.items())
    return forge.sign(forge.statement(files)), measured()


def hashed(forge: Forge, kind: str, digests: Mapping[str, str]) -> dict[str, Any]:
    statement = forge.statement(())
    statement["predicate"]["serialization"]["hash_type"] = kind
    statement["predicate"]["resources"] = [
        {"name": name, "algorithm": kind, "digest": digest} for name, digest in digests.items()
    ]
    return forge.rooted(statement)


@case(IssueCode.DIGEST_MISMATCH)
def a_file_changed_under_blake2b(forge: Forge) -> Made:
    signed = hashed(forge, "blake2b", measured(kind=HashAlgorithm.BLAKE2B, shard=None).digests)
    other = measured({**CONTENTS, "empty": b"x"}, HashAlgorithm.BLAKE2B, None)
    return forge.sign(signed), other


@case(IssueCode.DIGEST_FORMAT)
def blake2b_cut_to_the_length_of_sha256(forge: Forge) -> Made:
    whole = measured(kind=HashAlgorithm.BLAKE2B, shard=None)
    cut = {name: digest[:64] for name, digest in whole.digests.items()}
    return forge.sign(hashed(forge, "blake2b", cut)), whole


@case(IssueCode.UNMEASURED)
def sha256_digests_called_blake3(forge: Forge) -> Made:
    # Both have 64 digits; whoever compares texts alone takes one for the other.
    whole = measured(shard=None)
    return forge.sign(hashed(forge, "blake3", whole.digests)), whole


for kind in ("sha1", "sha512", "SHA256", "blake2", ""):

    def of_another_hash(forge: Forge, kind: str = kind) -> Made:
        return forge.sign(hashed(forge, kind, measured(shard=None).digests)), measured(shard=None)

    register(f"hash_called_{kind or 'nothing'}", IssueCode.HASH_TYPE, of_another_hash)
