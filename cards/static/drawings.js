// What a row's panel is drawn from, and the drawings. Names from data only ever become text nodes.
"use strict";

// Whole numbers in one.
const MEAN = 1000;
const SPREAD = 10000;
// An element with attributes and children; a string becomes text, whatever is in it.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child != null));
  return made;
}

// Numbers from little-endian 16-bit whole ones, in base64.
function unpack(text, one) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Array.from({ length: bytes.length / 2 }, (_, place) => view.getInt16(2 * place, true) / one);
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

// A square around all points, but not around a prediction that has gone astray; at least as wide as said.
function frame(points, width) {
  const near = (value) => Math.max(-1, Math.min(1, value));
  const [left, right] = d3.extent(points, (point) => near(point.valence));
  const [low, high] = d3.extent(points, (point) => near(point.arousal));
  const half = Math.max(width, 1.08 * (right - left), 1.08 * (high - low)) / 2;
  const around = (from, to) => [(from + to) / 2 - half, (from + to) / 2 + half];
  return { x: around(left, right), y: around(low, high) };
}

// A mark whose group of elements has a name.
function named(label, mark) {
  mark.ariaLabel = label;
  return mark;
}

function plane(label, description, { x, y }, marks) {
  return Plot.plot({
    width: 440,
    height: 440,
    margin: 38,
    marginTop: 22,
    marginRight: 14,
    ariaLabel: label,
    ariaDescription: description,
    className: "drawing",
    x: { domain: x, label: "valence →", ticks: 5, labelAnchor: "right" },
    y: { domain: y, label: "↑ arousal", ticks: 5 },
    marks: [
      Plot.frame({ stroke: "var(--rule)" }),
      Plot.ruleX([-0.5, 0, 0.5], { stroke: "var(--grid)", clip: true }),
      Plot.ruleY([-0.5, 0, 0.5], { stroke: "var(--grid)", clip: true }),
      ...marks,
    ],
  });
}

const TARGET = { stroke: "var(--target)" };
const PREDICTED = { stroke: "var(--predicted)" };

// All tested clips: mean target, mean prediction, and the way from one to the other.
function drawClips(clips) {
  const text = (clip) => `${clipName(clip)}\ndistance ${number(clip.distance)}`;
  const targets = clips.map(({ true_arousal, true_valence }) => ({ arousal: true_arousal, valence: true_valence }));
  // The whole space of ratings, and more where predictions leave it.
  const corners = [-0.5, 0.5].map((corner) => ({ arousal: corner, valence: corner }));
  const outside = clips.filter((clip) => Math.max(Math.abs(clip.arousal), Math.abs(clip.valence)) > 1).length;
  const drawn = plane(
    "All tested clips in the plane of valence and arousal",
    "A line leads from the mean target of each clip, a dot, to its mean prediction, a diamond. The numbers are in the tables.",
    frame([...corners, ...targets, ...clips], 1.04),
    [
      named("errors", Plot.link(clips, {
        x1: "true_valence", y1: "true_arousal", x2: "valence", y2: "arousal",
        stroke: "var(--faint)", strokeWidth: 0.75, clip: true,
      })),
      named("targets", Plot.dot(clips, {
        x: "true_valence", y: "true_arousal", r: 2.5, fill: "var(--target)", clip: true,
      })),
      named("predictions", Plot.dot(clips, {
        x: "valence", y: "arousal", r: 2.5, symbol: "diamond", ...PREDICTED, fill: "var(--paper)", clip: true,
      })),
      Plot.tip(clips, Plot.pointer({ x: "valence", y: "arousal", title: text })),
    ],
  );
  const astray = outside ? `; ${outside} predictions lie outside the frame` : "";
  return figure(drawn, key("target", "●"), " mean target ", key("predicted", "◇"), ` mean prediction${astray}`);
}

