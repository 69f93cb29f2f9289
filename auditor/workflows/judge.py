"""Judge a record folder again, by another policy or with waivers, into a new signed record."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from auditor.domain.checks import Check
from auditor.domain.json import encode_canonical
from auditor.domain.policies import AssuranceLevel, Policy
from auditor.domain.records import AuditRecord
from auditor.domain.waivers import SignedWaiver
from auditor.errors import UsageError
from auditor.reports.folder import BUNDLE, KEY, RecordFolder
from auditor.reports.publish import RecordFiles, build_report_files
from auditor.trust.disclosure import DisclosureKey
from auditor.trust.keys.files import load_public_key
from auditor.trust.policies.query import QueryTime
from auditor.workflows.baseline import load_named_baseline
from auditor.workflows.challenge_status import list_challenges, refuse_challenged_record
from auditor.workflows.evidence import load_record_policy, read_record_secret, select_opening_files
from auditor.workflows.ledger import append_record_with_proof
from auditor.workflows.rejudge import rejudge_folder
from auditor.workflows.verify.timestamps import current_moment
from auditor.workflows.verify.trusted_record import (
    find_policy_acceptance,
    read_trust_policy_option,
)
from auditor.workflows.verify.verifiers import build_verifier
from auditor.workflows.waivers import (
    WaiverSources,
    list_waiver_keys,
    refuse_untrusted_waivers,
    verify_waivers,
)
from auditor.workflows.wiring import build_resolvers, locate_policy_source
from auditor.workflows.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeOptions:
    """By what a record is judged again: a policy by name or path, waivers, another baseline.

    ``key`` is the public key that the record must be signed with; ``waiver_keys`` or ``trust`` say
    who may waive.
    """

    policy: str | None = None
    key: Path | None = None
    waivers: tuple[Path, ...] = ()
    waiver_keys: tuple[Path, ...] = ()
    trust: Path | None = None
    baseline: str | None = None
    baseline_key: Path | None = None

    def verified_waivers(self) -> tuple[SignedWaiver, ...]:
        """Return the waivers that are given, each signed by somebody who may waive by now."""
        if self.trust is not None and self.waiver_keys:
            raise UsageError(
                "--trust and --waiver-key both say who may waive", cure="Give one of the two."
            )
        believed = read_trust_policy_option(self.trust)
        may = [load_public_key(path).pem for path in self.waiver_keys]
        if believed is not None:
            may += list_waiver_keys(believed)
        found = verify_waivers(WaiverSources(self.waivers, tuple(may)))
        if believed is not None:
            when = QueryTime(current_moment().at)
            refuse_untrusted_waivers(found, believed, when, find_policy_acceptance(believed))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class RejudgedRecord:
    """A new signed record of old evidence, what it was judged by, and the files of its folder.

    ``odd`` says what is odd about the policy, if anything is.
    """

    record: AuditRecord
    policy: Policy
    waivers: tuple[SignedWaiver, ...]
    checks: Mapping[str, type[Check]]
    files: RecordFiles
    odd: str


def judge_record_folder(
    old: RecordFolder, options: JudgeOptions, place: Workspace
) -> RejudgedRecord:
    """Judge the record in a folder again, sign the new record, and keep it; runs no model.

    The record must verify under the key of ``options``, by default the workspace's own. Raises
    ``RecordError``, also for a record that a challenge refuted, ``UsageError`` where nothing says
    by what to judge, ``PolicyError`` and ``WaiverError``.
    """
    record, leave = old.record, options.verified_waivers()
    own = place.signer.public_pem()
    checker = build_verifier(options.key or own, highest=max(AssuranceLevel))
    refuse_challenged_record(record, list_challenges(record, old, place.challenged_at))
    baseline = options.baseline, options.baseline_key
    compared = load_named_baseline(*baseline, own, place.challenged_at)
    if options.policy is not None:
        chosen = build_resolvers(Path.cwd()).load_policy(options.policy)
        placed = locate_policy_source(options.policy, Path.cwd())
    elif leave or compared is not None:
        chosen, placed = load_record_policy(old, record, checker.load_policy), None
    else:
        raise UsageError(
            "there is nothing to judge by that the record was not judged by",
            cure="Give --policy, --waiver or --baseline.",
        )
    odd, around = place.note(chosen, leave), place.surroundings()
    fresh = rejudge_folder(old, record, chosen, checker, around, leave, placed, compared)
    return RejudgedRecord(
        record=fresh,
        policy=chosen,
        waivers=leave,
        checks=checker.checks,
        files=_publish(place, old, record, fresh, chosen, checker.checks, compared),
        odd=odd,
    )


def _publish(  # noqa: PLR0913, PLR0917 -- two records, and what shows the new one
    place: Workspace,
    old: RecordFolder,
    record: AuditRecord,
    fresh: AuditRecord,
    chosen: Policy,
    checks: Mapping[str, type[Check]],
    compared: AuditRecord | None,
) -> RecordFiles:
    place.store.blobs.put(encode_canonical(chosen.document))
    fresh_blobs = set(fresh.request.leave)
    if compared is not None:
        fresh_blobs.add(place.store.blobs.put(compared.canonical()))

    def blob(digest: str) -> bytes:
        return place.store.blobs.get(digest) if digest in fresh_blobs else old.evidence(digest)

    files = build_report_files(fresh, chosen, checks, blob, place.signer)
    secret = read_record_secret(old, record)
    if secret is not None:
        opened = select_opening_files(old, fresh, secret)
        place.settings.secrets.put(fresh.digest, DisclosureKey.parse(opened[KEY]))
        files |= opened
    if place.ephemeral:
        return files
    return files | append_record_with_proof(place.store, fresh, files[BUNDLE])
