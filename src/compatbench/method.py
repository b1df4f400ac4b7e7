"""The imports of a method author: the two contracts, and their words.

A method knows a batch, the new model and the frozen old model. Seeds, data loading, metrics, devices and
files belong to the suite. docs/adding-a-method.md walks through both contracts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from compatbench.errors import ContractError
from compatbench.heads import Head, build_head
from compatbench.model import NewModel, OldModel, View
from compatbench.vocabulary import Expectation, HeadName, Need, Role

__all__ = [
    "Adapter",
    "Batch",
    "Expectation",
    "Field",
    "Maps",
    "Need",
    "Params",
    "Role",
    "Task",
    "TrainingMethod",
    "tunable",
]


class Params(BaseModel):
    """Base of every method's parameters: bounds are checked, misspelt names refused, values finite and immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Range:
    """Where `compatbench tune` looks for better values of a parameter."""

    low: float
    high: float
    log: bool
    integer: bool
    variants: tuple[str, ...]
    """Values of `variant` under which the parameter has an effect; all if empty."""

    def at(self, place: float) -> float | int:
        """The value at `place` in [0, 1), to three significant digits."""
        span = self.high - self.low
        value = self.low * (self.high / self.low) ** place if self.log else self.low + span * place
        return round(value) if self.integer else float(f"{value:.3g}")


def tunable(
    default: float, *, low: float, high: float, log: bool = False, variants: tuple[str, ...] = (), **bounds: Any
) -> Any:
    """A parameter with a range to tune it in, even in the logarithm with `log`; `bounds` are those of `Field`.

    `weight: float = tunable(1.0, low=0.1, high=10, log=True, ge=0)`. With `variants` it is tuned in these alone. Raises
    ContractError where the default, which is the published value, lies outside.
    """
    if not low <= default <= high or low >= high or (log and low <= 0):
        raise ContractError(
            f"tunable({default}, low={low}, high={high}, log={log}): take low <= default <= high, low < high, and "
            "low > 0 where log=True"
        )
    integer = isinstance(default, int)
    searched: dict[str, Any] = {"low": low, "high": high, "log": log, "integer": integer, "variants": list(variants)}
    return Field(default, json_schema_extra={"tunable": searched}, **bounds)


def ranges(params: BaseModel) -> dict[str, Range]:
    """The ranges that were declared for the parameters which have an effect in the variant of `params`."""
    found = {}
    for name, field in type(params).model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and isinstance(declared := extra.get("tunable"), dict):
            one = Range(**{**declared, "variants": tuple(declared["variants"])})  # type: ignore[arg-type]
            if not one.variants or getattr(params, "variant", None) in one.variants:
                found[name] = one
    return found


@dataclass(frozen=True)
class Task:
    """The task of training one generation, as far as it is known before training."""

    generation: int
    """Position in the chain; 0 is the first."""
    backbone: str
    """Full timm name `arch.tag`."""
    dim: int
    """Embedding dimension that the scenario asks for."""
    loss: HeadName
    """Classification loss of the scenario."""
    classes: tuple[int, ...]
    """Class of each label 0 … C−1 of this generation: its place 0 … K−1 among those with training images."""
    total_classes: int
    """K: all classes that may ever come, those with training images."""
    old_backbone: str | None = None
    old_dim: int | None = None
    old_classes: tuple[int, ...] = ()
    other_encoder: str | None = None
    """Why the old encoder's weights do not fit the new encoder, its embedding dimension aside; None if they do."""

    @property
    def num_classes(self) -> int:
        """C: classes of this generation."""
        return len(self.classes)


@dataclass(frozen=True)
class Batch:
    """One training batch, and its place in the training."""

    images: Tensor
    """Augmented, normalised images (B, channels, H, W); features (B, F) of the new model's trunk where it is frozen."""
    labels: Tensor
    """Labels (B,) int64, rows of the new head."""
    index: Tensor
    """Positions (B,) in the generation's training set, i.e. rows of `OldModel.train_embeddings`."""
    epoch: int
    epochs: int
    progress: float
    """Share of all training steps already done, in [0, 1)."""
    generator: torch.Generator
    """The method's own random stream, on the device of `images`."""
    second_view: Tensor | None = None
    """A second augmentation of the same images, for methods that need TWO_VIEWS."""
    independent: View | None = None
    """The independent new model on this batch, for methods that need INDEPENDENT_MODEL."""


class Method:
    """The declarations of a method of either kind. Subclass TrainingMethod or Adapter."""

    name: ClassVar[str]
    role: ClassVar[Role] = Role.METHOD
    needs: frozenset[Need] | set[Need] = frozenset()
    expects: ClassVar[frozenset[Expectation] | set[Expectation]] = frozenset()
    Params: ClassVar[type[Params]] = Params
    params: Any

    def __init__(self, params: BaseModel, task: Task) -> None:
        super().__init__()
        self.params = params
        self.task = task

    def skip(self, task: Task) -> str | None:
        """A human reason why this method cannot run on `task`, or None. Called before anything is trained."""
        return None


