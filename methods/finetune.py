"""The reference that starts where the old model ended."""

from compatbench.method import Need, Role, Task, TrainingMethod
from compatbench.model import NewModel, OldModel


class Finetune(TrainingMethod):
    """Ordinary training from the old encoder's weights, no compatibility term (ours; a reference row).

        θ_n ← θ_o,  then  L = CE(W_n f, y)

    θ the encoder's parameters and buffers, f (B, D) the new embedding, W_n (C, D) a fresh classifier. It
    costs nothing and is strong: a method that does not beat it has not earned its terms. Needs the same
    architecture.
    """

    name = "finetune"
    role = Role.REFERENCE
    needs = frozenset({Need.OLD_WEIGHTS})

    def skip(self, task: Task) -> str | None:
        if task.other_encoder:
            return f"starts from the old weights: {task.other_encoder}"
        if task.old_dim not in (None, task.dim):
            return f"starts from the old weights: theirs is an embedding of {task.old_dim}, not of {task.dim}"
        return None

    def setup(self, new: NewModel, old: OldModel) -> None:
        new.encoder.load_state_dict(old.state_dict())
