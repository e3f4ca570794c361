"""One small run with stored replies for all tests of gold labels."""

from pathlib import Path

import pytest
from gold_fakes import small_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A surface's file, its replies beside it, to be read only."""
    return small_run(tmp_path_factory.mktemp("run"))
