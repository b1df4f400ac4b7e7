"""Models as a method sees them: the one in training, the frozen old one, and a view of a batch by either."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.encoders import Encoder
from compatbench.errors import ContractError
from compatbench.heads import Head
from compatbench.machine.processes import in_shares
from compatbench.vocabulary import Need


class Embedder(Protocol):
    """The members of a model that a view uses."""

    encoder: Encoder
    head: Head

    def embed(self, features: Tensor) -> Tensor:
        """Embeddings (B, D) of encoder outputs (B, E), not normalised."""


OwnInputs = Callable[[Encoder, Tensor], Tensor]
"""What an encoder takes for the same items and views as a batch's inputs, if its trunk is not the new encoder's."""


class View:
    """One model's view of one batch; computes only what is asked for."""

    def __init__(self, model: Embedder, images: Tensor, *, frozen: bool, mixed_precision: bool = False) -> None:
        self._model = model
        self._images = images
        self._frozen = frozen
        self._mixed_precision = mixed_precision

    @property
    def head(self) -> Head:
        """The model's classification head."""
        return self._model.head

    @cached_property
    def features(self) -> Tensor:
        """Encoder output (B, E)."""
        return self._encode(self._images)

    @cached_property
    def embeddings(self) -> Tensor:
        """Embeddings f (B, D), not normalised."""
        with torch.set_grad_enabled(not self._frozen):
            return self._model.embed(self.features)

    @cached_property
    def normalized(self) -> Tensor:
        """Embeddings (B, D) of unit length."""
        return F.normalize(self.embeddings)

    @cached_property
    def logits(self) -> Tensor:
        """The model's own logits (B, C)."""
        with torch.set_grad_enabled(not self._frozen):
            return self.head(self.embeddings)  # type: ignore[no-any-return]

    def score(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """Logits (B, K) of any embeddings (B, D) and class rows (K, D), scored as the model's head does.

        Takes only the head's kind and scale (inner product, scaled cosine), so that prototypes made elsewhere
        are on the same footing as its own rows.
        """
        return self._model.head.logits(embeddings, rows)

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings (B, D) of other images than the batch's, e.g. a second view."""
        features = self._encode(images)
        with torch.set_grad_enabled(not self._frozen):
            return self._model.embed(features)

    def _encode(self, images: Tensor) -> Tensor:
        """Only the encoder runs in bfloat16: a cosine divided by a small temperature would lose its digits."""
        with (
            torch.set_grad_enabled(not self._frozen),
            torch.autocast(images.device.type, torch.bfloat16, enabled=self._mixed_precision),
        ):
            features = in_shares(self._model.encoder, images)
        return features.float() if self._mixed_precision else features


class NewModel:
    """The model in training, as `setup` and `start_epoch` see it."""

    def __init__(self, model: Embedder, train_embeddings: Callable[[], Tensor], labels: Tensor) -> None:
        self._model = model
        self._train_embeddings = train_embeddings
        self.train_labels = labels.clone()
        """Labels (N,) of the training set; a copy, so that training goes on with the true ones."""

    @property
    def encoder(self) -> Encoder:
        """The encoder; its weights may be loaded from elsewhere in `setup`."""
        return self._model.encoder

    @property
    def head(self) -> Head:
        """The classification head; `setup` may assign another."""
        return self._model.head

    @head.setter
    def head(self, head: Head) -> None:
        self._model.head = head

    def train_embeddings(self) -> Tensor:
        """Embeddings (N, D) of the training set by the current model, not normalised."""
        return self._train_embeddings()


class OldModel:
    """The frozen old model. Each attribute requires its declared need."""

    def __init__(
        self,
        model: Embedder,
        needs: frozenset[Need] | set[Need],
        rows: Tensor,
        train_labels: Tensor,
        train_embeddings: Callable[[], Tensor],
        backward_maps: Sequence[Callable[[Tensor], Tensor]] = (),
    ) -> None:
        self._model = model
        self._needs = needs
        self._backward_maps = backward_maps
        self._load_train_embeddings = train_embeddings
        self.rows = rows
        """(C_n,) row of each new class in the old head, −1 where the old model does not know the class."""
        self.train_labels = train_labels.clone()
        """(N,) labels of the new training set."""

    @property
    def known(self) -> Tensor:
        """(C_n,) bool: the classes of the old model."""
        return self.rows >= 0

    @cached_property
    def dim(self) -> int:
        """D_o."""
        with torch.no_grad():
            probe = torch.zeros(1, self._model.encoder.spec.dim, device=self.rows.device)
            return self._model.embed(probe).shape[1]

    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and buffers of the old encoder."""
        self._require(Need.OLD_WEIGHTS)
        return self._model.encoder.state_dict()

    @property
    def weight(self) -> Tensor:
        """W_o (C_o, D_o): the old classifier's class rows."""
        self._require(Need.OLD_CLASSIFIER)
        return self._model.head.weight.detach()

    def logits(self, embeddings: Tensor) -> Tensor:
        """The frozen old head's logits (B, C_o) for embeddings (B, D_o); passes their gradient through."""
        self._require(Need.OLD_CLASSIFIER)
        return self._model.head(embeddings)  # type: ignore[no-any-return]

    @cached_property
    def train_embeddings(self) -> Tensor:
        """Old embeddings (N, D_o) of the new training set, not normalised, without augmentation."""
        self._require(Need.OLD_FEATURES)
        return self._load_train_embeddings()

    def class_means(self) -> Tensor:
        """μ (C_n, D_o): mean old embedding of each new class over the new training set."""
        return mean_by_class(self.train_embeddings, self.train_labels, len(self.rows))

    def to_earlier(self, embeddings: Tensor) -> list[Tensor]:
        """Old embeddings (B, D_o), mapped by the old models' own maps to each earlier space, newest first.

        Empty where the old model is the first generation.
        """
        mapped = []
        for backward in self._backward_maps:
            embeddings = backward(embeddings)
            mapped.append(embeddings)
        return mapped

    def view(self, images: Tensor, *, mixed_precision: bool = False, own: OwnInputs | None = None) -> View:
        """The old model's view of a batch, without gradient; `own` is for encoders with inputs of their own."""
        return OldView(self._model, images, self._needs, mixed_precision=mixed_precision, own=own)

    def _require(self, need: Need) -> None:
        _require(self._needs, need)


class OldView(View):
    """A view by the frozen old model; encoder and head require their declared needs."""

    def __init__(
        self,
        model: Embedder,
        images: Tensor,
        needs: frozenset[Need] | set[Need],
        *,
        mixed_precision: bool = False,
        own: OwnInputs | None = None,
    ) -> None:
        super().__init__(model, images, frozen=True, mixed_precision=mixed_precision)
        self._needs = needs
        self._own = own

    @property
    def head(self) -> Head:
        """The frozen old head; called on new embeddings it lets their gradient through."""
        _require(self._needs, Need.OLD_CLASSIFIER)
        return self._model.head

    def _encode(self, images: Tensor) -> Tensor:
        _require(self._needs, Need.OLD_ENCODER)
        return super()._encode(images if self._own is None else self._own(self._model.encoder, images))


def mean_by_class(features: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Mean (C, D) of the features (N, D) of each label in 0 … C−1; zero if a label has none."""
    sums = torch.zeros(num_classes, features.shape[1], device=features.device, dtype=features.dtype)
    sums.index_add_(0, labels, features)
    counts = torch.bincount(labels, minlength=num_classes).clamp(min=1)
    return sums / counts[:, None]


def _require(needs: frozenset[Need] | set[Need], need: Need) -> None:
    if need not in needs:
        raise ContractError(f"the method uses the {need.value} without declaring it: add Need.{need.name} to `needs`")
