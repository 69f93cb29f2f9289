"""Signed notes, checkpoints and cosignatures: what holds, and that nothing else does."""

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import LedgerError
from auditor.trust.ledger.merkle import EMPTY, TreeHead
from auditor.trust.ledger.notes import (
    LogCheckpoint,
    MemoryNoteSigner,
    NoteKey,
    SignedNote,
    WitnessRequest,
    add_signatures,
    cosign_checkpoint,
    find_cosignature_time,
    find_cosigners,
    open_checkpoint,
    open_note,
    read_cosignatures,
    read_witness_size,
    sign_checkpoint,
    sign_note,
    to_witness_key,
)

# The example of golang.org/x/mod/sumdb/note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdng"
    "otpRZb6KE6RyyBwJnAM=\n"
).encode()
LOG = MemoryNoteSigner("log.example/1", Ed25519PrivateKey.from_private_bytes(bytes(32)))
WITNESS = MemoryNoteSigner("witness.example/w", Ed25519PrivateKey.from_private_bytes(b"w" * 32))
POINT = LogCheckpoint(LOG.name, TreeHead(7, b"r" * 32))
SIGNED = sign_checkpoint(POINT, LOG)


def test_a_note_of_go_opens() -> None:
    key = NoteKey.parse(GO_KEY)
    assert str(key) == GO_KEY
    assert open_note(GO_NOTE, key).emit() == GO_NOTE


@pytest.mark.parametrize(
    "text",
    [
        "",
        GO_KEY.replace("c74f20a3", "c74f20a4"),
        GO_KEY[:-1],
        GO_KEY + "A",
        "a+b+c",
        GO_KEY.replace("Peter", "Pe ter"),
        GO_KEY + "\n",
    ],
)
def test_a_key_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(LedgerError):
        NoteKey.parse(text)


@given(st.integers(0, len(GO_NOTE) - 1), st.integers(1, 255))
def test_a_note_with_any_other_byte_is_refused(at: int, by: int) -> None:
    raw = bytearray(GO_NOTE)
    raw[at] ^= by
    with pytest.raises(LedgerError):
        open_note(bytes(raw), NoteKey.parse(GO_KEY))


@given(st.binary(max_size=300))
def test_noise_is_no_note_and_no_proof(raw: bytes) -> None:
    for read in (SignedNote.parse, WitnessRequest.parse):
        with pytest.raises(LedgerError):
            read(raw)


def test_signatures_of_others_are_ignored_and_a_false_one_of_the_key_refuses() -> None:
    text = "one\n"
    both = sign_note(text, (WITNESS, LOG))
    assert open_note(both, LOG.key).text == text
    alone = sign_note(text, (WITNESS,))
    with pytest.raises(LedgerError, match="not signed by"):
        open_note(alone, LOG.key)
    forged = SignedNote("two\n", SignedNote.parse(both).signatures).emit()
    with pytest.raises(LedgerError, match="does not hold"):
        open_note(forged, LOG.key)


@pytest.mark.parametrize(
    "raw",
    [
        b"text\n\n",
        b"text\n",
        b"\n\n\xe2\x80\x94 a AAAAAAA=\n",
        b"text\n\n- a AAAAAAA=\n",
        b"text\n\n\xe2\x80\x94 a AAAAAAA=",
        b"te\txt\n\n\xe2\x80\x94 a AAAAAAA=\n",
        b"text\n\n\xe2\x80\x94 a+b AAAAAAA=\n",
        b"text\n\n\xe2\x80\x94 a AAAA\n",
        b"text\n\n\xe2\x80\x94 a AAAAAAB=\n",
        b"text\n\n" + b"\xe2\x80\x94 a AAAAAAA=\n" * 65,
        b"\xff\n\n\xe2\x80\x94 a AAAAAAA=\n",
    ],
)
def test_a_malformed_note_is_refused(raw: bytes) -> None:
    with pytest.raises(LedgerError):
        SignedNote.parse(raw)


def test_a_checkpoint_opens_under_its_own_key_alone() -> None:
    assert open_checkpoint(SIGNED, LOG.key) == POINT
    other = MemoryNoteSigner(LOG.name, Ed25519PrivateKey.from_private_bytes(b"x" * 32))
    with pytest.raises(LedgerError, match="not signed by"):
        open_checkpoint(SIGNED, other.key)
    stranger = sign_checkpoint(LogCheckpoint("elsewhere", POINT.head), LOG)
    with pytest.raises(LedgerError, match="is of the log 'elsewhere'"):
        open_checkpoint(stranger, LOG.key)


@pytest.mark.parametrize(
    "text",
    ["", "o\n1\n", "o\n01\nAAAA\n", "o\n1\nAAAA\n", "o\n-1\n" + "A" * 43 + "=\n", "o\n1\n\n"],
)
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(LedgerError):
        LogCheckpoint.parse(text)


def test_extension_lines_are_read_over() -> None:
    assert LogCheckpoint.parse(POINT.text() + "more\n") == POINT


