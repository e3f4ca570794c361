// The right side: who gets what, who pays what and why, what the user lost, and the words that this takes.
import { amount, make, spaced } from "/state.js";

const get = (id) => document.getElementById(id);
let meanings = new Map();

export function learnTerms(glossary) {
  meanings = new Map(glossary.flatMap((one) => [one.name, ...one.also].map((name) => [name.toLowerCase(), one.meaning])));
  get("glossary").querySelector("dl").replaceChildren(
    ...glossary.flatMap((one) => [make("dt", {}, one.name), make("dd", {}, one.meaning)]));
  for (const place of document.querySelectorAll("[data-term]")) {
    place.replaceChildren(term(place.dataset.term, place.textContent));
  }
}

// A word that tells its meaning on hover and on focus; a plain word where the glossary has none.
export function term(name, text = name) {
  const meaning = meanings.get(name.toLowerCase());
  if (!meaning) return document.createTextNode(text);
  const word = make("span", { class: "term", tabindex: 0, "aria-label": `${text}: ${meaning}`, role: "note" }, text);
  const show = () => showTip(word, meaning);
  for (const event of ["mouseenter", "focus", "click"]) word.addEventListener(event, show);
  for (const event of ["mouseleave", "blur"]) word.addEventListener(event, hideTip);
  word.addEventListener("keydown", (event) => event.key === "Escape" && hideTip());
  return word;
}

function showTip(word, meaning) {
  const tip = get("tip"), place = word.getBoundingClientRect();
  tip.textContent = meaning;
  tip.hidden = false;
  const left = Math.min(place.left, document.documentElement.clientWidth - tip.offsetWidth - 16);
  tip.style.left = `${Math.max(left, 8) + scrollX}px`;
  tip.style.top = `${place.bottom + scrollY + 6}px`;
}

function hideTip() { get("tip").hidden = true; }

export function showOutcome(answer, described) {
  get("asked").replaceChildren("The user asks: ", make("q", {}, answer.prompt));
  get("summary").textContent = summaryOf(answer);
  const exposures = answer.bidders.map((one) => Math.max(one.exposure, one.untouched));
  const full = answer.feature.unit === "probability" ? 1 : Math.max(...exposures, 1e-9);
  const most = Math.max(...answer.bidders.map((one) => Math.max(one.worth, one.payment)), 1e-9);
  get("bidders").replaceChildren(...answer.bidders.map((one, k) => bidderCard(one, k, answer, full, most)));
  get("user").replaceChildren(...userCard(answer));
  get("rule-summary").textContent = answer.rule.pays;
}

function summaryOf(answer) {
  const paying = answer.bidders.filter((one) => one.payment > 5e-7).map((one) => `${one.name} pays ${amount(one.payment)}`);
  const paid = paying.length ? `${listed(paying)}.` : "Nobody pays anything.";
  return `${answer.sentences.allocation} ${paid}`;
}

function listed(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

function bidderCard(one, k, answer, full, most) {
  const name = spaced(answer.feature.name);
  return make("article", { class: `card bidder brand${k % 5}${one.moved ? "" : " idle"}` },
    make("header", {}, make("h3", {}, make("span", { class: "dot" }), one.name),
      make("span", { class: "hint" }, one.asked === one.value ? "bids the truth" : `bids ${amount(one.asked)}, worth ${amount(one.value)}`)),
    make("p", { class: "gets" }, one.moved ? one.gets : "gets nothing"),
    exposureBar(one, name, full),
    moneyBar(one, most),
    one.lowered ? make("p", { class: "lowered" }, one.lowered) : null,
    make("p", { class: "why" }, one.price));
}

function exposureBar(one, name, full) {
  const now = make("i", { class: "now" }), tick = make("i", { class: "tick" });
  now.style.width = share(one.exposure, full);
  tick.style.left = share(Math.min(one.untouched, full * 0.99), full);
  return make("div", { class: "measure" },
    make("div", { class: "line" }, make("span", {}, term("exposure", "Exposure"), ` (${name})`),
      make("span", {}, make("b", {}, amount(one.exposure)), ` · untouched ${amount(one.untouched)}`)),
    make("div", { class: "bar", "aria-hidden": true }, now, tick));
}

function moneyBar(one, most) {
  const paid = make("i", { class: "paid" }), kept = make("i", { class: "kept" });
  paid.style.width = share(Math.max(one.payment, 0), most);
  kept.style.width = share(Math.max(one.utility, 0), most);
  return make("div", { class: "measure" },
    make("div", { class: "line" }, make("span", {}, term("payment", "Pays"), " ", make("b", {}, amount(one.payment))),
      make("span", {}, term("utility", "is left with"), " ", make("b", {}, amount(one.utility)))),
    make("div", { class: "bar", "aria-hidden": true }, paid, kept));
}

function userCard(answer) {
  const row = (name, text, value) => make("div", {}, make("dt", {}, term(name, text)), make("dd", {}, amount(value)));
  return [
    make("h3", {}, "The user and the platform"),
    make("p", {}, answer.sentences.user),
    make("dl", {},
      row("revenue", "The platform takes", answer.revenue),
      row("welfare", "What brands have is worth", answer.welfare),
      row("user loss", "The user’s loss counts", answer.user_charge),
      row("objective", "The platform’s objective", answer.objective)),
    answer.rule.note ? make("p", { class: "note" }, answer.rule.note) : null,
  ].filter(Boolean);
}

function share(part, whole) {
  return `${Math.min(100, (100 * part) / whole)}%`;
}
