"""How much there is to audit, as far as files and the request alone can tell."""

from dataclasses import replace

from auditor.datasets.counting import count
from auditor.datasets.loading import LoadedDatasets
from auditor.domain.auditfiles import AuditFile
from auditor.domain.budgets import Size
from auditor.domain.datasets import Role
from auditor.domain.tasks import Classification
from auditor.engines.openers import Materials


def size_of(file: AuditFile, loaded: LoadedDatasets, materials: Materials) -> Size:
    """Return the size of an audit, which costs and chances are foretold from."""
    evaluation = loaded.datasets.get(Role.EVALUATION)
    if evaluation is None:
        classes = len(loaded.task.classes) if isinstance(loaded.task, Classification) else 1
        known = Size(rows=0, classes=classes)
    else:
        known = count(evaluation, loaded.task)
    return replace(
        known,
        beside={
            role.value: dataset.rows
            for role, dataset in loaded.datasets.items()
            if role is not Role.EVALUATION
        },
        shadows=0 if materials.shadows is None else len(materials.shadows.models),
        generator=materials.generator is not None,
        recipe=file.recipe is not None and file.recipe.allow,
        served=any(target.served for target in file.targets),
    )
