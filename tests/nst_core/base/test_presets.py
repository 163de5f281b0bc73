"""The values of the presets, which must not change unnoticed."""

from dataclasses import asdict, replace

import pytest

from nst_core.base.iterative_settings import IterativeSettings
from nst_core.base.presets import PRESETS
from nst_core.base.recipes import Recipe, as_data

DEFAULT = {
    "features": "auto",
    "pooling": "max",
    "objective": {
        "content_layers": ("relu4_1",),
        "content_layer_weights": (),
        "style_layers": ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
        "style_layer_weights": (),
        "style_loss": "gram",
        "centred": True,
        "nearby_layers": (),
        "content_weight": 0.3,
        "style_weight": 1.0,
        "tv_weight": 0.3,
        "tv_exponent": 1.0,
    },
    "size": 512,
    "coarsest": 128,
    "style_scale": 1.0,
    "start": "content",
    "noise": 1.0,
    "optimizer": "auto",
    "iterations": 300,
    "smaller_iterations": 15,
    "first_iterations": 0,
    "learning_rate": 0.01,
    "precondition": 1.0,
    "schedule": "linear",
    "average": 0.0,
    "shift": 16,
    "seed": 0,
    "precision": "auto",
}
# How each preset differs from DEFAULT, and its objective from DEFAULT's.
PLAIN = {"coarsest": 0, "smaller_iterations": 0, "precondition": 0.0, "precision": "float32"}
FROM_NOISE = PLAIN | {"optimizer": "lbfgs", "start": "noise"}
OLD_ADAM = PLAIN | {"optimizer": "adam", "shift": 0}
RELU4_2 = {"content_layers": ("relu4_2",), "nearby_layers": ("relu4_2",)}
OLD_GRAM = RELU4_2 | {"style_layer_weights": (0.2,) * 5, "centred": False, "tv_weight": 0.0}
FASTAI_LAYERS = ("relu1_2", "relu2_2", "relu3_2", "relu4_2", "relu5_2")
VGG16_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
DIFFERENCES = {
    "default": ({}, {}),
    "fast-preview": ({"size": 256, "optimizer": "lbfgs", "iterations": 45, "smaller_iterations": 8}, {}),
    "gatys-2015": (FROM_NOISE | {"pooling": "average", "iterations": 500}, OLD_GRAM),
    "gatys-2017": (
        PLAIN | {"optimizer": "lbfgs", "iterations": 500},
        RELU4_2 | {"centred": False, "tv_weight": 0.0},
    ),
    "neural-style": (FROM_NOISE | {"iterations": 1000}, OLD_GRAM | {"tv_weight": 1.0, "tv_exponent": 2.0}),
    "crowson": (
        OLD_ADAM
        | {
            "coarsest": 128,
            "iterations": 500,
            "first_iterations": 1000,
            "learning_rate": 0.02,
            "schedule": "constant",
            "average": 0.99,
        },
        RELU4_2 | {"style_loss": "w2", "tv_weight": 2.0, "tv_exponent": 2.0},
    ),
    "fastai": (
        FROM_NOISE | {"features": "vgg16", "pooling": "average", "iterations": 200},
        OLD_GRAM | {"style_layers": FASTAI_LAYERS, "nearby_layers": ("relu4_2", *FASTAI_LAYERS)},
    ),
    "columbia": (FROM_NOISE | {"iterations": 200}, OLD_GRAM),
    "keras": (
        FROM_NOISE | {"iterations": 200},
        OLD_GRAM
        | {
            "content_layers": ("relu5_2",),
            "nearby_layers": ("relu5_2",),
            "content_weight": 1.0,
            "tv_weight": 10.0,
            "tv_exponent": 2.5,
        },
    ),
    "pytorch-vgg16": (
        OLD_ADAM
        | {
            "features": "vgg16",
            "pooling": "average",
            "iterations": 500,
            "learning_rate": 0.00392156862745098,
            "schedule": "step",
        },
        OLD_GRAM
        | {
            "content_layers": ("relu4_3",),
            "style_layers": VGG16_LAYERS,
            "style_layer_weights": (0.25,) * 4,
            "nearby_layers": ("relu4_3", *VGG16_LAYERS),
        },
    ),
    "owl": (
        OLD_ADAM
        | {"start": "noise", "noise": 0.0035, "iterations": 250, "learning_rate": 0.02, "schedule": "constant"},
        OLD_GRAM,
    ),
}


def test_every_preset_is_in_the_table():
    assert list(PRESETS) == list(DIFFERENCES)


@pytest.mark.parametrize("name", DIFFERENCES)
def test_preset_has_exactly_these_values(name):
    changes, objective = DIFFERENCES[name]
    assert as_data(PRESETS[name]) == DEFAULT | changes | {"objective": DEFAULT["objective"] | objective}


def test_defaults_of_the_dataclasses_are_the_preset_default():
    assert PRESETS["default"] == Recipe()
    assert asdict(IterativeSettings()) == {k: v for k, v in DEFAULT.items() if k not in ("features", "pooling")}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_paints(name, slim_weights):
    torch = pytest.importorskip("torch")
    from nst_core.features.catalogue import load_features
    from nst_core.iterative.render import render
    from nst_core.losses.objective import fitted

    recipe = PRESETS[name]
    network = load_features(str(slim_weights), recipe.pooling)
    objective, _ = fitted(recipe.settings.objective, network)
    few = {n: min(getattr(recipe.settings, n), 2) for n in ("iterations", "smaller_iterations", "first_iterations")}
    settings = replace(
        recipe.settings,
        objective=objective,
        size=64,
        coarsest=min(recipe.settings.coarsest, 40),
        **few,
    )
    generator = torch.Generator().manual_seed(0)
    photo, style = torch.rand(1, 3, 48, 64, generator=generator), torch.rand(1, 3, 40, 40, generator=generator)
    done = render(photo, style, network, settings, lambda p: True)
    assert done.image.isfinite().all() and not torch.equal(done.image, photo) and not done.note
