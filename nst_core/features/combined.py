"""Several feature networks as one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import cast

from torch import Tensor, nn

from nst_core.features.layers import Layer
from nst_core.features.network import FeatureNetwork, ReLU


class CombinedNetwork(FeatureNetwork):
    """Several networks as one: each layer comes from the first of them that has it.

    The first layers of VGG-19 and a slim network for the deeper ones together give the five layers of a style, each as
    accurate as possible. A slim network's features stay in float32 here: rounded to bfloat16, they caused more than
    half of the gradient's noise in a nearly finished picture.
    """

    def __init__(self, networks: Sequence[FeatureNetwork]) -> None:
        super().__init__()
        self.name = "+".join(network.name for network in networks)
        self.networks = nn.ModuleList(networks)
        # Sorted here, since torch.compile cannot follow the parsing of names.
        self._layers = sorted({layer for network in networks for layer in network.layers}, key=Layer.parse)
        for network in networks[1:]:
            network.exact = network.distilled

    @property
    def layers(self) -> list[str]:
        """Every layer that one of the networks has, in order."""
        return self._layers

    @property
    def distilled(self) -> bool:
        """Whether the first network is distilled.

        The first network has the layers that see fine patterns. If these are its own, not predicted ones, they prevent
        the patterns that only the other networks see.
        """
        return self.parts[0].distilled

    @property
    def parts(self) -> list[FeatureNetwork]:
        """The networks, in the order in which a layer is looked up."""
        return [cast(FeatureNetwork, network) for network in self.networks]

    def bytes_per_pixel(self, layers: Iterable[str]) -> int:
        """Return the sum over the networks, as ``FeatureNetwork.bytes_per_pixel``."""
        return sum(network.bytes_per_pixel(share) for network, share in self._shares(layers))

    def forward(self, image: Tensor, layers: Iterable[str], relu: ReLU | None = None) -> dict[str, Tensor]:
        """Compute each network's share of ``layers``, as ``FeatureNetwork.forward``."""
        features: dict[str, Tensor] = {}
        for network, share in self._shares(layers):
            features |= network(image, share, relu)
        return features

    def condensed(self, bare: Collection[str] = ()) -> tuple[CombinedNetwork, dict[str, Tensor]]:
        """Return the networks condensed one by one, as ``FeatureNetwork.condensed``."""
        shares = {id(network): share for network, share in self._shares(bare)}
        condensed = [network.condensed(shares.get(id(network), [])) for network in self.parts]
        matrices = {layer: matrix for _, part in condensed for layer, matrix in part.items()}
        return CombinedNetwork([network for network, _ in condensed]), matrices

    def _shares(self, layers: Iterable[str]) -> list[tuple[FeatureNetwork, list[str]]]:
        """Return the networks that are needed, each with its layers. Raises StyleError for a layer that none has."""
        self.check(requested := list(layers))
        source = {layer: network for network in reversed(self.parts) for layer in network.layers}
        shares = [(n, [layer for layer in requested if source[layer] is n]) for n in self.parts]
        return [(network, share) for network, share in shares if share]
