"""The hunt for a backdoor: blind scans, triggers from gradients, and their trial on the target."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import Role
from auditor.domain.evidence import Item
from auditor.domain.gaps import write_gap
from auditor.domain.readings import Gap
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Array
from auditor.poisons.backdoor_cases import (
    BLEND,
    MASK,
    PATCH,
    SCANS,
    VALUE,
    top_class,
)
from auditor.poisons.backdoor_cleanse import Effort, cleanse
from auditor.poisons.backdoor_ground import Asker, Ground
from auditor.poisons.backdoor_margins import Climb, margins
from auditor.poisons.backdoor_noise import noises, tally
from auditor.poisons.backdoor_nulls import MOST_ASKED, clean_models
from auditor.poisons.backdoor_scans import blends, flips, patches, values
from auditor.poisons.backdoor_statistics import scan_scores
from auditor.poisons.backdoor_trials import Scan, by_chance, cut, finalists, scan, under
from auditor.poisons.backdoor_triggers import Drawn, Triggers, stamped

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Plan:
    """How hard is looked: rows of noise, blind triggers of each kind and the rows that each is put
    on, rows on which a short list is tried again, the twin's work, classes, and clean models.
    """

    noise: int
    tried: int
    mixed: int
    backgrounds: int
    again: int
    effort: Effort
    climb: Climb
    classes: int
    clean_models: int
    examples: int


@dataclass(slots=True, eq=False)
class Hunt:
    """One hunt, and what it has seen so far."""

    subject: Subject
    ground: Ground
    plan: Plan
    rng: np.random.Generator = field(init=False)
    seen: dict[str, Item] = field(default_factory=dict)
    asked: dict[str, Array] = field(default_factory=dict)
    scans: dict[str, Scan] = field(default_factory=dict)
    found: dict[str, Triggers] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Seed all that is drawn."""
        self.rng = np.random.default_rng(self.subject.seed)

    def evidence(self) -> dict[str, Item]:
        """Look, and return what was seen. Raises ``CancelledError`` through progress."""
        judged = self.ground.judged
        self.seen = {"before": judged.before, "labels": judged.labels, "ids": list(judged.ids)}
        self._noise()
        self._scans()
        self._search()
        self._gradients()
        for kind, triggers in self.found.items():
            self._try(kind, triggers)
        self._parent()
        self._clean_models()
        self._examples()
        return self.seen

    def _noise(self) -> None:
        ground, classes = self.ground, self.ground.classes
        uniform, mixed = noises(ground.room, ground.fitted.inputs, self.plan.noise, self.rng)
        self.asked |= {"uniform": uniform, "mixed": mixed}
        counts = [tally(ground.asker.decide(rows), classes) for rows in (uniform, mixed)]
        self.seen["noise"] = np.stack(counts)

    def _scans(self) -> None:
        room, plan, ground = self.ground.room, self.plan, self.ground
        tried: dict[str, Drawn] = {}
        if room.axes is not None:
            tried[PATCH] = patches(room, plan.tried, self.rng)
        if len(room.shape) > 1:
            tried[BLEND] = blends(room, plan.mixed, self.rng)
        if len(room.shape) == 1:
            tried[VALUE] = values(room, ground.fitted.inputs, plan.tried, self.rng)
        for kind, triggers in tried.items():
            found = scan(ground, triggers, plan.backgrounds, self.subject.progress)
            self.scans[kind] = found
            self.seen |= {f"flips_{kind}": found.flips, f"left_{kind}": found.left}

    def _search(self) -> None:
        """Choose the classes that triggers are made for: all, or those that scans point at."""
        scores = np.max([scan_scores(found.rates) for found in self.scans.values()], axis=0)
        order = np.argsort(-scores, kind="stable")[: self.plan.classes]
        searched = np.sort(order).astype(np.int64)
        self.seen["searched"] = searched
        for kind, found in self.scans.items():
            self.found[kind], sent, left = finalists(self.ground, found, searched, self.plan.again)
            self.seen |= {f"again_{kind}": sent, f"again_left_{kind}": left}

    def _gradients(self) -> None:
        twin, room = self.subject.twin, self.ground.room
        if isinstance(twin, Gap):
            self.seen["no_twin"] = write_gap(twin)
            return
        searched, progress = self._searched, self.subject.progress
        rows = self.ground.fitted.inputs
        made = cleanse(twin, room, rows, searched, self.plan.effort, self.rng, progress)
        self.found[MASK] = made
        self.seen["margins"] = margins(twin, room, searched, self.plan.climb, self.rng, progress)
        told = {name: float(item) for name, item in twin.distance.items()}
        self.seen["twin"] = {"distance": told, "source": dict(twin.source)}

    @property
    def _searched(self) -> Labels:
        found = self.seen["searched"]
        assert isinstance(found, np.ndarray)  # noqa: S101 -- as `_search` made it
        return found

    def _try(self, kind: str, triggers: Triggers) -> None:
        """Judge all classes' triggers of a kind, and random contents under the strangest's mask."""
        ground = self.ground
        rows, asker, room = ground.judged.inputs, ground.asker, ground.room
        self.seen |= {
            f"sizes_{kind}": triggers.sizes,
            f"under_{kind}": under(asker, room, triggers, rows),
        }
        at = self._top(kind)
        self.seen[f"mask_of_{kind}"] = triggers.masks[at].astype(np.float32)
        content = room.scaled(triggers.contents[at]).astype(np.float32)
        self.seen[f"content_of_{kind}"] = content
        if kind == MASK:
            even = cut(triggers, float(triggers.sizes[at]))
            self.seen[f"even_{kind}"] = under(asker, room, even, rows)
        self.seen[f"chance_{kind}"] = by_chance(ground, triggers.masks[at], self.rng)

    def _top(self, kind: str) -> int:
        """Return the place of the strangest class among those searched."""
        return int(np.searchsorted(self._searched, top_class(self.seen, kind)))

    def _top_rows(self, kind: str) -> Array:
        """Return the judged rows under the trigger of a kind's strangest class."""
        triggers, room = self.found[kind], self.ground.room
        at = self._top(kind)
        content = room.scaled(triggers.contents[at])
        return room.put(self.ground.judged.inputs, triggers.masks[at], content)

    def _parent(self) -> None:
        """Ask the model that this one was made from about the same rows and triggers."""
        parent = self.subject.parent.model()
        if isinstance(parent, Gap):
            return
        asker = Asker(parent, self.ground.asker.task)
        self.seen["parent_before"] = asker.decide(self.ground.judged.inputs)
        for kind in self.found:
            self.seen[f"parent_{kind}"] = asker.decide(self._top_rows(kind))

    def _clean_models(self) -> None:
        """Ask clean models what the target was asked without regard to its answers, and about
        the triggers that were found.
        """
        if not self.plan.clean_models:
            return
        for kind, found in self.scans.items():
            self.asked[f"before_{kind}"] = found.backgrounds
            self.asked[f"flips_{kind}"] = _prefix(found, self.ground)
        self.asked |= {f"under_{kind}": self._top_rows(kind) for kind in self.found}
        clean = clean_models(self.subject, self.ground, self.asked, self.plan.clean_models)
        if isinstance(clean, Gap):
            self.seen["no_clean_models"] = write_gap(clean)
            return
        if clean.agreement is not None:
            self.seen["ready_models"] = clean.agreement.to_json()
        said, classes = clean.answers, self.ground.classes
        pairs = zip(said["uniform"], said["mixed"], strict=True)
        self.seen["null_noise"] = np.stack([[tally(one, classes) for one in of] for of in pairs])
        for kind in self.scans:
            told = zip(said[f"flips_{kind}"], said[f"before_{kind}"], strict=True)
            counted = [flips(one.reshape(-1, len(of)), of, classes) for one, of in told]
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
            "features": list(self.subject.datasets[Role.EVALUATION].features),
        }

    def _sent(self, kind: str) -> NDArray[np.bool_]:
        """Return which judged rows the strangest class's trigger brings to it from another."""
        decided, target = self.seen[f"under_{kind}"], top_class(self.seen, kind)
        assert isinstance(decided, np.ndarray)  # noqa: S101 -- as `_try` made it
        sent: NDArray[np.bool_] = decided[self._top(kind)] == target
        moved: NDArray[np.bool_] = self.ground.judged.before != target
        return sent & moved


def _prefix(found: Scan, ground: Ground) -> Array:
    """Return as many stamped rows as a clean model is asked about, triggers in order."""
    most = max(1, MOST_ASKED // max(1, found.backgrounds.nbytes))
    tried = found.tried.take(np.arange(min(most, len(found.tried))))
    return np.concatenate(list(stamped(tried, found.backgrounds, ground.room)))
