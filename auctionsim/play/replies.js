// The model's replies, as they are written: every piece is a text node, so that nothing in a reply becomes markup.
import { make, pairsOf } from "/state.js";

const get = (id) => document.getElementById(id);
const PLACES = ["untouched", "boosted"];
let writing = null, written = "";

export function connectReplies(stateNow) {
  get("write").addEventListener("click", () => (writing ? writing.abort() : write(stateNow())));
}

// Say whether what stands there belongs to another auction than the page shows.
export function compareReplies(state) {
  get("stale").hidden = !written || written === pairsOf(state).toString();
}

export function forgetReplies() {
  writing?.abort();
  for (const place of PLACES) get(place).replaceChildren();
  written = "";
  get("stale").hidden = true;
}

async function write(state) {
  writing = new AbortController();
  written = pairsOf(state).toString();
  get("stale").hidden = true;
  get("write").textContent = "Stop";
  for (const place of PLACES) {
    get(place).replaceChildren();
    get(place).classList.add("writing");
    get(place).setAttribute("aria-busy", "true");
  }
  say("asking the model …");
  try {
    for await (const event of events(written, writing.signal)) show(event);
  } catch (error) {
    say(error.name === "AbortError" ? "stopped" : error.message);
  }
  for (const place of PLACES) {
    get(place).classList.remove("writing");
    get(place).removeAttribute("aria-busy");
  }
  get("write").textContent = "Write both replies";
  writing = null;
}

async function* events(pairs, signal) {
  const answer = await fetch(`/api/reply?${pairs}`, { method: "POST", signal, headers: { "x-auctionsim": "play" } });
  if (!answer.ok) throw new Error((await answer.json()).error);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

function show(event) {
  if (event.error) throw new Error(event.error);
  if (event.stage) return say(`${event.stage} …`);
  if (event.done) {
    say("");
    event.ended.forEach((ended, row) => ended || get(PLACES[row]).append(" …"));
    return undefined;
  }
  say("writing …");
  get(PLACES[event.row]).replaceChildren(...pieces(event.text, event.mentions));
  return undefined;
}

export function pieces(text, mentions) {
  const found = [];
  let end = 0;
  for (const [start, stop, brand] of mentions) {
    found.push(text.slice(end, start), make("mark", { class: `brand${brand % 5}` }, text.slice(start, stop)));
    end = stop;
  }
  return [...found, text.slice(end)].filter((piece) => piece !== "");
}

function say(text) { if (get("stage").textContent !== text) get("stage").textContent = text; }
