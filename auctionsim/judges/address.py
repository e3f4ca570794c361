"""A judge behind an OpenAI-compatible address: it says words, and its verdict is the share of several answers.

Log probabilities are taken where the server gives them, which is tried once; where it refuses, `samples` answers are
drawn at a temperature, and the share of each option is the verdict. A time-out, an error, a refusal or nonsense is
tried again a few times, then there is no verdict for now: never a number.
"""

import logging
import math
import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from auctionsim.errors import InputError, MissingPackageError, ModelUnavailableError
from auctionsim.judges.choices import NoVerdict, Verdict, VerdictOptions, option_in, verdict_listed
from auctionsim.judges.prompts import JudgePrompt

_log = logging.getLogger(__name__)

KEY = "AUCTIONSIM_JUDGE_KEY"
"""Environment variable with the key that a judge's server asks for; no other service's key is sent to it."""
ATTEMPTS = 3
"""Requests, at most, for each answer that counts."""
_LISTED = 20  # likeliest tokens that are asked for
_WORDS = 8  # tokens of an answer
_CONTROL = re.compile(r"<\|[^<>|]*\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<(?:bos|eos|pad)>")
_PROBE = "Say yes or no, and nothing else."
_DRAW = "Write a random number of eight digits, and nothing else."
_DRAWS = 3  # answers to it that a server which draws does not give alike


