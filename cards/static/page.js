// Sorting, filtering, panels and downloads.
"use strict";

const parsed = new Map();

// Parsed JSON of a script element, cached.
function embeddedData(id) {
  if (!parsed.has(id)) parsed.set(id, JSON.parse(document.getElementById(id).textContent));
  return parsed.get(id);
}

// Columns of text, by the keys of their headings.
const TEXT_COLUMNS = ["entry", "phase", "regressor", "beats", "processor", "group", "outside"];

DataTable.ext.errMode = "throw";
// The reference entries are in a second tbody, which is neither sorted nor filtered.
const tables = rankings.map((node) => {
  const keys = Array.from(node.tHead.rows[0].cells, (cell) => cell.dataset.key);
  const table = new DataTable(node, {
    columns: keys.map((key) => ({
      name: key,
      type: TEXT_COLUMNS.includes(key) ? "string" : "num",
      searchable: key === "layer" || TEXT_COLUMNS.includes(key),
      orderSequence: ["asc", "desc"],
    })),
    paging: false,
    info: false,
    autoWidth: false,
    layout: { topStart: null, topEnd: null, bottomStart: null, bottomEnd: null },
    order: [[keys.indexOf("distance"), "asc"]],
    language: { emptyTable: "No entries.", zeroRecords: "No entry matches the filter." },
  });
  return table;
});

// The library lets only Enter press its sort buttons; buttons respond to Space too.
document.addEventListener("keydown", (event) => {
  if (event.key === " " && event.target.matches(".dt-column-order")) {
    event.preventDefault();
    event.target.click();
  }
});

// The filter applies to the tables of all datasets.
const filter = document.getElementById("filter");
const phase = document.getElementById("phase");
const group = document.getElementById("group");
const outside = document.getElementById("outside");
const state = document.getElementById("state");

// Show those entries in the overview above a table that the table shows.
function showOverview(table) {
  const shown = new Set(table.rows({ search: "applied" }).nodes().toArray().map((line) => line.dataset.entry));
  for (const node of table.table().node().closest("section").querySelectorAll(".overview [data-of]")) {
    node.classList.toggle("off", !shown.has(node.dataset.of));
  }
}

function applyFilter() {
  let shown = 0;
  let all = 0;
  for (const table of tables) {
    table.search(filter.value);
    if (phase) table.column("phase:name").search(phase.value, { exact: true });
    if (group) {
      table.column("group:name").search(group.value, { exact: true });
      table.column("outside:name").search(outside.checked ? "no" : "", { exact: true });
    }
    table.draw();
    showOverview(table);
    shown += table.rows({ search: "applied" }).count();
    all += table.rows().count();
  }
  const everything = all === 1 ? "Showing 1 entry." : `Showing all ${all} entries.`;
  state.textContent = shown === all ? everything : `Showing ${shown} of ${all} entries.`;
}

filter.addEventListener("input", applyFilter);
for (const choice of [phase, group, outside]) choice?.addEventListener("change", applyFilter);
filter.form.addEventListener("submit", (event) => event.preventDefault());
filter.form.hidden = false;

// Downloads have the bytes that the command line writes.
function offer(link, text, type) {
  if (link.href.startsWith("blob:")) URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  return link;
}

// Decompress base64 of gzip.
async function unpackText(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

// The leaderboard as CSV and as JSON, decompressed once.
let whole = null;

function allTexts() {
  const { csv, json } = embeddedData("texts");
  whole ??= Promise.all([unpackText(csv), unpackText(json)]).then((texts) => ({ csv: texts[0], json: texts[1] }));
  return whole;
}

async function offerAll() {
  const { csv, json } = await allTexts();
  offer(document.getElementById("csv"), csv, "text/csv");
  offer(document.getElementById("json"), json, "application/json");
  document.querySelector(".downloads").hidden = false;
}

// Lines of CSV; a line break inside quotes does not end a line.
function csvLines(text) {
  return text.match(/(?:"[^"]*"|[^"\n])+/g) ?? [];
}

// The record of an entry, and its line of CSV.
async function recordOf(signature) {
  if (!parsed.has("records")) {
    const texts = await allTexts();
    const records = JSON.parse(texts.json).flatMap(({ rows }) => rows);
    const [head, ...lines] = csvLines(texts.csv);
    const all = records.map((record, place) => [record.signature, { record, csv: `${head}\n${lines[place]}\n` }]);
    parsed.set("records", new Map(all));
  }
  return parsed.get("records").get(signature);
}

// Panels.
const panel = document.getElementById("panel");
const links = [];

async function openEntry(signature) {
  const line = Array.from(document.querySelectorAll("tr[data-entry]")).find((each) => each.dataset.entry === signature);
  if (!line) return;
  const data = embeddedData(`data-${line.closest("table").dataset.section}`);
  const { record, csv } = await recordOf(signature);
  const entry = readEntry(data, signature);
  const close = element("button", { type: "button", class: "close", autofocus: "" }, "Close");
  close.addEventListener("click", () => panel.close());
  const details = entry.reason === undefined && {
    clips: entry.clips.map(({ place, ...clip }) => clip),
    error_by_second: entry.seconds,
    error_by_quadrant: entry.quadrants.map((each, place) => ({ quadrant: QUADRANTS[place], ...each })),
  };
  const detailed = JSON.stringify({ ...record, ...details }, null, 2);
  links.splice(0).forEach((link) => URL.revokeObjectURL(link.href));
  links.push(
    offer(element("a", { download: `${signature}.csv` }, "CSV"), csv, "text/csv"),
    offer(element("a", { download: `${signature}.json` }, "JSON"), `${detailed}\n`, "application/json"),
  );
  panel.replaceChildren(
    element("header", {},
      element("div", {},
        element("h2", { id: "panel-title" }, entry.facts.label),
        element("p", {}, `${data.title}. This entry: `, links[0], " ", links[1])),
      close),
    data.warning ? element("p", { class: "warning" }, data.warning) : "",
    ...panelContent(entry, data, record),
  );
  if (!panel.open) panel.showModal();
  panel.scrollTop = 0;
  const place = `#entry=${encodeURIComponent(signature)}`;
  if (location.hash !== place) history.replaceState(null, "", place);
}

panel.addEventListener("close", () => {
  if (location.hash.startsWith("#entry=")) history.replaceState(null, "", location.pathname + location.search);
});
// The target of a click outside the panel is the dialog itself.
panel.addEventListener("click", (event) => {
  if (event.target === panel) panel.close();
});
document.getElementById("rankings").addEventListener("click", (event) => {
  const button = event.target.closest("button.open");
  if (button) openEntry(button.closest("[data-entry]").dataset.entry);
});

function openFromHash() {
  if (location.hash.startsWith("#entry=")) openEntry(decodeURIComponent(location.hash.slice("#entry=".length)));
}

window.addEventListener("hashchange", openFromHash);
applyFilter();
openFromHash();
document.documentElement.dataset.ready = performance.now().toFixed(1);
setTimeout(offerAll);
