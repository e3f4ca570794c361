"""Replies are kept whole: read back as they were sampled, redrawn from what keys them; what is damaged is named."""

import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from measurement_fakes import SETTINGS, fake_model, fake_neurons, fake_prompts

from auctionsim.language_models import prefill, sample_replies
from auctionsim.measurement import REPLIES_FILE, KeptReplies, measure, read_replies


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished measurement, to be read only."""
    folder, model = tmp_path_factory.mktemp("kept"), fake_model()
    measure(folder, model, fake_neurons(model), fake_prompts(), SETTINGS)
    return folder


@pytest.fixture(scope="module")
def kept(folder: Path) -> KeptReplies:
    return read_replies(folder / REPLIES_FILE)


def test_every_reply_is_there_once(kept: KeptReplies) -> None:
    prompts = sum(len(some) for name in "AB" for some in kept.record["prompts"][name])
    assert len(kept.replies) == prompts * len(kept.record["interventions"]) * SETTINGS.samples
    assert len({(*reply.place, reply.intervention) for reply in kept.replies}) == len(kept.replies)
    assert {reply.replicate for reply in kept.replies} == {"A", "B"}


def test_a_reply_is_redrawn_from_what_keys_it(kept: KeptReplies) -> None:
    model, settings = fake_model(), kept.record["settings"]
    neurons = fake_neurons(model)
    for reply in kept.replies[:: len(kept.replies) // 12]:
        prompt = kept.record["prompts"][reply.replicate][reply.context][reply.prompt]
        numbers = np.random.default_rng([settings["seed"], *reply.place])
        uniforms = torch.from_numpy(numbers.random(settings["max_new_tokens"], dtype=np.float32))
        change = neurons.intervention(torch.tensor([kept.record["interventions"][reply.intervention]]))
        prefix = prefill(model, model.chat_ids(prompt), settings["max_new_tokens"])
        drawn = sample_replies(model, prefix, change, uniforms[None], temperature=settings["temperature"])
        assert drawn.tokens[0, : drawn.lengths[0]].tolist() == reply.token_ids
        assert (model.text(reply.token_ids), len(reply.token_ids)) == (reply.text, reply.length)


def test_equal_measurements_keep_equal_bytes(folder: Path, tmp_path: Path) -> None:
    model = fake_model()
    measure(folder, model, fake_neurons(model), fake_prompts(), SETTINGS)  # nothing is left to do
    measure(tmp_path, model, fake_neurons(model), fake_prompts(), SETTINGS)
    assert (tmp_path / REPLIES_FILE).read_bytes() == (folder / REPLIES_FILE).read_bytes()


def _signed(lines: list[str]) -> bytes:
    """Return a file of these lines with a checksum that fits."""
    text = "\n".join(lines).encode()
    return gzip.compress(text + b"\n" + json.dumps({"sha256": hashlib.sha256(text).hexdigest()}).encode() + b"\n")


def test_damaged_and_foreign_files_are_named(folder: Path, tmp_path: Path) -> None:
    whole = (folder / REPLIES_FILE).read_bytes()
    lines = gzip.decompress(whole).decode().splitlines()[:-1]
    head, reply = json.loads(lines[0]), json.loads(lines[1])
    assert gzip.decompress(_signed(lines)) == gzip.decompress(whole)
    few = json.dumps({**head, "replies": 1})
    damaged = {
        "truncated": whole[: len(whole) // 2],
        "no gzip file": b"not gzip at all",
        "checksum": gzip.compress(gzip.decompress(whole).replace(b'"text": "', b'"text": "x', 1)),
        "is truncated, or has a line": gzip.compress(("\n".join(lines[:3]) + "\n").encode()),
        "is of version 9": _signed([json.dumps({**head, "version": 9}), *lines[1:]]),
        "is no file of auctionsim replies": _signed([json.dumps({**head, "format": "x"}), *lines[1:]]),
        "the first line must be an object": _signed(["[]"]),
        "reply 0, context must be a whole number in .* got True": _signed(
            [few, json.dumps({**reply, "context": True})]
        ),
        "reply 0, text must be a text, got 3": _signed([few, json.dumps({**reply, "text": 3})]),
        "has a field 'more'": _signed([few, json.dumps({**reply, "more": 1})]),
        "says it has": _signed([few, json.dumps({**reply, "length": reply["length"] + 1})]),
        "replies must be a whole number": _signed([json.dumps({**head, "replies": "many"}), *lines[1:]]),
        "replicate must be one of A, B": _signed([few, json.dumps({**reply, "replicate": "C"})]),
        "prompt must be a whole number": _signed([few, json.dumps({**reply, "prompt": 99})]),
        "intervention must be a whole number": _signed([few, json.dumps({**reply, "intervention": 99})]),
        "is there twice": _signed([few, json.dumps(reply)[:-1] + ', "length": 1}']),
        "nested too deeply": _signed(
            [few, json.dumps({**reply, "place": 0}).replace('"place": 0', '"place": ' + "[" * 9999)]
        ),
        "NaN is no number": _signed([few, json.dumps({**reply, "length": float("nan")})]),
    }
    for message, content in damaged.items():
        path = tmp_path / "replies.jsonl.gz"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"replies\.jsonl\.gz.*{message}"):
            read_replies(path)


def test_a_line_without_end_takes_no_memory(tmp_path: Path) -> None:
    """200 MB of blanks in 200 kB: given up after one line's worth."""
    path = tmp_path / "bomb.jsonl.gz"
    path.write_bytes(gzip.compress(b" " * 200_000_000, 1))
    with pytest.raises(ValueError, match=r"bomb\.jsonl\.gz.*a line that no reply has"):
        read_replies(path)


def test_lines_take_no_more_than_they_may_together(folder: Path, tmp_path: Path) -> None:
    whole = (folder / REPLIES_FILE).read_bytes()
    unpacked = len(gzip.decompress(whole))
    assert read_replies(folder / REPLIES_FILE, unpacked) == read_replies(folder / REPLIES_FILE)
    with pytest.raises(ValueError, match=rf"unpacks to more than {unpacked - 1} bytes"):
        read_replies(folder / REPLIES_FILE, unpacked - 1)
