"""Stories of packaged measurements: by name, without a model, in seconds."""

from collections.abc import Sequence

from torch import Tensor

from auctionsim.accounts.replies import ReplyPlace
from auctionsim.accounts.stories import AuctionStory, StoryDraws, auction_story
from auctionsim.data import replies_beside, surfaces_folder
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.mechanisms.table import Problem, entry
from auctionsim.priors import Priors, Uniform
from auctionsim.storage import stored_format
from auctionsim.substrates import MeasuredList, ResponseSurface
from auctionsim.substrates.quantities import DEFAULT_LOSS

STORY_SURFACE = "running-shoes-2@3"
"""The packaged measurement that is told unless another one is named."""
EVEN = Uniform(0.0, 1.0)
"""Valuations between 0 and 1, all alike."""
STORY_RULES = ("vcg", "optimum", "bayesian-menu", "pay-as-bid")
"""The rules that are told, the first one with its replies; closed forms and one that is solved in under a second."""


def packaged_story(
    name: str = STORY_SURFACE,
    mechanisms: Sequence[str] = STORY_RULES,
    *,
    feature: str = "slot_probability",
    loss: str = DEFAULT_LOSS,
    user_weight: float = 1.0,
    priors: Priors = EVEN,
    valuations: Tensor | None = None,
    seed: int = 0,
    more: int = 3,
    place: ReplyPlace | None = None,
) -> AuctionStory:
    """Tell one auction on a measurement that ships, with the replies that were kept behind it.

    Args:
        name: Of the packaged measurement.
        mechanisms: Names in the table of mechanisms, the first one's auction is told; learned ones take minutes.
        feature: What is sold.
        loss: What the user loses by it.
        user_weight: λ ≥ 0, money per unit of user loss.
        priors: What valuations are drawn from; independently.
        valuations: (bidder, feature) of the auction that is told; None: drawn.
        seed: Of the draws.
        more: StoryDraws that follow.
        place: Which prompt and sample are shown; None: the first.
    Raises:
        ValueError: No measurement, mechanism, feature or loss of that name, or a mechanism that does not fit.
    Example:
        >>> story = packaged_story("hotels-2@1", ("vcg",), more=0)
        >>> [one.title for one in story.replies][0], story.account.mechanism
        ('untouched', 'VCG')
    """
    path = surfaces_folder() / f"{name}.safetensors"
    is_list = path.is_file() and stored_format(path) == MeasuredList.file_format
    measured = MeasuredList.packaged(name) if is_list else ResponseSurface.packaged(name)
    view = measured.sell(feature, loss=loss)
    replies = replies_beside(path)
    stored = StoredReplies.load(replies, measured.provenance) if replies.exists() else None
    problem = Problem(view, priors, user_weight, seed, quick=True)
    rules = {entry(rule).label: entry(rule).designed(problem) for rule in mechanisms}
    draws = StoryDraws(priors, seed, more, ReplyPlace() if place is None else place)
    return auction_story(rules, view, draws, user_weight=user_weight, stored=stored, valuations=valuations)
