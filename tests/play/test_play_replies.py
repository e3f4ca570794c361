"""Replies on the page: the substrate's own, streamed; text stays text; who goes away is not written for any longer."""

import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from play_fakes import BRANDS, OWN, events, playground, toy_model, toy_surface, toy_writer

from auctionsim.brands import Brand
from auctionsim.carriers.neurons import Neurons
from auctionsim.errors import ModelUnavailableError
from auctionsim.language_models import LanguageModel
from auctionsim.neurons import BrandNeurons
from auctionsim.play import PlayedSurface, Writer
from auctionsim.play.replies import carrier_of, mentions_in, silence
from auctionsim.play.streams import MOST_WAITING
from auctionsim.substrates.language_model import LanguageModelSubstrate

AMPLIFIED = "/api/reply?values=1,.1&user_weight=0&seed=3&context=comparison&prompt=1"


def last_texts(found: list[dict[str, Any]]) -> list[str]:
    texts = ["", ""]
    for event in found:
        if "row" in event:
            texts[event["row"]] = event["text"]
    return texts


def test_a_pair_is_what_the_substrate_draws_from_the_same_numbers(tmp_path: Path) -> None:
    with playground(tmp_path, writer=toy_writer()) as client:
        found = events(client, AMPLIFIED)
        told = client.get(AMPLIFIED.replace("reply", "auction")).json()
        prompt = told["prompt"]
    assert [one["gets"] for one in told["bidders"]] == ["16 neurons × 3", "nothing"]
    neurons = BrandNeurons.load(tmp_path / "neurons.safetensors")
    played = toy_surface(tmp_path)
    substrate = LanguageModelSubstrate(
        toy_model(), Neurons(neurons, num_neurons=16, amplification=3.0), played.prompts, max_new_tokens=12, seed=3
    )
    allocation = substrate.null_allocation(2)
    allocation[1, 0] = allocation.new_tensor([16.0, 3.0])
    expected = substrate.replies(prompt, allocation, (1, 1), 1)
    assert last_texts(found) == list(expected.texts)
    assert expected.texts[0] != expected.texts[1]
    assert found[-1]["done"] is True
    assert [event["stage"] for event in found if "stage" in event] == ["loading the model"]
    grown = [event["text"] for event in found if event.get("row") == 1]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(grown))


def test_the_model_is_loaded_once_and_not_before_it_is_asked(tmp_path: Path) -> None:
    loads: list[int] = []

    def load() -> LanguageModel:
        loads.append(1)
        return toy_model()

    with playground(tmp_path, writer=Writer(load)) as client:
        client.get("/api/auction")
        assert not loads
        assert events(client)[0] == {"stage": "loading the model"}
        assert "stage" not in events(client)[0]
    assert len(loads) == 1


def test_a_model_that_is_not_here_is_one_sentence(tmp_path: Path) -> None:
    def load() -> LanguageModel:
        raise ModelUnavailableError("the model is not here: install it")

    with playground(tmp_path, writer=Writer(load)) as client:
        assert events(client)[-1] == {"error": "the model is not here: install it"}
        assert client.get("/api/auction").status_code == 200


def test_without_a_model_the_page_says_so(tmp_path: Path) -> None:
    with playground(tmp_path) as client:
        answer = client.post("/api/reply", headers=OWN)
        assert answer.status_code == 400
        assert answer.json()["error"] == client.get("/api/surface").json()["silence"]
        assert "--no-model" in answer.json()["error"]


class SlowWriter(Writer):
    """A writer that draws a token whenever the test lets it, and notes where it stands."""

    def __init__(self) -> None:
        super().__init__(toy_model)
        self.go, self.steps, self.closed = threading.Semaphore(0), 0, threading.Event()

    def events(self, played: Any, ask: Any) -> Any:
        try:
            for _ in range(1000):
                self.go.acquire()
                self.steps += 1
                yield {"row": 0, "text": "x" * self.steps, "mentions": []}
        finally:
            self.closed.set()


def until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def served(folder: Path, writer: Writer) -> Any:
    """A real server on a free port in a thread, since a test client does not close a connection half way."""
    import uvicorn

    from auctionsim.play import Catalogue, play_app
    from auctionsim.play.serving import bound

    listening = bound(0)
    port = int(listening.getsockname()[1])
    app: Any = play_app(Catalogue([toy_surface(folder)]), writer, port)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", http="h11"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    until(lambda: server.started)
    return server, thread, port


def ask(port: int) -> Any:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", "/api/reply", headers={"origin": f"http://127.0.0.1:{port}", "x-auctionsim": "play"})
    return connection


def test_who_goes_away_stops_the_work_and_few_may_wait(tmp_path: Path) -> None:
    writer = SlowWriter()
    server, thread, port = served(tmp_path, writer)
    try:
        first = ask(port)
        writer.go.release()
        reading = first.getresponse()
        assert b'"text": "x"' in reading.readline()
        waiting = [ask(port) for _ in range(MOST_WAITING - 1)]
        assert [b"waiting" in one.getresponse().readline() for one in waiting] == [True] * len(waiting)
        late = ask(port)
        refused = late.getresponse()
        assert refused.status == 503
        assert b"try again" in refused.read()
        late.close()
        for one in waiting:
            one.close()
        reading.close()
        first.close()
        time.sleep(0.2)
        writer.go.release()  # the token that was being drawn
        until(writer.closed.is_set)
        assert writer.steps == 2
        again = ask(port)
        writer.go.release()
        assert again.getresponse().status == 200
        again.close()
        writer.go.release(1000)
    finally:
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Nike and adidas", [(0, 4, 0), (9, 15, 1)]),
        ("👟👟 Nike", [(5, 9, 0)]),
        ("<b>Nike</b><script>", [(3, 7, 0)]),
        ("", []),
    ],
)
def test_mentions_are_counted_as_browsers_count(text: str, found: list[tuple[int, int, int]]) -> None:
    assert [tuple(one) for one in mentions_in(text, [Brand("Nike"), Brand("Adidas")])] == found
    units = text.encode("utf-16-le")
    for start, stop, brand in found:
        assert units[2 * start : 2 * stop].decode("utf-16-le").lower() == ("nike", "adidas")[brand]


def test_a_surface_whose_neurons_are_not_here_says_so(tmp_path: Path) -> None:
    played = toy_surface(tmp_path)
    assert silence(played) == ""
    assert carrier_of(played).brands == BRANDS
    (tmp_path / "neurons.safetensors").unlink()
    assert "do not ship" in silence(PlayedSurface("toy", played.measurement, played.path))
