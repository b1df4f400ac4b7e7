"""Landmarks: trained on the cleaned Google Landmarks v2, tested on ROxford5k.

Weyand et al., "Google Landmarks Dataset v2", CVPR 2020, cleaned by Yokoo et al., "Two-stage Discriminative
Re-ranking", CVPRW 2020; Radenović et al., "Revisiting Oxford and Paris", CVPR 2018, https://github.com/filipradenovic/revisitop.
"""

from compatbench.data.families._landmarks import Landmarks
from compatbench.data.family import Counts


class LandmarksOxford(Landmarks):
    """Google Landmarks v2 clean to ROxford5k: 11 buildings, and everything else."""

    name = "landmarks_roxford5k"
    description = "1,580,470 photographs of 81,313 landmarks; 70 queries in 4,993 of Oxford"
    test = "roxford5k"
    published = Counts(train=1_580_470, query=70, gallery=4_993, train_classes=81_313, classes=81_313 + 12)
