"""Text and padding for the law of windows: what is added after a space never lowers a value."""

from hypothesis import strategies as st

_WORDS = (
    *(
        "Adidas",
        "adidas,",
        "Nike",
        "the",
        "of",
        "1.",
        "a.",
        "b)",
        "- ",
        "\n",
        "U.S.",
        "Note:",
        "ÉtÉ",
        "日本",
        "s\u0301",
    ),
    *("x1y2z3", "\ufffd", "#", "www.", "is it?", "…", "\ufe0f", "bcdfgh"),
)
TEXTS = st.one_of(st.lists(st.sampled_from(_WORDS), max_size=40).map(" ".join), st.text(max_size=30))
LOOP = "I would recommend Adidas" + " Adidas" * 30
FLUENT = (
    "Running shoes should fit your foot and the ground you run on. Ask in a shop for a pair that suits a beginner, "
    "try both of them late in the day, and leave a thumb's width before your toes. Light models wear out sooner, so "
    "plan to replace them every year. If one hurts after an hour, return it: no advice beats how it feels."
)
"""Ordinary words, a good answer."""
