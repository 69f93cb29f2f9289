"""Subjects whose model cannot be opened: what looks at files alone looks at them all the same."""

from auditor.domain.artifacts import Artifact, FileDigest, ModelStructure, SignatureMaterial
from auditor.domain.budgets import Budget
from auditor.domain.check_subject import Subject
from auditor.domain.readings import Gap, GapReason
from auditor.domain.supply_chain import ModelSupply
from auditor.domain.tasks import RegressionTask

NOTHING = Gap(reason=GapReason.MODEL_CRASHED, detail="The model cannot be opened.", cure="Mend it.")


def unopened(
    *files: FileDigest,
    structure: ModelStructure | Gap = NOTHING,
    signature: SignatureMaterial | None = None,
    supply: ModelSupply | None = None,
) -> Subject:
    """A subject of the artifact with these files."""
    return Subject(
        artifact=Artifact("m", "1", files),
        structure=structure,
        signature=signature or SignatureMaterial(),
        model=NOTHING,
        twin=NOTHING,
        task=RegressionTask(0.1),
        space=NOTHING,
        datasets={},
        audit_seed=1,
        seed=1,
        budget=Budget.SMOKE,
        supply=supply or ModelSupply(),
    )
