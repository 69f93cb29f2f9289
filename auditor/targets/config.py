"""The target configuration of a team: ``targets.yaml``."""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from auditor._resources import find_user_home
from auditor._yaml import Place, YamlDocument, read_yaml_document
from auditor.domain.execution_providers import is_plain_entry, is_plain_option
from auditor.domain.json import Json
from auditor.domain.requests import AuditRequest
from auditor.domain.targets import EndpointSpec, TargetSpec
from auditor.errors import InvalidInputError, TargetError
from auditor.targets.callable_model import missing_function_error
from auditor.targets.target_specs import NAMED, parse_target_spec, resolve_target

NAME = "targets.yaml"
MOST_BYTES = 2**20
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


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
    document = read_yaml_document(raw, source, TargetError)
    found = dict(NAMED)
    # Cascades last: their halves may stand below them.
    for name, settings in sorted(_entries(document), key=lambda entry: _is_cascade(entry[1])):
        place: Place = ("targets", name)
        if not isinstance(settings, Mapping) or "name" in settings:
            raise TargetError(
                f"{document.where(place)}: targets.{name} is not a mapping of settings (the key is "
                "its name)",
                cure="Write `targets: {npu: {provider: QNNExecutionProvider}}`.",
            )
        try:
            found[name] = parse_target_spec(
                {"name": name, **settings}, lambda inner: resolve_target(inner, found)
            )
            if found[name].callable is not None:
                raise missing_function_error(found[name])
        except InvalidInputError as mistake:
            problem = f"{document.where(place)}: {mistake.problem}"
            raise TargetError(problem, cure=mistake.cure) from None
    return found


@dataclass(frozen=True, slots=True)
class OperatorTargets:
    """What the person who runs the command declares, and so lets run: no audit file can add to it.

    With ``allows_code`` that person lets all code run that the audit file, the record or the
    targets beside them name. ``files`` are where targets of the own may be declared, for messages.
    ``here`` are those of the working folder, whoever wrote them: they say where rows may go.
    ``functions`` are the names of targets whose functions the calling program brings.
    """

    declared: Mapping[str, TargetSpec] = field(default_factory=lambda: NAMED)
    allows_code: bool = False
    files: tuple[Path, ...] = ()
    here: Mapping[str, TargetSpec] = field(default_factory=dict)
    functions: frozenset[str] = frozenset()

    def permit_code(self, spec: TargetSpec) -> TargetSpec:
        """Return a target whose settings name no code but what the operator's own targets name.

        Its halves, if it is a cascade, are asked too; nothing but a program can bring a function.
        Raises ``TargetError``.
        """
        for place in spec.places:
            if place.callable is not None and place.name not in self.functions:
                raise missing_function_error(place)
        if self.allows_code:
            return spec
        own = [
            list_code_settings(place).items()
            for item in self.declared.values()
            for place in item.places
        ]
        for place in spec.places:
            asked = list_code_settings(place)
            if asked and not any(asked.items() <= known for known in own):
                setting, said = next(iter(asked.items()))
                raise TargetError(
                    f"the target {place.name!r} names code of this machine ({setting}: {said}), "
                    "and no target of your own names the same",
                    cure=f"Declare {place.name} with the same settings in {self._places()}, or add "
                    "--allow-target-code if you trust the author of the file.",
                )
        return spec

    def permit_secrets(self, spec: TargetSpec) -> TargetSpec:
        """Return a target that sends no variable of the environment but as the operator's own do.

        An audit file says which go where: a change of it could send a key of CI to anybody. Raises
        ``TargetError``.
        """
        own = {_way(found) for item in self.declared.values() for found in item.endpoints}
        for asked in () if self.allows_code else spec.endpoints:
            if asked.headers and _way(asked) not in own:
                raise TargetError(
                    f"the target {spec.name!r} sends "
                    f"{', '.join(sorted(asked.headers.values()))} of your environment to "
                    f"{urlsplit(asked.url).hostname}, which no target of your own does",
                    cure=f"Declare {spec.name} with the same `url` and `headers` in "
                    f"{self._places()}, or add --allow-target-code if you trust the author of the "
                    "file.",
                )
        return spec

    def nameable(self, declared: Mapping[str, TargetSpec]) -> Mapping[str, TargetSpec]:
        """Return all targets that can be named: those ``declared`` by a file come first."""
        written = {name: spec for name, spec in declared.items() if spec is not NAMED.get(name)}
        return {**NAMED, **self.declared, **written}

    def permit_endpoints(self, spec: TargetSpec) -> None:
        """Refuse endpoints that the operator does not declare with the same address and headers.

        A record that somebody else made says where rows go, and which of the environment's
        variables go with them. Raises ``TargetError``.
        """
        declared = (*self.declared.values(), *self.here.values())
        own = {_way(found) for item in declared for found in item.endpoints}
        for asked in spec.endpoints:
            if _way(asked) not in own:
                sends = f", with {', '.join(sorted(asked.headers.values()))}" * bool(asked.headers)
                raise TargetError(
                    f"the record sends rows to {urlsplit(asked.url).hostname}{sends}, which no "
                    "target of yours does",
                    cure=f"If it may, declare {spec.name} in ./{NAME} with the same `url` and "
                    "`headers`.",
                )

    def _places(self) -> str:
        return " or ".join(str(path) for path in self.files) or NAME


