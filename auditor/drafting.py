"""Look at a model and a data file, and draft an audit file from what they show."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from auditor.auditfiles.drafting import Observed, draft_audit_file
from auditor.datasets.sketching import sketch
from auditor.domain.artifacts import Artifact
from auditor.domain.targets import TargetSpec
from auditor.signing.artifacts import stage_artifact
from auditor.targets.declared import declared_shapes


def draft(model: Path, data: Path, base: Path) -> str:
    """Return an audit file that will lie in ``base``, with every guess marked.

    Raises ``InvalidInputError`` of the kind of file that cannot be read.
    """
    seen = sketch(data)
    with TemporaryDirectory(prefix="auditor-") as folder:
        files = stage_artifact(model, Path(folder))
        artifact = Artifact(model.stem, "0", files)
        declared = declared_shapes(TargetSpec("cpu"), Path(folder), artifact)
    return draft_audit_file(
        Observed(
            name=model.stem,
            artifact=_from(base, model),
            data=_from(base, data),
            model_shape=declared.input_shape,
            outputs=declared.scores,
            rows=seen.rows,
            columns=seen.columns,
            labels=seen.labels,
            classes=seen.classes,
            id=seen.id,
            groups=seen.groups,
            slices=seen.texts,
            input_shape=seen.input_shape,
            value_range=seen.value_range,
            pictures=seen.pictures,
            spread=seen.spread,
        )
    )


def _from(base: Path, path: Path) -> str:
    return Path(os.path.relpath(path, base)).as_posix()
