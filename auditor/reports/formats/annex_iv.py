"""Technical documentation as Markdown under EU AI Act Annex IV, filled from an audit record.

Each of the nine points is observed by the audit, declared by the owner, or listed as missing with
the responsible owner. The titles of the points are our own wording.

Source: Regulation (EU) 2024/1689, Annex IV.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from auditor._time import format_moment
from auditor.domain.ai_system import (
    TITLES,
    AiSystem,
    RisksDocument,
    SystemTopic,
    find_risk_owner,
    find_topic_owner,
)
from auditor.domain.number_text import DASH, format_coordinates, format_count, format_measurement
from auditor.domain.readings import Measurement
from auditor.domain.report_blocks import ReportTopic
from auditor.reports.formats.markdown import escape_inline
from auditor.reports.formats.markdown import escape_markdown as plain
from auditor.reports.html.controls import list_legal_basis
from auditor.reports.html.findings import (
    FindingReference,
    ReportTable,
    TableCell,
    build_cards,
    build_finding_references,
    build_findings_table,
    describe_reading,
)
from auditor.reports.html.risks import build_risk_rows, build_risks_table
from auditor.reports.html.run_details import build_target_facts
from auditor.reports.html.verdict import (
    build_verify_command,
    describe_verdict,
    find_verdict_expiry,
)
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.report_formats import ReportFormat, encode_text
from auditor.reports.scope_wording import describe_scope
from auditor.reports.wording import check_title, describe_bound, metric_title

MOST_ROWS = 60


@dataclass(frozen=True, slots=True)
class AnnexContext:
    """A record as it is told, with its findings as others point at them."""

    inputs: ReportInputs
    found: tuple[FindingReference, ...]

    @property
    def system(self) -> AiSystem | None:
        """What owners declare of the system, if they do."""
        paper = self.inputs.dossier.system
        return None if paper is None else paper.system

    def documenting(self, topic: ReportTopic) -> frozenset[str]:
        """Return the checks whose figures document a topic."""
        checks = self.inputs.checks.items()
        return frozenset(name for name, check in checks if topic in check.topics)

    def findings(self, families: Collection[str]) -> ReportTable | None:
        """Return the findings of some families of checks, or of some checks, as a table."""
        chosen = [item for item in self.found if _among(item.finding.measure, families)]
        return build_findings_table(chosen, MOST_ROWS)

    def measured(self, families: Collection[str]) -> tuple[Measurement, ...]:
        """Return the figures of some families of checks, or of some checks."""
        readings = self.inputs.record.readings
        figures = [item for item in readings if isinstance(item, Measurement)]
        return tuple(item for item in figures if _among(item.check, families))

    def figures(
        self, chosen: Sequence[Measurement], *, by_check: bool = False
    ) -> ReportTable | None:
        """Return figures with their intervals as a table, or nothing without any.

        Each is called by its metric, or by its check where all are of one metric.
        """
        if not chosen:
            return None
        name = self._check if by_check else self._metric
        rows = tuple((TableCell(name(item)), *self._row(item)) for item in chosen[:MOST_ROWS])
        header = ("Check" if by_check else "Figure", "Where", "Value", "Interval")
        return ReportTable(header, rows, len(chosen) - len(rows))

    def _check(self, item: Measurement) -> str:
        return check_title(self.inputs, item.check)

    def _metric(self, item: Measurement) -> str:
        return metric_title(self.inputs, item.check, item.metric)

    def _row(self, item: Measurement) -> tuple[TableCell, ...]:
        words, several = format_measurement(item), len(self.inputs.record.request.targets) > 1
        where = [
            format_coordinates(item.params, item.slice),
            f"on {item.target}" if several else "",
        ]
        doubt = " (doubted)" if item.doubted else ""
        return (
            TableCell(", ".join(part for part in where if part) or "all rows"),
            TableCell(f"{describe_bound(item)}{words.value}{doubt}"),
            TableCell(words.interval or "exact"),
        )


def _among(measure: str, families: Collection[str]) -> bool:
    check = measure.partition("/")[0]
    return check in families or check.partition(".")[0] in families


class EntrySource(StrEnum):
    """Where an entry comes from; a declaration is checked by nobody here."""

    SEEN = "seen"
    DECLARED = "declared"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnexEntry:
    """One thing that a point asks for. What is missing has an owner and no text."""

    name: str
    source: EntrySource = EntrySource.SEEN
    owner: str = ""
    lines: tuple[str, ...] = ()
    table: ReportTable | None = None

    @property
    def origin(self) -> str:
        """Say where it comes from."""
        if self.source is EntrySource.SEEN:
            return "From this audit"
        if self.source is EntrySource.DECLARED:
            return f"Declared by {self.owner}, not checked here"
        return f"Missing: {self.owner}"


def read_declared_entry(topic: SystemTopic, system: AiSystem | None) -> AnnexEntry:
    """Return what the system file says of a topic, or that it is missing and who must fill it."""
    owner = find_topic_owner(topic, system)
    lines = () if system is None else system.told.get(topic, ())
    source = EntrySource.DECLARED if lines else EntrySource.MISSING
    return AnnexEntry(name=TITLES[topic], source=source, owner=owner, lines=lines)


def build_observed_entry(
    name: str, *lines: str, table: ReportTable | None = None
) -> tuple[AnnexEntry, ...]:
    """Return what the audit saw as an entry, or none where it saw nothing."""
    said = tuple(line for line in lines if line)
    return (AnnexEntry(name=name, lines=said, table=table),) if said or table else ()


ATTACKS = frozenset({"evasion", "poisoning", "privacy", "provenance"})
GROUPS = frozenset({"fairness"})
MOST_REASONS = 200
Entries = tuple[AnnexEntry, ...]


def describe_rules(told: AnnexContext) -> Entries:
    """Say what was fixed beforehand, what every rule found, and by whom that is signed."""
    record, policy = told.inputs.record, told.inputs.policy
    fixed = f"Policy {policy.name} {policy.version}, {policy.digest}, owned by {policy.owner}"
    before = f"Registered on {format_moment(record.registered)}, before anything ran"
    if record.derived_from is not None:
        before = (
            f"Judged again by this policy on {format_moment(record.finished)}, after the "
            f"measurements of record {record.derived_from} were known; those were registered on "
            f"{format_moment(record.registered)}"
        )
    signed = (
        f"Finished on {format_moment(record.finished)}, signed by key {told.inputs.signer or '?'}"
    )
    families = {item.finding.measure.partition(".")[0] for item in told.found}
    return (
        *build_observed_entry("Metrics and limits", fixed, before),
        *build_observed_entry("Outcome of every rule", table=told.findings(families)),
        *build_observed_entry("Rules about discriminatory impacts", table=told.findings(GROUPS)),
        *build_observed_entry(
            "Test logs and reports, dated and signed", f"Record {record.digest}", signed
        ),
    )


def describe_attacks(told: AnnexContext) -> Entries:
    """Say which attacks were tried and what the rules about them found."""
    tried = dict.fromkeys(item.check for item in told.measured(ATTACKS))
    judged = {item.finding.measure.partition("/")[0] for item in told.found}
    beside = ", ".join(check for check in tried if check not in judged)
    said = f"Tried too, without a rule that judges it: {beside}" if beside else ""
    return (
        *build_observed_entry("Rules about attacks and provenance", table=told.findings(ATTACKS)),
        *build_observed_entry("Other attacks", said),
    )


def describe_performance(told: AnnexContext) -> Entries:
    """Say how well it does, over all rows and for each group of people."""
    overall = [
        item for item in told.measured(told.documenting(ReportTopic.PERFORMANCE)) if not item.slice
    ]
    grouped = [
        item
        for item in told.measured(told.documenting(ReportTopic.GROUPS))
        if item.slice or "group" in item.params
    ]
    robust = [item for item in told.measured({"evasion"}) if item.metric == "robust_accuracy"]
    return (
        *build_observed_entry("Accuracy", table=told.figures(overall)),
        *build_observed_entry("Performance for groups of people", table=told.figures(grouped)),
        *build_observed_entry(
            "Accuracy under attack (at most)", table=told.figures(robust, by_check=True)
        ),
    )


def describe_rationales(told: AnnexContext) -> Entries:
    """Say why each rule is asked, and how its limit was chosen."""
    rules = told.inputs.policy.rules
    rows = [
        (TableCell(rule.title), TableCell(rule.rationale or "not said"), TableCell(rule.threshold))
        for rule in rules
        if rule.rationale or rule.threshold
    ]
    if not rows:
        return ()
    header = ("Rule", "Why it is required", "How its limit was chosen")
    width = len(header) if any(rule.threshold for rule in rules) else len(header) - 1
    shown = tuple(row[:width] for row in rows[:MOST_REASONS])
    table = ReportTable(header[:width], shown, len(rows) - len(shown))
    return build_observed_entry("Reasons that the policy gives", table=table)


def describe_risks(told: AnnexContext) -> Entries:
    """Say which risks are declared, and what the rules that evidence them found."""
    paper = told.inputs.dossier.risks
    owner, name = find_risk_owner(told.system), "Risks, and what evidences that they are held"
    if not isinstance(paper, RisksDocument):
        return (AnnexEntry(name=name, source=EntrySource.MISSING, owner=owner),)
    table = build_risks_table(build_risk_rows(told.inputs, told.found))
    said = "Hazards, mitigations and acceptances are declared; outcomes are from this audit."
    return (
        AnnexEntry(name=name, source=EntrySource.DECLARED, owner=owner, lines=(said,), table=table),
    )


def describe_changes(told: AnnexContext) -> Entries:
    """Say what is known of the model's changes: its parent, and how it differs from that."""
    parent = told.inputs.record.request.parent
    said = "" if parent is None else f"Compared with its parent {parent.digest}"
    before = said if told.measured(told.documenting(ReportTopic.PARENT)) else ""
    return (
        *build_observed_entry("Parent", before),
        *build_observed_entry(
            "Rules about what changed", table=told.findings(told.documenting(ReportTopic.CHANGES))
        ),
    )


