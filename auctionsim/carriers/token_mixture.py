"""Next-token laws mixed by weight: each token comes from the untouched prompt's law or from a brand's."""

from typing import ClassVar

from auctionsim.brands import Brand
from auctionsim.carriers.companions import CompanionCarrier, fitted_mixture, stored_mixture
from auctionsim.carriers.registry import CarrierEntry, FittingInputs, register
from auctionsim.language_models.token_laws import LinearMixture
from auctionsim.storage import Stored


class TokenMixture(CompanionCarrier):
    """Brands' next-token laws, mixed linearly: a token is drawn from brand i's with probability weight_i."""

    name = "token-mixture"
    mixture: ClassVar[type[LinearMixture]] = LinearMixture


def _fitted(inputs: FittingInputs) -> TokenMixture:
    return fitted_mixture(TokenMixture, inputs)


def _made(brands: tuple[Brand, ...], stored: Stored) -> TokenMixture:
    return stored_mixture(TokenMixture, brands, stored)


register(
    CarrierEntry(
        "token-mixture",
        "token mixture, linear",
        "The probability with which each next token is drawn from a brand's own law.",
        'Duetting et al. (2024), "Mechanism design for large language models"',
        _fitted,
        _made,
    )
)
