"""How a prompt is framed for a reply: by the model's chat template, begun once, with no way to end its own turn.

A prompt is text. What would act as a control token (`<|im_end|>`, `<s>`, `<think>`), or would write the words that a
template ends a turn with (`[/INST]`, `### Response:`), is refused, so that no prompt can speak for the model. Text that
is added around a prompt, or to the system message, obeys the same rule.
"""

import itertools
import re
from typing import Any

from torch import nn

from auctionsim.errors import InputError, UnsupportedError

_SWITCHES = ("enable_thinking", "thinking", "enable_reasoning")  # what templates call the switch
_BUDGETS = ("thinking_budget",)  # tokens of thought; 0 is none
_OPEN_THOUGHT = re.compile(r"<(?P<tag>[\w:]*think(?:ing)?)>\s*$")
_MARKUP = re.compile(r"<\S.*>|\[\S.*\]|\{\S.*\}", re.DOTALL)
_QUESTION, _ANSWER = "Question: ", "\nAnswer:"
_SAMPLE, _SAMPLE_REPLY = "Which shoes", "Certainly"  # stand for any prompt and any reply
_SAMPLE_SYSTEM = "Answer in verse"  # and for any system message


def framed_ids(
    tokenizer: Any, prompt: str, *, thinking: bool = False, system: str | None = None, what: str = "the prompt"
) -> list[int]:
    """Return the token ids of a user's prompt, ready for the reply's first token.

    The chat template says how; it also says whether there is a start token. A template with a switch for thinking is
    told `thinking`; one without a switch that opens a thought gets it closed, empty, unless `thinking`. Without a
    template the frame is "Question: …\\nAnswer:", after the start token if the tokenizer puts one before text.

    Args:
        tokenizer: A transformers tokenizer.
        prompt: What the user says.
        thinking: Let a reasoning model think before it answers.
        system: What a system message says; None leaves it out, or to the template.
        what: What messages call the prompt.
    Raises:
        ValueError: A prompt with control tokens or the words that end its turn; a template that refuses it, or leaves
            out the prompt or the system message.
    """
    before, after = _frame(tokenizer, thinking, system)
    control = control_tokens(tokenizer)
    _refuse_turn_end(prompt, what, before, after, set(control.values()))
    if not _template(tokenizer):
        return [*start_ids(tokenizer), *plain_ids(tokenizer, f"{before}{prompt}{after}")]
    ids = _encoded(tokenizer, _rendered(tokenizer, prompt, thinking, system))
    usual = [token for token in _encoded(tokenizer, before + _SAMPLE + after) if token in control]
    if [token for token in ids if token in control] != usual:
        present = [text for text in control.values() if text in prompt]
        raise InputError(_no_control(prompt, present))
    return ids


def default_system(tokenizer: Any, *, thinking: bool = False) -> str | None:
    """Return what the chat template says in a system message by itself: "" nothing, None has no place for one.

    Found by rendering a prompt with a system message and without one: what stands where the message stood. It is
    right, since as a message of its own it gives what the template wrote by itself. A frame without a template has a
    place, before the question.

    Raises:
        ValueError: The template refuses a prompt by itself.
        UnsupportedError: It writes something else, elsewhere, where no message is given.
    """
    if not _template(tokenizer):
        return ""
    alone = _rendered(tokenizer, _SAMPLE, thinking, None)
    around = _system_frame(tokenizer, thinking)
    if around is None:
        return None
    before, after = around
    with_message = before + _SAMPLE_SYSTEM + after
    inner = alone[len(before) : len(alone) - len(after)]
    if before + inner + after == alone:
        if not inner or _rendered(tokenizer, _SAMPLE, thinking, inner) == alone:
            return inner
    elif _common(alone, with_message) + _common(alone[::-1], with_message[::-1]) >= len(alone):
        return ""  # the message was put in, nothing was taken out
    raise UnsupportedError(
        "what the chat template writes without a system message cannot be kept beside one: set the model's `system`"
    )


