"""A control: BCT pulled towards the wrong classes must ruin the cross-test."""

import torch

from compatbench.method import Expectation, Role, Task
from compatbench.model import NewModel, OldModel

from .bct import BCT


class ShuffledPrototypes(BCT):
    """BCT with the old prototypes permuted among the classes (control, ours; after Shen et al., CVPR 2020).

        L = CE(W_n f, y) + λ · CE(W f[:, :D_o], σ(y))

    σ a random permutation of the labels without a fixed point (one random cycle), all else as in `bct`. The
    new model learns to place each class where another one was stored, so M(n,o) must fall below M(o,o): a
    benchmark in which it does not is measuring something else than compatibility.
    """

    name = "shuffled_prototypes"
    role = Role.CONTROL
    expects = frozenset({Expectation.CROSS_BELOW_OLD})

    def skip(self, task: Task) -> str | None:
        return "one class alone cannot be shuffled" if task.num_classes < 2 else super().skip(task)

    def setup(self, new: NewModel, old: OldModel) -> None:
        super().setup(new, old)
        cycle = torch.randperm(self.task.num_classes).to(self.row_of_class.device)
        shuffled = self.row_of_class.clone()
        shuffled[cycle] = self.row_of_class[cycle.roll(-1)]
        self.row_of_class = shuffled
