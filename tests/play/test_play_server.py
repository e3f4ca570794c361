"""The playground answers its own page, and everybody else in one sentence: never an error page, never a leak."""

import asyncio
import gc
import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from play_fakes import OWN, PAGE, playground, toy_writer
from starlette.testclient import TestClient

from auctionsim.play.guards import MOST_BODY, MOST_QUERY, Guard


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with playground(tmp_path_factory.mktemp("toy"), writer=toy_writer()) as started:
        yield started


def error(client: TestClient, address: str, status: int = 400, **more: Any) -> str:
    answer = client.get(address, **more)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    sentence = answer.json()["error"]
    assert isinstance(sentence, str)
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    return sentence


def test_an_auction_is_told(client: TestClient) -> None:
    told = client.get("/api/auction?rule=vcg&values=1,.1&user_weight=0").json()
    first, second = told["bidders"]
    assert first["gets"] == "16 neurons × 3"
    assert second["gets"] == "nothing"
    assert first["exposure"] > first["untouched"]
    assert first["worth"] == pytest.approx(first["payment"] + first["utility"])
    assert first["payment"] <= first["worth"]
    assert told["sentences"]["allocation"] == "or gets 16 neurons × 3."


def test_who_bids_nothing_gets_and_pays_nothing(client: TestClient) -> None:
    told = client.get("/api/auction?values=1,1&bids=0,0&rule=pay-as-bid&user_weight=1").json()
    assert [one["gets"] for one in told["bidders"]] == ["nothing", "nothing"]
    assert [one["payment"] for one in told["bidders"]] == [0, 0]
    assert told["loss"]["amount"] == 0


def test_a_price_keeps_its_budget_and_says_so(client: TestClient) -> None:
    free = client.get("/api/auction?rule=pay-as-bid&values=1,.1").json()["bidders"][0]
    budget = free["payment"] / 2
    held = client.get(f"/api/auction?rule=pay-as-bid&values=1,.1&budgets={budget:.6f},none").json()["bidders"][0]
    assert held["payment"] <= budget + 1e-6
    assert held["bid"] < free["bid"]
    assert held["lowered"].startswith("Its bid of 1.000 was lowered to ")


def test_a_lie_gains_where_bids_are_paid_and_nothing_under_vcg(client: TestClient) -> None:
    curves = client.get("/api/misreports?bidder=0&rule=pay-as-bid&values=.8,.6").json()["curves"]
    by_rule = {one["rule"]: one for one in curves}
    assert by_rule["pay-as-bid"]["gain"] > 0.01
    assert by_rule["vcg"]["gain"] == 0
    assert "there is a proof" in by_rule["vcg"]["sentence"]
    assert "must be trained" in by_rule["menu"]["reason"]
    curve = by_rule["pay-as-bid"]
    told = client.get(f"/api/auction?rule=pay-as-bid&values=.8,.6&bids={curve['bids'][curve['best']]},truth").json()
    assert told["bidders"][0]["utility"] == pytest.approx(curve["utilities"][curve["best"]])


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("values=nan,1", "values must be numbers from 0 to 1, got 'nan'"),
        ("values=1", "values must be 2 with commas between, one per brand, got 1"),
        ("values=2,0", "values must be numbers from 0 to 1, got '2'"),
        ("bids=-1,0", "bids must be numbers from 0 to 1.5, or truth, got '-1'"),
        ("budgets=1e999,0", "budgets must be numbers from 0 to 1000, or none"),
        ("user_weight=", "user_weight must be numbers from 0 to 100, got ''"),
        ("context=direct", "context must be one of request, comparison, related, got 'direct'"),
        ("prompt=4", "prompt must be a whole number from 0 to 3, got '4'"),
        ("prompt=٣", "prompt must be a whole number from 0 to 3"),
        ("loss=quality", "loss must be one of kl, got 'quality'"),
        ("rule=first-price", "first-price cannot be played here: it needs"),
        ("rule=menu", "menu cannot be played here: it must be trained first"),
        ("rule=nosuch", "rule must be one of vcg, optimum, pay-as-bid"),
        ("surface=../../etc/passwd", "surface must be one of toy, got '../../etc/passwd'"),
        ("nosuch=1", "there is no 'nosuch' to set"),
        ("seed=1&seed=2", "seed stands twice"),
        ("seed=" + "9" * 300, "seed must have at most 200 letters, got 300"),
    ],
)
def test_a_bad_value_is_one_sentence(client: TestClient, query: str, words: str) -> None:
    assert error(client, f"/api/auction?{query}").startswith(words)


