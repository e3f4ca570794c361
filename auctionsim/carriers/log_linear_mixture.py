"""Next-token laws multiplied by weight: the logits after the untouched prompt and after brands' own are averaged."""

from typing import ClassVar

from auctionsim.brands import Brand
from auctionsim.carriers.companions import CompanionCarrier, fitted_mixture, stored_mixture
from auctionsim.carriers.registry import CarrierEntry, FittingInputs, register
from auctionsim.language_models.token_laws import LogLinearMixture
from auctionsim.storage import Stored


class LogLinearTokenMixture(CompanionCarrier):
    """Brands' next-token laws, mixed log-linearly: a token that one of them deems impossible stays so.

    A brand's weight may lower another's chance of being named below what it is under either law alone, and raise what
    no brand pays for: the mixture is not monotone.
    """

    name = "log-linear-mixture"
    mixture: ClassVar[type[LogLinearMixture]] = LogLinearMixture


def _fitted(inputs: FittingInputs) -> LogLinearTokenMixture:
    return fitted_mixture(LogLinearTokenMixture, inputs)


def _made(brands: tuple[Brand, ...], stored: Stored) -> LogLinearTokenMixture:
    return stored_mixture(LogLinearTokenMixture, brands, stored)


register(
    CarrierEntry(
        "log-linear-mixture",
        "token mixture, log-linear",
        "A brand's weight in the average of logits from which each next token is drawn.",
        'Duetting et al. (2024), "Mechanism design for large language models"',
        _fitted,
        _made,
    )
)
