"""Recipes by name: the default, a fast preview, and the settings of other systems.

Layers, pooling, optimiser, start and number of iterations are those of the other system, as far as our settings can
express them. Weights do not carry over, because our losses are relative to the size of their targets and theirs are
not. Unless a comment says otherwise, the style layers share a weight of 1, as theirs do, and the content weight of 0.3
is ours. Where a feature network lacks a layer, the first layer of the same block replaces it; this substitution is ours
too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nst_core.base.iterative_settings import PLAIN_SETTINGS, IterativeSettings
from nst_core.base.objective_settings import GATYS_STYLE_LAYERS, ObjectiveSettings
from nst_core.base.recipes import Recipe


def _plain_gram(content: str, style: Sequence[str], **others: Any) -> ObjectiveSettings:
    """Return the objective of the systems before 2018: plain (not centred) Gram matrices, equally weighted."""
    nearby = tuple(layer for layer in (content, *style) if not layer.endswith("_1"))
    weights = {"content_weight": 0.3, "tv_weight": 0.0} | others
    return ObjectiveSettings(
        content_layers=(content,),
        style_layers=tuple(style),
        style_layer_weights=(1 / len(style),) * len(style),
        centred=False,
        nearby_layers=nearby,
        **weights,
    )


PRESETS = {
    "default": Recipe(),
    # Ours, for a first look: a quarter of the default's pixels, few steps, and L-BFGS, whose first steps are its best.
    "fast-preview": Recipe(
        IterativeSettings(size=256, optimizer="lbfgs", iterations=45, smaller_iterations=8),
    ),
    # Gatys et al. 2015, arXiv 1508.06576: average pooling, white noise, a fifth for each style layer. Theirs: a content
    # weight of 1e-3 or 1e-4 of the style's. The paper does not give the number of steps; their notebook has 500.
    "gatys-2015": Recipe(
        replace(
            PLAIN_SETTINGS,
            objective=_plain_gram("relu4_2", GATYS_STYLE_LAYERS),
            optimizer="lbfgs",
            start="noise",
            iterations=500,
        ),
        pooling="average",
    ),
    # The layers, the plain Gram matrices and the 500 steps from the photo in the authors' own notebook
    # (leongatys/NeuralImageSynthesis, BasicStyleTransfer.ipynb). Theirs: content 1, style 1000/C^2 by layer.
    "gatys-2017": Recipe(
        replace(
            PLAIN_SETTINGS,
            objective=ObjectiveSettings(
                content_layers=("relu4_2",),
                centred=False,
                nearby_layers=("relu4_2",),
                content_weight=0.3,
                tv_weight=0.0,
            ),
            optimizer="lbfgs",
            iterations=500,
        )
    ),
    # jcjohnson/neural-style, neural_style.lua: 1000 steps of L-BFGS. Theirs: content 5, style 100, TV 1e-3 of squares.
    "neural-style": Recipe(
        replace(
            PLAIN_SETTINGS,
            objective=_plain_gram("relu4_2", GATYS_STYLE_LAYERS, tv_weight=1.0, tv_exponent=2.0),
            optimizer="lbfgs",
            start="noise",
            iterations=1000,
        )
    ),
    # crowsonkb/style-transfer-pytorch, style_transfer.py: Wasserstein-2, style layers 256:64:16:4:1, squared TV, Adam
    # at 0.02 with an average of 0.99, 128 to 512 by the square root of 2, 1000 steps and then 500. Theirs: content
    # 0.015, style 1, TV 2. Their style losses are not relative, which is why their ratio is so steep; here each layer
    # weighs the same.
    "crowson": Recipe(
        replace(
            PLAIN_SETTINGS,
            objective=ObjectiveSettings(
                content_layers=("relu4_2",), style_loss="w2", nearby_layers=("relu4_2",), tv_weight=2.0, tv_exponent=2.0
            ),
            coarsest=128,
            optimizer="adam",
            iterations=500,
            first_iterations=1000,
            learning_rate=0.02,
            schedule="constant",
            average=0.99,
            shift=0,
        )
    ),
    # The fast.ai course's notebook: VGG-16 without its top, average pooling, random pixels, ten rounds of L-BFGS. We
    # count a round as 20 steps.
    "fastai": Recipe(
        replace(
            PLAIN_SETTINGS,
            objective=_plain_gram("relu4_2", [f"relu{block}_2" for block in range(1, 6)]),
            optimizer="lbfgs",
            start="noise",
            iterations=200,
        ),
        features="vgg16",
        pooling="average",
    ),
    # A report from Columbia, in Theano: max pooling, white noise, L-BFGS as the best of their three optimisers. Theirs:
    # content 0.2, style 1e-6 to 1e-5. The 200 steps are ours.
    "columbia": Recipe(
        replace(
            PLAIN_SETTINGS,
            objective=_plain_gram("relu4_2", GATYS_STYLE_LAYERS),
            optimizer="lbfgs",
            start="noise",
            iterations=200,
        )
    ),
    # Keras's example: content from the fifth block, total variation to the power of 2 x 1.25: theirs is of the
    # gradient's length, ours of the difference in each direction. Theirs: content 100, style 1 each. The TV weight of
    # 10 and the 200 steps are ours.
    "keras": Recipe(
        replace(
            PLAIN_SETTINGS,
            objective=_plain_gram("relu5_2", GATYS_STYLE_LAYERS, content_weight=1.0, tv_weight=10.0, tv_exponent=2.5),
            optimizer="lbfgs",
            start="noise",
            iterations=200,
        )
    ),
    # A blog post in PyTorch: VGG-16 with average pooling, a quarter for each style layer, Adam with a learning rate of
    # 1 (in the 0..255 range) that falls in steps. Theirs: a content weight of 1e-3 to 1e-4 of the style's. The 500
    # steps are ours.
    "pytorch-vgg16": Recipe(
        replace(
            PLAIN_SETTINGS,
            objective=_plain_gram("relu4_3", ("relu1_2", "relu2_2", "relu3_3", "relu4_3")),
            optimizer="adam",
            iterations=500,
            learning_rate=1 / 255,
            schedule="step",
            shift=0,
        ),
        features="vgg16",
        pooling="average",
    ),
    # A book chapter in OCaml: 250 steps of Adam from Gaussian noise x 0.256 in the 0..255 range, which as the contrast
    # of uniform noise is 0.256 / 255 x the square root of 12. Theirs: style 20, and the noise around the mean colour.
    # The learning rate is ours.
    "owl": Recipe(
        replace(
            PLAIN_SETTINGS,
            objective=_plain_gram("relu4_2", GATYS_STYLE_LAYERS),
            optimizer="adam",
            start="noise",
            noise=0.0035,
            iterations=250,
            learning_rate=0.02,
            schedule="constant",
            shift=0,
        )
    ),
}
