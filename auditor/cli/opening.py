"""What a gate asks of a record that verifies, beside what is to be deployed."""

from collections.abc import Iterable

from auditor.cli.believing import key_here, signer_by
from auditor.cli.decision_options import MayDecide
from auditor.contested import challenges_against, uncontested
from auditor.domain.records import AuditRecord
from auditor.domain.steps import Step
from auditor.folders import SIGNER, RecordFolder
from auditor.settings import Settings
from auditor.trusting.policies import TrustPolicy


def counts(  # noqa: PLR0913 -- what is asked, and who is believed
    record: AuditRecord,
    folder: RecordFolder,
    believed: TrustPolicy | None,
    may: MayDecide,
    asked: Iterable[Step],
    *,
    strict: bool,
) -> tuple[Step, ...]:
    """Return what was ``asked``, between what became of a record's keys and what people say.

    These are its signer and the life of its key, challenges, waivers and approvals.
    """
    against = challenges_against(record, folder, Settings.from_environment().place)
    return (
        *signer_by(folder, believed),
        *key_here(record, folder),
        *asked,
        uncontested(record, against, folder.read(SIGNER), strict=strict),
        *may.steps(record, folder),
    )