def describe_standards(told: AnnexContext) -> Entries:
    """Say what law the policy was read from, and what stands in for standards if none is named."""
    system, policy = told.system, told.inputs.policy
    read = build_observed_entry(
        "Law that the policy rests on", *(law.line for law in list_legal_basis(told.inputs))
    )
    if system is not None and system.told.get(SystemTopic.STANDARDS):
        return read
    checks = dict.fromkeys(item.check for item in told.inputs.record.observations)
    return read + build_observed_entry(
        "Solutions in place of standards",
        "No harmonised standard is said to be applied; the solutions are described instead.",
        f"They are the rules of the policy {policy.name} {policy.version} and the methods of these "
        f"checks: {', '.join(checks) or 'none ran'}.",
    )


def describe_validity(told: AnnexContext) -> Entries:
    """Say until when the verdict holds by its policy, and what was seen over time."""
    until = find_verdict_expiry(told.inputs)
    again = f"A new audit is due by {until}" if until else ""
    return (
        *build_observed_entry("When to audit again", again),
        *build_observed_entry(
            "Rules about change over time", table=told.findings(told.documenting(ReportTopic.DRIFT))
        ),
    )


MOST_SAID = 8


def describe_model(told: AnnexContext) -> Entries:
    """Say which model was audited, by digest, and what it was made from."""
    request, record = told.inputs.record.request, told.inputs.record
    artifact = request.artifact
    bytes_of = "its file was not seen" if artifact is None else f"digest {artifact.digest}"
    parent = request.parent
    before = "" if parent is None else f"The audit file names as its parent {parent.digest}"
    again = f"Judged again from record {record.derived_from}" if record.derived_from else ""
    named = f"{request.name} {request.version}, {bytes_of}"
    return (
        *build_observed_entry("Model audited", named, *describe_scope(record)),
        *build_observed_entry("Relation to earlier versions", before, again),
        *_role(told),
    )


