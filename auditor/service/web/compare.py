"""Bring two audits' folders side by side, as `auditor compare` does, for a page."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import BoundedSemaphore, Lock

from auditor.api.parts import Service
from auditor.api.showing import audit_of
from auditor.domain.api_keys import ApiKey
from auditor.domain.canonical import digest
from auditor.domain.served import Ending
from auditor.domain.steps import Step
from auditor.errors import RecordError
from auditor.folders import RECORD, RecordFolder
from auditor.juxtaposing import juxtapose
from auditor.manifests import laid_out
from auditor.recalling import policy_of
from auditor.refusals import CallError, StandingError
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.juxtaposed.page import told_of
from auditor.rendering.juxtaposed.words import Juxtaposed
from auditor.verifying import Verifier

KEPT, WAITING = 16, 4
Told = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Compares audits one pair at a time, and remembers the last ones: a record never changes.

    It takes seconds, so that few may wait for it: the others' calls must not wait behind them.
    """

    _one: Lock = field(default_factory=Lock)
    _few: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(WAITING))
    _held: OrderedDict[tuple[str, str], Told] = field(default_factory=OrderedDict)

    def of(self, service: Service, caller: ApiKey, left: str, right: str) -> Told:
        """Return what the page of a comparison says of two audits of the caller's project.

        Raises ``NotFoundError``, ``StandingError`` for one without a record or where too many
        wait, and ``CallError`` where the two have nothing in common.
        """
        sides = [_ending(service, caller, name) for name in (left, right)]
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
            raise StandingError("others compare audits now", cure="Try again in a minute.")
        try:
            with self._one:
                yield
        finally:
            self._few.release()


def _compared(service: Service, sides: list[Ending], names: tuple[str, str]) -> Told:
    verifier = service.gatekeeper.verifier(service.report_key)
    with ExitStack() as stack:
        folders = [stack.enter_context(laid_out(service.store.blobs, side.files)) for side in sides]
        kept = {folder.path: side.record for folder, side in zip(folders, sides, strict=True)}

        def same(folder: RecordFolder) -> tuple[Step, ...]:
            found = digest(folder.read(RECORD))
            mistakes = [] if found == kept[folder.path] else ["its files are not those kept of it"]
            return (Step.of("found", mistakes, found),)

        try:
            found, taken = juxtapose(folders[0], folders[1], same, verifier)
        except RecordError as error:
            problem = _named(error.problem, folders, names)
            raise CallError(
                problem, cure="Choose two audits of one model, on the same targets."
            ) from None
        old, new = (_inputs(folder, verifier) for folder in folders)
        return told_of(Juxtaposed(comparison=found, before=old, after=new, taken=taken))


def _ending(service: Service, caller: ApiKey, name: str) -> Ending:
    ending = service.kept.outcome(audit_of(service, caller, name).id)
    if ending is None or ending.files is None:
        raise StandingError(f"the audit {name} has no record", cure="Choose one that is done.")
    return ending


def _named(text: str, folders: list[RecordFolder], names: tuple[str, str]) -> str:
    """Call folders by their audits: where they lay for a moment is nobody's business."""
    for folder, name in zip(folders, names, strict=True):
        text = text.replace(str(folder.path), name)
    return text


def _inputs(folder: RecordFolder, verifier: Verifier) -> RenderedInputs:
    record = folder.record
    policy = policy_of(folder, record, verifier.load_policy)
    return RenderedInputs(
        record=record, policy=policy, checks=verifier.checks, blob=folder.evidence
    )
