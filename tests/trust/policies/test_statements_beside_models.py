"""Which signed statements beside a model count for a rule that asks for them, and why not."""

import json
from collections.abc import Sequence
from hashlib import sha256

import pytest
from trust_papers import (
    BUILD,
    CI,
    CREDIT,
    FILES,
    OTHER_FILES,
    RELEASE,
    RULE,
    SLSA,
    STRANGER,
    TODAY,
    Change,
    Document,
    authority,
    files_of,
    named,
    policy,
    provenance,
    revoking,
    ruled,
)

from auditor.domain.artifacts import FileDigest, digest_files
from auditor.trust.encoding.dsse import STATEMENT, InTotoStatement, SubjectDigest
from auditor.trust.policies.query import QueryTime, TrustQuery
from auditor.trust.policies.signed_statements import (
    find_statement_issues,
    list_accepted_signers,
    rank_attempt,
    read_bundles,
    read_predicate_type,
    to_bundle,
)
from auditor.trust.signatures.sigstore_bundle import MEDIA_TYPE, sign_bundle
from auditor.trust.verification_result import (
    IssueCode,
    IssueGrade,
    SignatureVerification,
    VerificationIssue,
)

SCAN = "https://acme.example/scan/v1"
PAYLOAD = b"the signed statement of the model"


def asking(*any_of: str, predicate: str = SLSA, **settings: object) -> dict[str, object]:
    return {"predicate": predicate, "any_of": [{"key": it} for it in any_of], **settings}


def requiring(*requirements: object, **settings: object) -> Change:
    return ruled(require=[*RULE["require"], *requirements], **settings)


def no_auditors(found: Document) -> None:
    """Let keys sign statements that sign records elsewhere."""
    found["auditors"] = []


def missing(
    papers: Sequence[bytes], *changes: Change, files: tuple[FileDigest, ...] = FILES
) -> list[tuple[IssueGrade, str]]:
    """What is said of statements that a rule asks for: how grave it is, and why."""
    asked = TrustQuery(
        policy(*(changes or (requiring(asking("build")),))), CREDIT, QueryTime(TODAY)
    )
    assert asked.rule is not None
    found = list(find_statement_issues(asked, asked.rule, papers, files, PAYLOAD))
    assert all(item.code is IssueCode.PREDICATE_MISSING for item in found)
    return [(item.grade, item.text) for item in found]


def because(reason: str = "", predicate: str = SLSA) -> list[tuple[IssueGrade, str]]:
    text = f"there is no statement '{predicate}' about this model"
    return [(IssueGrade.ERROR, f"{text}: {reason}" if reason else text)]


def about(*digests: str) -> bytes:
    """A statement about things of these digests."""
    subjects = tuple(SubjectDigest("it", digest) for digest in digests)
    return sign_bundle(InTotoStatement(subjects, SLSA, {}).emit(), BUILD)


TWO = files_of("credit", "shared")
WHOLE = digest_files(TWO).removeprefix("sha256:")


@pytest.mark.parametrize(
    ("digests", "counts"),
    [
        ([it.sha256 for it in TWO], True),
        ([*(it.sha256 for it in TWO), OTHER_FILES[0].sha256], True),
        ([WHOLE], True),
        ([WHOLE, OTHER_FILES[0].sha256], True),
        ([sha256(PAYLOAD).hexdigest()], True),
        ([TWO[0].sha256], False),
        ([TWO[1].sha256, OTHER_FILES[0].sha256], False),
        ([sha256(b"another statement").hexdigest()], False),
        ([], False),
    ],
)
def test_a_statement_speaks_of_every_file_or_of_the_whole(
    digests: list[str],
    counts: bool,  # noqa: FBT001
) -> None:
    said = [] if counts else because("it speaks of other files")
    assert missing([about(*digests)], files=TWO) == said


def test_a_file_that_needs_no_signature_needs_no_statement_and_gives_none() -> None:
    one = requiring(asking("build"), allow_unsigned=["shared.onnx"])
    assert missing([about(TWO[0].sha256)], one, files=TWO) == []
    assert missing([about(TWO[1].sha256)], one, files=TWO) == because("it speaks of other files")
    every = requiring(asking("build"), allow_unsigned=[it.name for it in TWO])
    assert missing([about()], every, files=TWO) == because("it speaks of other files")
    assert missing([about(WHOLE)], every, files=TWO) == []


def sealed(**members: object) -> bytes:
    found = {"_type": STATEMENT, "predicateType": SLSA, "subject": [], "predicate": {}, **members}
    return sign_bundle(json.dumps(found).encode(), BUILD)


REASONS: dict[str, tuple[bytes, str]] = {
    "by another key": (
        provenance(STRANGER),
        "the signature does not hold under the given key, and the bundle names another key",
    ),
    "of no subject": (sealed(subject="it"), "subject must be a list"),
    "of an older kind": (
        sealed(_type="https://in-toto.io/Statement/v0.1"),
        f"the payload is not a statement of type {STATEMENT}",
    ),
}


@pytest.mark.parametrize(("paper", "reason"), REASONS.values(), ids=REASONS)
def test_why_a_statement_does_not_count_is_told(paper: bytes, reason: str) -> None:
    assert missing([paper]) == because(reason)
    # The first of several that do not count is told, and one that counts is enough.
    assert missing([paper, provenance(files=OTHER_FILES)]) == because(reason)
    assert missing([paper, provenance()]) == missing([provenance(), paper]) == []


def test_of_what_speaks_against_a_statement_the_first_is_told() -> None:
    twice = (
        requiring(asking("build")),
        revoking("keys", named(BUILD)),
        lambda d: d["keys"]["build"].update(not_after="2026-05-01"),
    )
    assert missing([provenance()], *twice) == because("the key is revoked")


