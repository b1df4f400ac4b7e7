"""CIFAR-100: 60,000 colour images of 32x32 pixels in 100 classes.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from compatbench.data.families._cifar import BinaryVersion, Cifar
from compatbench.data.family import Counts


class Cifar100(Cifar):
    """The 100 fine labels; the first byte of a record is the coarse label of 20, ignored here."""

    name = "cifar100"
    description = "60,000 colour images, 32x32, 100 classes"
    published = Counts(train=50_000, query=10_000, train_classes=100, classes=100)
    version = BinaryVersion(
        archive="cifar-100-binary.tar.gz",
        sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        folder="cifar-100-binary",
        train=("train.bin",),
        test="test.bin",
        classes="fine_label_names.txt",
        pickled="cifar-100-python",
        label_bytes=2,
    )
