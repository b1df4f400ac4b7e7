"""The reference without compatibility."""

from compatbench.method import Expectation, Role, TrainingMethod


class Independent(TrainingMethod):
    """Ordinary training, no compatibility term (ours; the reference row of every table).

        L = CE(W_n f, y)

    f (B, D) the new embedding, W_n (C, D) the new classifier, y (B,) the labels. Its self-test is the upper
    bound M(*,*). Its cross-test must be at chance: far above it means shared initialisation or a leak.
    """

    name = "independent"
    role = Role.REFERENCE
    expects = frozenset({Expectation.CROSS_AT_CHANCE})
