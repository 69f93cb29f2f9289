"""The file in which a team writes its targets down: ``targets.yaml``."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from auditor.documents import Document, Place, read_document
from auditor.domain.canonical import Json
from auditor.domain.endpoints import EndpointSpec
from auditor.domain.targets import TargetSpec
from auditor.errors import InvalidInputError, TargetError
from auditor.targets.declaring import written_out
from auditor.targets.resolving import NAMED, resolve_target

NAME = "targets.yaml"
MOST_BYTES = 2**20


def read_targets(folder: Path) -> Mapping[str, TargetSpec]:
    """Return the targets that ``targets.yaml`` in ``folder`` declares, with those of the house.

    Nothing is opened, and no provider is looked for. Raises ``TargetError`` with file and line.
    """
    path = folder / NAME
    if not path.is_file():
        return NAMED
    raw = path.read_bytes()
    if len(raw) > MOST_BYTES:
        raise TargetError(f"{path} has {len(raw)} bytes", cure="Keep it below 1 MiB.")
    return parse_targets(raw, str(path))


def parse_targets(raw: bytes, source: str) -> Mapping[str, TargetSpec]:
    """Read the bytes of a file of targets; ``source`` is its name in messages."""
    document = read_document(raw, source, TargetError)
    found = dict(NAMED)
    # Cascades last: their halves may stand below them.
    for name, settings in sorted(_entries(document), key=lambda entry: _is_cascade(entry[1])):
        place: Place = ("targets", name)
        if not isinstance(settings, Mapping) or "name" in settings:
            raise TargetError(
                f"{document.where(place)}: targets.{name} is no mapping of settings (the key is "
                "its name)",
                cure="Write `targets: {npu: {provider: QNNExecutionProvider}}`.",
            )
        try:
            found[name] = written_out(
                {"name": name, **settings}, lambda inner: resolve_target(inner, found)
            )
        except InvalidInputError as mistake:
            problem = f"{document.where(place)}: {mistake.problem}"
            raise TargetError(problem, cure=mistake.cure) from None
    return found


def require_leave(specs: Iterable[TargetSpec], folder: Path) -> None:
    """Refuse endpoints that ``targets.yaml`` in ``folder`` does not declare with the same address.

    A record that somebody else made says where rows go, and which of the environment's variables
    go with them. It may also name code: an interpreter, a plugin, a library in a provider's
    options; each is refused where no target there names it. Raises ``TargetError``.
    """
    declared = read_targets(folder).values()
    own = {_way(found) for spec in declared for found in spec.endpoints}
    ours = {code for spec in declared for place in spec.places for code in _code(place).items()}
    for spec in specs:
        for place in spec.places:
            for setting, said in _code(place).items():
                if (setting, said) not in ours:
                    raise TargetError(
                        f"the record runs code of this machine: {setting} is {said!r}, which no "
                        "target of yours names",
                        cure=f"If it may, declare {place.name} in ./{NAME} with the same setting.",
                    )
        for asked in spec.endpoints:
            if _way(asked) not in own:
                sends = f", with {', '.join(sorted(asked.headers.values()))}" * bool(asked.headers)
                raise TargetError(
                    f"the record sends rows to {urlsplit(asked.url).hostname}{sends}, which no "
                    "target of yours does",
                    cure=f"If it may, declare {spec.name} in ./{NAME} with the same `url` and "
                    "`headers`.",
                )


def _way(spec: EndpointSpec) -> tuple[str, frozenset[tuple[str, str]]]:
    return spec.url, frozenset(spec.headers.items())


def _code(place: TargetSpec) -> dict[str, str]:
    """Return the settings of a target that may name code to run or to load."""
    options = {f"provider_options.{name}": said for name, said in place.provider_options.items()}
    named = {"interpreter": place.interpreter, "library": place.library, **options}
    return {setting: said for setting, said in named.items() if said}


def _is_cascade(settings: Json) -> bool:
    return isinstance(settings, Mapping) and "cascade" in settings


def _entries(document: Document) -> Iterator[tuple[str, Json]]:
    content = document.content
    strangers = sorted(set(content) - {"apiVersion", "kind", "targets"})
    kinds = (content.get("apiVersion"), content.get("kind"))
    targets = content.get("targets")
    if strangers or kinds != ("auditor/v1", "Targets") or not isinstance(targets, Mapping):
        wrong = f" (there is no setting {strangers[0]!r})" if strangers else ""
        raise TargetError(
            f"{document.source} is no file of targets{wrong}",
            cure="Begin it with `apiVersion: auditor/v1` and `kind: Targets`, and write the "
            "targets below `targets:`, each as `NAME: {SETTING: VALUE}`.",
        )
    yield from targets.items()
