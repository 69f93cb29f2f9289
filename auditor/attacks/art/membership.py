"""ART's membership inference: learnt from rows that are known, and told of others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.art.attempts import Desk, OddAnswerError, attempt, parted
from auditor.attacks.art.edge import Untyped, classes, estimator
from auditor.attacks.art.learners import learner
from auditor.attacks.art.objections import Objection, raised
from auditor.attacks.art.settings import Settings
from auditor.attacks.art.views import Numbers, StandIn, TargetView
from auditor.attacks.losses import Labels
from auditor.domain.tasks import Array, Floats

Mask = NDArray[np.bool_]
Told = tuple[Mask, Floats]
"""Of each row, whether it is called a member, and how much like one it looks, as far as is said."""
Infer = Callable[[Numbers, Numbers], Told]
MEMBER = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Rows ``[n, ...]`` of which the attacker knows label and membership."""

    rows: Array
    labels: Labels
    member: Mask


@dataclass(frozen=True, slots=True, eq=False)
class Teller:
    """An attack that has learnt, and tells of rows whether a model was trained on them."""

    name: str
    desk: Desk
    view: TargetView
    infer: Infer

    def tell(
        self, rows: Array, labels: Labels, answer: Callable[[Array], Floats] | None = None
    ) -> Told | Objection:
        """Tell of rows by what the target says, or what another model answers in its place."""
        shown, wanted = self.view.lens.show(rows), self.desk.one_hot(labels)
        target = self.view.model
        self.view.meter = self.desk.meter()
        if answer is not None:
            self.view.model = StandIn(answer)
        try:
            return attempt(self.name, self.desk.seed + 1, lambda: self.infer(shown, wanted))
        finally:
            self.view.model = target


def learnt(name: str, settings: Settings, desk: Desk, known: Known) -> Teller | Objection:
    """Let an attack learn from rows that are known.

    ``ShadowModels`` makes models of its own, which a ``MembershipInferenceBlackBox`` learns from.
    """
    view = desk.view()
    if name not in LEARN:
        return raised(name, NotImplementedError("an attack that is not known here"))
    infer = attempt(name, desk.seed, lambda: LEARN[name](name, settings, desk, view, known))
    return infer if isinstance(infer, Objection) else Teller(name, desk, view, infer)


def black_box(settings: Settings, desk: Desk, model: Untyped, known: Known) -> Untyped:
    """Return a ``MembershipInferenceBlackBox`` that has learnt from what a model says."""
    kind = classes("inference")["MembershipInferenceBlackBox"]
    made, more = parted(kind, settings)
    attack = kind(model, **made)
    shown, wanted = desk.lens.show(known.rows), desk.one_hot(known.labels)
    ours, others = known.member, ~known.member
    said = model.predict(shown)
    attack.fit(
        y=wanted[ours], test_y=wanted[others], pred=said[ours], test_pred=said[others], **more
    )
    return attack


def _fitted(_: str, settings: Settings, desk: Desk, view: TargetView, known: Known) -> Infer:
    attack = black_box(settings, desk, estimator(view, desk.classes), known)
    return _told(lambda x, y: attack.infer(x, y, probabilities=True))


def _plain(name: str, settings: Settings, desk: Desk, view: TargetView, known: Known) -> Infer:  # noqa: ARG001 -- it learns nothing
    kind = classes("inference")[name]
    made, more = parted(kind, settings)
    attack = kind(estimator(view, desk.classes), **made)
    return _told(lambda x, y: attack.infer(x, y, **more))


def _calibrated(name: str, settings: Settings, desk: Desk, view: TargetView, known: Known) -> Infer:
    kind = classes("inference")[name]
    made, more = parted(kind, settings)
    attack = kind(estimator(view, desk.classes), **made)
    more = {"verbose": False, **more}
    shown, wanted = desk.lens.show(known.rows), desk.one_hot(known.labels)
    ours, others = known.member, ~known.member
    attack.calibrate_distance_threshold(
        shown[ours], wanted[ours], shown[others], wanted[others], **more
    )
    return _told(lambda x, y: attack.infer(x, y, **more))


def _shadowed(name: str, settings: Settings, desk: Desk, view: TargetView, known: Known) -> Infer:
    kind = classes("inference")[name]
    made, more = parted(kind, {"random_state": desk.seed % 2**31, **settings})
    shadows = kind(learner(desk, view.meter), **made)
    shown, wanted = desk.lens.show(known.rows), desk.one_hot(known.labels)
    ours, others = shadows.generate_shadow_dataset(shown, wanted)
    attack = classes("inference")["MembershipInferenceBlackBox"](
        estimator(view, desk.classes), **more
    )
    attack.fit(y=ours[1], test_y=others[1], pred=ours[2], test_pred=others[2])
    return _told(lambda x, y: attack.infer(x, y, probabilities=True))


def _told(infer: Callable[[Numbers, Numbers], Untyped]) -> Infer:
    """Return how likely a member each row is said to be, and whether it is called one."""

    def tell(shown: Numbers, wanted: Numbers) -> Told:
        said = np.asarray(infer(shown, wanted), dtype=np.float64)
        if said.size == 0 or len(said) != len(shown) or not np.isfinite(said).all():
            raise OddAnswerError(f"an array of shape {said.shape}")
        scores: Floats = said.reshape(len(shown), -1)[:, -1]
        return scores > MEMBER, scores

    return tell


LEARN: Mapping[str, Callable[[str, Settings, Desk, TargetView, Known], Infer]] = {
    "LabelOnlyDecisionBoundary": _calibrated,
    "LabelOnlyGapAttack": _plain,
    "MembershipInferenceBlackBox": _fitted,
    "MembershipInferenceBlackBoxRuleBased": _plain,
    "ShadowModels": _shadowed,
}
