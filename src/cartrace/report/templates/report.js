"use strict";
(() => {
  // Text of the laboratory reaches the page only through textContent (h) or plain (plotly).
  const D = JSON.parse(document.getElementById("cartrace-data").textContent);
  const P = D.points, M = D.metrics, S = D.summary, K = D.survival, Q = D.qc;
  const T = (i) => (i === undefined || i < 0 ? "" : D.texts[i]);
  const view = document.getElementById("view");
  const methods = document.getElementById("methods");
  const tip = document.getElementById("tip");
  const [MEASURED, BLQ, BLD, ABOVE, ZERO] = [0, 1, 2, 3, 4];
  const REJECTED = 2;
  // Okabe and Ito's colours without yellow, which is too light for lines on white.
  const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5B5B5B"];
  const SHAPES = ["circle", "square", "diamond", "cross", "star", "hexagon", "pentagon"];
  const INK = "#1b2229", SOFT = "#52606d", LINE = "#dde2e7", NIGHT = "#3d4852";
  const narrow = () => view.clientWidth < 560;
  const plots = new Set();

  // ---------------------------------------------------------------- small tools

  function h(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "class") node.className = value;
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
    return node;
  }
  // Plotly reads a little HTML in its texts: show it as it is written instead.
  const plain = (s) => String(s).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const shorten = (s, n) => (s.length > n ? s.slice(0, n - 1) + "…" : s);
  const range = (a, b) => Array.from({ length: Math.max(0, b - a) }, (_, k) => a + k);
  const unique = (list) => [...new Set(list)];
  const plural = (n, one, many) => `${n.toLocaleString("en-US")} ${n === 1 ? one : many || one + "s"}`;
  const SUPER = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

  /** Three significant digits; whole days and counts stay without ".0". */
  function num(x, digits = 3) {
    if (x === null || x === undefined) return "–";
    if (x === 0) return "0";
    const size = Math.abs(x);
    if (size >= 1e7 || size < 1e-3) {
      const [m, e] = x.toExponential(digits - 1).split("e");
      return `${m} × 10${String(Number(e)).replace(/./g, (c) => SUPER[c])}`.replace("-", "−");
    }
    const places = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
    return Number(x.toPrecision(digits))
      .toLocaleString("en-US", { maximumFractionDigits: Math.min(places, 10) })
      .replace("-", "−");
  }
  const days = (x) => (x === null || x === undefined ? "–" : num(x, Math.abs(x) >= 1000 ? 4 : 3));

  // A tool tip that keyboard users get too.
  function explain(node, text) {
    node.title = text;
    node.tabIndex = 0;
    node.dataset.tip = text;
    return node;
  }
  function showTip(node) {
    tip.textContent = node.dataset.tip;
    tip.hidden = false;
    const at = node.getBoundingClientRect();
    tip.style.left = `${Math.max(12, Math.min(at.left, innerWidth - tip.offsetWidth - 12))}px`;
    const below = at.bottom + 8;
    tip.style.top = `${below + tip.offsetHeight > innerHeight ? at.top - tip.offsetHeight - 8 : below}px`;
    node.setAttribute("aria-describedby", "tip");
  }
  document.addEventListener("focusin", (e) => (e.target.dataset && e.target.dataset.tip ? showTip(e.target) : (tip.hidden = true)));
  document.addEventListener("keydown", (e) => { if (e.key === "Escape") tip.hidden = true; });
  addEventListener("scroll", () => (tip.hidden = true), { passive: true });

  function choice(label, options, value, change) {
    const select = h("select", { onchange: (e) => change(e.target.value) },
      options.map(([v, text]) => h("option", { value: v, selected: String(v) === String(value) }, text)));
    return h("label", {}, label, select);
  }
  function segments(label, options, value, change) {
    const group = h("div", { class: "segments", role: "group", "aria-label": label });
    for (const [v, text] of options) {
      group.append(h("button", {
        type: "button", "aria-pressed": String(v === value),
        onclick: (e) => {
          for (const b of group.children) b.setAttribute("aria-pressed", String(b === e.currentTarget));
          change(v);
        },
      }, text));
    }
    return group;
  }

  // A spreadsheet must not run a cell: the same rule as cartrace.tables.defuse.
  const defuse = (s) => (/^[=+\-@\t\r]/.test(s) ? "'" + s : s);
  function download(name, header, rows) {
    const cell = (c) => {
      if (c === null || c === undefined) return "";
      if (typeof c === "number") return String(c);
      const s = defuse(String(c));
      return /[",\n\r]/.test(s) || s !== s.trim() ? `"${s.replace(/"/g, '""')}"` : s;
    };
    const text = "\ufeff" + [header, ...rows].map((r) => r.map(cell).join(",")).join("\r\n") + "\r\n";
    const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    const link = h("a", { href: url, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

  // ---------------------------------------------------------------- figures

  const font = { family: 'system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif', size: 13, color: INK };
  const axis = (title, more) => ({
    title: { text: title, standoff: 10, font: { size: 13, color: SOFT } }, gridcolor: "#eceff2", linecolor: "#8b97a3", showline: true,
    ticks: "outside", tickcolor: "#8b97a3", ticklen: 4, zeroline: false, automargin: true, ...more,
  });
  const logAxis = (title, more) => axis(title, {
    type: "log", dtick: 1, exponentformat: "power", showexponent: "all", minor: { ticks: "" }, ...more,
  });
  function figure(label, height) {
    return h("div", { class: "plot", role: "img", "aria-label": label, style: `min-height:${height}px` });
  }
  // The key stands outside the figure as text: it wraps in a narrow window and on paper.
  const OUTLINE = {
    circle: "M11 6m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0", square: "M7.5 2.5h7v7h-7z", diamond: "M11 1l5 5-5 5-5-5z", cross: "M9.4 1.5h3.2v2.9h2.9v3.2h-2.9v2.9H9.4V7.6H6.5V4.4h2.9z",
    star: "M11 .8l1.4 3.6 3.9.2-3 2.5 1 3.7-3.3-2.1-3.3 2.1 1-3.7-3-2.5 3.9-.2z", hexagon: "M11 1.2l4.2 2.4v4.8L11 10.8 6.8 8.4V3.6z", pentagon: "M11 1.2l4.6 3.3-1.8 5.5H8.2L6.4 4.5z",
    "triangle-down": "M6.3 2h9.4L11 10.2z", "triangle-up": "M6.3 10h9.4L11 1.8z", "triangle-right": "M7.5 1.4v9.2l7.5-4.6z", "x-thin": "M7.5 2.5l7 7M14.5 2.5l-7 7",
  };
  function swatch(trace) {
    const NS = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(NS, "svg");
    for (const [k, v] of Object.entries({ viewBox: "0 0 22 12", width: 22, height: 12, "aria-hidden": "true" })) svg.setAttribute(k, v);
    const add = (name, attributes) => {
      const n = document.createElementNS(NS, name);
      for (const [k, v] of Object.entries(attributes)) n.setAttribute(k, v);
      svg.append(n);
    };
    if (trace.fill) add("rect", { x: 0, y: 1, width: 22, height: 10, fill: trace.fillcolor });
    else if (/lines/.test(trace.mode)) {
      const dash = { dash: "5 3", dot: "2 2" }[trace.line.dash];
      add("path", { d: "M0 6H22", stroke: trace.line.color, "stroke-width": Math.min(8, trace.line.width), fill: "none", ...(dash ? { "stroke-dasharray": dash } : {}) });
    }
    if (/markers/.test(trace.mode)) {
      const symbol = trace.marker.symbol;
      const open = /-open/.test(symbol);
      add("path", { d: OUTLINE[symbol.replace(/-open|-dot/g, "")], fill: open ? "none" : trace.marker.color, stroke: open ? (trace.marker.line.color || trace.marker.color) : "none", "stroke-width": 1.5 });
      if (/-dot/.test(symbol)) add("circle", { cx: 11, cy: 5, r: 1.2, fill: trace.marker.color });
    }
    return svg;
  }
  function key(traces) {
    const listed = traces.filter((t) => t.showlegend !== false && t.name).sort((a, b) => (a.legendrank || 200) - (b.legendrank || 200));
    const text = (s) => s.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
    return h("ul", { class: "key" }, listed.map((t) => h("li", {}, swatch(t), text(t.name))));
  }
  const picture = {
    name: "picture", title: "Save as picture", icon: Plotly.Icons.camera,
    click: (div) => {
      const size = div.layout.height;
      Plotly.downloadImage({ data: div.data, layout: { ...div.layout, showlegend: true, legend: { orientation: "h", x: 0, y: -80 / size, yanchor: "top" } } },
        { format: "png", scale: 2, width: 1100, height: size + 110, filename: "cartrace" });
    },
  };
  function draw(div, traces, layout, click) {
    const width = div.clientWidth || 900;
    const small = width < 560;
    Plotly.newPlot(div, traces, {
      font, paper_bgcolor: "#fff", plot_bgcolor: "#fff", hovermode: "closest", autosize: true, width: undefined,
      margin: { l: small ? 8 : 12, r: small ? 6 : 12, t: small ? 10 : 34, b: 8 },
      showlegend: false, dragmode: small ? false : "zoom",
      hoverlabel: { bgcolor: INK, bordercolor: INK, font: { color: "#fff", size: 12 }, align: "left" },
      ...layout,
    }, {
      responsive: true, displaylogo: false, displayModeBar: small ? false : "hover",
      // plotly.js 4 offers by default to upload a figure and its data: patients' results stay here.
      showSendToCloud: false, plotlyServerURL: "",
      modeBarButtons: [[picture], ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
    });
    plots.add(div);
    div.after(key(traces));
    if (click) {
      div.on("plotly_click", (e) => {
        const s = e.points[0] && e.points[0].customdata;
        if (typeof s === "number" && D.subject_pages) location.hash = link(s);
      });
    }
  }
  function clear() {
    for (const div of plots) Plotly.purge(div);
    plots.clear();
    view.replaceChildren();
    tip.hidden = true;
  }
  // Paper is narrower than most windows. Figures are drawn anew for it and back.
  addEventListener("beforeprint", () => {
    for (const div of plots) Plotly.relayout(div, { autosize: false, width: 680, ...(div.dataset.paper ? { height: Number(div.dataset.paper) } : {}) });
  });
  addEventListener("afterprint", () => {
    for (const div of plots) Plotly.relayout(div, { autosize: true, width: null, ...(div.dataset.paper ? { height: Number(div.dataset.screen) } : {}) });
  });

  const height = (type, p) => (P.y[p] === null ? type.floor : P.y[p]);
  function hover(type, course, p) {
    const limit = P.y[p] === null ? "limit unknown" : `limit ${num(P.y[p])} ${type.unit}`;
    const what = [
      `${num(P.y[p])} ${type.unit}`, `below quantification (${limit})`, `not detected (${limit})`,
      `above ${num(P.y[p])} ${type.unit}`, `measured 0 ${type.unit}`,
    ][P.kind[p]];
    const visit = T(P.visit[p]);
    const lines = [D.subjects[course.s].id, `day ${days(P.day[p])} of infusion ${course.i}${visit ? ", visit " + visit : ""}`, what];
    if (P.status[p] === 1) lines.push("flagged: " + T(P.flags[p]));
    if (P.status[p] === REJECTED) lines.push("rejected, not used: " + T(P.flags[p]));
    return lines.map((x) => plain(shorten(x, 90))).join("<br>");
  }
  /** Lines and marks of courses: measured ones joined, bounds as open marks, never joined. */
  function courseTraces(courses, type, style, time, more = {}) {
    const solid = { x: [], y: [], text: [], customdata: [] };
    const marks = new Map();
    const mark = (name, p, c) => {
      if (!marks.has(name)) marks.set(name, { x: [], y: [], text: [], customdata: [] });
      const to = marks.get(name);
      to.x.push(P[time][p]); to.y.push(height(type, p)); to.text.push(hover(type, c, p)); to.customdata.push(c.s);
    };
    const gap = () => {
      if (solid.x.length && solid.x[solid.x.length - 1] !== null) for (const k in solid) solid[k].push(null);
    };
    for (const c of courses) {
      gap();
      for (const p of range(...c.p)) {
        if (P.status[p] === REJECTED) { mark("rejected", p, c); continue; }
        if (P.kind[p] === MEASURED) {
          solid.x.push(P[time][p]); solid.y.push(P.y[p]); solid.text.push(hover(type, c, p)); solid.customdata.push(c.s);
          if (P.status[p] === 1) mark("flagged", p, c);
        } else {
          gap();
          mark(["", "BLQ", "BLD", "above", "zero"][P.kind[p]], p, c);
        }
      }
    }
    const shape = {
      BLQ: { symbol: "triangle-down-open", size: 9 }, BLD: { symbol: "triangle-down-open-dot", size: 9 },
      above: { symbol: "triangle-up-open", size: 9 }, zero: { symbol: "square-open", size: 7 },
      rejected: { symbol: "x-thin-open", size: 8 }, flagged: { symbol: "circle-open", size: 14 },
    };
    const named = {
      BLQ: "Below quantification (at the limit)", BLD: "Not detected (at the limit)", above: "Above the range",
      zero: "Measured 0 (at the bottom)", rejected: "Rejected, not used", flagged: "Flagged, see Quality",
    };
    const base = { type: "scatter", hoverinfo: "text", ...more };
    const traces = [];
    if (solid.x.length) {
      traces.push({
        ...base, ...solid, mode: "lines+markers", name: style.name, legendgroup: style.name, connectgaps: false,
        legendrank: 1, showlegend: style.legend !== false, opacity: style.opacity || 1, line: { color: style.colour, width: style.width || 1.6 },
        marker: { color: style.colour, symbol: style.shape, size: style.size || 6 },
      });
    }
    for (const [name, data] of marks) {
      const grey = name === "rejected";
      traces.push({
        ...base, ...data, mode: "markers", legendrank: 500, name: named[name], legendgroup: name, showlegend: style.marks.has(name) ? false : !!style.marks.add(name),
        opacity: style.opacity ? Math.min(1, style.opacity + 0.1) : 1,
        marker: { ...shape[name], color: grey ? SOFT : style.colour, line: { width: 1.6, color: name === "flagged" ? "#7a5200" : grey ? SOFT : style.colour } },
      });
    }
    return traces;
  }
  function limitTraces(type, x, more = {}) {
    const traces = [];
    const shown = (limits, name, dash) => limits.slice(0, 2).forEach((limit) => traces.push({
      type: "scatter", mode: "lines", x, y: [limit, limit], hoverinfo: "text",
      text: [1, 1].map(() => plain(`${name} ${num(limit)} ${type.unit}`)), name: plain(`${name} ${num(limit)} ${type.unit}`),
      line: { color: SOFT, width: 1.2, dash }, legendrank: 900, ...more,
    }));
    shown(type.lloq, "Limit of quantification", "dash");
    shown(type.lod.filter((x) => !type.lloq.includes(x)), "Limit of detection", "dot");
    return traces;
  }
  function logRange(values) {
    const seen = values.filter((v) => v > 0);
    if (!seen.length) return [0, 2];
    const [a, b] = [Math.log10(seen.reduce((x, y) => Math.min(x, y))), Math.log10(seen.reduce((x, y) => Math.max(x, y)))];
    const pad = Math.max(0.25, (b - a) * 0.06);
    return [a - pad, b + pad];
  }
  const zooms = (end) => [["all", "All"], [28, "28 days"], [90, "90 days"], [365, "1 year"]].filter(([d]) => d === "all" || d < end);

  // ---------------------------------------------------------------- metric cells

  const landmark = (name) => /^persistent_at_/.test(name);
  /** How one metric row reads: [text, class, sentence, value to sort by]. */
  function reading(m) {
    const name = D.metric_names[M.name[m]].name;
    const unit = T(M.unit[m]);
    const shown = unit === "day" ? days : num;
    const why = T(M.reason[m]);
    const tail = why ? ": " + why : "";
    const withUnit = (x) => `${shown(x)}${unit ? " " + (unit === "day" ? (x === 1 ? "day" : "days") : unit) : ""}`;
    switch (M.status[m]) {
      case 0:
        if (landmark(name)) return [M.value[m] ? "Yes" : "No", "", why, M.value[m]];
        return [shown(M.value[m]), "", why, M.value[m]];
      case 1: {
        const bound = M.upper[m] === null ? M.value[m] : M.upper[m];
        return bound === null ? ["below a limit", "bound", "Known only as an upper bound" + tail, 0]
          : [`≤ ${shown(bound)}`, "bound", `At most ${withUnit(bound)}${tail}`, bound];
      }
      case 2: {
        const bound = M.lower[m] === null ? M.value[m] : M.lower[m];
        return bound === null ? ["above a limit", "bound", "Known only as a lower bound" + tail, Infinity]
          : [`≥ ${shown(bound)}`, "bound", `At least ${withUnit(bound)}${tail}`, bound];
      }
      case 3:
        return [`${shown(M.lower[m])} to ${shown(M.upper[m])}`, "bound", `Between ${shown(M.lower[m])} and ${withUnit(M.upper[m])}${tail}`, M.upper[m]];
      default: {
        const part = M.lower[m] === null ? "" : `. At least ${withUnit(M.lower[m])}`;
        return [landmark(name) ? "not assessable" : "not estimable", "ne", `Not ${landmark(name) ? "assessable" : "estimable"}${tail}${part}`, null];
      }
    }
  }
  function readingNode(m) {
    const [text, cls, why] = reading(m);
    if (!cls && !why) return document.createTextNode(text);
    return cls ? explain(h("span", { class: cls }, text), why) : h("span", { title: why }, text);
  }
  const metricOf = (course, name) => range(...course.m).find((m) => D.metric_names[M.name[m]].name === name);
  const link = (s) => `#/patient/${encodeURIComponent(D.subjects[s].id)}`;
  const subjectLink = (s) => (s < 0 ? "" : D.subject_pages ? h("a", { href: link(s) }, D.subjects[s].id) : D.subjects[s].id);

  /** A table that sorts. columns: {label, unit, n, tip, sort(row), cell(row)} */
  function table(columns, rows, options = {}) {
    let by = options.by === undefined ? -1 : options.by;
    let up = options.up !== false;
    const body = h("tbody", {});
    const heads = columns.map((c, k) => {
      const inner = c.sort ? h("button", { type: "button", title: c.tip, "data-tip": c.tip, onclick: () => { up = by === k ? !up : true; by = k; fill(); } }, c.label) : c.label;
      return h("th", { scope: "col", class: [c.n ? "n" : "", c.cls === "line" ? "" : c.cls || ""].join(" ").trim() || null, title: c.sort ? null : c.tip }, inner, c.unit ? h("small", {}, c.unit) : null);
    });
    let current = rows, limit = options.limit || Infinity;
    const more = h("p", { class: "say" });
    function fill() {
      heads.forEach((th, k) => (columns[k].sort ? th.setAttribute("aria-sort", k === by ? (up ? "ascending" : "descending") : "none") : null));
      let list = current;
      if (by >= 0) {
        const keyed = current.map((r) => [columns[by].sort(r), r]);
        const empty = (v) => v === null || v === undefined || v === "";
        keyed.sort(([a], [b]) => {
          if (empty(a) || empty(b)) return empty(a) - empty(b);
          const d = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
          return up ? d : -d;
        });
        list = keyed.map(([, r]) => r);
      }
      body.replaceChildren(...list.slice(0, limit).map((r) => h("tr", {}, columns.map((c, k) =>
        h(k === 0 && !options.plain ? "th" : "td", { scope: k === 0 && !options.plain ? "row" : null, class: [c.n ? "n" : "", c.cls || ""].join(" ").trim() || null }, c.cell(r))))));
      more.replaceChildren();
      if (list.length > limit) {
        more.append(`Showing ${limit} of ${list.length}. `, h("button", { type: "button", onclick: () => { limit = Infinity; fill(); } }, "Show all"));
      }
    }
    fill();
    const node = h("div", {}, h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": options.label || "Table" },
      h("table", { class: [options.sticky ? "sticky" : "", options.tight ? "tight" : ""].join(" ").trim() || null }, h("thead", {}, h("tr", {}, heads)), body)), more);
    node.update = (list) => { current = list; fill(); };
    return node;
  }

  // ---------------------------------------------------------------- cohort page

  const cohorts = unique(D.subjects.map((s) => s.cohort).filter(Boolean));
  const state = { t: 0, i: 1, cohort: "all", zoom: "all", columns: "key" };

  function verdicts(v) { return h("span", { class: `verdict ${v}` }, v); }
  function numbers() {
    const c = D.counts;
    const item = (n, text, to) => {
      const inner = [h("b", {}, n.toLocaleString("en-US")), h("span", {}, text)];
      return h("li", {}, to ? h("a", { href: to }, inner) : inner);
    };
    return h("ul", { class: "numbers" },
      item(c.subjects, c.subjects === 1 ? "patient" : "patients", "#/patients"), item(c.infusions, c.infusions === 1 ? "infusion" : "infusions"),
      item(c.samples, c.samples === 1 ? "sample" : "samples"), item(c.results, c.results === 1 ? "result" : "results"),
      item(c.qc_fail, c.qc_fail === 1 ? "failed check" : "failed checks", "#/quality"), item(c.qc_warn, c.qc_warn === 1 ? "warning" : "warnings", "#/quality"),
      item(c.qc_note, c.qc_note === 1 ? "note" : "notes", "#/quality"));
  }
  function cohortPage() {
    const page = h("div", {}, h("h1", { tabindex: "-1" }, "Cohort"),
      h("p", { class: "lead" }, "All patients on one clock. Day 0 is the infusion."), numbers());
    view.append(page);
    if (!D.types.length) {
      page.append(h("p", { class: "notice" }, "No result was read, so there is nothing to draw. The Quality page says why."));
      return;
    }
    const rest = h("div", {});
    const controls = h("div", { class: "controls bar" });
    page.append(controls, rest);
    const refresh = () => {
      for (const div of plots) Plotly.purge(div);
      plots.clear();
      rest.replaceChildren();
      cohortBody(rest);
    };
    const rebuild = () => {
      const infusions = unique(D.courses.filter((c) => c.t === state.t).map((c) => c.i)).sort((a, b) => a - b);
      if (!infusions.includes(state.i)) state.i = infusions[0];
      controls.replaceChildren(
        choice("Course", D.types.map((t, k) => [k, t.label]), state.t, (v) => { state.t = Number(v); rebuild(); controls.querySelector("select").focus(); }),
        ...(infusions.length > 1 ? [choice("Infusion", infusions.map((i) => [i, `Infusion ${i}`]), state.i, (v) => { state.i = Number(v); refresh(); })] : []),
        ...(cohorts.length > 1 ? [choice("Cohort", [["all", "All cohorts"], ...cohorts.map((c) => [c, c])], state.cohort, (v) => { state.cohort = v; refresh(); })] : []));
      refresh();
    };
    rebuild();
  }
  function cohortBody(into) {
    const type = D.types[state.t];
    const member = (s) => state.cohort === "all" || D.subjects[s].cohort === state.cohort;
    const courses = D.courses.filter((c) => c.t === state.t && c.i === state.i && member(c.s));
    const group = state.cohort === "all" ? "" : ` of cohort ${state.cohort}`;
    into.append(h("h2", {}, `${type.name} in ${type.place}`),
      h("p", { class: "say" }, `${plural(courses.length, "course")}${group}, infusion ${state.i}. Measured results are joined; open triangles stand at the limit and are not measurements. ${D.subject_pages ? "Select a point to open the patient." : ""}`));
    const end = courses.flatMap((c) => range(...c.p)).reduce((a, p) => Math.max(a, P.day[p]), 0);
    const plot = figure(`${type.label}: ${courses.length} courses over days from infusion on a logarithmic axis. The numbers are in the tables below.`, 360);
    const shown = state.zoom === "all" || state.zoom < end ? state.zoom : "all";
    const zoomTo = (z) => { state.zoom = z; Plotly.relayout(plot, { "xaxis.range": window_(z, end) }); };
    into.append(h("div", { class: "controls" }, segments("Days shown", zooms(end), shown, zoomTo)), h("figure", {}, plot));
    drawCourses(plot, courses, type, window_(shown, end));

    // The first figure is on the screen before the rest is drawn.
    const steps = [() => subjectTable(into, courses, type), () => summaryTable(into, type)];
    if (type.expansion) {
      const two = h("div", { class: "two" });
      into.append(two);
      steps.unshift(() => survivalFigure(two), () => swimmer(two, type, member));
    }
    const next = () => {
      if (!plot.isConnected || !steps.length) return;
      steps.shift()();
      setTimeout(next, 0);
    };
    setTimeout(next, 0);
  }
  const window_ = (zoom, end) => (zoom === "all" ? [Math.min(-6, -end * 0.03), end * 1.03 + 1] : [-zoom * 0.05 - 1, zoom * 1.02]);

  function drawCourses(plot, courses, type, xrange) {
    const traces = [];
    const groups = cohorts.length ? [...cohorts, ""] : [""];
    const marks = new Set();
    const few = courses.length <= 30;
    groups.forEach((cohort, k) => {
      const mine = courses.filter((c) => D.subjects[c.s].cohort === cohort);
      if (!mine.length) return;
      const colour = COLOURS[k % COLOURS.length];
      traces.push(...courseTraces(mine, type, {
        name: plain(cohort || (cohorts.length ? "No cohort" : "Measured")), colour, shape: SHAPES[k % SHAPES.length], width: few ? 1.4 : 1, size: few ? 6 : 4,
        opacity: few ? 0.65 : 0.4, marks,
      }, "day"));
    });
    const curve = D.medians.find((m) => m.t === state.t && m.i === state.i && m.cohort === state.cohort);
    if (curve && curve.median.some((v) => v !== null)) {
      traces.push({
        type: "scatter", mode: "lines+markers", name: D.by_visit ? "Median over nominal visits" : "Median over day bins", x: curve.day, y: curve.median, connectgaps: false, legendrank: 100,
        hoverinfo: "text", line: { color: INK, width: 3 }, marker: { color: INK, size: 7, symbol: "circle" },
        text: curve.day.map((_, k) => plain(`Median at ${curve.label[k]}`) + `<br>${plain(num(curve.median[k]) + " " + type.unit)}<br>n = ${curve.n[k]}, of these ${curve.below[k]} below a limit`),
      });
    }
    traces.push(...limitTraces(type, [xrange[0] - 20, Math.max(xrange[1], 4000)]));
    const ys = courses.flatMap((c) => range(...c.p)).map((p) => height(type, p));
    draw(plot, traces, {
      height: narrow() ? 360 : 450,
      xaxis: axis("Days from infusion", { range: xrange }),
      yaxis: logAxis(plain(narrow() ? type.unit : `${type.name} (${type.unit})`), { range: logRange([...ys, ...type.lloq]) }),
      shapes: [{ type: "line", xref: "x", yref: "paper", x0: 0, x1: 0, y0: 0, y1: 1, line: { color: NIGHT, width: 1 } }],
    }, true);
    if (curve) {
      const hidden = curve.median.filter((v) => v === null).length;
      const least = curve.n.length ? Math.min(...curve.n) : 0, most = curve.n.length ? Math.max(...curve.n) : 0;
      plot.parentNode.append(h("p", { class: "say" }, `The black line is the median over patients at ${D.by_visit ? "nominal visits" : "fixed day bins"} (n from ${least} to ${most}). ` +
        (hidden ? `It is left out at ${plural(hidden, "time")}, where fewer than ${D.min_n} patients have a result or half or more are below a limit.` : "")));
    }
  }

  function survivalFigure(into) {
    const event = D.metric_names.findIndex((m) => m.name === "time_to_loss");
    const rows = range(0, K.t.length).filter((r) => K.t[r] === state.t && K.infusion[r] === state.i && T(K.cohort[r]) === state.cohort && (event < 0 || K.name[r] === event));
    const box = h("figure", {}, h("h2", {}, "Persistence"));
    into.append(box);
    const of = (e) => rows.filter((r) => T(K.estimator[r]) === e).sort((a, b) => K.day[a] - K.day[b] || K.survival[b] - K.survival[a]);
    const km = of("kaplan_meier"), np = of("turnbull");
    if (!rows.length) {
      box.append(h("p", { class: "notice" }, "No persistence curve: too few patients with a time to loss in this course."));
      return;
    }
    box.append(h("p", { class: "say" }, "Share of patients whose cells are still present. A loss lies between two samples: the stepped curve puts it at the later one, the slanted curve anywhere between."));
    const plot = figure("Persistence curve: share of patients with the transgene or cells still present over days from infusion.", 360);
    Object.assign(plot.dataset, { paper: 260, screen: 360 });
    box.append(plot);
    const x = (list, f) => list.map((r) => f(r));
    const start = (list) => (list.length && K.day[list[0]] > 0 ? [0] : []);
    const one = (list) => (list.length && K.day[list[0]] > 0 ? [1] : []);
    const traces = [];
    const pct = (v) => (v === null ? null : v * 100);
    if (km.length) {
      const dx = [...start(km), ...x(km, (r) => K.day[r])];
      const band = (key) => [...one(km).map(() => 100), ...x(km, (r) => pct(K[key][r] === null ? K.survival[r] : K[key][r]))];
      traces.push(
        { type: "scatter", mode: "lines", x: dx, y: band("upper"), line: { shape: "hv", width: 0 }, hoverinfo: "skip", showlegend: false },
        { type: "scatter", mode: "lines", x: dx, y: band("lower"), line: { shape: "hv", width: 0 }, fill: "tonexty", fillcolor: "rgba(0,114,178,0.14)", hoverinfo: "skip", name: "95 % confidence" },
        {
          type: "scatter", mode: "lines", x: dx, y: [...one(km).map(() => 100), ...x(km, (r) => pct(K.survival[r]))], line: { shape: "hv", width: 2.4, color: COLOURS[0] },
          name: "Kaplan-Meier", hoverinfo: "text",
          text: [...one(km).map(() => "day 0<br>100 %"), ...x(km, (r) => `day ${days(K.day[r])}<br>${num(pct(K.survival[r]))} % present${K.n_at_risk[r] === null ? "" : `<br>at risk ${K.n_at_risk[r]}`}`)],
        });
    }
    if (np.length) {
      // A step of the Turnbull curve lies somewhere within its interval: it is drawn slanted across it.
      const line = { x: [0], y: [100], text: ["day 0<br>100 %"] };
      let before = 100;
      for (const r of np) {
        const [left, right, after] = [K.lower[r], K.day[r], pct(K.survival[r])];
        const put = (d, s) => { line.x.push(d); line.y.push(s); line.text.push(`${num(before)} to ${num(after)} % present<br>falls between day ${days(left)} and ${right === null ? "later" : days(right)}`); };
        if (after === before) continue;
        if (left !== null) put(left, before);
        if (right !== null) { put(right, after); before = after; }
      }
      const end = Math.max(...line.x, ...km.map((r) => K.day[r]));
      if (end > line.x[line.x.length - 1]) { line.x.push(end); line.y.push(before); line.text.push(`${num(before)} % present`); }
      traces.push({ type: "scatter", mode: "lines", ...line, line: { width: 2, color: COLOURS[1], dash: "dash" }, name: "Turnbull (intervals)", hoverinfo: "text" });
    }
    draw(plot, traces, { height: 360, xaxis: axis("Days from infusion", { rangemode: "tozero" }), yaxis: axis("Patients with cells present (%)", { range: [0, 103] }) });
  }

  function swimmer(into, type, member) {
    const people = range(0, D.subjects.length).filter((s) => member(s) && D.courses.some((c) => c.s === s && c.t === state.t));
    const spans = (s) => range(0, D.courses.length).filter((k) => D.courses[k].s === s && D.courses[k].t === state.t).flatMap((k) => D.spans[k]);
    const last = (s) => spans(s).reduce((a, [, b]) => Math.max(a, b), -1);
    people.sort((a, b) => last(a) - last(b) || D.subjects[a].end - D.subjects[b].end);
    const box = h("figure", {}, h("h2", {}, "Follow-up of each patient"),
      h("p", { class: "say" }, "Grey: followed. Blue: between quantifiable results without one below the limit between them. Triangles: infusions." + (people.length > 80 ? " Hold the pointer on a bar for the patient." : "")));
    into.append(box);
    const row = people.length <= 40 ? 16 : people.length <= 80 ? 11 : 8;
    const size = Math.max(360, people.length * row + 80);
    const plot = figure("Swimmer plot: follow-up, infusions and quantifiable stretches of each patient.", size);
    box.append(plot);
    const line = (list, colour, width, name) => ({ type: "scatter", mode: "lines", name, line: { color: colour, width }, connectgaps: false, hoverinfo: "text", ...list });
    const lane = () => ({ x: [], y: [], text: [], customdata: [] });
    const put = (l, x, y, text, s) => { l.x.push(x); l.y.push(y); l.text.push(text); l.customdata.push(s); };
    const reach = people.reduce((a, s) => Math.max(a, D.subjects[s].end || 0, last(s)), 28);
    const bar = lane(), blue = lane(), dots = lane(), given = lane(), open = lane();
    const thick = Math.min(11, row - 3);
    people.forEach((s, y) => {
      const who = D.subjects[s];
      const name = plain(who.id);
      const end = who.end === null ? 0 : who.end;
      const followed = `${name}<br>${who.end_known ? "followed to" : "last result on"} day ${days(end)}`;
      put(bar, 0, y, followed, s); put(bar, end, y, followed, s); put(bar, null, null, null, null);
      if (!who.end_known) put(open, end, y, followed, s);
      for (const [a, b] of spans(s)) {
        const text = a === b ? `${name}<br>quantifiable on day ${days(a)}` : `${name}<br>quantifiable from day ${days(a)} to ${days(b)}`;
        if (a === b) put(dots, a, y, text, s);
        else { put(blue, a, y, text, s); put(blue, b, y, text, s); put(blue, null, null, null, null); }
      }
      for (const i of who.infusions) put(given, i.day, y, `${name}<br>infusion ${i.n}${i.product ? " of " + plain(i.product) : ""} on day ${days(i.day)}`, s);
    });
    const mark = (list, symbol, colour, s, name, legend) => ({ type: "scatter", mode: "markers", name, showlegend: legend, hoverinfo: "text", marker: { symbol, color: colour, size: s, line: { width: symbol.includes("open") ? 1.5 : 0 } }, ...list });
    draw(plot, [
      line(bar, "#cfd6dd", thick, "Followed"), line(blue, COLOURS[0], thick, "Quantifiable"), mark(dots, "square", COLOURS[0], thick, "Quantifiable once", false),
      mark(given, "triangle-right", INK, row < 16 ? 6 : 10, "Infusion", true), ...(open.x.length ? [mark(open, "circle-open", SOFT, 8, "Last result", true)] : []),
    ], {
      height: size, xaxis: axis("Days from the first infusion", { range: [-0.03 * reach, 1.02 * reach] }),
      yaxis: axis("", { showticklabels: people.length <= 80, tickmode: "array", tickvals: range(0, people.length), ticktext: people.map((s) => plain(shorten(D.subjects[s].id, 14))), range: [-0.8, people.length - 0.2], showgrid: false, ticks: "", tickfont: { size: row < 16 ? 9 : 12 } }),
    }, true);
  }

  function columnsOf(courses) {
    const used = unique(courses.flatMap((c) => range(...c.m).map((m) => M.name[m]))).sort((a, b) => a - b);
    const groups = unique(used.map((k) => D.metric_names[k].group));
    const key = used.filter((k) => D.key_metrics.includes(D.metric_names[k].name));
    return { used, groups, key: key.length ? key : used.slice(0, 8) };
  }
  function subjectTable(into, courses, type) {
    const { used, groups, key } = columnsOf(courses);
    into.append(h("h2", {}, "Metrics of each patient"));
    if (!used.length) {
      into.append(h("p", { class: "notice" }, "No metric is computed for this analyte; its course is drawn above."));
      return;
    }
    into.append(h("p", { class: "say" }, "Purple values are bounds or intervals, not measurements. Where a value is not estimable, hold the pointer or the keyboard focus on it for the reason."));
    if (state.columns !== "key" && state.columns !== "all" && !groups.includes(state.columns)) state.columns = "key";
    const names = () => (state.columns === "key" ? key : state.columns === "all" ? used : used.filter((k) => D.metric_names[k].group === state.columns));
    let word = "";
    const rows = () => courses.filter((c) => (D.subjects[c.s].id + " " + D.subjects[c.s].cohort).toLowerCase().includes(word));
    const place = h("div", {});
    let current;
    const build = () => {
      const columns = [
        { label: "Patient", sort: (c) => D.subjects[c.s].id, cell: (c) => subjectLink(c.s) },
        ...(cohorts.length ? [{ label: "Cohort", cls: "line", sort: (c) => D.subjects[c.s].cohort, cell: (c) => D.subjects[c.s].cohort }] : []),
        ...names().map((k) => {
          const of = (c) => range(...c.m).find((m) => M.name[m] === k);
          const first = courses.map(of).find((m) => m !== undefined && M.unit[m] >= 0);
          const info = D.metric_names[k];
          return {
            label: info.label, tip: info.definition, n: true, unit: landmark(info.name) ? null : first === undefined ? null : T(M.unit[first]).replace(/^day$/, "days"),
            sort: (c) => (of(c) === undefined ? null : reading(of(c))[3]),
            cell: (c) => (of(c) === undefined ? h("span", { class: "nothing" }, "–") : readingNode(of(c))),
          };
        }),
      ];
      current = table(columns, rows(), { sticky: true, label: "Metrics of each patient" });
      place.replaceChildren(current);
    };
    into.append(h("div", { class: "controls" },
      choice("Metrics shown", [["key", "Key metrics"], ...groups.map((g) => [g, g.charAt(0).toUpperCase() + g.slice(1)]), ["all", "All metrics"]], state.columns, (v) => { state.columns = v; build(); }),
      h("label", {}, "Find a patient or cohort", h("input", { type: "search", oninput: (e) => { word = e.target.value.trim().toLowerCase(); current.update(rows()); } })),
      h("button", {
        type: "button", class: "push", onclick: () => {
          const header = ["subject_id", "cohort", "infusion", "matrix", "analyte", "assay", "course_unit", "metric", "value", "lower", "upper", "unit", "status", "reason"];
          const chosen = new Set(names());
          const status = ["estimated", "left_censored", "right_censored", "interval_censored", "not_estimable"];
          download("cartrace_metrics.csv", header, rows().flatMap((c) => range(...c.m).filter((m) => chosen.has(M.name[m])).map((m) => [
            D.subjects[c.s].id, D.subjects[c.s].cohort, c.i, ...type.key, D.metric_names[M.name[m]].name, M.value[m], M.lower[m], M.upper[m], T(M.unit[m]), status[M.status[m]], T(M.reason[m])])));
        },
      }, "Download as CSV")), place);
    build();
  }

  function summaryTable(into, type) {
    const rows = range(0, S.t.length).filter((r) => S.t[r] === state.t && S.infusion[r] === state.i && T(S.cohort[r]) === state.cohort && S.name[r] >= 0).sort((a, b) => S.name[a] - S.name[b]);
    into.append(h("h2", {}, "Summary over patients"));
    if (!rows.length) {
      into.append(h("p", { class: "notice" }, "No summary for this choice."));
      return;
    }
    into.append(h("p", { class: "say" }, "Statistics use estimates only. The columns beside them say how many patients have a bound or no value."));
    const pair = (a, b) => (a === null ? "–" : b === null ? num(a) : `${num(a)} (${num(b)})`);
    const span = (a, b) => (a === null ? "–" : `${num(a)} to ${num(b)}`);
    const share = (r) => landmark(D.metric_names[S.name[r]].name);
    const pct = (x) => `${num(x * 100)} %`;
    into.append(table([
      { label: "Metric", sort: (r) => S.name[r], cell: (r) => [D.metric_names[S.name[r]].label + " ", h("small", {}, share(r) ? "share of patients" : T(S.unit[r]).replace(/^day$/, "days"))] },
      { label: "Estimated", n: true, cell: (r) => `${num(S.n_estimated[r])} of ${num(S.n[r])}`, sort: (r) => S.n_estimated[r] },
      { label: "Bounds", n: true, cell: (r) => num(S.n_censored[r]) },
      {
        label: "Not estimable", n: true, sort: (r) => S.n_not_estimable[r],
        cell: (r) => (T(S.reasons[r]) && S.n_not_estimable[r] ? explain(h("span", { class: "ne" }, num(S.n_not_estimable[r])), "Not estimable: " + T(S.reasons[r])) : num(S.n_not_estimable[r])),
      },
      { label: "Median", n: true, cell: (r) => {
        if (share(r)) return S.mean[r] === null ? "–" : pct(S.mean[r]);
        const how = T(S.median_method[r]);
        const curve = how.startsWith("turnbull") ? "Turnbull" : "Kaplan-Meier";
        if (how.includes("not reached")) return explain(h("span", { class: "bound" }, "not reached"), `The ${curve} curve stays above one half`);
        if (!how || how === "sample" || S.median[r] === null) return num(S.median[r]);
        const limit = (c, open) => (S[c] && S[c][r] !== null ? num(S[c][r]) : open);
        return explain(h("span", { class: "bound" }, num(S.median[r])), `Median of the ${curve} curve, 95 % interval ${limit("median_lower", "not known")} to ${limit("median_upper", "not reached")}`);
      } },
      { label: "Quartiles", n: true, cell: (r) => (share(r) ? (S.share_lower && S.share_lower[r] !== null ? explain(h("span", { class: "bound" }, `${pct(S.share_lower[r])} to ${pct(S.share_upper[r])}`), "Exact 95 % interval of the share") : "–") : span(S.q1[r], S.q3[r])) },
      { label: "Mean (SD)", n: true, cell: (r) => (share(r) ? "–" : pair(S.mean[r], S.sd[r])) },
      { label: "Geo. mean (CV %)", tip: "Geometric mean and geometric coefficient of variation", n: true, cell: (r) => (share(r) ? "–" : pair(S.geometric_mean[r], S.geometric_cv_percent[r])) },
      { label: "Range", n: true, cell: (r) => (share(r) ? "–" : span(S.minimum[r], S.maximum[r])) },
    ], rows, { sticky: true, tight: true, label: "Summary over patients" }));
  }

  // ---------------------------------------------------------------- patients

  function spark(s) {
    const NS = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(NS, "svg");
    svg.setAttribute("viewBox", "0 0 200 58");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    const course = D.courses.find((c) => c.s === s && c.t === 0) || D.courses.find((c) => c.s === s && D.types[c.t].expansion);
    if (!course) return svg;
    const type = D.types[course.t];
    const mine = D.courses.filter((c) => c.s === s && c.t === course.t).flatMap((c) => range(...c.p)).filter((p) => P.status[p] !== REJECTED);
    const all = D.courses.filter((c) => c.t === course.t).flatMap((c) => range(...c.p));
    const [lo, hi] = logRange(all.map((p) => height(type, p)));
    const end = Math.max(28, ...mine.map((p) => P.study[p]));
    const start = Math.min(-5, ...mine.map((p) => P.study[p]));
    const X = (p) => 4 + (192 * (P.study[p] - start)) / (end - start);
    const Y = (p) => 54 - (50 * (Math.log10(height(type, p)) - lo)) / (hi - lo);
    let path = "", pen = false;
    const node = (name, attributes) => {
      const n = document.createElementNS(NS, name);
      for (const [k, v] of Object.entries(attributes)) n.setAttribute(k, v);
      n.setAttribute("vector-effect", "non-scaling-stroke");
      svg.append(n);
    };
    if (type.lloq.length) {
      const y = 54 - (50 * (Math.log10(type.lloq[0]) - lo)) / (hi - lo);
      node("line", { x1: 0, x2: 200, y1: y, y2: y, stroke: "#8b97a3", "stroke-dasharray": "4 3", "stroke-width": 1 });
    }
    for (const p of mine) {
      if (P.kind[p] === MEASURED) { path += `${pen ? "L" : "M"}${X(p).toFixed(1)} ${Y(p).toFixed(1)}`; pen = true; }
      else { pen = false; node("path", { d: `M${X(p) - 2.2} ${Y(p) - 2}h4.4l-2.2 4z`, fill: "none", stroke: SOFT, "stroke-width": 1 }); }
    }
    if (path) node("path", { d: path, fill: "none", stroke: COLOURS[0], "stroke-width": 2, "stroke-linejoin": "round", "stroke-linecap": "round" });
    return svg;
  }
  function patientsPage() {
    view.append(h("h1", { tabindex: "-1" }, "Patients"));
    const type = D.types[0];
    view.append(h("p", { class: "lead" }, type ? `${type.label}, all infusions, on one logarithmic scale. The dashed line is the limit of quantification.` : "No result was read."));
    if (!D.subject_pages) view.append(h("p", { class: "notice" }, "Pages for single patients are switched off in the configuration (report.subject_pages)."));
    const word = h("input", { type: "search" });
    const list = h("ul", { class: "cards" });
    const cards = range(0, D.subjects.length).map((s) => {
      const who = D.subjects[s];
      const inner = [h("b", {}, who.id), h("small", {}, [who.cohort, plural(who.infusions.length, "infusion")].filter(Boolean).join(" · ")), spark(s),
        h("small", {}, `${plural(who.results, "result")}${who.findings ? ` · ${plural(who.findings, "finding")}` : ""}`)];
      return h("li", {}, D.subject_pages ? h("a", { href: link(s) }, inner) : h("div", {}, inner));
    });
    word.addEventListener("input", () => cards.forEach((c, s) => (c.hidden = !(D.subjects[s].id + " " + D.subjects[s].cohort).toLowerCase().includes(word.value.trim().toLowerCase()))));
    list.append(...cards);
    view.append(h("div", { class: "controls" }, h("label", {}, "Find a patient or cohort", word)), list);
  }

  function patientPage(s) {
    const who = D.subjects[s];
    const n = D.subjects.length;
    view.append(
      h("div", { class: "turn" }, s > 0 ? h("a", { href: link(s - 1), rel: "prev" }, `← ${D.subjects[s - 1].id}`) : null, h("a", { href: "#/patients" }, "All patients"), s < n - 1 ? h("a", { href: link(s + 1), rel: "next" }, `${D.subjects[s + 1].id} →`) : null),
      h("h1", { tabindex: "-1" }, who.id));
    const fact = (label, value) => (value === null || value === "" ? null : h("span", {}, label + " ", h("b", {}, value)));
    view.append(h("div", { class: "facts" }, fact("Cohort", who.cohort), fact("Sex", who.sex), fact("Age", who.age === null ? "" : num(who.age)), fact("Weight", who.weight === null ? "" : num(who.weight) + " kg"),
      fact(who.end_known ? "Followed to day" : "Last result on day", who.end === null ? "" : days(who.end)), fact("Results", who.results)));
    view.append(h("div", { class: "facts" }, who.infusions.map((i) => h("span", {}, `Infusion ${i.n} `, h("b", {}, [i.product, i.dose === null ? "" : `${num(i.dose)} ${i.unit}`].filter(Boolean).join(", ") || "product not named"),
      ` on day ${days(i.day)}${i.ld === null ? "" : `, lymphodepletion from day ${days(i.day + i.ld)}`}`))));
    const courses = D.courses.filter((c) => c.s === s);
    const types = unique(courses.filter((c) => c.p[1] > c.p[0]).map((c) => c.t)).sort((a, b) => a - b);
    view.append(h("h2", {}, "Courses"));
    if (types.length) {
      view.append(h("p", { class: "say" }, "Each panel is one compartment, one assay and one unit; all share the time axis. Vertical lines are infusions. The shaded window and the orange line show which results made the half-life."));
      const end = courses.flatMap((c) => range(...c.p)).reduce((a, p) => Math.max(a, P.study[p]), 0);
      const each = types.length > 6 ? 150 : 200;
      const size = types.length * each + 90;
      const plot = figure(`Courses of patient ${who.id}: ${types.map((t) => D.types[t].label).join("; ")}. The numbers are in the table below.`, size);
      Object.assign(plot.dataset, { paper: Math.min(size, 540), screen: size });
      view.append(h("div", { class: "controls" }, segments("Days shown", zooms(end), "all", (z) => Plotly.relayout(plot, { "xaxis.range": window_(z, end) }))), h("figure", {}, plot));
      patientFigure(plot, who, courses, types, end, size);
    } else view.append(h("p", { class: "notice" }, "No result of this patient was read."));

    view.append(h("h2", {}, "Metrics"), h("p", { class: "say" }, "One table for each course; open tables are printed. What can't be computed says why."));
    let first = true;
    for (const c of courses.filter((x) => x.m[1] > x.m[0])) {
      const box = h("details", { open: first }, h("summary", {}, `${D.types[c.t].label}`, h("small", {}, `infusion ${c.i}`)));
      first = false;
      const fill = () => { if (box.children.length === 1) box.append(patientTable(c)); };
      box.addEventListener("toggle", fill);
      if (box.open) fill();
      view.append(box);
    }
    if (!courses.some((x) => x.m[1] > x.m[0])) view.append(h("p", { class: "notice" }, "No metric is computed for the courses of this patient."));
    const found = range(0, Q.check.length).filter((r) => Q.s[r] === s);
    view.append(h("h2", {}, "Findings"));
    const serious = found.filter((r) => SEVERITY[T(Q.verdict[r])] < 2), notes = found.filter((r) => SEVERITY[T(Q.verdict[r])] >= 2);
    if (serious.length) view.append(findings(serious));
    else view.append(h("p", { class: "notice" }, notes.length ? "No check failed or warned about this patient." : "No check found anything about this patient."));
    if (notes.length) view.append(h("details", {}, h("summary", {}, plural(notes.length, "note")), findings(notes)));
  }
  function patientFigure(plot, who, courses, types, end, size) {
    const traces = [], shapes = [], annotations = [];
    const layout = {};
    const gap = Math.min(0.06, 36 / size);
    const share = (1 - gap * (types.length - 1)) / types.length;
    const xrange = window_("all", end);
    const marks = new Set();
    types.forEach((t, k) => {
      const type = D.types[t];
      const suffix = k === 0 ? "" : String(k + 1);
      const top = 1 - k * (share + gap);
      const mine = courses.filter((c) => c.t === t);
      const panel = { yaxis: "y" + suffix, xaxis: "x" };
      mine.forEach((c) => {
        const half = metricOf(c, "half_life");
        const shift = (who.infusions.find((i) => i.n === c.i) || { day: 0 }).day;
        if (half === undefined || M.start[half] === null || M.end[half] === null || M.status[half] !== 0) return;
        const [a, b] = [M.start[half], M.end[half]];
        shapes.push({ type: "rect", xref: "x", yref: `y${suffix} domain`, x0: a + shift, x1: b + shift, y0: 0, y1: 1, fillcolor: "rgba(230,159,0,0.13)", line: { width: 0 }, layer: "below" });
        const slope = metricOf(c, "lambda_z"), at0 = metricOf(c, "lambda_z_intercept");
        if (slope === undefined || at0 === undefined || M.value[slope] === null || M.value[at0] === null) return;
        const y = [a, b].map((x) => intercept(at0) * Math.exp(-M.value[slope] * x));
        traces.push({
          ...panel, type: "scatter", mode: "lines", x: [a + shift, b + shift], y, line: { color: "#E69F00", width: 6 }, name: "Terminal phase", legendgroup: "terminal", showlegend: !marks.has("terminal") && !!marks.add("terminal"),
          hoverinfo: "text", text: [1, 1].map(() => `half-life ${days(M.value[half])} days<br>from day ${days(a)} to ${days(b)} of infusion ${c.i}`),
        });
      });
      traces.push(...courseTraces(mine, type, { name: "Measured", colour: COLOURS[0], shape: "circle", size: 7, width: 2, marks, legend: !marks.has("measured") && !!marks.add("measured") }, "study", panel));
      limitTraces(type, [xrange[0] - 50, xrange[1] + 4000], { ...panel, showlegend: false }).forEach((x) => traces.push(x));
      const ys = mine.flatMap((c) => range(...c.p)).map((p) => height(type, p));
      layout["yaxis" + suffix] = logAxis(plain(type.unit), { domain: [Math.max(0, top - share), top], range: logRange([...ys, ...type.lloq.slice(0, 1)]) });
      annotations.push({ xref: "paper", yref: "paper", x: 0, y: top, xanchor: "left", yanchor: "bottom", showarrow: false, align: "left", text: `<b>${plain(`${type.name} in ${type.place}`)}</b>, ${plain(type.method)}`, font: { size: 12.5, color: INK } });
    });
    who.infusions.forEach((i) => {
      shapes.push({ type: "line", xref: "x", yref: "paper", x0: i.day, x1: i.day, y0: 0, y1: 1, line: { color: NIGHT, width: 1.2 } });
      if (who.infusions.length > 1) annotations.push({ xref: "x", yref: "paper", x: i.day, y: 1, xanchor: "left", yanchor: "top", xshift: 3, showarrow: false, text: String(i.n), font: { size: 11, color: SOFT } });
    });
    draw(plot, traces, {
      ...layout, height: size, shapes, annotations, margin: { l: 12, r: 12, t: 44, b: 8 },
      xaxis: axis("Days from the first infusion", { range: xrange, anchor: "y" + (types.length > 1 ? types.length : "") }),
    });
  }
  // The intercept is stored in the unit of the course; a dimensionless one is its logarithm.
  const intercept = (m) => (T(M.unit[m]) ? M.value[m] : Math.exp(M.value[m]));

  function patientTable(course) {
    const status = ["estimate", "upper bound", "lower bound", "interval", "no value"];
    return table([
      { label: "Metric", cls: "wide", cell: (m) => h("span", { title: D.metric_names[M.name[m]].definition }, D.metric_names[M.name[m]].label) },
      { label: "Value", n: true, cell: (m) => { const [text, cls] = reading(m); return cls ? h("span", { class: cls }, text) : text; } },
      { label: "95 % interval", n: true, cell: (m) => (M.status[m] === 0 && M.lower[m] !== null && M.upper[m] !== null && M.lower[m] !== M.upper[m] ? `${num(M.lower[m])} to ${num(M.upper[m])}` : "") },
      { label: "Unit", cls: "line", cell: (m) => (M.status[m] === 4 ? "" : T(M.unit[m]).replace(/^day$/, "days")) },
      { label: "Known as", cls: "line", cell: (m) => status[M.status[m]] },
      { label: "Results", n: true, cell: (m) => (M.n[m] === null ? "" : num(M.n[m])) },
      { label: "Window (days)", n: true, cell: (m) => (M.start[m] === null || M.end[m] === null ? "" : `${days(M.start[m])} to ${days(M.end[m])}`) },
      { label: "Remark and method", cls: "remark", cell: (m) => [M.status[m] === 4 ? reading(m)[2] : T(M.reason[m]), T(M.method[m]) ? h("small", {}, T(M.method[m])) : null].filter(Boolean) },
    ], range(...course.m), { sticky: true, label: `Metrics, ${D.types[course.t].label}, infusion ${course.i}` });
  }

  // ---------------------------------------------------------------- quality

  const words = (s) => s.replace(/_/g, " ");
  const SEVERITY = { fail: 0, warn: 1, note: 2, pass: 3 };
  function findings(list, options = {}) {
    const where = (r) => [T(Q.source_file[r]), Q.source_row[r] === null ? "" : `row ${Q.source_row[r]}`, T(Q.source_column[r])].filter(Boolean).join(", ");
    return table([
      { label: "Verdict", cell: (r) => verdicts(T(Q.verdict[r])), sort: (r) => SEVERITY[T(Q.verdict[r])] },
      { label: "Check", cell: (r) => words(T(Q.check[r])), sort: (r) => T(Q.check[r]) },
      { label: "What was found", cls: "wide text", cell: (r) => [T(Q.message[r]), T(Q.suggestion[r]) ? h("div", { class: "say" }, "Suggested reading, not applied: " + T(Q.suggestion[r])) : null].filter(Boolean) },
      { label: "Patient", cell: (r) => (Q.s[r] >= 0 ? subjectLink(Q.s[r]) : T(Q.subject_id[r])), sort: (r) => T(Q.subject_id[r]) },
      { label: "Where", cls: "text", cell: where, sort: where },
      { label: "Value", cls: "text", cell: (r) => T(Q.value[r]) },
      { label: "Allowed", cls: "text", cell: (r) => [T(Q.limit[r]), T(Q.limit_source[r]) ? h("div", { class: "say" }, T(Q.limit_source[r])) : null].filter(Boolean) },
    ], list, { plain: true, limit: 200, label: "Findings", ...options });
  }
  function qualityPage() {
    const all = range(0, Q.check.length);
    const c = D.counts;
    view.append(h("h1", { tabindex: "-1" }, "Quality"));
    if (!(c.qc_fail + c.qc_warn + c.qc_note)) {
      view.append(h("p", { class: "notice" }, `Nothing to look at: no check failed, warned or noted anything${c.qc_pass ? ` (${plural(c.qc_pass, "check")} passed)` : ""}.`));
      if (!all.length) return;
    } else view.append(h("p", { class: "lead" }, "Every finding of every check, with its place in the laboratory's file. A suggested reading is never applied: correct the file, and the next run takes it up."));
    // What needs a decision first; notes, which may be hundreds, on demand.
    const chosen = new Set(["fail", "warn"].filter((v) => c["qc_" + v]));
    if (!chosen.size) chosen.add(c.qc_note ? "note" : "pass");
    let check = "", word = "";
    const text = all.map((r) => [Q.message, Q.subject_id, Q.source_file, Q.value, Q.check, Q.suggestion].map((k) => T(k[r])).join(" ").toLowerCase());
    const filtered = () => all.filter((r) => chosen.has(T(Q.verdict[r])) && (!check || T(Q.check[r]) === check) && text[r].includes(word))
      .sort((a, b) => SEVERITY[T(Q.verdict[a])] - SEVERITY[T(Q.verdict[b])]);
    const count = h("p", { class: "say", role: "status" });
    const list = findings(filtered());
    const update = () => { const f = filtered(); list.update(f); count.textContent = `${plural(f.length, "finding")} shown.`; };
    const chips = h("div", { class: "chips", role: "group", "aria-label": "Verdicts shown" }, ["fail", "warn", "note", "pass"].map((v) => h("button", {
      type: "button", "aria-pressed": String(chosen.has(v)),
      onclick: (e) => { chosen.has(v) ? chosen.delete(v) : chosen.add(v); e.currentTarget.setAttribute("aria-pressed", String(chosen.has(v))); update(); },
    }, verdicts(v), ` ${c["qc_" + v].toLocaleString("en-US")}`)));
    const names = unique(all.map((r) => T(Q.check[r]))).sort();
    const per = names.map((n) => {
      const mine = all.filter((r) => T(Q.check[r]) === n);
      return { n, total: mine.length, ...Object.fromEntries(["fail", "warn", "note", "pass"].map((v) => [v, mine.filter((r) => T(Q.verdict[r]) === v).length])) };
    });
    const picker = choice("Check", [["", "All checks"], ...names.map((n) => [n, words(n)])], "", (v) => { check = v; update(); });
    view.append(h("h2", {}, "Findings of each check"), table([
      { label: "Check", cell: (r) => words(r.n), sort: (r) => r.n },
      ...["fail", "warn", "note", "pass"].map((v) => ({ label: v.charAt(0).toUpperCase() + v.slice(1), n: true, cell: (r) => (r[v] ? num(r[v]) : h("span", { class: "nothing" }, "0")), sort: (r) => r[v] })),
      { label: "Total", n: true, cell: (r) => num(r.total), sort: (r) => r.total },
    ], per, { label: "Findings of each check" }),
    h("h2", {}, "All findings"), chips,
    h("div", { class: "controls" }, picker, h("label", {}, "Find", h("input", { type: "search", oninput: (e) => { word = e.target.value.trim().toLowerCase(); update(); } })),
      h("button", {
        type: "button", class: "push", onclick: () => {
          const keys = ["check", "verdict", "source_file", "source_row", "source_column", "subject_id", "sample_id", "analyte", "value", "limit", "limit_source", "message", "suggestion"];
          download("cartrace_findings.csv", keys, filtered().map((r) => keys.map((k) => (k === "source_row" ? Q[k][r] : T(Q[k][r])))));
        },
      }, "Download as CSV")), count, list);
    update();
  }

  // ---------------------------------------------------------------- routes

  let opened = false;
  function route() {
    const hash = location.hash;
    const [, page, rest] = hash.split("/");
    clear();
    methods.hidden = true;
    let title = "Cohort", tab = "#/cohort";
    if (page === "patient" && D.subject_pages) {
      let id = "";
      try { id = decodeURIComponent(rest || ""); } catch { id = ""; }
      const s = D.subjects.findIndex((x) => x.id === id);
      tab = "#/patients";
      if (s >= 0) { title = D.subjects[s].id; patientPage(s); }
      else { title = "Patients"; patientsPage(); }
    } else if (page === "patients") { title = "Patients"; tab = "#/patients"; patientsPage(); }
    else if (page === "quality") { title = "Quality"; tab = "#/quality"; qualityPage(); }
    else if (page === "methods") { title = "Methods"; tab = "#/methods"; methods.hidden = false; }
    else cohortPage();
    document.title = `${title} · ${D.title}`;
    for (const a of document.querySelectorAll("#nav a")) a.getAttribute("href") === tab ? a.setAttribute("aria-current", "page") : a.removeAttribute("aria-current");
    if (opened) {
      scrollTo(0, 0);
      const heading = document.querySelector("#methods:not([hidden]) h1, #view h1");
      if (heading) heading.focus({ preventScroll: true });
    }
    opened = true;
    document.body.dataset.ready = page || "cohort";
  }
  document.querySelector(".skip").addEventListener("click", (e) => { e.preventDefault(); document.getElementById("main").focus(); });
  addEventListener("hashchange", route);
  route();
})();
