"""The command that serves the playground."""

from typing import Annotated

import typer

from auctionsim.cli.options import Device, Dtype, Model, SurfaceName, console


def play(
    surface: SurfaceName = "running-shoes-2@3",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 8765,
    no_model: Annotated[bool, typer.Option("--no-model", help="Write no replies: no model is loaded.")] = False,
    open_page: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser of this machine.")
    ] = True,
    model: Model = "smollm2",
    device: Device = "auto",
    dtype: Dtype = "auto",
) -> None:
    """Serve a page on this machine on which an auction is moved by sliders; Ctrl-C ends it.

    Allocation, prices, user loss and what a lie would gain are computed from the measured surface; the model is loaded
    when the first reply is asked for.
    """
    from auctionsim.play import ModelChoice, serve

    def ready(address: str) -> None:
        console.print(f"the playground is at {address} (Ctrl-C ends it)", soft_wrap=True)
        if open_page:
            typer.launch(address)

    serve(surface, None if no_model else ModelChoice(model, device, dtype), port, ready)
    console.print("the playground has ended")
