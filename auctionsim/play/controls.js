// The left side: what is asked, what each brand is worth, bids and may pay, and by which rule.
import { amount, make, spaced } from "/state.js";

const WEIGHTS = [0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
const get = (id) => document.getElementById(id);

// Fill everything for a surface; `change(part)` is called with what the user moved.
export function showControls(described, surfaces, state, change) {
  fill("surface", surfaces.map((one) => [one.name, `${one.label} (${one.name})`]), state.surface);
  fill("context", described.contexts.map((one) => [one.name, one.name]), state.context);
  const asked = described.contexts.find((one) => one.name === state.context);
  fill("prompt", asked.prompts.map((text, k) => [String(k), text]), String(state.prompt));
  const playable = described.rules.filter((one) => !one.reason);
  fill("rule", playable.map((one) => [one.name, one.label]), state.rule);
  get("rule-summary").textContent = playable.find((one) => one.name === state.rule)?.summary ?? "";
  const leftOut = described.rules.filter((one) => one.reason);
  get("left-out").querySelector("dl").replaceChildren(
    ...leftOut.flatMap((one) => [make("dt", {}, one.label), make("dd", {}, one.reason)]));
  get("left-out").hidden = !leftOut.length;
  fill("feature", described.features.map((one) => [one.name, `${spaced(one.name)} (${one.unit})`]), state.feature);
  fill("loss", described.losses.map((one) => [one.name, `${spaced(one.name)} (${one.unit})`]), state.loss);
  showWeight(state);
  showBrands(described, state, change);
}

// Let the controls that are always there speak; those of brands are made anew with each surface.
export function connectControls(change) {
  for (const id of ["surface", "context", "rule", "feature", "loss"]) {
    get(id).addEventListener("change", () => change({ [id]: get(id).value }));
  }
  get("prompt").addEventListener("change", () => change({ prompt: Number(get("prompt").value) }));
  get("weight").max = WEIGHTS.length - 1;
  get("weight").addEventListener("input", () => change({ user_weight: WEIGHTS[get("weight").value] }));
  get("controls").addEventListener("submit", (event) => event.preventDefault());
}

export function showWeight(state) {
  const nearest = WEIGHTS.reduce((best, weight, k) =>
    Math.abs(weight - state.user_weight) < Math.abs(WEIGHTS[best] - state.user_weight) ? k : best, 0);
  get("weight").value = nearest;
  get("weight").setAttribute("aria-valuetext", String(state.user_weight));
  get("weight-said").textContent = String(state.user_weight);
}

function fill(id, pairs, chosen) {
  const select = get(id);
  const now = JSON.stringify(pairs);
  if (select.dataset.filled !== now) {
    select.replaceChildren(...pairs.map(([value, text]) => make("option", { value }, text)));
    select.dataset.filled = now;
  }
  select.value = chosen;
}

function showBrands(described, state, change) {
  const box = get("brands");
  const now = JSON.stringify([described.brands, described.most, described.feature]);
  if (box.dataset.filled !== now) {
    box.replaceChildren(...described.brands.map((name, k) => brandFields(name, k, described, change)));
    box.dataset.filled = now;
  }
  described.brands.forEach((_, k) => moveBrand(k, state));
}

function brandFields(name, k, described, change) {
  const most = described.most;
  const value = make("input", { id: `value-${k}`, type: "range", min: 0, max: most.value, step: 0.01 });
  value.addEventListener("input", () => change({ values: [k, Number(value.value)] }));
  const [bid, truthful] = optional(`bid-${k}`, most.bid, 0.01, (number) => change({ bids: [k, number] }), value, true);
  const [budget, limited] = optional(`budget-${k}`, most.budget, most.budget / 100, (number) => change({ budgets: [k, number] }), null, false);
  return make("fieldset", { class: `brand brand${k % 5}` },
    make("legend", {}, name),
    make("div", { class: "slider" },
      make("label", { for: `value-${k}` }, "A unit of exposure is worth to it"), value, make("output", { id: `value-${k}-said`, for: `value-${k}` })),
    make("div", { class: "slider", id: `bid-${k}-box` },
      make("div", { class: "head" }, make("label", { for: `bid-${k}` }, "It bids"), make("label", {}, truthful, "the truth")),
      bid, make("output", { id: `bid-${k}-said`, for: `bid-${k}` })),
    make("div", { class: "slider", id: `budget-${k}-box` },
      make("div", { class: "head" }, make("label", { for: `budget-${k}` }, "It pays at most"), make("label", {}, limited, "a budget")),
      budget, make("output", { id: `budget-${k}-said`, for: `budget-${k}` })));
}

// A slider with a box that turns it on or off: a bid is the truth where the box is ticked, a budget is there where it is.
function optional(id, max, step, tell, like, offWhenTicked) {
  const slider = make("input", { id, type: "range", min: 0, max, step });
  const box = make("input", { id: `${id}-box-tick`, type: "checkbox" });
  slider.addEventListener("input", () => tell(Number(slider.value)));
  box.addEventListener("change", () => {
    const on = box.checked !== offWhenTicked;
    if (on && like) slider.value = like.value;
    tell(on ? Number(slider.value) : null);
  });
  return [slider, box];
}

function moveBrand(k, state) {
  const said = (id, number, word) => {
    const slider = get(id), off = number === null;
    if (!off && document.activeElement !== slider) slider.value = number;
    slider.disabled = off;
    slider.setAttribute("aria-valuetext", off ? word : amount(number));
    get(`${id}-said`).textContent = off ? word : amount(number);
    get(`${id}-box`)?.classList.toggle("off", off);
  };
  said(`value-${k}`, state.values[k], "");
  said(`bid-${k}`, state.bids[k], amount(state.values[k]));
  if (state.bids[k] === null) get(`bid-${k}`).value = state.values[k];
  said(`budget-${k}`, state.budgets[k], "no limit");
  get(`bid-${k}-box-tick`).checked = state.bids[k] === null;
  get(`budget-${k}-box-tick`).checked = state.budgets[k] !== null;
}
