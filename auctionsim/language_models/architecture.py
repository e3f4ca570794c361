"""Where a model's feed-forward neurons are, found from the structure of its modules, not from their class names."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from auctionsim.errors import InputError


@dataclass(frozen=True)
class FeedForward:
    """One layer's feed-forward network.

    Attributes:
        layer: Its index, 0 at the embedding.
        down_projection: The linear module whose input is the neurons' activations, whose output joins the residual.
        num_neurons: Width of that input.
        width: Width of the residual stream.
        flattened: Its activations come as (row · position, neuron), not as (row, position, neuron); what a pass shows
            (`checking.observed`).
    """

    layer: int
    down_projection: nn.Module
    num_neurons: int
    width: int
    flattened: bool = False

    @property
    def hook_point(self) -> str:
        """The name of the neurons' activations, in TransformerLens's vocabulary."""
        return f"blocks.{self.layer}.mlp.hook_post"

    def write_vectors(self) -> Tensor:
        """Return what each neuron adds to the residual stream a unit of activation: (neuron, width)."""
        weight = self.down_projection.get_parameter("weight").detach()
        return weight if _is_transposed(self.down_projection) else weight.T


def find_feed_forwards(network: nn.Module) -> tuple[FeedForward, ...]:
    """Find the feed-forward network of every block.

    The blocks are the largest list of modules of one class near the token embedding. Within a block, a feed-forward
    network is the submodule that owns exactly one projection m → width and whose one or two other projections all go
    width → m (or 2m, gate and up fused); attention owns projections of other shapes. Plain and gated networks both fit.

    Raises:
        ValueError: No list of blocks, or a block where no feed-forward network is recognised.
    """
    width = _residual_width(network)
    blocks = find_blocks(network)
    found = []
    for layer, block in enumerate(blocks):
        candidates = [fit for module in block.modules() if (fit := _as_feed_forward(layer, module, width)) is not None]
        if not candidates:
            raise InputError(
                f"no feed-forward layer recognised in block {layer} ({type(block).__name__}) of "
                f"{type(network).__name__}: expected one projection m -> width beside one or two width -> m"
            )
        found.append(max(candidates, key=lambda fit: fit.num_neurons))
    if len({fit.num_neurons for fit in found}) > 1:
        sizes = Counter(fit.num_neurons for fit in found)
        raise InputError(
            f"{type(network).__name__}: layers of different widths are not supported, found {dict(sizes)} neurons a "
            "layer"
        )
    return tuple(found)


def find_blocks(network: nn.Module) -> nn.ModuleList:
    """Return the list of blocks nearest to the token embedding: beside it, else beneath the module that holds both.

    Raises:
        ValueError: There is no list of blocks of one class.
    """
    for ancestor in _ancestors_of_embedding(network):
        for lists in (_lists(ancestor.children()), _lists(ancestor.modules())):
            if lists:
                return max(lists, key=lambda blocks: sum(1 for _ in blocks[0].modules()) * len(blocks))
    raise InputError(
        f"{type(network).__name__} has no list of transformer blocks of one class: no feed-forward layer recognised"
    )


def _lists(modules: Iterable[nn.Module]) -> list[nn.ModuleList]:
    """Return the lists of blocks of one class that hold projections."""
    return [
        module
        for module in modules
        if isinstance(module, nn.ModuleList)
        and len({type(block) for block in module}) == 1
        and any(_shape(part) for part in module[0].modules())
    ]


def _ancestors_of_embedding(network: nn.Module) -> list[nn.Module]:
    """Return the modules that hold the token embedding, innermost first; the network alone where none is found."""
    embedding = network.get_input_embeddings()  # type: ignore[operator]
    name = next((name for name, module in network.named_modules() if module is embedding), "")
    parts = name.split(".")[:-1]
    return [network.get_submodule(".".join(parts[:depth])) for depth in range(len(parts), -1, -1)]


def _residual_width(network: nn.Module) -> int:
    find = getattr(network, "get_input_embeddings", None)
    embeddings = None if find is None else find()
    if not isinstance(embeddings, nn.Embedding):
        raise InputError(
            f"{type(network).__name__} has no token embedding: the width of its residual stream is unknown"
        )
    return embeddings.embedding_dim


def _as_feed_forward(layer: int, module: nn.Module, width: int) -> FeedForward | None:
    projections = [(child, shape) for child in module.children() if (shape := _shape(child)) is not None]
    for down, (m, outputs) in projections:
        others = [shape for child, shape in projections if child is not down]
        if (
            outputs == width != m
            and 1 <= len(others) <= 2
            and all(shape in ((width, m), (width, 2 * m)) for shape in others)
        ):
            return FeedForward(layer, down, m, width)
    return None


def _is_transposed(module: nn.Module) -> bool:
    return type(module).__name__ == "Conv1D"  # transformers' GPT-2 layer stores (in, out)


def _shape(module: nn.Module) -> tuple[int, int] | None:
    """Return (inputs, outputs) of a linear projection, None for anything else."""
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    if _is_transposed(module):
        inputs, outputs = module.get_parameter("weight").shape
        return int(inputs), int(outputs)
    return None
