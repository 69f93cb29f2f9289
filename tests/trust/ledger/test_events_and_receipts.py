"""Leaves say nothing of anyone, open to whoever has the salt, and are proved by a text file."""

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.json import compute_digest, encode_canonical, parse_json
from auditor.errors import LedgerError
from auditor.trust.ledger.events import (
    LeafOpening,
    LedgerEvent,
    LedgerEventType,
    LedgerLeaf,
    open_receipt,
)
from auditor.trust.ledger.key_events import KeyChange, KeyEvent
from auditor.trust.ledger.merkle import TreeHead, leaf_hash, merkle_root
from auditor.trust.ledger.notes import MOST_BYTES, LogCheckpoint, MemoryNoteSigner, sign_checkpoint
from auditor.trust.ledger.receipts import LedgerReceipt

NOW = "2026-01-01T00:00:00Z"
SALT = b"s" * 32
EVENT = LedgerEvent(
    LedgerEventType.RECORD,
    compute_digest(b"bundle"),
    NOW,
    {"record": compute_digest(b"record"), "data.evaluation": compute_digest(b"rows")},
    "aud-0123456789",
)
LEAF = EVENT.leaf(SALT, 4)
HASH_LINE = f"{base64.b64encode(SALT).decode()}\n"
LOG = MemoryNoteSigner("log.example/1", Ed25519PrivateKey.from_private_bytes(bytes(32)))
OPENING = LeafOpening(LEAF, SALT, EVENT.digest, EVENT.subjects)


def receipt(leaf: LedgerLeaf = LEAF, opening: LeafOpening = OPENING) -> bytes:
    other = leaf_hash(b"another entry")
    head = TreeHead(2, merkle_root([other, leaf_hash(leaf.entry())]))
    note = sign_checkpoint(LogCheckpoint(LOG.name, head), LOG)
    return LedgerReceipt(1, (other,), note, opening.emit()).emit()


def test_a_leaf_holds_salted_digests_and_no_others() -> None:
    found = parse_json(LEAF.entry())
    assert isinstance(found, dict)
    assert found["v"] == 1
    assert found["type"] == "record"
    assert found["after"] == 4
    text = LEAF.entry().decode()
    for plain in (EVENT.digest, *EVENT.subjects.values()):
        assert plain.removeprefix("sha256:") not in text
    assert SALT.hex() not in text


def test_equal_events_under_other_salts_share_nothing_but_what_is_public() -> None:
    other = EVENT.leaf(b"t" * 32, 4)
    assert other.digest != LEAF.digest
    assert not set(other.subjects.values()) & set(LEAF.subjects.values())


def test_one_digest_in_two_roles_gives_two_salted_ones() -> None:
    twice = LedgerEvent(
        LedgerEventType.RECORD, EVENT.digest, NOW, {"a": EVENT.digest, "b": EVENT.digest}
    )
    leaf = twice.leaf(SALT, 0)
    assert len({leaf.digest, *leaf.subjects.values()}) == 3


@given(
    st.sampled_from(LedgerEventType),
    st.binary(max_size=8),
    st.dictionaries(st.from_regex(r"[a-z][a-z0-9_.:-]{0,9}", fullmatch=True), st.text(max_size=9)),
    st.binary(min_size=32, max_size=32),
    st.integers(0, 2**50),
)
def test_a_leaf_is_canonical_json_and_reads_back(
    kind: LedgerEventType, raw: bytes, subjects: dict[str, str], salt: bytes, after: int
) -> None:
    subjects.pop("digest", None)
    event = LedgerEvent(kind, compute_digest(raw), NOW, subjects)
    leaf = event.leaf(salt, after)
    assert leaf.entry() == encode_canonical(parse_json(leaf.entry()))
    assert LedgerLeaf.parse(leaf.entry()) == leaf
    assert leaf.opens(replace(event, id=leaf.id), salt)
    assert not leaf.opens(replace(event, id=leaf.id, digest=compute_digest(raw + b"x")), salt)


@pytest.mark.parametrize(
    "bad",
    [
        replace(EVENT, id="Jane Doe"),
        replace(EVENT, id=""),
        replace(EVENT, subjects={"Role": "x"}),
        replace(EVENT, subjects={"digest": "x"}),
        replace(EVENT, time="2026-01-01"),
        replace(EVENT, time="2026-01-01T00:00:00+00:00"),
    ],
)
def test_an_event_of_another_form_is_refused(bad: LedgerEvent) -> None:
    with pytest.raises(LedgerError):
        bad.leaf(SALT, 0)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        LEAF.entry() + b" ",
        LEAF.entry().replace(b'"v":1', b'"v":2'),
        LEAF.entry().replace(b"record", b"memory"),
        LEAF.entry().replace(b'"after":4', b'"after":true'),
        LEAF.entry().replace(b'"after":4', b'"after":"4"'),
        LEAF.entry().replace(b'"v":1}', b'"v":1,"x":1}'),
    ],
)
def test_an_entry_of_another_form_is_refused(raw: bytes) -> None:
    with pytest.raises(LedgerError):
        LedgerLeaf.parse(raw)


