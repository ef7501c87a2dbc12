// What stands in a panel: facts, drawings, tables.
"use strict";

const QUADRANTS = [
  "high arousal, positive valence",
  "high arousal, negative valence",
  "low arousal, negative valence",
  "low arousal, positive valence",
];

// Names of metrics in the records, for people.
const METRICS = { mean_distance: "Mean distance", kl_divergence: "KL divergence" };
const WORDS = { rmse: "RMSE", r2: "R²", ccc: "CCC", pearson: "Pearson" };

function metricName(name) {
  if (METRICS[name]) return METRICS[name];
  const [score, axis, ...rest] = name.split("_");
  return `${WORDS[score] ?? score} of ${axis ?? ""}${rest.length ? ", within clips" : ""}`;
}

// A table; cells that are numbers stand at the right. A cell may be a node.
function table(caption, columns, rows, className = "") {
  const cell = (value, place) => {
    const made = element(place ? "td" : "th", place ? {} : { scope: "row" }, value ?? "–");
    if (columns[place].numeric) made.className = "num";
    return made;
  };
  const made = element(
    "table",
    { class: className },
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...columns.map(({ title, numeric }) =>
      (title ? element("th", { scope: "col", class: numeric ? "num" : "" }, title) : element("td", {}))))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map(cell)))),
  );
  return element("div", { class: "wide", role: "region", "aria-label": caption, tabindex: "0" }, made);
}

function scoreTable(record) {
  const names = Object.keys(record).filter((name) => `${name}_std` in record);
  const interval = (low, high) => (low == null ? "–" : `${number(low)} to ${number(high)}`);
  return table(
    "All scores",
    [{ title: "Score" }, { title: "Mean", numeric: true }, { title: "SD over repeats", numeric: true }, { title: "95 % interval", numeric: true }],
    names.map((name) => [
      metricName(name),
      record[name] == null ? "–" : number(record[name]),
      number(record[`${name}_std`]),
      interval(record[`${name}_low`], record[`${name}_high`]),
    ]),
    "scores",
  );
}

function quadrantTable(quadrants) {
  const most = d3.max(quadrants, (each) => each.distance ?? 0) || 1;
  return table(
    "Error by quadrant of the true mean",
    [{ title: "Quadrant" }, { title: "Seconds", numeric: true }, { title: "Mean distance", numeric: true }, { title: "" }],
    quadrants.map(({ seconds, distance }, place) => {
      const bar = element("span", { class: "length", "aria-hidden": "true" });
      bar.style.width = `${(3.5 * (distance ?? 0)) / most}rem`;
      return [QUADRANTS[place], String(seconds), number(distance), bar];
    }),
    "quadrants",
  );
}

function clipTable(caption, clips, choose) {
  return table(
    caption,
    [{ title: "Clip" }, { title: "Distance", numeric: true }, { title: "Arousal", numeric: true }, { title: "Valence", numeric: true }],
    clips.map((clip) => {
      const button = element("button", { type: "button", class: "open" }, clipName(clip));
      button.addEventListener("click", () => choose(clip.id));
      const name = element("span", {}, button, clipName(clip) === clip.id ? null : element("span", { class: "id" }, ` ${clip.id}`));
      const both = (found, wanted) => `${number(found)} (${number(wanted)})`;
      return [name, number(clip.distance), both(clip.arousal, clip.true_arousal), both(clip.valence, clip.true_valence)];
    }),
    "clips",
  );
}

function secondTable(targets, predictions) {
  return table(
    "Seconds of this clip: prediction (target)",
    ["Second", "Arousal", "Valence", "Distance"].map((title) => ({ title, numeric: true })),
    targets.map((target, place) => {
      const predicted = predictions[place];
      const both = (axis) => `${number(predicted[axis])} (${number(target[axis])})`;
      return [String(target.time), both("arousal"), both("valence"), number(distanceOf(target, predicted))];
    }),
    "seconds",
  );
}

