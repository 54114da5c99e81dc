// Comfort for the queue: keys, decisions in place, undo, news. Without this file every one of these is a form.
import { follow as followBatch } from "./desk_batch.js";
import { listen } from "./desk_keys.js";
import { watch } from "./desk_news.js";

const main = document.getElementById("main");
const words = JSON.parse(main.dataset.words);
const items = [...document.querySelectorAll(".items > li")];
const said = document.getElementById("said");
const told = document.getElementById("told");
const done = document.getElementById("done");
const all = document.getElementById("all");
const status = { approve: "approved", keep: "approved", hold: "pending", spam: "spam", trash: "trash" };
const outcome = { approved: words.approve, pending: words.hold, spam: words.spam, trash: words.trash };

// What was decided here, the latest last: the items, and a promise of the batch that undoes it.
const acts = [];
// Requests go one after another, in the order of the keys.
let line = Promise.resolve();
let underWay = 0;
let current = null;
// The act that the page speaks of last.
let latest = null;

// A page without this script has no use for an empty live region.
said.hidden = false;

// --- the cards ---------------------------------------------------------------------------------

const card = (item) => item.querySelector(".card");
const box = (item) => item.querySelector("input[form=bulk]");
const shown = () => items.filter((item) => !item.hidden);
const chosen = () => shown().filter((item) => box(item).checked);
const id = (item) => Number(item.dataset.id);
// Deleted meanwhile: its card only says so.
const isGone = (item) => "gone" in item.dataset;
// Whether a changed text stands beside the one that is public.
const waits = (item) => item.dataset.change === "waits";
// Whether only checks have put it where it is, so that to say the same is a decision.
const isOpen = (item) => "confirm" in item.dataset;

function focus(item) {
  current = item;
  card(item).focus({ preventScroll: true });
  card(item).scrollIntoView({ block: "nearest" });
}

// The item that a key is about: the one with the focus, or the one that had it last.
function here() {
  const focused = document.activeElement.closest(".items > li");
  if (focused) current = focused;
  return current && !current.hidden ? current : null;
}

function move(step) {
  const left = shown();
  const at = left.indexOf(here());
  const next = left[at < 0 ? 0 : at + step];
  if (next) focus(next);
  else if (left.length === 0 && done) done.focus();
  else if (step > 0) say(words.last);
}

function leave(gone) {
  const after = items.indexOf(gone.at(-1));
  for (const item of gone) {
    box(item).checked = false;
    if (main.dataset.status) item.hidden = true;
  }
  const left = shown().filter((item) => !gone.includes(item));
  const next = left.find((item) => items.indexOf(item) > after) || left.at(-1);
  countChosen();
  if (next) return focus(next);
  if (shown().length) return focus(shown()[0]);
  done.hidden = false;
  done.querySelector("a").focus();
}

function comeBack(item, clash = "") {
  const words = item.querySelector(".clash");
  words.textContent = clash;
  words.hidden = !clash;
  item.hidden = false;
  // The words at the end of the page leave, and must not take the focus with them.
  const wasAtTheEnd = done.contains(document.activeElement);
  done.hidden = true;
  if (wasAtTheEnd) focus(item);
}

function stands(item, now, version) {
  count(item.dataset.status, -1);
  count(now, 1);
  item.dataset.status = now;
  item.dataset.version = version;
  delete item.dataset.confirm;
  box(item).value = `${item.dataset.id}:${version}`;
  item.querySelector("[name=version]").value = version;
  const chip = item.querySelector(".status");
  const tab = document.querySelector(`.tabs [data-status=${now}]`);
  if (chip && tab) chip.textContent = tab.firstChild.textContent.trim();
}

// A deleted item keeps its words on the page, and nothing that could be done with it.
function bury(item) {
  if (isGone(item)) return;
  count(item.dataset.status, -1);
  if (waits(item)) count("changed", -1);
  item.dataset.gone = "";
  box(item).checked = false;
  box(item).disabled = true;
  for (const part of item.querySelectorAll(".foot, .awaiting, .status")) part.remove();
}

// Puts the card as the server has made it anew into the place of the old one.
function renewed(item, fresh) {
  if (Number(fresh.dataset.version) < Number(item.dataset.version)) return;
  const isHere = item.contains(document.activeElement);
  const clash = item.querySelector(".clash").textContent;
  const { checked } = box(item);
  count(item.dataset.status, -1);
  count(fresh.dataset.status, 1);
  count("changed", waits(fresh) - waits(item));
  delete item.dataset.change;
  delete item.dataset.confirm;
  Object.assign(item.dataset, fresh.dataset);
  item.replaceChildren(...fresh.childNodes);
  box(item).checked = checked;
  item.querySelector(".clash").textContent = clash;
  item.querySelector(".clash").hidden = !clash;
  if (isHere) focus(item);
}

