"""Which prompts are asked: public contexts, and disjoint splits for identifying, designing, scoring and testing."""

import hashlib
import json
import os
from collections import Counter
from dataclasses import dataclass, replace

from auctionsim.errors import InputError
from auctionsim.prompt_files import prompts_by_context
from auctionsim.spelling import invisible_apart
from auctionsim.stems import SPLITS, STEMS, Stem, checked_stems
from auctionsim.text_checks import checked_text

TEMPLATES: dict[str, tuple[str, ...]] = {
    "request": (
        "Can you recommend some {category}?",
        "What are the best {category}?",
        "Which {category} would you choose?",
        "I am looking for {category}. Any suggestions?",
        "Please suggest {category} for a friend of mine.",
        "Tell me which {category} are worth it.",
        "Name a few good {category}.",
        "What {category} do you like most?",
        "I need help choosing {category}.",
        "Where should I start with {category}?",
        "Which {category} do experts pick?",
        "What would be your top choice of {category}?",
        "I have to decide on {category} today. What do you suggest?",
        "Which {category} should a beginner go for?",
        "What {category} are popular right now?",
        "Help me find {category} that I can rely on.",
    ),
    "comparison": (
        "Compare the most popular {category}.",
        "How do well-known {category} differ from each other?",
        "What should I look at when I compare {category}?",
        "Are some {category} better than others?",
        "Which {category} offer the best quality, and which the best value?",
        "List strengths and weaknesses of common {category}.",
        "How do I tell good {category} from bad ones?",
        "What makes the leading {category} stand out?",
        "Give me a short overview of {category} on the market.",
        "What do people argue about when they discuss {category}?",
        "Rank a few {category} and say why.",
        "Which {category} have changed the most lately?",
        "Which {category} do people trust most, and why?",
        "What do reviews say about the best known {category}?",
        "What are the big names among {category}?",
        "What sets expensive {category} apart from cheap ones?",
    ),
    "related": (
        "Tell me something interesting about {category}.",
        "How have {category} changed over the years?",
        "Why do people care so much about {category}?",
        "Write a short paragraph about {category}.",
        "What is a common mistake people make with {category}?",
        "Explain {category} to someone who has never heard of them.",
        "What will {category} look like in ten years?",
        "Who uses {category}, and what for?",
        "Write the opening of a blog post about {category}.",
        "What questions do people ask about {category}?",
        "Describe a day in which {category} play a role.",
        "What is the story behind {category}?",
        "Write a short dialogue between two friends about {category}.",
        "What would a magazine write about {category} this month?",
        "Which memories do people connect with {category}?",
        "Give three facts about {category}.",
    ),
}
"""Prompts for any category by context; every fourth belongs to one split."""


@dataclass(frozen=True)
class PromptSet:
    """Prompts by context, and the stems after which names are scored in replies to them.

    Attributes:
        contexts: Names of the public contexts.
        prompts: One tuple of prompts per context.
        stems: Beginnings of a reply; a split has its own.
    """

    contexts: tuple[str, ...]
    prompts: tuple[tuple[str, ...], ...]
    stems: tuple[Stem, ...] = STEMS

    def __post_init__(self) -> None:
        if not self.contexts or len(self.contexts) != len(self.prompts):
            raise InputError(f"a prompt set needs one or more contexts with prompts each, got {self.contexts}")
        for context, prompts in zip(self.contexts, self.prompts, strict=True):
            checked_text(context, "a context")
            for prompt in prompts:
                checked_text(prompt, "a prompt")
            if not prompts:
                raise InputError(f"the prompt set is empty in context {context!r}")
            if any(not prompt.strip() for prompt in prompts):
                raise InputError(f"a prompt in context {context!r} is blank")
        if len(set(map(invisible_apart, self.contexts))) < len(self.contexts):
            raise InputError(f"contexts must differ by more than white space, got {self.contexts}")
        checked_stems(self.stems)
        counts = Counter(map(invisible_apart, self.everything))
        if len(counts) < counts.total():
            twice = counts.most_common(1)[0][0]
            raise InputError(f"the prompt {twice!r} is there twice, white space apart: splits would not be disjoint")

    @property
    def everything(self) -> tuple[str, ...]:
        """All prompts, context after context."""
        return tuple(prompt for prompts in self.prompts for prompt in prompts)

    def split(self, name: str) -> "PromptSet":
        """Return one of the four disjoint splits: every fourth prompt of each context, and the split's own stems.

        Raises:
            ValueError: An unknown split, one without stems, or a context with fewer than eight prompts: a standard
                error takes two.
        """
        if name not in SPLITS:
            raise InputError(f"split must be one of {SPLITS}, got {name!r}")
        start = SPLITS.index(name)
        for context, prompts in zip(self.contexts, self.prompts, strict=True):
            if len(prompts) < 2 * len(SPLITS):
                raise InputError(
                    f"context {context!r} has {len(prompts)} prompts: {2 * len(SPLITS)} or more are needed, "
                    f"two for each of the disjoint splits {', '.join(SPLITS)}"
                )
        stems = tuple(stem for stem in self.stems if stem.split == name)
        if not stems:
            raise InputError(f"no stem serves the split {name!r}: names could not be scored on stems of its own")
        return replace(self, prompts=tuple(prompts[start :: len(SPLITS)] for prompts in self.prompts), stems=stems)

    def first(self, count: int) -> "PromptSet":
        """Return the first `count` prompts of each context, with the same stems."""
        return replace(self, prompts=tuple(prompts[:count] for prompts in self.prompts))

    @property
    def stem_texts(self) -> tuple[str, ...]:
        """The stems' texts."""
        return tuple(stem.text for stem in self.stems)

    @property
    def digest(self) -> str:
        """16 hex digits that change with any prompt and any stem."""
        return hashlib.sha256(json.dumps([self.contexts, self.prompts, self.stems]).encode()).hexdigest()[:16]


def build_prompts(category: str) -> PromptSet:
    """Fill the templates with a category.

    Raises:
        ValueError: A blank category or one with braces or line ends.
    """
    if not checked_text(category, "a category").strip() or any(sign in category for sign in "{}\n"):
        raise InputError(f"a category must be plain words such as 'running shoes', got {category!r}")
    contexts = tuple(TEMPLATES)
    return PromptSet(contexts, tuple(tuple(t.format(category=category) for t in TEMPLATES[c]) for c in contexts))


def read_prompts(path: str | os.PathLike[str]) -> PromptSet:
    """Read prompts from a file: JSON, JSON lines, CSV or a plain list, as `auctionsim.prompt_files` says.

    Raises:
        ValueError: The file is missing, unreadable or of another form, or its prompts are no set.
    """
    by_context = prompts_by_context(path)
    try:
        return PromptSet(tuple(by_context), tuple(map(tuple, by_context.values())))
    except ValueError as error:
        raise InputError(f"cannot read prompts from {path}: {error}") from error
