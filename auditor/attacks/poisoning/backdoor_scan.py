"""Backdoor scan of the target, and the clean models that it is compared with.

Clean models are shadow models trained on trusted rows alone, or retrainings by the recipe on such
rows. They are not trained on the training data: if that were poisoned, every model would have the
backdoor and none would stand out. Trusted rows are fewer than the artifact's training rows, and
models of fewer rows vary more, so that the comparison is conservative.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.poisoning.backdoor_detectors import (
    CleanseEffort,
    MarginAscent,
    count_decisions,
    draw_noise_rows,
    largest_margins,
    neural_cleanse,
    scan_scores,
)
from auditor.attacks.poisoning.backdoor_evidence import BLEND, MASK, PATCH, SCANS, VALUE, top_class
from auditor.attacks.poisoning.backdoor_rows import BackdoorRowSplit, DecisionOracle
from auditor.attacks.poisoning.backdoor_triggers import (
    LazyTriggers,
    TriggerSet,
    count_flips,
    make_blends,
    make_patches,
    make_value_triggers,
    stamp_rows,
)
from auditor.attacks.poisoning.trigger_evaluation import (
    BlindScan,
    choose_finalists,
    decide_under_random_content,
    decide_under_triggers,
    scan_triggers,
    truncate_masks,
)
from auditor.attacks.privacy.retraining_agreement import (
    FEWEST,
    RetrainingAgreement,
    measure_agreement,
    shadow_mismatch_gap,
)
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Item
from auditor.domain.gaps import write_gap
from auditor.domain.readings import Gap, GapReason
from auditor.domain.shadow_models import ShadowModels
from auditor.domain.tasks import Array
from auditor.domain.training_recipes import RetrainingTask
from auditor.errors import RecipeError, ShadowsError

Answers = Mapping[str, NDArray[np.int64]]


def select_clean_models(shadows: ShadowModels) -> tuple[int, ...]:
    """Return the models that learnt from reference rows and from no others.

    One that learnt from training rows has what was planted there; one that learnt from evaluation
    rows knows those by which triggers are judged.
    """
    parts = {role: rows.any(axis=1) for role, rows in shadows.include.items()}
    others = [learnt for role, learnt in parts.items() if role is not DatasetRole.REFERENCE]
    if DatasetRole.REFERENCE not in parts:
        return ()
    clean = parts[DatasetRole.REFERENCE] & ~np.any(
        [*others, np.zeros_like(parts[DatasetRole.REFERENCE])], axis=0
    )
    return tuple(np.flatnonzero(clean).tolist())


def ask_ready_models(
    subject: Subject, shadows: ShadowModels, ground: BackdoorRowSplit, asked: Mapping[str, Array]
) -> tuple[Answers, RetrainingAgreement] | Gap:
    """Ask every clean shadow model, and return what each decides of the rows asked: ``[k, n]``.

    They must agree with the artifact as they agree with one another, on the judged rows: a model
    with a backdoor decides on rows without trigger as a clean one does.
    """
    clean = select_clean_models(shadows)
    if len(clean) < FEWEST:
        return _none_clean(len(clean))
    told: list[list[NDArray[np.int64]]] = []
    rows = (ground.judged.inputs, *asked.values())
    try:
        for done, model in enumerate(clean):
            subject.progress(done, len(clean), "clean models")
            said = shadows.answers(model, rows, labels_only=True)
            told.append([ground.asker.task.decide(part) for part in said])
    except ShadowsError as error:
        return Gap(reason=GapReason.SHADOWS_FAILED, detail=error.problem, cure=error.cure)
    judged, *others = (np.stack(parts) for parts in zip(*told, strict=True))
    found = measure_agreement(ground.judged.before, judged)
    return shadow_mismatch_gap(found) or (dict(zip(asked, others, strict=True)), found)


def _none_clean(count: int) -> Gap:
    return Gap(
        reason=GapReason.NEEDS_SHADOWS,
        detail=f"{count} of the shadow models learnt from reference rows alone, and {FEWEST} are "
        "the fewest to compare with: those that learnt from data.training have what was planted "
        "there.",
        cure="Train clean models on data.reference, which is trusted, and let shadows.rows name "
        "reference; 19 of them decide by themselves.",
    )


MOST_ASKED = 256 * 2**20
"""How many bytes of rows a clean model is asked about at most, of each kind."""


@dataclass(frozen=True, slots=True, eq=False)
class CleanModelAnswers:
    """What clean models decide of the rows asked, ``[k, n]`` classes by name; of ready ones also
    how they agree with the artifact.
    """

    answers: Answers
    agreement: RetrainingAgreement | None = None


def ask_clean_models(
    subject: Subject, ground: BackdoorRowSplit, asked: Mapping[str, Array], count: int
) -> CleanModelAnswers | Gap:
    """Return what clean models decide: ready shadow models, else ``count`` by the recipe.

    Raises ``CancelledError`` through progress.
    """
    shadows = subject.shadows
    ready = (
        shadows if isinstance(shadows, Gap) else ask_ready_models(subject, shadows, ground, asked)
    )
    if not isinstance(ready, Gap):
        return CleanModelAnswers(*ready)
    trained = train_clean_models(subject, ground, asked, count)
    if not isinstance(trained, Gap):
        return CleanModelAnswers(trained)
    unnamed = isinstance(subject.recipe, Gap) and not isinstance(shadows, Gap)
    return ready if unnamed else trained


def train_clean_models(
    subject: Subject, ground: BackdoorRowSplit, asked: Mapping[str, Array], count: int
) -> Answers | Gap:
    """Train ``count`` clean models, and return what each decides of the rows asked.

    The answer to each name is ``[count, n]`` classes. The models are trained on the labelled
    reference data or, without any, on the rows that triggers were found on. Raises
    ``CancelledError`` through progress.
    """
    if isinstance(subject.recipe, Gap):
        return subject.recipe
    trusted = _trusted(subject, ground)
    if isinstance(trusted, Gap):
        return trusted
    inputs, labels = trusted
    told: list[list[NDArray[np.int64]]] = []
    for index in range(count):
        subject.progress(index, count, "clean models")
        lesson = RetrainingTask(inputs, labels, (subject.seed + index) % 2**31)
        try:
            said = subject.recipe.answers(lesson, tuple(asked.values()))
        except RecipeError as error:
            return Gap(
                reason=GapReason.RECIPE_FAILED,
                detail=f"The recipe did not train a clean model: {error}",
                cure="Mend the recipe, or leave it out of the audit file.",
            )
        told.append([ground.asker.task.decide(part) for part in said])
    return {name: np.stack([one[at] for one in told]) for at, name in enumerate(asked)}


def _trusted(subject: Subject, ground: BackdoorRowSplit) -> tuple[Array, NDArray[np.int64]] | Gap:
    """Return rows with labels that had no part in training the artifact."""
    reference = subject.datasets.get(DatasetRole.REFERENCE)
    row = ground.room.shape
    if reference is None or reference.inputs is None or reference.labels is None:
        usable = False
    else:
        usable = reference.inputs.shape[1:] == row and bool((reference.labels >= 0).all())
    if usable and reference is not None and reference.labels is not None:
        assert reference.inputs is not None  # noqa: S101 -- as asked in `_usable`
        return reference.inputs, reference.labels
    labels = ground.fitted.labels
    known = labels >= 0
    if len(np.unique(labels[known])) < ground.classes:
        return Gap(
            reason=GapReason.NEEDS_LABELS,
            detail="Clean models to compare with are trained on labelled reference or evaluation "
            "rows of every class, and there are none.",
            cure="Name labelled rows that had no part in training under data.reference.",
        )
    return ground.fitted.inputs[known], labels[known]


Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BackdoorScanPlan:
    """How hard is looked: rows of noise, blind triggers of each kind and the rows that each is put
    on, rows on which a short list is tried again, the twin's work, classes, and clean models.
    """

    noise: int
    tried: int
    mixed: int
    backgrounds: int
    again: int
    effort: CleanseEffort
    climb: MarginAscent
    classes: int
    clean_models: int
    examples: int


@dataclass(slots=True, eq=False)
class BackdoorScan:
    """One hunt, and what it has seen so far."""

    subject: Subject
    ground: BackdoorRowSplit
    plan: BackdoorScanPlan
    rng: np.random.Generator = field(init=False)
    seen: dict[str, Item] = field(default_factory=dict)
    asked: dict[str, Array] = field(default_factory=dict)
    scans: dict[str, BlindScan] = field(default_factory=dict)
    found: dict[str, TriggerSet] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Seed all that is drawn."""
        self.rng = np.random.default_rng(self.subject.seed)

    def evidence(self) -> dict[str, Item]:
        """Look, and return what was seen. Raises ``CancelledError`` through progress."""
        judged = self.ground.judged
        self.seen = {"before": judged.before, "labels": judged.labels, "ids": list(judged.ids)}
        ground, classes = self.ground, self.ground.classes
        uniform, mixed = draw_noise_rows(
            ground.room, ground.fitted.inputs, self.plan.noise, self.rng
        )
        self.asked |= {"uniform": uniform, "mixed": mixed}
        counts = [count_decisions(ground.asker.decide(rows), classes) for rows in (uniform, mixed)]
        self.seen["noise"] = np.stack(counts)
        self._scans()
        # Choose the classes that triggers are made for: all, or those that scans point at
        scores = np.max([scan_scores(found.rates) for found in self.scans.values()], axis=0)
        order = np.argsort(-scores, kind="stable")[: self.plan.classes]
        searched = np.sort(order).astype(np.int64)
        self.seen["searched"] = searched
        for search_kind, found in self.scans.items():
            self.found[search_kind], sent, left = choose_finalists(
                self.ground, found, searched, self.plan.again
            )
            self.seen |= {f"again_{search_kind}": sent, f"again_left_{search_kind}": left}
        self._gradients()
        for kind, triggers in self.found.items():
            try_ground = self.ground
            rows, try_asker, room = try_ground.judged.inputs, try_ground.asker, try_ground.room
            self.seen |= {
                f"sizes_{kind}": triggers.sizes,
                f"under_{kind}": decide_under_triggers(try_asker, room, triggers, rows),
            }
            at = self._top(kind)
            self.seen[f"mask_of_{kind}"] = triggers.masks[at].astype(np.float32)
            content = room.scaled(triggers.contents[at]).astype(np.float32)
            self.seen[f"content_of_{kind}"] = content
            if kind == MASK:
                even = truncate_masks(triggers, float(triggers.sizes[at]))
                self.seen[f"even_{kind}"] = decide_under_triggers(try_asker, room, even, rows)
            self.seen[f"chance_{kind}"] = decide_under_random_content(
                try_ground, triggers.masks[at], self.rng
            )
        # Ask the model that this one was made from about the same rows and triggers
        parent = self.subject.parent.model()
        if not isinstance(parent, Gap):
            asker = DecisionOracle(parent, self.ground.asker.task)
            self.seen["parent_before"] = asker.decide(self.ground.judged.inputs)
            for parent_kind in self.found:
                self.seen[f"parent_{parent_kind}"] = asker.decide(self._top_rows(parent_kind))
        self._clean_models()
        self._examples()
        return self.seen

    def _scans(self) -> None:
        room, plan, ground = self.ground.room, self.plan, self.ground
        tried: dict[str, LazyTriggers] = {}
        if room.axes is not None:
            tried[PATCH] = make_patches(room, plan.tried, self.rng)
        if len(room.shape) > 1:
            tried[BLEND] = make_blends(room, plan.mixed, self.rng)
        if len(room.shape) == 1:
            tried[VALUE] = make_value_triggers(room, ground.fitted.inputs, plan.tried, self.rng)
        for kind, triggers in tried.items():
            found = scan_triggers(ground, triggers, plan.backgrounds, self.subject.progress)
            self.scans[kind] = found
            self.seen |= {f"flips_{kind}": found.flips, f"left_{kind}": found.left}

    def _gradients(self) -> None:
        twin, room = self.subject.twin, self.ground.room
        if isinstance(twin, Gap):
            self.seen["no_twin"] = write_gap(twin)
            return
        searched, progress = self._searched, self.subject.progress
        rows = self.ground.fitted.inputs
        made = neural_cleanse(twin, room, rows, searched, self.plan.effort, self.rng, progress)
        self.found[MASK] = made
        self.seen["margins"] = largest_margins(
            twin, room, searched, self.plan.climb, self.rng, progress
        )
        told = {name: float(item) for name, item in twin.distance.items()}
        self.seen["twin"] = {"distance": told, "source": dict(twin.source)}

    @property
    def _searched(self) -> Labels:
        found = self.seen["searched"]
        assert isinstance(found, np.ndarray)  # noqa: S101 -- as `_search` made it
        return found

    def _top(self, kind: str) -> int:
        """Return the place of the strangest class among those searched."""
        return int(np.searchsorted(self._searched, top_class(self.seen, kind)))

    def _top_rows(self, kind: str) -> Array:
        """Return the judged rows under the trigger of a kind's strangest class."""
        triggers, room = self.found[kind], self.ground.room
        at = self._top(kind)
        content = room.scaled(triggers.contents[at])
        return room.put(self.ground.judged.inputs, triggers.masks[at], content)

    def _clean_models(self) -> None:
        """Ask clean models what the target was asked without regard to its answers, and about
        the triggers that were found.
        """
        if not self.plan.clean_models:
            return
        for kind, found in self.scans.items():
            self.asked[f"before_{kind}"] = found.backgrounds
            # As many stamped rows as a clean model is asked about, triggers in order
            most = max(1, MOST_ASKED // max(1, found.backgrounds.nbytes))
            tried = found.tried.take(np.arange(min(most, len(found.tried))))
            self.asked[f"flips_{kind}"] = np.concatenate(
                list(stamp_rows(tried, found.backgrounds, self.ground.room))
            )
        self.asked |= {f"under_{kind}": self._top_rows(kind) for kind in self.found}
        clean = ask_clean_models(self.subject, self.ground, self.asked, self.plan.clean_models)
        if isinstance(clean, Gap):
            self.seen["no_clean_models"] = write_gap(clean)
            return
        if clean.agreement is not None:
            self.seen["ready_models"] = clean.agreement.to_json()
        said, classes = clean.answers, self.ground.classes
        pairs = zip(said["uniform"], said["mixed"], strict=True)
        self.seen["null_noise"] = np.stack(
            [[count_decisions(one, classes) for one in of] for of in pairs]
        )
        for kind in self.scans:
            told = zip(said[f"flips_{kind}"], said[f"before_{kind}"], strict=True)
            counted = [count_flips(one.reshape(-1, len(of)), of, classes) for one, of in told]
            self.seen[f"null_flips_{kind}"] = np.stack([counts for counts, _ in counted])
            self.seen[f"null_left_{kind}"] = np.stack([left for _, left in counted])
        self.seen |= {f"null_under_{kind}": said[f"under_{kind}"] for kind in self.found}

    def _examples(self) -> None:
        """Keep rows clean and triggered, where the owner gave leave, of the best trigger."""
        kinds = [kind for kind in (MASK, *SCANS) if kind in self.found]
        rates = {kind: self._sent(kind).mean() for kind in kinds}
        kind = max(kinds, key=lambda one: (rates[one], -kinds.index(one)))
        chosen = np.flatnonzero(self._sent(kind))[: self.plan.examples]
        if not self.subject.show_examples or not len(chosen):
            return
        judged, names = self.ground.judged, self.ground.asker.task.classes
        self.seen |= {
            "example_clean": judged.inputs[chosen],
            "example_adversarial": self._top_rows(kind)[chosen],
            "example_rows": [judged.ids[row] for row in chosen],
            "example_clean_class": [names[judged.before[row]] for row in chosen],
            "example_adversarial_class": [names[top_class(self.seen, kind)] for _ in chosen],
            "example_budget": [f"one {kind} trigger" for _ in chosen],
            "features": list(self.subject.datasets[DatasetRole.EVALUATION].features),
        }

    def _sent(self, kind: str) -> NDArray[np.bool_]:
        """Return which judged rows the strangest class's trigger brings to it from another."""
        decided, target = self.seen[f"under_{kind}"], top_class(self.seen, kind)
        assert isinstance(decided, np.ndarray)  # noqa: S101 -- as `_try` made it
        sent: NDArray[np.bool_] = decided[self._top(kind)] == target
        moved: NDArray[np.bool_] = self.ground.judged.before != target
        return sent & moved