class TrainingMethod(Method, nn.Module):
    """A method that adds loss terms to ordinary training. Subclass it, one class a file.

    The total loss is `classification(…)` plus the sum of the terms that `loss(…)` returns. Parameters and
    buffers that the subclass registers are trained, moved to the device and stored with the model.
    """

    classification_term: ClassVar[str] = "classification"
    """What `classification(…)` is logged as; another name where a method trains without a classifier."""
    shares_start: bool = False
    """Whether the independent model that it needs has its initial weights and its order of images, or its own ones."""

    @property
    def trains_classifier(self) -> bool:
        """Whether its classification term is that of the head."""
        return self.classification_term == TrainingMethod.classification_term

    def encoder_dim(self, dim: int) -> int:
        """Output dimension of the encoder, given the scenario's embedding dimension."""
        return dim

    def head(self, dim: int, num_classes: int) -> Head:
        """The classification head over embeddings of `dim`; override for stationary heads."""
        return build_head(self.task.loss, dim, num_classes)

    def setup(self, new: NewModel, old: OldModel | None) -> None:
        """Called once before training, with torch's global stream seeded: build buffers and modules here.

        `old` is None only for the first generation of a method that needs OWN_FIRST_GENERATION. May replace
        `new.head` or load weights into `new.encoder`.
        """

    def start_epoch(self, epoch: int, epochs: int, new: NewModel, old: OldModel | None) -> None:
        """Called before each epoch; for methods that refresh something from the whole training set."""

    def classification(self, batch: Batch, new: View, old: View | None) -> Tensor:
        """The classification term, a scalar."""
        return new.head.loss(new.embeddings, batch.labels)

    def loss(self, batch: Batch, new: View, old: View | None) -> dict[str, Tensor]:
        """Further scalar terms by name, each already weighted. They are logged by these names."""
        return {}

    def embed(self, features: Tensor) -> Tensor:
        """Map the encoder output (B, E) to the stored and searched embedding (B, D)."""
        return features

    def compatible(self, embeddings: Tensor) -> Tensor:
        """New embeddings (B, D_n) to query vectors for the old gallery, as `gallery` leaves it.

        By default the first D_o dimensions, or zero-padding where D_n < D_o; unchanged if the gallery is rewritten.
        """
        if self.task.old_dim is None or Need.GALLERY_REWRITE in self.needs:
            return embeddings
        return to_dim(embeddings, self.task.old_dim)

    def gallery(self, embeddings: Tensor) -> Tensor:
        """Stored old embeddings (N, D_o), not normalised, to vectors that the new queries search: by default unchanged.

        Override it where the method rewrites every stored vector, and declare GALLERY_REWRITE: without the need it is
        never called. Each vector is mapped on its own.
        """
        return embeddings


def to_dim(embeddings: Tensor, dim: int) -> Tensor:
    """The first `dim` dimensions of embeddings (B, D), zero-padded if D < dim: (B, dim)."""
    return F.pad(embeddings, (0, max(0, dim - embeddings.shape[1])))[:, :dim]


Map = Callable[[Tensor], Tensor]


class Maps(nn.Module):
    """The fitted maps of an adapter: modules that map each vector on its own, or None for the identity.

    Each takes unit vectors (N, D) and gives (N, D'), which the suite scales to unit length. `query` and `new` of an
    adapter that needs BOTH_ENCODERS_ONLINE take two arguments, the new vectors and the old ones of the same images.
    """

    query: nn.Module | None
    """New query vectors, as `new` leaves them, before they search the old gallery (new → comparable with old).

    Without it the query keeps the gallery's number of dimensions, or is zero-padded to it.
    """
    gallery: nn.Module | None
    """Stored old vectors, rewritten in place (old → comparable with new)."""
    new: nn.Module | None
    """Every new vector, query and gallery alike, before anything else."""
    order: nn.Module | None
    """Which stored vectors to re-embed first: what `gallery` gives, (N, D'), to scores (N,), highest first.

    Without a `gallery` map it is given the old vectors.
    """

    def __init__(
        self,
        *,
        query: nn.Module | None = None,
        gallery: nn.Module | None = None,
        new: nn.Module | None = None,
        order: nn.Module | None = None,
    ) -> None:
        super().__init__()
        for name, module in (("query", query), ("gallery", gallery), ("new", new), ("order", order)):
            if module is not None and not isinstance(module, nn.Module):
                raise ContractError(
                    f"Maps({name}=…) is a {type(module).__name__}: give a torch.nn.Module, which can be saved"
                )
            self.register_module(name, module)


class Adapter(Method):
    """A method that fits maps on frozen embeddings of the independently trained old and new models."""

    quick: ClassVar[Mapping[str, Any]] = {}
    """Parameters of a quick fit, for `compare --effort quick`, in place of the published ones.

    `steps` in place of `epochs` bounds the steps of the optimiser. It reaches within a point of the published setting.
    """

    def build(self, dim: int, old_dim: int) -> Maps:
        """The maps before they are fitted, for new vectors of `dim` dimensions and old ones of `old_dim`.

        A saved adapter is loaded into what this returns: whatever is fitted is a parameter or a buffer.
        """
        raise NotImplementedError

    def fit(self, new: Tensor, old: Tensor, labels: Tensor) -> Maps:
        """`build(D_n, D_o)`, fitted on paired embeddings new (N, D_n), old (N, D_o) and labels (N,) of held-out images.

        Vectors have unit length; labels are 0 … C−1, and None where the pairs have none and the adapter does not
        need LABELS. Everything is on one device. Torch's global stream is seeded by the suite.
        """
        raise NotImplementedError
