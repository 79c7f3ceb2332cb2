// The page: asks the server for counts whenever a bound moves, and draws what it answers.
const app = document.getElementById("app");
const at = (id) => document.getElementById(id);
const view = { scope: "document", signal: null, tab: "samples", state: null, charts: {} };
const ENDS = ["min", "max", "below"];

function make(tag, options, ...children) {
  const { data, ...rest } = options || {};
  const element = Object.assign(document.createElement(tag), rest);
  Object.assign(element.dataset, data || {});
  element.append(...children);
  return element;
}

function chosen() {
  const type = at("type");
  return { scope: view.scope, lang: at("lang").value, type: type ? type.value : "", scale: at("scale").value };
}

async function ask(name, fields) {
  const answer = await fetch(`${name}?${new URLSearchParams({ ...chosen(), ...fields })}`);
  if (!answer.ok) throw new Error(await answer.text());
  return name.endsWith(".html") ? answer.text() : answer.json();
}

async function tell(name, fields) {
  const body = new URLSearchParams({ ...chosen(), ...fields, token: app.dataset.token });
  const answer = await fetch(name, { method: "POST", body });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

function say(text) {
  at("note").textContent = text;
}

// One request at a time; of the moves that come meanwhile, the last one counts.
let busy = false, waiting = null;
async function move(fields) {
  waiting = fields;
  if (busy) return;
  busy = true;
  app.dataset.busy = "true";
  try {
    while (waiting) {
      const next = waiting;
      waiting = null;
      show(await tell("move", next), next.commit ? null : next.signal);
      if (next.commit && !waiting) await detail();
    }
  } catch (error) {
    say(error.message);
  } finally {
    busy = false;
    if (!settling) delete app.dataset.busy;
  }
}

// Of many documents, those in which texts or images change are judged over several answers.
let settling = false;
async function settle() {
  if (settling) return;
  settling = true;
  app.dataset.busy = "true";
  try {
    while (view.state.unsettled) {
      say(`Judging again: ${view.state.unsettled.toLocaleString("en")} documents left; counts of documents follow.`);
      if (waiting || busy) await new Promise((done) => setTimeout(done, 100));
      else show(await ask("state.json", { charts: view.signal || "*" }), view.signal);
    }
    say("");
    if (!busy) show(await ask("state.json", { charts: "*" }));
  } catch (error) {
    say(error.message);
  }
  settling = false;
  if (!busy) delete app.dataset.busy;
}

async function load() {
  app.dataset.busy = "true";
  at("own-label").hidden = !at("lang").value;
  if (!at("lang").value) at("own").checked = false;
  try {
    show(await ask("state.json", { charts: "*" }));
    await detail();
  } catch (error) {
    say(error.message);
  }
  if (!settling) delete app.dataset.busy;
}

// `dragged`: the rule that is being dragged, whose chart stays under the pointer.
function show(state, dragged) {
  view.state = state;
  if (state.unsettled) settle();
  Object.assign(view.charts, state.charts);
  for (const button of at("totals").children) {
    const total = state.totals[button.dataset.scope];
    const differs = total.kept - total.start;
    button.setAttribute("aria-pressed", button.dataset.scope === view.scope);
    button.querySelector("b").textContent = total.kept.toLocaleString("en");
    const share = total.rows ? ((100 * total.kept) / total.rows).toFixed(1) : "0";
    const change = differs ? ` ${differs > 0 ? "+" : "−"}${Math.abs(differs).toLocaleString("en")}` : "";
    button.querySelector("small").textContent = `of ${total.rows.toLocaleString("en")} (${share}%)${change}`;
    button.title = total.passing === total.kept ? "" :
      `${total.passing.toLocaleString("en")} pass their own rules; the others are in documents that go`;
  }
  at("undo").disabled = !state.position;
  at("redo").disabled = state.position >= state.history.length;
  showHistory(state);
  showLabels(state.labels);
  if (dragged) {
    for (const rule of state.rules) numbers(document.querySelector(`[data-signal="${rule.signal}"]`), rule);
    return;
  }
  const focused = document.activeElement.closest ? document.activeElement.closest(".rule .handle") : null;
  const again = focused && [focused.closest(".rule").dataset.signal, focused.dataset.end];
  at("rules").replaceChildren(...state.rules.map(card));
  if (again) {
    const found = document.querySelector(`[data-signal="${again[0]}"] .handle[data-end="${again[1]}"]`);
    if (found) found.focus();
  }
  const names = state.others.map((name) => make("option", { value: name, textContent: name.replaceAll("_", " ") }));
  at("others").replaceChildren(make("option", { value: "", textContent: "…" }), ...names);
}

// Rows of a group, such as a language or a kind of block, may have bounds of their own.
const OTHERS = { by: "", group: "" };
const stated = (rule, place) => rule.groups.find((one) => one.by === place.by && one.group === place.group);

function shownGroup(rule) {
  const place = { by: "language", group: at("lang").value };
  return place.group && (stated(rule, place) || at("own").checked) ? place : OTHERS;
}

const boundsOf = (rule, place = shownGroup(rule)) => (stated(rule, place) || rule).bounds;

function numbers(box, rule) {
  box.querySelector(".counts").textContent =
    `drops ${rule.drops.toLocaleString("en")}, ${rule.alone.toLocaleString("en")} of them alone`;
  for (const row of box.querySelectorAll(".bounds"))
    for (const input of row.querySelectorAll("input[type=number]"))
      if (document.activeElement !== input) input.value = boundsOf(rule, row.place)[input.dataset.end] ?? "";
}

function card(rule) {
  const box = make("article", { className: "rule", data: { signal: rule.signal } });
  const off = !Object.keys(rule.bounds).length && !rule.one_of && !rule.groups.length;
  if (off) box.classList.add("off");
  if (rule.signal === view.signal) box.classList.add("chosen");
  const name = make("button", { type: "button", className: "title", textContent: rule.signal.replaceAll("_", " "), title: rule.meaning });
  name.addEventListener("click", () => choose(rule.signal));
  const head = make("header", {}, name, make("small", { className: "soft counts" }));
  if ((rule.base || !off) && !rule.locked) {
    const toggle = make("input", { type: "checkbox", checked: !off, title: "Rule on or off" });
    toggle.setAttribute("role", "switch");
    toggle.setAttribute("aria-label", `Rule ${rule.signal}`);
    toggle.addEventListener("change", () => commit(rule.signal, toggle.checked ? "on" : "off", "", OTHERS));
    head.append(toggle);
  }
  box.append(head);
  const facts = [rule.unit];
  if (rule.over !== "paragraph") facts.push(`over a ${rule.over}`);
  for (const [other, bounds] of Object.entries(rule.when))
    facts.push(`where ${other} ${Object.entries(bounds).map((pair) => pair.join(" ")).join(", ")}`);
  if (rule.one_of) facts.push(`one of ${rule.one_of.join(", ")}`);
  const later = ENDS.filter((end) => rule.pending.includes(end) && end in rule.bounds);
  if (later.length) facts.push(`${later.join(" and ")}: judged once images are fetched`);
  if (rule.locked) facts.push("consent: a config alone changes it");
  if (rule.after_fetch) facts.push("known once images are fetched");
  if (stated(rule, { by: "language", group: at("lang").value })) facts.push(`own bounds of ${at("lang").value}`);
  box.append(make("div", { className: "soft facts-line", textContent: facts.join("; ") }));
  const data = view.charts[rule.signal];
  if (rule.numeric && rule.known && data) {
    const bounds = boundsOf(rule);
    box.append(histogram(data, bounds, rule.locked ? null : (end, bound, done) => {
      const input = box.querySelector(`input[data-end="${end}"]`);
      if (input) input.value = bound;
      if (view.signal !== rule.signal) mark(rule.signal);
      move({ signal: rule.signal, end, bound, ...shownGroup(rule), charts: done ? "*" : rule.signal, commit: done ? "1" : "" });
    }));
    if (data.unknown) box.append(make("small", { className: "soft", textContent: `${data.unknown.toLocaleString("en")} without a value` }));
  }
  if (rule.numeric && rule.known && !rule.locked) {
    box.append(inputs(rule, shownGroup(rule)));
    for (const one of rule.groups.filter((other) => other.by !== "language")) box.append(inputs(rule, one));
  }
  numbers(box, rule);
  return box;
}

function inputs(rule, { by, group }) {
  const place = { by, group }, bounds = boundsOf(rule, place);
  const row = make("div", { className: "bounds", data: { group: `${by} ${group}`.trim() } });
  row.place = place;
  if (by && by !== "language") row.append(make("small", { className: "soft", textContent: row.dataset.group.replaceAll("_", " ") }));
  for (const end of ENDS) {
    if (!(end in bounds)) continue;
    const input = make("input", { type: "number", step: "any", value: bounds[end], data: { end } });
    const clear = make("button", { type: "button", textContent: "×", title: `Take ${end} away` });
    input.addEventListener("change", () => commit(rule.signal, end, input.value, place));
    clear.addEventListener("click", () => commit(rule.signal, end, "", place));
    row.append(make("label", {}, `${end} `, input, clear));
  }
  const data = view.charts[rule.signal];
  for (const end of ["min", "max"].filter((one) => !(one in bounds) && !(one === "max" && "below" in bounds))) {
    const add = make("button", { type: "button", className: "add", textContent: `+ ${end}` });
    const edge = end === "min" ? data.edges[0] : data.edges[data.edges.length - 1];
    add.addEventListener("click", () => commit(rule.signal, end, edge, place));
    row.append(add);
  }
  return row;
}

function commit(signal, end, bound, place) {
  mark(signal);
  return move({ signal, end, bound, ...place, charts: "*", commit: "1" });
}

function mark(signal) {
  view.signal = signal;
  for (const box of document.querySelectorAll(".rule")) box.classList.toggle("chosen", box.dataset.signal === signal);
}

async function choose(signal) {
  mark(signal);
  await detail();
}

function panel(name) {
  return document.querySelector(`[data-panel="${name}"]`);
}

async function detail() {
  const rule = view.state && view.state.rules.find((one) => one.signal === view.signal);
  if (!rule || !rule.numeric) return;
  if (view.tab === "samples") {
    const html = await ask("samples.html", { signal: rule.signal });
    // Made by the server with everything escaped; a parsed page runs no script.
    const parsed = new DOMParser().parseFromString(html, "text/html");
    panel("samples").replaceChildren(make("h2", { textContent: rule.signal.replaceAll("_", " ") }), ...parsed.body.childNodes);
  }
  if (view.tab === "sweep") await sweep(rule);
}

async function sweep(rule) {
  const box = panel("sweep"), end = ENDS.find((one) => one in rule.bounds);
  if (!end) {
    box.replaceChildren(make("p", { className: "soft", textContent: "The rule has no bound to sweep over." }));
    return;
  }
  const found = await ask("sweep.json", { signal: rule.signal, end });
  const rows = { document: "documents", text_node: "texts", image_node: "images" }[view.scope];
  const other = make("select", {}, make("option", { value: "", textContent: "no second rule" }));
  for (const one of view.state.rules)
    for (const side of ENDS)
      if (one.signal !== rule.signal && one.known && side in one.bounds)
        other.append(make("option", { value: `${one.signal} ${side}`, textContent: `${one.signal} ${side}` }));
  const place = make("div");
  other.addEventListener("change", async () => {
    const [name, side] = other.value.split(" ");
    if (!name) return place.replaceChildren();
    const kept = await ask("sweep.json", { signal: rule.signal, end, other: name, other_end: side });
    place.replaceChildren(heat(kept, `${rule.signal} ${end}`, `${name} ${side}`));
  });
  box.replaceChildren(
    make("h2", { textContent: `${rule.signal.replaceAll("_", " ")} ${end}` }),
    make("p", { className: "soft", textContent: `What all rules of ${rows} keep of ${found.rows.toLocaleString("en")} ${rows} for each bound` +
      (found.points.some((one) => "f1" in one) ? ", and how well dropping agrees with the labels." : ". With labels there are curves of precision and recall too.") }),
    curves(found), make("label", {}, "Sweep over a second rule too ", other), place);
}

function showHistory(state) {
  const items = [make("li", {}, make("button", { type: "button", textContent: "as the config has it", data: { go: 0 } }))];
  state.history.forEach((one, place) => {
    const button = make("button", { type: "button", data: { go: place + 1 } },
      `${one.scope}: ${one.says} `, make("small", { className: "soft", textContent: `${one.kept.toLocaleString("en")} documents kept` }));
    items.push(make("li", {}, button));
  });
  items[state.position].firstChild.setAttribute("aria-current", "step");
  at("history").replaceChildren(...items);
}

function showLabels(counts) {
  at("progress").textContent = `${counts.all.toLocaleString("en")} labels: ${counts.keep.toLocaleString("en")} keep, ` +
    `${(counts.all - counts.keep).toLocaleString("en")} drop; ${counts.scope.toLocaleString("en")} of rows in this view.`;
  const tab = document.querySelector('[data-tab="labels"]');
  tab.textContent = counts.all ? `Labels (${counts.all.toLocaleString("en")})` : "Labels";
}

async function label(sample, action) {
  const found = await tell("label", { action, doc_id: sample ? sample.dataset.doc : "", index: sample ? sample.dataset.index : "-1" });
  const row = document.querySelector(`.sample[data-doc="${found.doc_id}"][data-index="${found.index}"]`);
  if (row) {
    row.dataset.label = found.label;
    for (const button of row.querySelectorAll("[data-action]"))
      button.setAttribute("aria-pressed", button.dataset.action === found.label);
    row.focus();
    if (action !== "undo") step(1);
  }
  showLabels(found.labels);
}

function step(by) {
  const all = [...document.querySelectorAll(".sample")];
  const next = all[all.indexOf(document.activeElement.closest(".sample")) + by];
  if (next) next.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, textarea, .handle") || event.ctrlKey || event.metaKey || event.altKey) return;
  const sample = document.activeElement.closest(".sample") || document.querySelector(".sample");
  const action = { k: "keep", d: "drop", u: "undo" }[event.key];
  if (action && (sample || action === "undo")) label(sample, action).catch((error) => say(error.message));
  if (event.key === "n") step(1);
  if (event.key === "p") step(-1);
});

