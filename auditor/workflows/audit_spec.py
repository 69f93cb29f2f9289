"""Audit specifications of the Python API: an audit file, or a model and data in memory."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from inspect import signature
from math import inf
from pathlib import Path
from typing import Any, TypeGuard
from weakref import finalize

import yaml

from auditor._resources import scratch_folder
from auditor._yaml import REQUEST
from auditor.checks.registry import add_checks
from auditor.domain.auditfiles import DataSection
from auditor.domain.budgets import Budget
from auditor.domain.checks import Check
from auditor.domain.datasets import DatasetRole
from auditor.domain.json import Json
from auditor.domain.name_suggestions import suggest_near_names
from auditor.errors import UsageError
from auditor.inputs.api_arguments import (
    Paths,
    StrPath,
    describe_value,
    read_flag,
    read_names,
    read_optional_path,
    read_optional_path_name,
    read_path,
    read_path_name,
    read_paths,
    read_setting,
    speak_python,
)
from auditor.inputs.auditfile.schema import AuditFileSchema, ModelSectionSchema
from auditor.inputs.auditfile.task_mistakes import REGRESSION
from auditor.inputs.datasets.in_memory import Dataset, describe_settings, write_dataset
from auditor.inputs.datasets.load import load_datasets
from auditor.reports.folder import refuse_foreign_files
from auditor.targets.callable_model import ModelFunction, describe_callable
from auditor.targets.config import load_operator_targets
from auditor.trust.keys.ledger_key import describe_new_key
from auditor.workflows.audit_report import AuditReport, PlanReport
from auditor.workflows.local_audit import LocalAudit, open_audit_file, run_local_audit
from auditor.workflows.model_conversion import describe_task, identify_library
from auditor.workflows.model_export import ExportedModel, export_model, refuse_other_columns
from auditor.workflows.plan import plan_audit
from auditor.workflows.prepare import read_overridden_audit_file
from auditor.workflows.progress import AuditProgress, ProgressCallback, choose_progress
from auditor.workflows.wiring import PLAN_OPENERS, build_resolvers, callable_openers
from auditor.workflows.workspace import SigningKey, open_workspace_for

SAVED = "audit.yaml"
HERE: tuple[object, ...] = ("cpu", ("cpu",), ["cpu"])
FUNCTION = "python"
"""The name of the target that is a function of the caller."""
COMPARED_ROWS = 1024
"""Rows on which an exported model is compared with its original."""
OF_MODEL = frozenset(ModelSectionSchema.model_fields) - {"name", "artifact", "exported"}
OF_FILE = frozenset(AuditFileSchema.model_fields) - {
    *("api_version", "kind", "model", "data", "targets", "policy", "budget", "seed"),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AuditSpec:
    """What an audit is asked for: a model, data, targets, a policy, and what else an audit file
    says.

    Make one with ``AuditSpec.load`` from an audit file, or with ``AuditSpec.build`` from objects of
    a program. It runs nothing until ``audit`` or ``plan`` is called, and may be used again.
    """

    document: Mapping[str, Any]
    base: Path
    path: Path | None = None
    model: object = None
    datasets: Mapping[DatasetRole, Dataset] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[type[Check], ...] = ()
    allow_target_code: bool = False

    @classmethod
    @speak_python
    def load(cls, path: StrPath, *, allow_target_code: bool = False) -> "AuditSpec":
        """Read an audit file. Paths in it are relative to its folder.

        ``allow_target_code`` lets code run that targets of the file name. Raises
        ``AuditFileError`` with file, line and cure.
        """
        place = read_path(path, "path").absolute()
        read_flag(allow_target_code, "allow_target_code")
        open_audit_file(place, allow_target_code=allow_target_code)
        return cls(document={}, base=place.parent, path=place, allow_target_code=allow_target_code)

    @classmethod
    @speak_python
    def build(  # noqa: PLR0913 -- one argument a part of the request
        cls,
        model: object,
        data: Dataset | StrPath | None = None,
        *,
        training: Dataset | StrPath | None = None,
        reference: Dataset | StrPath | None = None,
        production: Dataset | StrPath | None = None,
        policy: StrPath = "baseline",
        budget: str | Budget = Budget.CI,
        targets: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ("cpu",),
        only: str | Sequence[str] = (),
        checks: type[Check] | Sequence[type[Check]] = (),
        seed: int = 7,
        name: str | None = None,
        allow_unsandboxed: bool = False,
        allow_target_code: bool = False,
        **settings: Any,  # noqa: ANN401 -- of the audit file, and checked as it is
    ) -> "AuditSpec":
        """Ask for an audit of ``model`` on ``data``.

        ``model`` is the path of an ONNX file, an ``onnx.ModelProto``, a fitted scikit-learn,
        LightGBM or XGBoost estimator, a ``torch.nn.Module``, a function from rows ``[n, …]`` to
        scores, or ``None`` for data that hold predictions, or where a target is an endpoint.
        ``data`` are the rows to judge it on; a path stands for ``Dataset.load(path)``.
        ``training``, ``reference`` and ``production`` are the other roles of data. Paths are
        relative to the working directory. ``checks`` are check classes of the caller. Of
        ``targets``, ``only`` and ``checks``, one stands for a list of one. ``settings`` are those
        of an audit file: ``version``, ``signature``, ``tags`` … of its model,
        and the sections ``task`` (an estimator brings its classes), ``input``, ``claims``,
        ``population``, ``recipe`` and so on; ``reference_target`` stands for its ``reference``, and
        ``model_key`` for the ``key`` of its model, as ``auditor.audit`` takes another ``key``.
        Raises ``UsageError`` for a setting that there is not; what the others hold is checked when
        the audit is planned or run.
        """
        roles = {
            DatasetRole.EVALUATION: data,
            DatasetRole.TRAINING: training,
            DatasetRole.REFERENCE: reference,
            DatasetRole.PRODUCTION: production,
        }
        _refuse_no_model(model, targets)
        document = {
            "model": {"name": _name_model(model, name), **_take_model(settings)},
            "targets": _read_targets(targets),
            "policy": read_setting(read_path_name(policy, "policy"), "policy"),
            "budget": _read_budget(budget).value,
            "seed": read_setting(seed, "seed"),
            **_take(settings, OF_FILE),
        }
        if "reference_target" in settings:
            asked = settings.pop("reference_target")
            document["reference"] = _read_targets((asked,), "reference_target")[0]
        _refuse_unknown(settings)
        return cls(
            document=document,
            base=Path.cwd(),
            model=model,
            datasets={role: _as_dataset(it, role) for role, it in roles.items() if it is not None},
            overrides={
                "only": read_names(only, "only"),
                "unsandboxed": read_flag(allow_unsandboxed, "allow_unsandboxed"),
            },
            checks=_read_checks(checks),
            allow_target_code=read_flag(allow_target_code, "allow_target_code"),
        )

    @speak_python
    def override(  # noqa: PLR0913 -- one argument an override
        self,
        *,
        policy: StrPath | None = None,
        budget: str | Budget | None = None,
        max_minutes: float | None = None,
        targets: str | Sequence[str] | None = None,
        only: str | Sequence[str] | None = None,
        checks: type[Check] | Sequence[type[Check]] | None = None,
        baseline: StrPath | None = None,
        baseline_key: StrPath | None = None,
        waivers: Paths | None = None,
        waiver_keys: Paths | None = None,
        allow_unsandboxed: bool | None = None,
    ) -> "AuditSpec":
        """Return the request with some of its settings replaced, as the command's options do.

        ``baseline`` is the folder of the record that limits are taken from, or ``last``;
        ``waivers`` and ``waiver_keys`` come beside those of the request. Raises ``UsageError``.
        """
        given: dict[str, Any] = {
            "policy": read_optional_path_name(policy, "policy"),
            "budget": None if budget is None else _read_budget(budget),
            "max_minutes": None if max_minutes is None else _read_minutes(max_minutes),
            "targets": None if targets is None else read_names(targets, "targets"),
            "only": None if only is None else read_names(only, "only"),
            "baseline": read_optional_path_name(baseline, "baseline"),
            "baseline_key": read_optional_path(baseline_key, "baseline_key"),
            "waivers": None if waivers is None else read_paths(waivers, "waivers"),
            "waiver_keys": None if waiver_keys is None else read_paths(waiver_keys, "waiver_keys"),
            "unsandboxed": None
            if allow_unsandboxed is None
            else read_flag(allow_unsandboxed, "allow_unsandboxed"),
        }
        set_now = {name: value for name, value in given.items() if value is not None}
        if set_now.get("targets") == ():
            raise UsageError("targets is empty", cure="Name at least one target, or remove it.")
        return replace(
            self,
            overrides={**self.overrides, **set_now},
            checks=self.checks if checks is None else _read_checks(checks),
        )

    @speak_python
    def audit(
        self,
        *,
        key: SigningKey | None = None,
        progress: bool | ProgressCallback | AuditProgress = True,
        out: StrPath | None = None,
        **overrides: Any,  # noqa: ANN401 -- those of ``override``
    ) -> AuditReport:
        """Run the audit on this machine, sign its record, and return the report.

        ``key`` signs; without one the user's own, which a first audit makes in ``AUDITOR_HOME``,
        where the record and its evidence are kept too. ``Key.ephemeral()`` writes nothing there.
        ``progress`` shows bars, is called with ``(done, total, text)``, or is ``False``. ``out``
        is a folder to save the report to. ``overrides`` are those of ``override``. Raises an
        ``AuditorError`` for what cannot be used; whatever else goes wrong becomes a Gap.
        """
        asked, shown = self.override(**overrides), choose_progress(progress)
        folder = read_optional_path(out, "out")
        if folder is not None:
            refuse_foreign_files(folder)
        with asked.open() as audit, ExitStack() as held:
            place = held.enter_context(open_workspace_for(key))
            for made in place.made_keys:
                shown.say(describe_new_key(made))
            done = run_local_audit(audit, place, shown)
            report = AuditReport(done.record, done.prepared.policy, done.files)
            if place.ephemeral:  # its evidence lies in a folder that ends with the report
                finalize(report, held.pop_all().close)
        if folder is not None:
            report.save(folder)
        return report

    @speak_python
    def plan(self, **overrides: Any) -> PlanReport:  # noqa: ANN401 -- of ``override``
        """Return by target what the audit costs, what is missing, and which rules it can decide.

        Opens the model and times a few rows; measures nothing, and writes nothing.
        """
        with self.override(**overrides).open() as audit:
            return PlanReport(plan_audit(audit)[1])

    @speak_python
    def save(self, path: StrPath = SAVED) -> Path:
        """Write the request as an audit file, and what is in memory beside it; return its path.

        ``auditor audit`` of that file asks for the same audit; what only its options say, such as
        ``only``, has to be said again. Paths in it are relative to where the request was made, so
        that it has to lie there. Raises ``UsageError`` where it cannot, where an audit file cannot
        hold the request, or where something would be written over.
        """
        place = read_path(path, "path")
        if self.path is not None or place.parent.resolve() != self.base.resolve():
            raise UsageError(
                f"the request cannot be written to {place}: its paths are relative to {self.base}",
                cure=f"Write it to {self.base / SAVED}.",
            )
        # Refuse to write a request that would ask for something else when it is read again
        kept = {"only", "unsandboxed"}
        lost = {
            "what was overridden": any(
                it != () for name, it in self.overrides.items() if name not in kept
            ),
            "checks of the caller": bool(self.checks),
            "a function": _is_function(self.model),
        }
        for what in (name for name, there in lost.items() if there):
            raise UsageError(
                f"an audit file cannot hold {what}, and would ask for another audit without",
                cure="Save a request of AuditSpec.build without it.",
            )
        with scratch_folder() as folder:
            asked = self._stage(folder)
            raw = asked.file.raw
            made = {**{it.name: it.read_bytes() for it in folder.iterdir()}, place.name: raw}
        there = [name for name in made if os.path.lexists(place.parent / name)]
        if there:
            raise UsageError(
                f"{there[0]} is there already in {place.parent.resolve()}",
                cure="Remove it, or make the request in another folder.",
            )
        try:
            for name, raw in made.items():
                with (place.parent / name).open("xb") as file:
                    file.write(raw)
        except OSError as error:
            raise UsageError(
                f"the request cannot be written to {place}: {error.strerror}",
                cure="Make room there, or make the request in another folder.",
            ) from None
        return place

    @contextmanager
    def open(self) -> Iterator[LocalAudit]:
        """Write what is in memory into a folder of the moment, and yield the audit of that.

        Raises as ``write_dataset`` and ``export_model`` do.
        """
        if self.path is not None:
            code = self.allow_target_code
            found = open_audit_file(self.path, allow_target_code=code, **self.overrides)
            checks = add_checks(found.resolvers.checks, self.checks)
            yield replace(found, resolvers=replace(found.resolvers, checks=checks))
            return
        with scratch_folder() as folder:
            yield self._stage(folder)

    def _stage(self, folder: Path) -> LocalAudit:
        """Write what is in memory into ``folder``, and return the audit of that."""
        written = {
            role: write_dataset(dataset, role, folder) for role, dataset in self.datasets.items()
        }
        data = {role.value: describe_settings(section) for role, section in written.items()}
        document = {"apiVersion": "auditor/v1", "kind": "Audit", **self.document, "data": data}
        judged, space = self.datasets.get(DatasetRole.EVALUATION), document.get("input") or {}
        if judged is not None and judged.text is not None and isinstance(space, Mapping):
            document["input"] = {"text": judged.text, **space}
        task = _complete_task(document.get("task"), describe_task(self.model))
        if task:
            document["task"] = task
        made = {
            section.path: folder / section.path for section in written.values() if section.title
        }
        _refuse_taken_names(self.document, made, written)
        if _is_function(self.model):
            answers = {"name": FUNCTION, "callable": describe_callable(self.model).to_json()}
            return self._locate({**document, "targets": [answers]}, made, written)
        if self.model is None:
            return self._locate(document, made, written)
        model = dict(document["model"])
        if isinstance(self.model, str | os.PathLike):
            exported = ExportedModel(Path(self.model))
        else:
            stand_in = {**document, "model": model | {"artifact": "model.onnx"}}
            # The first rows as the model takes them, to export and compare it with
            audit = self._locate(stand_in, made, written)
            rows = load_datasets(audit.file, audit.locate).datasets.get(DatasetRole.EVALUATION)
            if rows is None or rows.inputs is None:
                raise UsageError(
                    "there are no rows to export the model with", cure="Pass data with inputs."
                )
            refuse_other_columns(self.model, rows.features)
            exported = export_model(self.model, rows.inputs[:COMPARED_ROWS], folder)
            made[exported.path.name] = exported.path
        _refuse_taken_names(self.document, made, written)
        model["artifact"] = (
            exported.path.name if exported.path.name in made else exported.path.as_posix()
        )
        if exported.origin is not None:
            model["exported"] = exported.origin.to_json()
        return self._locate({**document, "model": model}, made, written)

    def _locate(
        self,
        document: Mapping[str, Any],
        made: Mapping[str, Path],
        written: Mapping[DatasetRole, DataSection],
    ) -> LocalAudit:
        operator = load_operator_targets(None, allow_code=self.allow_target_code)
        functions = {FUNCTION: self.model} if _is_function(self.model) else {}
        operator = replace(operator, functions=frozenset(functions))
        found = build_resolvers(self.base, operator)
        base = self.base
        raw = yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode()
        file = read_overridden_audit_file(raw, REQUEST, found, **self.overrides)
        # Data that lie in no file of their own have a title, by which messages call them
        data = {role: replace(it, title=written[role].title) for role, it in file.data.items()}
        return LocalAudit(
            file=replace(file, data=data),
            locate=lambda path: made.get(path, base / path),
            resolvers=replace(found, checks=add_checks(found.checks, self.checks)),
            openers=callable_openers(functions),
            plan_openers=callable_openers(functions, PLAN_OPENERS),
        )


def _refuse_taken_names(
    document: Mapping[str, Any],
    made: Mapping[str, Path],
    written: Mapping[DatasetRole, DataSection],
) -> None:
    """Refuse a path that would lead to what is in memory, under the name that this is written by.

    Raises ``UsageError``.
    """
    loaded = {section.path for section in written.values() if not section.title}
    for name in made:
        if name in loaded or name in _list_texts(document):
            raise UsageError(
                f"{name} is the name by which the audit knows what is in memory, and a path too",
                cure="Pass the absolute path of the file, or rename it.",
            )


def _list_texts(value: object) -> Iterator[str]:
    """Yield every text in a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _list_texts(item)


