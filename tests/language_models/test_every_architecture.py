"""What decodes equals an uncached pass, what does not is refused when loaded: the table in docs/models.md."""

import re
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest

from auctionsim.experiments.studies.architectures import LIMIT, judge, judge_all
from auctionsim.testing import fake_tokenizer
from auctionsim.testing.tiny_networks import causal_architectures

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
TOKENIZER = fake_tokenizer()
DECODE = (  # one of each kind: flattened, attending twice, latent, windows, shared keys, experts, soft caps, biases …
    "opt", "diffllama", "youtu", "mistral", "gemma3n_text", "qwen2_moe", "gemma2", "gpt_neox", "gpt2", "phi3", "qwen3",
    "cohere2", "olmo2", "granite", "starcoder2", "phi4_multimodal", "got_ocr2",
)  # fmt: skip
REFUSED = {
    "bloom": "transformers does not let its attention be replaced",
    "llama4_text": "it has chunked_attention layers",
    "lfm2": "it has conv layers",
    "hrm_text": "the feed-forward layer of block 0 runs 6 times in a pass",
    "mixtral": "no feed-forward layer recognised in block 0",
    "mamba": "no feed-forward layer recognised in block 0",
    "bart": "transformers does not let its attention be replaced",
    "granite_swa": "its attention takes s_aux",
    "doge": "its attention takes a mask",
    "deepseek_v3": "layers of different widths",
    "moshi": "transformers' cache gives other logits than a full pass",
    "xmod": "its logits are not those of a full pass",
}


def table() -> dict[str, str]:
    """Which section of the page each architecture is in."""
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    verdicts = {"Decode": "decodes", "Refused when loaded": "refused", "Not built by transformers alone": "not built"}
    return {
        kind: verdicts[section.splitlines()[0]]
        for section in sections
        for kind in re.findall(r"^\| `([^`]+)`", section, flags=re.MULTILINE)
    }


@pytest.mark.parametrize("kind", DECODE)
def test_a_slice_of_those_that_decode(kind: str) -> None:
    found = judge(kind, causal_architectures()[kind], TOKENIZER)
    assert found.verdict == "decodes", found
    assert found.error is not None
    assert found.error < LIMIT


@pytest.mark.parametrize("kind", REFUSED)
def test_a_slice_of_those_that_are_refused(kind: str) -> None:
    found = judge(kind, causal_architectures()[kind], TOKENIZER)
    assert found.verdict == "refused", found
    assert REFUSED[kind] in found.detail
    assert causal_architectures()[kind] in found.detail


def test_the_page_lists_every_architecture_once_and_counts_them() -> None:
    text, found = PAGE.read_text(), table()
    if f"transformers {version('transformers')}," in text:
        assert found.keys() == causal_architectures().keys()
    counts = Counter(found.values())
    said = re.search(
        r"Of the (\d+) causal.*?\*\*(\d+) decode here, (\d+) are refused.*?and (\d+) are not built", text, re.DOTALL
    )
    assert said is not None
    assert [int(n) for n in said.groups()] == [len(found), *(counts[v] for v in ("decodes", "refused", "not built"))]
    assert {kind: found[kind] for kind in (*DECODE, *REFUSED)} == {
        **dict.fromkeys(DECODE, "decodes"),
        **dict.fromkeys(REFUSED, "refused"),
    }


@pytest.mark.deep
def test_every_architecture_is_as_the_page_says() -> None:
    """Half a minute; with another version of transformers, the page is written anew first."""
    found = judge_all()
    assert not [row for row in found if row.verdict == "wrong"]
    if f"transformers {version('transformers')}," in PAGE.read_text():
        assert {row.kind: row.verdict for row in found} == table()
