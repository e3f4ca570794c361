"""What a run found, as the report takes it: plain records."""

from dataclasses import dataclass, field
from typing import NamedTuple

from auctionsim.accounts import AuctionStory
from auctionsim.mechanisms.training_point import TrainingPoint
from auctionsim.neurons.brand_neurons import BrandNeurons
from auctionsim.scoring.records import Estimate, MechanismRow, TradeOffPoint
from auctionsim.substrates.surface import ResponseSurface


class ReplyPair(NamedTuple):
    """One prompt answered twice from the same random numbers: untouched, and with a brand's neurons amplified."""

    brand: str
    prompt: str
    num_neurons: float
    amplification: float
    untouched: str
    boosted: str


class Confirmation(NamedTuple):
    """A brand's best setting on the surface, measured anew with fresh seeds on held-out prompts.

    `gain` is the difference in hits a reply, paired by prompt and random numbers; `found` says whether it exceeds two
    standard errors at a user loss under the limit. Without a candidate setting the estimates are None.
    """

    brand: str
    num_neurons: float | None
    amplification: float | None
    hits_untouched: Estimate | None
    hits_boosted: Estimate | None
    gain: Estimate | None
    user_loss: Estimate | None
    user_loss_limit: float
    found: bool


class MenuOption(NamedTuple):
    """One entry of the learned menu, the rivals at null, with an example reply under it."""

    brand: str
    num_neurons: float
    amplification: float
    price: float
    exposure: float
    user_loss: float
    prompt: str
    reply: str


class LearningPoint(NamedTuple):
    """One iteration of one learning bidder: mean utility a round and mean bid / valuation."""

    mechanism: str
    iteration: int
    bidder: str
    utility: float
    bid_ratio: float


@dataclass(frozen=True)
class Findings:
    """The results of one demo, as its report page shows them.

    Attributes:
        title: Headline.
        command: What reproduces the run.
        category: What the brands sell.
        brands: Names, in bidder order.
        model: Name and fingerprint.
        settings: Every setting of the run, for the table at the end.
        versions: Packages.
        commit: Of the code, None outside a checkout.
        neurons: The identified neurons; None where a packaged measurement was taken, and then sections without data are
            left out of the page.
        sold_neurons: The largest num_neurons on the surface's grid: overlap and layers are shown for so many.
        surface: All features, both replicates.
        sold_feature: The feature that the auction sells.
        story: One auction with its replies; None: none was told, as in runs of earlier versions.
        stage_seconds: How long each stage took.
        stage_seconds_before: The part of it that an earlier run took, whose results were kept.
        peak_memory_gib: Largest resident size of the process.
    """

    title: str
    command: str
    category: str
    brands: tuple[str, ...]
    model: str
    settings: dict[str, object]
    versions: dict[str, str]
    commit: str | None
    neurons: BrandNeurons | None
    sold_neurons: int
    surface: ResponseSurface
    sold_feature: str
    user_weight: float
    story: AuctionStory | None = None
    replies: tuple[ReplyPair, ...] = ()
    confirmations: tuple[Confirmation, ...] = ()
    menu: tuple[MenuOption, ...] = ()
    mechanisms: tuple[MechanismRow, ...] = ()
    trade_off: tuple[TradeOffPoint, ...] = ()
    learning: tuple[LearningPoint, ...] = ()
    training: tuple[TrainingPoint, ...] = ()
    stage_seconds: dict[str, float] = field(default_factory=dict)
    stage_seconds_before: dict[str, float] = field(default_factory=dict)
    peak_memory_gib: float | None = None
