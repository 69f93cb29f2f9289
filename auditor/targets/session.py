"""Opening an artifact on its target: in a child process, never in this one."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from auditor.domain.artifacts import Artifact, Structure
from auditor.domain.canonical import Json
from auditor.domain.isolation import Isolation
from auditor.domain.providers import where_to_get
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, Task
from auditor.errors import ArtifactError, ModelFailedError, RuntimeMissingError
from auditor.shipped import user_home
from auditor.targets.connections import Connection
from auditor.targets.emulators import is_ready
from auditor.targets.endpoints.opening import open_endpoint
from auditor.targets.exits import Answer
from auditor.targets.fingerprints import bounded, make_fingerprint
from auditor.targets.frames import Frame
from auditor.targets.introductions import PROBE_ROWS, listen, meet
from auditor.targets.isolation import bounds_of
from auditor.targets.keeping import Keeper
from auditor.targets.models import OpenedModel
from auditor.targets.placing import placement_of
from auditor.targets.probing import ROLES
from auditor.targets.processes import Child
from auditor.targets.resolving import resolve_target
from auditor.targets.twins import open_twin

__all__ = ["inspect_artifact", "open_model", "open_twin", "resolve_target"]


def inspect_artifact(
    folder: Path, artifact: Artifact, spec: TargetSpec, *, isolation: Isolation | None = None
) -> Structure:
    """Parse the artifact's files in a child and say what they show; nothing is run.

    Raises ``ArtifactError`` for files that cannot be parsed, ``SubjectLostError`` where parsing
    them takes the process down.
    """
    title = f"the process that parses {artifact.name!r}"
    asked = {"op": "inspect", "folder": str(folder.resolve()), "main": artifact.files[0].name}
    with Child("structure", bounds_of(spec, folder, isolation=isolation), title) as child:
        return _structure(child.ask(asked, seconds=spec.time_limit))


@contextmanager
def open_model(  # noqa: PLR0913 -- what an audit knows of a model, and how to hold it
    spec: TargetSpec, folder: Path, artifact: Artifact | None, task: Task, sample: Array,
    *, isolation: Isolation | None = None,
) -> Iterator[OpenedModel]:  # fmt: skip
    """Open the artifact staged in ``folder`` on its target, and close it at the end.

    An endpoint needs no artifact. The first ``PROBE_ROWS`` rows of ``sample`` decide the
    interface; they are sent at least twice and count as queries. Raises ``ArtifactError`` where
    file, data and task do not go together, ``ModelFailedError`` for what the runtime refuses or is
    not audited yet, ``TargetError`` where the target is not to be had here,
    ``RuntimeMissingError`` where it lacks a runtime, ``SubjectLostError`` where opening takes the
    process down.
    """
    connection = connect(spec, folder, artifact, isolation)
    try:
        yield _introduce(connection, spec, task, sample[:PROBE_ROWS])
    finally:
        connection.close()


def first_answers(
    spec: TargetSpec, folder: Path, artifact: Artifact, sample: Array
) -> tuple[Answer, ...]:
    """Return every output of the artifact for the first rows of ``sample``, whatever its task is.

    Raises as ``open_model`` does.
    """
    connection = connect(spec, folder, artifact)
    try:
        return tuple(listen(connection, sample[:PROBE_ROWS]).answers)
    finally:
        connection.close()


def open_model_at_hand(
    spec: TargetSpec, folder: Path, artifact: Artifact | None, task: Task, sample: Array
) -> AbstractContextManager[OpenedModel]:
    """Open as ``open_model`` does, with what is on this machine: no emulator is fetched.

    Raises ``RuntimeMissingError`` where one would have to be.
    """
    if spec.emulated is not None and not is_ready(spec.emulated, user_home()):
        raise RuntimeMissingError(
            f"the emulator of {spec.emulated} is not on this machine",
            cure=f"Fetch it: auditor targets emulate {spec.emulated}.",
        )
    return open_model(spec, folder, artifact, task, sample)


def connect(
    spec: TargetSpec, folder: Path, artifact: Artifact | None, isolation: Isolation | None = None
) -> Connection:
    """Return what holds the model open: nothing is started before it is first asked."""
    if spec.endpoint is not None:
        return open_endpoint(spec)
    if artifact is None:
        raise ModelFailedError(
            f"the target {spec.name!r} runs a file, and the audit names none",
            cure="Set model.artifact in the audit file, or name an endpoint as the target.",
        )
    path = folder.resolve() / artifact.files[0].name
    title = f"the process that runs {artifact.name!r} on the target {spec.name!r}"
    bounds = bounds_of(spec, folder, isolation=isolation)
    start = partial(Child, ROLES[spec.runtime], bounds, title)
    return Keeper(start, opening_request(spec, path), spec.time_limit)


def opening_request(spec: TargetSpec, path: Path) -> Mapping[str, Any]:
    """Return what a child is asked so that it opens the file at ``path`` as ``spec`` says."""
    return {
        "op": "open",
        "path": str(path),
        "provider": spec.provider,
        "threads": spec.threads,
        "graph_optimization": spec.graph_optimization,
        "cure": where_to_get(spec),
        "device": spec.device,
        "library": spec.library,
        "provider_options": dict(spec.provider_options),
        "session": dict(spec.session),
        "free_dimensions": dict(spec.free_dimensions),
    }


def _introduce(connection: Connection, spec: TargetSpec, task: Task, sample: Array) -> OpenedModel:
    known = meet(connection, task, sample)
    fingerprint = make_fingerprint(spec, connection.opened, known.interface, connection.level)
    placed = placement_of(spec, connection.opened)
    model = OpenedModel(connection, task, known, fingerprint, placed)
    if spec.endpoint is None and spec.emulated is None:  # elsewhere, each row has its price
        model.settle(sample, known.pace)
    return model


def _structure(reply: Frame) -> Structure:
    """Read a structure from what a child said, which may be anything."""
    said = bounded(reply.header.get("structure"))
    try:
        return Structure(
            kind=str(said["kind"]),
            opsets=_counts(said["opsets"]),
            operators=_counts(said["operators"]),
            external=tuple(str(name) for name in said["external"]),
            parameters=int(said["parameters"]),
            producer=str(said["producer"]),
            unsafe=tuple({str(k): str(v) for k, v in item.items()} for item in said["unsafe"]),
            integers=tuple(_weight(item) for item in said.get("integers") or ()),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"the structure of the artifact cannot be told: {error}",
            cure="Update the auditor on that target.",
        ) from error


def _weight(said: Mapping[str, Any]) -> dict[str, Json]:
    return {
        "name": str(said["name"]),
        "operator": str(said["operator"]),
        "signed": bool(said["signed"]),
        "read": bool(said["read"]),
        **{name: int(said[name]) for name in ("pairs", "over", "largest")},
    }


def _counts(said: Mapping[str, Any]) -> dict[str, int]:
    return {str(name): int(count) for name, count in said.items()}
