"""The old classifier, frozen, as the only head of the new model."""

from torch import Tensor, nn

from compatbench.heads import build_head
from compatbench.method import Need, Params, Task, TrainingMethod
from compatbench.model import NewModel, OldModel

from ._mapped_head import MappedHead
from ._old_rows import old_and_synthesised


class FixedHead(TrainingMethod):
    """The old classifier moved onto the new model and frozen (ours; the plain idea behind many methods).

        L = CE(W A f, y)

    f (B, D_n) the new embedding, W (C_n, D_o) frozen: the old rows of the classes that the old classifier
    has, and for the others the mean old embedding μ_c, rescaled to the mean norm of the old rows (ours).
    A (D_o, D_n) is the identity where D_n = D_o, else a learned linear map, which query vectors pass too
    before they search the old gallery. The rows are scored by the kind of head that the scenario names for
    the new generation. Shows that a shared head alone pulls the new space onto the old one.
    """

    name = "fixed_head"
    needs = frozenset({Need.OLD_CLASSIFIER, Need.OLD_FEATURES})

    def __init__(self, params: Params, task: Task) -> None:
        super().__init__(params, task)
        if set(task.classes) <= set(task.old_classes):
            self.needs = frozenset({Need.OLD_CLASSIFIER})
        self.map = nn.Identity()

    def setup(self, new: NewModel, old: OldModel) -> None:
        if old.dim != self.task.dim:
            self.map = nn.Linear(self.task.dim, old.dim, bias=False)
        rows, row_of_class = old_and_synthesised(old, rescale=True)
        frozen = build_head(self.task.loss, old.dim, self.task.num_classes)
        frozen.weight = nn.Parameter(rows[row_of_class])
        new.head = MappedHead(frozen.requires_grad_(False), self.map)

    def compatible(self, embeddings: Tensor) -> Tensor:
        return self.map(embeddings)