def check_added(
    tokenizer: Any, text: str, what: str, *, thinking: bool = False, system: str | None = None, to_system: bool = False
) -> None:
    """Refuse text that is added to a prompt, or to the system message, and is more than plain text in its frame.

    Args:
        tokenizer: A transformers tokenizer.
        text: What is added.
        what: What messages call it.
        thinking: As in `framed_ids`.
        system: As in `framed_ids`.
        to_system: It is added to the system message, not to what the user says.
    Raises:
        ValueError: Control tokens, or the words that end its turn; names the text.
    """
    around = _system_frame(tokenizer, thinking) if to_system else _frame(tokenizer, thinking, system)
    before, after = around or ("", "")
    control = control_tokens(tokenizer)
    _refuse_turn_end(text, what, before, after.replace(_SAMPLE, "\n"), set(control.values()))
    present = [control[token] for token in _encoded(tokenizer, text) if token in control]
    if present:
        raise InputError(_no_control(text, present, what))


def plain_ids(tokenizer: Any, text: str) -> list[int]:
    """Return the token ids of a piece of text, without special tokens.

    Raises:
        ValueError: The text contains a control token.
    """
    ids = _encoded(tokenizer, text)
    control = control_tokens(tokenizer)
    present = [control[token] for token in ids if token in control]
    if present:
        raise InputError(_no_control(text, present))
    return ids


def start_ids(tokenizer: Any) -> list[int]:
    """Return the tokens that the tokenizer puts before text by itself, none or one as a rule."""
    plain = _encoded(tokenizer, _SAMPLE)
    whole = [int(token) for token in tokenizer(_SAMPLE)["input_ids"]]
    for start in range(len(whole) - len(plain) + 1):
        if whole[start : start + len(plain)] == plain:
            return whole[:start]
    return []


def end_ids(tokenizer: Any, network: nn.Module) -> tuple[int, ...]:
    """Return the tokens that end a reply: the generation config's, the tokenizer's, the template's end of a turn."""
    settings = getattr(network, "generation_config", None)
    configured = getattr(settings, "eos_token_id", None)
    if configured is None:
        configured = getattr(getattr(network, "config", None), "eos_token_id", None)
    several = list(configured) if isinstance(configured, (list, tuple)) else [configured]
    ends = [*several, tokenizer.eos_token_id, _turn_end_id(tokenizer)]
    return tuple(dict.fromkeys(int(end) for end in ends if end is not None))


