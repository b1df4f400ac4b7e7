"""Imports for the fork server before the first cell; cells then import nothing."""

import scipy.stats  # noqa: F401
import timm  # noqa: F401
import torch  # noqa: F401
