"""After which beginnings of a reply a brand's name is scored: two kinds, split as prompts are.

How likely a name is depends on what comes before it as much as on the neurons. So no stem serves two splits: neurons
are identified on some, mechanisms designed on others (A), scored on others (B), and what was chosen is tested on others
again.
"""

from typing import NamedTuple

from auctionsim.errors import InputError
from auctionsim.spelling import invisible_apart

SPLITS = ("identify", "A", "B", "test")

CALLING, PASSING = KINDS = ("calling", "passing")
"""A *calling* stem is where the text asks for a name; after a *passing* one a name is one of many ways to go on."""


class Stem(NamedTuple):
    """A beginning of a reply.

    Attributes:
        text: As the reply begins, without the space before a name.
        kind: "calling" or "passing".
        split: Which of `SPLITS` it serves.
    """

    text: str
    kind: str
    split: str


_TEXTS: dict[str, dict[str, tuple[str, ...]]] = {
    "identify": {
        CALLING: (
            "Popular brands include",
            "Some well-known names are",
            "This is why many people turn to brands like",
            "Here are some of the best options:\n\n1.",
            "There are several to choose from, such as",
            "Companies such as",
        ),
        PASSING: (
            "If I were you, I would look at",
            "My sister swears by",
            "Lately I have been happy with",
            "Quite a few people start with",
            "It is worth comparing this with",
            "Online you will often see",
            "Have you ever tried",
            "You can find good ones from",
            "My friends and I all use",
            "It might be an idea to try",
            "One thing to consider is",
            "The ones I have at home are from",
            "If you are on a budget, think of",
            "She told me about",
        ),
    },
    "A": {
        CALLING: ("I would recommend", "My first pick would be"),
        PASSING: ("You could try", "A lot of buyers go for"),
    },
    "B": {
        CALLING: ("The best choice is", "A name you can trust is"),
        PASSING: ("Some people prefer", "In the shop they showed me"),
    },
    "test": {
        CALLING: (
            "My top recommendation is",
            "The one I would choose is",
            "Without doubt the best is",
            "If I had to name one, it would be",
        ),
        PASSING: ("You might like", "Many people trust", "Have a look at", "I usually buy from"),
    },
}

STEMS: tuple[Stem, ...] = tuple(
    Stem(text, kind, split) for split in SPLITS for kind in KINDS for text in _TEXTS[split][kind]
)
"""All of them. Splits that are scored have as many of either kind, so that a mean over their stems weighs both alike;
for identification there are more passing ones, which are harder to reach."""


def checked_stems(stems: tuple[Stem, ...]) -> tuple[Stem, ...]:
    """Return the stems if there is one, each is text of a known kind and split, and none is there twice.

    Raises:
        ValueError: They are not.
    """
    if not stems:
        raise InputError("a prompt set needs one stem or more, after which names are scored")
    for stem in stems:
        if not stem.text.strip() or stem.kind not in KINDS or stem.split not in SPLITS:
            raise InputError(
                f"a stem is text, one of {', '.join(KINDS)}, and one of the splits {', '.join(SPLITS)}; got {stem}"
            )
    texts = [invisible_apart(stem.text).casefold() for stem in stems]
    twice = next((text for k, text in enumerate(texts) if text in texts[:k]), None)
    if twice is not None:
        raise InputError(f"the stem {twice!r} is there twice: splits would not be disjoint")
    return stems
