"""A click model: how often a brand that a reply names is clicked, which falls with the share of replies with ads."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from auctionsim.checks import checked_number
from auctionsim.errors import InputError


@dataclass(frozen=True)
class ClickModel:
    """Clicks per exposure: rate · exp(−blindness · ad share) · examination.

    The more of the replies carry ads, the less a user looks at any one of them; and a user who does not look at a
    place does not click there (the examination hypothesis). Clicks are the mean number, nothing is drawn.

    Attributes:
        rate: Clicks per exposure that is looked at where ads are rare, in [0, 1]. An exposure is a unit of what the
            placement sells: one mention, or the probability of one.
        blindness: How fast the rate falls with the share of replies with ads, ≥ 0; at 1, from none to all by 1/e.
    Source:
        Richardson, Dominowska and Ragno (2007), "Predicting clicks: estimating the click-through rate for new ads",
        for examination; the fall with the share of ads is an assumption of one's own.
    Example:
        >>> round(float(ClickModel(rate=0.1, blindness=1.0).clicks(20.0, ad_share=0.5)), 4)
        1.2131
    """

    rate: float
    blindness: float = 0.0

    def __post_init__(self) -> None:
        checked_number(self.rate, "the click rate", 0.0, 1.0)
        checked_number(self.blindness, "blindness", 0.0, 1e12)

    def probability(
        self, ad_share: float | Float[np.ndarray, "..."], examination: float | Float[np.ndarray, "..."] = 1.0
    ) -> Float[np.ndarray, "..."]:
        """Return clicks per exposure, in [0, 1].

        Args:
            ad_share: Share of replies in which anything is sold, in [0, 1].
            examination: Probability that a place of the reply is looked at, in [0, 1].
        Raises:
            ValueError: One outside [0, 1].
        """
        for what, share in (("ad_share", np.asarray(ad_share)), ("examination", np.asarray(examination))):
            if not ((share >= 0) & (share <= 1 + 1e-9)).all():
                raise InputError(f"{what} must lie in [0, 1], got {share}")
        return np.asarray(self.rate * np.exp(-self.blindness * np.asarray(ad_share)) * np.asarray(examination))

    def clicks(
        self,
        exposure: float | Float[np.ndarray, "..."],
        ad_share: float | Float[np.ndarray, "..."],
        examination: float | Float[np.ndarray, "..."] = 1.0,
    ) -> Float[np.ndarray, "..."]:
        """Return the mean number of clicks on so much exposure."""
        return np.asarray(np.asarray(exposure) * self.probability(ad_share, examination))
