// The panel of a row: what it is drawn from, and the drawings. Names from data only ever become text nodes.
"use strict";

const MEAN = 1e-3;
const SPREAD = 1e-4;
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

// An element with attributes and children; a string becomes text, whatever is in it.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child != null));
  return made;
}

// Little-endian 16-bit multiples of a unit, in base64.
function unpack(text, unit) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Array.from({ length: bytes.length / 2 }, (_, place) => view.getInt16(2 * place, true) * unit);
}

function number(value) {
  return value == null ? "–" : value.toFixed(3).replace("-", "−");
}

// What a row's panel shows, from the data of its section.
function readRow(data, signature) {
  const row = data.rows[signature];
  if (row.reason !== undefined) return { facts: data.facts[signature], reason: row.reason };
  const points = unpack(row.points, MEAN);
  const clips = data.sets[row.set].map((place, index) => {
    const { id, artist, title, mean } = data.clips[place];
    const [arousal, valence, distance] = points.slice(3 * index, 3 * index + 3);
    return { id, artist, title, place, true_arousal: mean[0], true_valence: mean[1], arousal, valence, distance };
  });
  const shown = row.shown.map((index, order) => ({
    ...clips[index],
    kind: order < row.best ? "Best" : order >= row.shown.length - row.worst ? "Worst" : "Between",
    path: row.paths[order],
  }));
  const distances = unpack(row.second.distance, MEAN);
  const seconds = data.times[row.second.times].map((time, place) => ({ time, distance: distances[place] }));
  const facts = data.facts[signature];
  return { facts, tested: row.tested, clips, shown, seconds, width: row.second.width, quadrants: row.quadrant };
}

// Seconds of a clip: times, means, standard deviations and correlations of targets or predictions.
function readPath(times, { means, spreads }) {
  const [at, around] = [unpack(means, MEAN), unpack(spreads, SPREAD)];
  return times.map((time, place) => {
    const [arousal, valence] = at.slice(2 * place, 2 * place + 2);
    const [sdArousal, sdValence, correlation] = around.slice(3 * place, 3 * place + 3);
    return { time, arousal, valence, sdArousal, sdValence, correlation };
  });
}

// Points of the ellipse of one standard deviation: the circle, through a root of the covariance matrix.
function ellipse(second, group) {
  const rest = Math.sqrt(Math.max(0, 1 - second.correlation ** 2));
  return d3.range(0, 2 * Math.PI, Math.PI / 20).map((angle) => ({
    group,
    arousal: second.arousal + second.sdArousal * Math.cos(angle),
    valence: second.valence + second.sdValence * (second.correlation * Math.cos(angle) + rest * Math.sin(angle)),
  }));
}

function clipName({ id, artist, title }) {
  return [artist, title].filter(Boolean).join(", ") || id;
}

// A frame around the origin that holds all points, but none of a prediction that has gone astray.
function frame(points) {
  const furthest = d3.max(points, (point) => Math.max(Math.abs(point.arousal), Math.abs(point.valence))) ?? 0;
  const half = Math.min(1, Math.max(0.5, Math.ceil(furthest * 10) / 10));
  return { half, outside: points.filter((p) => Math.max(Math.abs(p.arousal), Math.abs(p.valence)) > half).length };
}

function plane(label, description, half, marks) {
  return Plot.plot({
    width: 440,
    height: 440,
    margin: 38,
    marginTop: 22,
    marginRight: 14,
    ariaLabel: label,
    ariaDescription: description,
    className: "drawing",
    x: { domain: [-half, half], label: "valence →", ticks: 5, labelAnchor: "right" },
    y: { domain: [-half, half], label: "↑ arousal", ticks: 5 },
    marks: [
      Plot.ruleX([-0.5, 0, 0.5], { stroke: "var(--grid)", ariaLabel: "grid" }),
      Plot.ruleY([-0.5, 0, 0.5], { stroke: "var(--grid)", ariaLabel: "grid" }),
      ...marks,
    ],
  });
}

const TARGET = { stroke: "var(--target)" };
const PREDICTED = { stroke: "var(--predicted)" };

