"""Take what owners declare beside a model: the system it is a part of, and its risks."""

from collections.abc import Callable, Collection
from pathlib import Path

from auditor.auditfiles.risks import read_risks
from auditor.auditfiles.systems import read_system
from auditor.domain.artifacts import FileDigest
from auditor.domain.auditfiles import AuditFile
from auditor.domain.dossiers import Dossier
from auditor.domain.requests import AuditRequest, InputFile
from auditor.errors import DossierError, RecordError
from auditor.pointing import Locate, setting, there

Inputs = tuple[InputFile, ...]
MOST_BYTES = 2**20
CURE = "Write it as docs/dossier.md says (`auditor init --system` begins one)"


def stage_dossier(
    file: AuditFile, locate: Locate, rules: Collection[str] | None
) -> tuple[Dossier, Inputs]:
    """Read the system file and the file of risks, as far as the audit file names them.

    ``rules`` are the ids that risks may name, where that is held against a policy. Raises
    ``DossierError`` for a file that is missing or malformed, a system without the audited model,
    and a risk that names a rule that is none.
    """
    inputs: list[InputFile] = []
    system = risks = None
    if file.system is not None:
        raw = _bytes(file, "system", file.system, locate)
        inputs.append(InputFile(file.system, FileDigest.of(Path(file.system).name, raw)))
        system = read_system(raw, file.system, file.model.name)
    if file.risks is not None:
        raw = _bytes(file, "risks", file.risks, locate)
        inputs.append(InputFile(file.risks, FileDigest.of(Path(file.risks).name, raw)))
        risks = read_risks(raw, file.risks, rules)
    return Dossier(system, risks), tuple(inputs)


def dossier_of(request: AuditRequest, blob: Callable[[str], bytes]) -> Dossier:
    """Return what a request names of what owners declared, from among its evidence.

    Raises ``DossierError`` for what is no such document, or is not there.
    """
    system, risks = request.system, request.risks
    try:
        return Dossier(
            None if system is None else read_system(blob(system), "the system file"),
            None if risks is None else read_risks(blob(risks), "the file of risks"),
        )
    except RecordError as error:
        raise DossierError(error.problem, cure=error.cure) from None


def _bytes(file: AuditFile, name: str, written: str, locate: Locate) -> bytes:
    cure = f"{CURE}, or remove {name}."
    path = there(file, (name,), written, locate, cure=cure, error=DossierError)
    with path.open("rb") as opened:
        raw = opened.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise DossierError(
            f"{setting(file, name)}: {written} has more than {MOST_BYTES} bytes",
            cure="Write less, and name other documents in it where they lie.",
        )
    return raw
