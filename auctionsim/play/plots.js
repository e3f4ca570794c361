// Small plots of utility against the bid, drawn as SVG; each says in words what it shows.
import { amount, make } from "/state.js";

const WIDTH = 340, HEIGHT = 190, LEFT = 54, RIGHT = 10, TOP = 12, BOTTOM = 30;
const get = (id) => document.getElementById(id);

export function showWhose(names, chosen, choose) {
  const box = get("whose"), now = JSON.stringify(names);
  if (box.dataset.filled !== now) {
    box.replaceChildren(...names.map((name, k) => {
      const input = make("input", { type: "radio", name: "whose", value: k, id: `whose-${k}` });
      input.addEventListener("change", () => choose(k));
      return make("label", { class: `brand${k % 5}` }, input, make("span", {}, name));
    }));
    box.dataset.filled = now;
  }
  get(`whose-${chosen}`).checked = true;
}

export function showPlots(answer, take) {
  const drawn = answer.curves.filter((curve) => !curve.reason);
  const all = drawn.flatMap((curve) => curve.utilities);
  const low = Math.min(0, ...all), high = Math.max(...all, low + 1e-6);
  get("plots").replaceChildren(...answer.curves.map((curve) =>
    curve.reason ? leftOut(curve) : plotCard(curve, answer, low, high, take)));
}

function leftOut(curve) {
  return make("article", { class: "card plot" }, make("h3", {}, curve.label), make("p", { class: "hint" }, `Not here: ${curve.reason}.`));
}

function plotCard(curve, answer, low, high, take) {
  const lies = curve.best !== curve.truth;
  const button = make("button", { type: "button", class: "small" }, `Bid ${amount(curve.bids[curve.best])} under this rule`);
  button.addEventListener("click", () => take(curve.rule, curve.bids[curve.best]));
  return make("article", { class: `card plot brand${answer.bidder % 5}` },
    make("h3", {}, curve.label, make("span", { class: `verdict${lies ? " lie" : ""}` }, lies ? `a lie gains ${amount(curve.gain)}` : "truth is best")),
    drawing(curve, answer, low, high),
    make("p", {}, curve.sentence),
    curve.note ? make("p", { class: "note" }, curve.note) : null,
    lies ? button : null);
}

function drawing(curve, answer, low, high) {
  const x = (bid) => LEFT + (bid / curve.bids.at(-1)) * (WIDTH - LEFT - RIGHT);
  const y = (utility) => HEIGHT - BOTTOM - ((utility - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const at = (k) => ({ cx: x(curve.bids[k]), cy: y(curve.utilities[k]) });
  const points = curve.bids.map((bid, k) => `${x(bid).toFixed(1)},${y(curve.utilities[k]).toFixed(1)}`).join(" ");
  const drawn = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": words(curve, answer) });
  const text = (content, attributes) => { const one = svg("text", attributes); one.textContent = content; return one; };
  drawn.append(
    svg("line", { class: "axis", x1: LEFT, x2: LEFT, y1: TOP, y2: HEIGHT - BOTTOM }),
    svg("line", { class: "zero", x1: LEFT, x2: WIDTH - RIGHT, y1: y(0), y2: y(0) }),
    text(amount(high), { x: LEFT - 6, y: TOP + 8, "text-anchor": "end" }),
    text("0", { x: LEFT - 6, y: y(0) + 4, "text-anchor": "end" }),
    text("bid 0", { x: LEFT, y: HEIGHT - 8 }),
    text(String(curve.bids.at(-1)), { x: WIDTH - RIGHT, y: HEIGHT - 8, "text-anchor": "end" }),
    svg("line", { class: "truth", x1: x(curve.bids[curve.truth]), x2: x(curve.bids[curve.truth]), y1: TOP, y2: HEIGHT - BOTTOM }),
    text("truth", { x: x(curve.bids[curve.truth]), y: HEIGHT - 8, "text-anchor": "middle" }),
    svg("polyline", { class: "curve", points }),
  );
  if (curve.best !== curve.truth) drawn.append(svg("circle", { class: "best", r: 8, ...at(curve.best) }));
  drawn.append(svg("circle", { class: "made", r: 5, ...at(curve.made) }));
  return drawn;
}

function words(curve, answer) {
  const pair = (k) => `${amount(curve.bids[k])} leaves it ${amount(curve.utilities[k])}`;
  return `What ${answer.name} is left with under ${curve.label}, for bids from 0 to ${curve.bids.at(-1)}. `
    + `A bid of ${pair(0)}; the truth, ${pair(curve.truth)}; its bid now, ${pair(curve.made)}; the best bid, ${pair(curve.best)}.`;
}

function svg(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
