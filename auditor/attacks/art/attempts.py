"""One try of something of ART's: quiet, seeded, and with its failures as reasons."""

import inspect
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from auditor.attacks.art.claims import Allowance
from auditor.attacks.art.edge import Untyped
from auditor.attacks.art.lenses import Lens
from auditor.attacks.art.meters import LimitError, Meter
from auditor.attacks.art.objections import Objection, limited, misshapen, raised
from auditor.attacks.art.quiet import seeded, silenced
from auditor.attacks.art.settings import Settings
from auditor.attacks.art.views import Numbers, TargetView, TwinView
from auditor.attacks.losses import Labels
from auditor.domain.models import Model, Twin
from auditor.domain.tasks import Classification
from auditor.errors import AuditorError, TwinError

Found = TypeVar("Found")


class OddAnswerError(Exception):
    """An attack returned something else than it says that it returns."""


@dataclass(frozen=True, slots=True, eq=False)
class Desk:
    """What an attack works with: the target, its twin if there is one, a lens over rows, and what
    it may spend on each of ``rows`` rows and altogether.
    """

    model: Model
    twin: Twin | None
    task: Classification
    lens: Lens
    rows: int
    allowance: Allowance
    seed: int

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.task.classes)

    def view(self) -> TargetView:
        """Return the target as an attack sees it, with a meter of its own."""
        return TargetView(self.model, self.task, self.lens, self.meter())

    def climber(self) -> TwinView | None:
        """Return the twin as an attack sees it, ``None`` where there is none."""
        if self.twin is None:
            return None
        return TwinView(self.twin, self.task, self.lens, self.meter())

    def meter(self) -> Meter:
        """Return a meter that has counted nothing yet."""
        spare = self.allowance
        meter = Meter(tick=spare.tick, most=0, seconds=spare.seconds)
        meter.grant(self.rows, spare.most_queries)
        return meter

    def one_hot(self, labels: Labels) -> Numbers:
        """Return labels ``[n]`` as ART takes them: ``[n, classes]``."""
        return np.eye(self.classes, dtype=np.float32)[labels]

    def aloud(self, hear: Callable[[Callable[[], None]], Callable[[], None]]) -> "Desk":
        """Return a desk whose progress is heard where a library is silenced."""
        return replace(self, allowance=replace(self.allowance, tick=hear(self.allowance.tick)))


def attempt(name: str, seed: int, run: Callable[[], Found]) -> Found | Objection:
    """Run something of ART's in silence, from a seed of its own; return why where it fails.

    The same seed gives the same result, where the time suffices. Raises ``AuditorError`` for what
    is not the library's fault: a model that died, or an audit that was stopped.
    """
    whole = np.random.SeedSequence([zlib.crc32(name.encode()), seed])
    try:
        with silenced(), seeded(int(whole.generate_state(1)[0])):
            return run()
    except TwinError as error:
        return raised(name, error)
    except AuditorError:
        raise
    except LimitError as limit:
        return limited(name, limit)
    except OddAnswerError as odd:
        return misshapen(name, str(odd))
    except Exception as error:  # noqa: BLE001 -- a library may raise anything
        return raised(name, error)


def parted(kind: Untyped, settings: Settings) -> tuple[Settings, Settings]:
    """Return what of the settings a class is made with, and what its methods are called with."""
    takes = inspect.signature(kind.__init__).parameters
    made = {key: value for key, value in settings.items() if key in takes}
    return made, {key: value for key, value in settings.items() if key not in takes}
