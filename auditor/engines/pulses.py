"""A sign of life while a check waits for the owner's code, and a place to stop it at."""

from auditor.domain.readings import Gap
from auditor.domain.recipes import Attended, Recipe
from auditor.domain.subjects import Progress


class Said:
    """Passes on how far a check is, and says it again while nothing moves.

    Either may raise ``CancelledError``: so a training of minutes is stopped within seconds.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._last = (0, 1, "")

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Say how far it is."""
        self._last = (done, total, note)
        self._progress(done, total, note)

    def again(self) -> None:
        """Say once more what was said last."""
        self._progress(*self._last)


def attended(recipe: Recipe | Gap, said: Said) -> Recipe | Gap:
    """Return the recipe, which calls ``said.again`` while its code works, if it knows how to."""
    return recipe.attended(said.again) if isinstance(recipe, Attended) else recipe
