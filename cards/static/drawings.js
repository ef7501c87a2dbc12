// Data of an entry's panel, and its plots. Names from data only become text nodes.
"use strict";

// Units per 1 in the packed integers.
const MEAN = 1000;
const SPREAD = 10000;

// Create an element with attributes and children; strings become text nodes.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child != null));
  return made;
}

// Unpack base64 of little-endian 16-bit integers.
function unpack(text, one) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Array.from({ length: bytes.length / 2 }, (_, place) => view.getInt16(2 * place, true) / one);
}

function number(value) {
  return value == null ? "–" : value.toFixed(3).replace(/^-(?=0\.000$)/, "").replace("-", "−");
}

// Content of an entry's panel, from the data of its section.
function readEntry(data, signature) {
  const entry = data.entries[signature];
  if (typeof entry === "string") return { facts: data.facts[signature], reason: entry };
  const points = unpack(entry.points, MEAN);
  const clips = data.sets[entry.set].map((place, index) => {
    const { id, artist, title, mean } = data.clips[place];
    const [arousal, valence, distance] = points.slice(3 * index, 3 * index + 3);
    return { id, artist, title, place, true_arousal: mean[0], true_valence: mean[1], arousal, valence, distance };
  });
  const shown = entry.shown.map((index, order) => ({
    ...clips[index],
    kind: order < entry.best ? "Best" : order >= entry.shown.length - entry.worst ? "Worst" : "Between",
    path: entry.paths[order],
  }));
  const distances = unpack(entry.second.distance, MEAN);
  const seconds = data.times[entry.second.times].map((time, place) => ({ time, distance: distances[place] }));
  const facts = data.facts[signature];
  return { facts, tested: entry.tested, clips, shown, seconds, width: entry.second.width, quadrants: entry.quadrant, coverage: entry.coverage };
}

// Targets or predictions of a clip, one object per second.
function readPath(times, { means, spreads }) {
  const [at, around] = [unpack(means, MEAN), unpack(spreads, SPREAD)];
  return times.map((time, place) => {
    const [arousal, valence] = at.slice(2 * place, 2 * place + 2);
    const [sdArousal, sdValence, correlation] = around.slice(3 * place, 3 * place + 3);
    return { time, arousal, valence, sdArousal, sdValence, correlation };
  });
}

// Points of the ellipse of one standard deviation.
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

// A square around all points, clipped to the plane from -1 to 1; at least as wide as given.
function frame(points, width) {
  const near = (value) => Math.max(-1, Math.min(1, value));
  const [left, right] = d3.extent(points, (point) => near(point.valence));
  const [low, high] = d3.extent(points, (point) => near(point.arousal));
  const half = Math.max(width, 1.08 * (right - left), 1.08 * (high - low)) / 2;
  const around = (from, to) => [(from + to) / 2 - half, (from + to) / 2 + half];
  return { x: around(left, right), y: around(low, high) };
}

// Name the group of elements of a mark.
function named(label, mark) {
  mark.ariaLabel = label;
  return mark;
}

// A mark that follows the pointer. It is drawn again and again, so its elements must not get a label each time.
function follower(mark) {
  return named(null, mark);
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
      Plot.ruleX([0], { stroke: "var(--grid)", clip: true }),
      Plot.ruleY([0], { stroke: "var(--grid)", clip: true }),
      ...marks,
    ],
  });
}

const TARGET = { stroke: "var(--target)" };
const PREDICTED = { stroke: "var(--predicted)" };

// All tested clips: mean target, mean prediction, and the line between them. Boxes show and hide each of them.
function drawClips(clips) {
  const text = (clip) =>
    `${clipName(clip)}\ndistance ${number(clip.distance)}\narousal ${number(clip.arousal)}, target ${number(clip.true_arousal)}`
    + `\nvalence ${number(clip.valence)}, target ${number(clip.true_valence)}`;
  const targets = clips.map(({ true_arousal, true_valence }) => ({ arousal: true_arousal, valence: true_valence }));
  const outside = clips.filter((clip) => Math.max(Math.abs(clip.arousal), Math.abs(clip.valence)) > 1).length;
  const ends = { x1: "true_valence", y1: "true_arousal", x2: "valence", y2: "arousal" };
  const nearest = (options) => Plot.pointer({ px: "valence", py: "arousal", ...options });
  const drawn = plane(
    "All tested clips in the plane of valence and arousal",
    "A dot marks the mean target of each clip, a diamond its mean prediction. The tables below have the numbers.",
    frame([...targets, ...clips], 0.2),
    [
      named("errors", Plot.link(clips, { ...ends, stroke: "var(--faint)", strokeWidth: 0.75, clip: true })),
      named("targets", Plot.dot(clips, {
        x: "true_valence", y: "true_arousal", r: 2.25, fill: "var(--target)", clip: true,
      })),
      named("predictions", Plot.dot(clips, {
        x: "valence", y: "arousal", r: 2.25, symbol: "diamond", fill: "var(--predicted)", clip: true,
      })),
      follower(Plot.link(clips, nearest({ ...ends, stroke: "var(--ink)", strokeWidth: 1.5, clip: true }))),
      follower(Plot.dot(clips, nearest({
        x: "true_valence", y: "true_arousal", r: 4.5, fill: "var(--target)", stroke: "var(--paper)", clip: true,
      }))),
      follower(Plot.dot(clips, nearest({
        x: "valence", y: "arousal", r: 4.5, symbol: "diamond", fill: "var(--predicted)", stroke: "var(--paper)", clip: true,
      }))),
      follower(Plot.tip(clips, Plot.pointer({ x: "valence", y: "arousal", title: text }))),
    ],
  );
  const astray = outside ? ` ${outside} predictions are outside the plot.` : "";
  const made = figure(drawn, `Means over the seconds of each clip.${astray}`);
  made.classList.add("plane", "targets", "predictions");
  const box = (layer, label, sign) => {
    const input = element("input", { type: "checkbox", ...(made.classList.contains(layer) ? { checked: "" } : {}) });
    input.addEventListener("change", () => made.classList.toggle(layer, input.checked));
    return element("label", {}, input, sign, ` ${label}`);
  };
  const layers = element("div", { class: "layers", role: "group", "aria-label": "Layers of the plot" },
    box("targets", "targets", key("target", "●")), box("predictions", "predictions", key("predicted", "◆")),
    box("errors", "errors", key("error", "━")));
  return element("div", {}, layers, made);
}

