"use strict";
const figures = JSON.parse(document.getElementById("figures").textContent);
const PAGE = 20, ROWS = 10;

function themed(layout) {
  const style = getComputedStyle(document.body);
  const grid = style.getPropertyValue("--line").trim(), back = style.getPropertyValue("--card").trim();
  const axis = {gridcolor: grid, zerolinecolor: grid, linecolor: grid};
  const result = {...layout, font: {color: style.color, family: style.fontFamily, size: 12}, hoverlabel: {bgcolor: back}};
  for (const name of ["xaxis", "yaxis", "yaxis2"]) if (layout[name]) result[name] = {...axis, ...layout[name]};
  return result;
}
function draw(element) {
  const figure = figures[element.dataset.figure];
  const data = figure.data.map((trace) => ({x: figure.x, ...trace}));
  return Plotly.react(element, data, themed(figure.layout), {responsive: true, displaylogo: false, displayModeBar: false});
}
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) { seen.unobserve(entry.target); draw(entry.target); }
}, {rootMargin: "600px"});
document.querySelectorAll(".chart").forEach((element) => seen.observe(element));
const redraw = (selector) => document.querySelectorAll(selector).forEach(draw);
window.addEventListener("beforeprint", () => redraw("details[open] .chart:not(.js-plotly-plot), section > .chart:not(.js-plotly-plot)"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw(".chart.js-plotly-plot"));
document.querySelectorAll("button[data-figure]").forEach((button) => button.addEventListener("click", () => {
  const chart = button.parentElement.nextElementSibling;
  chart.dataset.figure = button.dataset.figure;
  press(button);
  draw(chart);
}));

function press(button) {
  for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
}
function usd(value) {
  const size = Math.abs(value);
  if (value > 0 && value < 0.005) return "less than $0.01";
  const digits = size >= 1000 ? 0 : 2;
  return (value < 0 ? "-$" : "$") + size.toLocaleString("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits});
}
function change(value) {
  if (Math.abs(value) < 0.005) return costs.hasWeekBefore ? "none" : "";
  return (value > 0 ? "+" : "") + usd(value);
}
function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// Alerts: filtered, sorted and grouped in place; a page of them is shown at a time.
const form = document.getElementById("filters");
if (form) {
  const list = document.getElementById("alert-list"), more = document.getElementById("more");
  const alerts = [...list.children];
  const texts = new Map(alerts.map((alert) => [alert, alert.textContent.toLowerCase()]));
  let limit = PAGE;
  const whole = (some) => some.reduce((sum, alert) => sum + Number(alert.dataset.usd), 0);
  const total = (some) => `${some.length} alert${some.length === 1 ? "" : "s"}, ${usd(whole(some))} above expected`;
  const by = {
    rank: (a, b) => a.dataset.place - b.dataset.place,
    usd: (a, b) => b.dataset.usd - a.dataset.usd,
    rate: (a, b) => b.dataset.rate - a.dataset.rate || b.dataset.usd - a.dataset.usd,
    start: (a, b) => b.dataset.start.localeCompare(a.dataset.start),
  };
  const show = () => {
    const wanted = Object.fromEntries(new FormData(form));
    const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = alerts.filter((alert) => words.every((word) => texts.get(alert).includes(word))
      && ["severity", "state", "account", "class"].every((name) => !wanted[name] || alert.dataset[name] === wanted[name])).sort(by[wanted.sort]);
    list.replaceChildren(...(wanted.group ? groups(kept, wanted.group) : kept.slice(0, limit)));
    const rest = wanted.group ? 0 : Math.max(kept.length - limit, 0);
    document.getElementById("shown").textContent = (kept.length === alerts.length ? "" : `of ${alerts.length} alerts: `) + total(kept);
    more.hidden = rest === 0;
    more.textContent = `Show ${Math.min(PAGE, rest)} more of ${rest}`;
  };
  const groups = (kept, name) => {
    const found = new Map();
    for (const alert of kept) found.set(alert.dataset[name], [...(found.get(alert.dataset[name]) || []), alert]);
    return [...found].sort((a, b) => whole(b[1]) - whole(a[1])).map(([title, members]) => {
      const group = element("details", "", {class: "group"});
      const summary = element("summary", "");
      summary.append(element("strong", title), ` ${total(members)}`);
      group.append(summary, ...members);
      group.open = kept.length <= PAGE;
      return group;
    });
  };
  const reveal = () => {
    const alert = alerts.find((each) => each.id === decodeURIComponent(location.hash.slice(1)));
    if (!alert) return;
    form.reset();
    limit = Math.max(limit, Number(alert.dataset.place) + 1);
    show();
    alert.open = true;
    alert.scrollIntoView();
  };
  for (const kind of ["input", "change"]) form.addEventListener(kind, () => { limit = PAGE; show(); });
  form.addEventListener("reset", () => setTimeout(show));
  form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", () => {
    const next = limit;
    limit += PAGE;
    show();
    list.children[next].firstElementChild.focus();
  });
  window.addEventListener("hashchange", reveal);
  show();
  reveal();
}