def _role(told: AnnexContext) -> Entries:
    """Say of which system the model is a part, and what it does there."""
    system = told.system
    if system is None:
        name = "System that the model is a part of, with its version"
        return (AnnexEntry(name=name, source=EntrySource.MISSING, owner="provider"),)
    role = system.role_of(told.inputs.record.request.name)
    others = [item.name for item in system.models if item.name != told.inputs.record.request.name]
    beside = f"Other models in it: {', '.join(others)}" if others else ""
    lines = (f"{system.name} {system.version}", beside)
    named = AnnexEntry(
        name="System",
        source=EntrySource.DECLARED,
        owner="provider",
        lines=tuple(line for line in lines if line),
    )
    source = EntrySource.DECLARED if role else EntrySource.MISSING
    said = (role,) if role else ()
    part = AnnexEntry(name="Role of the model", source=source, owner="model owner", lines=said)
    return (named, part)


def describe_software(told: AnnexContext) -> Entries:
    """Say by which software it was audited, with versions."""
    tool = told.inputs.record.tool
    packages = tool.get("packages")
    named = packages if isinstance(packages, Mapping) else {}
    listed = ", ".join(f"{name} {version}" for name, version in sorted(named.items()))
    made = f"auditor {tool.get('version', 'unknown')}, code {tool.get('code', 'unknown')}"
    return (
        *build_observed_entry("Runtime on each target", *_each_target(told)),
        *build_observed_entry("Software that audited it", made, listed),
    )


