"""Timestamps from the command line: asked for over HTTP, carried by hand, renewed, verified."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate
from time_authority import OTHER_POLICY, POLICY, Authority, served

from auditor.reports.folder import BUNDLE, TIMESTAMP

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("clock") / "authority")


@pytest.fixture
def out(finished: Path) -> Path:
    """The folder of a finished audit's record."""
    return finished / "out"


@pytest.fixture
def stamped(auditor: Command, out: Path, authority: Authority) -> Path:
    """The same, with a timestamp."""
    with served(authority.answer) as url:
        ended = auditor("timestamp", "add", out, "--url", url, "--tsa-roots", authority.root)
    assert ended.code == 0, ended.said
    return out


def verified(auditor: Command, out: Path, *more: object) -> Any:  # noqa: ANN401 -- how it ended
    return auditor("verify", out, "--key", out / "signer.pub", *more)


def test_a_records_timestamp_is_obtained_verified_and_read_by_openssl(
    auditor: Command, stamped: Path, authority: Authority
) -> None:
    raw = (stamped / TIMESTAMP).read_bytes()
    assert authority.accepts(raw, (stamped / BUNDLE).read_bytes())
    ended = verified(auditor, stamped, "--tsa-roots", authority.root)
    assert ended.code == 0, ended.said
    assert "holds timestamp record.sigstore.json was there at 20" in ended.said
    ended = verified(auditor, stamped)
    assert ended.code == 0, ended.said
    assert "not checked timestamp no authority named (--tsa-roots)" in ended.said
    assert POLICY in auditor("timestamp", "show", stamped).said


def test_who_names_an_authority_wants_a_timestamp(
    auditor: Command, out: Path, authority: Authority
) -> None:
    assert "not present timestamp" in verified(auditor, out).said
    ended = verified(auditor, out, "--tsa-roots", authority.root)
    assert ended.code == 1
    assert "and an authority was named" in ended.said


def test_a_timestamp_of_another_authority_policy_or_record_fails(
    auditor: Command, stamped: Path, authority: Authority, tmp_path: Path
) -> None:
    other = Authority.made(tmp_path / "other")
    ended = verified(auditor, stamped, "--tsa-roots", other.root)
    assert (ended.code, "CERT_ROOT" in ended.said) == (1, True)
    known = ("--tsa-roots", authority.root)
    ended = verified(auditor, stamped, *known, "--tsa-policy", OTHER_POLICY)
    assert (ended.code, "TIMESTAMP_POLICY" in ended.said) == (1, True)
    shutil.copy(stamped / TIMESTAMP, tmp_path / "model.sig.tsr")
    shutil.copy(stamped.parent / "model.sig", tmp_path / "model.sig")
    ended = auditor("timestamp", "verify", tmp_path / "model.sig", *known)
    assert (ended.code, "TIMESTAMP_IMPRINT" in ended.said) == (1, True)
    (stamped / TIMESTAMP).write_bytes(b"no")
    ended = verified(auditor, stamped, *known)
    assert (ended.code, "the timestamp is malformed" in ended.said) == (1, True)


def test_a_later_timestamp_covers_the_earlier_one(
    auditor: Command, stamped: Path, authority: Authority, tmp_path: Path
) -> None:
    first = (stamped / TIMESTAMP).read_bytes()
    known = ("--tsa-roots", authority.root)
    second = Authority.made(tmp_path / "second")
    with served(second.answer) as url:
        words = ("timestamp", "add", stamped, "--url", url, *known, "--tsa-roots", second.root)
        ended = auditor(*words)
        assert (ended.code, "Add another timestamp with --renew" in ended.said) == (2, True)
        ended = auditor(*words, "--renew", "--hash", "sha512", "--policy", OTHER_POLICY)
    assert ended.code == 0, ended.said
    both = (stamped / TIMESTAMP).read_bytes()
    assert both.startswith(first)
    # What openssl is to be given is what `cat` makes of the files.
    covered = (stamped / BUNDLE).read_bytes() + first
    assert second.accepts(both[len(first) :], covered)
    ended = verified(auditor, stamped, *known, "--tsa-roots", second.root)
    assert ended.code == 0, ended.said
    assert verified(auditor, stamped, *known).code == 1
    shown = auditor("timestamp", "show", stamped).out
    assert f" {len(first)} " in shown
    assert "sha512" in shown


def test_an_answer_is_carried_by_hand(
    auditor: Command, out: Path, authority: Authority, tmp_path: Path
) -> None:
    query, answer = tmp_path / "query.tsq", tmp_path / "answer.tsr"
    assert auditor("timestamp", "request", out, "--out", query).code == 0
    answer.write_bytes(authority.answer(query.read_bytes()))
    stale = tmp_path / "stale.tsq"
    assert auditor("timestamp", "request", out, "--out", stale).code == 0
    words = ("timestamp", "add", out, "--answer", answer, "--tsa-roots", authority.root)
    ended = auditor(*words, "--request", stale)
    assert (ended.code, "TIMESTAMP_NONCE" in ended.said) == (2, True)
    ended = auditor(*words, "--request", answer)
    assert (ended.code, "is not a timestamp request" in ended.said) == (2, True)
    nowhere = (*words[:4], tmp_path / "nowhere", *words[5:])
    ended = auditor(*nowhere)
    assert (ended.code, "cannot be read" in ended.said) == (2, True)
    assert not (out / TIMESTAMP).exists()
    assert auditor(*words, "--request", query).code == 0
    assert auditor("timestamp", "verify", out, "--tsa-roots", authority.root).code == 0


