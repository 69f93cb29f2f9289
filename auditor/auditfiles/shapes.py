"""The shape of an audit file: every setting that the contract names, and nothing else."""

from typing import Literal

from pydantic import Field

from auditor.auditfiles.words import (
    UNSANDBOXED,
    Costs,
    Entries,
    Entry,
    Flag,
    Label,
    Labels,
    Leave,
    LocalPath,
    LocalPaths,
    Names,
    Number,
    OptionalPaths,
    Paths,
    Range,
    Section,
    Settings,
    TaskKind,
    Text,
    Unsupported,
    Whole,
)
from auditor.domain.auditfiles import (
    DataSection,
    GeneratorSection,
    InputSection,
    ModelSection,
    RecipeSection,
    ShadowsSection,
    TaskSection,
)
from auditor.domain.budgets import Budget
from auditor.domain.datasets import Role
from auditor.domain.disclosures import Disclosure
from auditor.domain.tasks import Output


class ModelShape(Section):
    """The ``model`` section."""

    name: Text
    version: Text = "0"
    artifact: LocalPath | None = None
    signature: LocalPath | None = None
    key: LocalPath | None = None
    trust: LocalPath | None = None
    twin: LocalPath = "auto"
    parent: LocalPath | None = None
    documents: LocalPaths | None = None
    tags: Names = ()

    def section(self) -> ModelSection:
        """Return the domain's form."""
        return ModelSection(
            name=self.name,
            version=self.version,
            artifact=self.artifact,
            signature=self.signature,
            key=self.key,
            trust=self.trust,
            twin=self.twin,
            parent=self.parent,
            documents=self.documents,
            tags=self.tags,
        )


class PipelineShape(Section):
    """The ``pipeline`` section, of which nothing is built yet."""

    pre: Unsupported = None
    post: Unsupported = None


class TaskShape(Section):
    """The ``task`` section."""

    kind: TaskKind = "classification"
    classes: Labels | None = None
    output: Output = Output.AUTO
    positive: Label | None = None
    favourable: Label | None = None
    threshold: Number = 0.5
    costs: Costs = None
    reject: Label | None = None
    tolerance: Number | None = None

    def section(self) -> TaskSection:
        """Return the domain's form: a matrix of costs by the names of its classes."""
        costs = self.costs
        if isinstance(costs, tuple):
            names = self.classes or ()
            costs = {
                label: dict(zip(names, row, strict=True))
                for label, row in zip(names, costs, strict=True)
            }
        return TaskSection(
            kind=self.kind,
            classes=self.classes,
            output=self.output,
            positive=self.positive,
            favourable=self.favourable,
            threshold=self.threshold,
            costs=costs,
            reject=self.reject,
            tolerance=self.tolerance,
        )


class InputShape(Section):
    """The ``input`` section."""

    domain: Range | None = None
    quantum: Number | None = None
    features: LocalPath | None = None
    text: Text | None = None

    def section(self) -> InputSection:
        """Return the domain's form."""
        return InputSection(
            domain=self.domain, quantum=self.quantum, features=self.features, text=self.text
        )


class DataShape(Section):
    """One dataset of the ``data`` section."""

    path: LocalPath
    labels: Text | None = None
    id: Text | None = None
    groups: Names = ()
    slices: Names = ()
    cluster: Text | None = None
    scores: Names = ()
    predictions: Text | None = None
    time: Text | None = None
    as_of: Text | None = None

    def section(self) -> DataSection:
        """Return the domain's form."""
        return DataSection(
            path=self.path,
            labels=self.labels,
            id=self.id,
            groups=self.groups,
            slices=self.slices,
            cluster=self.cluster,
            scores=self.scores,
            predictions=self.predictions,
            time=self.time,
            as_of=self.as_of,
        )


class DataShapes(Section):
    """The ``data`` section: one dataset a role."""

    evaluation: DataShape | None = None
    training: DataShape | None = None
    reference: DataShape | None = None
    production: DataShape | None = None

    def sections(self) -> dict[Role, DataSection]:
        """Return the domain's form of the datasets that are there."""
        shapes = {role: getattr(self, role.value) for role in Role}
        return {role: shape.section() for role, shape in shapes.items() if shape is not None}


class RecipeShape(Section):
    """The ``recipe`` section: code that trains, run only where ``allow`` gives leave."""

    path: LocalPath
    function: Text = "train"
    dp_train: Text | None = None
    allow: Leave = False
    time_limit: Number = 600.0
    memory_limit: Whole = 8 * 2**30

    def section(self) -> RecipeSection:
        """Return the domain's form."""
        return RecipeSection(
            path=self.path,
            function=self.function,
            dp_train=self.dp_train,
            allow=bool(self.allow),
            unsandboxed=self.allow == UNSANDBOXED,
            time_limit=self.time_limit,
            memory_limit=self.memory_limit,
        )


class ShadowsShape(Section):
    """The ``shadows`` section: models trained as this one, and which rows each learnt from."""

    models: Paths
    inclusion: LocalPath
    rows: Names = ("training",)

    def section(self) -> ShadowsSection:
        """Return the domain's form. Raises ``ValueError`` for what is no role of a dataset."""
        roles = tuple(Role(name) for name in self.rows)
        return ShadowsSection(models=self.models, inclusion=self.inclusion, rows=roles)


class GeneratorShape(Section):
    """The ``generator`` section: a model from latent points to rows."""

    path: LocalPath

    def section(self) -> GeneratorSection:
        """Return the domain's form."""
        return GeneratorSection(path=self.path)


class AuditShape(Section):
    """A whole audit file."""

    api_version: Literal["auditor/v1"] = Field(alias="apiVersion")
    kind: Literal["Audit"]
    model: ModelShape
    pipeline: PipelineShape | None = None
    task: TaskShape = TaskShape()
    input: InputShape = InputShape()
    targets: Entries = ("cpu",)
    reference: Entry = None
    data: DataShapes = DataShapes()
    recipe: RecipeShape | None = None
    shadows: ShadowsShape | None = None
    generator: GeneratorShape | None = None
    claims: Settings = Field(default_factory=dict)
    population: Settings = Field(default_factory=dict)
    policy: Text = "baseline"
    budget: Budget = Budget.CI
    seed: Whole = 7
    show_examples: Flag = False
    disclosure: Disclosure | None = None
    system: LocalPath | None = None
    risks: LocalPath | None = None
    waivers: OptionalPaths = ()
    waiver_keys: OptionalPaths = ()
    baseline: LocalPath | None = None
    baseline_key: LocalPath | None = None
