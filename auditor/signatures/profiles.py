"""How strictly signatures are read: which objections a profile only warns of."""

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum

from auditor.signatures.objections import Code, Grade, Objection, Refused


class Profile(StrEnum):
    """``strict`` holds every MUST of the format and refuses whatever two verifiers might read in
    two ways; ``compat`` also takes what signers in use are known to write, with warnings.
    """

    STRICT = "strict"
    COMPAT = "compat"

    def tolerates(self, code: Code) -> bool:
        """Whether an objection of this code is only a warning."""
        return self is Profile.COMPAT and code in _OLDER_HABITS

    def tolerate(self, code: Code, text: str) -> Objection:
        """Return the warning. Raises ``Refused`` where the profile does not stand for it."""
        if not self.tolerates(code):
            raise Refused(code, text)
        return Objection(code, text, Grade.WARNING)

    def graded(self, objections: Iterable[Objection]) -> tuple[Objection, ...]:
        """Return the objections, those that the profile tolerates as warnings."""
        return tuple(
            replace(item, grade=Grade.WARNING) if self.tolerates(item.code) else item
            for item in objections
        )


_OLDER_HABITS = frozenset(
    {
        Code.RESOURCE_ORDER,  # the reference sorts by the parts of paths, the format by text
        Code.SINGLE_FILE_NAME,  # the reference calls a model's only file "."
        Code.CERT_CA,  # leaves with CA:TRUE; the reference's own tests use such
        Code.CERT_EKU,  # leaves without the usage codeSigning
        Code.GIT_ATTRIBUTES,  # hubs add this file after signing; git reads it, no runtime does
        Code.LEGACY_KEY,  # publicKey.rawBytes, before version 1.1 of the reference
        Code.LEGACY_PREDICATE,  # digests among the subjects, version 0.2 of the reference
        Code.LEGACY_STATEMENT,  # in-toto Statement v0.1
    }
)
"""None of these lets content pass that the trusted signer did not sign, but for the text of a
root ``.gitattributes``."""