// Costs: by one dimension at a time; choosing a name narrows to it and shows the next dimension.
const costs = JSON.parse(document.getElementById("cost-data").textContent);
const DIMENSIONS = ["account", "region", "class", "resource"];
const table = document.getElementById("cost-table"), all = document.getElementById("all-costs");
const state = {dimension: 0, path: [], sort: "usd", all: false};
function costRows() {
  const found = new Map();
  for (const row of costs.rows) {
    if (!state.path.every(([dimension, text]) => row[dimension] === text)) continue;
    const sums = found.get(row[state.dimension]) || [0, 0, 0];
    found.set(row[state.dimension], sums.map((sum, number) => sum + row[4 + number]));
  }
  const rows = [...found].map(([text, [month, week, before]]) => ({text, usd: month, week, change: costs.hasWeekBefore ? week - before : 0}));
  return rows.sort((a, b) => Math.abs(b[state.sort]) - Math.abs(a[state.sort]) || b.usd - a.usd);
}
function free() { return DIMENSIONS.map((_, number) => number).filter((number) => !state.path.some(([used]) => used === number)); }
function showCosts(changes = {}) {
  Object.assign(state, {all: false}, changes);
  if (!free().includes(state.dimension)) state.dimension = free()[0] ?? 3;
  const rows = costRows(), whole = rows.reduce((sum, row) => sum + row.usd, 0);
  document.getElementById("cost-name").textContent = DIMENSIONS[state.dimension];
  const body = rows.slice(0, state.all ? rows.length : ROWS).map((row) => {
    const line = element("tr", ""), name = element("th", "", {scope: "row"});
    const share = whole ? row.usd / whole : 0;
    if (free().length > 1) {
      const button = element("button", costs.texts[row.text], {type: "button", class: "link"});
      button.addEventListener("click", () => { showCosts({path: [...state.path, [state.dimension, row.text]]}); focusFirst(); });
      name.append(button);
    } else name.textContent = costs.texts[row.text];
    name.append(element("span", "", {class: "meter", style: `width: ${(100 * Math.max(share, 0)).toFixed(1)}%`}));
    line.append(name, element("td", usd(row.usd), {class: "n"}), element("td", `${Math.round(100 * share)} %`, {class: "n share"}),
      element("td", usd(row.week), {class: "n week"}), element("td", change(row.change), {class: "n"}));
    return line;
  });
  table.tBodies[0].replaceChildren(...body);
  table.querySelectorAll("button[data-sort]").forEach((button) => {
    if (button.dataset.sort === state.sort) button.parentElement.setAttribute("aria-sort", "descending");
    else button.parentElement.removeAttribute("aria-sort");
  });
  all.hidden = state.all || rows.length <= ROWS;
  all.textContent = `Show all ${rows.length}`;
  document.getElementById("dimensions").replaceChildren(...free().map((number) => {
    const button = element("button", DIMENSIONS[number], {type: "button", "aria-pressed": String(number === state.dimension)});
    button.addEventListener("click", () => { showCosts({dimension: number}); document.querySelector('#dimensions [aria-pressed="true"]').focus(); });
    return button;
  }));
  const path = document.getElementById("path");
  path.replaceChildren(...[["everything", 0], ...state.path.map(([, text], number) => [costs.texts[text], number + 1])].flatMap(([text, length], number) => {
    const parts = number ? [" / "] : [];
    if (length === state.path.length) return [...parts, element("strong", text)];
    const button = element("button", text, {type: "button", class: "link"});
    button.addEventListener("click", () => { showCosts({path: state.path.slice(0, length), dimension: state.path[length][0]}); focusFirst(); });
    return [...parts, button];
  }), `: ${usd(whole)} a month`);
}
function focusFirst() { (table.querySelector("tbody button") || document.querySelector("#path button") || all).focus(); }
table.querySelectorAll("button[data-sort]").forEach((button) => button.addEventListener("click", () => showCosts({sort: button.dataset.sort})));
all.addEventListener("click", () => { showCosts({all: true}); table.querySelectorAll("tbody button")[ROWS]?.focus(); });
showCosts();
