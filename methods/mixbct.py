"""Old and new embeddings mixed in each batch, under one loss and one classifier."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.heads import ArcFaceHead, Head
from compatbench.method import Batch, Field, Need, Params, Task, TrainingMethod, to_dim, tunable
from compatbench.model import NewModel, OldModel, View, mean_by_class

from ._dimensions import refuse_smaller


class MixBCT(TrainingMethod):
    """Self-adapting backward-compatible training, MixBCT (Liang et al., 2023, arXiv 2308.06948).

        L = ArcFace(W, F, y),   F_i = f_o,i for i ∈ R, else f_n,i

    f_n (B, D_n) the new embeddings, f_o those of the old model for the same images, computed once without
    augmentation (zero-padded to D_n, ours), W (C_n, D_n) the one classifier, scale s = 64 and margin m = 0.5
    in place of the scenario's. R: int(0.3 · B) images drawn from the batch's credible ones, or all of these
    where there are fewer. Credible are, of each class, the ⌈0.9 · n⌉ images whose unit old embedding is
    nearest to the class mean (Euclidean). No further term and no weight: how tightly new embeddings are held
    follows from how scattered the old ones are. Deviation: the authors' script also divides each dimension of
    the features by its norm over the data set before it measures distances; here they are those of the
    embedding space (ours).
    """

    name = "mixbct"
    needs = frozenset({Need.OLD_FEATURES})

    class Params(Params):
        mixed: float = tunable(0.3, low=0.1, high=0.8, ge=0, lt=1)
        credible: float = Field(0.9, ge=0, le=1)
        scale: float = tunable(64.0, low=8, high=64, log=True, gt=0)
        margin: float = tunable(0.5, low=0, high=0.5, ge=0, lt=math.pi / 2)

    old_features: Tensor
    is_credible: Tensor

    def skip(self, task: Task) -> str | None:
        return refuse_smaller(task)

    def head(self, dim: int, num_classes: int) -> Head:
        return ArcFaceHead(dim, num_classes, self.params.scale, self.params.margin)

    def setup(self, new: NewModel, old: OldModel) -> None:
        features = F.normalize(old.train_embeddings)
        credible = nearest_share(features, old.train_labels, self.task.num_classes, self.params.credible)
        self.register_buffer("old_features", to_dim(features, self.task.dim), persistent=False)
        self.register_buffer("is_credible", credible, persistent=False)

    def classification(self, batch: Batch, new: View, old: View) -> Tensor:
        candidates = self.is_credible[batch.index].nonzero().flatten()
        order = torch.randperm(len(candidates), generator=batch.generator, device=candidates.device)
        chosen = candidates[order[: int(self.params.mixed * len(batch.index))]]
        embeddings = new.embeddings.index_copy(0, chosen, self.old_features[batch.index[chosen]])
        return new.head.loss(embeddings, batch.labels)


def nearest_share(features: Tensor, labels: Tensor, num_classes: int, share: float) -> Tensor:
    """Whether each of the features (N, D) is among the ⌈share · n⌉ nearest to its class mean: (N,) bool."""
    distances = (features - mean_by_class(features, labels, num_classes)[labels]).norm(dim=1)
    near = torch.zeros(len(labels), dtype=torch.bool, device=labels.device)
    counts = torch.bincount(labels, minlength=num_classes).tolist()
    for members in labels.argsort(stable=True).split(counts):
        near[members[distances[members].argsort()[: math.ceil(share * len(members))]]] = True
    return near
