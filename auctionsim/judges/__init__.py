"""Second models that score replies: embedding models and judges."""

from auctionsim.judges.embedder import Embedder, load_embedder
from auctionsim.judges.embedding_files import MINILM

__all__ = ["MINILM", "Embedder", "load_embedder"]
