// The page of `inmateria watch`: keeps the sections of the state, draws those that change.
// Everything that comes from files is put in as text, never as markup.
"use strict";

const sections = {};
let clockOffset = 0;       // the server's clock minus ours, s
let chosen = decodeURIComponent(location.hash.slice(1));
let lost = false;

const byId = (id) => document.getElementById(id);
const finite = (x) => typeof x === "number" && Number.isFinite(x);

// ---- elements and numbers

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function number(x, digits = 3) {
  if (!finite(x)) return "–";
  if (x !== 0 && (Math.abs(x) >= 1e6 || Math.abs(x) < 1e-4)) return minus(x.toExponential(digits - 1));
  const text = x.toPrecision(digits);
  return minus(text.includes("e") ? String(Math.round(x)) : text.includes(".") ? text.replace(/\.?0+$/, "") : text);
}

const minus = (text) => text.replace(/-/g, "\u2212");
const fixed = (x, n) => (finite(x) ? minus(x.toFixed(n)) : "–");
const whole = (x) => (finite(x) ? Math.round(x).toLocaleString("en") : "–");

function span(s) {
  if (!finite(s)) return "–";
  if (s < 10) return `${number(s, 2)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return s < 172800 ? `${(s / 3600).toFixed(1)} h` : `${(s / 86400).toFixed(1)} d`;
}

function bytes(n) {
  return n < 1e3 ? `${n} B` : n < 1e6 ? `${(n / 1e3).toFixed(1)} kB` : `${(n / 1e6).toFixed(1)} MB`;
}

// ---- axes

function ticks(low, high, most = 5) {
  const raw = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const found = [];
  for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + step * 1e-9; t += step) {
    found.push(Math.abs(t) < step * 1e-9 ? 0 : t);
  }
  return found;
}

// Marks of a logarithmic axis, in decades: parts of one where there are few.
function decades(low, high) {
  const found = [];
  const parts = high - low > 3 ? [1] : high - low > 1.8 ? [1, 3] : high - low > 1 ? [1, 2, 5] : [1, 2, 3, 5, 7];
  const every = Math.max(1, Math.ceil((high - low) / 6));
  for (let d = Math.floor(low); d <= high; d += 1) {
    if (((d % every) + every) % every) continue;
    for (const part of parts) {
      const t = d + Math.log10(part);
      if (t >= low - 1e-9 && t <= high + 1e-9) found.push(t);
    }
  }
  return found.length > 1 ? found : ticks(low, high, 3);
}

function range(values, { least = 0, room = 0.06 } = {}) {
  const known = values.filter(finite);
  if (!known.length) return [0, 1];
  let low = known.reduce((a, b) => Math.min(a, b));
  let high = known.reduce((a, b) => Math.max(a, b));
  const spread = Math.max(high - low, least, Math.abs(high) * 1e-6, 1e-12);
  const middle = (low + high) / 2;
  low = middle - spread / 2;
  high = middle + spread / 2;
  return [low - room * spread, high + room * spread];
}

function path(curve, x, y) {
  let d = "";
  let pen = false;
  for (let i = 0; i < curve.x.length; i += 1) {
    const value = curve.y[i];
    if (!finite(value)) { pen = false; continue; }
    d += `${pen ? "L" : "M"}${x(curve.x[i]).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = true;
  }
  return d;
}

const superscript = (n) => minus(String(n)).replace(/[\u2212\d]/g, (c) => (c === "\u2212" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]));

