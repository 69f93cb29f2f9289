"""Timestamps of RFC 3161: we believe what OpenSSL stamps, refuse what is wrong, and chains last."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from authority_forge import NOW, Wish, issue
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st
from signature_forge import key_of
from time_authority import OTHER_POLICY, POLICY, Authority
from time_forge import DAY, ROOT, SIGNER, STAMPING, Clock, Saying

from auditor.trust.encoding.der import (
    BOOLEAN,
    INTEGER,
    OID,
    SEQUENCE,
    DerReader,
    context_tag,
    write_element,
    write_integer,
    write_oid,
)
from auditor.trust.signatures.trusted_signers import VerificationTime
from auditor.trust.timestamps import (
    TimestampAuthorities,
    TimestampQuery,
    build_renewal_content,
    find_proven_moment,
    read_timestamp_answers,
    refuse_unrelated_answer,
    wrap_token,
)
from auditor.trust.verification_result import IssueCode, VerificationError

DATA = b"what was signed"
MOMENT = VerificationTime(NOW + DAY)
CLOCK = Clock.made()


@pytest.fixture(scope="module", params=["ec", "rsa"])
def authority(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
              ) -> Authority:  # fmt: skip
    folder = tmp_path_factory.mktemp("authority") / request.param
    return Authority.made(folder, rsa=request.param == "rsa")


def clocks(authority: Authority, **more: frozenset[str]) -> TimestampAuthorities:
    return TimestampAuthorities((authority.root.read_bytes(),), **more)


def code_of(call: Callable[[], object]) -> IssueCode:
    with pytest.raises(VerificationError) as raised:
        call()
    return raised.value.code


def now() -> VerificationTime:
    return VerificationTime(datetime.now(tz=NOW.tzinfo))


@pytest.mark.parametrize("kind", ["sha256", "sha384", "sha512"])
def test_openssl_stamps_our_requests_and_we_believe_what_it_believes(
    authority: Authority, kind: str
) -> None:
    query = TimestampQuery.over(DATA, 2**63 + 5, kind=kind, policy=OTHER_POLICY)
    (authority.folder / "ours.tsq").write_bytes(query.emit())
    shown = authority.openssl("ts", "-query", "-in", "ours.tsq", "-text")
    assert f"Hash Algorithm: {kind}" in shown
    assert "Nonce: 0x8000000000000005" in shown
    answer = authority.answer(query.emit())
    assert authority.accepts(answer, DATA)
    refuse_unrelated_answer(answer, query)
    moment = find_proven_moment(answer, DATA, clocks(authority), now())
    assert moment.proven
    age = now().at - moment.at
    assert timedelta(minutes=-1) < age < timedelta(minutes=1)


def test_the_order_of_certificates_means_nothing(authority: Authority) -> None:
    seen = set()
    for order in (("middle", "root"), ("root", "middle")):
        authority.bring(*order)
        answer = authority.answer(TimestampQuery.over(DATA, 1).emit())
        assert authority.accepts(answer, DATA)
        find_proven_moment(answer, DATA, clocks(authority), now())
        places = [
            answer.index(x509.load_pem_x509_certificate(raw).public_bytes(Encoding.DER))
            for raw in (
                (authority.folder / f"{name}.pem").read_bytes() for name in ("middle", "root")
            )
        ]
        seen.add(places[0] < places[1])
    assert seen == {True, False}
    authority.bring("middle", "root")


def test_openssls_own_request_is_read_back(authority: Authority) -> None:
    (authority.folder / "covered").write_bytes(DATA)
    authority.openssl("ts", "-query", "-data", "covered", "-sha512", "-cert", "-tspolicy", POLICY,
                      "-out", "theirs.tsq")  # fmt: skip
    raw = (authority.folder / "theirs.tsq").read_bytes()
    found = TimestampQuery.parse(raw)
    assert (found.hash, found.policy) == ("sha512", POLICY)
    assert found.emit() == raw


def test_what_is_not_the_answer_to_a_request_is_refused(authority: Authority) -> None:
    query = TimestampQuery.over(DATA, 5)
    answer = authority.answer(query.emit())
    assert (
        code_of(lambda: refuse_unrelated_answer(answer, replace(query, nonce=6)))
        == "TIMESTAMP_NONCE"
    )
    assert (
        code_of(lambda: refuse_unrelated_answer(answer, replace(query, nonce=None)))
        == "TIMESTAMP_NONCE"
    )
    other = TimestampQuery.over(b"another", 5)
    assert code_of(lambda: refuse_unrelated_answer(answer, other)) == "TIMESTAMP_IMPRINT"
    other = replace(query, policy=OTHER_POLICY)
    assert code_of(lambda: refuse_unrelated_answer(answer, other)) == "TIMESTAMP_POLICY"


def test_what_an_authority_does_not_grant_is_said_in_its_words(authority: Authority) -> None:
    (authority.folder / "query.tsq").write_bytes(
        TimestampQuery.over(DATA, 5, policy="1.2.3.4").emit()
    )
    authority.openssl("ts", "-reply", "-config", "config", "-queryfile", "query.tsq", "-out",
                      "refused.tsr")  # fmt: skip
    answer = (authority.folder / "refused.tsr").read_bytes()
    with pytest.raises(VerificationError, match="policy") as raised:
        wrap_token(answer)
    assert raised.value.code is IssueCode.TIMESTAMP_STATUS


def test_a_real_timestamp_holds_in_the_time_of_its_certificates_alone(
    authority: Authority,
) -> None:
    answer = authority.answer(TimestampQuery.over(DATA, 5).emit())
    known = clocks(authority)
    late = VerificationTime(now().at + 4000 * DAY)
    assert code_of(lambda: find_proven_moment(answer, DATA, known, late)) == "CERT_TIME"
    assert not authority.accepts(answer, DATA, "-attime", int(late.at.timestamp()))
    early = VerificationTime(now().at - DAY)
    assert code_of(lambda: find_proven_moment(answer, DATA, known, early)) == "TIMESTAMP_TIME"


def test_a_real_timestamp_is_refused_for_other_bytes_policies_and_roots(
    authority: Authority,
) -> None:
    answer = authority.answer(TimestampQuery.over(DATA, 5).emit())
    known = clocks(authority)
    assert (
        code_of(lambda: find_proven_moment(answer, DATA + b"!", known, now()))
        == "TIMESTAMP_IMPRINT"
    )
    trusted = clocks(authority, policies=frozenset({OTHER_POLICY}))
    assert code_of(lambda: find_proven_moment(answer, DATA, trusted, now())) == "TIMESTAMP_POLICY"
    trusted = clocks(authority, policies=frozenset({OTHER_POLICY, POLICY}))
    assert find_proven_moment(answer, DATA, trusted, now()).proven
    assert code_of(lambda: find_proven_moment(answer, DATA, CLOCK.trusted, now())) == "CERT_ROOT"
    assert (
        code_of(lambda: find_proven_moment(answer, DATA, TimestampAuthorities(()), now()))
        == "CERT_ROOT"
    )


def test_no_changed_byte_moves_a_real_timestamp(authority: Authority) -> None:
    answer = authority.answer(TimestampQuery.over(DATA, 5).emit())
    known, at = clocks(authority), now()
    good = find_proven_moment(answer, DATA, known, at)
    refused = 0
    for place in range(0, len(answer), 5):
        changed = bytearray(answer)
        changed[place] ^= 1 << place % 8
        try:
            assert find_proven_moment(bytes(changed), DATA, known, at) == good
        except VerificationError:
            refused += 1
    # What may change are parts that nobody signs: a certificate that is not needed, for instance.
    assert refused > len(answer) // 5 * 0.6


def test_openssl_believes_what_the_forge_stamps(tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(CLOCK.root.pem)
    judge = Authority(tmp_path)
    when = ("-attime", int(NOW.timestamp()))
    assert judge.accepts(CLOCK.stamp(DATA), DATA, *when)
    assert not judge.accepts(CLOCK.stamp(DATA, Saying(digest=bytes(32))), DATA, *when)
    assert find_proven_moment(CLOCK.stamp(DATA), DATA, CLOCK.trusted, MOMENT).at == NOW


EKU = x509.ExtendedKeyUsage
OTHERS = {
    "a signer for TLS too": replace(
        SIGNER, extra=((EKU([*STAMPING, ExtendedKeyUsageOID.SERVER_AUTH]), True),)
    ),
    "an extended use that is not critical": replace(SIGNER, extra=((STAMPING, False),)),
    "no extended use": replace(SIGNER, extra=()),
    "any use": replace(SIGNER, extra=((EKU([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), True),)),
    "an authority that stamps": replace(SIGNER, ca=True),
    "a key for agreements": replace(SIGNER, usage=("key_agreement",)),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_certificate_that_is_not_for_stamping_alone_stamps_nothing(what: str) -> None:
    clock = Clock.made(OTHERS[what])
    found = code_of(lambda: find_proven_moment(clock.stamp(DATA), DATA, clock.trusted, MOMENT))
    assert found == "TIMESTAMP_CERT"


def test_an_authority_for_code_alone_vouches_for_no_clock() -> None:
    purpose = EKU([ExtendedKeyUsageOID.CODE_SIGNING])
    clock = Clock.made(root=replace(ROOT, extra=((purpose, False),)))
    found = code_of(lambda: find_proven_moment(clock.stamp(DATA), DATA, clock.trusted, MOMENT))
    assert found == "CERT_ISSUER"


STRANGER = issue(Wish("Stranger", 44), key_of(ec.SECP256R1(), 955).key)
WEAK = Clock(
    CLOCK.root,
    issue(
        SIGNER,
        rsa.generate_private_key(65537, 1024),  # noqa: S505 -- as is tried
        CLOCK.root,
    ),
)
CRITICAL = write_element(
    context_tag(1), write_element(SEQUENCE, write_oid("1.2.3"), write_element(BOOLEAN, b"\xff"))
)
HOSTILE: dict[str, tuple[IssueCode, Callable[[], bytes]]] = {
    "a weak hash": (IssueCode.TIMESTAMP, lambda: CLOCK.stamp(DATA, Saying(hash="sha1"))),
    "no certificate": (IssueCode.TIMESTAMP, lambda: CLOCK.stamp(DATA, Saying(certificates=()))),
    "another certificate": (
        IssueCode.TIMESTAMP, lambda: CLOCK.stamp(DATA, Saying(certificates=(STRANGER.der,)))
    ),
    "another certificate named": (
        IssueCode.TIMESTAMP, lambda: CLOCK.stamp(DATA, Saying(named=STRANGER.der))
    ),
    "another number of the certificate": (
        IssueCode.TIMESTAMP, lambda: CLOCK.stamp(DATA, Saying(number=99))
    ),
    "another time than was signed": (
        IssueCode.TIMESTAMP_SIGNATURE,
        lambda: CLOCK.stamp(DATA).replace(b"20260601000000Z", b"20260530000000Z"),
    ),
    "two signatures": (IssueCode.TIMESTAMP, lambda: CLOCK.stamp(DATA, Saying(signatures=2))),
    "no signature": (IssueCode.TIMESTAMP, lambda: CLOCK.stamp(DATA, Saying(signatures=0))),
    "another type": (IssueCode.TIMESTAMP, lambda: CLOCK.stamp(DATA, Saying(content_type="1.2.3"))),
    "a critical extension": (
        IssueCode.TIMESTAMP, lambda: CLOCK.stamp(DATA, Saying(extra=CRITICAL)),
    ),
    "a short digest": (IssueCode.TIMESTAMP, lambda: CLOCK.stamp(DATA, Saying(digest=b"x" * 20))),
    "something after it": (IssueCode.TIMESTAMP, lambda: CLOCK.stamp(DATA) + b"\x05\x00"),
    "nothing": (IssueCode.TIMESTAMP, lambda: b""),
    "no answer": (IssueCode.TIMESTAMP, lambda: b"\x05\x00"),
    "another's signature": (
        IssueCode.TIMESTAMP_SIGNATURE,
        lambda: Clock(CLOCK.root, replace(CLOCK.signer, key=STRANGER.key)).stamp(DATA),
    ),
    "a weak key": (IssueCode.CERT_ALGORITHM, lambda: WEAK.stamp(DATA)),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_no_sound_timestamp_is_refused(what: str) -> None:
    code, made = HOSTILE[what]
    assert code_of(lambda: find_proven_moment(made(), DATA, CLOCK.trusted, MOMENT)) is code


def test_a_bare_token_is_taken_as_an_answer() -> None:
    assert wrap_token(CLOCK.token(DATA)) == CLOCK.stamp(DATA)
    assert wrap_token(CLOCK.stamp(DATA)) == CLOCK.stamp(DATA)


def year(number: int) -> datetime:
    return NOW.replace(year=number)


FIRST, SECOND, THIRD = (
    Clock.of(year(2026), year(2029), 961),
    Clock.of(year(2028), year(2035), 971),
    Clock.of(year(2034), year(2041), 981),
)
ALL = TimestampAuthorities((FIRST.root.pem, SECOND.root.pem, THIRD.root.pem))


def renewed(*steps: tuple[Clock, int]) -> bytes:
    answers = b""
    for clock, at in steps:
        covered = build_renewal_content(answers, DATA)
        answers += clock.stamp(covered, Saying(at=year(at) + DAY, hash="sha512"))
    return answers


def test_a_time_stays_proven_ten_years_after_its_certificate_ended() -> None:
    once = renewed((FIRST, 2026))
    assert find_proven_moment(once, DATA, ALL, VerificationTime(year(2028))).at == year(2026) + DAY
    assert (
        code_of(lambda: find_proven_moment(once, DATA, ALL, VerificationTime(year(2030))))
        == "CERT_TIME"
    )
    chain = renewed((FIRST, 2026), (SECOND, 2028), (THIRD, 2034))
    assert find_proven_moment(chain, DATA, ALL, VerificationTime(year(2039))).at == year(2026) + DAY
    assert (
        code_of(lambda: find_proven_moment(chain, DATA, ALL, VerificationTime(year(2042))))
        == "CERT_TIME"
    )


def test_a_chain_that_was_renewed_too_late_proves_nothing() -> None:
    late = renewed((FIRST, 2026), (SECOND, 2030))
    assert (
        code_of(lambda: find_proven_moment(late, DATA, ALL, VerificationTime(year(2031))))
        == "CERT_TIME"
    )
    back = CLOCK.stamp(DATA)
    back += CLOCK.stamp(build_renewal_content(back, DATA), Saying(at=NOW - timedelta(seconds=1)))
    found = code_of(lambda: find_proven_moment(back, DATA, CLOCK.trusted, MOMENT))
    assert found == "TIMESTAMP_TIME"


def test_every_link_of_a_chain_covers_all_before_it() -> None:
    one, two = renewed((FIRST, 2026)), renewed((SECOND, 2028))
    at = VerificationTime(year(2029))
    assert code_of(lambda: find_proven_moment(one + two, DATA, ALL, at)) == "TIMESTAMP_IMPRINT"
    chain = renewed((FIRST, 2026), (SECOND, 2028), (THIRD, 2034))
    first, second, third = (answer for answer, _ in read_timestamp_answers(chain))
    for broken in (second + third, first + third, third, second + first + third):
        assert code_of(
            lambda b=broken: find_proven_moment(b, DATA, ALL, VerificationTime(year(2039)))
        )  # type: ignore[misc]
    only = TimestampAuthorities((SECOND.root.pem, THIRD.root.pem))
    assert (
        code_of(lambda: find_proven_moment(chain, DATA, only, VerificationTime(year(2039))))
        == "CERT_ROOT"
    )


def test_a_stolen_clock_is_believed_only_for_what_another_shows_to_be_older() -> None:
    digest = FIRST.signer.read.digest
    gone = replace(ALL, revoked={digest: year(2028) + 30 * DAY})
    once = renewed((FIRST, 2026))
    assert (
        code_of(lambda: find_proven_moment(once, DATA, gone, VerificationTime(year(2028))))
        == "REVOKED"
    )
    chain = renewed((FIRST, 2026), (SECOND, 2028))
    assert (
        find_proven_moment(chain, DATA, gone, VerificationTime(year(2031))).at == year(2026) + DAY
    )
    ever = replace(ALL, revoked={digest: None})
    assert (
        code_of(lambda: find_proven_moment(chain, DATA, ever, VerificationTime(year(2031))))
        == "REVOKED"
    )


def test_mutated_timestamps_are_refused_and_never_crash() -> None:
    dice = random.Random(3161)  # noqa: S311 -- the same every time
    good = CLOCK.stamp(DATA)
    moment = find_proven_moment(good, DATA, CLOCK.trusted, MOMENT)
    for _ in range(3000):
        changed = bytearray(good)
        for _ in range(dice.choice((1, 1, 2, 5))):
            place = dice.randrange(len(changed))
            match dice.randrange(3):
                case 0:
                    changed[place] = dice.randrange(256)
                case 1:
                    del changed[place : place + dice.randrange(1, 9)]
                case _:
                    changed[place:place] = dice.randbytes(dice.randrange(1, 5))
        try:
            assert find_proven_moment(bytes(changed), DATA, CLOCK.trusted, MOMENT) == moment
        except VerificationError:
            continue


@given(st.integers(min_value=-(2**80), max_value=2**80))
def test_a_number_is_read_as_it_was_written(number: int) -> None:
    assert DerReader(write_integer(number)).take(INTEGER).integer() == number


@given(st.lists(st.integers(min_value=0, max_value=2**40), max_size=6), st.integers(0, 2))
def test_an_identifier_is_read_as_it_was_written(rest: list[int], first: int) -> None:
    text = ".".join(map(str, (first, 5, *rest)))
    assert DerReader(write_oid(text)).take(OID).oid() == text


@pytest.mark.parametrize(
    "raw",
    ["0200", "02020001", "0280000000", "02810105", "0203ff", "1f8101", "30800000", "06012a80"],
)
def test_what_is_spelled_in_a_second_way_is_refused(raw: str) -> None:
    def read() -> None:
        found = DerReader(bytes.fromhex(raw)).every()
        for item in found:
            item.integer() if item.tag == INTEGER else item.oid()

    assert code_of(read) == "TIMESTAMP"
