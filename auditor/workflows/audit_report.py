"""Result objects of the Python API: reports of audits, plans, comparisons and steps."""

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from auditor.domain.digests import Digest
from auditor.domain.evidence import Item, decode_evidence
from auditor.domain.findings import Finding, Verdict
from auditor.domain.name_suggestions import suggest_near_names
from auditor.domain.policies import Policy
from auditor.domain.readings import Reading
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import VerificationStep, all_hold
from auditor.errors import RecordError, UsageError
from auditor.inputs.api_arguments import StrPath, name_arguments, read_name, read_path, speak_python
from auditor.policy.plan import AuditPlan, CheckPlan, RulePlan
from auditor.policy.record_comparison_result import (
    ComparisonDirection,
    FindingChange,
    MetricChange,
)
from auditor.reports.folder import EVIDENCE, RecordFolder, write_folder
from auditor.reports.formats.comparison_html import render_comparison_html
from auditor.reports.html.comparison import ComparisonView
from auditor.reports.html.verdict import explain_verdict
from auditor.reports.publish import RecordFiles
from auditor.reports.wording import OUTCOMES
from auditor.workflows.evidence import load_record_policy
from auditor.workflows.reproduced_readings import Reproduction
from auditor.workflows.result_tables import (
    CHANGES,
    CHECK_PLANS,
    FINDING_CHANGES,
    FINDINGS,
    READINGS,
    RULE_PLANS,
    STEPS,
    ResultTable,
    describe_more_time,
)
from auditor.workflows.verify.verifiers import build_own_verifier

PAGE = "report.html"
UNVERIFIED = (
    "Not verified: the author of this folder can write any content. "
    "Check the signature with auditor.verify(folder, key=…)."
)
FRAME = (
    '<iframe srcdoc="{page}" sandbox="allow-scripts allow-popups" title="Audit report" '
    'style="width:100%;height:720px;border:1px solid #8884;border-radius:4px"></iframe>'
)


class AuditReport:
    """A signed record with all files of its folder. In a notebook it shows the report.

    It is true only if the verdict is a pass. ``record`` is the whole record, ``policy`` what it was
    judged by, ``files`` are the files of its folder by name. ``unverified`` says that nobody
    verified them, where that is so.
    """

    def __init__(
        self, record: AuditRecord, policy: Policy, files: Mapping[str, bytes], unverified: str = ""
    ) -> None:
        self.record, self.policy, self.files = record, policy, files
        self.unverified = unverified

    @classmethod
    @speak_python
    def load(cls, folder: StrPath) -> "AuditReport":
        """Read the record in a folder, as ``auditor audit`` wrote it.

        Nothing is verified, and what is shown says so: call ``auditor.verify`` for that. Raises
        ``RecordError``.
        """
        held = RecordFolder(read_path(folder, "folder"))
        record = held.record
        policy = load_record_policy(held, record, build_own_verifier(held).load_policy)
        blobs = {f"{EVIDENCE}/{name}": Digest.of_hex(name) for name in held.evidence_names()}
        files = RecordFiles(held.files({EVIDENCE}), blobs, held.evidence)
        return cls(record, policy, files, UNVERIFIED)

    @property
    def verdict(self) -> Verdict:
        """``pass``, ``fail`` or ``inconclusive``; only ``pass`` says that every rule was kept."""
        return self.record.verdict

    @property
    def findings(self) -> ResultTable[Finding]:
        """What each rule came to on each target."""
        return ResultTable(self.record.findings, FINDINGS)

    @property
    def readings(self) -> ResultTable[Reading]:
        """What was measured, and what is missing."""
        return ResultTable(self.record.readings, READINGS)

    @speak_python
    def evidence(self, check: str, target: str | None = None) -> dict[str, Item]:
        """Return what a check saw on a target, by default the first: arrays and JSON by name.

        ``auditor verify`` computes the figures again from it. Raises ``UsageError`` where the
        record has none of that check, and where its rows are withheld.
        """
        read_name(check, "check", "the id of a check")
        found = [
            seen
            for seen in self.record.observations
            if seen.check == check and target in {None, seen.target}
        ]
        if not found:
            there = sorted({seen.check for seen in self.record.observations})
            raise UsageError(
                f"the record has no evidence of {check}{suggest_near_names(check, there)}",
                cure="Name a check that has readings; a Gap's reason says why it has none.",
            )
        if found[0].committed:
            raise UsageError(
                f"rows of the evidence of {check} can be withheld",
                cure="Save the report, and read what is shown of them with `auditor disclose`.",
            )
        return {name: self._decode(digest) for name, digest in found[0].evidence.items()}

    def _decode(self, digest: str) -> Item:
        raw = self.files.get(f"{EVIDENCE}/{digest.removeprefix('sha256:')}")
        if raw is None:
            raise RecordError(
                f"the evidence {digest} is missing", cure="Take the folder as auditor wrote it."
            )
        try:
            return decode_evidence(raw)
        except ValueError as mistake:
            raise RecordError(
                f"the evidence {digest} cannot be read: {mistake}",
                cure="Take the folder as auditor wrote it.",
            ) from None

    @property
    def html(self) -> str:
        """The report as one self-contained page. Raises ``RecordError`` where there is none."""
        page = self.files.get(PAGE)
        if page is None:
            raise RecordError(
                f"the record's folder has no {PAGE}", cure="Take the folder as auditor wrote it."
            )
        return page.decode(errors="replace")

    @speak_python
    def save(self, folder: StrPath) -> Path:
        """Write the folder of the record, as ``auditor audit`` does, and return its path.

        A record that is there is replaced. Raises ``UsageError`` where other files lie there.
        """
        place = read_path(folder, "folder")
        write_folder(place, self.files)
        return place

    def __bool__(self) -> bool:
        """Return whether the verdict is a pass."""
        return self.verdict is Verdict.PASS

    def __repr__(self) -> str:
        """Say what was audited, the verdict and why."""
        request = self.record.request
        counts = dict.fromkeys(OUTCOMES, 0)
        for finding in self.record.findings:
            counts[finding.outcome] += 1
        said = ", ".join(f"{count} {OUTCOMES[it].lower()}" for it, count in counts.items() if count)
        return (
            f"<AuditReport {request.name} {request.version}: {self.verdict.value} under "
            f"{self.policy.name} {self.policy.version} ({said})>\n"
            + "\n".join(filter(None, (explain_verdict(self.record), self.unverified)))
        )

    def _repr_html_(self) -> str:
        said = f"<p><strong>{html.escape(self.unverified)}</strong></p>" if self.unverified else ""
        return said + FRAME.format(page=html.escape(self.html))


