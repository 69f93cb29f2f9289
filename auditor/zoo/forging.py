"""What an auditee may do with a record: put other evidence into it, and sign it anew."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from auditor.checks.discovery import discover
from auditor.domain.baselines import Circumstances
from auditor.domain.evidence import Blob, Evidence, encode
from auditor.domain.observed import Result, Seen
from auditor.domain.policies import Policy
from auditor.domain.provenance import lineage_of
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.folders import RecordFolder, write_folder
from auditor.judging.context import context_of
from auditor.judging.judge import judge
from auditor.measuring import CONFIDENCE, readings
from auditor.packs.catalogues import load_catalogues
from auditor.packs.loading import load_policy
from auditor.publishing import publication
from auditor.recalling import load_results, policy_of
from auditor.shipped import shipped
from auditor.signatures.keys import Signer, read_public_key


def as_seen(seen: Seen) -> Evidence:
    """Leave the evidence as it is."""
    return seen.evidence


@dataclass(frozen=True, slots=True)
class Forgery:
    """Another record of the same audit: of evidence that ``see`` returns, and with other ``facts``.

    All that follows from the evidence is worked out again, so that figures, findings and renderings
    fit together: who forges like this has the program and knows it.
    """

    see: Callable[[Seen], Evidence] = as_seen
    facts: Mapping[str, Any] = field(default_factory=dict)

    def put(self, path: Path, signer: Signer) -> None:
        """Write the forged record in place of the one in a folder, signed by ``signer``."""
        old, checks = RecordFolder(path), discover()
        known = load_catalogues(shipped("policies"))
        record = old.record
        policy = policy_of(old, record, lambda raw, source: load_policy(raw, source, checks, known))
        results, blobs = _forged(load_results(old, record, checks), self.see)
        told = replace(record, **self.facts)
        judged, who = _concluded(told, results, policy), read_public_key(signer.public_pem())
        edges = lineage_of(judged, policy.catalogues, who.identity)
        forged = read_record(replace(judged, lineage=edges).canonical())
        files = publication(
            forged, policy, checks, lambda name: blobs.get(name) or old.evidence(name), signer
        )
        write_folder(path, files)


def _forged(
    results: Sequence[Result], see: Callable[[Seen], Evidence]
) -> tuple[tuple[Result, ...], dict[str, bytes]]:
    """Return what was seen with other evidence, and the bytes of that by their digests."""
    found: list[Result] = []
    blobs: dict[str, bytes] = {}
    for item in results:
        if not isinstance(item, Seen):
            found.append(item)
            continue
        evidence = see(item)
        named: dict[str, Blob] = {name: encode(of) for name, of in evidence.items()}
        blobs |= {blob.digest: blob.raw for blob in named.values()}
        digests = {name: blob.digest for name, blob in named.items()}
        found.append(Seen(replace(item.observation, evidence=digests), item.check, evidence))
    return tuple(found), blobs


def _concluded(record: AuditRecord, results: tuple[Result, ...], policy: Policy) -> AuditRecord:
    """Return the record that follows from results: its readings and its findings."""
    context = context_of(record.request, record.assurance, CONFIDENCE, (), record.finished)
    readings_at = cache(partial(readings, results))
    seen = tuple(item.observation for item in results if isinstance(item, Seen))
    under = Circumstances.of(record.request, seen, record.fingerprints)
    return replace(
        record,
        observations=seen,
        readings=readings_at(CONFIDENCE),
        findings=judge(policy, readings_at, context.against(None, under)),
    )
