"""Trust policy files: YAML, with the keys and certificates beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from auditor._yaml import Place, YamlDocument, read_yaml_document
from auditor.domain.artifacts import FileDigest
from auditor.domain.json import Json
from auditor.errors import TrustPolicyError
from auditor.trust.policies.read import read_trust_policy
from auditor.trust.policies.trust_policy import TrustPolicy
from auditor.trust.signatures.model_signing import is_clean_path

NAMING = {"roots": ("pem", "trusted_root"), "keys": ("pem",)}
"""The settings, by section, that name a file or hold what would be in it."""
OWNED = ("next_owner",)
MOST_BYTES = 4 * 2**20
_BESIDE = "Name a file in the policy's own folder, or write its text out as a block (|)."


@dataclass(frozen=True, slots=True)
class TrustPolicyFile:
    """A trust policy that was read, and every file that it came from, its own first."""

    policy: TrustPolicy
    contents: Mapping[str, bytes]

    @property
    def files(self) -> tuple[FileDigest, ...]:
        """The files by name, size and digest."""
        return tuple(FileDigest.of(name, raw) for name, raw in self.contents.items())


def load_trust_policy(path: Path) -> TrustPolicyFile:
    """Read a trust policy and the files beside it that it names.

    Raises ``TrustPolicyError`` with file, line and cure for whatever is missing or wrong.
    """
    raw = _read(path, str(path), "Name a trust policy, such as trust.yaml.")
    document = read_yaml_document(raw, path.name, TrustPolicyError)
    contents = {path.name: raw}
    content = dict(document.content)
    for section, settings in NAMING.items():
        things = content.get(section)
        if isinstance(things, Mapping):
            content[section] = {
                name: _filled(document, (section, name), thing, settings, path, contents)
                for name, thing in things.items()
            }
    head = content.get("metadata")
    if head is not None:
        content["metadata"] = _filled(document, ("metadata",), head, OWNED, path, contents)
    return TrustPolicyFile(read_trust_policy(content, document.where), contents)


def _filled(  # noqa: PLR0913, PLR0917 -- the last two are the same for every thing
    document: YamlDocument,
    place: Place,
    thing: Json,
    settings: tuple[str, ...],
    path: Path,
    contents: dict[str, bytes],
) -> Json:
    """Return a thing with the content of the files that it names, which ``contents`` keeps."""
    if not isinstance(thing, Mapping):
        return thing
    found = dict(thing)
    for setting in settings:
        written = found.get(setting)
        if not isinstance(written, str) or written.lstrip().startswith(("-----BEGIN", "{")):
            continue
        said = f"{document.where((*place, setting))}: {'.'.join(map(str, place))}.{setting}"
        if not is_clean_path(written):
            problem = f"{said} is {written[:80]!r}, which names no file beside the policy"
            raise TrustPolicyError(problem, cure=_BESIDE)
        raw = _read(path.parent / written, f"{said}: {written}", _BESIDE)
        try:
            found[setting] = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise TrustPolicyError(f"{said}: {written} is not text", cure=_BESIDE) from None
        contents[written] = raw
    return found


def _read(path: Path, said: str, cure: str) -> bytes:
    if not path.is_file():
        raise TrustPolicyError(f"{said} is not a file", cure=cure)
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise TrustPolicyError(f"{said} cannot be read: {error.strerror}", cure=cure) from None
    if len(raw) > MOST_BYTES:
        raise TrustPolicyError(f"{said} has more than {MOST_BYTES} bytes", cure=cure)
    return raw
