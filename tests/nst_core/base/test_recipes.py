import json
from dataclasses import replace

import pytest

from nst_core.base.errors import StyleError
from nst_core.base.recipes import PRESETS, Recipe, as_data, from_data, layers_from
from nst_core.base.settings import IterativeSettings, ObjectiveSettings


@pytest.mark.parametrize("name", PRESETS)
def test_a_recipe_survives_json(name):
    data = json.loads(json.dumps(as_data(PRESETS[name])))
    assert from_data(data) == PRESETS[name]
    assert from_data({}, PRESETS[name]) == PRESETS[name]


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


def test_layers_with_weights():
    assert layers_from("relu1_1,relu2_1") == (("relu1_1", "relu2_1"), ())
    assert layers_from("relu1_1=0.5, conv2_2") == (("relu1_1", "conv2_2"), (0.5, 1.0))
    found = from_data({"objective": {"style_layers": "relu3_1=2"}}).settings.objective
    assert found.weights_by_layer == {"relu3_1": 2.0}
    listed = from_data({"objective": {"content_layers": ["relu3_1", "relu4_1"], "content_layer_weights": [1, 3]}})
    assert listed.settings.objective.content_weights_by_layer == {"relu3_1": 1.0, "relu4_1": 3.0}


def test_layers_that_are_named_come_with_their_own_weights_and_no_stand_in():
    base = PRESETS["fastai"]
    found = from_data({"objective": {"style_layers": "relu1_2,relu2_2"}}, base).settings.objective
    assert found.style_layer_weights == () and "relu2_2" not in found.nearby_layers
    assert "relu4_2" in found.nearby_layers


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"sise": 256}, "no setting 'sise'; choose from features, pooling, objective, size"),
        ({"objective": {"weight": 1}}, "no setting 'weight'"),
        ({"objective": 3}, "make it a table"),
        ({"size": 256.5}, "make it a whole number"),
        ({"size": True}, "make it a whole number"),
        ({"size": 3}, "give 64 to 8192"),
        ({"average": float("nan")}, "give 0 to 0.9999"),
        ({"optimizer": "newton"}, "auto, lbfgs, adam, sgd"),
        ({"start": "photo"}, "content, noise, style"),
        ({"pooling": "min"}, "max, average"),
        ({"first_iterations": 9}, "one size only"),
        ({"objective": {"style_layers": "relu1_1=x"}}, "no number"),
        ({"objective": {"style_layers": "relu1_1,relu1_1=2"}}, "named twice"),
        ({"objective": {"style_layers": 3}}, "make it a list"),
        ({"objective": {"style_layer_weights": [1.0, 2.0]}}, "5 style layers and 2 weights"),
        ({"objective": {"content_layers": "relu4_1=-1"}}, "negative"),
        ({"objective": {"content_layers": "relu4_1=0"}}, "All content layers weigh 0"),
        ({"objective": {"content_weight": 0, "style_weight": 0}}, "nothing to paint"),
        ({"objective": {"style_loss": "w2", "centred": False}}, "always centred"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_its_source(data, reason):
    with pytest.raises(StyleError, match=reason) as error:
        from_data(data, source="my.toml: ")
    assert str(error.value).startswith("my.toml: ") and "\n" not in str(error.value)


def test_settings_that_contradict_cannot_be_made():
    with pytest.raises(StyleError, match="always centred"):
        Recipe(IterativeSettings(ObjectiveSettings(style_loss="w2", centred=False)))


def test_learning_rates():
    rates = {
        name: [IterativeSettings(schedule=name, learning_rate=1.0).learning_rate_at(i, 6) for i in range(6)]
        for name in ("linear", "constant", "step")
    }
    assert rates["linear"] == pytest.approx([1, 5 / 6, 2 / 3, 1 / 2, 1 / 3, 1 / 6]) and rates["constant"] == [1] * 6
    assert rates["step"] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
