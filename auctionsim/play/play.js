// The page: one state, in the address; whatever moves it asks the server again, and the last question wins.
import { addressOf, asked, pairsOf, pairsOfAddress } from "/state.js";
import { connectControls, showControls } from "/controls.js";
import { learnTerms, showOutcome } from "/results.js";
import { showPlots, showWhose } from "/plots.js";
import { compareReplies, connectReplies, forgetReplies } from "/replies.js";

const get = (id) => document.getElementById(id);
let surfaces = [], described = null, state = null, whose = 0, running = null, wanted = false, notice = "";

begin().catch(tell);

async function begin() {
  const start = await asked("/api/start", "");
  surfaces = start.surfaces;
  learnTerms(start.glossary);
  connectControls(change);
  connectReplies(() => state);
  get("link").addEventListener("click", copyLink);
  get("reset").addEventListener("click", () => { forgetReplies(); read(new URLSearchParams()).catch(tell); });
  get("seed").addEventListener("change", () => change({ seed: Math.min(Math.max(Math.round(Number(get("seed").value)) || 0, 0), described.most.seed) }));
  addEventListener("hashchange", () => { if (location.hash !== addressOf(state)) read(pairsOfAddress()).catch(tell); });
  try {
    await read(pairsOfAddress());
  } catch (error) {
    await read(new URLSearchParams());
    notice = `The link does not fit: ${error.message}. This is the first auction instead.`;
    tell(null);
  }
  document.body.dataset.ready = "yes";
}

// Take a state from an address: the server checks it and fills in what is missing.
async function read(pairs) {
  described = await asked("/api/surface", pairs);
  const given = described.state;
  state = { ...given, context: described.contexts[given.context].name };
  whose = Math.min(whose, described.brands.length - 1);
  if (described.rules.find((one) => one.name === state.rule)?.reason !== "") state.rule = "vcg";
  tell(null);
  refresh();
}

// Take one move of the user's.
function change(part) {
  notice = "";
  const [key, value] = Object.entries(part)[0];
  if (key === "surface") {
    forgetReplies();
    const kept = new URLSearchParams({ surface: value, user_weight: state.user_weight });
    read(kept).catch(tell);
    return;
  }
  if (["values", "bids", "budgets"].includes(key)) {
    const [k, number] = value;
    state = { ...state, [key]: state[key].map((old, place) => (place === k ? number : old)) };
  } else {
    state = { ...state, ...part };
  }
  if (key === "context") state.prompt = 0;
  if (key === "feature") {
    read(pairsOf(state)).catch(tell);
    return;
  }
  refresh();
}

function refresh() {
  history.replaceState(null, "", addressOf(state));
  showControls(described, surfaces, state, change);
  showWhose(described.brands, whose, (k) => { whose = k; refresh(); });
  get("seed").value = state.seed;
  get("seed").max = described.most.seed;
  get("silence").textContent = described.silence;
  get("silence").hidden = !described.silence;
  get("speaking").hidden = Boolean(described.silence);
  compareReplies(state);
  wanted = true;
  if (!running) running = answerAll().catch(tell).finally(() => { running = null; });
}

// Ask until the answers are those of the state that the page is in.
async function answerAll() {
  while (wanted) {
    wanted = false;
    const pairs = pairsOf(state), began = performance.now();
    showOutcome(await asked("/api/auction", pairs), described);
    get("took").textContent = `Answered in ${Math.round(performance.now() - began)} ms.`;
    tell(null);
    if (wanted) continue;
    pairs.set("bidder", whose);
    const answer = await asked("/api/misreports", pairs);
    if (!wanted) showPlots(answer, (rule, bid) => { state = { ...state, rule }; change({ bids: [answer.bidder, bid] }); });
  }
}

async function copyLink() {
  const button = get("link"), before = "Copy the link to this auction";
  try {
    await navigator.clipboard.writeText(location.href);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Take it from the address bar";
  }
  setTimeout(() => { button.textContent = before; }, 2000);
}

function tell(error) {
  get("problem").textContent = error ? error.message : notice;
  get("problem").hidden = !get("problem").textContent;
}
