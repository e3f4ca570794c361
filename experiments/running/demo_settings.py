"""What the demo does: every setting of it, with the defaults that `auctionsim demo` takes."""

from dataclasses import dataclass, field
from pathlib import Path

from auctionsim.brands import Brand
from auctionsim.measurement import MeasurementSettings
from auctionsim.substrates import Offer
from auctionsim.substrates.quantities import DEFAULT_LOSS


@dataclass(frozen=True)
class PackagedDemoSettings:
    """Settings of the demo on a packaged measurement: one auction told, and mechanisms compared.

    Attributes:
        surface: Name of the packaged measurement.
        folder: The run folder.
        seed: Of everything that is drawn.
        sold_feature: The exposure that the auction sells.
        loss: The user loss that is charged and reported.
        user_weight: λ, money per unit of the user loss.
        quick: Whether learned mechanisms are trained by the quick recipe.
    """

    surface: str
    folder: Path
    seed: int = 0
    sold_feature: str = "slot_probability"
    loss: str = "quality"
    user_weight: float = 1.0
    quick: bool = True


@dataclass(frozen=True)
class DemoSettings:
    """What the demo does.

    Attributes:
        category: What the brands sell; fills the prompt templates.
        brands: Rival bidders.
        folder: The run folder: everything is kept there, and a stopped run goes on from it.
        prompts_file: JSON prompts instead of the templates.
        model: "smollm2", a hub id or a folder.
        device: Of the model.
        dtype: Of the model.
        seed: Seed of everything that is drawn.
        sold_feature: What the auction sells.
        loss: The user loss that is charged and reported: a name, or weights such as "kl-.5*length"; readings that are
            not standard are measured besides.
        user_weight: User weight λ: money per unit of the user loss.
        user_weights: The trade-off's sweep.
        measurement: The surface's grid and counts.
        quick: Whether learned mechanisms are trained by the quick recipe.
        learning_iterations: Updates of the PPO bidders.
        confirm_samples: Replies a held-out prompt when a brand's best setting is measured anew.
        user_loss_limit: The user loss that a brand's best setting may cost, in the loss's unit.
    """

    category: str
    brands: tuple[Brand, ...]
    folder: Path
    prompts_file: Path | None = None
    model: str = "smollm2"
    device: str = "auto"
    dtype: str = "auto"
    seed: int = 0
    sold_feature: str = "slot_probability"
    loss: str = DEFAULT_LOSS
    user_weight: float = 1.0
    user_weights: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 4.0)
    measurement: MeasurementSettings = field(default_factory=MeasurementSettings)
    quick: bool = True
    learning_iterations: int = 60
    confirm_samples: int = 8
    user_loss_limit: float = 0.3

    @property
    def offer(self) -> Offer:
        """What is sold, at the cost of which loss."""
        return Offer((self.sold_feature,), self.loss)


AuctionedSettings = DemoSettings | PackagedDemoSettings
"""Settings of the demo's auctions, whether its measurement is new or packaged."""