// A clip second by second in the plane.
function drawTrajectory(clip, targets, predictions) {
  const marks = [];
  for (const [what, seconds, colour] of [["target", targets, TARGET], ["prediction", predictions, PREDICTED]]) {
    marks.push(
      named(`${what} ellipses`, Plot.line(seconds.flatMap(ellipse), {
        x: "valence", y: "arousal", z: "group", curve: "linear-closed", ...colour, clip: true,
      })),
    );
  }
  for (const [what, seconds, colour] of [["target", targets, TARGET], ["prediction", predictions, PREDICTED]]) {
    const ends = seconds.filter((_, place) => place === 0 || place === seconds.length - 1);
    const shape = what === "target" ? { fill: "var(--target)" } : { symbol: "diamond", fill: "var(--paper)", ...colour };
    marks.push(
      named(`${what} trajectory`, Plot.line(seconds, {
        x: "valence", y: "arousal", ...colour, strokeWidth: 1.75, clip: true,
      })),
      named(`${what} means`, Plot.dot(seconds, { x: "valence", y: "arousal", r: 2.5, ...shape, clip: true })),
      named(`${what} times`, Plot.text(ends, {
        x: "valence", y: "arousal", text: (second) => `${second.time} s`, dy: -9, fontWeight: 600, fill: colour.stroke,
        stroke: "var(--paper)", strokeWidth: 3, clip: true,
      })),
    );
  }
  const around = frame([...targets, ...predictions].flatMap(ellipse), 0.3);
  const label = `${clipName(clip)}, second by second in the plane of valence and arousal`;
  const drawn = plane(label, "Targets and predictions with their ellipses of one standard deviation.", around, marks);
  drawn.dataset.clip = clip.id;
  return figure(
    drawn, key("target", "●"), " target ", key("predicted", "◇"), " prediction, each with its ellipse of one standard deviation",
  );
}

// A clip's arousal or valence over time, each with a band of one standard deviation.
function drawAxis(axis, targets, predictions) {
  const deviation = axis === "arousal" ? "sdArousal" : "sdValence";
  const band = (seconds, colour, what) => [
    named(`${what} band`, Plot.areaY(seconds, {
      x: "time", y1: (s) => s[axis] - s[deviation], y2: (s) => s[axis] + s[deviation],
      fill: colour, fillOpacity: 0.12, clip: true,
    })),
    named(what, Plot.lineY(seconds, {
      x: "time", y: axis, stroke: colour, strokeWidth: 1.75, strokeDasharray: what === "target" ? null : "5 3",
      clip: true,
    })),
  ];
  const around = frame([...targets, ...predictions].flatMap(ellipse), 0.3);
  return Plot.plot({
    width: 440,
    height: 130,
    marginLeft: 38,
    marginBottom: 30,
    className: "drawing",
    ariaLabel: `${axis} over time, of targets and predictions`,
    x: { label: axis === "valence" ? "second of the clip →" : null },
    y: { domain: axis === "arousal" ? around.y : around.x, ticks: 3, label: `↑ ${axis}` },
    marks: [
      Plot.ruleY([0], { stroke: "var(--grid)", clip: true }),
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
      named("error by second", Plot.lineY(seconds, { x: "time", y: "distance", stroke: "var(--ink)", strokeWidth: 1.5 })),
      named("seconds", Plot.dot(seconds, { x: "time", y: "distance", r: 2, fill: "var(--ink)" })),
      Plot.tip(seconds, Plot.pointerX({ x: "time", y: "distance", title: (s) => `${s.time} s: ${number(s.distance)}` })),
    ],
  });
  return figure(drawn, "Over all tested clips and repeats.");
}

function figure(drawn, ...caption) {
  drawn.setAttribute("role", "img");
  // The picture has one name; those of its parts are for the style and the slider.
  for (const part of drawn.querySelectorAll("[aria-label]")) {
    part.dataset.mark = part.getAttribute("aria-label");
    part.removeAttribute("aria-label");
  }
  return element("figure", {}, drawn, caption.length ? element("figcaption", {}, ...caption) : null);
}

function key(kind, sign) {
  return element("span", { class: `key ${kind}`, "aria-hidden": "true" }, sign);
}