def describe_hardware(told: AnnexContext) -> Entries:
    """Say on which hardware it really ran, by fingerprint, and how fast."""
    found = told.inputs.record.fingerprints
    prints = [f"{name}: fingerprint {item.identity}" for name, item in sorted(found.items())]
    standing = [f"{item.name}: {item.standing}" for item in build_target_facts(told.inputs)]
    return (
        *build_observed_entry(
            "Targets on which it was audited", *_each_target(told), *standing, *prints
        ),
        *build_observed_entry(
            "Resources it needed there", *_said(told, told.documenting(ReportTopic.RESOURCES))
        ),
    )


def _each_target(told: AnnexContext) -> list[str]:
    return [f"{item.name}: {item.sentence}" for item in build_target_facts(told.inputs)]


def describe_components(told: AnnexContext) -> Entries:
    """Say what vouches for the model, and which documents and code came with it."""
    request = told.inputs.record.request
    papers = [f"{item.name}, {item.digest}" for item in request.documents]
    code = "" if request.recipe is None else f"Training code {request.recipe.digest}"
    return (
        *build_observed_entry("Signature and provenance", *_said(told, ("provenance",))),
        *build_observed_entry("Documents and code that came with it", *papers[:MOST_SAID], code),
    )


def describe_compute(told: AnnexContext) -> Entries:
    """Say what was spent to test it."""
    record = told.inputs.record
    spent: dict[tuple[str, str], int] = {}
    for item in record.readings:
        queries = item.details.get("queries") if isinstance(item, Measurement) else None
        if isinstance(queries, int) and not isinstance(queries, bool):
            place = (item.target, item.check)
            spent[place] = max(spent.get(place, 0), queries)
    asked = f"At least {format_count(sum(spent.values()))} queries of the model" if spent else ""
    checks = dict.fromkeys(item.check for item in record.observations)
    observed = f"Checks that ran at budget {record.request.budget.value}: {len(checks)}"
    when = (
        f"Registered on {format_moment(record.registered)}, finished on "
        f"{format_moment(record.finished)}"
    )
    return build_observed_entry(
        "Computing resources used to test", observed, asked, when, *_each_target(told)
    )


def describe_datasets(told: AnnexContext) -> Entries:
    """Say which data were used, by digest, and what the checks of data found."""
    request = told.inputs.record.request
    used = [
        f"{item.role}: {format_count(item.rows)} rows, {item.digest}" for item in request.datasets
    ]
    return (
        *build_observed_entry("Data used", *used),
        *build_observed_entry("Rules about the data", table=told.findings({"data"})),
        *build_observed_entry("Checks of the data", *_said(told, ("data",))),
    )


def _said(told: AnnexContext, families: Iterable[str]) -> list[str]:
    chosen = told.measured(set(families))
    said = [describe_reading(told.inputs, item) for item in chosen[:MOST_SAID]]
    more = len(chosen) - len(said)
    return [*said, f"{format_count(more)} more figures are in the record."] if more else said


See = Callable[[AnnexContext], tuple[AnnexEntry, ...]]


@dataclass(frozen=True, slots=True)
class PointTemplate:
    """A point, or a part of one: what is seen of it here, and what only owners can tell."""

    ref: str
    title: str
    sees: tuple[See, ...] = ()
    topics: tuple[SystemTopic, ...] = ()
    optional: tuple[SystemTopic, ...] = ()


@dataclass(frozen=True, slots=True)
class SectionTemplate:
    """One of the nine points with its parts."""

    ref: str
    title: str
    parts: tuple[PointTemplate, ...]