def _is_function(model: object) -> TypeGuard[ModelFunction]:
    """Whether a model is a function to ask, and nothing that a library exports."""
    known = isinstance(model, type) or identify_library(model) is not None
    return callable(model) and not known


BUILT = frozenset(signature(AuditSpec.build).parameters) - {"settings"} | {
    "model_key",
    "reference_target",
}


def _refuse_no_model(model: object, targets: object) -> None:
    if isinstance(model, str | os.PathLike):
        read_path(model, "model")
    if isinstance(model, type):
        raise UsageError(
            f"model is the class {model.__qualname__}, not an object of it",
            cure=f"Pass a fitted model: {model.__qualname__}(…).fit(X, y).",
        )
    if _is_function(model) and targets not in HERE:
        raise UsageError(
            "model is a function, which answers in this process and on no target",
            cure="Remove targets, or export the model to ONNX and pass its path.",
        )


def _name_model(model: object, name: object) -> Json:
    if name is not None:
        return read_setting(name, "name")
    if isinstance(model, str | os.PathLike):
        return read_setting(Path(model).stem, "model")
    if model is None:
        return "model"
    return getattr(model, "__name__", type(model).__name__).strip("<>")


def _take(settings: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """Remove the settings of some names, and return them as an audit file writes them."""
    found = {name: settings.pop(name) for name in list(settings) if name in names}
    return {name: read_setting(it, name) for name, it in found.items() if it is not None}


def _take_model(settings: dict[str, Any]) -> dict[str, Any]:
    """Remove the settings of the model; its key may have a name of its own."""
    if "model_key" in settings:
        settings["key"] = settings.pop("model_key")
    return _take(settings, OF_MODEL)


def _refuse_unknown(settings: Mapping[str, Any]) -> None:
    if settings:
        unknown = next(iter(settings))
        near = suggest_near_names(unknown, sorted({*OF_MODEL, *OF_FILE, *BUILT}))
        raise UsageError(
            f"an audit has no setting {unknown!r}{near}",
            cure="See docs/audit-file.md for the settings.",
        )


def _read_targets(given: object, argument: str = "targets") -> list[Json]:
    """Return targets by name, or written out, as an audit file holds them."""
    items = given if isinstance(given, list | tuple) else (given,)
    strange = [it for it in items if not isinstance(it, str | Mapping)]
    if strange:
        raise UsageError(
            f"{argument} is or holds {describe_value(strange[0])}, which is not a target",
            cure="Name a target ('cpu'), or write its settings as a mapping.",
        )
    return [read_setting(item, f"{argument}.{at}") for at, item in enumerate(items)]


def _read_checks(given: object) -> tuple[type[Check], ...]:
    items = given if isinstance(given, list | tuple) else (given,)
    for item in items:
        if not isinstance(item, type):
            raise UsageError(
                f"checks is or holds {describe_value(item)}, which is not a class of a check",
                cure="Pass your own classes of checks; only=['…'] chooses among all by their ids.",
            )
    return tuple(items)


def _complete_task(given: object, known: Mapping[str, Json]) -> object:
    """Return the task of an audit file: as it is given, and else as the model says it.

    Raises ``UsageError`` where a regressor is given no tolerance.
    """
    if not isinstance(given, Mapping | None):
        return given
    told = dict(given or {})
    regression = known.get("kind") == REGRESSION
    if regression and told.get("kind", REGRESSION) == REGRESSION and "tolerance" not in told:
        raise UsageError(
            "the model is a regressor, and nothing says which errors do no harm",
            cure="Pass task={'tolerance': 10.0}, the largest such error in the labels' unit.",
        )
    classifies = told.get("kind", "classification") == "classification"
    return {**known, **told} if regression or classifies else told


def _read_minutes(minutes: object) -> float:
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes < inf:
        raise UsageError(
            f"max_minutes {describe_value(minutes)} is not a positive number",
            cure="Give the minutes of target time that the audit may take, such as 15.",
        )
    return float(minutes)


def _read_budget(budget: object) -> Budget:
    found = next((it for it in Budget if isinstance(budget, str) and it.value == budget), None)
    if found is None:
        names = ", ".join(it.value for it in Budget)
        raise UsageError(f"{describe_value(budget)} is not a budget", cure=f"Name one of {names}.")
    return found


def _as_dataset(given: object, role: DatasetRole) -> Dataset:
    if isinstance(given, Dataset):
        return given
    if isinstance(given, str | os.PathLike):
        return Dataset.load(given)
    name = "data" if role is DatasetRole.EVALUATION else role.value
    raise UsageError(
        f"{name} is {describe_value(given)}, which says nothing of labels",
        cure="Pass auditor.Dataset(inputs, labels), or the path of a file.",
    )