// A frame with axes. `log`: y is given as its decimal logarithm.
function frame({ width, height, xRange, yRange, xLabel, yLabel, log = false, xLog = false, alt, xTicks = null, bottom = 38 }) {
  const box = { left: 58, right: width - 10, top: 8, bottom: height - bottom };
  const across = (v) => box.left + ((v - xRange[0]) / (xRange[1] - xRange[0])) * (box.right - box.left);
  const up = (v) => box.bottom - ((v - yRange[0]) / (yRange[1] - yRange[0])) * (box.bottom - box.top);
  const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": alt });
  const marks = log ? decades(...yRange) : ticks(...yRange, height < 150 ? 3 : 5);
  const powers = log && marks.some((t) => Math.abs(t) > 3) && marks.every(Number.isInteger);
  for (const t of marks) {
    const v = up(t).toFixed(1);
    root.append(svg("line", { class: "grid", x1: box.left, x2: box.right, y1: v, y2: v }));
    const text = !log ? number(t, 4) : powers ? `10${superscript(t)}` : number(10 ** t, 2);
    root.append(svg("text", { class: "end", x: box.left - 6, y: +v + 4 }, text));
  }
  const along = xTicks ?? (xLog ? decades(...xRange) : ticks(...xRange, Math.max(2, Math.floor(width / 110))));
  for (const t of along) {
    const v = across(t).toFixed(1);
    root.append(svg("line", { class: "axis", x1: v, x2: v, y1: box.bottom, y2: box.bottom + 4 }));
    root.append(svg("text", { class: "middle", x: v, y: box.bottom + 16 }, xLog ? number(10 ** t, 2) : number(t, 6)));
  }
  root.append(svg("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
  if (xLabel) root.append(svg("text", { class: "middle", x: (box.left + box.right) / 2, y: height - 4 }, xLabel));
  const middle = (box.top + box.bottom) / 2;
  root.append(svg("text", { class: "middle", x: 12, y: middle, transform: `rotate(-90 12 ${middle})` }, yLabel));
  return { root, across, up, box };
}

function line(drawn, curve, style) {
  drawn.root.append(svg("path", { class: `line ${style}`, d: path(curve, drawn.across, drawn.up) }));
}

function diamond(x, y, r, style) {
  return svg("path", { class: style, d: `M${x - r} ${y}L${x} ${y - r}L${x + r} ${y}L${x} ${y + r}Z` });
}

function legend(...entries) {
  const box = element("div", { class: "legend" });
  for (const [style, text, mark] of entries) {
    const key = svg("svg", { width: 22, height: 10, "aria-hidden": "true" });
    key.append(mark === "diamond" ? diamond(11, 5, 4.5, style)
      : mark === "dot" ? svg("circle", { class: style, cx: 11, cy: 5, r: 4 })
      : svg("line", { class: `line ${style}`, x1: 0, x2: 22, y1: 5, y2: 5 }));
    box.append(element("span", {}, key, text));
  }
  return box;
}

function panel(size, title, ...children) {
  return element("section", { class: size }, element("h2", {}, title), ...children);
}

const caption = (text) => element("p", { class: "caption" }, text);

function numbers(entries) {
  const list = element("dl", { class: "numbers" });
  for (const [name, value] of entries) {
    list.append(element("div", {}, element("dt", {}, name), element("dd", {}, value)));
  }
  return list;
}

function bar(share, style = "f-low") {
  const part = Math.max(0, Math.min(1, share)) * 100;
  return element("div", { class: "bar" }, svg("svg", { preserveAspectRatio: "none", viewBox: "0 0 100 1" },
    svg("rect", { class: style, x: 0, y: 0, width: part, height: 1 })));
}

function table(header, rows, numeric = []) {
  const cell = (kind, text, i) => element(kind, numeric.includes(i) ? { class: "number" } : {}, text);
  return element("div", { class: "scroll" }, element("table", {},
    element("thead", {}, element("tr", {}, ...header.map((h, i) => cell("th", h, i)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((c, i) => cell("td", c instanceof Node ? c : String(c ?? "–"), i)))))));
}

// ---- a search

function widths() {
  const main = byId("panels").clientWidth;
  const one = window.matchMedia("(max-width: 60rem)").matches;
  const column = (n) => (one ? main : (main - 11 * 14.4) / 12 * n + (n - 1) * 14.4) - 32;
  return { w7: column(7), w5: column(5), w12: one ? main - 32 : main - 32, one };
}

const logOf = (curve) => ({ x: curve.x, y: curve.y.map((v) => (finite(v) && v > 0 ? Math.log10(v) : null)) });

function drawSearch(p) {
  const w = widths();
  return [learning(p, w.w7), deviceTime(p), controls(p, w.w7), strip(p, w.w5), ...tones(p, w)];
}

function learning(p, width) {
  const positive = p.loss.y.filter(finite).every((v) => v > 0);
  const loss = positive ? logOf(p.loss) : p.loss;
  const lowest = positive ? logOf(p.lowest) : p.lowest;
  const n = Math.max(2, p.iterations);
  const xRange = [1 - 0.015 * (n - 1), n + 0.015 * (n - 1)];
  const above = frame({
    width, height: 220, xRange, yRange: range([...loss.y, ...lowest.y], { least: positive ? 0.1 : 0.01 }),
    yLabel: "loss", log: positive, bottom: 22,
    alt: `Loss against iteration, ${p.iterations} iterations, lowest ${number(p.lowest.y.at(-1))}`,
  });
  line(above, loss, "c-trace thin");
  line(above, stairs(lowest), "c-low");
  const goal = finite(p.goal) && p.quality_label ? p.goal : null;
  const below = frame({
    width, height: 165, xRange, yRange: range([...p.quality.y, goal], { least: 0.1, room: 0.12 }), xLabel: "iteration",
    yLabel: p.quality_label ?? "", alt: `${p.quality_label} against iteration, last ${number(p.last.quality)}`,
  });
  line(below, p.quality, "c-low thin");
  if (goal !== null) {
    const y = below.up(goal);
    below.root.append(svg("line", { class: "line thin dash c-high", x1: below.box.left, x2: below.box.right, y1: y, y2: y }));
  }
  if (p.iterations <= 60) {
    for (const [drawn, curve, style] of [[above, loss, "f-trace"], [below, p.quality, "f-low"]]) {
      curve.x.forEach((x, i) => finite(curve.y[i]) && drawn.root.append(
        svg("circle", { class: style, cx: drawn.across(x), cy: drawn.up(curve.y[i]), r: 2.4 })));
    }
  }
  if (finite(p.best.loss)) {
    const y = positive ? Math.log10(p.best.loss) : p.best.loss;
    above.root.append(diamond(above.across(p.best.iteration), above.up(y), 5, "f-ink"));
    below.root.append(diamond(below.across(p.best.iteration), below.up(p.best.quality), 5, "f-ink"));
  }
  above.root.classList.add("curve");
  const keys = [["c-trace", "each iteration"], ["c-low", "lowest loss so far"], ["f-ink", "best setting", "diamond"]];
  if (goal !== null) keys.push(["c-high dash", `asked for: ${number(goal)} ${unitOf(p)}`]);
  const reading = p.read_share < 1 ? caption(`Reading the log: ${Math.round(100 * p.read_share)} %`) : "";
  const none = p.iterations ? "" : caption("No iteration is done yet: the search is being set up.");
  return panel("w7", "Learning curve", reading, none, ...(p.iterations ? [above.root, below.root] : []), legend(...keys));
}

const unitOf = (p) => (p.quality_label ?? "").replace(/.*\((.*)\)/, "$1");

function stairs(curve) {
  const made = { x: [], y: [] };
  curve.x.forEach((x, i) => {
    if (i) { made.x.push(x); made.y.push(curve.y[i - 1]); }
    made.x.push(x); made.y.push(curve.y[i]);
  });
  return made;
}

function deviceTime(p) {
  const parts = [];
  if (finite(p.budget_s)) {
    const left = Math.max(0, p.budget_s - p.searched_s);
    parts.push(element("p", { class: "big", id: "left" }, `${fixed(left, 1)} s `,
      element("small", {}, `of device time left of ${number(p.budget_s, 4)} s`)));
    parts.push(bar(p.searched_s / p.budget_s, p.searched_s > 0.97 * p.budget_s ? "f-high" : "f-low"));
  } else {
    parts.push(element("p", { class: "big" }, `${fixed(p.spent_s, 1)} s `,
      element("small", {}, "of device time spent; no budget is known")));
  }
  const label = (p.quality_label ?? "quality").replace(/ \(.*/, "");
  const quality = (q) => (finite(q) ? `${number(q)} ${unitOf(p)}` : "–");
  parts.push(numbers([
    ["iterations", whole(p.iterations)],
    ["measurements", whole(p.measurements)],
    ["device time spent", `${fixed(p.spent_s, 1)} s`],
    ["loss, last", number(p.last.loss)],
    ["loss, lowest", number(p.lowest.y.at(-1))],
    [`${label}, last`, quality(p.last.quality)],
    [`${label}, best setting`, quality(p.best.quality)],
    ["best setting found in", finite(p.best.iteration) ? `iteration ${whole(p.best.iteration)}, after ${fixed(p.best.device_s, 1)} s` : "–"],
    ["method", `${p.method ?? "–"}, seed ${p.seed ?? "–"}`],
    ["inputs", (p.inputs ?? []).join(", ") || "–"],
    ["state of this search", p.state_text.startsWith(p.state) ? p.state_text : `${p.state}${p.state_text ? `: ${p.state_text}` : ""}`],
    ...(p.damaged_lines ? [["damaged lines left out", whole(p.damaged_lines)]] : []),
  ]));
  return panel("w5", "Device time", ...parts);
}

function controls(p, width) {
  const sparkWidth = width > 700 ? 100 : 64;
  const barWidth = Math.max(110, Math.min(230, width - sparkWidth - 430));
  const rows = p.controls.map((c) => {
    const x = (v) => 6 + ((v - c.low_v) / (c.high_v - c.low_v)) * (barWidth - 12);
    const track = svg("svg", { width: barWidth, height: 20, role: "img", "aria-label": `${c.name} at ${number(c.now_v)} V of ${c.low_v} V to ${c.high_v} V` });
    track.append(svg("line", { class: "line thick c-trace", x1: x(c.low_v), x2: x(c.high_v), y1: 10, y2: 10, opacity: 0.35 }));
    for (const end of [c.low_v, c.high_v]) track.append(svg("line", { class: "line c-muted", x1: x(end), x2: x(end), y1: 3, y2: 17 }));
    if (c.low_v < 0 && c.high_v > 0) track.append(svg("line", { class: "grid c-muted", x1: x(0), x2: x(0), y1: 6, y2: 14 }));
    if (finite(c.best_v)) track.append(diamond(x(c.best_v), 10, 5, "f-ink"));
    if (finite(c.now_v)) track.append(svg("circle", { class: "f-low", cx: x(c.now_v), cy: 10, r: 4.5 }));
    const near = finite(c.now_v) && Math.min(c.now_v - c.low_v, c.high_v - c.now_v) < 0.02 * (c.high_v - c.low_v);
    const sigma = Math.abs(c.gradient) / c.gradient_error;
    return [c.name, `${number(c.low_v)} to ${number(c.high_v)}`, track, element("span", near ? { class: "near" } : {}, fixed(c.now_v, 4)),
      spark(c, sparkWidth), finite(c.gradient) ? `${fixed(c.gradient, 2)} ± ${fixed(c.gradient_error, 2)}` : "–",
      finite(sigma) ? fixed(sigma, 1) : "–"];
  });
  const said = "Dot: the last iteration; diamond: the best setting. dI/dV: mean over the operating points with its standard error, of the last iteration that measured gradients. A voltage in orange lies at a limit.";
  return panel("w7", "Controls within their limits", p.controls.length
    ? table(["", "limits (V)", "", "now (V)", "history", "dI/dV (nA/V)", "signal / noise"], rows, [3, 5, 6])
    : caption("The log does not say which controls there are."), p.controls.length ? legend(["f-low", "now", "dot"], ["f-ink", "best setting", "diamond"]) : "", caption(said));
}

function spark(c, width) {
  const root = svg("svg", { width, height: 24, role: "img", "aria-label": `${c.name} against iteration` });
  const n = c.history.x.at(-1) ?? 1;
  const x = (v) => 1 + ((v - 1) / Math.max(1, n - 1)) * (width - 2);
  const y = (v) => 22 - ((v - c.low_v) / (c.high_v - c.low_v)) * 20;
  root.append(svg("line", { class: "grid", x1: 0, x2: width, y1: 2, y2: 2 }), svg("line", { class: "grid", x1: 0, x2: width, y1: 22, y2: 22 }));
  root.append(svg("path", { class: "line thin c-low", d: path(c.history, x, y) }));
  return root;
}

function strip(p, width) {
  const shown = p.strip;
  const levels = shown.levels_na;
  if (!levels || !p.target) return panel("w5", "Output", caption("No reading that can be judged yet."));
  const n = levels.length;
  const raw = shown.recorded && p.window.traces.length === n ? p.window.traces : null;
  const threshold = shown.threshold_na;
  let all = [...levels, threshold, ...(raw ?? []).flatMap((t) => t.y)];
  const few = Boolean(p.labels);
  // The best setting is drawn where it does not press everything else flat.
  const both = [...all, ...(p.best.levels_na ?? [])];
  const size = (values) => { const [low, high] = range(values, { least: 1 }); return high - low; };
  const best = few && p.best.levels_na && size(both) < 3 * size(all) ? p.best.levels_na : null;
  if (best) all = both;
  const drawn = frame({
    width, height: 290, xRange: [0, n], yRange: range(all, { least: 1, room: 0.08 }), xTicks: p.labels ? [] : null,
    xLabel: p.labels ? `inputs ${p.inputs.join(", ")}${p.labels_are === "V" ? " (V)" : " (0 low, 1 high)"}` : "training point",
    yLabel: "output (nA)", alt: `Output at ${n} training points: ${levels.map((v) => number(v)).join(", ")} nA`,
  });
  levels.forEach((level, k) => {
    const style = p.target[k] ? "high" : "low";
    const slot = (s) => drawn.across(k + 0.1 + 0.8 * s);
    if (raw) {
      const last = raw[k].x.at(-1) || 1;
      drawn.root.append(svg("path", { class: "line thin c-trace", d: path(raw[k], (t) => slot(t / last), drawn.up) }));
    }
    if (best && finite(best[k])) drawn.root.append(diamond(drawn.across(k + 0.5), drawn.up(best[k]), 5, "line thin c-ink f-none"));
    if (finite(level)) {
      const y = drawn.up(level);
      drawn.root.append(few ? svg("line", { class: `line thick c-${style}`, x1: slot(0), x2: slot(1), y1: y, y2: y })
        : svg("circle", { class: `f-${style}`, cx: drawn.across(k + 0.5), cy: y, r: 2.6 }));
    }
    if (few) drawn.root.append(svg("text", { class: `middle t-${style}`, x: drawn.across(k + 0.5), y: drawn.box.bottom + 16 }, p.labels[k]));
  });
  if (finite(threshold)) {
    const y = drawn.up(threshold);
    drawn.root.append(svg("line", { class: "line thin dash c-ink", x1: drawn.box.left, x2: drawn.box.right, y1: y, y2: y }));
  }
  const keys = p.flat ? [["thick c-low", "all alike is asked for"]]
    : [["thick c-high", "should be high"], ["thick c-low", "should be low"]];
  if (finite(threshold)) keys.push(["c-ink dash", `threshold, ${number(threshold)} nA`]);
  if (best) keys.push(["line thin c-ink f-none", "best setting", "diamond"]);
  if (raw) keys.push(["c-trace", "as recorded, tones on"]);
  const of = shown.n_settings > 1 ? `, the best of ${shown.n_settings} settings` : "";
  return panel("w5", "Output", drawn.root, legend(...keys), caption(`Levels of iteration ${whole(shown.iteration)}${of}, noise on.`));
}

function tones(p, w) {
  const s = p.window;
  if (!s) return [];
  const curve = s.spectrum;
  const low = range([...curve.y.filter((v) => v > -20), ...s.tones.map((t) => t.height)], { room: 0.05 });
  const half = w.one ? w.w12 : (w.w12 - 20) / 2;
  const logX = { x: curve.x.map((f) => Math.log10(f)), y: curve.y };
  const left = frame({
    width: half, height: 250, xRange: [logX.x[0], logX.x.at(-1)], yRange: low, log: true, xLog: true,
    xLabel: "frequency (Hz)", yLabel: "output (nA²/Hz)", alt: `Spectrum of the output, tones at ${s.tones.map((t) => `${t.frequency_hz} Hz`).join(", ")}`,
  });
  line(left, logX, "c-trace thin");
  const f = s.tones.map((t) => t.frequency_hz);
  const spare = Math.max(0.15 * (Math.max(...f) - Math.min(...f)), 6 / s.window_s);
  const near = [Math.min(...f) - spare, Math.max(...f) + spare];
  const inside = curve.x.map((v) => v >= near[0] && v <= near[1]);
  const zoom = { x: curve.x.filter((_, i) => inside[i]), y: curve.y.filter((_, i) => inside[i]) };
  const right = frame({
    width: half, height: 250, xRange: near, yRange: range([...zoom.y, ...s.tones.map((t) => t.height)], { room: 0.14 }), log: true,
    xLabel: "frequency (Hz), at the tones", yLabel: "output (nA²/Hz)", alt: s.tones.map((t) => `${t.control} ${number(t.above_db)} dB above the noise`).join(", "),
  });
  line(right, zoom, "c-trace thin");
  for (const t of s.tones) {
    for (const [drawn, x] of [[left, Math.log10(t.frequency_hz)], [right, t.frequency_hz]]) {
      drawn.root.append(svg("line", { class: "line thin c-low", x1: drawn.across(x), x2: drawn.across(x), y1: drawn.up(Math.max(t.noise, low[0])), y2: drawn.up(t.height) }));
      drawn.root.append(svg("circle", { class: "f-low", cx: drawn.across(x), cy: drawn.up(t.height), r: 3.5 }));
    }
    right.root.append(svg("text", { class: "middle", x: right.across(t.frequency_hz), y: right.up(t.height) - 8 }, t.control));
    const y = right.up(t.noise);
    right.root.append(svg("line", { class: "line c-high", x1: right.across(t.frequency_hz) - 7, x2: right.across(t.frequency_hz) + 7, y1: y, y2: y }));
  }
  const listed = s.tones.map((t) => [`${t.control} at ${number(t.frequency_hz, 5)} Hz`, `${fixed(t.above_db, 1)} dB`]);
  const said = `Mean over ${s.n_points} operating points of one window of ${number(1e3 * s.window_s)} ms at ${number(s.rate_hz, 5)} Hz, iteration ${whole(s.iteration)}. In numbers: how high each tone stands above the noise beside it, which is what a derivative is read from.`;
  return [panel("w12", "Spectrum of the output with the tones", element("div", { class: "pair" }, left.root, right.root),
    legend(["f-low", "tone of a control", "dot"], ["c-high", "noise beside it"]),
    numbers(listed), caption(said))];
}

// ---- a recording, a fit, a count

function drawSampling(p) {
  const w = widths();
  const total = p.n_rows;
  const parts = [element("p", { class: "big", id: "rows" }, `${whole(p.rows)} `, element("small", {}, finite(total) ? `of ${whole(total)} rows` : "rows"))];
  if (finite(total)) parts.push(bar(p.rows / total));
  const timed = p.design !== "plateaus" && finite(p.rate_hz) && finite(total);
  parts.push(numbers([
    ["design", p.design ?? "–"],
    ["sampling rate", finite(p.rate_hz) ? `${number(p.rate_hz, 5)} Hz` : "–"],
    ["recorded", timed ? `${number(p.rows / p.rate_hz, 4)} s of ${number(total / p.rate_hz, 4)} s` : `${whole(p.rows)} rows`],
    ["outputs", p.outputs.join(", ") || "–"],
    ["fidelity", p.fidelity ?? "–"],
    ["clipped in the last rows", p.strip ? `${number(100 * p.strip.clipped_share)} %` : "–"],
  ]));
  const found = [panel("w5", "Recording", ...parts)];
  if (!p.strip) return [...found, panel("w7", "Output", caption("No block of rows is complete yet."))];
  found.push(panel("w7", "Output, last rows", ...p.strip.current.map((c, k) => {
    const drawn = frame({ width: w.w7, height: 220, xRange: ends(c), yRange: range(c.y, { least: 0.1 }), xLabel: p.strip.x, yLabel: `${p.outputs[k]} (nA)`, alt: `Current of ${p.outputs[k]}` });
    line(drawn, c, "c-low thin");
    return drawn.root;
  })));
  found.push(panel("w12", "Terminals within their limits, last rows", element("div", { class: "pair" }, ...p.strip.voltage.map((c, k) => {
    const t = p.terminals[k];
    const width = w.one ? w.w12 : (w.w12 - 2 * 20) / 3;
    const drawn = frame({ width, height: 130, xRange: ends(c), yRange: range([t.low_v, t.high_v]), xLabel: "", yLabel: `${t.name} (V)`, alt: `Voltage of ${t.name}`, bottom: 22 });
    for (const end of [t.low_v, t.high_v]) {
      drawn.root.append(svg("line", { class: "line thin dash c-high", x1: drawn.box.left, x2: drawn.box.right, y1: drawn.up(end), y2: drawn.up(end) }));
    }
    line(drawn, c, "c-low thin");
    return drawn.root;
  })), legend(["c-low", `voltage against ${p.strip.x}`], ["c-high dash", "limits"])));
  return found;
}

function ends(curve) {
  const first = curve.x[0] ?? 0;
  const last = curve.x.at(-1) ?? 1;
  return [first, last > first ? last : first + 1];
}

function drawFit(p) {
  const w = widths();
  if (!p.curves) return [panel("w12", `Fit of ${p.name}`, caption("No epoch is done yet."))];
  const all = [...p.curves.training.y, ...p.curves.validation.y];
  const positive = all.filter(finite).every((v) => v > 0);
  const given = (c) => (positive ? logOf(c) : c);
  const n = Math.max(2, p.epochs_done);
  const drawn = frame({
    width: w.w7, height: 320, xRange: [1 - 0.02 * n, n + 0.02 * n], log: positive,
    yRange: range([...given(p.curves.training).y, ...given(p.curves.validation).y], { least: 0.02 }),
    xLabel: "epoch", yLabel: p.unit ? `RMSE (${p.unit})` : "loss", alt: `Error against epoch, lowest validation ${number(p.lowest)} ${p.unit}`,
  });
  line(drawn, given(p.curves.training), "c-low");
  line(drawn, given(p.curves.validation), "c-high dash");
  drawn.root.classList.add("curve");
  const done = [element("p", { class: "big", id: "epochs" }, `${whole(p.epochs_done)} `, element("small", {}, finite(p.epochs) ? `of ${whole(p.epochs)} epochs` : "epochs"))];
  if (finite(p.epochs)) done.push(bar(p.epochs_done / p.epochs));
  done.push(numbers([
    ["lowest validation", `${number(p.lowest, 4)} ${p.unit}`],
    ["last validation", `${number(p.curves.validation.y.at(-1), 4)} ${p.unit}`],
    ["time so far", span(p.seconds)],
  ]));
  return [panel("w7", `Learning curve of ${p.name}`, drawn.root, legend(["c-low", "training"], ["c-high dash", "validation"])), panel("w5", "Epochs", ...done)];
}

function drawCounted(p) {
  const parts = [element("p", { class: "big" }, `${whole(p.done)} `, element("small", {}, finite(p.total) ? `of ${whole(p.total)} ${p.noun}` : p.noun))];
  if (finite(p.total) && p.total > 0) parts.push(bar(p.done / p.total));
  return [panel("w12", p.name, ...parts, table(p.header, p.rows, p.header.map((_, i) => i).slice(1)))];
}

// ---- the page

const DRAW = { search: drawSearch, sampling: drawSampling, fit: drawFit, counted: drawCounted };

function partNames() {
  return Object.keys(sections).filter((name) => name.startsWith("part:"));
}

function shownPart() {
  const names = partNames();
  if (names.includes(chosen)) return chosen;
  // Where nobody chose: what is at work, else what came last.
  return names.findLast((name) => sections[name].state === "running") ?? names.at(-1);
}

function drawTabs() {
  const names = partNames();
  const shown = shownPart();
  const tabs = names.length < 2 ? [] : names.map((name) => {
    const button = element("button", { type: "button", "aria-pressed": String(name === shown) });
    button.append(element("i", { class: sections[name].state ?? "quiet" }), sections[name].name);
    button.addEventListener("click", () => { chosen = name; history.replaceState(null, "", `#${encodeURIComponent(name)}`); drawTabs(); drawPart(); });
    return button;
  });
  byId("tabs").replaceChildren(...tabs);
}

function drawPart() {
  const p = sections[shownPart()];
  const main = byId("panels");
  try {
    main.replaceChildren(...(p && DRAW[p.kind] ? DRAW[p.kind](p) : [panel("w12", "Nothing to draw", caption("There is no search, recording or fit in these files; the log below tells what happened."))]));
  } catch (error) {
    // What cannot be drawn must not take log and state with it.
    main.replaceChildren(panel("w12", "This could not be drawn", caption(String(error))));
  }
}

function drawHead() {
  const head = sections.head;
  if (!head) return;
  byId("title").textContent = head.title;
  const verified = head.verified ?? [];
  const passed = verified.filter((v) => v.passed).length;
  const tasks = Math.max(verified.length, partNames().filter((name) => sections[name].kind === "search").length);
  byId("result").textContent = head.result
    || (verified.length ? `${passed} of ${tasks} ${tasks === 1 ? "task" : "tasks"} verified on the device${verified.length < tasks ? " so far" : ""}` : "");
  const parts = [head.path];
  if (head.started_utc) parts.push(`started ${head.started_utc.slice(0, 19).replace("T", " ")} UTC`);
  if (head.report) parts.push(`report: ${head.report}`);
  byId("where").textContent = parts.join(" · ");
  drawBadge();
}

function drawBadge() {
  const head = sections.head;
  if (!head) return;
  const age = Math.max(0, Date.now() / 1000 + clockOffset - parseFloat(head.newest));
  const quiet = finite(age) && age > 30;
  const words = {
    running: quiet ? `running, no news for ${span(age)}` : "running",
    stale: `no news for ${span(age)}`,
    waiting: "nothing written yet",
    gone: "gone",
  };
  const badge = byId("badge");
  const text = words[head.state] ?? head.state;
  badge.textContent = text;
  badge.className = head.state;
  badge.title = head.state_text;
  if (head.state === "gone") byId("result").textContent = head.state_text;
  document.title = `${text} – ${head.title}`;
}

function drawLog() {
  const list = byId("log");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 30;
  const first = list.childElementCount === 0;
  const lines = (sections.log ?? []).map((entry) => {
    const item = element("li");
    if (entry.utc) item.append(element("time", { datetime: entry.utc }, entry.utc.slice(0, 19).replace("T", " ")));
    item.append(entry.text);
    return item;
  });
  list.replaceChildren(...(lines.length ? lines : [element("li", {}, "nothing yet")]));
  if (atEnd || first) list.scrollTop = list.scrollHeight;
}

function drawFiles() {
  byId("files").querySelector("tbody").replaceChildren(...(sections.files ?? []).map((f) => element("tr", {},
    element("td", {}, f.name), element("td", { class: "number" }, bytes(f.bytes)),
    element("td", {}, new Date(f.modified * 1000).toISOString().slice(0, 19).replace("T", " ")))));
}

function drawConfiguration() {
  byId("configuration").hidden = !sections.configuration;
  byId("configuration").querySelector("pre").textContent = sections.configuration ?? "";
}

function take(state) {
  if (state.schema !== "inmateria.watch" || state.schema_version !== 1) {
    say("This page is of another version than the server: reload it.");
    return;
  }
  clockOffset = state.now - Date.now() / 1000;
  byId("software").textContent = `${state.software}.`;
  const changed = new Set(Object.keys(state.sections));
  if (state.whole) {
    for (const name of Object.keys(sections)) {
      if (!(name in state.sections)) { delete sections[name]; changed.add(name); }
    }
  }
  for (const [name, value] of Object.entries(state.sections)) {
    if (value === null) delete sections[name];
    else sections[name] = value;
  }
  const parts = [...changed].some((name) => name.startsWith("part:"));
  if (parts || state.whole) drawTabs();
  if (changed.has(shownPart()) || state.whole) drawPart();
  if (changed.has("head")) drawHead();
  if (changed.has("log")) drawLog();
  if (changed.has("files")) drawFiles();
  if (changed.has("configuration") || state.whole) drawConfiguration();
}

function say(text) {
  byId("lost").hidden = !text;
  byId("lost").textContent = text;
}

function follow() {
  const events = new EventSource("events");
  events.onmessage = (event) => { if (lost) { lost = false; say(""); } take(JSON.parse(event.data)); };
  events.onerror = () => {
    lost = true;
    say("No connection to inmateria watch: what is shown is the last that was known. Trying again …");
    // A browser gives up where the answer was no stream; a server may come back.
    if (events.readyState === EventSource.CLOSED) { events.close(); setTimeout(follow, 2000); }
  };
}

take(JSON.parse(byId("state").textContent));
setInterval(drawBadge, 1000);
let redraw = 0;
window.addEventListener("resize", () => { clearTimeout(redraw); redraw = setTimeout(drawPart, 150); });
window.addEventListener("hashchange", () => { chosen = decodeURIComponent(location.hash.slice(1)); drawTabs(); drawPart(); });
follow();