GENERAL = (
    PointTemplate(
        "1(a)",
        "Purpose, provider and version",
        (describe_model,),
        (
            *(
                SystemTopic.PROVIDER_NAME,
                SystemTopic.PROVIDER_CONTACT,
                SystemTopic.PURPOSE,
                SystemTopic.CATEGORY,
            ),
            *(SystemTopic.PEOPLE, SystemTopic.DEPLOYERS),
        ),
    ),
    PointTemplate("1(b)", "What it works together with", (), (SystemTopic.INTERACTIONS,)),
    PointTemplate("1(c)", "Versions of software", (describe_software,), (SystemTopic.SOFTWARE,)),
    PointTemplate("1(d)", "Form in which it is placed on the market", (), (SystemTopic.FORM,)),
    PointTemplate("1(e)", "Hardware", (describe_hardware,), (SystemTopic.HARDWARE,)),
    PointTemplate(
        "1(f)", "Pictures of the product, where it is a part of one", (), (SystemTopic.PICTURES,)
    ),
    PointTemplate("1(g)", "User interface", (), (SystemTopic.INTERFACE,)),
    PointTemplate("1(h)", "Instructions for use", (), (SystemTopic.INSTRUCTIONS,)),
)
DEVELOPMENT = (
    PointTemplate(
        "2(a)",
        "How it was developed, and from which parts",
        (describe_components,),
        (SystemTopic.DEVELOPMENT, SystemTopic.COMPONENTS),
    ),
    PointTemplate("2(b)", "Design", (), (SystemTopic.DESIGN,)),
    PointTemplate(
        "2(c)",
        "Architecture and computing resources",
        (describe_compute,),
        (SystemTopic.ARCHITECTURE, SystemTopic.COMPUTE),
    ),
    PointTemplate("2(d)", "Data", (describe_datasets,), (SystemTopic.DATA_GOVERNANCE,)),
    PointTemplate(
        "2(e)",
        "Human oversight",
        (),
        (
            SystemTopic.OVERSIGHT_MEASURES,
            SystemTopic.OVERSIGHT_WHO,
            SystemTopic.OVERSIGHT_QUALIFICATIONS,
        ),
    ),
    PointTemplate("2(f)", "Changes planned beforehand", (), (SystemTopic.PREDETERMINED_CHANGES,)),
    PointTemplate("2(g)", "Validation and testing", (describe_rules,), (SystemTopic.RESPONSIBLE,)),
    PointTemplate("2(h)", "Cybersecurity", (describe_attacks,), (SystemTopic.CYBERSECURITY,)),
)
CHAPTERS = (
    SectionTemplate("1", "General description", GENERAL),
    SectionTemplate("2", "Elements and development", DEVELOPMENT),
    SectionTemplate(
        "3",
        "Capabilities, limits and performance",
        (PointTemplate("3", "", (describe_performance,), (SystemTopic.LIMITS,)),),
    ),
    SectionTemplate(
        "4",
        "Why these metrics are fit",
        (PointTemplate("4", "", (describe_rationales,), (SystemTopic.METRICS,)),),
    ),
    SectionTemplate("5", "Risk management", (PointTemplate("5", "", (describe_risks,)),)),
    SectionTemplate(
        "6",
        "Changes over its life",
        (PointTemplate("6", "", (describe_changes,), (SystemTopic.LIFECYCLE_CHANGES,)),),
    ),
    SectionTemplate(
        "7",
        "Standards applied",
        (PointTemplate("7", "", (describe_standards,), optional=(SystemTopic.STANDARDS,)),),
    ),
    SectionTemplate(
        "8", "Declaration of conformity", (PointTemplate("8", "", (), (SystemTopic.DECLARATION,)),)
    ),
    SectionTemplate(
        "9",
        "Monitoring after deployment",
        (
            PointTemplate(
                "9",
                "",
                (describe_validity,),
                (
                    *(SystemTopic.MONITORING_PLAN, SystemTopic.MONITORING_FREQUENCY),
                    *(SystemTopic.MONITORING_TRIGGERS, SystemTopic.MONITORING_WHO),
                ),
            ),
        ),
    ),
)


EU_AI_ACT = "eu-ai-act"


@dataclass(frozen=True, slots=True)
class AnnexPoint:
    """A point, or a part of one, with what is said at it."""

    ref: str
    title: str
    entries: tuple[AnnexEntry, ...]

    @property
    def missing(self) -> tuple[AnnexEntry, ...]:
        """What nobody said or saw."""
        return tuple(item for item in self.entries if item.source is EntrySource.MISSING)


@dataclass(frozen=True, slots=True)
class AnnexSection:
    """One of the nine points with its parts."""

    ref: str
    title: str
    points: tuple[AnnexPoint, ...]

    @property
    def counts(self) -> Mapping[EntrySource, int]:
        """How many entries come from where."""
        return Counter(item.source for point in self.points for item in point.entries)