def test_an_event_without_an_id_is_named_after_its_salted_digest() -> None:
    leaf = replace(EVENT, id=None).leaf(SALT, 0)
    assert leaf.id == f"record-{leaf.digest[:24]}"


def test_a_receipt_proves_its_event() -> None:
    found = open_receipt(receipt(), LOG.key)
    assert found.opening.event == EVENT
    assert (found.index, found.head.size, found.origin) == (1, 2, LOG.name)
    assert receipt().startswith(b"c2sp.org/tlog-proof@v1\nextra ")


def test_a_receipt_of_another_leaf_salt_or_key_is_refused() -> None:
    other = replace(EVENT, digest=compute_digest(b"other"))
    forged = LeafOpening(other.leaf(SALT, 4), SALT, other.digest, other.subjects)
    with pytest.raises(LedgerError, match="does not lead"):
        open_receipt(receipt(opening=forged), LOG.key)
    for opening in (
        replace(OPENING, salt=b"t" * 32),
        replace(OPENING, digest=compute_digest(b"other")),
        replace(OPENING, salt=b"s"),
    ):
        with pytest.raises(LedgerError, match="cannot be opened"):
            open_receipt(receipt(opening=opening), LOG.key)
    stranger = MemoryNoteSigner(LOG.name, Ed25519PrivateKey.from_private_bytes(b"x" * 32))
    with pytest.raises(LedgerError, match="not signed by"):
        open_receipt(receipt(), stranger.key)


def test_what_opens_a_leaf_must_be_text_that_can_be_written() -> None:
    raw = OPENING.emit().replace(EVENT.digest.encode(), rb"\ud800")
    with pytest.raises(LedgerError, match="malformed"):
        LeafOpening.parse(raw)


@given(st.integers(0, len(receipt()) - 1), st.integers(1, 255))
def test_no_byte_of_a_receipt_can_be_another(at: int, by: int) -> None:
    raw = bytearray(receipt())
    raw[at] ^= by
    with pytest.raises(LedgerError):
        open_receipt(bytes(raw), LOG.key)


@given(st.binary(max_size=200))
def test_noise_is_no_receipt_and_opens_nothing(raw: bytes) -> None:
    for read in (LedgerReceipt.parse, LeafOpening.parse):
        with pytest.raises(LedgerError):
            read(raw)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("index 1", "index 01"),
        lambda text: text.replace("index 1\n", "index 1\nAAAA\n"),
        lambda text: text.replace("index 1\n", ""),
        lambda text: text.replace("@v1", "@v2"),
        lambda text: text.replace("extra ", "extra  "),
        lambda text: text.replace("index 1\n", "index 1\n" + HASH_LINE * 63),
    ],
)
def test_a_receipt_that_is_spelled_otherwise_is_refused(change: object) -> None:
    assert callable(change)
    raw = change(receipt().decode()).encode()
    assert raw != receipt()
    with pytest.raises(LedgerError):
        LedgerReceipt.parse(raw)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"c2sp.org/tlog-proof@v1\nindex 1", "has no checkpoint"),
        (b"c2sp.org/tlog-proof@v1\n\nnote", "has no index"),
        (b"c2sp.org/tlog-proof@v1\nextra AAAA\n\nnote", "has no index"),
    ],
)
def test_a_receipt_that_lacks_a_part_is_refused_by_name(raw: bytes, words: str) -> None:
    with pytest.raises(LedgerError, match=words):
        LedgerReceipt.parse(raw)


def test_a_receipt_may_do_without_what_helps_and_bring_many_hashes() -> None:
    whole = LedgerReceipt(7, (leaf_hash(b""),) * 63, b"note")
    assert whole.emit().startswith(b"c2sp.org/tlog-proof@v1\nindex 7\n")
    assert LedgerReceipt.parse(whole.emit()) == whole


def test_a_receipt_has_a_most_of_bytes() -> None:
    bare = LedgerReceipt(1, (), b"")
    full = replace(bare, note=b"x" * (MOST_BYTES - len(bare.emit())))
    assert LedgerReceipt.parse(full.emit()) == full
    with pytest.raises(LedgerError, match="more than 1048576 bytes"):
        LedgerReceipt.parse(full.emit() + b"x")


def test_a_key_event_names_its_key_in_its_document() -> None:
    event, document = KeyEvent(KeyChange.IN_USE, "ledger", str(LOG.key)).event(NOW)
    assert event.digest == compute_digest(document)
    assert str(LOG.key) in document.decode()
    assert event.leaf(SALT, 0).id.startswith("key-ledger-")