class PlanReport(Mapping[str, AuditPlan]):
    """What an audit costs and can decide, by target. It shows its rules and checks as tables."""

    def __init__(self, plans: Mapping[str, AuditPlan]) -> None:
        self._plans = dict(plans)

    def __getitem__(self, target: str) -> AuditPlan:
        """Return the plan of a target."""
        return self._plans[target]

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the targets."""
        return iter(self._plans)

    def __len__(self) -> int:
        """Count the targets."""
        return len(self._plans)

    def rules(self, target: str | None = None) -> ResultTable[RulePlan]:
        """Return what each rule can come to on a target, by default the first."""
        return ResultTable(self._plans[target or next(iter(self._plans))].rules, RULE_PLANS)

    def checks(self, target: str | None = None) -> ResultTable[CheckPlan]:
        """Return what each check costs or lacks on a target, by default the first."""
        return ResultTable(self._plans[target or next(iter(self._plans))].checks, CHECK_PLANS)

    def __repr__(self) -> str:
        """Show costs, rules and checks of each target."""
        parts = [
            f"{self._summarize(name)}\n\n{self.rules(name)!r}\n\n{self.checks(name)!r}"
            for name in self
        ]
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        return "".join(
            f"<p><strong>{html.escape(self._summarize(name))}</strong></p>"
            f"{self.rules(name)._repr_html_()}{self.checks(name)._repr_html_()}"
            for name in self
        )

    def _summarize(self, target: str) -> str:
        found = self._plans[target]
        price = "" if found.price is None else f", money: {found.price:.4f}"
        return (
            f"Plan for {target}: at most {found.queries:,} queries, {found.duration}{price}. "
            f"{describe_more_time(found)}"
        )


@dataclass(frozen=True, slots=True)
class StepReport:
    """The steps of a verification, a reproduction or a gate; true only where every step holds.

    Of a reproduction, ``reproduction`` counts the readings and lists those not compared.
    """

    steps: tuple[VerificationStep, ...]
    reproduction: Reproduction | None = None

    @property
    def holds(self) -> bool:
        """Whether every step that must hold does."""
        return all_hold(self.steps)

    def __bool__(self) -> bool:
        """Return ``holds``."""
        return self.holds

    def __repr__(self) -> str:
        """List each step with its result."""
        return f"{self._summarize()}\n{ResultTable(self.steps, STEPS)!r}"

    def _repr_html_(self) -> str:
        table = ResultTable(self.steps, STEPS)._repr_html_()
        return f"<p><strong>{self._summarize()}</strong></p>{table}"

    def _summarize(self) -> str:
        if self.reproduction is not None:
            return self.reproduction.summary
        return "It holds." if self.holds else "It does not hold."


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """Two records side by side, true only if nothing got worse.

    In a notebook it shows the page of ``auditor compare``.
    """

    view: ComparisonView

    @property
    def got_worse(self) -> bool:
        """Whether a figure moved beyond its interval for the worse, or a rule is no longer kept."""
        return self.view.comparison.got_worse

    @property
    def figures(self) -> ResultTable[MetricChange]:
        """Every figure that both records have, before and after; those that got worse first."""
        return ResultTable(self.view.comparison.moved, CHANGES)

    @property
    def findings(self) -> ResultTable[FindingChange]:
        """What each rule came to, before and after."""
        return ResultTable(self.view.comparison.findings, FINDING_CHANGES)

    @property
    def html(self) -> str:
        """The comparison as one self-contained page."""
        return render_comparison_html(self.view)

    def __bool__(self) -> bool:
        """Return whether nothing got worse, and no changed declaration left that open."""
        return not self.got_worse and not self.view.comparison.undecided

    def __repr__(self) -> str:
        """Say which records are compared, and how many figures moved."""
        found = self.view.comparison
        worse = len(found.worse)
        moved = sum(item.way is not ComparisonDirection.SAME for item in found.moved)
        unverified = f" {name_arguments(self.view.unverified)}" if self.view.unverified else ""
        return (
            f"<ComparisonReport {found.verdicts[0].value} → {found.verdicts[1].value}: "
            f"{moved} of {len(found.moved)} figures moved, {worse} for the worse>{unverified}"
        )

    def _repr_html_(self) -> str:
        return FRAME.format(page=html.escape(self.html))
