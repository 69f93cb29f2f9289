"""A cache of comparisons of two audits, made as `auditor compare` does, for a page."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import BoundedSemaphore, Lock

from auditor.domain.json import compute_digest
from auditor.domain.verification_steps import VerificationStep
from auditor.errors import MalformedRequestError, RecordError, StateConflictError
from auditor.reports.folder import RECORD, RecordFolder
from auditor.reports.formats.comparison_html import build_comparison_context
from auditor.reports.html.comparison import ComparisonView
from auditor.reports.manifest import materialize_folder
from auditor.reports.rendering_inputs import ReportInputs
from auditor.service.api.context import ServiceContext
from auditor.service.api.requests import find_audit
from auditor.service.domain.access import ApiKey
from auditor.service.domain.submissions import SubmissionResult
from auditor.workflows.compare import compare_folders
from auditor.workflows.evidence import load_record_policy
from auditor.workflows.verify.folder import RecordVerifier

KEPT, WAITING = 16, 4
Told = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ComparisonCache:
    """Compares audits one pair at a time, and remembers the last ones: a record never changes.

    It takes seconds, so that few may wait for it: the others' calls must not wait behind them.
    """

    _one: Lock = field(default_factory=Lock)
    _few: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(WAITING))
    _held: OrderedDict[tuple[str, str], Told] = field(default_factory=OrderedDict)

    def of(self, service: ServiceContext, caller: ApiKey, left: str, right: str) -> Told:
        """Return what the page of a comparison says of two audits of the caller's project.

        Raises ``NotFoundError``, ``StateConflictError`` for one without a record or where too many
        wait, and ``MalformedRequestError`` where the two have nothing in common.
        """
        sides = []
        for name in (left, right):
            ending = service.kept.outcome(find_audit(service, caller, name).id)
            if ending is None or ending.files is None:
                raise StateConflictError(
                    f"audit {name} has no record", cure="Choose a completed audit."
                )
            sides.append(ending)
        pair = (str(sides[0].record), str(sides[1].record))
        with self._turn():
            if pair not in self._held:
                self._held[pair] = _compared(service, sides, (left, right))
            self._held.move_to_end(pair)
            while len(self._held) > KEPT:
                self._held.popitem(last=False)
            return self._held[pair]

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._few.acquire(blocking=False):
            raise StateConflictError(
                "the service is busy with other comparisons", cure="Try again in a minute."
            )
        try:
            with self._one:
                yield
        finally:
            self._few.release()


def _compared(
    service: ServiceContext, sides: list[SubmissionResult], names: tuple[str, str]
) -> Told:
    verifier = service.gatekeeper.verifier(service.report_key)
    with ExitStack() as stack:
        folders = [
            stack.enter_context(materialize_folder(service.store.blobs, side.files))
            for side in sides
        ]
        kept = {folder.path: side.record for folder, side in zip(folders, sides, strict=True)}

        def same(folder: RecordFolder) -> tuple[VerificationStep, ...]:
            found = compute_digest(folder.read(RECORD))
            mistakes = (
                [] if found == kept[folder.path] else ["its files differ from the stored ones"]
            )
            return (VerificationStep.of("found", mistakes, found),)

        try:
            found, taken = compare_folders(folders[0], folders[1], same, verifier)
        except RecordError as error:
            # Call folders by their audits: where they lay for a moment is nobody's business
            text = error.problem
            for named_folder, name in zip(folders, names, strict=True):
                text = text.replace(str(named_folder.path), name)
            problem = text
            raise MalformedRequestError(
                problem, cure="Choose two audits of the same model on the same targets."
            ) from None
        old, new = (_inputs(folder, verifier) for folder in folders)
        return build_comparison_context(
            ComparisonView(comparison=found, before=old, after=new, taken=taken)
        )


def _inputs(folder: RecordFolder, verifier: RecordVerifier) -> ReportInputs:
    record = folder.record
    policy = load_record_policy(folder, record, verifier.load_policy)
    return ReportInputs(record=record, policy=policy, checks=verifier.checks, blob=folder.evidence)