// Mean prediction of each clip against its mean target, for arousal or valence.
function drawAgreement(axis, clips) {
  const target = `true_${axis}`;
  const near = (value) => Math.max(-1, Math.min(1, value));
  const [low, high] = d3.extent(clips.flatMap((clip) => [near(clip[axis]), near(clip[target])]));
  const margin = Math.max(0.05, 0.04 * (high - low));
  const domain = [low - margin, high + margin];
  const drawn = Plot.plot({
    width: 220,
    height: 220,
    margin: 34,
    marginTop: 22,
    marginRight: 8,
    className: "drawing",
    ariaLabel: `Predicted against target ${axis} of all tested clips`,
    x: { domain, ticks: 4, label: `target ${axis} →`, labelAnchor: "right" },
    y: { domain, ticks: 4, label: `↑ predicted ${axis}` },
    marks: [
      Plot.frame({ stroke: "var(--rule)" }),
      named("identity", Plot.link([domain], {
        x1: "0", y1: "0", x2: "1", y2: "1", stroke: "var(--soft)", strokeDasharray: "4 3",
      })),
      named("agreement", Plot.dot(clips, {
        x: target, y: axis, r: 2, fill: "var(--ink)", fillOpacity: 0.45, clip: true,
      })),
      follower(Plot.tip(clips, Plot.pointer({ x: target, y: axis, title: (clip) => `${clipName(clip)}\n${number(clip[axis])}, target ${number(clip[target])}` }))),
    ],
  });
  return figure(drawn);
}

// A clip in the plane, second by second.
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

// Mean distance by second, on an axis that is no narrower than a fifth of the mean, so that noise looks small.
function drawSeconds(seconds, width) {
  const [low, high] = d3.extent(seconds, (second) => second.distance);
  const middle = (low + high) / 2;
  const half = 0.55 * Math.max(high - low, 0.2 * middle, 0.01);
  const drawn = Plot.plot({
    width: 440,
    height: 170,
    marginLeft: 44,
    marginBottom: 32,
    className: "drawing",
    ariaLabel: "Mean distance by second of the clip",
    x: { label: width ? `second of the clip, in bins of ${width} →` : "second of the clip →" },
    y: { label: "↑ mean distance", domain: [middle - half, middle + half], ticks: 4, grid: true },
    marks: [
      named("error by second", Plot.lineY(seconds, { x: "time", y: "distance", stroke: "var(--ink)", strokeWidth: 1.5 })),
      named("seconds", Plot.dot(seconds, { x: "time", y: "distance", r: 2, fill: "var(--ink)" })),
      follower(Plot.tip(seconds, Plot.pointerX({ x: "time", y: "distance", title: (s) => `${s.time} s: ${number(s.distance)}` }))),
    ],
  });
  return figure(drawn, "All tested clips and repeats.");
}

// Reliability: the share of ratings in the ellipses of each level, beside the nominal share.
function drawReliability(coverage) {
  const shares = coverage.map((share, place) => ({ level: (place + 1) / 10, share }));
  const drawn = Plot.plot({
    width: 300,
    height: 300,
    marginLeft: 44,
    marginBottom: 36,
    className: "drawing",
    ariaLabel: "Reliability: share of ratings in the predicted ellipses, by nominal share",
    x: { label: "share of the prediction in the ellipse →", domain: [0, 1], ticks: 5, tickFormat: "%" },
    y: { label: "↑ share of the ratings", domain: [0, 1], ticks: 5, tickFormat: "%", grid: true },
    marks: [
      named("nominal", Plot.line([[0, 0], [1, 1]], { stroke: "var(--ink)", strokeDasharray: "3 3", strokeOpacity: 0.6 })),
      named("reliability", Plot.lineY(shares, { x: "level", y: "share", stroke: "var(--ink)", strokeWidth: 1.5 })),
      named("levels", Plot.dot(shares, { x: "level", y: "share", r: 3, fill: "var(--ink)" })),
      follower(Plot.tip(shares, Plot.pointerX({ x: "level", y: "share", title: (s) => `${Math.round(100 * s.level)} % ellipse: ${Math.round(100 * s.share)} % of the ratings` }))),
    ],
  });
  return figure(drawn, "Below the dashed line the predicted covariances are too small, above it they are too large.");
}

function figure(drawn, ...caption) {
  drawn.setAttribute("role", "img");
  // The image has one accessible name; the names of its parts are for the style and the slider.
  for (const part of drawn.querySelectorAll("[aria-label]")) {
    part.dataset.mark = part.getAttribute("aria-label");
    part.removeAttribute("aria-label");
  }
  return element("figure", {}, drawn, caption.length ? element("figcaption", {}, ...caption) : null);
}

function key(kind, sign) {
  return element("span", { class: `key ${kind}`, "aria-hidden": "true" }, sign);
}