def test_a_cosignature_holds_for_its_text_time_and_key() -> None:
    made = cosign_checkpoint(POINT.text(), 1_700_000_000, WITNESS)
    assert find_cosignature_time(POINT.text(), made, WITNESS.key) == 1_700_000_000
    (again,) = read_cosignatures(f"{made}\n".encode())
    assert again == made
    later = type(made)(made.name, made.key_id, b"\x00" * 7 + b"\x01" + made.raw[8:])
    for text, signature, key in (
        (POINT.text() + "x\n", made, WITNESS.key),
        (POINT.text(), later, WITNESS.key),
        (POINT.text(), made, LOG.key),
    ):
        with pytest.raises(LedgerError):
            find_cosignature_time(text, signature, key)


def test_a_cosignature_under_another_name_or_id_is_refused_though_its_bytes_hold() -> None:
    made = cosign_checkpoint(POINT.text(), 5, WITNESS)
    for other in (replace(made, name="another.example/w"), replace(made, key_id=bytes(4))):
        with pytest.raises(LedgerError, match="does not hold"):
            find_cosignature_time(POINT.text(), other, WITNESS.key)


def test_a_cosignature_is_of_a_time_that_fits_63_bits() -> None:
    last = 2**63 - 1
    assert (
        find_cosignature_time(
            POINT.text(), cosign_checkpoint(POINT.text(), last, WITNESS), WITNESS.key
        )
        == last
    )
    with pytest.raises(LedgerError, match="does not hold"):
        find_cosignature_time(
            POINT.text(), cosign_checkpoint(POINT.text(), last + 1, WITNESS), WITNESS.key
        )


@pytest.mark.parametrize("end", ["", "x"])
def test_signature_lines_end_with_a_line_break(end: str) -> None:
    line = str(cosign_checkpoint(POINT.text(), 5, WITNESS))
    with pytest.raises(LedgerError, match="holds no signature lines"):
        read_cosignatures(f"{line}{end}".encode())


def test_a_cosigned_note_names_its_cosigners_and_keeps_each_signature_once() -> None:
    made = cosign_checkpoint(POINT.text(), 5, WITNESS)
    note = add_signatures(add_signatures(SIGNED, [made]), [made])
    assert len(SignedNote.parse(note).signatures) == 2
    assert open_checkpoint(note, LOG.key) == POINT
    assert find_cosigners(SignedNote.parse(note), [WITNESS.key]) == (WITNESS.key,)
    assert find_cosigners(SignedNote.parse(SIGNED), [WITNESS.key]) == ()
    false = cosign_checkpoint("other\n", 5, WITNESS)
    with pytest.raises(LedgerError):
        find_cosigners(SignedNote.parse(add_signatures(SIGNED, [false])), [WITNESS.key])


def test_of_two_witnesses_of_one_name_the_one_that_signed_counts() -> None:
    twin = MemoryNoteSigner(WITNESS.name, Ed25519PrivateKey.from_private_bytes(b"v" * 32))
    note = SignedNote.parse(add_signatures(SIGNED, [cosign_checkpoint(POINT.text(), 5, WITNESS)]))
    assert find_cosigners(note, [WITNESS.key, twin.key]) == (WITNESS.key,)


def test_an_ordinary_signature_is_no_cosignature() -> None:
    note = SignedNote.parse(sign_note(POINT.text(), (WITNESS,)))
    assert find_cosigners(note, [WITNESS.key]) == ()
    assert to_witness_key(WITNESS.key).key_id != WITNESS.key.key_id


@given(st.integers(0, 2**60), st.lists(st.binary(min_size=32, max_size=32), max_size=63))
def test_a_request_to_a_witness_reads_back(old: int, proof: list[bytes]) -> None:
    sent = WitnessRequest(old, tuple(proof), SIGNED)
    assert WitnessRequest.parse(sent.emit()) == sent


def test_a_request_in_the_words_of_the_specification() -> None:
    raw = WitnessRequest(20852014, (EMPTY,), SIGNED).emit()
    assert raw.startswith(b"old 20852014\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\nlog.")


HASH_LINE = base64.b64encode(EMPTY) + b"\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"old 7",
        b"old 07\n\nnote",
        b"size 7\n\nnote",
        b"old 7\n" + HASH_LINE + b"AAAA\n\nnote",
        b"old 7\n" + HASH_LINE * 64 + b"\nnote",
    ],
)
def test_a_request_of_another_form_is_refused(raw: bytes) -> None:
    with pytest.raises(LedgerError, match="request to a witness is malformed"):
        WitnessRequest.parse(raw)


def test_a_request_may_bring_as_many_hashes_as_the_largest_tree_asks_for() -> None:
    assert len(WitnessRequest.parse(b"old 7\n" + HASH_LINE * 63 + b"\nnote").proof) == 63


@pytest.mark.parametrize(("raw", "size"), [(b"7\n", 7), (b"120", 120), (b"0\n", 0)])
def test_a_size_is_read(raw: bytes, size: int) -> None:
    assert read_witness_size(raw) == size


@pytest.mark.parametrize("raw", [b"", b"07\n", b"-1\n", b"7\n\n", b"x"])
def test_a_size_that_is_none_is_refused(raw: bytes) -> None:
    with pytest.raises(LedgerError):
        read_witness_size(raw)
