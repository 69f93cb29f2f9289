"""Ready shadow models, asked one after another as the artifact is: each in a child of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.domain.datasets import Role
from auditor.domain.models import Model
from auditor.domain.shadows import Include
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, Floats, Task
from auditor.engines.openers import OpenModel, ShadowsSource
from auditor.errors import AuditorError, CancelledError, ShadowsError

LABELS = "labels"
MEND = "Export it as the artifact was exported, or leave it and its row of the matrix out."


@dataclass(frozen=True, slots=True)
class OpenedShadows:
    """Shadow models where they were staged; implements ``domain.shadows.ShadowModels``.

    A model is opened on ``spec`` when it is asked, and closed when it has answered all that it was
    asked at once, so that no two of them take memory together.
    """

    source: ShadowsSource
    spec: TargetSpec
    task: Task
    opener: OpenModel

    @property
    def include(self) -> Mapping[Role, Include]:
        """Which rows ``[k, rows]`` of a dataset each model learnt from."""
        return self.source.include

    def answers(
        self, model: int, asked: Sequence[Array], *, labels_only: bool = False
    ) -> tuple[Floats, ...]:
        """Open one model, and return the probabilities of each array asked.

        Raises ``ShadowsError`` that names the file, whatever went wrong.
        """
        held = self.source.models[model]
        name = f"the shadow model {model} ({held.artifact.files[0].name})"
        try:
            with self.opener(self.spec, held.folder, held.artifact, self.task, asked[0]) as opened:
                if not labels_only:
                    _refuse_labels(opened, name)
                return tuple(opened.probabilities(opened.predict(rows)) for rows in asked)
        except (CancelledError, ShadowsError):
            raise
        except AuditorError as error:
            raise ShadowsError(
                f"{name} cannot be asked: {error.problem}", cure=f"{error.cure} {MEND}"
            ) from None


def _refuse_labels(model: Model, name: str) -> None:
    face = model.fingerprint.interface
    if face is not None and face.scores == LABELS:
        raise ShadowsError(f"{name} gives labels and no scores", cure=MEND)