def test_each_statement_that_a_rule_asks_for_is_looked_for() -> None:
    both = requiring(asking("build"), asking("ci", predicate=SCAN))
    scan = provenance(CI, predicate=SCAN)
    assert missing([scan, provenance()], both, no_auditors) == []
    assert missing([scan], both, no_auditors) == because()
    assert missing([provenance()], both, no_auditors) == because(predicate=SCAN)
    assert missing([], both, no_auditors) == [*because(), *because(predicate=SCAN)]


@pytest.mark.parametrize("optional", [True, False])
def test_only_an_optional_statement_may_be_absent_and_none_may_be_wrong(
    optional: bool,  # noqa: FBT001
) -> None:
    wanted = requiring(asking("build", optional=optional))
    absent = IssueGrade.WARNING if optional else IssueGrade.ERROR
    # One of another type says nothing of why this one is missing.
    for papers in ([], [provenance(predicate=SCAN)], [b"no paper"]):
        assert missing(papers, wanted) == [(absent, because()[0][1])]
    assert missing([provenance(files=OTHER_FILES)], wanted) == because("it speaks of other files")
    assert missing([provenance()], wanted) == []


def test_any_one_of_the_signers_of_a_statement_is_enough() -> None:
    wanted = (requiring(asking("release", "build")), no_auditors)
    for key in (RELEASE, BUILD):
        assert missing([provenance(key)], *wanted) == []
    assert missing([provenance(CI)], *wanted) == because(REASONS["by another key"][1])


def test_keys_are_one_value_and_an_identity_counts_under_its_own_root_alone() -> None:
    acme = {"root": "acme", "identity": "a@b.example"}
    listed = [acme, {"key": "release"}, {**acme, "identity": "c@d.example"}, {"key": "build"}]
    trust = policy(
        no_auditors,
        lambda d: d.update(roots={"acme": {"pem": authority().decode()}}),
        requiring({"predicate": SLSA, "any_of": listed}),
    )
    (rule,) = trust.rules
    # What holds under none of the keys is said once.
    keys, *certified = list_accepted_signers(trust, rule, rule.beside[0])
    assert keys.keys == (trust.keys["release"], trust.keys["build"])
    assert (keys.roots, keys.identities) == ((), ())
    assert [it.keys for it in certified] == [(), ()]
    assert [[str(name.name) for name in it.identities] for it in certified] == [
        ["email:a@b.example"],
        ["email:c@d.example"],
    ]


def verification(
    *codes: IssueCode, identity: str | None = "key:x", warned: bool = False
) -> SignatureVerification:
    grade = IssueGrade.WARNING if warned else IssueGrade.ERROR
    return SignatureVerification(
        tuple(VerificationIssue(code, "", grade) for code in codes), identity
    )


def test_what_holds_comes_first_then_the_method_of_the_bundle_then_what_lacks_least() -> None:
    attempts = [
        verification(),
        verification(IssueCode.METHOD_UNTRUSTED, IssueCode.KEY_HINT, warned=True),
        verification(IssueCode.REVOKED),
        verification(IssueCode.IDENTITY, identity=None),
        verification(IssueCode.CERT_ROOT, IssueCode.CERT_TIME),
        verification(IssueCode.METHOD_UNTRUSTED, identity=None),
        verification(IssueCode.METHOD_UNTRUSTED, IssueCode.KEY, identity=None),
    ]
    ordered = [rank_attempt(item) for item in attempts]
    assert sorted(ordered) == ordered
    assert [ordered.count(it) for it in ordered] == [1, 1, 2, 2, 1, 1, 1]


BARE = json.loads(provenance())["dsseEnvelope"]


def test_a_bare_envelope_is_a_bundle_that_names_no_key() -> None:
    found = to_bundle(BARE)
    assert found is not None
    assert json.loads(found) == {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": ""}},
        "dsseEnvelope": BARE,
    }
    assert missing([json.dumps(BARE).encode()]) == []
    assert to_bundle(json.loads(provenance())) == provenance()
    for lacking in ("payloadType", "signatures"):
        assert to_bundle({key: it for key, it in BARE.items() if key != lacking}) is None
    assert to_bundle({}) is None


@pytest.mark.parametrize(
    ("lines", "bundles"),
    [
        ([], 0),
        ([b"no JSON"], 0),
        ([b"{}"], 0),
        ([b"{}", b"{}"], 0),
        ([provenance()], 1),
        ([provenance(), provenance(RELEASE)], 2),
        ([b"", provenance(), b"  ", b"no JSON", provenance(RELEASE), b"\r", b""], 2),
        ([*[b"1"] * 998, provenance(), provenance(RELEASE)], 2),
        ([*[b"1"] * 999, b"", provenance()], 1),
        ([*[b"1"] * 1000, provenance()], 0),
    ],
)
def test_a_document_may_be_up_to_a_thousand_lines_of_envelopes(
    lines: list[bytes], bundles: int
) -> None:
    assert len(read_bundles(b"\n".join(lines))) == bundles


@pytest.mark.parametrize("line", [b"no JSON", b""])
def test_one_line_with_blank_ones_is_no_document_of_lines(line: bytes) -> None:
    assert read_bundles(b"\n" + line + b"\n\n") == ()


def test_the_type_of_a_statement_is_what_its_payload_says() -> None:
    assert read_predicate_type(provenance()) == SLSA
    assert read_predicate_type(sealed(predicateType=5)) is None
    assert read_predicate_type(sign_bundle(b"no JSON", BUILD)) is None
    assert read_predicate_type(b"no bundle") is None