def load_operator_targets(
    material: Path | None, *, allow_code: bool = False, home: Path | None = None
) -> OperatorTargets:
    """Return what the operator declares: in ``AUDITOR_HOME``, and in the working folder.

    Where an audit file or a record is the ``material``, the working folder counts only if it
    belongs to something else: whoever wrote the material may have written what lies around it. A
    file counts only if nobody but its owner, the operator or root, can write it. Raises
    ``TargetError`` for a file that cannot be read, and for code named by a relative path under
    ``AUDITOR_HOME``: it would mean another file in each folder.
    """
    home, here = (home or find_user_home()) / NAME, Path.cwd() / NAME
    found, near = dict(NAMED), read_targets(here.parent)
    if _is_own(home):
        found |= read_targets(home.parent)
        for spec in found.values():
            _refuse_relative(spec, home)
    shares = material is not None and _belong_together(here.parent, material)
    if not shares and _is_own(here):
        found |= near
    return OperatorTargets(found, allow_code, (home,) if shares else (home, here), near)


def require_operator_permission(request: AuditRequest, operator: OperatorTargets) -> None:
    """Refuse to open the targets of a record's request, and its reference, without leave.

    Raises ``TargetError``.
    """
    reference = request.reference
    for spec in (*request.targets, *(() if reference is None else (reference,))):
        operator.permit_code(spec)
        operator.permit_endpoints(spec)


def list_code_settings(place: TargetSpec) -> dict[str, str]:
    """Return the settings of a target that name code to run or to load, or may do so."""
    options = {
        f"provider_options.{name}": said
        for name, said in place.provider_options.items()
        if not is_plain_option(name, said)
    }
    entries = {
        f"session.{name}": said
        for name, said in place.session.items()
        if not is_plain_entry(name, said)
    }
    named = {"interpreter": place.interpreter, "library": place.library}
    return {**{setting: said for setting, said in named.items() if said}, **options, **entries}


def _is_own(path: Path) -> bool:
    """Whether a file is there, belongs to the operator or root, and no other user can write it."""
    try:
        found = path.stat()
    except OSError:
        return False
    ours = found.st_uid in {os.geteuid(), 0}
    return stat.S_ISREG(found.st_mode) and ours and not found.st_mode & OTHERS_WRITE


def _belong_together(folder: Path, material: Path) -> bool:
    """Whether one hand may have written both: one lies within the other, or in its repository."""
    written = Path(os.path.abspath(material))  # noqa: PTH100 -- a link is where it is written
    for place in (written, material.resolve()):
        for near in (folder, folder.resolve()):
            inside = place.is_relative_to(near) or near.is_relative_to(place.parent)
            root = _repository(place)
            if inside or (root is not None and root == _repository(near)):
                return True
    return False


def _repository(path: Path) -> Path | None:
    return next((at for at in (path, *path.parents) if (at / ".git").exists()), None)


def _refuse_relative(spec: TargetSpec, source: Path) -> None:
    for place in spec.places:
        for setting, said in list_code_settings(place).items():
            named = setting == "interpreter" or bool(re.search(r"[/\\]|\.(so|dll|dylib)\b", said))
            if named and not Path(said).expanduser().is_absolute():
                raise TargetError(
                    f"{source}: {place.name} has {setting}: {said}, which is another file in each "
                    "working folder",
                    cure="Write the whole path.",
                )


def _way(spec: EndpointSpec) -> tuple[str, frozenset[tuple[str, str]]]:
    return spec.url, frozenset(spec.headers.items())


def _is_cascade(settings: Json) -> bool:
    return isinstance(settings, Mapping) and "cascade" in settings


def _entries(document: YamlDocument) -> Iterator[tuple[str, Json]]:
    content = document.content
    strangers = sorted(set(content) - {"apiVersion", "kind", "targets"})
    kinds = (content.get("apiVersion"), content.get("kind"))
    targets = content.get("targets")
    if strangers or kinds != ("auditor/v1", "Targets") or not isinstance(targets, Mapping):
        wrong = f" (there is no setting {strangers[0]!r})" if strangers else ""
        raise TargetError(
            f"{document.source} is not a file of targets{wrong}",
            cure="Begin it with `apiVersion: auditor/v1` and `kind: Targets`, and write the "
            "targets below `targets:`, each as `NAME: {SETTING: VALUE}`.",
        )
    yield from targets.items()