// The clips to choose from, and the drawings of the one that is chosen.
function clipChooser(row, data) {
  const select = element("select", {});
  for (const kind of ["Best", "Between", "Worst"]) {
    const own = row.shown.filter((clip) => clip.kind === kind);
    const options = own.map((clip) => element("option", { value: clip.id }, `${clipName(clip)} (${number(clip.distance)})`));
    if (own.length) select.append(element("optgroup", { label: kind }, ...options));
  }
  const drawings = element("div", {});
  const draw = () => {
    const clip = row.shown.find(({ id }) => id === select.value);
    const known = data.clips[clip.place];
    const times = data.times[known.times];
    const [targets, predictions] = [readPath(times, known), readPath(times, clip.path)];
    const trajectory = drawTrajectory(clip, targets, predictions);
    drawings.replaceChildren(
      trajectory,
      secondSlider(trajectory, targets, predictions),
      figure(drawAxis("arousal", targets, predictions)),
      figure(
        drawAxis("valence", targets, predictions),
        key("target", "━"), " target ", key("predicted", "╍"), " prediction, each with a band of one standard deviation",
      ),
      element("details", {}, element("summary", {}, "Numbers of this clip"), secondTable(targets, predictions)),
    );
  };
  select.addEventListener("change", draw);
  const choose = (id) => {
    select.value = id;
    draw();
    select.focus();
  };
  const node = element("div", {}, element("label", { class: "chooser" }, "Clip ", select), drawings);
  draw();
  return { node, choose };
}

// Brings out one second of a trajectory: its means and ellipses.
function secondSlider(trajectory, targets, predictions) {
  const slider = element("input", { type: "range", min: "0", max: String(targets.length - 1), value: "0" });
  const said = element("output", {});
  const groups = ["target ellipses", "prediction ellipses", "target means", "prediction means"].map((name) =>
    trajectory.querySelectorAll(`[data-mark="${name}"] :is(path, circle)`));
  const show = () => {
    const place = Number(slider.value);
    for (const group of groups) group.forEach((drawn, second) => drawn.classList.toggle("now", second === place));
    const text = `${targets[place].time} s, distance ${number(distanceOf(targets[place], predictions[place]))}`;
    said.textContent = text;
    slider.setAttribute("aria-valuetext", text);
  };
  slider.addEventListener("input", show);
  show();
  return element("label", { class: "second" }, "Second ", slider, " ", said);
}

function distanceOf(target, prediction) {
  return Math.hypot(target.arousal - prediction.arousal, target.valence - prediction.valence);
}

// Everything below the title of a panel.
function panelContent(row, data, record) {
  const facts = element("dl", { class: "facts" });
  for (const [name, value] of Object.entries(row.facts.lines)) facts.append(element("dt", {}, name), element("dd", {}, value));
  if (row.reason !== undefined) {
    return [facts, element("p", { class: "reason" }, `Nothing can be drawn: ${row.reason}.`), scoreTable(record)];
  }
  const { node, choose } = clipChooser(row, data);
  const of = (kind) => row.shown.filter((clip) => clip.kind === kind);
  const part = row.clips.length < row.tested ? `, ${row.clips.length} of ${row.tested} drawn` : "";
  return [
    facts,
    element("div", { class: "halves" },
      element("section", {}, element("h3", {}, `All ${row.tested} tested clips${part}`), drawClips(row.clips),
        element("h3", {}, "Error by second"), drawSeconds(row.seconds, row.width), quadrantTable(row.quadrants)),
      element("section", {}, element("h3", {}, "One clip, second by second"), node)),
    element("p", { class: "note" }, "A clip stands for the first repeat in which it is tested; errors by second and quadrant are of all repeats."),
    clipTable("Best clips: prediction (target)", of("Best"), choose),
    clipTable("Worst clips: prediction (target)", of("Worst").reverse(), choose),
    scoreTable(record),
  ];
}
