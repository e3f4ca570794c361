"""Language models that answer prompts in words: one that is loaded here, or a chat model behind an address."""

from collections.abc import Callable, Sequence

import torch

from auctionsim.agents.pacing.answers import Ask
from auctionsim.errors import FailedRunError
from auctionsim.judges import NoVerdict, address_judge
from auctionsim.judges.address import is_address
from auctionsim.language_models import LanguageModel, load_model
from auctionsim.language_models.change import untouched
from auctionsim.language_models.decoding import sample_replies
from auctionsim.language_models.prefixes import prefill


def speaker(model: str, tokens: int) -> tuple[str, Ask]:
    """Return what answers, in one line, and how it is asked.

    Args:
        model: A packaged model, a hub id, a folder, or an address.
        tokens: Of an answer, at most, by a model that is loaded here.
    Raises:
        ModelUnavailableError: It is not here, or nobody answers at the address.
        ValueError: The address is none, or the model cannot be decoded here.
    """
    if is_address(model):
        return address_speaker(model)
    network = load_model(model, dtype="float32")
    return f"{network.identity}; likeliest words, {tokens} tokens", speaking(network, tokens)


def speaking(model: LanguageModel, tokens: int) -> Ask:
    """Return how a loaded model is asked: one prompt after the other, the likeliest words.

    Args:
        model: The language model.
        tokens: Of an answer, at most.
    """

    def ask(prompts: Sequence[str]) -> list[str]:
        answers = []
        for prompt in prompts:
            prefix = prefill(model, model.chat_ids(prompt), tokens)
            reply = sample_replies(model, prefix, untouched(model), torch.zeros(1, tokens), temperature=0.0)
            answers.append(model.text(reply.tokens[0, : int(reply.lengths[0])]))
        return answers

    return ask


def address_speaker(address: str) -> tuple[str, Ask]:
    """Return what answers behind an address, and how it is asked: a few times each, until there is an answer.

    Args:
        address: As `address_judge` reads one; its temperature holds, its samples do not.
    Raises:
        ModelUnavailableError: Nobody answers there.
        ValueError: It is no address, or the model there is not named.
    """
    judge = address_judge(address)

    def ask(prompts: Sequence[str]) -> list[str]:
        return [_words(judge.answer, prompt, address) for prompt in prompts]

    return f"{judge.address} {judge.model_there}; temperature {judge.temperature:g}", ask


def _words(answer: Callable[[str], str | NoVerdict], prompt: str, address: str) -> str:
    """Return an answer.

    Raises:
        RuntimeError: There is none for now; the same run goes on later.
    """
    words = answer(prompt)
    if isinstance(words, NoVerdict):
        raise FailedRunError(f"no bidder answers at {address}: {words.reason}; the same run goes on from its answers")
    return words