def test_what_is_not_there_is_one_sentence(client: TestClient) -> None:
    assert error(client, "/nosuch", 404) == "there is nothing at '/nosuch'"
    assert error(client, "/../server.py", 404)
    assert client.post("/api/auction", headers=OWN).json() == {"error": "POST is not answered there"}
    assert "bidder must be one whole number" in error(client, "/api/misreports")
    assert "from 0 to 1, got 2" in error(client, "/api/misreports?bidder=2")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1:1"}, 421),
        ({"host": "127.0.0.1"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_other_origins_are_refused(client: TestClient, headers: dict[str, str], status: int) -> None:
    for address in ("/", "/play.js", "/api/auction"):
        assert error(client, address, status, headers=headers)


def test_a_link_from_elsewhere_opens_the_page_and_nothing_else(client: TestClient) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=link).status_code == 200
    assert client.get("/", headers={"host": "localhost:8765"}).status_code == 200
    assert error(client, "/api/auction", 403, headers=link)


@pytest.mark.parametrize("lacking", ["origin", "x-auctionsim"])
def test_a_reply_is_written_for_the_own_page_only(client: TestClient, lacking: str) -> None:
    headers = {name: value for name, value in OWN.items() if name != lacking}
    assert client.post("/api/reply", headers=headers).status_code == 403
    assert client.get("/api/reply", headers=OWN).status_code == 405
    assert client.options("/api/reply", headers=OWN).status_code == 405


def test_requests_have_bounds(client: TestClient) -> None:
    assert client.get("/api/auction?" + "x" * (MOST_QUERY + 1)).status_code == 414
    assert client.post("/api/reply", headers=OWN, content=b"x" * (MOST_BODY + 1)).status_code == 413
    assert client.post("/api/reply", headers=OWN, content=iter([b"x"])).status_code == 413


def test_every_answer_has_its_headers(client: TestClient) -> None:
    for address in ("/", "/play.js", "/api/auction", "/nosuch", "/api/auction?values=x"):
        headers = client.get(address).headers
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers
    refused = client.get("/", headers={"host": "evil.example"})
    assert "content-security-policy" in refused.headers


def test_the_page_has_no_script_or_style_of_its_own(client: TestClient) -> None:
    page = client.get("/").text
    assert "<script>" not in page
    assert "style=" not in page
    assert "onclick" not in page
    for name in ("play", "state", "controls", "results", "plots", "replies"):
        script = client.get(f"/{name}.js").text
        assert not any(word in script for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "http://e"))


