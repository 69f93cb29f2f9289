"""OpenSSF Model Signing 1.0: verify what was signed of a model, against the files that are there.

A verifier first opens the bundle (whose signature, over which manifest), then asks which digests
that manifest calls for, and compares them with what it measured. So nothing is hashed for a
signature that does not hold, and no more than the manifest names.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from auditor.domain.artifacts import FileDigest
from auditor.signatures.claims import read_claim
from auditor.signatures.manifests import LONE, WHOLE, Manifest, hides
from auditor.signatures.objections import Code, Objection, Verification, quoted
from auditor.signatures.opening import VerifyKeyless, open_bundle
from auditor.signatures.profiles import Profile
from auditor.signatures.serialisations import Part, Serialisation
from auditor.signatures.trust import Moment, Trusted

GIT = frozenset({".git", ".github", ".gitattributes", ".gitignore"})
"""What the reference never looks at in a model's folder (section 6.2)."""
GIT_ATTRIBUTES = ".gitattributes"


@dataclass(frozen=True, slots=True)
class Measured:
    """The files that are there: the size of each, and digests by the names of resources."""

    sizes: Mapping[str, int]
    digests: Mapping[str, str]
    how: Serialisation = WHOLE

    @classmethod
    def of(cls, files: Sequence[FileDigest]) -> "Measured":
        """Return whole files by SHA-256, as the artifact's own digest counts them."""
        sizes = {item.name: item.size for item in files}
        return cls(sizes, {item.name: item.sha256 for item in files})


@dataclass(frozen=True, slots=True)
class Opened:
    """A bundle that was opened: what came of it so far, and the manifest, where it may be read."""

    verification: Verification
    manifest: Manifest | None
    profile: Profile
    trusted: Trusted

    def wanted(self, sizes: Mapping[str, int]) -> tuple[Part, ...]:
        """Return which parts must be hashed to compare files of these sizes with the manifest.

        A file whose size is not the signed one is not hashed: it is another file already.
        """
        if self.manifest is None:
            return ()
        signed, stated = _renamed(self.manifest, sizes), _sizes(self.manifest, sizes)
        return tuple(
            part for part in signed if stated.get(part.name, -1) in {-1, sizes.get(part.name)}
            and part.name in sizes
        )  # fmt: skip

    @property
    def how(self) -> Serialisation:
        """How the signer says that the files were hashed."""
        return WHOLE if self.manifest is None else self.manifest.serialisation


def open_signature(
    bundle: bytes,
    trusted: Trusted,
    *,
    moment: Moment | None = None,
    profile: Profile = Profile.STRICT,
    keyless: VerifyKeyless | None = None,
) -> Opened:
    """Open a model's signature: who signed which manifest, before any file is looked at."""
    found = open_bundle(bundle, trusted, moment=moment, profile=profile, keyless=keyless)
    if found.payload is None:
        return Opened(found, None, profile, trusted)
    claim = read_claim(found.payload, profile)
    objections = [*found.objections, *claim.objections]
    manifest = claim.manifest
    if manifest is not None and manifest.serialisation.hash not in trusted.hashes:
        text = f"the files are hashed with {manifest.serialisation.hash}, which is not trusted"
        objections.append(Objection(Code.HASH_TYPE, text))
    return Opened(replace(found, objections=tuple(objections)), manifest, profile, trusted)


def compare(opened: Opened, measured: Measured) -> Verification:
    """Return what came of verifying, with what differs between the manifest and the files."""
    if opened.manifest is None:
        return opened.verification
    found = opened.profile.graded(_differences(opened, opened.manifest, measured))
    before = opened.verification
    return replace(before, objections=(*before.objections, *found))


def verify(
    bundle: bytes,
    trusted: Trusted | bytes,
    files: Sequence[FileDigest] | Measured,
    *,
    moment: Moment | None = None,
    profile: Profile = Profile.STRICT,
) -> Verification:
    """Verify that somebody trusted signed exactly these files under these names.

    ``trusted`` is a policy's value, or one public key as PEM. What the signer declares ignored is
    not believed: every file must be signed.
    """
    trust = trusted if isinstance(trusted, Trusted) else Trusted.key(trusted)
    opened = open_signature(bundle, trust, moment=moment, profile=profile)
    return compare(opened, files if isinstance(files, Measured) else Measured.of(files))


def _differences(opened: Opened, manifest: Manifest, measured: Measured) -> Iterator[Objection]:
    signed = _renamed(manifest, measured.sizes)
    stated = _sizes(manifest, measured.sizes)
    names = {part.name for part in signed}
    for name in sorted(names - measured.sizes.keys()):
        yield Objection(Code.MISSING_FILE, f"{quoted(name)} is signed, and is not there")
    for name in sorted(measured.sizes.keys() - names - opened.trusted.unsigned):
        yield _unsigned(name, manifest)
    other = {name for name in names & measured.sizes.keys()
             if stated.get(name, measured.sizes[name]) != measured.sizes[name]}  # fmt: skip
    same = measured.how == manifest.serialisation
    for part, digest in sorted(signed.items()):
        if part.name in measured.sizes and part.name not in other:
            if not same or part.label not in measured.digests:
                text = f"{quoted(part.label)} was not hashed with {manifest.serialisation.hash}"
                yield Objection(Code.UNMEASURED, text)
            elif measured.digests[part.label] != digest:
                other.add(part.name)
    for name in sorted(other):
        yield Objection(Code.DIGEST_MISMATCH, f"{quoted(name)} is not what was signed")


def _renamed(manifest: Manifest, sizes: Mapping[str, int]) -> dict[Part, str]:
    """Return the signed digests; a lone ``.`` means the one file that is there."""
    signed = {item.part: item.digest for item in manifest.resources}
    if manifest.names != (LONE,) or len(sizes) != 1:
        return signed
    (name,) = sizes
    return {replace(part, name=name): digest for part, digest in signed.items()}


def _sizes(manifest: Manifest, sizes: Mapping[str, int]) -> Mapping[str, int]:
    if manifest.names != (LONE,) or len(sizes) != 1:
        return manifest.sizes
    return dict.fromkeys(sizes, manifest.sizes[LONE]) if manifest.sizes else {}


def _unsigned(name: str, manifest: Manifest) -> Objection:
    said = f"{quoted(name)} is there, and is not signed"
    if name == GIT_ATTRIBUTES:
        return Objection(Code.GIT_ATTRIBUTES, said)
    if name.split("/", maxsplit=1)[0] in GIT:
        return Objection(Code.GIT_FILE, f"{said}; code can hide among git's files")
    if any(hides(path, name) for path in manifest.ignored):
        return Objection(Code.IGNORE_PATHS, f"{said}: the signer told verifiers to ignore it")
    return Objection(Code.EXTRA_FILE, said)
