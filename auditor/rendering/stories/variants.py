"""What became of a model when it was made smaller, told beside the model that it was made from."""

from collections.abc import Iterator, Sequence

from auditor.domain.readings import Measurement
from auditor.domain.verdicts import Outcome
from auditor.rendering.numbers import figure
from auditor.rendering.phrases import BOUNDS, coordinates
from auditor.rendering.stories.flips import flip_part
from auditor.rendering.stories.story import Cure, Part, Scene, number_of

VARIANT = "hardware.variant"
ABOUT = (
    "The deployed file was made from another model, its parent: quantised, pruned, distilled or "
    "compiled. Tests of the parent say nothing of what was made of it, so that both were run here, "
    "row by row."
)
CHANGES = {
    "nll_change": ("log loss", "it is surer than it should be, or less sure"),
    "brier_change": ("the Brier score", "its stated confidence is worth less"),
    "smece_change": ("the smooth calibration error", "what it states comes true less reliably"),
}
MADE_AGAIN = Cure(
    "Quantise again with more calibration rows, weights quantised per channel, and the layers that "
    "move most left in floating point; or train with quantisation in the loop. Then audit again."
)
PARENT = Cure("Or deploy the parent where its answers matter more than speed and size.")
TRIGGER = Cure(
    "Do not deploy this file before its origin is known: a trigger that only the variant obeys is "
    "what a backdoor looks like that awakes when a model is quantised."
)


def tell_variant(scene: Scene) -> tuple[Sequence[Part], Sequence[Cure]]:
    """Tell how the variant differs from its parent: decisions, certainty, groups, under attack."""
    rate = scene.figure(VARIANT, "flip_rate")
    if rate is None:
        return (), ()
    counted = flip_part(scene, VARIANT, rate, "its parent")
    told = (ABOUT, *_certainty(scene), *_attacked(scene))
    about = Part(topic=f"variant:{scene.target}", name="Variant and parent", told=told)
    return (about, counted), tuple(_cures(scene))


def _certainty(scene: Scene) -> Iterator[str]:
    for metric, (name, meaning) in CHANGES.items():
        m = scene.figure(VARIANT, metric)
        if m is not None and m.low is not None and m.low > 0:
            yield f"By {name} it got worse ({figure(m).whole}): {meaning}."
    for grown in scene.measured(VARIANT, "selection_change_gap"):
        if grown.low is not None and grown.low > 0:
            yield (
                f"Groups of {grown.params.get('column', 'people')} are treated less alike than by "
                f"the parent: the gap in selection rates grew by {figure(grown).whole}."
            )


def _attacked(scene: Scene) -> Iterator[str]:
    by_place: dict[str, dict[str, Measurement]] = {}
    for m in scene.measured(VARIANT, "robust_accuracy"):
        place = coordinates({name: value for name, value in m.params.items() if name == "eps"})
        by_place.setdefault(place, {})[str(m.params.get("of", ""))] = m
    for place, of in by_place.items():
        if of.keys() >= {"variant", "parent"}:
            ours, theirs = (figure(of[name]).value for name in ("variant", "parent"))
            yield (
                f"Under attack ({place}), each by an attack of its own, the variant is right in "
                f"{BOUNDS[of['variant'].bound]}{ours} of rows, the parent in "
                f"{BOUNDS[of['parent'].bound]}{theirs}."
            )
    for m in _triggers(scene):
        yield (
            f"One and the same small pattern turns rows into class {m.params.get('class', '?')} "
            f"more often on the variant than on the parent: {figure(m).whole}."
        )


def _triggers(scene: Scene) -> list[Measurement]:
    """Return the triggers that the variant obeys more than its parent, beyond doubt."""
    found = scene.measured(VARIANT, "trigger_gap")
    return [m for m in found if m.low is not None and m.low > 0]


def _cures(scene: Scene) -> Iterator[Cure]:
    if scene.finding.outcome is Outcome.PASSED:
        return
    if _triggers(scene):
        yield TRIGGER
    if number_of(scene.figure(VARIANT, "flip_rate")):
        yield MADE_AGAIN
        yield PARENT