// All tested clips: mean target, mean prediction, and the way from one to the other.
function drawClips(clips) {
  const text = (clip) => `${clipName(clip)}\ndistance ${number(clip.distance)}`;
  const { half, outside } = frame(clips);
  const shared = { clip: true };
  const drawn = plane(
    "All tested clips in the plane of valence and arousal",
    "A line leads from the mean target of each clip, a dot, to its mean prediction, a diamond. The numbers are in the tables.",
    half,
    [
      Plot.link(clips, {
        x1: "true_valence", y1: "true_arousal", x2: "valence", y2: "arousal",
        stroke: "var(--faint)", strokeWidth: 0.75, ariaLabel: "errors", ...shared,
      }),
      Plot.dot(clips, { x: "true_valence", y: "true_arousal", r: 2.5, fill: "var(--target)", ariaLabel: "targets", ...shared }),
      Plot.dot(clips, {
        x: "valence", y: "arousal", r: 2.5, symbol: "diamond", ...PREDICTED, fill: "var(--paper)",
        ariaLabel: "predictions", ...shared,
      }),
      Plot.tip(clips, Plot.pointer({ x: "valence", y: "arousal", title: text })),
    ],
  );
  return figure(drawn, "● mean target   ◇ mean prediction" + (outside ? `; ${outside} predictions lie outside the frame` : ""));
}

// A clip second by second in the plane.
function drawTrajectory(clip, targets, predictions) {
  const marks = [];
  for (const [what, seconds, colour] of [["target", targets, TARGET], ["prediction", predictions, PREDICTED]]) {
    marks.push(
      Plot.line(seconds.flatMap(ellipse), {
        x: "valence", y: "arousal", z: "group", curve: "linear-closed", fill: colour.stroke, fillOpacity: 0.05,
        ...colour, strokeWidth: 0.75, strokeOpacity: 0.5, clip: true, ariaLabel: `${what} ellipses`,
      }),
    );
  }
  for (const [what, seconds, colour] of [["target", targets, TARGET], ["prediction", predictions, PREDICTED]]) {
    const named = seconds.filter((_, place) => place === 0 || place === seconds.length - 1);
    const shape = what === "target" ? { fill: "var(--target)" } : { symbol: "diamond", fill: "var(--paper)", ...colour };
    marks.push(
      Plot.line(seconds, { x: "valence", y: "arousal", ...colour, strokeWidth: 1.75, clip: true, ariaLabel: `${what} trajectory` }),
      Plot.dot(seconds, { x: "valence", y: "arousal", r: 2.5, ...shape, clip: true, ariaLabel: `${what} means` }),
      Plot.text(named, {
        x: "valence", y: "arousal", text: (second) => `${second.time} s`, dy: -9, fontWeight: 600, fill: colour.stroke,
        stroke: "var(--paper)", strokeWidth: 3, clip: true, ariaLabel: `${what} times`,
      }),
    );
  }
  const { half } = frame([...targets, ...predictions]);
  const label = `${clipName(clip)}, second by second in the plane of valence and arousal`;
  const drawn = plane(label, "Targets and predictions with their ellipses of one standard deviation.", half, marks);
  drawn.dataset.clip = clip.id;
  return figure(drawn, "● target   ◇ prediction, each with its ellipse of one standard deviation");
}

// A clip's arousal or valence over time, each with a band of one standard deviation.
function drawAxis(axis, targets, predictions) {
  const deviation = axis === "arousal" ? "sdArousal" : "sdValence";
  const band = (seconds, colour, what) => [
    Plot.areaY(seconds, {
      x: "time", y1: (s) => s[axis] - s[deviation], y2: (s) => s[axis] + s[deviation],
      fill: colour, fillOpacity: 0.12, clip: true, ariaLabel: `${what} band`,
    }),
    Plot.lineY(seconds, {
      x: "time", y: axis, stroke: colour, strokeWidth: 1.75, strokeDasharray: what === "target" ? null : "5 3",
      clip: true, ariaLabel: what,
    }),
  ];
  const half = frame([...targets, ...predictions]).half;
  return Plot.plot({
    width: 440,
    height: 130,
    marginLeft: 38,
    marginBottom: 30,
    className: "drawing",
    ariaLabel: `${axis} over time, of targets and predictions`,
    x: { label: axis === "valence" ? "second of the clip →" : null },
    y: { domain: [-half, half], ticks: 3, label: `↑ ${axis}` },
    marks: [
      Plot.ruleY([0], { stroke: "var(--grid)" }),
      ...band(targets, "var(--target)", "target"),
      ...band(predictions, "var(--predicted)", "prediction"),
    ],
  });
}

