"""Drafts an audit file from what a model and a data file show."""

import os
import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from auditor._resources import scratch_folder
from auditor.domain.artifacts import Artifact
from auditor.domain.guesses import Confidence, Guess
from auditor.domain.json import Json
from auditor.inputs.auditfile.draft import (
    DraftFacts,
    can_list_classes,
    draft_audit_file,
    list_guesses,
)
from auditor.inputs.datasets.inspect import (
    DataFileSummary,
    inspect_data_file,
    list_decimal_commas,
    list_numbers,
    list_texts,
)
from auditor.inputs.datasets.prediction_columns import find_prediction_columns
from auditor.inputs.datasets.schema_draft import (
    draft_features,
    list_array_columns,
    write_schema,
)
from auditor.inputs.model_exports import refuse_foreign_model
from auditor.onnx.declared_identity import DeclaredIdentity
from auditor.targets.declared_interface import DeclaredShapes, read_declared_shapes, read_identity
from auditor.targets.session import connect_model
from auditor.trust.artifacts.files import stage_artifact
from auditor.workflows.draft_answers import Ask, confirm, confirm_guesses
from auditor.workflows.draft_class_order import note_answered_order, order_classes, score_draft
from auditor.workflows.draft_label import (
    KIND,
    LABELS,
    find_label,
    note_unanswered,
    refuse_column,
    refuse_missing_labels,
    take_kind,
    take_label,
)
from auditor.workflows.draft_session import (
    CPU,
    DraftSession,
    ModelAnswers,
    answer_beside,
    load_draft,
)
from auditor.workflows.draft_task import fit_task

SCHEMA = "schema.yaml"
SHOWN = 3