def control_tokens(tokenizer: Any) -> dict[int, str]:
    """Return the tokens that text must not contain, by id: special ones, and added ones that look like mark-up.

    The token for unknown characters is text, unless it serves as another one too.
    """
    added = {int(token): entry for token, entry in tokenizer.added_tokens_decoder.items()}
    control = {token: str(e.content) for token, e in added.items() if e.special or _MARKUP.fullmatch(e.content.strip())}
    control |= {int(token): str(tokenizer.convert_ids_to_tokens(token)) for token in tokenizer.all_special_ids}
    unknown = getattr(tokenizer, "unk_token_id", None)
    roles = ("bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "cls_token_id", "mask_token_id")
    if unknown is not None and all(getattr(tokenizer, role, None) != unknown for role in roles):
        control.pop(int(unknown), None)
    return control


def check_tokenizer(tokenizer: Any, embedding_rows: int, *, thinking: bool = False, system: str | None = None) -> None:
    """Refuse a tokenizer whose tokens the network does not have, or whose template cannot frame a prompt.

    Raises:
        ValueError: The reason, in one line.
    """
    longest = max(tokenizer.get_vocab().values(), default=-1) + 1
    if longest > embedding_rows:
        raise InputError(f"its tokenizer has {longest} tokens, its embedding {embedding_rows} rows")
    if len(framed_ids(tokenizer, _SAMPLE, thinking=thinking, system=system)) < 2:
        raise InputError("its tokenizer leaves fewer than 2 tokens of a framed prompt")


def _template(tokenizer: Any) -> str:
    """Return the chat template, empty where there is none.

    Raises:
        ValueError: Several templates, none of them the default.
    """
    templates = getattr(tokenizer, "chat_template", None)
    if isinstance(templates, dict):
        if "default" not in templates:
            raise InputError(f"the tokenizer has chat templates {', '.join(sorted(templates))}, none named default")
        return str(templates["default"])
    return templates or ""


def _frame(tokenizer: Any, thinking: bool, system: str | None) -> tuple[str, str]:
    """Return what stands before and after the user's words.

    Raises:
        ValueError: The template refuses them, or leaves them or the system message out.
    """
    if not _template(tokenizer):
        return (f"{system}\n\n{_QUESTION}" if system else _QUESTION), _ANSWER
    before, present, after = _rendered(tokenizer, _SAMPLE, thinking, system).rpartition(_SAMPLE)
    if not present:
        raise InputError("the chat template leaves out what the user says")
    if system is not None and system.strip() and _system_frame(tokenizer, thinking) is None:
        raise InputError("the chat template leaves out what a system message says")
    return before, after


def _system_frame(tokenizer: Any, thinking: bool) -> tuple[str, str] | None:
    """Return what stands before and after a system message; None where the template has no place for one."""
    if not _template(tokenizer):
        return "\n", f"\n\n{_QUESTION}{_SAMPLE}{_ANSWER}"
    try:
        with_message = _rendered(tokenizer, _SAMPLE, thinking, _SAMPLE_SYSTEM)
    except InputError:
        return None
    before, present, after = with_message.partition(_SAMPLE_SYSTEM)
    return (before, after) if present else None


def _common(text: str, other: str) -> int:
    """Return how many first characters two texts share."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(text, other, strict=False)))


def _rendered(tokenizer: Any, prompt: str, thinking: bool, system: str | None) -> str:
    """Return a prompt in the template's frame, a thought that it opens closed unless `thinking`."""
    messages = [{"role": "system", "content": system}] if system is not None else []
    text = _applied(tokenizer, [*messages, {"role": "user", "content": prompt}], thinking, add_generation_prompt=True)
    opened = None if thinking else _OPEN_THOUGHT.search(text)
    return text if opened is None else f"{text.rstrip()}\n\n</{opened['tag']}>\n\n"


def _applied(tokenizer: Any, messages: list[dict[str, str]], thinking: bool, *, add_generation_prompt: bool) -> str:
    """Return the template's text, its switches for thinking set.

    Raises:
        ValueError: The template refuses the messages.
    """
    from jinja2 import TemplateError

    template = _template(tokenizer)
    switches: dict[str, bool | int] = {name: thinking for name in _SWITCHES if re.search(rf"\b{name}\b", template)}
    if not thinking:
        switches |= {name: 0 for name in _BUDGETS if re.search(rf"\b{name}\b", template)}
    try:
        text = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=add_generation_prompt, **switches
        )
    except (TemplateError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        roles = " and a ".join(message["role"] for message in messages)
        raise InputError(f"the chat template refuses a {roles} message: {reason}") from error
    return str(text)


def _turn_end_id(tokenizer: Any) -> int | None:
    """Return the control token that the template writes right after a reply, if there is one."""
    if not _template(tokenizer):
        return None
    turns = [{"role": "user", "content": _SAMPLE}, {"role": "assistant", "content": _SAMPLE_REPLY}]
    try:
        text = _applied(tokenizer, turns, False, add_generation_prompt=False)
    except ValueError:
        return None  # a template for one turn
    _, found, after = text.rpartition(_SAMPLE_REPLY)
    after = after.lstrip()
    ends = [(text, token) for token, text in control_tokens(tokenizer).items() if text and after.startswith(text)]
    return max(ends, key=lambda end: len(end[0]))[1] if found and ends else None


def _encoded(tokenizer: Any, text: str) -> list[int]:
    return [int(token) for token in tokenizer(text, add_special_tokens=False)["input_ids"]]


def _refuse_turn_end(prompt: str, what: str, before: str, after: str, control: set[str]) -> None:
    """Refuse text that writes what the frame ends its turn with in plain text.

    Raises:
        ValueError: It contains one of the words between the frame's control tokens; bare words such as "assistant"
            are text.
    """
    split = "|".join(re.escape(text) for text in sorted(control, key=len, reverse=True) if text)
    pieces = re.split(split, after) if split else [after]
    for piece in pieces:
        for number, line in enumerate(piece.split("\n")):
            words = line.strip()
            marked = re.search(r"[^\w\s]", words) is not None
            if marked and (f"\n{words}" if number else words) in before[-1:] + prompt:
                raise InputError(f"{what} {_shown(prompt)} contains {words!r}, which ends its turn in this frame")


def _no_control(text: str, present: list[str], what: str = "") -> str:
    marks = (
        ", ".join(dict.fromkeys(repr(token) for token in present))
        or "text that this tokenizer reads as a control token"
    )
    kind, named = ("what is added is", f"{what} {_shown(text)}") if what else ("a prompt is", _shown(text))
    return f"{named} contains {marks}: {kind} plain text, without control tokens"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "…")
