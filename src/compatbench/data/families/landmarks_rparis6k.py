"""Landmarks: trained on the cleaned Google Landmarks v2, tested on RParis6k.

Weyand et al., "Google Landmarks Dataset v2", CVPR 2020, cleaned by Yokoo et al., "Two-stage Discriminative
Re-ranking", CVPRW 2020; Radenović et al., "Revisiting Oxford and Paris", CVPR 2018, https://github.com/filipradenovic/revisitop.
"""

from compatbench.data.families._landmarks import Landmarks
from compatbench.data.family import Counts


class LandmarksParis(Landmarks):
    """Google Landmarks v2 clean to RParis6k: 12 buildings, and everything else."""

    name = "landmarks_rparis6k"
    description = "1,580,470 photographs of 81,313 landmarks; 70 queries in 6,322 of Paris"
    test = "rparis6k"
    published = Counts(train=1_580_470, query=70, gallery=6_322, train_classes=81_313, classes=81_313 + 13)
