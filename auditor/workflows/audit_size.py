"""How much there is to audit, as far as files and the request alone can tell."""

from dataclasses import replace

from auditor.domain.auditfiles import AuditFile
from auditor.domain.budgets import AuditSize
from auditor.domain.datasets import DatasetRole
from auditor.domain.tasks import ClassificationTask
from auditor.inputs.datasets.load import LoadedDatasets, count_rows_by_label
from auditor.workflows.engine.target_factory import AuditInputs


def measure_audit_size(
    file: AuditFile, loaded: LoadedDatasets, materials: AuditInputs
) -> AuditSize:
    """Return the size of an audit, which costs and chances are foretold from."""
    evaluation = loaded.datasets.get(DatasetRole.EVALUATION)
    if evaluation is None:
        classes = len(loaded.task.classes) if isinstance(loaded.task, ClassificationTask) else 1
        known = AuditSize(rows=0, classes=classes)
    else:
        known = count_rows_by_label(evaluation, loaded.task)
    return replace(
        known,
        beside={
            role.value: dataset.rows
            for role, dataset in loaded.datasets.items()
            if role is not DatasetRole.EVALUATION
        },
        shadows=0 if materials.shadows is None else len(materials.shadows.models),
        generator=materials.generator is not None,
        recipe=file.recipe is not None and file.recipe.allow,
        served=any(target.served for target in file.targets),
    )
