// Columns of the tables: hidden where they do not fit, shown and hidden by the reader.
"use strict";

const rankings = Array.from(document.querySelectorAll("table.ranking"));
const headings = rankings.flatMap((node) => Array.from(node.tHead.rows[0].cells));

// Titles of the columns that can be hidden, by key.
const titles = new Map(
  headings.filter((cell) => cell.dataset.hide).map((cell) => [cell.dataset.key, cell.dataset.name ?? cell.textContent.trim()]),
);
// Columns whose content the name of the entry repeats.
const redundant = headings.filter((cell) => cell.dataset.hide === "off").map((cell) => cell.dataset.key);

let hidden = new Set();
// Once the reader has chosen columns, they no longer follow the width of the window.
let chosen = false;

function hideColumns(keys) {
  hidden = new Set(keys);
  const rules = rankings.flatMap((node) =>
    Array.from(node.tHead.rows[0].cells, (cell, place) =>
      (hidden.has(cell.dataset.key) ? `#${node.id} tr > :nth-child(${place + 1})` : null)).filter(Boolean));
  const text = rules.length ? `${rules.join(",")} { display: none }` : "";
  const style = document.getElementById("hidden-columns");
  if (style.textContent !== text) style.textContent = text;
}

// Hide columns, the least important first, until every table fits.
function fitColumns() {
  hideColumns(redundant);
  const dropped = new Set(redundant);
  for (const node of rankings) {
    let excess = node.offsetWidth - node.closest(".wide").clientWidth;
    const cells = Array.from(node.tHead.rows[0].cells).filter((cell) => Number(cell.dataset.hide));
    for (const cell of cells.sort((a, b) => b.dataset.hide - a.dataset.hide)) {
      if (dropped.has(cell.dataset.key)) excess -= cell.offsetWidth;
      else if (excess > 0) {
        excess -= cell.offsetWidth;
        dropped.add(cell.dataset.key);
      }
    }
  }
  hideColumns(dropped);
}

function sentence(names) {
  if (names.length === 1) return `The column ${names[0]} is hidden.`;
  if (names.length > 9) return `${names.length} columns are hidden.`;
  return `${names.length} columns are hidden: ${names.slice(0, -1).join(", ")} and ${names.at(-1)}.`;
}

function announceColumns() {
  const names = Array.from(titles).filter(([key]) => hidden.has(key)).map(([, title]) => title);
  const scrolls = rankings.filter((node) => node.offsetWidth > node.closest(".wide").clientWidth + 1);
  for (const node of rankings) {
    node.closest(".wide").classList.toggle("scrolls", scrolls.includes(node));
    node.closest(".wide").classList.toggle("fits", !scrolls.includes(node));
  }
  const line = document.getElementById("hidden");
  line.querySelector("span").textContent = [
    ...(names.length ? [sentence(names)] : []),
    ...(scrolls.length ? ["Scroll the table sideways to see all of it."] : []),
  ].join(" ");
  line.querySelector("button").textContent = names.length ? "Show all columns" : "Fit columns to the window";
  line.hidden = !names.length && !scrolls.length;
  for (const box of document.querySelectorAll("#columns input")) box.checked = !hidden.has(box.value);
}

function refreshColumns() {
  if (!chosen) fitColumns();
  announceColumns();
}

function choose(keys) {
  chosen = true;
  hideColumns(keys);
  announceColumns();
}

for (const [key, title] of titles) {
  const box = element("input", { type: "checkbox", value: key });
  box.addEventListener("change", () => choose(box.checked ? [...hidden].filter((each) => each !== key) : [...hidden, key]));
  document.getElementById("columns").append(element("label", {}, box, ` ${title}`));
}
document.getElementById("columns").append(element("button", { type: "button", id: "fit-columns" }, "Fit to the window"));
document.getElementById("fit-columns").addEventListener("click", () => {
  chosen = false;
  refreshColumns();
});
document.getElementById("all-columns").addEventListener("click", () => {
  if (hidden.size) return choose([]);
  chosen = false;
  return refreshColumns();
});

// Before the first layout, which takes long for a long table.
hideColumns(redundant);
for (const node of rankings) node.closest(".wide").classList.add("fits");

const chooser = document.querySelector("details.columns");
document.addEventListener("click", (event) => {
  if (!chooser.contains(event.target)) chooser.open = false;
});
chooser.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  chooser.open = false;
  chooser.querySelector("summary").focus();
});

// Hiding columns and filtering change the height only, which needs no new layout of a long table.
let fittedWidth = 0;
new ResizeObserver(([{ contentRect }]) => {
  if (contentRect.width === fittedWidth) return;
  fittedWidth = contentRect.width;
  refreshColumns();
}).observe(document.getElementById("rankings"));
