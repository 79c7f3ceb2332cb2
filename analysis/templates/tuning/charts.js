"use strict";
// Histograms with bounds that are dragged, curves and grids, as SVG.
const WIDTH = 320, HEIGHT = 84, SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function short(value) {
  if (value === null || value === undefined) return "none";
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

// Place of a value on the chart: every bar has the same width.
function placeOf(edges, value) {
  const bars = edges.length - 1;
  if (value <= edges[0]) return 0;
  if (value >= edges[bars]) return WIDTH;
  let bar = 0;
  while (value >= edges[bar + 1]) bar++;
  return ((bar + (value - edges[bar]) / (edges[bar + 1] - edges[bar])) / bars) * WIDTH;
}

function valueAt(edges, place) {
  const bars = edges.length - 1, at = Math.min(Math.max(place / WIDTH, 0), 1) * bars;
  const bar = Math.min(Math.floor(at), bars - 1);
  return edges[bar] + (at - bar) * (edges[bar + 1] - edges[bar]);
}

// A whole number is drawn from its own edge to the next, so a greatest value ends one further.
function placeOfBound(data, end, bound) {
  return placeOf(data.edges, data.whole && end === "max" ? bound + 1 : bound);
}

function boundAt(data, end, place) {
  const value = valueAt(data.edges, place);
  if (!data.whole) return Number(value.toPrecision(3));
  return Math.max(Math.round(value) - (end === "max" ? 1 : 0), 0);
}

// `moved`: called with an end and its new bound, and whether the drag is over; null: nothing moves.
function histogram(data, bounds, moved) {
  const bars = data.edges.length - 1, step = WIDTH / bars;
  const sums = data.kept.map((kept, bar) => kept + data.dropped[bar]);
  const most = Math.max(1, ...sums);
  const tall = (number) => (number ? Math.max(1, (HEIGHT * number) / most) : 0);
  const chart = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + 18}`, class: "histogram" });
  for (let bar = 0; bar < bars; bar++) {
    const kept = tall(data.kept[bar]), gone = tall(data.dropped[bar]);
    const place = { x: bar * step, width: Math.max(step - 0.6, 0.5) };
    const says = `${short(data.edges[bar])} to ${short(data.edges[bar + 1])}: ` +
      `${data.kept[bar].toLocaleString("en")} kept, ${data.dropped[bar].toLocaleString("en")} dropped`;
    chart.append(svg("g", {}, svg("title", {}, says),
      svg("rect", { ...place, y: HEIGHT - kept, height: kept, class: "kept" }),
      svg("rect", { ...place, y: HEIGHT - kept - gone, height: gone, class: "dropped" })));
  }
  chart.append(svg("line", { x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT, class: "axis" }));
  const few = data.whole && bars <= 8; // each bar has its number below it
  for (let bar = 0; few && bar < bars; bar++)
    chart.append(svg("text", { x: (bar + 0.5) * step, y: HEIGHT + 13, "text-anchor": "middle" }, short(data.edges[bar])));
  const parts = [[0, "start"], [0.25, "middle"], [0.5, "middle"], [0.75, "middle"], [1, "end"]];
  for (const [part, anchor] of few ? [] : parts)
    chart.append(svg("text", { x: part * WIDTH, y: HEIGHT + 13, "text-anchor": anchor },
      short(data.whole ? Math.floor(valueAt(data.edges, part * WIDTH)) : valueAt(data.edges, part * WIDTH))));
  for (const [end, bound] of Object.entries(bounds)) chart.append(handle(chart, data, end, bound, moved));
  return chart;
}

function handle(chart, data, end, bound, moved) {
  const grip = svg("g", { class: `handle ${end}`, tabindex: 0, role: "slider", "data-end": end });
  const shade = svg("rect", { y: 0, height: HEIGHT, class: "outside" });
  const line = svg("line", { y1: 0, y2: HEIGHT, class: "bound" });
  const knob = svg("circle", { cy: 8, r: 6 });
  const wide = svg("rect", { y: 0, height: HEIGHT, width: 24, class: "grab" });
  grip.append(shade, line, wide, knob);
  let value = bound;
  const show = () => {
    const place = placeOfBound(data, end, value);
    for (const name of ["x1", "x2"]) line.setAttribute(name, place);
    knob.setAttribute("cx", Math.min(Math.max(place, 6), WIDTH - 6));
    wide.setAttribute("x", place - 12);
    shade.setAttribute("x", end === "min" ? 0 : place);
    shade.setAttribute("width", Math.max(end === "min" ? place : WIDTH - place, 0));
    grip.setAttribute("aria-label", end);
    grip.setAttribute("aria-valuenow", value);
    grip.setAttribute("aria-valuemin", data.edges[0]);
    grip.setAttribute("aria-valuemax", data.edges[data.edges.length - 1]);
  };
  const at = (event) => {
    const box = chart.getBoundingClientRect();
    return boundAt(data, end, ((event.clientX - box.left) / box.width) * WIDTH);
  };
  show();
  if (!moved) {
    grip.classList.add("locked");
    grip.removeAttribute("tabindex");
    return grip;
  }
  let drags = false;
  grip.addEventListener("pointerdown", (event) => {
    drags = true;
    grip.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  grip.addEventListener("pointermove", (event) => {
    if (!drags || at(event) === value) return;
    value = at(event);
    show();
    moved(end, value, false);
  });
  const stop = () => {
    if (drags) moved(end, value, true);
    drags = false;
  };
  grip.addEventListener("pointerup", stop);
  grip.addEventListener("pointercancel", stop);
  grip.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    if (!steps) return;
    const pixels = (WIDTH / 200) * steps * (event.shiftKey ? 10 : 1);
    const next = boundAt(data, end, placeOfBound(data, end, value) + pixels);
    value = next === value && data.whole ? value + steps : next;
    event.preventDefault();
    event.stopPropagation();
    show();
    moved(end, value, true);
  });
  return grip;
}

const CURVES = [["kept", "rows kept"], ["precision", "precision"], ["recall", "recall"], ["f1", "F1"]];

function curves(found) {
  const points = found.points, tall = 170;
  const low = points[0].bound, high = points[points.length - 1].bound;
  const log = low >= 0 && high > 50 * Math.max(points[Math.floor(points.length / 2)].bound, 1e-9) + 50;
  const scaled = (bound) => (log ? Math.log1p(bound) : bound);
  const x = (bound) => 34 + ((scaled(bound) - scaled(low)) / (scaled(high) - scaled(low) || 1)) * (WIDTH - 44);
  const chart = svg("svg", { viewBox: `0 0 ${WIDTH} ${tall + 34}`, class: "curves" });
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const y = 8 + (1 - share) * tall;
    chart.append(svg("line", { x1: 34, x2: WIDTH - 10, y1: y, y2: y, class: "axis" }),
      svg("text", { x: 30, y: y + 3, "text-anchor": "end" }, `${share * 100}%`));
  }
  for (const [part, anchor] of [[0, "start"], [0.5, "middle"], [1, "end"]]) {
    const at = low + part * (high - low);
    const bound = log ? Math.expm1(scaled(low) + part * (scaled(high) - scaled(low))) : at;
    chart.append(svg("text", { x: x(bound), y: tall + 22, "text-anchor": anchor }, short(bound)));
  }
  if (found.now !== null)
    chart.append(svg("line", { x1: x(found.now), x2: x(found.now), y1: 8, y2: tall + 8, class: "bound" }));
  const legend = document.createElement("p");
  legend.className = "legend";
  for (const [name, title] of CURVES) {
    const known = points.filter((point) => point[name] !== null && point[name] !== undefined);
    if (!known.length) continue;
    const y = (point) => 8 + (1 - (name === "kept" ? point.kept / (found.rows || 1) : point[name])) * tall;
    chart.append(svg("polyline", {
      points: known.map((point) => `${x(point.bound)},${y(point)}`).join(" "), class: `curve ${name}` }));
    for (const point of known)
      chart.append(svg("circle", { cx: x(point.bound), cy: y(point), r: 3, class: `dot ${name}` },
        svg("title", {}, `${short(point.bound)}: ${title} ` +
          (name === "kept" ? point.kept.toLocaleString("en") : point[name].toFixed(3)))));
    const word = document.createElement("span");
    word.className = `word ${name}`;
    word.textContent = title;
    legend.append(word);
  }
  const both = document.createElement("div");
  both.append(legend, chart);
  return both;
}

function heat(found, title, other) {
  const table = document.createElement("table");
  table.className = "heat";
  const head = table.createTHead().insertRow();
  const add = (row, text, tag) => {
    const cell = document.createElement(tag || "th");
    cell.textContent = text;
    row.append(cell);
    return cell;
  };
  table.createCaption().textContent = `Kept by ${title} (down) and ${other} (across)`;
  add(head, "");
  for (const bound of found.other_bounds) add(head, short(bound));
  const body = table.createTBody();
  found.bounds.forEach((bound, place) => {
    const row = body.insertRow();
    add(row, short(bound));
    for (const kept of found.kept[place]) {
      const cell = add(row, kept.toLocaleString("en"), "td");
      cell.dataset.heat = Math.round((9 * kept) / (found.rows || 1));
      cell.title = `${((100 * kept) / (found.rows || 1)).toFixed(1)}% kept`;
    }
  });
  return table;
}