MEANINGLESS = frozenset(
    {"model", "models", "network", "net", "best", "last", "final", "export", "exported", "onnx"}
)
"""Names of files that say nothing of the model in them."""
VERSION = re.compile(r"(?:^|[-_.])v?(\d+(?:\.\d+)+)$|[-_.]v(\d+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditDraft:
    """A drafted audit file, the schema that it names (``None`` for no table), and every guess."""

    audit: str
    schema: str | None
    facts: DraftFacts

    @property
    def guesses(self) -> tuple[Guess, ...]:
        """What was guessed, with the evidence."""
        return list_guesses(self.facts)

    def to_json(self, written: Sequence[Path]) -> dict[str, Json]:
        """Return what `auditor init --format json` prints, of files that were ``written``."""
        return {
            "schema": "auditor/init-output/v1",
            "written": [path.as_posix() for path in written],
            "task": "regression" if self.facts.regression else "classification",
            "guesses": [guess.to_json() for guess in self.guesses],
            "doubts": list(self.facts.doubts),
            "exit_code": 0,
        }


def init_audit_file(  # noqa: PLR0913 -- one argument an option
    model: Path | None,
    data: Path,
    base: Path,
    *,
    schema: str = SCHEMA,
    ask: Ask | None = None,
    labels: str | None = None,
) -> AuditDraft:
    """Draft an audit file that will lie in ``base``, with every guess marked.

    The model is run on rows of the data, in a child process, to find out what its task is, which
    column is the truth, and which score is that of which class. For a table a schema is drafted,
    to be written as ``schema`` beside the audit file. Without a model, the data hold what it
    predicted. ``ask`` asks a person about uncertain guesses; ``labels`` names the column of the
    truth. Raises ``InvalidInputError`` of the kind of file that cannot be read, ``ArtifactError``
    for a model whose answers no audit could take for classes or a number.
    """
    if model is None:
        seen = _of_predictions(data, base, labels)
        if ask is not None:
            seen = confirm_guesses(seen, ask)
            load_draft(seen, base, {})  # refuses answers that an audit would refuse
        return _finish(seen)
    refuse_foreign_model(model)
    with scratch_folder() as place:
        artifact = Artifact(model.stem, "0", stage_artifact(model, place))
        identity = read_identity(CPU, place, artifact)
        with closing(connect_model(CPU, place, artifact)) as connection:
            declared = read_declared_shapes(connection)
            found = inspect_data_file(data)
            seen = _observed(_from(base, model), _from(base, data), found, declared)
            seen = _named_model(seen, model, identity)
            session = DraftSession(connection, place, artifact, base, found, declared)
            seen, answers = _find_truth(seen, session, labels, ask)
        if answers is not None:
            seen = fit_task(seen, found, answers, identity)
        if answers is not None:
            seen = _with_schema(seen, found, answers, schema)
        if not seen.regression and can_list_classes(seen):
            seen = _doubt_columns(order_classes(seen, session), seen, found)
        if ask is not None:
            drafted = seen
            seen = confirm_guesses(seen, ask)
            if (seen.classes, seen.positive) != (drafted.classes, drafted.positive):
                seen = note_answered_order(seen, score_draft(seen, session))
    return _finish(seen)


def _find_truth(
    seen: DraftFacts, session: DraftSession, labels: str | None, ask: Ask | None
) -> tuple[DraftFacts, ModelAnswers | None]:
    """Find the column of the truth and what the model answers beside it, else ask a person."""
    seen, answers = find_label(seen, session, labels)
    if ask is not None and not seen.pictures:
        asked = seen.labels
        seen = confirm(seen, LABELS, ask, partial(take_label, found=session.found))
        if seen.labels != asked:
            answers = answer_beside(seen, session, seen.labels)
    refuse_missing_labels(seen, session.found)
    if answers is None:
        seen = note_unanswered(seen, session)
        if ask is not None:
            seen = confirm(seen, KIND, ask, partial(take_kind, found=session.found))
    return seen, answers


def _of_predictions(data: Path, base: Path, labels: str | None) -> DraftFacts:
    """Draft an audit of what a file holds of a model's predictions. Raises ``DatasetError``."""
    found = inspect_data_file(data)
    if labels is not None and labels not in found.series:
        raise refuse_column(labels, found)
    held = find_prediction_columns(found, data.name, labels)
    taken = (held.predictions, held.left_out, *held.scores)
    seen = DraftFacts(
        name=data.stem,
        artifact=None,
        data=_from(base, data),
        rows=found.rows,
        columns=found.columns,
        labels=held.labels,
        classes=held.classes,
        id=found.id,
        groups=tuple(name for name in found.groups if name not in (held.labels, *taken)),
        unbanded=tuple(name for name in found.unbanded if name not in (held.labels, *taken)),
        time=found.time,
        slices=tuple(name for name in list_texts(found, held.labels) if name not in taken),
        scores=held.scores,
        predictions=held.predictions,
        positive=held.positive,
        spread=held.spread,
        evidence={"model.name": ("the name of the data file", Confidence.LOW), **held.evidence},
        doubts=held.doubts,
    )
    load_draft(seen, base, {})  # refuses what an audit would refuse
    return seen


def _finish(seen: DraftFacts) -> AuditDraft:
    if seen.time == seen.labels:
        seen = replace(seen, time=None)
    seen = replace(seen, unbanded=tuple(name for name in seen.unbanded if name != seen.labels))
    text = None if seen.schema is None else write_schema(seen.features, seen.data)
    return AuditDraft(audit=draft_audit_file(seen), schema=text, facts=seen)


def _observed(model: str, data: str, seen: DataFileSummary, declared: DeclaredShapes) -> DraftFacts:
    return DraftFacts(
        name=Path(model).stem,
        artifact=model,
        data=data,
        model_shape=declared.input_shape,
        outputs=declared.scores,
        rows=seen.rows,
        columns=seen.columns,
        labels=seen.labels,
        classes=seen.classes,
        id=None if declared.reads_text and seen.id == seen.longest else seen.id,
        groups=seen.groups,
        unbanded=seen.unbanded,
        time=seen.time,
        slices=seen.texts,
        input_shape=seen.input_shape,
        value_range=seen.value_range,
        pictures=seen.pictures,
        spread=seen.spread,
        reads_text=declared.reads_text,
        text=seen.longest,
    )


def _named_model(seen: DraftFacts, model: Path, identity: DeclaredIdentity) -> DraftFacts:
    """Take the name and the version from the file's metadata, else from its name or its folder."""
    sure, likely = Confidence.HIGH, Confidence.MEDIUM
    real = model.resolve()
    stem, version = real.stem, None
    where = "the name of the file"
    if (matched := VERSION.search(stem)) is not None:
        stem, version = stem[: matched.start()], matched[1] or matched[2]
    folder = real.parent
    if version is None and folder.name.isdigit():  # as model repositories lay versions out
        version, folder = folder.name, folder.parent
    if stem.lower() in MEANINGLESS and folder.name.isprintable() and folder.name.strip():
        stem, where = folder.name, "the name of the folder"
    if identity.name is not None:
        seen = replace(seen, name=identity.name)
        seen = seen.known_by("model.name", "the file's metadata", sure)
    elif stem.strip():
        seen = replace(seen, name=stem).known_by("model.name", where, likely)
    if identity.version is not None:
        seen = replace(seen, version=identity.version)
        return seen.known_by("model.version", "the file's metadata", sure)
    if version is not None:
        seen = replace(seen, version=version)
        return seen.known_by("model.version", "the name of the file or its folder", likely)
    return seen


def _with_schema(
    seen: DraftFacts, found: DataFileSummary, answers: ModelAnswers, schema: str
) -> DraftFacts:
    """Draft a schema of a table's columns that the model answered to, or of those of an array."""
    features = answers.features
    columns = {name: found.series[name] for name in features}
    if not columns and found.inputs is not None and not seen.pictures:
        columns = list_array_columns(found.inputs)
    if not columns:
        return seen
    drafted = draft_features(columns)
    unsure = sum(it.confidence.uncertain or bool(it.immutable) for it in drafted)
    words = f"drafted from {len(drafted)} columns; {unsure} of them need you"
    doubts = [*seen.doubts]
    if features and (rest := _list_left_out(seen, found, features)):
        are = "is" if len(rest) == 1 else "are"
        words += f"; the model takes {len(features)} numbers, and {', '.join(rest)} {are} left out"
        words += f": {answers.why}" if answers.why else ""
        doubts += [_doubt_rivals(rest, answers.rivals)] if answers.rivals else []
    if commas := list_decimal_commas(found) if features else []:
        doubts.append(
            f"Numbers with a decimal comma are read as texts: write those of {', '.join(commas)} "
            "with a point, or a model that takes them is given other columns."
        )
    if any(it.nullable for it in drafted):
        names = ", ".join(it.name for it in drafted if it.nullable)
        doubts.append(
            f"Values of {names} are missing: attacks take complete rows only, so that their rules "
            "stay undecided. Evaluate on complete rows, or fill the values in as your service does."
        )
    seen = replace(seen, doubts=tuple(doubts))
    return replace(seen, features=drafted, schema=schema).known_by(
        "input.features", words, Confidence.MEDIUM
    )


def _doubt_rivals(left: Sequence[str], rivals: Sequence[Sequence[str]]) -> str:
    """Say which other columns may be no inputs, as far as the model's answers show."""
    others = " or ".join(" and ".join(names) for names in rivals[:SHOWN])
    return (
        f"The draft leaves out {' and '.join(left)}. The model's answers are about as good if it "
        f"leaves out {others} instead: check the inputs in the schema against its training."
    )


def _list_left_out(seen: DraftFacts, found: DataFileSummary, features: Sequence[str]) -> list[str]:
    """Return columns of numbers that are not taken for inputs."""
    return [name for name in list_numbers(found, seen.labels) if name not in features]


def _doubt_columns(seen: DraftFacts, before: DraftFacts, found: DataFileSummary) -> DraftFacts:
    """Say that other columns may be the inputs, where scoring them raised doubts."""
    left = _list_left_out(seen, found, [it.name for it in seen.features])
    if not seen.features or not left or seen.doubts == before.doubts:
        return seen
    doubt = (
        f"Or the inputs are other columns: the draft leaves out {', '.join(left)}. List those "
        f"of the model in {seen.schema}, in the order of its training."
    )
    return replace(seen, doubts=(*seen.doubts, doubt))


def _from(base: Path, path: Path) -> str:
    return Path(os.path.relpath(path, base)).as_posix()
