// The state of one auction lives in the address, behind the #: a link shows the same auction, and no server is told of it.

export const KEYS = ["surface", "context", "prompt", "rule", "feature", "loss", "user_weight", "values", "bids", "budgets", "seed"];

// From the page's state to the pairs that an address and a request have.
export function pairsOf(state) {
  const written = (list, word) => list.map((one) => (one === null ? word : trimmed(one))).join(",");
  return new URLSearchParams({
    surface: state.surface,
    context: state.context,
    prompt: state.prompt,
    rule: state.rule,
    feature: state.feature,
    loss: state.loss,
    user_weight: trimmed(state.user_weight),
    values: written(state.values, ""),
    bids: written(state.bids, "truth"),
    budgets: written(state.budgets, "none"),
    seed: state.seed,
  });
}

// What stands behind the # now; the server checks every value.
export function pairsOfAddress() {
  return new URLSearchParams(location.hash.slice(1));
}

// Commas need no escape behind a #; the address stays readable.
export function addressOf(state) {
  return "#" + pairsOf(state).toString().replaceAll("%2C", ",").replaceAll("%40", "@");
}

export function trimmed(number) {
  return String(Math.round(number * 1e6) / 1e6);
}

// A question to the server; whatever goes wrong is one sentence.
export async function asked(path, pairs, signal) {
  let answer, content;
  try {
    answer = await fetch(`${path}?${pairs}`, { signal, headers: { "x-auctionsim": "play" } });
    content = await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer: is `auctionsim play` still running?");
  }
  if (!answer.ok) throw new Error(content.error);
  return content;
}

// An element with its attributes and children; texts become text nodes, never markup.
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export const amount = (value) => {
  const size = Math.abs(value);
  const text = size < 5e-7 ? "0" : size < 0.001 ? size.toPrecision(1) : size.toFixed(3);
  return (value < 0 && text !== "0" ? "−" : "") + text;
};

export const spaced = (name) => name.replaceAll("_", " ");
