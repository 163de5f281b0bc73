"""The studies by name, with what the command line needs to know before it runs one. Never imports PyTorch."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nst_core.base.iterative_settings import PLAIN_SETTINGS, IterativeSettings
from nst_core.base.objective_settings import GATYS_STYLE_LAYERS, ObjectiveSettings

# L-BFGS gets furthest in these few iterations.
_BASE = replace(PLAIN_SETTINGS, size=256, optimizer="lbfgs", iterations=100)
# A loss that smooths the picture would hide what a layer keeps.
_WITHOUT_TV = ObjectiveSettings(tv_weight=0.0)


@dataclass(frozen=True)
class StudyKind:
    """A kind of study.

    Attributes:
        text: what it shows, in one phrase.
        two_pictures: whether it takes a style picture in addition to the photo.
        defaults: the settings of its renders.
    """

    text: str
    two_pictures: bool = True
    defaults: IterativeSettings = _BASE


KINDS = {
    "content-reconstruction": StudyKind(
        "what each content layer keeps of PICTURE, painted from noise",
        False,
        replace(_BASE, objective=replace(_WITHOUT_TV, content_layers=GATYS_STYLE_LAYERS)),
    ),
    "style-reconstruction": StudyKind(
        "the texture that each style layer, and all up to it, keep of PICTURE, painted from noise",
        False,
        replace(_BASE, objective=_WITHOUT_TV),
    ),
    "feature-maps": StudyKind("how channels of each layer respond to both pictures"),
    "optimizers": StudyKind("gradient descent, Adam with step decay and L-BFGS after equal iterations"),
    "weights": StudyKind("content weights against style layers"),
    "losses": StudyKind("a render step by step, with the loss of each style layer"),
    "pooling": StudyKind("maximum against average pooling"),
    "starts": StudyKind("a render started from noise, from the photo and from the style picture"),
}
