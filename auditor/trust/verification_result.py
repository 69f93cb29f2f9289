"""Signature verification results: issue codes, severities, and verification profiles.

Issue codes are stable. A profile defines which issues are only warnings.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from auditor.domain.json import write_fields
from auditor.errors import SignatureFormatError

_SHOWN = 80


class IssueGrade(StrEnum):
    """How grave an objection is: an error refuses the signature, a warning is only shown."""

    ERROR = "error"
    WARNING = "warning"


class IssueCode(StrEnum):
    """The stable name of an objection."""

    UNSIGNED = "UNSIGNED"
    NO_KEY = "NO_KEY"
    # The bundle and its envelope.
    FORMAT = "FORMAT"
    TOO_LARGE = "TOO_LARGE"
    DUPLICATE_KEY = "DUPLICATE_KEY"
    BASE64 = "BASE64"
    MEDIA_TYPE = "MEDIA_TYPE"
    PAYLOAD_TYPE = "PAYLOAD_TYPE"
    UNSUPPORTED = "UNSUPPORTED"
    SIGNATURE_COUNT = "SIGNATURE_COUNT"
    LEGACY_KEY = "LEGACY_KEY"
    # Who signed.
    METHOD_UNTRUSTED = "METHOD_UNTRUSTED"
    KEY = "KEY"
    KEY_HINT = "KEY_HINT"
    KEY_TIME = "KEY_TIME"
    SIGNATURE = "SIGNATURE"
    LEGACY_PAE = "LEGACY_PAE"
    REVOKED = "REVOKED"
    CERT_FORMAT = "CERT_FORMAT"
    CERT_ALGORITHM = "CERT_ALGORITHM"
    CERT_EXTENSION = "CERT_EXTENSION"
    CERT_CHAIN = "CERT_CHAIN"
    CERT_ROOT = "CERT_ROOT"
    CERT_TIME = "CERT_TIME"
    CERT_ISSUER = "CERT_ISSUER"
    CERT_CA = "CERT_CA"
    CERT_KEY_USAGE = "CERT_KEY_USAGE"
    CERT_EKU = "CERT_EKU"
    CERT_TLS = "CERT_TLS"
    NO_IDENTITY = "NO_IDENTITY"
    IDENTITY = "IDENTITY"
    KEYLESS = "KEYLESS"
    # What was signed.
    STATEMENT = "STATEMENT"
    LEGACY_STATEMENT = "LEGACY_STATEMENT"
    PREDICATE = "PREDICATE"
    LEGACY_PREDICATE = "LEGACY_PREDICATE"
    SUBJECT = "SUBJECT"
    METHOD = "METHOD"
    HASH_TYPE = "HASH_TYPE"
    SYMLINKS = "SYMLINKS"
    IGNORE_PATHS = "IGNORE_PATHS"
    EMPTY = "EMPTY"
    RESOURCE_NAME = "RESOURCE_NAME"
    PATH_ESCAPE = "PATH_ESCAPE"
    RESOURCE_ORDER = "RESOURCE_ORDER"
    DUPLICATE = "DUPLICATE"
    COLLISION = "COLLISION"
    DIGEST_FORMAT = "DIGEST_FORMAT"
    ROOT = "ROOT"
    SHARDS = "SHARDS"
    SINGLE_FILE_NAME = "SINGLE_FILE_NAME"
    # What is there.
    MISSING_FILE = "MISSING_FILE"
    EXTRA_FILE = "EXTRA_FILE"
    GIT_FILE = "GIT_FILE"
    GIT_ATTRIBUTES = "GIT_ATTRIBUTES"
    DIGEST_MISMATCH = "DIGEST_MISMATCH"
    UNMEASURED = "UNMEASURED"
    CONTRADICTION = "CONTRADICTION"
    # When it was signed.
    TIMESTAMP = "TIMESTAMP"
    TIMESTAMP_STATUS = "TIMESTAMP_STATUS"
    TIMESTAMP_IMPRINT = "TIMESTAMP_IMPRINT"
    TIMESTAMP_NONCE = "TIMESTAMP_NONCE"
    TIMESTAMP_POLICY = "TIMESTAMP_POLICY"
    TIMESTAMP_SIGNATURE = "TIMESTAMP_SIGNATURE"
    TIMESTAMP_CERT = "TIMESTAMP_CERT"
    TIMESTAMP_TIME = "TIMESTAMP_TIME"
    # What a trust policy says.
    POLICY_EXPIRED = "POLICY_EXPIRED"
    POLICY_UNACCEPTED = "POLICY_UNACCEPTED"
    POLICY_ROLLBACK = "POLICY_ROLLBACK"
    POLICY_CHANGED = "POLICY_CHANGED"
    POLICY_OWNER = "POLICY_OWNER"
    NO_RULE = "NO_RULE"
    NAME = "NAME"
    VERSION_FLOOR = "VERSION_FLOOR"
    VERSION_BOUND = "VERSION_BOUND"
    NO_TIME = "NO_TIME"
    TOO_OLD = "TOO_OLD"
    PREDICATE_MISSING = "PREDICATE_MISSING"
    AUDITOR = "AUDITOR"


def quote_value(value: object) -> str:
    """Return an untrusted value as a short, printable piece of a sentence."""
    if not isinstance(value, str):
        return f"of type {type(value).__name__}"
    return ascii(value if len(value) <= _SHOWN else value[:_SHOWN] + "...")


@dataclass(frozen=True, slots=True)
class VerificationIssue:
    """One reason to refuse a signature, or to look twice at it."""

    code: IssueCode
    text: str
    grade: IssueGrade = IssueGrade.ERROR

    to_json = write_fields


class VerificationError(SignatureFormatError):
    """A signature that cannot be read any further, with the code of the objection."""

    def __init__(self, code: IssueCode, problem: str) -> None:
        super().__init__(
            problem, cure="Ask the signer for a new signature, made with `auditor sign`."
        )
        self.code = code

    @property
    def objection(self) -> VerificationIssue:
        """The same as a value."""
        return VerificationIssue(self.code, self.problem)


@dataclass(frozen=True, slots=True)
class SignatureVerification:
    """What came of looking at a signature; ``verified`` only where no error stands against it.

    ``identity`` names who signed ``payload``: ``key:sha256:`` and the digest of a key, or for a
    certificate ``email:`` or ``uri:`` and the trusted name that it bears. Both are ``None`` where
    no signature was found to hold.
    """

    objections: tuple[VerificationIssue, ...]
    identity: str | None = None
    payload: bytes | None = None

    @property
    def verified(self) -> bool:
        """Whether a signature holds and no objection is an error."""
        return self.identity is not None and not self.mistakes

    @property
    def mistakes(self) -> tuple[str, ...]:
        """The objections that are errors, in words."""
        return tuple(item.text for item in self.objections if item.grade is IssueGrade.ERROR)

    @property
    def codes(self) -> tuple[IssueCode, ...]:
        """The codes of the objections, in the order in which they were found."""
        return tuple(item.code for item in self.objections)


class VerificationProfile(StrEnum):
    """``strict`` holds every MUST of the format and refuses whatever two verifiers might read in
    two ways; ``compat`` also takes what signers in use are known to write, with warnings.
    """

    STRICT = "strict"
    COMPAT = "compat"

    def tolerates(self, code: IssueCode) -> bool:
        """Whether an objection of this code is only a warning."""
        return self is VerificationProfile.COMPAT and code in _OLDER_HABITS

    def tolerate(self, code: IssueCode, text: str) -> VerificationIssue:
        """Return the warning. Raises ``VerificationError`` where the profile does not stand for
        it.
        """
        if not self.tolerates(code):
            raise VerificationError(code, text)
        return VerificationIssue(code, text, IssueGrade.WARNING)

    def graded(self, objections: Iterable[VerificationIssue]) -> tuple[VerificationIssue, ...]:
        """Return the objections, those that the profile tolerates as warnings."""
        return tuple(
            replace(item, grade=IssueGrade.WARNING) if self.tolerates(item.code) else item
            for item in objections
        )


_OLDER_HABITS = frozenset(
    {
        IssueCode.RESOURCE_ORDER,  # the reference sorts by the parts of paths, the format by text
        IssueCode.SINGLE_FILE_NAME,  # the reference calls a model's only file "."
        IssueCode.CERT_CA,  # leaves with CA:TRUE; the reference's own tests use such
        IssueCode.CERT_EKU,  # leaves without the usage codeSigning
        IssueCode.GIT_ATTRIBUTES,  # hubs add this file after signing; git reads it, no runtime does
        IssueCode.LEGACY_KEY,  # publicKey.rawBytes, before version 1.1 of the reference
        IssueCode.LEGACY_PREDICATE,  # digests among the subjects, version 0.2 of the reference
        IssueCode.LEGACY_STATEMENT,  # in-toto Statement v0.1
    }
)
"""None of these lets content pass that the trusted signer did not sign, but for the text of a
root ``.gitattributes``."""