@dataclass(frozen=True)
class AddressJudge:
    """A judge behind an address.

    Attributes:
        address: Of the server, as in "http://localhost:8000/v1".
        model: Name of the model there; "" takes the only one that is there.
        samples: Answers a verdict, where the server gives no log probabilities.
        temperature: That answers are drawn at, above 0.
        timeout: Seconds that an answer may take.
        pause: Seconds before an answer is asked for again; twice as many before the next time.
    """

    address: str
    model: str = ""
    samples: int = 5
    temperature: float = 1.0
    timeout: float = 120.0
    pause: float = field(default=0.5, compare=False)

    def __post_init__(self) -> None:
        place = urlsplit(self.address)
        if place.scheme not in ("http", "https") or not place.hostname:
            raise InputError(f"a judge's address begins with http:// or https:// and a host, got {self.address!r}")
        if place.username or place.password or place.query:
            raise InputError(f"a judge's address has no password and no query: files name it ({KEY} holds a key)")
        if not 1 <= self.samples <= 1000 or not 0 < self.temperature <= 2 or not self.timeout > 0:
            rule = "1 to 1000 samples at a temperature above 0 and up to 2, and a time-out above 0"
            raise InputError(f"a judge gives {rule}, got {self.samples}, {self.temperature:g} and {self.timeout:g}")

    @cached_property
    def model_there(self) -> str:
        """Name of the model at the address.

        Raises:
            ModelUnavailableError: Nobody answers there.
            ValueError: There are several models, or none, and none is named.
        """
        if self.model:
            return self.model
        there = [one.id for one in self._first(lambda: self._client.models.list().data, f"; name {self.address}#MODEL")]
        if len(there) != 1:
            listed = ", ".join(there[:8]) or "none"
            raise InputError(f"name the judge's model as {self.address}#MODEL; those that are there: {listed}")
        return str(there[0])

    @cached_property
    def shows_probabilities(self) -> bool:
        """Whether the server gives log probabilities when it is asked for them.

        Raises:
            ModelUnavailableError: Nobody answers there, or the model is not there.
        """
        import openai

        _ = self.model_there
        try:
            answer = self._first(lambda: self._answer(_PROBE, logprobs=True))
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            _log.info("%s gives no log probabilities (%s): answers are drawn", self.address, _reason(error))
            self._first(lambda: self._answer(_PROBE, logprobs=False))
            return False
        return bool(answer.listed)

    @cached_property
    def draws(self) -> bool:
        """Whether answers are drawn at the temperature: some servers take it and give the likeliest words for ever.

        Raises:
            ModelUnavailableError: Nobody answers there.
        """
        answers = {self._first(lambda: self._answer(_DRAW, logprobs=False)).text for _ in range(_DRAWS)}
        if len(answers) == 1:
            _log.warning("%s answers alike at temperature %g: one answer is taken", self.address, self.temperature)
        return len(answers) > 1

    def basis(self, prompt: JudgePrompt) -> str:
        """Return what verdicts on a prompt rest on, in one line: address, model, how they are had, the prompt's text.

        Raises:
            ModelUnavailableError: Nobody answers there.
        """
        if self.shows_probabilities:
            how = "log probabilities"
        elif self.draws:
            how = f"share of {self.samples} answers at temperature {self.temperature:g}"
        else:
            how = f"one answer, not drawn, at temperature {self.temperature:g}"
        return f"{self.address} {self.model_there}; {how}; prompt {prompt.name} {prompt.digest}"

    def verdicts(self, prompts: Sequence[str], choice: VerdictOptions) -> list[Verdict | NoVerdict]:
        """Return a verdict for each prompt, one after the other.

        Args:
            prompts: As the user's words; those with what may be a control token there get no verdict.
            choice: The options.
        """
        return [self._verdict(prompt, choice) for prompt in prompts]

    def answer(self, prompt: str) -> str | NoVerdict:
        """Return the words of one answer, a few tokens, or why there is none after `ATTEMPTS` requests.

        Args:
            prompt: As the user's words.
        """
        answer = self._tried(prompt, logprobs=False)
        return answer if isinstance(answer, NoVerdict) else answer.text

    def close(self) -> None:
        """Close its connections; it opens new ones when it is asked again."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    def _verdict(self, prompt: str, choice: VerdictOptions) -> Verdict | NoVerdict:
        if _CONTROL.search(prompt):
            return NoVerdict("it has what may be a control token of the judge's")
        return self._listed_verdict(prompt, choice) if self.shows_probabilities else self._share(prompt, choice)

    def _share(self, prompt: str, choice: VerdictOptions) -> Verdict | NoVerdict:
        """Return the options' shares of `samples` answers that say one of them; of one where none is drawn."""
        counts: Counter[int] = Counter()
        wanted = self.samples if self.draws else 1
        for _ in range(ATTEMPTS * wanted):
            answer = self._tried(prompt, logprobs=False)
            if isinstance(answer, NoVerdict):
                return answer
            option = option_in(answer.text, choice)
            if option is not None:
                counts[option] += 1
            if counts.total() == wanted:
                return Verdict(tuple(counts[k] / wanted for k in range(len(choice.options))))
        told = f"{counts.total()} of {ATTEMPTS * wanted} answers said one of {', '.join(choice.options)}"
        return NoVerdict(told, for_now=True)

    def _listed_verdict(self, prompt: str, choice: VerdictOptions) -> Verdict | NoVerdict:
        """Return the verdict of the first token's log probabilities."""
        answer = self._tried(prompt, logprobs=True)
        if isinstance(answer, NoVerdict):
            return answer
        verdict = verdict_listed(answer.listed, choice)
        return verdict or NoVerdict("none of the options is among its likeliest words", for_now=True)

    def _tried(self, prompt: str, logprobs: bool) -> "_Answer | NoVerdict":
        """Return an answer, or why there is none after `ATTEMPTS` requests."""
        import openai

        reason = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(self.pause * 2 ** (attempt - 1))
            try:
                return self._answer(prompt, logprobs)
            except openai.OpenAIError as error:
                reason = _reason(error)
            except (ValueError, TypeError, AttributeError) as error:  # what came back is no answer
                reason = f"no answer in what came back ({type(error).__name__})"
        return NoVerdict(f"{reason}, {ATTEMPTS} times", for_now=True)

    def _answer(self, prompt: str, logprobs: bool) -> "_Answer":
        """Ask once.

        Raises:
            OpenAIError: No answer.
            ValueError: What came back holds none; so do TypeError and AttributeError.
        """
        more: dict[str, Any] = {"logprobs": True, "top_logprobs": _LISTED} if logprobs else {}
        completion = self._client.chat.completions.create(
            model=self.model_there,
            messages=[{"role": "user", "content": prompt}],
            max_tokens=_WORDS,
            temperature=self.temperature,
            **more,
        )
        if not completion.choices:
            raise InputError("a completion without choices")
        first = completion.choices[0]
        text = first.message.content  # of a refusal None
        return _Answer(text if isinstance(text, str) else "", _listed(first) if logprobs else [])

    def _first(self, ask: Any, hint: str = "") -> Any:
        """Ask before anything is judged: refusals are the caller's, and silence ends the command.

        Raises:
            ModelUnavailableError: Nobody answers, or the model is not there.
        """
        import openai

        attempt = 1
        while True:
            try:
                return ask()
            except (openai.BadRequestError, openai.UnprocessableEntityError):
                raise
            except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
                if attempt == ATTEMPTS:
                    raise ModelUnavailableError(
                        f"no judge answers at {self.address}: {_reason(error)}{hint}"
                    ) from error
            time.sleep(self.pause * 2 ** (attempt - 1))
            attempt += 1

    @cached_property
    def _client(self) -> Any:
        try:
            import openai
        except ImportError:
            raise MissingPackageError(
                "a judge behind an address needs openai: pip install 'auctionsim[judges]'"
            ) from None
        return openai.OpenAI(
            base_url=self.address, api_key=os.environ.get(KEY) or "none", timeout=self.timeout, max_retries=0
        )


