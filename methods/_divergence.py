"""Distance between two class posteriors that a temperature has flattened."""

import torch.nn.functional as F
from torch import Tensor


def tempered_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² · KL(softmax(t / T) ‖ softmax(s / T)) of each row, (B,), given logits s and t (B, C).

    T² keeps the size of the gradient at any T (Hinton et al., 2015). In float64, since at large T two nearly
    uniform posteriors differ only beyond the digits of float32.
    """
    log_student = F.log_softmax(student.double() / temperature, dim=1)
    log_teacher = F.log_softmax(teacher.double() / temperature, dim=1)
    divergence = F.kl_div(log_student, log_teacher, reduction="none", log_target=True)
    return temperature**2 * divergence.sum(dim=1)