panel("samples").addEventListener("click", (event) => {
  const button = event.target.closest("[data-action]");
  if (button) label(button.closest(".sample"), button.dataset.action).catch((error) => say(error.message));
});
at("totals").addEventListener("click", (event) => {
  const button = event.target.closest("[data-scope]");
  if (!button || button.dataset.scope === view.scope) return;
  Object.assign(view, { scope: button.dataset.scope, signal: null, charts: {} });
  panel("samples").replaceChildren(make("p", { className: "soft", textContent: "Choose a rule to see what lies nearest to its bounds." }));
  load();
});
document.querySelector(".tabs").addEventListener("click", (event) => {
  const button = event.target.closest("[data-tab]");
  if (!button) return;
  view.tab = button.dataset.tab;
  for (const one of document.querySelectorAll("[data-tab]")) one.setAttribute("aria-selected", one === button);
  for (const one of document.querySelectorAll("[data-panel]")) one.hidden = one.dataset.panel !== view.tab;
  detail().catch((error) => say(error.message));
});
async function go(position) {
  show(await tell("go", { position, charts: "*" }));
  await detail();
}
at("undo").addEventListener("click", () => go(view.state.position - 1));
at("redo").addEventListener("click", () => go(view.state.position + 1));
at("history").addEventListener("click", (event) => {
  const button = event.target.closest("[data-go]");
  if (button) go(button.dataset.go);
});
at("write").addEventListener("click", async () => {
  const found = await tell("write", {});
  say(`Written: ${found.path}. benben decide ${found.path} applies it.`);
});
at("others").addEventListener("change", async () => {
  if (!at("others").value) return;
  const signal = at("others").value;
  show(await tell("watch", { signal, charts: "*" }));
  await choose(signal);
  const box = document.querySelector(`[data-signal="${signal}"]`);
  if (box) box.scrollIntoView({ block: "center" });
});
at("import").addEventListener("change", async () => {
  const answer = await fetch(`import?${new URLSearchParams({ token: app.dataset.token })}`, { method: "POST", body: await at("import").files[0].text() });
  const found = await answer.json();
  say(found.error || `${found.read} labels read` + (found.unknown ? `, ${found.unknown} of documents that are not here` : ""));
  await load();
});
for (const id of ["lang", "type", "scale"]) if (at(id)) at(id).addEventListener("change", load);
at("own").addEventListener("change", load);
document.querySelector(".filters").addEventListener("submit", (event) => event.preventDefault());
load();
