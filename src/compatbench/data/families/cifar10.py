"""CIFAR-10: 60,000 colour images of 32x32 pixels in 10 classes.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from compatbench.data.families._cifar import BinaryVersion, Cifar
from compatbench.data.family import Counts


class Cifar10(Cifar):
    """Labels 0 … 9 as published."""

    name = "cifar10"
    description = "60,000 colour images, 32x32, 10 classes"
    published = Counts(train=50_000, query=10_000, train_classes=10, classes=10)
    version = BinaryVersion(
        archive="cifar-10-binary.tar.gz",
        sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        folder="cifar-10-batches-bin",
        train=tuple(f"data_batch_{part}.bin" for part in range(1, 6)),
        test="test_batch.bin",
        classes="batches.meta.txt",
        pickled="cifar-10-batches-py",
        label_bytes=1,
    )
