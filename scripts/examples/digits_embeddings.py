"""Two unlike feature extractors on scikit-learn's digits, for docs/compare.md.

    python scripts/examples/digits_embeddings.py FOLDER

The first 600 images are there to make the extractors; the other 1,197 are embedded. Old: 12 principal components.
New: 512 random ReLU features of the pixels, and ridge regression of the ten classes on them (10 dimensions). Both are
the same on every processor: the regression has one solution, and the components lie apart and have their signs from
scikit-learn. Writes digits_old.npy, digits_new.npy and digits_labels.npy.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
pixels, labels = load_digits(return_X_y=True)
pixels = pixels / 16
made_on, embedded = slice(0, 600), slice(600, None)

generator = np.random.default_rng(0)
weights, bias = generator.normal(size=(64, 512)) / 8, generator.uniform(-1, 1, 512)
features = np.maximum(pixels @ weights + bias, 0)

old = PCA(12, svd_solver="full").fit(pixels[made_on]).transform(pixels[embedded])
new = Ridge(alpha=1).fit(features[made_on], np.eye(10)[labels[made_on]]).predict(features[embedded])
for name, vectors in (("old", old), ("new", new)):
    np.save(folder / f"digits_{name}.npy", vectors.astype(np.float32))
np.save(folder / "digits_labels.npy", labels[embedded])