def test_a_defect_is_a_sentence_too() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("never reached")

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "path": "/",
        "method": "GET",
        "query_string": b"",
        "headers": [(b"host", b"a"), (b"host", b"a")],
    }
    asyncio.run(Guard(broken, 1)(scope, None, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 421


def some_value(rng: random.Random) -> str:
    return rng.choice(
        ["truth", "none", "", "nan", "-1", "1e5", "٣", "0x1", "<b>", "%00", f"{rng.random():.3f}", "1.5", "🦊"]
    )


def random_address(rng: random.Random) -> str:
    """An auction or its misreports: half of them as the page asks, half with bent values."""
    bent = rng.random() < 0.5
    two = ",".join(f"{rng.random():.3f}" for _ in range(2))
    query = {
        "context": rng.choice(["request", "comparison", "related"]),
        "prompt": str(rng.randrange(4)),
        "rule": rng.choice(["vcg", "optimum", "pay-as-bid", "linear-program"]),
        "feature": rng.choice(["slot_probability", "hits"]),
        "user_weight": f"{rng.random() * 3:.2f}",
        "values": two,
        "bids": rng.choice(["truth,truth", two]),
        "budgets": rng.choice(["none,none", "none,0.05", "0,0", two]),
        "seed": str(rng.randrange(9999)),
    }
    if bent:
        query[rng.choice([*query, "nosuch", "bidder", "surface"])] = some_value(rng) + rng.choice(
            ["", ",", ",1", "," * 99]
        )
    kind = rng.choice(["auction", "auction", "misreports", "surface"])
    if kind == "misreports":
        query["bidder"] = rng.choice(["0", "1", "1", "7", some_value(rng)])
    return f"/api/{kind}?" + "&".join(f"{key}={value}" for key, value in query.items())


def answered(client: TestClient, count: int, seed: int = 0) -> dict[int, int]:
    """Ask so many random questions; each is answered or refused in a sentence."""
    rng, found = random.Random(seed), {200: 0, 400: 0}
    for _ in range(count):
        address = random_address(rng)
        answer = client.get(address)
        assert answer.status_code in found, (address, answer.text)
        found[answer.status_code] += 1
        content = json.loads(answer.text, parse_constant=pytest.fail)
        assert answer.status_code == 200 or set(content) == {"error"}
    return found


BROKEN = [
    ("GET", "/api/auction?%ff%fe", {}),
    ("GET", "/api/auction?values=%00,%00", {}),
    ("GET", "/%2e%2e/%2e%2e/etc/passwd", {}),
    ("GET", "/api/auction?" + "values=1,1&" * 300, {}),
    ("PUT", "/api/auction", {}),
    ("DELETE", "/", {}),
    ("PATCH", "/api/reply", OWN),
    ("POST", "/", OWN),
    ("POST", "/api/reply?values=x", OWN),
    ("POST", "/api/reply", {"content-length": "99999999", **OWN}),
    ("GET", "/api/auction", {"origin": "http://127.0.0.1:8765.evil.example"}),
    ("GET", "/api/auction", {"host": "127.0.0.1:8765@evil.example"}),
    ("HEAD", "/", {}),
]


def broken_requests(client: TestClient, count: int) -> None:
    for k in range(count):
        method, address, headers = BROKEN[k % len(BROKEN)]
        answer = client.request(method, address, headers=headers)
        assert answer.status_code in (200, 400, 403, 404, 405, 413, 414, 421), (method, address, answer.text)
        assert method == "HEAD" or set(answer.json()) == {"error"}, (method, address, answer.text)


def test_some_random_and_broken_requests(client: TestClient) -> None:
    found = answered(client, 60)
    assert min(found.values()) >= 10
    broken_requests(client, len(BROKEN))


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_a_thousand_random_and_fifty_broken_requests_leave_nothing(tmp_path: Path) -> None:
    """Memory, open files and threads are those of the time before, but for what is kept on purpose."""
    process = psutil.Process()
    with playground(tmp_path, writer=toy_writer()) as client:
        answered(client, 300, seed=1)  # designs are kept up to their bound
        broken_requests(client, 50)
        gc.collect()
        before = process.memory_info().rss, process.num_fds(), threading.active_count()
        found = answered(client, 1000, seed=2)
        broken_requests(client, 50)
        gc.collect()
        after = process.memory_info().rss, process.num_fds(), threading.active_count()
        assert min(found.values()) >= 200
        assert after[0] - before[0] < 48 << 20, "memory"
        assert after[1] <= before[1] + 2, "open files"
        assert after[2] <= before[2] + 1, "threads"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("play-clerk")]
    assert PAGE.startswith("http://127.0.0.1")
