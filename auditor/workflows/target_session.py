"""A target opened for the checks of an audit, and the reading of its fingerprint."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from auditor.domain.audit_checkpoint import AuditCheckpoint, NoCheckpoint
from auditor.domain.check_subject import Subject
from auditor.domain.readings import Gap
from auditor.domain.targets import Fingerprint, TargetSpec
from auditor.workflows.engine.audit_subject import open_subject
from auditor.workflows.engine.target_factory import TargetFactory
from auditor.workflows.prepare import PreparedAudit

FORGETFUL = NoCheckpoint()


@contextmanager
def open_check_subject(
    prepared: PreparedAudit, spec: TargetSpec, openers: TargetFactory, memory: AuditCheckpoint
) -> Iterator[Subject]:
    """Open what the checks of an audit see on one target, for as long as the block lasts."""
    wants_twin = partial(prepared.wants_twin, spec)
    with open_subject(spec, prepared.materials, openers, twin=wants_twin) as subject:
        # Without a version nobody knows whether an endpoint serves what it served before. Nor does
        # the source of a function say what it answers.
        pinned = all(served.model_version for served in spec.endpoints)
        pinned = pinned and not any(place.callable for place in spec.places)
        subject.memory = memory if pinned else FORGETFUL
        yield subject


def read_target_fingerprint(subject: Subject) -> Fingerprint | None:
    """Return what a target turned out to be, or ``None`` where it could not be opened."""
    return None if isinstance(subject.model, Gap) else subject.model.fingerprint
