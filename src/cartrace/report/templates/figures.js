  // ---------------------------------------------------------------- figures

  const font = { family: 'system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif', size: 13, color: INK };
  const axis = (title, more) => ({
    title: { text: title, standoff: 10, font: { size: 13, color: SOFT } }, gridcolor: "#eceff2", linecolor: "#8b97a3", showline: true,
    ticks: "outside", tickcolor: "#8b97a3", ticklen: 4, zeroline: false, automargin: true, ...more,
  });
  /** A logarithmic axis: powers of ten, or 1, 2 and 5 with plain numbers where it spans little. */
  function logAxis(title, more) {
    const [a, b] = more.range;
    let ticks = { dtick: 1, exponentformat: "power", showexponent: "all" };
    if (b - a < 2.2) {
      const vals = range(Math.floor(a), Math.ceil(b) + 1).flatMap((k) => (b - a > 1.3 ? [1, 3] : [1, 2, 5]).map((f) => f * 10 ** k)).filter((v) => Math.log10(v) >= a && Math.log10(v) <= b);
      if (vals.length > 1) ticks = { tickmode: "array", tickvals: vals, ticktext: vals.map((v) => num(v)) };
    } else if (b - a > 5) ticks.dtick = 2;
    return axis(title, { type: "log", minor: { ticks: "" }, ...ticks, ...more });
  }
  /** The axis of the values of a course: logarithmic, for a score linear. */
  function valueAxis(type, title, values, more) {
    return type.linear ? axis(title, { range: linearRange(values), ...more }) : logAxis(title, { range: logRange(values), ...more });
  }
  function linearRange(values) {
    const seen = values.filter((v) => v !== null && v !== undefined);
    if (!seen.length) return [0, 10];
    const [a, b] = [seen.reduce((x, y) => Math.min(x, y)), seen.reduce((x, y) => Math.max(x, y))];
    const pad = Math.max(0.5, (b - a) * 0.1);
    // No room is left for scores below 0 where there are none, but for half a mark.
    return [a >= 0 ? Math.max(a - pad, -(b + pad) * 0.04) : a - pad, b + pad];
  }
  function figure(label, height) {
    return h("div", { class: "plot", role: "img", "aria-label": label, style: `min-height:${height}px` });
  }
  // The key stands outside the figure as text: it wraps in a narrow window and on paper.
  const OUTLINE = {
    circle: "M11 6m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0", square: "M7.5 2.5h7v7h-7z", diamond: "M11 1l5 5-5 5-5-5z", cross: "M9.4 1.5h3.2v2.9h2.9v3.2h-2.9v2.9H9.4V7.6H6.5V4.4h2.9z",
    star: "M11 .8l1.4 3.6 3.9.2-3 2.5 1 3.7-3.3-2.1-3.3 2.1 1-3.7-3-2.5 3.9-.2z", hexagon: "M11 1.2l4.2 2.4v4.8L11 10.8 6.8 8.4V3.6z", pentagon: "M11 1.2l4.6 3.3-1.8 5.5H8.2L6.4 4.5z",
    "triangle-down": "M6.3 2h9.4L11 10.2z", "triangle-up": "M6.3 10h9.4L11 1.8z", "triangle-right": "M7.5 1.4v9.2l7.5-4.6z", "triangle-left": "M14.5 1.4v9.2L7 6z", "x-thin": "M7.5 2.5l7 7M14.5 2.5l-7 7", "line-ns": "M11 1v10", "line-ew": "M6 6h10",
    "diamond-tall": "M11 0l3.4 6-3.4 6-3.4-6z", "circle-x": "M11 6m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0",
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
    if (trace.type === "bar") add("rect", { x: 5, y: 1, width: 12, height: 10, fill: trace.marker.color, ...(trace.marker.pattern ? { stroke: SOFT, "stroke-width": 1, "stroke-dasharray": "2 2" } : {}) });
    else if (trace.fill) {
      add("rect", { x: 0, y: 1, width: 22, height: 10, fill: trace.fillcolor, ...(trace.meta === "uncertain" ? { stroke: SOFT, "stroke-width": 1, "stroke-dasharray": "2 2" } : {}) });
    }
    else if (/lines/.test(trace.mode || "")) {
      const dash = { dash: "5 3", dot: "2 2" }[trace.line.dash];
      add("path", { d: "M0 6H22", stroke: trace.line.color, "stroke-width": Math.min(8, trace.line.width), fill: "none", ...(dash ? { "stroke-dasharray": dash } : {}) });
    }
    if (/markers/.test(trace.mode || "")) {
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
    return h("ul", { class: "key" }, listed.map((t) => h("li", {}, swatch(t.legendrank === 500 && t.legendgroup !== "flagged" ? neutral(t) : t), text(t.name))));
  }
  // A bound is drawn in the colour of its course, but means the same in every colour.
  const neutral = (t) => ({ ...t, marker: { ...t.marker, color: SOFT, line: { ...t.marker.line, color: SOFT } } });
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
      // Who chooses another target before a figure is finished takes it off the page.
    }).catch((error) => { if (div.isConnected) throw error; });
    plots.add(div);
    div.after(key(traces));
    if (click) {
      div.on("plotly_click", (e) => {
        const s = e.points[0] && e.points[0].customdata;
        if (typeof s === "number" && D.subject_pages) location.hash = link(s);
      });
    }
  }
  // More lines than this can't be told apart, and take seconds to draw.
  const MOST_DRAWN = 200;
  /** Of a long list so many as a figure draws, evenly from its first to its last. */
  function sample(list) {
    if (list.length <= MOST_DRAWN) return list;
    return range(0, MOST_DRAWN).map((k) => list[Math.round((k * (list.length - 1)) / (MOST_DRAWN - 1))]);
  }
  /** Say that a figure holds a part of a list, and offer all of it; null where it holds all. */
  function drawnOf(list, drawn, what, all) {
    if (drawn.length === list.length) return null;
    return h("p", { class: "say", role: "status" }, h("b", {}, `${drawn.length.toLocaleString("en-US")} of ${plural(list.length, what)} drawn`), ", evenly from the first to the last. All are in the tables and in every number. ",
      h("button", { type: "button", onclick: all }, `Draw all ${list.length.toLocaleString("en-US")}`));
  }
  /** Empty a box that holds figures. */
  function renew(box) {
    for (const div of box.querySelectorAll(".plot")) { Plotly.purge(div); plots.delete(div); }
    box.replaceChildren();
  }
  function clear() {
    for (const div of plots) Plotly.purge(div);
    plots.clear();
    view.replaceChildren();
    tip.hidden = true;
  }
  // Paper is narrower than most windows. Figures are drawn anew for it and back.
  addEventListener("beforeprint", () => {
    for (const div of plots) {
      // A figure that is taller than a page is drawn larger and made smaller as a whole, so that its labels keep their room.
      const paper = Number(div.dataset.paper || 0), small = Math.min(1, 900 / (paper || 900));
      div.style.zoom = small < 1 ? small : "";
      Plotly.relayout(div, { autosize: false, width: 680 / small, ...(paper ? { height: paper } : {}) });
    }
  });
  addEventListener("afterprint", () => {
    for (const div of plots) div.style.zoom = "";
    for (const div of plots) Plotly.relayout(div, { autosize: true, width: null, ...(div.dataset.paper ? { height: Number(div.dataset.screen) } : {}) });
  });

  const height = (type, p) => (P.y[p] === null ? type.floor : P.y[p]);
  function hover(type, course, p) {
    const limit = P.y[p] === null ? "limit unknown" : type.titre ? `below 1:${num(P.y[p])}` : `limit ${num(P.y[p])} ${type.unit}`;
    const read = P.top[p] === null ? `${num(P.y[p])} ${type.unit}` : `1:${num(P.y[p])}, a titre from ${num(P.y[p])} to below ${num(P.top[p])}`;
    const what = [
      read, `below quantification (${limit})`, `not detected (${limit})`,
      type.titre ? `above 1:${num(P.y[p])}` : `above ${num(P.y[p])} ${type.unit}`, `measured 0 ${type.unit}`,
    ][P.kind[p]];
    const visit = T(P.visit[p]);
    const file = T(P.file[p]);
    const lines = [D.subjects[course.s].id, `day ${days(P.day[p])} of infusion ${course.i}${visit ? ", visit " + visit : ""}`, what, plateOpeners.has(file) ? `from plate ${file}` : tubeNumber.has(file) ? `from tube ${file}` : ""].filter(Boolean);
    if (P.status[p] === 1) lines.push("flagged: " + T(P.flags[p]));
    if (P.status[p] === REJECTED) lines.push("rejected, not used: " + T(P.flags[p]));
    if (P.status[p] === MASKED) lines.push(`masked after ${maskedBy(p)}, not used for depletion`);
    return lines.map((x) => plain(shorten(x, 90))).join("<br>");
  }
  const KIND = { ivig: "IVIG" };
  const kindLabel = (kind) => KIND[kind] || words(kind);
  const maskedBy = (p) => unique([...T(P.flags[p]).matchAll(/(?:^|;)masked_([a-z_]+)/g)].map((m) => kindLabel(m[1]))).join(", ") || "a treatment";
  /** Lines and marks of courses: measured ones joined, bounds as open marks, never joined. */
  function courseTraces(courses, type, style, time, more = {}) {
    const solid = { x: [], y: [], text: [], customdata: [] };
    const marks = new Map();
    const mark = (name, p, c) => {
      if (!marks.has(name)) marks.set(name, { x: [], y: [], text: [], customdata: [] });
      const to = marks.get(name);
      to.x.push(P[time][p]); to.y.push(height(type, p)); to.text.push(hover(type, c, p)); to.customdata.push(c.s);
    };
    // A titre stands for the stretch up to the next dilution; below its start it is open.
    const bars = { x: [], y: [], text: [] }, open = { x: [], y: [], text: [] };
    const stretch = (to, p, c, a, b) => {
      to.x.push(P[time][p], P[time][p], null); to.y.push(a, b, null); to.text.push(hover(type, c, p), hover(type, c, p), null);
    };
    const gap = () => {
      if (solid.x.length && solid.x[solid.x.length - 1] !== null) for (const k in solid) solid[k].push(null);
    };
    for (const c of courses) {
      gap();
      for (const p of range(...c.p)) {
        if (P.status[p] === REJECTED) { mark("rejected", p, c); continue; }
        if (P.status[p] === MASKED) { gap(); mark(`masked after ${maskedBy(p)}`, p, c); continue; }
        if (style.bars !== false) {
          if (P.top[p] !== null) stretch(bars, p, c, P.foot[p] ?? P.y[p], P.top[p]);
          else if (type.titre && (P.kind[p] === BLQ || P.kind[p] === BLD) && P.y[p] !== null) stretch(open, p, c, P.y[p], P.y[p] / 1e6);
          else if (type.titre && P.kind[p] === ABOVE && P.y[p] !== null) stretch(open, p, c, P.y[p], P.y[p] * 1e6);
        }
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
    if (bars.x.length) {
      traces.push({ ...base, ...bars, mode: "lines", name: "Titre: from the end point to the next dilution", legendgroup: "titre", legendrank: 400, showlegend: style.marks.has("titre") ? false : !!style.marks.add("titre"),
        connectgaps: false, opacity: 0.45 * (style.opacity || 1), line: { color: style.colour, width: 7 } });
    }
    if (open.x.length) {
      traces.push({ ...base, ...open, mode: "lines", name: "Titre: open beyond the first or last dilution", legendgroup: "open", legendrank: 401, showlegend: style.marks.has("open") ? false : !!style.marks.add("open"),
        connectgaps: false, opacity: style.opacity || 1, line: { color: style.colour, width: 1.4, dash: "dot" } });
    }
    if (solid.x.length) {
      traces.push({
        ...base, ...solid, mode: "lines+markers", name: style.name, legendgroup: style.name, connectgaps: false,
        legendrank: 1, showlegend: style.legend !== false, opacity: style.opacity || 1, line: { color: style.colour, width: style.width || 1.6 },
        marker: { color: style.colour, symbol: style.shape, size: style.size || 6 },
      });
    }
    for (const [name, data] of marks) {
      const masked = name.startsWith("masked");
      const grey = name === "rejected" || masked;
      traces.push({
        ...base, ...data, mode: "markers", legendrank: 500, name: masked ? plain(`${capital(name)}, not used`) : named[name], legendgroup: name, showlegend: style.marks.has(name) ? false : !!style.marks.add(name),
        opacity: style.opacity ? Math.min(1, style.opacity + 0.1) : 1,
        marker: { ...(masked ? { symbol: "circle-open", size: 8 } : shape[name]), color: grey ? SOFT : style.colour, line: { width: 1.6, color: name === "flagged" ? "#7a5200" : grey ? SOFT : style.colour } },
      });
    }
    return traces;
  }
  function limitTraces(type, x, more = {}) {
    const traces = [];
    const label = (name, limit) => (type.titre ? `Starting dilution 1:${num(limit)}` : `${name} ${num(limit)} ${type.unit}`);
    const line = (limits, name, dash) => traces.push({
      type: "scatter", mode: "lines", x: limits.flatMap(() => [...x, null]), y: limits.flatMap((y) => [y, y, null]), hoverinfo: "text",
      text: limits.flatMap(() => [plain(name), plain(name), null]), name: plain(name),
      line: { color: SOFT, width: 1.2, dash }, legendrank: 900, ...more,
    });
    // A third entry says that the limit differs from result to result: the lines are the lowest and the highest.
    const shown = (limits, name, dash) => {
      const [a, b] = limits;
      if (limits.length > 2) line([a, b], `${type.titre ? `Starting dilutions 1:${num(a)} to 1:${num(b)}` : `${name} ${num(a)} to ${num(b)} ${type.unit}`}, by result`, dash);
      else limits.forEach((limit) => line([limit], label(name, limit), dash));
    };
    shown(type.lloq, "Limit of quantification", "dash");
    shown(type.lod.length > 2 ? type.lod : type.lod.filter((x) => !type.lloq.includes(x)), "Limit of detection", "dot");
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
