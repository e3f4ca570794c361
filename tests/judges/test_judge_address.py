"""A judge behind an address: its answers are parsed, and what goes wrong there is never a number."""

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from auctionsim.agents.pacing import AnswerCounts, read_answers
from auctionsim.agents.pacing.language_model import LanguageModelBidding
from auctionsim.errors import FailedRunError
from auctionsim.judges import AddressJudge, NoVerdict, Verdict, address_judge, judge_prompt, verdict_judge
from auctionsim.judges.choices import RATING, YES_NO
from auctionsim.language_models import ModelUnavailableError
from auctionsim.language_models.packaged import packaged_folder
from auctionsim.market import CampaignTerms, TickStart
from auctionsim.readings import Reply, TextReading, Unscored, unregister
from auctionsim.readings import judge as judge_module
from auctionsim.readings.judge import judge_readings, judge_suffix, judged_by
from auctionsim.readings.values import read_texts

pytest.importorskip("openai", reason="pip install 'auctionsim[judges]'")


class Server(BaseHTTPRequestHandler):
    """A server that speaks just enough of the protocol, and answers by a script; the last line is repeated."""

    script: ClassVar[list[Any]] = ["yes"]
    shows_log_p: ClassVar[bool] = False
    draws: ClassVar[bool] = True
    numbers: ClassVar[list[int]] = []
    keys: ClassVar[set[str]] = set()
    models: ClassVar[list[str] | None] = ["small"]
    seen: ClassVar[list[dict[str, Any]]] = []

    def do_GET(self) -> None:
        if self.models is None:
            self._send(500, {})
            return
        self._send(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})

    def do_POST(self) -> None:
        self.keys.add(self.headers["Authorization"])
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked.get("logprobs") and not self.shows_log_p:
            self._send(400, {"error": {"message": "Unexpected fields in the request: {'logprobs'}"}})
            return
        if asked["messages"][0]["content"].startswith("Say yes or no"):  # tried before anything is judged
            self._answer("yes")
            return
        if asked["messages"][0]["content"].startswith("Write a random number"):
            self.numbers.append(len(self.numbers))
            self._answer(str(self.numbers[-1]) if self.draws else "12345678")
            return
        self.seen.append(asked)
        line = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(line, int):
            self._send(line, {"error": {"message": "no"}})
        elif isinstance(line, float):
            time.sleep(line)
            self._answer("yes")
        elif isinstance(line, dict):
            self._send(200, line)
        else:
            self._answer(line)

    def _answer(self, text: Any) -> None:
        choice: dict[str, Any] = {
            "index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}, "logprobs": None
        }  # fmt: skip
        if self.shows_log_p:
            listed = [(" Yes", -0.5), ("No", -1.5), ("Well", -3.0)] if text == "yes" else [("Well", -0.1)]
            items = [{"token": token, "logprob": log_p, "bytes": None} for token, log_p in listed]
            choice["logprobs"] = {"content": [{**items[0], "top_logprobs": items}], "refusal": None}
        whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "small", "choices": [choice]}
        self._send(200, whole)

    def _send(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # whoever asked has gone
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    state = {"script": ["yes"], "shows_log_p": False, "draws": True, "numbers": [], "keys": set()}
    state |= {"models": ["small"], "seen": []}
    for name, value in state.items():
        monkeypatch.setattr(Server, name, value)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def judge(address: str) -> Iterator[AddressJudge]:
    one = AddressJudge(address, samples=4, temperature=0.7, timeout=0.5, pause=0.01)
    yield one
    one.close()


def test_the_share_of_answers_is_the_verdict(judge: AddressJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "script", ["Yes.", "no", "I say yes", "**No**"])
    assert judge.verdicts(["Is it?"], YES_NO) == [Verdict((0.5, 0.5))]
    assert len(Server.seen) == 4
    assert {(asked["model"], asked["temperature"]) for asked in Server.seen} == {("small", 0.7)}
    assert not any("logprobs" in asked for asked in Server.seen)
    monkeypatch.setattr(Server, "script", ["4", "4/5", "3", "5"])
    assert judge.verdicts(["How good?"], RATING) == [Verdict((0, 0, 0.25, 0.5, 0.25))]
    prompt = judge_prompt("yes")
    how = "share of 4 answers at temperature 0.7"
    assert judge.basis(prompt) == f"{judge.address} small; {how}; prompt yes {prompt.digest}"


def test_no_other_services_key_is_sent(judge: AddressJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "of-another-service")
    judge.verdicts(["Is it?"], YES_NO)
    assert Server.keys == {"Bearer none"}
    judge.close()
    monkeypatch.setenv("AUCTIONSIM_JUDGE_KEY", "for-the-judge")
    judge.verdicts(["Is it?"], YES_NO)
    assert Server.keys == {"Bearer none", "Bearer for-the-judge"}
    assert "for-the-judge" not in judge.basis(judge_prompt("yes"))


def test_a_server_that_draws_nothing_is_asked_once(judge: AddressJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    """`transformers serve` takes a temperature and gives the likeliest words unless the model's settings say else."""
    monkeypatch.setattr(Server, "draws", False)
    monkeypatch.setattr(Server, "script", ["no"])
    assert judge.verdicts(["Is it?"], YES_NO) == [Verdict((0.0, 1.0))]
    assert len(Server.seen) == 1
    assert "; one answer, not drawn, at temperature 0.7; " in judge.basis(judge_prompt("yes"))


def test_log_probabilities_are_taken_where_they_are_given(judge: AddressJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "shows_log_p", True)
    (verdict,) = judge.verdicts(["Is it?"], YES_NO)
    assert isinstance(verdict, Verdict)
    assert verdict.probabilities[0] == pytest.approx(0.731059, abs=1e-6)
    assert verdict.logits == pytest.approx((-0.5, -1.5))
    assert len(Server.seen) == 1
    assert "; log probabilities; " in judge.basis(judge_prompt("yes"))
    monkeypatch.setattr(Server, "script", ["well"])
    (verdict,) = judge.verdicts(["Is it?"], YES_NO)
    assert verdict == NoVerdict("none of the options is among its likeliest words", True)


@pytest.mark.parametrize(
    ("script", "reason", "requests"),
    [
        ([500], "HTTP status 500, 3 times", 3),
        ([429], "HTTP status 429, 3 times", 3),
        ([404], "HTTP status 404, 3 times", 3),
        ([1.0], "no answer in time, 3 times", 3),
        ([{"choices": []}], "no answer in what came back", 3),
        ([{"choices": [{"message": None}]}], "no answer in what came back", 3),
        ([{"what": 1}], "no answer in what came back", 3),
        (["I cannot help with that."], "0 of 12 answers said one of yes, no", 12),
        ([None], "0 of 12 answers said one of yes, no", 12),
        (["yes", *["as an assistant …"] * 10, "no", "well"], "2 of 12 answers said one of yes, no", 12),
    ],
)
def test_what_goes_wrong_is_no_number(
    judge: AddressJudge, monkeypatch: pytest.MonkeyPatch, script: list[Any], reason: str, requests: int
) -> None:
    monkeypatch.setattr(Server, "script", script)
    (verdict,) = judge.verdicts(["Is it?"], YES_NO)
    assert isinstance(verdict, NoVerdict)
    assert verdict.for_now
    assert re.match(reason, verdict.reason)
    assert len(Server.seen) == requests


def test_what_passes_is_tried_again(judge: AddressJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "script", [500, 1.0, "yes", "nonsense", "yes", 503, "no", "yes"])
    assert judge.verdicts(["Is it?"], YES_NO) == [Verdict((0.75, 0.25))]


def test_readings_of_an_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"{address}#small;samples=2"
    known = {one.name: one for one in judge_readings(name)}
    assert Server.seen == []  # nothing is asked before a reading reads
    suffix = judge_suffix(name)
    assert suffix.startswith("_127_0_0_1_")
    assert sorted(known) == [
        f"judged_{what}{suffix}" for what in ("pairwise", "position", "rating", "reference", "yes")
    ]
    with pytest.raises(ValueError, match="mutual_information needs a model's log probabilities"):
        judged_by(name, ("mutual_information",))
    for one in known:
        unregister(one)
    judge_module._registered.pop(suffix)
    reading = known[f"judged_yes{suffix}"]
    assert isinstance(reading, TextReading)
    monkeypatch.setattr(Server, "script", ["yes", "yes", "no", "yes", "well"])
    replies = [Reply("Which?", text, [1], (k,)) for k, text in enumerate(("One.", "Two.", "", "Three <|im_end|>", "4"))]
    assert read_texts(reading, replies, ()) == [
        1.0, 0.5, Unscored("the reply is empty"), Unscored("it has what may be a control token of the judge's"),
        Unscored("0 of 6 answers said one of yes, no", True),
    ]  # fmt: skip
    address_judge(name).close()


def test_a_bidder_behind_an_address(address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is asked again a few times; while there is no answer the run stops, and it goes on from its record."""
    name, record = f"{address}#small;temperature=0.5;timeout=0.5", tmp_path / "answers.jsonl"
    monkeypatch.setattr(Server, "script", [500, "0.5", "a half", 500])
    address_judge.cache_clear()
    monkeypatch.setattr("auctionsim.judges.address.time.sleep", lambda _: None)
    campaign = CampaignTerms(np.array([1.0, 2.0, 3.0]), np.zeros(3), 24)
    first = TickStart(0, 0, campaign.budget, np.ones(3, dtype=bool))
    bidder = LanguageModelBidding(model=name, record=str(record))
    state = bidder.begin(campaign)
    two = first._replace(present=np.array([True, True, False]))
    assert bidder.orders(state, campaign, two).multiplier.tolist() == [0.5, 1.0, 0.0]
    assert read_answers(record).basis.startswith(f"{address} small; temperature 0.5; prompt ")
    assert "budget per day: 1\n" in Server.seen[0]["messages"][0]["content"]
    with pytest.raises(
        FailedRunError, match=r"no bidder answers at .*: HTTP status 500, 3 times; the same run goes on"
    ):
        bidder.orders(state, campaign, first)
    monkeypatch.setattr(Server, "script", ["2"])
    assert bidder.orders(state, campaign, first).multiplier.tolist() == [0.5, 1.0, 2.0]
    assert bidder.counts() == AnswerCounts(answers=3, unparsable=1)
    address_judge(name).close()


def test_who_is_there_is_asked_first(judge: AddressJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "models", ["small", "large"])
    with pytest.raises(ValueError, match=r"name the judge's model as .*/v1#MODEL; those that are there: small, large"):
        judge.basis(judge_prompt("yes"))
    monkeypatch.setattr(Server, "models", None)
    with pytest.raises(ModelUnavailableError, match=r"no judge answers at .*: HTTP status 500; name .*/v1#MODEL"):
        judge.basis(judge_prompt("yes"))


def test_nobody_there_ends_the_command() -> None:
    silent = AddressJudge("http://127.0.0.1:9/v1", "small", timeout=0.5, pause=0.01)
    with pytest.raises(ModelUnavailableError, match=r"no judge answers at http://127\.0\.0\.1:9/v1: no connection"):
        silent.basis(judge_prompt("yes"))
    silent.close()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("http://", "begins with http:// or https:// and a host"),
        ("https://user:secret@host/v1", "no password and no query"),
        ("http://host/v1?key=1", "no password and no query"),
        ("http://host/v1#m;samples=0", "1 to 1000 samples at a temperature above 0"),
        ("http://host/v1#m;temperature=0", "1 to 1000 samples at a temperature above 0"),
        ("http://host/v1#m;samples=many", "after a judge's address come .*, got 'samples=many'"),
        ("http://host/v1#m;seed=1", "after a judge's address come .*, got 'seed=1'"),
    ],
)
def test_an_address_that_is_none_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        verdict_judge(name)
    assert "secret" not in str(refused.value)


def sampling_copy(folder: Path) -> Path:
    """The packaged SmolLM2 with settings by which `transformers serve` draws; its weights are links."""
    folder.mkdir()
    for path in packaged_folder().iterdir():
        (folder / path.name).symlink_to(path)
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").unlink()
    (folder / "generation_config.json").write_text(json.dumps({**settings, "do_sample": True}))
    return folder


@pytest.mark.deep
def test_a_real_server_judges(tmp_path: Path) -> None:
    """`transformers serve` with the packaged SmolLM2: it gives no log probabilities, so answers are drawn."""
    pytest.importorskip("fastapi", reason="pip install 'transformers[serving]'")
    pytest.importorskip("uvicorn", reason="pip install 'transformers[serving]'")
    port, folder = 18765, str(sampling_copy(tmp_path / "smollm2"))
    start = "from transformers.cli.transformers import main; main()"
    command = [sys.executable, "-c", start, "serve", folder, "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        _wait_for(server, f"http://localhost:{port}/health", tmp_path / "log")
        judge = AddressJudge(f"http://localhost:{port}/v1", folder, samples=3, timeout=300)
        assert not judge.shows_probabilities
        assert judge.draws
        prompt = judge_prompt("yes").fill({"question": "Which shoes?", "reply": "I would choose light ones."})
        easy, (verdict,) = "Is water wet? Say yes or no, and nothing else.", judge.verdicts([prompt], YES_NO)
        for one in (verdict, *judge.verdicts([easy], YES_NO)):
            if isinstance(one, NoVerdict):
                assert "answers said one of yes, no" in one.reason
            else:
                assert sum(one.probabilities) == pytest.approx(1)
                assert one.logits is None
        judge.close()
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(server: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    for _ in range(300):
        if server.poll() is not None:
            pytest.fail(log.read_text()[-2000:])
        try:
            urllib.request.urlopen(address, timeout=1).close()
            return
        except OSError:
            time.sleep(1)
    pytest.fail(f"nobody answers at {address} in 300 seconds")