// Asks for those cards of some items that are in sight: chips, texts and buttons follow what stands now.
async function renew(some) {
  const stale = new Map(some.filter((item) => !item.hidden && !isGone(item)).map((item) => [item.dataset.id, item]));
  if (stale.size === 0) return;
  const query = new URLSearchParams(location.search);
  query.delete("notice");
  for (const number of stale.keys()) query.append("item", number);
  const answer = await fetch(`${main.dataset.cards}?${query}`);
  if (!answer.ok) return;
  const found = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const fresh of found.querySelectorAll("li[data-id]")) renewed(stale.get(fresh.dataset.id), fresh);
}

// Which text a card shows: both while the changed one "waits", else that one which was "taken" or "kept".
function deal(item, how) {
  count("changed", (how === "waits") - waits(item));
  item.dataset.change = how;
}

// --- words and numbers -------------------------------------------------------------------------

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);

function say(text) {
  said.textContent = "";
  // A live region says only what changes.
  setTimeout(() => { said.textContent = text; });
}

// Of what was left undone it does not speak in the colour of success.
function tell(lines, act = null, isWell = true) {
  const text = lines.join(" ");
  latest = act;
  told.querySelector("a").hidden = true;
  told.classList.toggle("caution", !isWell);
  told.querySelector("p").textContent = text;
  told.hidden = false;
  told.querySelector("button").hidden = !act;
  say(text);
}

function summary(ids, what) {
  if (ids.length === 0) return [];
  return [ids.length === 1 ? fill(words.one, { id: ids[0], what }) : fill(words.some, { n: ids.length, what })];
}

function clash(left) {
  if (left.code === "unknown-item") return fill(words.gone, { id: left.id });
  if (left.code !== "decided-meanwhile") return fill(words.left, { id: left.id });
  return fill(words.clash, { id: left.id, by: left.by || words.somebody, what: outcome[left.decision] || left.decision });
}

function count(tab, step) {
  const number = document.querySelector(`.tabs [data-status=${tab}] .count`);
  if (number) show(number, Number(number.textContent.replace(/\D/g, "")) + step);
}

function show(number, value) {
  number.textContent = new Intl.NumberFormat("en").format(Math.max(0, value));
}

function countChosen() {
  const number = chosen().length;
  const bar = document.getElementById("bulk");
  if (!bar) return;
  bar.classList.toggle("some", number > 0);
  for (const button of bar.querySelectorAll("button")) button.disabled = number === 0;
  bar.querySelector(".chosen").textContent = fill(words.chosen, { n: number });
  all.checked = number > 0 && number === shown().filter((item) => !isGone(item)).length;
  all.indeterminate = number > 0 && !all.checked;
}

// --- the server --------------------------------------------------------------------------------

// Resolves to the answer's JSON, or throws an Error whose message is for the moderator.
async function ask(address, body, unreachable) {
  let answer;
  try {
    answer = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": main.dataset.csrf },
      body: JSON.stringify(body),
      // A page that is left meanwhile does not take its decisions with it.
      keepalive: true,
      signal: AbortSignal.timeout(30_000),
    });
  } catch {
    throw new Error(unreachable);
  }
  if (answer.ok) return answer.json();
  throw new Error(answer.status === 401 || answer.status === 403 ? words.signedOut : words.refused);
}

function inLine(work) {
  underWay += 1;
  const answered = line.then(work).finally(() => { underWay -= 1; });
  // The caller handles the error; the next request is sent in any case.
  line = answered.catch(() => undefined);
  return answered;
}

// --- acts --------------------------------------------------------------------------------------

// Items leave at once, and come back where the server says otherwise.
function decide(wanted, decision) {
  const drops = decision === "keep";
  const about = wanted.filter((item) => !isGone(item) && (waits(item) || (!drops && (item.dataset.status !== status[decision] || isOpen(item)))));
  if (about.length === 0) {
    if (wanted.length && isGone(wanted[0])) say(fill(words.gone, { id: id(wanted[0]) }));
    else if (wanted.length) say(fill(drops ? words.unchanged : words.already, { id: id(wanted[0]) }));
    return;
  }
  const act = { items: about, changed: about.filter(waits), open: about.filter(isOpen), batch: null };
  const seen = about.map((item) => ({ id: id(item), version: Number(item.dataset.version) }));
  acts.push(act);
  for (const item of about) comeBack(item);
  leave(about);
  say(summary(about.map(id), words[decision]).join(" "));
  const body = drops ? { decision: "approve", change: "decline", items: seen } : { decision, items: seen };
  act.sent = inLine(() => ask(main.dataset.decide, body, words.unreachable))
    .then((answer) => settle(act, answer, decision))
    .catch((error) => {
      forget(act);
      for (const item of about) comeBack(item, error.message);
      tell([error.message], null, false);
    });
}

function forget(act) {
  const at = acts.indexOf(act);
  if (at >= 0) acts.splice(at, 1);
}

