"""Values of an audit file, before any file that it names is opened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from auditor.domain.budgets import Budget
from auditor.domain.datasets import DatasetRole
from auditor.domain.disclosure import DisclosureMode
from auditor.domain.export_origin import ExportOrigin
from auditor.domain.json import Json
from auditor.domain.requests import AuditAttempt
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import ScoreKind
from auditor.domain.waivers import SignedWaiver


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSection:
    """The model as declared. Paths are as written; ``artifact`` is ``None`` in a
    predictions-only audit. ``documents`` are those that speak of the model's parts; ``None`` leaves
    it to what is found beside the artifact. ``trust`` is the policy that says who may sign it.
    ``exported`` is what the owner says that the artifact was exported from.
    """

    name: str
    version: str
    artifact: str | None = None
    signature: str | None = None
    key: str | None = None
    trust: str | None = None
    twin: str = "auto"
    parent: str | None = None
    documents: tuple[str, ...] | None = None
    tags: tuple[str, ...] = ()
    exported: ExportOrigin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSection:
    """The task as declared; ``classes`` may be left to the data (sorted distinct labels).

    ``costs`` maps a label to decisions and what they cost; a pair that is not there costs nothing.
    """

    kind: str = "classification"
    classes: tuple[str, ...] | None = None
    output: ScoreKind = ScoreKind.AUTO
    positive: str | None = None
    favourable: str | None = None
    threshold: float = 0.5
    costs: Mapping[str, Mapping[str, float]] | None = None
    reject: str | None = None
    tolerance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSection:
    """The input space as declared: one box for all coordinates, a schema of features, or the
    column of texts that the model reads.
    """

    domain: tuple[float, float] | None = None
    quantum: float | None = None
    features: str | None = None
    text: str | None = None


SINGLE = ("labels", "id", "cluster", "predictions", "time", "as_of")
"""Settings of a dataset that name one column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSection:
    """One dataset as declared. ``labels``, ``id`` and the others name columns or arrays.

    A name among ``groups`` may join columns (``sex, race``). ``scores`` and ``predictions`` are
    what a model said of each row, ``time`` when the row happened, ``as_of`` when its features were
    known. ``title`` is what messages call it where nobody wrote its path.
    """

    path: str
    labels: str | None = None
    id: str | None = None
    groups: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    cluster: str | None = None
    scores: tuple[str, ...] = ()
    predictions: str | None = None
    time: str | None = None
    as_of: str | None = None
    title: str | None = None

    @property
    def name(self) -> str:
        """What messages call the dataset: its path as written, or its title."""
        return self.path if self.title is None else self.title


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacySection:
    """The files of a claim of differential privacy: the claim, and who signed it."""

    path: str
    signature: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeSection:
    """The recipe as declared: the owner's code that trains, and whether it may be run.

    ``function`` trains, ``dp_train`` trains with differential privacy. A training may take
    ``time_limit`` seconds and ``memory_limit`` bytes. ``unsandboxed`` gives leave to run it also
    where it can read what the user can.
    """

    path: str
    function: str = "train"
    dp_train: str | None = None
    allow: bool = False
    unsandboxed: bool = False
    time_limit: float = 600.0
    memory_limit: int = 8 * 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowsSection:
    """Ready shadow models as declared: files, or a folder of them, or a pattern of names in it.

    ``inclusion`` is the file that says which rows each learnt from; its columns are the ``rows`` of
    these datasets, one after another.
    """

    models: tuple[str, ...] | str
    inclusion: str
    rows: tuple[DatasetRole, ...] = (DatasetRole.TRAINING,)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorSection:
    """The generator as declared: a model that makes rows of latent points."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFile:
    """A parsed audit file, and what its caller asks beside it or in place of its settings.

    ``source`` names it for messages; ``raw`` is its bytes. Paths are texts as the file writes them;
    a ``Path`` is the caller's.

    ``population`` maps a column to the share of each of its levels among those whom the model is
    for; a name such as ``sex, race`` joins columns, and its levels are joined alike.

    Where ``disclosure`` is set, rows of the evidence can be withheld later.

    ``system`` and ``risks`` are the paths of the files in which owners declare the system that the
    model is a part of, and its risks.

    ``reference`` is where the artifact is run to compare with, where the owner names a target.

    ``waivers`` are files of signed waivers, and ``waiver_keys`` the public keys that may sign them;
    ``granted``, the waivers of a record, come in place of all of them.

    ``baseline`` is the folder of a record that limits are taken from, ``baseline_key`` who signed.

    Of the caller alone are ``only``, the checks to run, the leave to run a recipe without
    bubblewrap (``allow_unsandboxed``), a policy that is not the file's (``own_policy``), and the
    ``attempt`` that a service counted; its seed comes in place of the file's.
    """

    source: str
    raw: bytes
    model: ModelSection
    task: TaskSection
    input: InputSection
    targets: tuple[TargetSpec, ...]
    data: Mapping[DatasetRole, DataSection]
    policy: str
    budget: Budget
    seed: int
    claims: Mapping[str, Json] = field(default_factory=dict)
    population: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    show_examples: bool = False
    disclosure: DisclosureMode | None = None
    reference: TargetSpec | None = None
    privacy: PrivacySection | None = None
    recipe: RecipeSection | None = None
    shadows: ShadowsSection | None = None
    generator: GeneratorSection | None = None
    system: str | None = None
    risks: str | None = None
    waivers: tuple[str | Path, ...] = ()
    waiver_keys: tuple[str | Path, ...] = ()
    granted: tuple[SignedWaiver, ...] | None = None
    baseline: str | Path | None = None
    baseline_key: str | Path | None = None
    max_minutes: float | None = None
    only: tuple[str, ...] = ()
    own_policy: bool = True
    allow_unsandboxed: bool = False
    attempt: AuditAttempt | None = None

    @property
    def takes_inputs(self) -> bool:
        """Whether there is a model to ask: a file, a server or a function."""
        return self.model.artifact is not None or any(it.brings_model for it in self.targets)