def is_address(name: str) -> bool:
    """Tell whether a judge's name is an address."""
    return name.startswith(("http://", "https://"))


@lru_cache(maxsize=16)
def address_judge(name: str) -> AddressJudge:
    """Return the judge behind an address; the same one in all of a process.

    Args:
        name: As in "http://localhost:8000/v1", "http://localhost:8000/v1#MODEL",
            "http://localhost:8000/v1#MODEL;samples=9;temperature=0.7;timeout=60".
    Raises:
        ValueError: It is written otherwise.
    Example:
        >>> address_judge("http://localhost:8000/v1#small;samples=9").samples
        9
    """
    address, _, rest = name.partition("#")
    model, *settings = rest.split(";")
    chosen: dict[str, Any] = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        kind = {"samples": int, "temperature": float, "timeout": float}.get(key)
        try:
            if kind is None or key in chosen:
                raise InputError(key)
            chosen[key] = kind(value)
        except ValueError:
            rule = "#MODEL, then ;samples=, ;temperature= or ;timeout= and a number, each once"
            raise InputError(f"after a judge's address come {rule}, got {setting!r}") from None
    return AddressJudge(address, model, **chosen)


class _Answer(NamedTuple):
    """What came back: the words, and the first token's likeliest words with their log probabilities."""

    text: str
    listed: list[tuple[str, float]]


def _listed(answer: Any) -> list[tuple[str, float]]:
    """Return the first token's likeliest words with their log probabilities; none where none are given.

    Raises:
        ValueError: One is no log probability.
    """
    content = getattr(getattr(answer, "logprobs", None), "content", None)
    listed = [(str(one.token), float(one.logprob)) for one in (content[0].top_logprobs or [])] if content else []
    if not all(math.isfinite(log_p) and log_p <= 1e-6 for _, log_p in listed):
        raise InputError(f"log probabilities are finite and at most 0, got {listed}")
    return listed


def _reason(error: Exception) -> str:
    """Return what an error is, in a few words."""
    import openai

    if isinstance(error, openai.APITimeoutError):
        return "no answer in time"
    if isinstance(error, openai.APIStatusError):
        return f"HTTP status {error.status_code}"
    return "no connection" if isinstance(error, openai.APIConnectionError) else type(error).__name__
