"""Dawid–Skene and relatives: how good judges are and what is true, from votes alone, without any gold label.

Judges are independent given the class. The *one-coin* model gives a judge one accuracy; the *two-coin* model gives one
per class (for K classes, a table of what is said where what is true). Both are fitted by expectation–maximisation (EM),
which starts from the shares of votes. So they are right only where judges are better than chance on the whole: where
most are worse, every label comes out turned round. Judges who err together look accurate to both.

The one-coin model is fitted here. That of crowd-kit 1.4 counts the class priors once per vote where it checks for
convergence, and cannot keep the prior even. The others are crowd-kit's.

Source:
    Dawid and Skene (1979), "Maximum likelihood estimation of observer error-rates using the EM algorithm"; Zhang, Chen,
    Zhou and Jordan (2016), "Spectral methods meet EM", for the one-coin model; Whitehill et al. (2009), "Whose vote
    should count more" (GLAD); Hovy et al. (2013), "Learning whom to trust with MACE"; Ma and Olshevsky (2020),
    "Adversarial crowdsourcing through robust rank-one matrix completion" (MMSR).
"""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from auctionsim.errors import InputError, MissingPackageError
from auctionsim.panels.votes import NO_VOTE, Votes

if TYPE_CHECKING:
    import pandas as pd

LEAST = 1e-6
"""Probability that no judge and no class is held below."""
RELATIVES = ("glad", "mace", "mmsr")
"""Further methods of crowd-kit by name."""


class VoteModel(NamedTuple):
    """A fitted model of votes.

    Attributes:
        probabilities: (item, label) of each class given the votes.
        confusions: (judge, truth, label) probability of what is said given what is true.
        priors: (label,) shares of the classes.
        rounds: Of EM; 0 where they are not known.
    """

    probabilities: Float[np.ndarray, "item label"]
    confusions: Float[np.ndarray, "judge label label"]
    priors: Float[np.ndarray, " label"]
    rounds: int

    @property
    def labels(self) -> Int[np.ndarray, " item"]:
        """Likeliest class of each item, the first of several that are as likely."""
        likeliest: np.ndarray = self.probabilities.argmax(1)
        return likeliest

    @property
    def accuracies(self) -> Float[np.ndarray, " judge"]:
        """Probability that each judge is right, at the model's priors."""
        right: np.ndarray = np.einsum("jkk,k->j", self.confusions, self.priors)
        return right


def one_coin(votes: Votes, *, even_prior: bool = False, rounds: int = 1000, tolerance: float = 1e-10) -> VoteModel:
    """Fit the one-coin model: judge j is right with probability p_j, else names each other class as often.

    Args:
        votes: Of the panel, gaps allowed.
        even_prior: Hold all classes equally likely; else their shares are fitted, too.
        rounds: Most of them.
        tolerance: Largest change of a probability at which it ends.
    """
    said = votes.labels[:, :, None] == np.arange(votes.num_classes)
    number = np.maximum(votes.voted.sum(0), 1)
    counts = votes.counts
    belief = (counts + LEAST) / (counts + LEAST).sum(1, keepdims=True)
    done = 0
    for done in range(1, rounds + 1):  # noqa: B007
        priors = np.full(votes.num_classes, 1 / votes.num_classes) if even_prior else np.maximum(belief.mean(0), LEAST)
        priors = priors / priors.sum()
        right = np.clip(np.einsum("ijk,ik->j", said, belief) / number, LEAST, 1 - LEAST)
        weights = np.log(right * (votes.num_classes - 1) / (1 - right))
        logits = np.log(priors) + np.einsum("ijk,j->ik", said, weights)
        odds = np.exp(logits - logits.max(1, keepdims=True))
        before, belief = belief, odds / odds.sum(1, keepdims=True)
        if np.abs(belief - before).max() < tolerance:
            break
    wrong = (1 - right) / (votes.num_classes - 1)
    same = np.eye(votes.num_classes, dtype=bool)
    return VoteModel(belief, np.where(same, right[:, None, None], wrong[:, None, None]), priors, done)


def two_coin(votes: Votes, rounds: int = 100) -> VoteModel:
    """Fit the model of Dawid and Skene: what a judge says depends on what is true, by a table of the judge's own.

    Args:
        votes: Of the panel, gaps allowed; an item without votes is given the priors.
        rounds: Most of them.
    Raises:
        ImportError: crowd-kit is not installed.
    """
    aggregation = _crowd_kit()
    model = aggregation.DawidSkene(n_iter=rounds)
    _quiet(lambda: model.fit(_frame(votes)))
    classes = range(votes.num_classes)
    priors = model.priors_.reindex(classes, fill_value=0.0).to_numpy(dtype=np.float64, copy=True)
    beliefs = model.probas_.reindex(index=range(len(votes.labels)), columns=classes)
    probabilities = beliefs.to_numpy(dtype=np.float64, copy=True)
    there = votes.voted.any(1)
    probabilities[there] = np.nan_to_num(probabilities[there])
    probabilities[~there] = priors
    confusions = np.full((len(votes.judges), votes.num_classes, votes.num_classes), 1 / votes.num_classes)
    for judge in np.flatnonzero(votes.voted.any(0)):
        table = model.errors_.loc[judge].reindex(index=classes, columns=classes, fill_value=0.0)
        confusions[judge] = table.to_numpy(dtype=np.float64).T
    return VoteModel(probabilities, confusions, priors, len(model.loss_history_))


def relative_labels(votes: Votes, method: str, seed: int = 0) -> Int[np.ndarray, " item"]:
    """Return the classes that a relative of Dawid–Skene gives, `NO_VOTE` for an item without votes.

    Args:
        votes: Of the panel.
        method: "glad" (a judge's ability and an item's ease), "mace" (a judge knows or guesses), "mmsr" (accuracies
            from the judges' agreement in pairs, robust to a few who vote at will; two judges must share an item).
        seed: Of the starts of "mace" and "mmsr"; "glad" draws nothing.
    Raises:
        ValueError: Another method.
        ImportError: crowd-kit is not installed.
    """
    if method not in RELATIVES:
        raise InputError(f"the method must be one of {', '.join(RELATIVES)}, got {method!r}")
    aggregation = _crowd_kit()
    makers: dict[str, Callable[[], Any]] = {
        "glad": aggregation.GLAD,
        "mace": lambda: aggregation.MACE(random_state=seed),
        "mmsr": lambda: aggregation.MMSR(random_state=seed),
    }
    found = _quiet(lambda: makers[method]().fit_predict(_frame(votes)))
    labels: np.ndarray = found.reindex(range(len(votes.labels)), fill_value=NO_VOTE).to_numpy(dtype=np.int64)
    return labels


def _crowd_kit() -> Any:
    """Return crowd-kit's methods."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from crowdkit import aggregation
    except ImportError:
        raise MissingPackageError("Dawid–Skene needs crowd-kit: pip install 'auctionsim[panels]'") from None
    return aggregation


def _frame(votes: Votes) -> "pd.DataFrame":
    """Return the votes as crowd-kit takes them: a row per vote."""
    import pandas as pd

    items, judges = np.nonzero(votes.voted)
    return pd.DataFrame({"task": items, "worker": judges, "label": votes.labels[items, judges]})


def _quiet(fit: Callable[[], Any]) -> Any:
    """Run crowd-kit without its notes on what pandas is to drop, and on logarithms of 0."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return fit()
