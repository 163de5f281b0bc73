import json

import pytest

from nst_core.base.errors import StyleError
from nst_core.base.iterative_settings import PLAIN_SETTINGS
from nst_core.base.presets import PRESETS
from nst_core.base.recipes import RECORD_BASE, Recipe, as_data, from_data, layers_from


@pytest.mark.parametrize("name", PRESETS)
def test_recipe_survives_json(name):
    data = json.loads(json.dumps(as_data(PRESETS[name])))
    assert from_data(data, Recipe()) == PRESETS[name]
    assert from_data({}, PRESETS[name]) == PRESETS[name]


def test_record_without_a_later_setting_keeps_its_meaning():
    """A picture rendered before ``precondition`` and ``precision`` existed was rendered as if they were off."""
    data = as_data(Recipe(PLAIN_SETTINGS, "compact"))
    for later in ("coarsest", "smaller_iterations", "precondition", "precision"):
        del data[later]
    assert from_data(data, RECORD_BASE) == Recipe(PLAIN_SETTINGS, "compact")


def test_layers_with_weights():
    assert layers_from("relu1_1,relu2_1") == (("relu1_1", "relu2_1"), ())
    assert layers_from("relu1_1=0.5, conv2_2") == (("relu1_1", "conv2_2"), (0.5, 1.0))
    objective = from_data({"objective": {"style_layers": "relu3_1=2"}}, Recipe()).settings.objective
    assert objective.weights_by_layer == {"relu3_1": 2.0}
    data = {"objective": {"content_layers": ["relu3_1", "relu4_1"], "content_layer_weights": [1, 3]}}
    objective = from_data(data, Recipe()).settings.objective
    assert objective.content_weights_by_layer == {"relu3_1": 1.0, "relu4_1": 3.0}


def test_named_layers_bring_their_own_weights_and_are_not_replaced():
    data = {"objective": {"style_layers": "relu1_2,relu2_2"}}
    objective = from_data(data, PRESETS["fastai"]).settings.objective
    assert objective.style_layer_weights == () and "relu2_2" not in objective.nearby_layers
    assert "relu4_2" in objective.nearby_layers


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"sise": 256}, "no setting 'sise'; choose from features, pooling, objective, size"),
        ({"objective": {"weight": 1}}, "no setting 'weight'"),
        ({"objective": 3}, "not a table of names and values"),
        ({"size": 256.5}, "make it a whole number"),
        ({"size": True}, "make it a whole number"),
        ({"size": 3}, "give 64 to 8192"),
        ({"average": float("nan")}, "give 0 to 0.9999"),
        ({"optimizer": "newton"}, "auto, lbfgs, adam, sgd"),
        ({"start": "photo"}, "content, noise, style"),
        ({"pooling": "min"}, "max, average"),
        ({"first_iterations": 9}, "only one size"),
        ({"objective": {"style_layers": "relu1_1=x"}}, "not a number"),
        ({"objective": {"style_layers": "relu1_1,relu1_1=2"}}, "named twice"),
        ({"objective": {"style_layers": 3}}, "make it a list"),
        ({"objective": {"style_layer_weights": [1.0, 2.0]}}, "5 style layers and 2 weights"),
        ({"objective": {"content_layers": "relu4_1=-1"}}, "negative"),
        ({"objective": {"content_layers": "relu4_1=0"}}, "All content layers weigh 0"),
        ({"objective": {"content_weight": 0, "style_weight": 0}}, "nothing to paint"),
        ({"objective": {"style_loss": "w2", "centred": False}}, "always centred"),
    ],
)
def test_error_is_one_sentence_that_names_the_source(data, reason):
    with pytest.raises(StyleError, match=reason) as error:
        from_data(data, RECORD_BASE, "my.toml: ")
    assert str(error.value).startswith("my.toml: ") and "\n" not in str(error.value)
