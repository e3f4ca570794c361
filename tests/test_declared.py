"""What an object can do is declared, never guessed: no hasattr, no getattr with a default, no isinstance of a protocol.

Nor are errors told apart by their words. The exceptions stand below, each with its reason; one that is gone must go
from the list too.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ERRORS = [f"str({name})" for name in ("error", "failure", "exception", "problem")]
FOLDERS = ("auctionsim", "agents", "envs", "experiments")
SERVERS = "what a server leaves out of its answer is not there"
MODELS = "transformers' networks, configs and tokenizers have what their family has"
SYSTEM = "an operating system has it or not"
NUMBERS = "Python's own protocol of numbers"
REASONS = {
    ("auctionsim/claims.py", "getattr(source, '__abstractmethods__', frozenset())"): "only abstract classes have it",
    ("auctionsim/claims.py", "getattr(owner, '__dict__', {})"): "objects with slots have none",
    ("auctionsim/checks.py", "hasattr(value, '__float__')"): NUMBERS,
    ("auctionsim/checks.py", "hasattr(value, '__index__')"): NUMBERS,
    ("auctionsim/files.py", "getattr(os, 'O_NONBLOCK', 0)"): SYSTEM,
    ("auctionsim/files.py", "getattr(os, 'O_BINARY', 0)"): SYSTEM,
    ("auctionsim/ray_folders.py", "hasattr(os, 'getuid')"): SYSTEM,
    ("auctionsim/threads.py", "hasattr(os, 'sched_getaffinity')"): SYSTEM,
    ("experiments/running/tuning.py", "hasattr(os, 'sched_getaffinity')"): SYSTEM,
    ("auctionsim/cli/failures.py", "'allocate memory' in str(error)"): "torch's CPU allocator has no class of errors",
    ("auctionsim/cli/failures.py", "hasattr(error, 'format_message')"): "click's errors, or those of typer's own copy",
    ("auctionsim/language_models/loading.py", "'trust_remote_code' in str(error)"): "a bare ValueError of transformers",
    ("auctionsim/language_models/devices.py", "hasattr(torch.cpu, 'get_capabilities')"): "newer torch has it",
    ("auctionsim/language_models/architecture.py", "getattr(network, 'get_input_embeddings', None)"): MODELS,
    ("auctionsim/language_models/attention.py", "getattr(config, 'layer_types', None)"): MODELS,
    ("auctionsim/language_models/attention.py", "getattr(m, 'config', None)"): MODELS,
    ("auctionsim/language_models/attention.py", "getattr(network, '_supports_attention_backend', False)"): MODELS,
    ("auctionsim/language_models/chat.py", "getattr(getattr(network, 'config', None), 'eos_token_id', None)"): MODELS,
    ("auctionsim/language_models/chat.py", "getattr(network, 'config', None)"): MODELS,
    ("auctionsim/language_models/chat.py", "getattr(network, 'generation_config', None)"): MODELS,
    ("auctionsim/language_models/chat.py", "getattr(settings, 'eos_token_id', None)"): MODELS,
    ("auctionsim/language_models/chat.py", "getattr(tokenizer, 'chat_template', None)"): MODELS,
    ("auctionsim/language_models/chat.py", "getattr(tokenizer, 'unk_token_id', None)"): MODELS,
    ("auctionsim/language_models/chat.py", "getattr(tokenizer, role, None)"): MODELS,
    ("auctionsim/language_models/checking.py", "getattr(module, 'config', None)"): MODELS,
    ("auctionsim/language_models/model.py", "getattr(self.network, 'config', None)"): MODELS,
    ("auctionsim/language_models/model.py", "getattr(text, 'max_position_embeddings', None)"): MODELS,
    ("auctionsim/language_models/model.py", "hasattr(config, 'get_text_config')"): MODELS,
    ("auctionsim/testing/tiny_networks.py", "getattr(default, name, None)"): MODELS,
    ("auctionsim/testing/tiny_networks.py", "hasattr(config, 'is_decoder')"): MODELS,
    ("auctionsim/testing/tiny_networks.py", "hasattr(part, 'to_dict')"): MODELS,
    (
        "auctionsim/substrates/protocol.py",
        "getattr(substrate, 'contexts', ())",
    ): "substrates that do not inherit may have it",
    ("auctionsim/judges/address.py", "getattr(answer, 'logprobs', None)"): SERVERS,
    ("auctionsim/judges/address.py", "getattr(getattr(answer, 'logprobs', None), 'content', None)"): SERVERS,
    ("auctionsim/judges/embedding_files.py", "getattr(config, 'max_position_embeddings', None)"): MODELS,
    (
        "auctionsim/judges/model.py",
        "getattr(self.network.config.get_text_config(), 'max_position_embeddings', None)",
    ): MODELS,
    (
        "auctionsim/readings/registry.py",
        "hasattr(sys.modules['auctionsim.readings'], '__all__')",
    ): "a package that is still being imported lacks its last name",
    ("agents/ppo.py", "getattr(module.unwrapped(), 'bidding', None)"): "a fixed policy's module has no network",
    (
        "envs/wrappers.py",
        "hasattr(env, 'env_method')",
    ): "three libraries' environments, none of which need be installed",
    ("envs/wrappers.py", "hasattr(env, 'possible_agents')"): "as above",
    ("experiments/running/plan.py", "getattr(like, one.name, None)"): "there may be no record to compare with",
    ("experiments/tables/bidder_scores.py", "hasattr(part, '_asdict')"): "named tuples have no class in common",
}


def protocols() -> set[str]:
    """Names of the classes that are protocols."""
    found = set()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef) and "Protocol" in {ast.unparse(base) for base in node.bases}:
                    found.add(node.name)
    return found


def is_guess(node: ast.AST, protocols: set[str]) -> bool:
    if isinstance(node, ast.Compare) and any(isinstance(op, ast.In) for op in node.ops):
        return any(ast.unparse(part) in ERRORS for part in node.comparators)
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return False
    if node.func.id == "isinstance" and len(node.args) == 2:
        return bool({name.id for name in ast.walk(node.args[1]) if isinstance(name, ast.Name)} & protocols)
    return node.func.id == "hasattr" or (node.func.id == "getattr" and len(node.args) == 3)


def guesses() -> set[tuple[str, str]]:
    """Files and expressions."""
    kinds, found = protocols(), set()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if is_guess(node, kinds):
                    found.add((str(path.relative_to(ROOT)), ast.unparse(node)))
    return found


def test_nothing_is_guessed_but_for_a_reason() -> None:
    found = guesses()
    new, gone = sorted(found - set(REASONS)), sorted(set(REASONS) - found)
    assert not new, f"declare it in a protocol instead, or give a reason here: {new}"
    assert not gone, f"these stand in the list and nowhere else: {gone}"


@pytest.mark.parametrize(
    "code",
    [
        "hasattr(x, 'draws')",
        "getattr(x, 'draws', False)",
        "isinstance(x, Substrate)",
        "isinstance(x, (int, Substrate))",
        "'memory' in str(error)",
        "any(word in str(error) for word in words)",
    ],
)
def test_a_guess_is_known_when_seen(code: str) -> None:
    assert "Substrate" in protocols()
    assert any(is_guess(node, protocols()) for node in ast.walk(ast.parse(code)))


@pytest.mark.parametrize(
    "code", ["getattr(record, name)", "isinstance(x, Mechanism)", "'a' in text", "getattr(x, 'y')"]
)
def test_what_is_no_guess_is_let_be(code: str) -> None:
    assert not any(is_guess(node, protocols()) for node in ast.walk(ast.parse(code)))