function drawSeconds(seconds, width) {
  const drawn = Plot.plot({
    width: 440,
    height: 170,
    marginLeft: 44,
    marginBottom: 32,
    className: "drawing",
    ariaLabel: "Mean distance by second of the clip",
    x: { label: width ? `seconds, ${width} together →` : "second of the clip →" },
    y: { label: "↑ mean distance", zero: true, ticks: 4, grid: true },
    marks: [
      Plot.lineY(seconds, { x: "time", y: "distance", stroke: "var(--ink)", strokeWidth: 1.5, ariaLabel: "error by second" }),
      Plot.dot(seconds, { x: "time", y: "distance", r: 2, fill: "var(--ink)", ariaLabel: "seconds" }),
      Plot.tip(seconds, Plot.pointerX({ x: "time", y: "distance", title: (s) => `${s.time} s: ${number(s.distance)}` })),
    ],
  });
  return figure(drawn, "Over all tested clips and repeats.");
}

function figure(drawn, caption) {
  drawn.setAttribute("role", "img");
  return element("figure", {}, drawn, element("figcaption", {}, caption));
}

// A table; cells that are numbers stand at the right. A cell may be a node.
function table(caption, columns, rows, className = "") {
  const cell = (value, place) => {
    const made = element(place ? "td" : "th", place ? {} : { scope: "row" }, value ?? "–");
    if (columns[place].numeric) made.className = "num";
    return made;
  };
  return element(
    "table",
    { class: className },
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...columns.map(({ title, numeric }) =>
      element("th", { scope: "col", class: numeric ? "num" : "" }, title)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map(cell)))),
  );
}

function scoreTable(record) {
  const names = Object.keys(record).filter((name) => `${name}_std` in record);
  const interval = (low, high) => (low == null ? "–" : `${number(low)} to ${number(high)}`);
  return table(
    "All scores",
    [{ title: "Score" }, { title: "Mean", numeric: true }, { title: "SD over repeats", numeric: true }, { title: "95 % interval", numeric: true }],
    names.map((name) => [
      metricName(name),
      record[name] == null ? "undefined" : number(record[name]),
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
      bar.style.width = `${(5 * (distance ?? 0)) / most}rem`;
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
      const both = (found, wanted) => `${number(found)} for ${number(wanted)}`;
      return [name, number(clip.distance), both(clip.arousal, clip.true_arousal), both(clip.valence, clip.true_valence)];
    }),
    "clips",
  );
}

function secondTable(targets, predictions) {
  return table(
    "Seconds of this clip: prediction for target",
    ["Second", "Arousal", "Valence", "Distance"].map((title) => ({ title, numeric: true })),
    targets.map((target, place) => {
      const predicted = predictions[place];
      const distance = Math.hypot(target.arousal - predicted.arousal, target.valence - predicted.valence);
      const both = (axis) => `${number(predicted[axis])} for ${number(target[axis])}`;
      return [String(target.time), both("arousal"), both("valence"), number(distance)];
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
  const drawings = element("div", { "aria-live": "polite" });
  const draw = () => {
    const clip = row.shown.find(({ id }) => id === select.value);
    const known = data.clips[clip.place];
    const times = data.times[known.times];
    const [targets, predictions] = [readPath(times, known), readPath(times, clip.path)];
    drawings.replaceChildren(
      drawTrajectory(clip, targets, predictions),
      figure(drawAxis("arousal", targets, predictions), ""),
      figure(drawAxis("valence", targets, predictions), "Solid: target, dashed: prediction, each with a band of one standard deviation."),
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

// Everything below the title of a panel.
function panelContent(row, data, record) {
  const facts = element("dl", { class: "facts" });
  for (const [name, value] of Object.entries(row.facts)) facts.append(element("dt", {}, name), element("dd", {}, value));
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
    element("div", { class: "halves" },
      clipTable("Best clips: prediction for target", of("Best"), choose),
      clipTable("Worst clips: prediction for target", of("Worst").reverse(), choose)),
    scoreTable(record),
  ];
}
