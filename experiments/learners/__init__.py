"""Learners of the reference corpus, a file each: every file of this folder is run when it is imported."""

import importlib
import pkgutil

from auctionsim.experiments.learners.registry import (
    CorpusLearner,
    LearnedPlay,
    LearningTask,
    learner_maker,
    learner_named,
    learners,
    register,
    withdraw,
)

__all__ = [
    "CorpusLearner",
    "LearnedPlay",
    "LearningTask",
    "learner_maker",
    "learner_named",
    "learners",
    "register",
    "withdraw",
]

for _file in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_file.name}")