@dataclass(frozen=True, slots=True)
class TechnicalDocumentation:
    """The nine points of Annex IV as far as this audit and the owners fill them."""

    sections: tuple[AnnexSection, ...]
    has_system: bool

    @property
    def counts(self) -> Mapping[EntrySource, int]:
        """How many entries come from where, over all points."""
        return sum((Counter(item.counts) for item in self.sections), Counter())

    @property
    def owed(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """What is missing, by its owner: who owes most comes first."""
        owed: dict[str, list[str]] = {}
        for section in self.sections:
            for point in section.points:
                for item in point.missing:
                    owed.setdefault(item.owner, []).append(f"{item.name} ({point.ref})")
        return tuple(
            (owner, tuple(items))
            for owner, items in sorted(owed.items(), key=lambda item: (-len(item[1]), item[0]))
        )


def build_technical_documentation(
    inputs: ReportInputs, found: Sequence[FindingReference]
) -> TechnicalDocumentation | None:
    """Return a record by the points of Annex IV, or nothing where nobody asks for that.

    It is asked for by a system file, and by a policy that cites the EU AI Act.
    """
    cited = {control.framework for rule in inputs.policy.rules for control in rule.controls}
    if inputs.dossier.system is None and EU_AI_ACT not in cited:
        return None
    facts = AnnexContext(inputs, tuple(found))
    made = []
    for chapter in CHAPTERS:
        parts = tuple(
            AnnexPoint(item.ref, item.title, tuple(_entries(facts, item))) for item in chapter.parts
        )
        made.append(AnnexSection(chapter.ref, chapter.title, parts))
    sections = tuple(made)
    return TechnicalDocumentation(sections, facts.system is not None)


def _entries(facts: AnnexContext, asked: PointTemplate) -> Iterator[AnnexEntry]:
    for see in asked.sees:
        yield from see(facts)
    for topic in asked.topics:
        yield read_declared_entry(topic, facts.system)
    for topic in asked.optional:
        entry = read_declared_entry(topic, facts.system)
        if entry.source is not EntrySource.MISSING:
            yield entry


ANNEX = "annex-iv.md"


def render_annex(inputs: ReportInputs) -> str | None:
    """Render ``annex-iv.md``, or return nothing where nobody asks for it."""
    found = build_finding_references(inputs, build_cards(inputs), 0)
    made = build_technical_documentation(inputs, found)
    return None if made is None else "\n".join(_lines(inputs, made)) + "\n"


def _lines(inputs: ReportInputs, made: TechnicalDocumentation) -> Iterator[str]:
    record, request = inputs.record, inputs.record.request
    counts = made.counts
    name = plain(f"{request.name} {request.version}")
    yield f"# Technical documentation (EU AI Act, Annex IV): {name}"
    yield ""
    yield (
        f"Assembled from the audit record `{record.digest}` of "
        f"{plain(format_moment(record.finished))}, whose verdict is: "
        f"{plain(describe_verdict(inputs).headline)}. {counts[EntrySource.SEEN]} entries come from "
        f"the audit, {counts[EntrySource.DECLARED]} are declared by their owners and not checked "
        f"by it, {counts[EntrySource.MISSING]} are missing. Whether the documentation suffices is "
        "for people to decide."
    )
    yield ""
    yield f"The record is signed: `{build_verify_command(record)}` checks it and this file."
    if made.owed:
        yield from ("", "## Missing, and who must fill it", "")
        for owner, items in made.owed:
            yield f"- **{plain(owner)}** ({len(items)}): {plain('; '.join(items))}"
    for section in made.sections:
        yield from ("", f"## {section.ref}. {section.title}")
        for point in section.points:
            if point.title:
                yield from ("", f"### {point.ref} {point.title}")
            for entry in point.entries:
                yield from ("", *_entry(entry))


def _entry(entry: AnnexEntry) -> Iterator[str]:
    yield f"**{plain(entry.name)}** {DASH} *{plain(entry.origin)}*"
    if entry.lines:
        yield ""
        yield from (f"- {plain(line)}" for line in entry.lines)
    if entry.table is not None:
        yield ""
        yield from format_table_lines(entry.table)


def format_table_lines(table: ReportTable) -> Iterator[str]:
    """Yield a table in Markdown, every cell on its line."""
    yield f"| {' | '.join(table.header)} |"
    yield "|---" * len(table.header) + "|"
    for row in table.rows:
        yield f"| {' | '.join(escape_inline(cell.text) for cell in row)} |"
    if table.more:
        yield from ("", f"{table.more} more are in the record.")


def _file(inputs: ReportInputs) -> bytes | None:
    written = render_annex(inputs)
    return None if written is None else encode_text(written)


FORMATS = (ReportFormat("annex-iv", ANNEX, _file),)
