"""What the formulas of compatibility losses ask of the two embedding dimensions."""

from compatbench.method import Task


def refuse_smaller(task: Task) -> str | None:
    """Reason to skip where D_n < D_o: f_n[:, :D_o] would lack the dimensions that the old space has."""
    if task.old_dim is not None and task.dim < task.old_dim:
        return (
            f"its formula compares the first {task.old_dim} dimensions of the new and the old embedding, "
            f"but the new one has {task.dim}"
        )
    return None
