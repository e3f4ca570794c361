"""Several raters of the same replies: their agreement, whether a judge may stand in for one, and where they differ."""

from auctionsim.trust.raters.alternative import AltTest, AnnotatorTest, alt_test
from auctionsim.trust.raters.chance_corrected import LEVELS, fleiss_kappa, krippendorff_alpha, weighted_kappa
from auctionsim.trust.raters.disagreement import (
    ErrorsByDisagreement,
    ItemDisagreement,
    disagreement_of,
    errors_by_disagreement,
    soft_labels,
)
from auctionsim.trust.raters.ratings import FIELDS, RatingTable, joined_ratings, ratings_of

__all__ = [
    "FIELDS",
    "LEVELS",
    "AltTest",
    "AnnotatorTest",
    "ErrorsByDisagreement",
    "ItemDisagreement",
    "RatingTable",
    "alt_test",
    "disagreement_of",
    "errors_by_disagreement",
    "fleiss_kappa",
    "joined_ratings",
    "krippendorff_alpha",
    "ratings_of",
    "soft_labels",
    "weighted_kappa",
]
