"""Ask one record of a project all that a gate asks, by the steps of ``auditor gate --record``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from auditor.approving import APPROVALS
from auditor.contested import challenges_against, uncontested
from auditor.domain.canonical import digest
from auditor.domain.records import AuditRecord
from auditor.domain.steps import Step, all_hold
from auditor.errors import StoreError
from auditor.folders import RECORD, SIGNER, RecordFolder
from auditor.gates import Question, ask
from auditor.keyaudits import agents_here, report_key_here, signer_here
from auditor.manifests import as_kept
from auditor.people.against import held_against
from auditor.people.counting import counted_here
from auditor.people.enduring import is_refused
from auditor.people.gathering import Gathered, gather
from auditor.people.panels import Panel, read_again, read_kept
from auditor.people.standing import Judged, decided_by_people
from auditor.store.service.audited import Audited
from auditor.store.service.handed import Handed, handed_in
from auditor.store.service.rejudged import Stands
from auditor.verified import Marks, Verified, marks
from auditor.verifying import Verifier, verify_folder


@dataclass(frozen=True, slots=True)
class Case:
    """What is kept of audits whose records are asked, read at once; ``places`` are the ledger's
    leaves of their records by id, where those were asked for.
    """

    told: Gathered
    handed: Mapping[str, Handed]
    places: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """The steps of one record, which is read once it verifies, and whether approvals, which nobody
    refused, are all that it lacks.
    """

    steps: tuple[Step, ...]
    chosen: Audited | Stands
    record: AuditRecord | None = None
    lacks: bool = False


@dataclass(frozen=True, slots=True)
class Looker:
    """Asks records of the projects of a service.

    ``verifier`` says what verifying by a public key (PEM) needs; what was verified stays known. One
    that does not verify ``whole`` folders takes them for what the service wrote: lists, which speak
    of many, do so, and whoever opens a gate does not.
    """

    panel: Panel
    verifier: Callable[[bytes], Verifier]
    verified: Verified = field(default_factory=Verified)
    whole: bool = True

    def case(self, project: str, submission: str) -> Case:
        """Read what is kept of an audit."""
        told = gather(self.panel, project, (submission,))
        return Case(told, handed_in(self.panel.kept.store, project, (submission,)))

    def case_of(self, project: str, stands: Sequence[Stands]) -> Case:
        """Read what is kept of audits, and where their last records lie, by a few questions."""
        names, store = [item.submission for item in stands], self.panel.kept.store
        told, handed = gather(self.panel, project, names), handed_in(store, project, names)
        bodies = self.panel.rejudged.records(project, [item.record for item in stands])
        with store.ledger() as ledger:
            places = ledger.places([read_kept(kept).id for kept in bodies.values()])
        return Case(told, handed, places)

    def look(self, case: Case, chosen: Audited | Stands, question: Question, now: str) -> Looked:
        """Ask one record. Raises ``StoreError`` or ``RecordError`` for files that are not there."""
        folder = as_kept(self.panel.kept.store.blobs, chosen.files)
        # Marked before anything is read: what is put there meanwhile has other marks.
        there = marks(map(folder.place, sorted(folder.places or ()) if self.whole else ()))
        raw, key = folder.read(RECORD), folder.read(SIGNER)
        signer = report_key_here(self.panel.kept.store, key)
        steps = (_same(raw, chosen), signer, *self._verified(folder, chosen, key, there))
        if not all_hold(steps[1:]):
            return Looked(steps, chosen)
        # To verify takes a while, in which somebody may have challenged it, or ended a key.
        self.panel.kept.store.look_again()
        record = read_again(raw)
        steps += tuple(self._counts(folder, chosen, record, case, question, now))
        if all_hold(steps) or not all_hold(it for it in steps if it.name != APPROVALS):
            return Looked(steps, chosen, record)
        refused = is_refused(case.told, chosen.submission, now)
        return Looked(steps, chosen, record, lacks=not refused)

    def _verified(
        self, folder: RecordFolder, chosen: Audited | Stands, key: bytes, there: Marks
    ) -> tuple[Step, ...]:
        """Verify a folder, unless it was and no file of it changed on the disk since."""
        if not self.whole:
            return ()
        return self.verified.steps(
            str(chosen.files), key, there, lambda: verify_folder(folder, self.verifier(key))
        )

    def _counts(  # noqa: PLR0913, PLR0917 -- which record, what is known of it, and what is asked
        self,
        folder: RecordFolder,
        chosen: Audited | Stands,
        record: AuditRecord,
        case: Case,
        question: Question,
        now: str,
    ) -> Iterator[Step]:
        store, key, handed = self.panel.kept.store, folder.read(SIGNER), case.handed
        if chosen.submission not in handed:
            raise StoreError(f"{chosen.submission} is lost", cure="Restore the database.")
        submission, attempt = handed[chosen.submission]
        yield signer_here(store, record, key, case.places)
        yield from agents_here(store, record)
        held = tuple(held_against(store, submission, record, question, now))
        yield from held
        counted = tuple(counted_here(self.panel, case.told.project, attempt, record))
        yield from ask(record, question, (*counted, *held))
        yield from counted
        against = challenges_against(record, folder, store)
        yield uncontested(record, against, key, strict=False)
        judged = Judged(submission, record, question.policy, now)
        yield from decided_by_people(case.told, judged, folder)


def _same(raw: bytes, chosen: Audited | Stands) -> Step:
    same = digest(raw) == chosen.record
    mistakes = [] if same else [f"the files kept are not those of {chosen.record}"]
    return Step.of("found", mistakes, f"{chosen.record}, of {chosen.submission}")
