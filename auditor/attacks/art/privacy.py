"""ART's attribute inference: guesses of one column of rows whose other columns are known."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.art.attempts import Desk, OddAnswerError, attempt, parted
from auditor.attacks.art.edge import Untyped, classes, estimator
from auditor.attacks.art.membership import Known, black_box
from auditor.attacks.art.objections import Objection
from auditor.attacks.art.settings import Settings
from auditor.attacks.art.views import Numbers
from auditor.attacks.losses import Labels
from auditor.domain.tasks import Array, Floats

Codes = NDArray[np.int64]
OF_MEMBERSHIP = "AttributeInferenceMembership"
BASELINES = ("AttributeInferenceBaseline", "AttributeInferenceBaselineTrueLabel")


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The column that is guessed, or neighbouring columns of one choice: ``places``, and what may
    stand there, ``levels`` ``[k, places]`` in the rows' own units.
    """

    places: tuple[int, ...]
    levels: Floats

    @property
    def feature(self) -> int | slice:
        """How ART names it."""
        if len(self.places) == 1:
            return self.places[0]
        return slice(self.places[0], self.places[-1] + 1, 1)

    @property
    def joined(self) -> bool:
        """Whether the columns stand side by side, as ART asks."""
        return self.places == tuple(range(self.places[0], self.places[0] + len(self.places)))


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows ``[n, columns]`` with their labels ``[n]``."""

    inputs: Array
    labels: Labels


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """Rows that teach the attacker, those that are ``asked`` about, and members whom he knows."""

    known: Rows
    asked: Rows
    members: Rows


def guessed(
    name: str, settings: Settings, desk: Desk, column: Column, sides: Sides
) -> Codes | Objection:
    """Return which level ``[n]`` an attack names for each row that is asked about.

    Only an attack through membership makes use of the members that are known.
    """
    return attempt(name, desk.seed, _Guess(name, settings, desk, column, sides))


@dataclass(frozen=True, slots=True, eq=False)
class _Guess:
    name: str
    settings: Settings
    desk: Desk
    column: Column
    sides: Sides

    def __call__(self) -> Codes:
        """Fit, infer, and read the answer as levels."""
        if not self.column.joined:
            raise OddAnswerError("nothing for a choice whose columns stand apart")
        lens, view = self.desk.lens, self.desk.view()
        model = estimator(view, self.desk.classes)
        whole = lens.show(self.sides.asked.inputs)
        rest = np.delete(whole, list(self.column.places), axis=1)
        wanted = self.desk.one_hot(self.sides.asked.labels)
        kind = classes("inference")[self.name]
        said = self._kinds(kind, model)(rest, whole, wanted)
        return self._codes(np.asarray(said, dtype=np.float64))

    def _kinds(
        self, kind: Untyped, model: Untyped
    ) -> Callable[[Numbers, Numbers, Numbers], Untyped]:
        """Return how one kind of attack infers, after it has learnt."""
        made, more = parted(kind, self.settings)
        shown = self.desk.lens.show(self.sides.known.inputs)
        told = self.desk.one_hot(self.sides.known.labels)
        feature = {"attack_feature": self.column.feature}
        if self.name == OF_MEMBERSHIP:
            inner = self._through(model)
            attack = kind(model, inner, **feature, **made)
            values = self._values()
            return lambda rest, _, wanted: attack.infer(rest, wanted, values=values)
        if self.name in BASELINES:
            attack = kind(**feature, **made)
            plain = self.name == BASELINES[0]
            attack.fit(shown, **({} if plain else {"y": told}), **more)
            return lambda rest, _, wanted: attack.infer(rest, *(() if plain else (wanted,)))
        attack = kind(model, **feature, **made)
        attack.fit(shown, told, **more)
        return lambda rest, whole, wanted: attack.infer(
            rest, wanted, pred=model.predict(whole).argmax(axis=1).reshape(-1, 1)
        )

    def _through(self, model: Untyped) -> Untyped:
        """Return a membership attack that knows some members, and rows that are none."""
        rows = np.concatenate([self.sides.members.inputs, self.sides.known.inputs])
        labels = np.concatenate([self.sides.members.labels, self.sides.known.labels])
        member = np.arange(len(rows)) < len(self.sides.members.labels)
        attack = classes("inference")["MembershipInferenceBlackBox"]
        _, more = parted(classes("inference")[self.name], self.settings)
        made, _ = parted(attack, {"attack_model_type": "rf", **more})
        return black_box(made, self.desk, model, Known(rows, labels, member))

    def _values(self) -> Untyped:
        """Return the levels as ART takes them, shown."""
        shown = self._shown_levels()
        if len(self.column.places) == 1:
            return shown[:, 0].tolist()
        return [[float(one.min()), float(one.max())] for one in shown.T]

    def _shown_levels(self) -> Floats:
        places = list(self.column.places)
        low, unit = self.desk.lens.low[places], self.desk.lens.unit[places]
        return ((self.column.levels - low) / unit).astype(np.float32).astype(np.float64)

    def _codes(self, said: Floats) -> Codes:
        """Return the level that lies nearest to what was said of each row."""
        rows = said.reshape(len(said), -1) if said.ndim else said
        if rows.shape != (len(self.sides.asked.labels), len(self.column.places)):
            raise OddAnswerError(f"an array of shape {said.shape}")
        levels = self._shown_levels()
        away = np.abs(rows[:, None, :] - levels[None]).sum(axis=2)
        found: Codes = away.argmin(axis=1).astype(np.int64)
        return found
