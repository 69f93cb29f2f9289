"""What a rule asks of a model beyond a signature that holds: its name, its version, its age."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from auditor.domain.trust import Binding
from auditor.signatures.bundles import parse_bundle
from auditor.signatures.certificates import read_certificate
from auditor.signatures.clocks import SKEW
from auditor.signatures.material import KeylessMaterial
from auditor.signatures.objections import Code, Grade, Objection, Refused, quoted
from auditor.signatures.profiles import Profile
from auditor.signatures.strict import read_object
from auditor.signatures.trust import Moment
from auditor.trusting.asking import Asked, Presented
from auditor.trusting.policies import Claimed, ModelRule
from auditor.trusting.versions import order_of


def object_to_claims(
    asked: Asked, rule: ModelRule, payload: bytes, presented: Presented
) -> Iterator[Objection]:
    """Yield what speaks against a model whose signature over ``payload`` holds."""
    yield from _object_to_name(rule, asked.claimed, payload)
    yield from _object_to_version(rule, asked.claimed)
    yield from _object_to_age(asked, rule, presented)
    grade = Grade.ERROR if asked.policy.bind_versions else Grade.WARNING
    for item in object_to_bindings(asked.claimed, presented.bindings):
        yield replace(item, grade=grade)


def object_to_bindings(claimed: Claimed, bindings: Sequence[Binding]) -> Iterator[Objection]:
    """Yield what was registered before and contradicts a model's name and version."""
    for item in bindings:
        there = f"{quoted(item.name)} {quoted(item.version)}"
        if (item.name, item.version) == (claimed.name, claimed.version):
            text = (
                f"{there} was registered at {item.registered} with other bytes ({item.digest}); "
                "give these a new version"
            )
        else:
            text = (
                f"these bytes were registered at {item.registered} as {there}; what is new needs "
                "new bytes"
            )
        yield Objection(Code.VERSION_BOUND, text)


def _object_to_name(rule: ModelRule, claimed: Claimed, payload: bytes) -> Iterator[Objection]:
    if not rule.signed_name:
        return
    subjects = read_object(payload, "the signed statement").get("subject")
    listed = subjects if isinstance(subjects, list) else []
    names = [item.get("name") for item in listed if isinstance(item, dict)]
    if names != [claimed.subject]:
        signed = quoted(names[0]) if len(names) == 1 else f"{len(names)} subjects"
        text = f"the signature names {signed}, and the model is called {quoted(claimed.subject)}"
        yield Objection(Code.NAME, text)


def _object_to_version(rule: ModelRule, claimed: Claimed) -> Iterator[Objection]:
    floor = None if rule.min_version is None else order_of(rule.min_version)
    if floor is None:
        return
    version, said = order_of(claimed.version), quoted(claimed.version)
    if version is None:
        text = f"the version {said} cannot be compared with the floor {rule.min_version}"
        yield Objection(Code.VERSION_FLOOR, text)
    elif version < floor:
        text = f"the version {said} is below {rule.min_version}, the lowest that is trusted still"
        yield Objection(Code.VERSION_FLOOR, text)


def _object_to_age(asked: Asked, rule: ModelRule, presented: Presented) -> Iterator[Objection]:
    if not rule.timed:
        return
    proven = _proven(asked, presented.bundle)
    if asked.when is None or proven is None or proven.at > asked.when.looked + SKEW:
        text = "no trusted clock says when it was signed, which the trust policy asks for"
        yield Objection(Code.NO_TIME, text)
    elif rule.max_age is not None and asked.when.looked - proven.at > rule.max_age:
        oldest = Moment(asked.when.looked - rule.max_age)
        text = f"it was signed at {proven}, and the trust policy takes none from before {oldest}"
        yield Objection(Code.TOO_OLD, text)


def _proven(asked: Asked, bundle: bytes | None) -> Moment | None:
    """Return the time that a trusted clock vouches for: when it was signed, at the latest.

    Of a keyless signature it is the earliest time that can be meant, so that none looks younger,
    nor does one that was stamped later.
    """
    stamped = None if asked.when is None else asked.when.stamped
    known = [item for item in (stamped, _logged(bundle)) if item is not None and item.proven]
    return min(known, key=lambda item: item.at, default=None)


def _logged(bundle: bytes | None) -> Moment | None:
    """Return the time that a keyless signature brings along."""
    if bundle is None:
        return None
    try:
        material = parse_bundle(bundle, Profile.COMPAT).material
    except Refused:
        return None
    if isinstance(material, KeylessMaterial):
        # The log saw it while this certificate was valid, for some minutes.
        certificate = read_certificate(material.certificate)
        return Moment(certificate.parsed.not_valid_before_utc, proven=True)
    return None
