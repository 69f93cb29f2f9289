"""Opens an artifact on its target in a child process and determines its input and output layout.

The artifact is never opened in this process.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from auditor._resources import find_user_home
from auditor.domain.artifacts import Artifact, ModelStructure
from auditor.domain.execution_providers import suggest_provider_package
from auditor.domain.isolation import IsolationLevel
from auditor.domain.targets import LabelOutput, TargetSpec
from auditor.domain.tasks import Array, ClassificationTask, Task
from auditor.errors import ArtifactError, DatasetError, ModelFailedError, RuntimeMissingError
from auditor.targets.callable_model import (
    CallableConnection,
    ModelFunction,
    find_function,
    missing_function_error,
)
from auditor.targets.child_process import ChildProcess
from auditor.targets.emulation import is_emulator_ready
from auditor.targets.endpoints.served_model import open_endpoint
from auditor.targets.fingerprint import make_fingerprint, read_placement, sanitise_facts
from auditor.targets.input_layout import (
    InputBinding,
    TensorSlot,
    arrange_rows,
    build_interface,
    list_input_bindings,
    read_tensor_slots,
)
from auditor.targets.isolation import build_sandbox_bounds
from auditor.targets.label_outputs import compare_labels, list_label_outputs
from auditor.targets.model import InterfaceDiscovery, OpenedModel, count_request_rows
from auditor.targets.outputs import (
    ModelOutput,
    find_score_output,
    read_output,
    to_probabilities,
    to_unchecked_scores,
)
from auditor.targets.protocol import ModelConnection
from auditor.targets.runtimes import find_driver
from auditor.targets.supervisor import ProcessSupervisor
from auditor.targets.target_specs import resolve_target
from auditor.targets.twin import open_twin

PROBE_ROWS = 64
"""Rows by which the interface is found out; each is sent twice, to see whether scores repeat."""
LONE_ROWS = 32
"""Of these, the rows that are sent alone as well: a model may serve one row otherwise than many."""
MOST_LONE = 0.1
"""The share of rows that may be answered otherwise alone, or among few: quantised models round by
the batch."""
SAME_PROBABILITY = 0.1
"""A probability that moves by less is the same answer."""
LABELLED_ROWS = 512
"""Rows on which labels beside the scores are compared with them."""
SAME_VALUE = 0.1
"""Of the deviation of the values of a regression: what differs by less is the same value."""


@dataclass(frozen=True, slots=True)
class FirstAnswers:
    """What a model answered to its first rows, and how they entered it, at which try."""

    entrance: InputBinding
    answers: list[ModelOutput]
    tried: int


def ask_first_rows(connection: ModelConnection, sample: Array) -> FirstAnswers:
    """Return a model's answers to the rows of ``sample``, whatever its task is.

    Layouts that fit the declared shapes are tried, likeliest first, until the runtime takes one.
    Raises what ``list_input_bindings`` raises, and the first refusal of the runtime.
    """
    if len(sample) == 0:
        raise DatasetError("there is no row to try the model with", cure="Give at least one row.")
    slots = read_tensor_slots(connection.opened.header.get("inputs"))
    outputs = read_tensor_slots(connection.opened.header.get("outputs"))
    refusals: list[ModelFailedError] = []
    for tried, entrance in enumerate(list_input_bindings(slots, sample.shape[1:]), start=1):
        try:
            answers = _ask(connection, entrance, sample, outputs)
        except ModelFailedError as refusal:
            refusals.append(refusal)
            continue
        return FirstAnswers(entrance, answers, tried)
    raise refusals[0]


def discover_interface(
    connection: ModelConnection, task: Task, sample: Array
) -> InterfaceDiscovery:
    """Find out a model's interface with the first rows of ``sample``.

    Raises what ``ask_first_rows`` and ``find_score_output`` raise.
    """
    outputs = read_tensor_slots(connection.opened.header.get("outputs"))
    began = time.monotonic()
    asked = sample[:PROBE_ROWS]
    heard = ask_first_rows(connection, asked)
    leaving = find_score_output(heard.answers, task)
    first = next(answer for answer in heard.answers if answer.name == leaving.output)
    again = _ask(connection, heard.entrance, asked, outputs)
    second = next(answer for answer in again if answer.name == leaving.output)
    repeats = first.array.tobytes() == second.array.tobytes() and first.keys == second.keys
    queries, alike = len(asked) * (heard.tried + 1), True
    # A graph of a fixed batch cannot tell a row alone from one among others
    for sizes in _list_small_requests(0 if heard.entrance.fixed_batch else len(asked)):
        parts = np.split(asked[: sum(sizes)], np.cumsum(sizes)[:-1]) if sizes else []
        heard_few = [_ask_few(connection, heard.entrance, part, outputs) for part in parts]
        few = [next((it for it in said if it.name == first.name), None) for said in heard_few]
        alike &= _answers_alike(first, few, sizes, leaving.scores, task)
        queries += sum(sizes)
    face = build_interface(heard.entrance, leaving)
    names = list_label_outputs(heard.answers, leaving, task)
    counted = [compare_labels(heard.answers, leaving, names, task)]
    more = sample[PROBE_ROWS:LABELLED_ROWS] if names else sample[:0]
    step = count_request_rows(face)
    for start in range(0, len(more), step):
        answers = _ask(connection, heard.entrance, more[start : start + step], outputs)
        counted.append(compare_labels(answers, leaving, names, task))
    labels = tuple(
        LabelOutput(name, sum(it.rows for it in parts), sum(it.differing for it in parts))
        for name, parts in zip(names, zip(*counted, strict=True), strict=True)
    )
    read = {leaving.output, *names}
    unread = tuple(it.name for it in heard.answers if it.name not in read)
    named = connection.opened.header.get("defaults")
    defaults = tuple(map(str, named)) if isinstance(named, list) else ()
    return InterfaceDiscovery(
        replace(face, labels=labels, unread=unread, defaults=defaults),
        None if first.keys is None else tuple(first.keys),
        deterministic=repeats and alike,
        queries=queries + len(more),
        busy=time.monotonic() - began,
    )


def _list_small_requests(rows: int) -> Iterator[list[int]]:
    """Yield how many rows each small request has: one row each, then one size after the other.

    A server joins what comes in at once, so that every small size occurs.
    """
    yield [1] * min(LONE_ROWS, rows)
    sizes: list[int] = []
    while (left := rows - sum(sizes)) > 0:
        sizes.append(min(left, len(sizes) + 2))
    yield sizes


def _ask_few(
    connection: ModelConnection, entrance: InputBinding, rows: Array, outputs: Sequence[TensorSlot]
) -> list[ModelOutput]:
    """Return the answers to a few rows; none where the runtime refuses so few."""
    try:
        return _ask(connection, entrance, rows, outputs)
    except ModelFailedError:
        return []


def _answers_alike(
    together: ModelOutput, few: Sequence[ModelOutput | None], sizes: Sequence[int], kind: str,
    task: Task,
) -> bool:  # fmt: skip
    """Whether rows sent in requests of these sizes are answered as among many, but for some."""
    found = []
    for item, size in zip(few, sizes, strict=True):
        shape = (size, *together.array.shape[1:])
        if item is None or item.keys != together.keys or item.array.shape != shape:
            return False
        found.append(item.array)
    if not found:
        return True
    many, small = (
        to_probabilities(to_unchecked_scores(it, together.keys, kind, task), kind)
        for it in (together.array[: sum(sizes)], np.concatenate(found))
    )
    apart = np.abs(many - small).max(axis=1)
    if isinstance(task, ClassificationTask):
        differ = (task.decide(many) != task.decide(small)) | (apart > SAME_PROBABILITY)
    else:
        differ = apart > SAME_VALUE * many.std()
    return bool(differ.mean() <= MOST_LONE)


def _ask(
    connection: ModelConnection,
    entrance: InputBinding,
    sample: Array,
    outputs: Sequence[TensorSlot],
) -> list[ModelOutput]:
    rows = arrange_rows(sample, build_interface(entrance))
    header = {"op": "infer", "fixed_batch": entrance.fixed_batch}
    reply = connection.ask(header, {entrance.input: rows})
    return [ModelOutput(slot.name, *read_output(reply, slot.name)) for slot in outputs]


__all__ = ["inspect_artifact", "open_model", "open_twin", "resolve_target"]


def inspect_artifact(
    folder: Path, artifact: Artifact, spec: TargetSpec, *, isolation: IsolationLevel | None = None
) -> ModelStructure:
    """Parse the artifact's files in a child and say what they show; nothing is run.

    Raises ``ArtifactError`` for files that cannot be parsed, ``SubjectLostError`` where parsing
    them takes the process down.
    """
    title = f"the process that parses {artifact.name!r}"
    asked = {"op": "inspect", "folder": str(folder.resolve()), "main": artifact.files[0].name}
    with ChildProcess(
        "sandbox.artifact_parser", build_sandbox_bounds(spec, folder, isolation=isolation), title
    ) as child:
        # Read a structure from what a child said, which may be anything
        reply = child.ask(asked, seconds=spec.time_limit)
        said = sanitise_facts(reply.header.get("structure"))
        try:
            return ModelStructure(
                kind=str(said["kind"]),
                opsets=_counts(said["opsets"]),
                operators=_counts(said["operators"]),
                external=tuple(str(name) for name in said["external"]),
                parameters=int(said["parameters"]),
                producer=str(said["producer"]),
                unsafe=tuple({str(k): str(v) for k, v in item.items()} for item in said["unsafe"]),
                integers=tuple(
                    {
                        "name": str(item["name"]),
                        "operator": str(item["operator"]),
                        "signed": bool(item["signed"]),
                        "read": bool(item["read"]),
                        **{name: int(item[name]) for name in ("pairs", "over", "largest")},
                    }
                    for item in said.get("integers") or ()
                ),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ArtifactError(
                f"the structure of the artifact cannot be told: {error}",
                cure="Update the auditor on that target.",
            ) from error


@contextmanager
def open_model(  # noqa: PLR0913 -- what an audit knows of a model, and how to hold it
    spec: TargetSpec, folder: Path, artifact: Artifact | None, task: Task, sample: Array,
    *, isolation: IsolationLevel | None = None,
) -> Iterator[OpenedModel]:  # fmt: skip
    """Open the artifact staged in ``folder`` on its target, and close it at the end.

    An endpoint needs no artifact. The first ``PROBE_ROWS`` rows of ``sample`` decide the
    interface; they are sent at least three times, some of them alone too, and count as queries;
    so do ``LABELLED_ROWS`` rows of a model that gives labels beside its scores. Raises
    ``ArtifactError`` where file, data and task do not go together, ``ModelFailedError`` for what
    the runtime refuses or is not audited yet, ``TargetError`` where the target is not to be had
    here, ``RuntimeMissingError`` where it lacks a runtime, ``SubjectLostError`` where opening takes
    the process down.
    """
    connection = connect_model(spec, folder, artifact, isolation)
    try:
        yield _introduce(connection, spec, task, sample)
    finally:
        connection.close()


@contextmanager
def open_function(
    functions: Mapping[str, ModelFunction], spec: TargetSpec, task: Task, sample: Array
) -> Iterator[OpenedModel]:
    """Open a target that is one of ``functions``, which are named as their targets are.

    Raises ``TargetError`` for a function that is missing or is another one, else as ``open_model``.
    """
    found = find_function(spec, functions)
    connection = CallableConnection(spec, found, sample[:PROBE_ROWS])
    yield _introduce(connection, spec, task, sample)


def open_local_model(
    spec: TargetSpec, folder: Path, artifact: Artifact | None, task: Task, sample: Array
) -> AbstractContextManager[OpenedModel]:
    """Open as ``open_model`` does, with what is on this machine: no emulator is fetched.

    Raises ``RuntimeMissingError`` where one would have to be.
    """
    if spec.emulated is not None and not is_emulator_ready(spec.emulated, find_user_home()):
        raise RuntimeMissingError(
            f"the emulator of {spec.emulated} is not on this machine",
            cure=f"Fetch it: auditor targets emulate {spec.emulated}.",
        )
    return open_model(spec, folder, artifact, task, sample)


def connect_model(
    spec: TargetSpec,
    folder: Path,
    artifact: Artifact | None,
    isolation: IsolationLevel | None = None,
) -> ModelConnection:
    """Return what holds the model open: nothing is started before it is first asked."""
    if spec.callable is not None:
        raise missing_function_error(spec)
    if spec.endpoint is not None:
        return open_endpoint(spec)
    if artifact is None:
        raise ModelFailedError(
            f"the target {spec.name!r} runs a file, and the audit names none",
            cure="Set model.artifact in the audit file, or name an endpoint as the target.",
        )
    path = folder.resolve() / artifact.files[0].name
    title = f"the process that runs {artifact.name!r} on the target {spec.name!r}"
    bounds = build_sandbox_bounds(spec, folder, isolation=isolation)
    start = partial(ChildProcess, find_driver(spec.runtime), bounds, title)
    return ProcessSupervisor(start, build_opening_request(spec, path), spec.time_limit)


def build_opening_request(spec: TargetSpec, path: Path) -> Mapping[str, Any]:
    """Return what a child is asked so that it opens the file at ``path`` as ``spec`` says."""
    return {
        "op": "open",
        "path": str(path),
        "provider": spec.provider,
        "threads": spec.threads,
        "graph_optimization": spec.graph_optimization,
        "cure": suggest_provider_package(spec),
        "device": spec.device,
        "library": spec.library,
        "provider_options": dict(spec.provider_options),
        "session": dict(spec.session),
        "free_dimensions": dict(spec.free_dimensions),
    }


def _introduce(
    connection: ModelConnection, spec: TargetSpec, task: Task, sample: Array
) -> OpenedModel:
    known = discover_interface(connection, task, sample)
    fingerprint = make_fingerprint(spec, connection.opened, known.interface, connection.level)
    placed = read_placement(spec, connection.opened)
    if spec.opens_file and spec.emulated is None:  # elsewhere, requests are split further
        rows = count_request_rows(known.interface)
        told = {**fingerprint.conditions_facts, "rows_a_request": rows}
        fingerprint = replace(fingerprint, conditions_facts=told)
    return OpenedModel(connection, task, known, fingerprint, placed)


def _counts(said: Mapping[str, Any]) -> dict[str, int]:
    return {str(name): int(count) for name, count in said.items()}
