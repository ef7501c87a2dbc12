// Content of a panel: facts, plots and tables.
"use strict";

const QUADRANTS = [
  "high arousal, positive valence",
  "high arousal, negative valence",
  "low arousal, negative valence",
  "low arousal, positive valence",
];

// Titles of the metrics in the records.
const METRICS = { mean_distance: "Mean distance", kl_divergence: "KL divergence" };
const WORDS = { rmse: "RMSE", r2: "R²", ccc: "CCC", pearson: "Pearson" };

function metricName(name) {
  if (METRICS[name]) return METRICS[name];
  const [score, axis, ...rest] = name.split("_");
  return [(axis ?? "").replace(/^./, (letter) => letter.toUpperCase()), WORDS[score] ?? score, ...(rest.length ? ["within clips"] : [])].join(" ").trim();
}

// A table whose numeric cells are right-aligned. A cell is a string or a node.
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
    [{ title: "Score" }, { title: "Mean", numeric: true }, { title: "SD over repeats", numeric: true }, { title: "95 % interval", numeric: true }],
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
    "Error by quadrant of the target",
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

// A menu of clips, and the plots of the selected clip.
function clipChooser(entry, data) {
  const select = element("select", {});
  for (const kind of ["Best", "Between", "Worst"]) {
    const own = entry.shown.filter((clip) => clip.kind === kind);
    const options = own.map((clip) => element("option", { value: clip.id }, `${clipName(clip)} (${number(clip.distance)})`));
    if (own.length) select.append(element("optgroup", { label: kind }, ...options));
  }
  const drawings = element("div", {});
  const draw = () => {
    const clip = entry.shown.find(({ id }) => id === select.value);
    const known = data.clips[clip.place];
    const times = data.times[known.times];
    const [targets, predictions] = [readPath(times, known.target), readPath(times, clip.path)];
    const trajectory = drawTrajectory(clip, targets, predictions);
    drawings.replaceChildren(
      trajectory,
      secondSlider(trajectory, targets, predictions),
      figure(drawAxis("arousal", targets, predictions)),
      figure(
        drawAxis("valence", targets, predictions),
        key("target", "━"), " target ", key("predicted", "╍"), " prediction, with bands of one standard deviation",
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

// A slider that highlights one second of a trajectory: its means and ellipses.
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
function panelContent(entry, data, record) {
  const facts = element("dl", { class: "facts" });
  for (const [name, value] of Object.entries(entry.facts.lines)) facts.append(element("dt", {}, name), element("dd", {}, value));
  if (entry.reason !== undefined) {
    return [facts, element("p", { class: "reason" }, `No plots: ${entry.reason}.`), scoreTable(record)];
  }
  const { node, choose } = clipChooser(entry, data);
  const of = (kind) => entry.shown.filter((clip) => clip.kind === kind);
  const part = entry.clips.length < entry.tested ? `, ${entry.clips.length} of them shown` : "";
  return [
    facts,
    element("div", { class: "halves" },
      element("section", {}, element("h3", {}, `All ${entry.tested} tested clips${part}`), drawClips(entry.clips),
        element("h3", {}, "Prediction against target"),
        element("div", { class: "pair" }, drawAgreement("arousal", entry.clips), drawAgreement("valence", entry.clips)),
        element("p", { class: "note" }, "Predictions on the dashed line equal the target."),
        element("h3", {}, "Error by second"), drawSeconds(entry.seconds, entry.width), quadrantTable(entry.quadrants),
        ...(entry.coverage ? [element("h3", {}, "Reliability"), drawReliability(entry.coverage)] : [])),
      element("section", {}, element("h3", {}, "One clip, second by second"), node)),
    element("p", { class: "note" }, "Clips are shown as predicted in the first repeat that tests them; clips that no repeat tests are not shown. Errors by second and by quadrant cover all repeats."),
    clipTable("Best clips: prediction (target)", of("Best"), choose),
    clipTable("Worst clips: prediction (target)", of("Worst").reverse(), choose),
    scoreTable(record),
    element("p", { class: "note" }, "SD: sample standard deviation. RMSE: root mean squared error. R²: coefficient of determination. CCC: concordance correlation coefficient. Pearson: correlation coefficient. Scores within clips are computed over the seconds of each clip and averaged over the clips where they are defined."),
  ];
}