function settle(act, answer, decision) {
  const found = new Map(act.items.map((item) => [id(item), item]));
  act.batch = answer.batch;
  for (const one of answer.decided) stands(found.get(one.id), one.status, one.version);
  act.items = answer.decided.filter((one) => one.changed).map((one) => found.get(one.id));
  for (const item of act.items.filter(waits)) deal(item, decision === "keep" ? "kept" : "taken");
  for (const left of answer.conflicts) {
    comeBack(found.get(left.id), clash(left));
    if (left.version) stands(found.get(left.id), left.decision, left.version);
    if (left.code === "unknown-item") bury(found.get(left.id));
  }
  follow([...found.values()]);
  if (act.items.length === 0) forget(act);
  const lines = summary(answer.decided.map((one) => one.id), words[decision]);
  tell([...lines, ...answer.conflicts.map(clash)], act.items.length ? act : null, answer.conflicts.length === 0);
  if (act.items.length === 1 && ["approve", "spam", "trash"].includes(decision)) {
    offerMore(act, id(act.items[0])).catch(() => undefined);
  }
}

// Says how many like the decided item wait, with the way to decide on all of them.
async function offerMore(act, number) {
  const [counted, likes] = [main.dataset.counted, main.dataset.likes].map((address) => new URL(address, location.href));
  for (const address of [counted, likes]) {
    address.searchParams.set("status", "pending");
    address.searchParams.set("like", number);
  }
  const answer = await fetch(counted, { headers: { Accept: "application/json" } });
  const n = answer.ok ? (await answer.json()).new : 0;
  // The server counts up to a hundred.
  if (n === 0 || latest !== act) return;
  const link = told.querySelector("a");
  link.href = likes;
  link.textContent = n === 1 ? words.oneAlike : fill(words.alike, { n: n < 100 ? n : "100+" });
  link.hidden = false;
  say(`${told.querySelector("p").textContent} ${link.textContent}`);
}

// After the requests that are on their way; without an answer the cards stay as they are.
function follow(some) {
  inLine(() => renew(some)).catch(() => undefined);
}

async function undo() {
  const act = acts.pop();
  const form = document.getElementById("undo-form");
  if (!act) return form ? form.requestSubmit() : say(words.nothingToUndo);
  await act.sent;
  if (!act.batch || act.items.length === 0) return undefined;
  return inLine(() => ask(main.dataset.undo, { batch: act.batch }, words.notUndone))
    .then((answer) => putBack(act, answer))
    .catch((error) => {
      acts.push(act);
      tell([error.message], act, false);
    });
}

function putBack(act, answer) {
  const found = new Map(act.items.map((item) => [id(item), item]));
  for (const one of answer.undone) {
    const item = found.get(one.id);
    stands(item, one.status, one.version);
    if (act.changed.includes(item)) deal(item, "waits");
    if (act.open.includes(item)) item.dataset.confirm = "";
    comeBack(item);
  }
  for (const left of answer.conflicts) {
    if (left.version) stands(found.get(left.id), left.decision, left.version);
    if (left.code === "unknown-item") bury(found.get(left.id));
  }
  follow([...found.values()]);
  const lines = summary(answer.undone.map((one) => one.id), words.undone);
  tell([...lines, ...answer.conflicts.map(clash)], acts.at(-1) || null, answer.conflicts.length === 0);
  if (answer.undone.length) focus(found.get(answer.undone[0].id));
}

const subject = () => (chosen().length ? chosen() : [here()].filter(Boolean));

function open(item) {
  const link = item && item.querySelector("a.article");
  if (link) window.open(link.href, "_blank", "noopener");
}

function select(item) {
  if (!item || isGone(item)) return;
  box(item).checked = !box(item).checked;
  countChosen();
}

// --- keys --------------------------------------------------------------------------------------

listen({
  j: () => move(1),
  k: () => move(-1),
  a: () => decide(subject(), "approve"),
  d: () => decide(subject(), "keep"),
  s: () => decide(subject(), "spam"),
  t: () => decide(subject(), "trash"),
  h: () => decide(subject(), "hold"),
  x: () => select(here()),
  u: () => undo(),
  o: () => open(here()),
  "/": () => document.getElementById("q").focus(),
});

// --- buttons and boxes -------------------------------------------------------------------------

// Cards are renewed, so the list listens for them.
const list = document.querySelector(".items");
if (list) {
  list.addEventListener("submit", (event) => {
    event.preventDefault();
    decide([event.target.closest("li[data-id]")], event.submitter.value);
  });
  list.addEventListener("change", countChosen);
}
const bulk = document.getElementById("bulk");
if (bulk) {
  bulk.addEventListener("submit", (event) => {
    event.preventDefault();
    if (chosen().length) decide(chosen(), event.submitter.value);
    else say(fill(words.chosen, { n: 0 }));
  });
  bulk.querySelector(".all").hidden = false;
  all.addEventListener("change", () => {
    for (const item of shown()) if (!isGone(item)) box(item).checked = all.checked;
    countChosen();
  });
  countChosen();
}
told.querySelector("button").addEventListener("click", undo);
document.addEventListener("focusin", here);

const notice = document.getElementById("notice");
if (notice && notice.dataset.batch) followBatch(notice, fill, say);

// Nothing on the page moves by itself; it only says that there is more.
if (main.dataset.news) watch(main.dataset.news, () => underWay > 0, (n) => fill(words.new, { n }), show);
