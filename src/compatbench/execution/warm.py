"""Imports for the fork server before the first cell, so that no cell has to import them."""

import scipy.stats  # noqa: F401
import timm  # noqa: F401
import torch  # noqa: F401
