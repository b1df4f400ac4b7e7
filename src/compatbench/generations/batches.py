"""The encoders' inputs of each training batch: augmented images, or drawn views of their trunks' features."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from compatbench.data.image_files import ImageFiles, Images, read_batches
from compatbench.data.normalization import Normalization
from compatbench.encoders import Encoder
from compatbench.errors import ContractError
from compatbench.generations.augmentation import augment
from compatbench.generations.features import EncoderInputs, Features
from compatbench.machine import processes
from compatbench.machine.seeds import stream
from compatbench.suite.encoder_spec import BackboneSpec
from compatbench.suite.recipe import Augmentation

ViewsOf = Callable[[BackboneSpec], Sequence[Features]]
"""The V views of a generation's training images by a trunk, each (N, F)."""


@dataclass(frozen=True)
class TrainingSet:
    """The images of one generation, in memory on the device or in files, or their features by a frozen trunk."""

    images: EncoderInputs
    """uint8 (N, C, H, W), or the features (N, F) that the new encoder's trunk gives without augmentation."""
    labels: Tensor
    """(N,) rows of the head."""
    views: ViewsOf | None = None
    """Of frozen trunks."""

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class ViewPair:
    """A batch as the new encoder takes it, once or twice."""

    first: Tensor
    """(B, …)."""
    second: Tensor | None
    """Another view of the same items, for methods that need TWO_VIEWS."""

    def own(self, encoder: Encoder, images: Tensor) -> Tensor:
        """The input of `encoder` for the items and the view of `images`, the new encoder's input."""
        return images


class Pixels:
    """Batches of augmented, normalised images."""

    def __init__(
        self, images: Images, normalize: Normalization, augmentation: Augmentation, seed: int, generation: int
    ) -> None:
        self._images = images
        self._normalize = normalize
        self._augmentation = augmentation
        self._streams = [
            stream(seed, name, generation, device=images.device) for name in ("augmentation", "second view")
        ]

    def batches(self, indices: Sequence[Tensor], *, two_views: bool) -> Iterator[ViewPair]:
        """The images at each of `indices` in turn."""
        for raw in _whole_batches(self._images, indices):
            views = [self._view(raw, generator) for generator in self._streams[: 1 + two_views]]
            yield ViewPair(views[0], views[1] if two_views else None)

    def _view(self, raw: Tensor, generator: torch.Generator) -> Tensor:
        return channels_last(self._normalize(augment(raw, self._augmentation, generator)))


class FeatureViews:
    """Batches of features: each item in one of its V views, drawn again every time."""

    def __init__(self, views: ViewsOf, encoder: Encoder, seed: int, generation: int) -> None:
        self._views = views
        self._trunk = encoder.spec.trunk
        self._streams = [stream(seed, name, generation) for name in ("augmentation", "second view")]

    def batches(self, indices: Sequence[Tensor], *, two_views: bool) -> Iterator[ViewPair]:
        """The features of the items at each of `indices` in turn; a second view is another one if V > 1."""
        count = len(self._views(self._trunk))
        for index in indices:
            first = torch.randint(count, (len(index),), generator=self._streams[0])
            drawn = [first]
            if two_views:
                step = torch.randint(max(1, count - 1), (len(index),), generator=self._streams[1])
                drawn.append((first + 1 + step) % count)
            yield FeaturePair.of(self._views, self._trunk, index, drawn)


@dataclass(frozen=True)
class FeaturePair(ViewPair):
    """Features of a batch by the new encoder's trunk, and of the same items and views by others."""

    views: ViewsOf
    trunk: BackboneSpec
    index: Tensor
    drawn: Sequence[Tensor]

    @classmethod
    def of(cls, views: ViewsOf, trunk: BackboneSpec, index: Tensor, drawn: Sequence[Tensor]) -> FeaturePair:
        """Items `index` (B,), once or twice, each in its view of `drawn` (B,)."""
        read = [_read(views(trunk), index, view) for view in drawn]
        return cls(read[0], read[1] if len(read) > 1 else None, views, trunk, index, drawn)

    def own(self, encoder: Encoder, images: Tensor) -> Tensor:
        """The features of `encoder`'s own trunk for the items and the view of `images`."""
        if encoder.spec.trunk == self.trunk:
            return images
        for view, given in zip(self.drawn, (self.first, self.second), strict=False):
            if images is given:
                return _read(self.views(encoder.spec.trunk), self.index, view)
        raise ContractError(
            "the old model's trunk is not the new one's, so it embeds batch.images and batch.second_view as they are, "
            "and nothing that is computed from them"
        )


def training_batches(
    data: TrainingSet,
    encoder: Encoder,
    normalize: Normalization,
    augmentation: Augmentation,
    seed: int,
    generation: int,
) -> Pixels | FeatureViews:
    """The training batches of `encoder`."""
    if isinstance(data.images, Features):
        assert data.views is not None
        return FeatureViews(data.views, encoder, seed, generation)
    return Pixels(data.images, normalize, augmentation, seed, generation)


def channels_last(images: Tensor) -> Tensor:
    """The memory format for faster convolutions on CPU and on GPU."""
    return images.contiguous(memory_format=torch.channels_last)


def _read(views: Sequence[Features], index: Tensor, drawn: Tensor) -> Tensor:
    """The features (B, F) of items `index` (B,), each in its view of `drawn` (B,)."""
    if len(views) == 1:
        return views[0].read(index)
    chosen = [(drawn == number).nonzero().squeeze(1) for number in range(len(views))]
    parts = torch.cat([features.stored(index[one]) for features, one in zip(views, chosen, strict=True)])
    return parts[torch.cat(chosen).argsort().to(parts.device, non_blocking=True)].float()


def _whole_batches(images: Images, indices: Sequence[Tensor]) -> Iterator[Tensor]:
    """The images (B, C, S, S) uint8 at each of `indices`; those in files are decoded in shares."""
    if not isinstance(images, ImageFiles):
        yield from read_batches(images, indices)
        return
    own = read_batches(images, [index[processes.share(len(index))] for index in indices])
    for index, part in zip(indices, own, strict=True):
        yield processes.gather(part, len(index))