def test_a_checkpoint_of_the_ledger_is_stamped_like_a_signature(
    auditor: Command, finished: Path, authority: Authority
) -> None:
    assert auditor("ledger", "checkpoint", "--out", "checkpoint").code == 0
    with served(authority.answer) as url:
        words = ("checkpoint", "--url", url, "--tsa-roots", authority.root)
        assert auditor("timestamp", "add", *words).code == 0
    ended = auditor("timestamp", "verify", "checkpoint", "--tsa-roots", authority.root)
    assert "checkpoint was there at 20" in ended.said
    Path("checkpoint").write_bytes(Path("checkpoint").read_bytes() + b"x")
    assert auditor("timestamp", "verify", "checkpoint", "--tsa-roots", authority.root).code == 1


def test_a_models_signature_is_judged_at_its_proven_time(
    auditor: Command, finished: Path, home: Path, authority: Authority
) -> None:
    with served(authority.answer) as url:
        words = ("model.sig", "--url", url, "--tsa-roots", authority.root)
        assert auditor("timestamp", "add", *words).code == 0
    asked = ("verify", "model.onnx", "--signature", "model.sig", "--key", home / "model.pub")
    ended = auditor(*asked, "--tsa-roots", authority.root)
    assert ended.code == 0, ended.said
    assert "holds timestamp model.sig was there at" in ended.said
    clock = load_pem_x509_certificate((authority.folder / "clock.pem").read_bytes())
    stolen = clock.fingerprint(SHA256()).hex()
    ended = auditor(*asked, "--tsa-roots", authority.root, "--revoked", stolen)
    assert (ended.code, "REVOKED" in ended.said) == (1, True)
    Path("model.sig.tsr").rename("elsewhere")
    ended = auditor(*asked, "--tsa-roots", authority.root)
    assert (ended.code, "model.sig.tsr cannot be read" in ended.said) == (1, True)
    ended = auditor(*asked, "--tsa-roots", authority.root, "--timestamp", "elsewhere")
    assert ended.code == 0, ended.said


def test_an_authority_that_fails_or_is_not_there_is_named(
    auditor: Command, out: Path, authority: Authority
) -> None:
    known = ("--tsa-roots", authority.root)
    with served(lambda _: b"busy", status=503) as url:
        ended = auditor("timestamp", "add", out, "--url", url, *known)
        assert (ended.code, "answers 503" in ended.said) == (4, True)
    ended = auditor("timestamp", "add", out, "--url", url, *known)
    assert (ended.code, "does not answer" in ended.said) == (4, True)
    with served(lambda _: b"no answer at all") as url:
        ended = auditor("timestamp", "add", out, "--url", url, *known)
        assert (ended.code, "malformed" in ended.said) == (2, True)
    assert not (out / TIMESTAMP).exists()


WRONG = {
    "the timestamp needs one source": (("add", "out"), True),
    "verifying a timestamp needs a trusted authority": (
        ("add", "out", "--url", "http://127.0.0.1:1"),
        False,
    ),
    "is not an address of an authority": (("add", "out", "--url", "ftp://x"), True),
    "there is no": (("add", "out", "--url", "http://127.0.0.1:1", "--renew"), True),
    "Add one with": (("verify", "out"), True),
}


@pytest.mark.parametrize("words", WRONG)
def test_what_makes_no_sense_is_refused(
    auditor: Command, out: Path, authority: Authority, words: str
) -> None:
    asked, trusting = WRONG[words]
    known = ("--tsa-roots", authority.root) if trusting else ()
    ended = auditor("timestamp", *asked, *known)
    assert (ended.code, words in ended.said) == (2, True), ended.said


@pytest.mark.slow
def test_a_proven_time_outlives_a_revocation(
    auditor: Command, stamped: Path, home: Path, authority: Authority
) -> None:
    """What a stolen key signs later cannot be shown to be older; this record can."""
    from datetime import UTC, datetime  # noqa: PLC0415 -- this test's alone
    from time import sleep  # noqa: PLC0415

    from auditor.reports.folder import KEY_PROOF  # noqa: PLC0415
    from auditor.trust.ledger.key_events import key_event_id  # noqa: PLC0415

    sleep(3)  # the authority says its time to within a second and a half
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    identity = auditor("keys", "show").out.split()[1]
    assert auditor("keys", "revoke", identity, "--since", since, "--reason", "lost").code == 0
    name = key_event_id("report", (stamped / "signer.pub").read_text())
    assert auditor("ledger", "prove", name, "--out", stamped / KEY_PROOF).code == 0
    known = ("--ledger-key", home / "ledger.pub", "--tsa-roots", authority.root)
    ended = verified(auditor, stamped, *known)
    assert ended.code == 0, ended.said
    assert "and the record is older" in ended.said
