"""The program inside the gallery's page: which images are shown, in which order, with what."""

SCRIPT = """
"use strict";
const written = document.getElementById("data");
const data = JSON.parse(written.textContent);
written.remove();
const form = document.getElementById("choice");
const list = document.getElementById("images");
const message = document.getElementById("status");
const PER_PAGE = 12;
const metrics = new Map(data.metrics.map((metric) => [metric.name, metric]));
let order = [];
let page = 0;

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function subjects() {
  const chosen = form.elements.subject.value;
  return chosen === "" ? Object.keys(data.subjects) : [chosen];
}

function score(subject, column, metric, id) {
  const known = data.subjects[subject];
  const values = known.scores[column]?.[metric];
  return values === undefined ? undefined : values[known.rows.get(id)];
}

function asText(value, metric) {
  if (value === undefined) return "";
  if (value === null) return "undefined";
  return metric.percent ? `${(100 * value).toFixed(1)} %` : value.toFixed(3);
}

// Mean over the subjects shown; what is undefined comes last whatever the order.
function key(id) {
  const metric = metrics.get(form.elements.metric.value);
  const values = subjects().map((s) => score(s, form.elements.system.value, metric.name, id));
  const known = values.filter((value) => typeof value === "number");
  if (known.length === 0) return null;
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  return metric.better === "lower" ? -mean : mean;
}

function sorted() {
  const ids = data.ids.filter((id) => subjects().some((s) => data.subjects[s].rows.has(id)));
  const wanted = form.elements.order.value;
  if (wanted === "number") return ids;
  const keys = new Map(ids.map((id) => [id, key(id)]));
  const known = ids.filter((id) => keys.get(id) !== null);
  known.sort((one, other) => keys.get(other) - keys.get(one));
  if (wanted === "worst") known.reverse();
  if (wanted === "median") {
    const rank = new Map(known.map((id, place) => [id, Math.abs(place - (known.length - 1) / 2)]));
    known.sort((one, other) => rank.get(one) - rank.get(other));
  }
  return [...known, ...ids.filter((id) => keys.get(id) === null)];
}

function picture(subject, column, place, id) {
  const shown = form.elements.every.checked ? data.metrics
    : data.metrics.filter((metric) => metric.name === form.elements.metric.value);
  const scores = element("span", { class: "scores" });
  for (const metric of shown) {
    const text = asText(score(subject, column.name, metric.name, id), metric);
    if (text) scores.append(element("span", {}, `${metric.name} ${text}`));
  }
  const strip = `url("${data.pictures}/${subject}/${id}.webp")`;
  const position = data.columns.length > 1 ? (100 * place) / (data.columns.length - 1) : 0;
  const image = element("div", { class: "picture", role: "img",
    "aria-label": `${column.title}, image ${id}, ${subject}` });
  image.style.backgroundImage = strip;
  image.style.backgroundSize = `${100 * data.columns.length}% 100%`;
  image.style.backgroundPosition = `${position}% 0`;
  return element("figure", { class: column.kind }, image,
    element("figcaption", {}, element("span", { class: "title" }, column.title), scores));
}

function article(id) {
  const heading = element("h2", {}, element("a", { href: `#${id}` }, `Image ${id}`));
  const captions = data.captions[id] ?? [];
  const made = element("article", { id: String(id) }, heading);
  if (captions.length) made.append(element("p", { class: "captions" }, captions.join(" · ")));
  const hidden = new Set([...form.querySelectorAll("input[name=column]:not(:checked)")]
    .map((box) => box.value));
  for (const subject of subjects()) {
    if (!data.subjects[subject].rows.has(id)) continue;
    const row = element("div", { class: "row" });
    if (form.elements.subject.value === "") row.append(element("h3", {}, subject));
    data.columns.forEach((column, place) => {
      if (!hidden.has(column.name)) row.append(picture(subject, column, place, id));
    });
    made.append(row);
  }
  return made;
}

function show() {
  const pages = Math.max(1, Math.ceil(order.length / PER_PAGE));
  page = Math.min(Math.max(page, 0), pages - 1);
  const ids = order.slice(page * PER_PAGE, (page + 1) * PER_PAGE);
  list.replaceChildren(...ids.map(article));
  const first = page * PER_PAGE + 1;
  const range = `Images ${first} to ${first + ids.length - 1} of ${order.length}`;
  message.textContent = ids.length ? `${range}, page ${page + 1} of ${pages}` : "No images.";
  for (const button of document.querySelectorAll("button[data-step]")) {
    const next = page + Number(button.dataset.step);
    button.disabled = next < 0 || next >= pages;
  }
}

function change() {
  document.documentElement.style.setProperty("--size", `${form.elements.size.value}rem`);
  order = sorted();
  page = 0;
  show();
}

// An address that ends in #123 leads to image 123, on whichever page it is.
function follow() {
  const id = Number(location.hash.slice(1));
  const place = location.hash.length > 1 ? order.indexOf(id) : -1;
  if (place < 0) return;
  page = Math.floor(place / PER_PAGE);
  show();
  document.getElementById(String(id)).scrollIntoView();
}

function step(by) {
  page += by;
  show();
  list.scrollIntoView();
}

for (const known of Object.values(data.subjects)) {
  known.rows = new Map(known.ids.map((id, row) => [id, row]));
}
form.addEventListener("input", change);
form.addEventListener("submit", (event) => event.preventDefault());
for (const button of document.querySelectorAll("button[data-step]")) {
  button.addEventListener("click", () => step(Number(button.dataset.step)));
}
addEventListener("hashchange", follow);
addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.target.closest?.("input, select")) return;
  if (event.key === "ArrowRight") document.querySelector("button[data-step='1']").click();
  if (event.key === "ArrowLeft") document.querySelector("button[data-step='-1']").click();
});
change();
follow();
"""
"""JavaScript without any library; it reads the element ``data`` and draws a page of images."""
