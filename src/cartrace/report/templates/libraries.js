  // ---------------------------------------------------------------- single-cell libraries

  const CELLS = D.cells;
  const L = CELLS ? CELLS.libraries : null;
  const libraryIds = CELLS ? L.library.map((i) => T(i)) : [];
  const libraryNumber = new Map(libraryIds.map((id, k) => [id, k]));
  const libraryLink = (id) => (libraryNumber.has(id) ? h("a", { href: `#/library/${encodeURIComponent(id)}` }, id) : id);
  const C = CELLS ? CELLS.composition : null;
  // One colour for each lineage and state, the same on every page.
  const LINEAGE_COLOUR = { t: "#0072B2", nk: "#56B4E9", b: "#009E73", plasma: "#CC79A7", monocyte: "#E69F00", dendritic: "#D55E00", progenitor: "#7A5200", platelet: "#9aa5b1", erythroid: "#9c2a00", unassigned: "#d4dae0" };
  const B_COLOUR = { transitional_b: "#56B4E9", naive_b: "#0072B2", non_switched_memory_b: "#E69F00", switched_memory_b: "#D55E00", double_negative_b: "#7A5200", unassigned_b: "#d4dae0" };
  const STATE_COLOUR = { naive: "#009E73", central_memory: "#56B4E9", effector_memory: "#0072B2", cytotoxic: "#D55E00", proliferating: "#E69F00", exhausted: "#882255", treg: "#CC79A7", unassigned: "#d4dae0" };
  const CALL_COLOUR = { positive: "#D55E00", negative: "#0072B2", undetermined: "#E69F00", not_assessed: "#d4dae0" };
  const TIME_COLOUR = ["#332288", "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#882255", "#5B5B5B"];
  const populationName = (name) => {
    const at = CELLS.type_names.indexOf(name);
    if (at >= 0) return capital(CELLS.types[at]);
    if (name.startsWith("state_")) return capital(CELLS.states[CELLS.state_names.indexOf(name.slice(6))] || words(name.slice(6)));
    return capital(CELLS.lineages[CELLS.lineage_names.indexOf(name)] || words(name));
  };
  const share = (value, lower, upper) => (value === null ? null : `${num(value)} (${num(lower, 2)} to ${num(upper, 2)})`);
  /** The CAR+ share of a library as people write it: a number with its limits, a bound, or why there is none. */
  function carShare(k) {
    const seen = T(L.car_detection[k]);
    if (L.car_fraction[k] !== null) return h("span", {}, share(L.car_fraction[k], L.car_lower[k], L.car_upper[k]));
    if (seen === "BLD" || seen === "BLQ") return explain(h("span", { class: "bound" }, `< ${num(L.car_upper[k], 2)}`), seen === "BLD" ? "Not above what ambient RNA explains; the upper limit is shown" : "Above ambient, too few to be quantified; the upper limit is shown");
    const why = T(L.car_reason[k]) || T(L.reason[k]);
    return why ? explain(h("span", { class: "ne" }, "not estimable"), why) : "–";
  }
  const placed = (k) => [T(L.sample_id[k]), L.s[k] >= 0 ? h("div", { class: "say line" }, subjectLink(L.s[k])) : null].filter(Boolean);

  function librariesPage() {
    const all = range(0, libraryIds.length);
    const count = (v) => all.filter((k) => T(L.verdict[k]) === v).length;
    view.append(h("h1", { tabindex: "-1" }, "Libraries"),
      h("p", { class: "lead" }, "The single-cell libraries behind the results. A library's page shows its quality, where its CAR reads lie, and what its cells are."),
      h("ul", { class: "numbers" }, [[all.length, all.length === 1 ? "library" : "libraries"], [all.reduce((n, k) => n + L.cells_passed[k], 0), "cells of good quality"], [count("accepted"), "accepted"], [count("flagged"), "flagged"], [count("rejected"), "rejected"]]
        .map(([n, text]) => h("li", {}, h("b", {}, n.toLocaleString("en-US")), h("span", {}, text)))));
    const n = (label, key, more) => ({ label, n: true, cell: (k) => num(L[key][k]), sort: (k) => L[key][k], ...more });
    const list = table([
      { label: "Library", cls: "text", cell: (k) => libraryLink(libraryIds[k]), sort: (k) => libraryIds[k] },
      { label: "Sample", cls: "text name", cell: placed, sort: (k) => T(L.sample_id[k]) },
      { label: "Day", n: true, tip: "Day from the infusion", cell: (k) => (L.day[k] === null ? "" : days(L.day[k])), sort: (k) => L.day[k] },
      { label: "From", cls: "text", cell: (k) => [capital(T(L.matrix[k])), T(L.sort[k]) === "none" ? null : h("div", { class: "say" }, T(L.sorted[k]))].filter(Boolean), sort: (k) => T(L.matrix[k]) },
      { label: "Verdict", cls: "wide text", cell: (k) => [judged(T(L.verdict[k])), noted(T(L.says[k]))].filter(Boolean), sort: (k) => RANK[T(L.verdict[k])] },
      n("Cells", "cells_passed", { tip: "Barcodes that keep the limits of quality", cell: (k) => num(L.cells_passed[k], 9) }),
      n("UMIs", "median_umis", { tip: "Median of its barcodes", cell: (k) => num(L.median_umis[k], 4) }),
      n("Genes", "median_genes", { tip: "Median of its barcodes", cell: (k) => num(L.median_genes[k], 4) }),
      n("Ambient", "ambient_percent", { unit: "%", tip: "Estimated share of a cell's UMIs that float in the suspension" }),
      n("Doublets", "doublet_percent", { unit: "%" }),
      { label: "CAR+ of T", unit: "%", n: true, tip: `With its ${num(100 * CELLS.confidence)} % interval; ambient and dropout taken out`, cell: carShare, sort: (k) => L.car_fraction[k] },
      n("LOD", "car_lod", { unit: "%", tip: "Smallest share that would be seen", cell: (k) => num(L.car_lod[k], 2) }),
    ], all, { label: "Libraries", limit: 100 });
    view.append(h("h2", {}, "All libraries"));
    if (all.length > 10) view.append(h("div", { class: "controls" }, h("label", {}, "Find a library, sample or patient", h("input", { type: "search", oninput: (e) => {
      const word = e.target.value.trim().toLowerCase();
      list.update(all.filter((k) => [libraryIds[k], T(L.sample_id[k]), T(L.matrix[k]), T(L.says[k]), L.s[k] >= 0 ? D.subjects[L.s[k]].id : ""].join(" ").toLowerCase().includes(word)));
    } }))));
    view.append(list, h("p", { class: "say" }, h("a", { href: "#/cells" }, "CAR-T states over time and differential expression over all subjects")));
  }

  // ---------------------------------------------------------------- composition

  /** Rows of the composition of one subject (all when s is null), of one parent. */
  const rowsOf = (s, parent) => range(0, C.population.length).filter((r) => (s === null || C.s[r] === s) && T(C.parent[r]) === parent);
  const whenOf = (r) => `${T(C.matrix[r])}${C.day[r] === null ? "" : `, day ${days(C.day[r])}`}${C.infusion[r] > 1 ? ` of infusion ${C.infusion[r]}` : ""}${T(C.sort[r]) === "none" ? "" : `, ${words(T(C.sort[r]))} sorted`}`;
  const placeKey = (r) => T(C.library[r]);
  function barOrder(rows) {
    const first = new Map();
    for (const r of rows) if (!first.has(placeKey(r))) first.set(placeKey(r), r);
    // The product comes first, then time, then compartment.
    const product = (r) => (/product/i.test(T(C.matrix[r])) ? 0 : 1);
    return [...first.values()].sort((a, b) => product(a) - product(b) || C.day[a] - C.day[b] || T(C.matrix[a]).localeCompare(T(C.matrix[b])));
  }
  /** Stacked bars of parts of one parent, a bar for each sample. */
  function stackedBars(title, rows, names, colours, label, note) {
    const bars = barOrder(rows);
    if (!bars.length) return;
    const at = new Map(bars.map((r, k) => [placeKey(r), k]));
    const told = rows.filter((r) => C.percent[r] !== null && names.includes(T(C.population[r])));
    if (!told.length) return;
    const height_ = 74 + 30 * bars.length;
    const plot = figure(title, height_);
    view.append(h("figure", {}, h("figcaption", {}, h("b", {}, title), note ? ` ${note}` : ""), plot));
    const text = bars.map((r) => plain(shorten(whenOf(r), narrow() ? 24 : 44)));
    const why = bars.map((b) => { const lost = rows.find((r) => placeKey(r) === placeKey(b) && C.percent[r] === null && T(C.reason[r])); return told.some((r) => placeKey(r) === placeKey(b)) ? "" : lost === undefined ? "no number" : T(C.reason[lost]); });
    const traces = names.map((name) => {
      const mine = told.filter((r) => T(C.population[r]) === name);
      return {
        type: "bar", orientation: "h", name: plain(label(name)), marker: { color: colours[name], line: { color: "#fff", width: 0.7 } },
        y: mine.map((r) => at.get(placeKey(r))), x: mine.map((r) => C.percent[r]), hoverinfo: "text",
        text: mine.map((r) => `${plain(label(name))}: ${num(C.percent[r])} %<br>${num(C.lower[r], 2)} to ${num(C.upper[r], 2)} %<br>${num(C.count[r])} of ${num(C.total[r], 9)} cells`), textposition: "none",
      };
    }).filter((t) => t.x.some((x) => x > 0));
    draw(plot, traces, {
      barmode: "stack", height: height_, bargap: 0.25,
      xaxis: axis("%", { range: [0, 100.5] }),
      yaxis: axis("", { tickmode: "array", tickvals: bars.map((_, k) => k), ticktext: text, range: [bars.length - 0.5, -0.5], ticks: "", showgrid: false }),
      annotations: why.map((w, k) => (w ? { x: 1, y: k, xanchor: "left", showarrow: false, text: plain(shorten(w, narrow() ? 34 : 90)), font: { size: 11, color: HARM } } : null)).filter(Boolean),
    });
  }
  const LINEAGE_NAMES = () => CELLS.lineage_names;
  const STATE_NAMES = () => CELLS.state_names.map((n) => `state_${n}`);
  const STATE_COLOURS = Object.fromEntries(Object.entries(STATE_COLOUR).map(([k, v]) => [`state_${k}`, v]));

  /** Cells of one patient: composition, B cells, CAR-T cells over time, the picture. */
  function cellsOf(s) {
    if (!CELLS || !L.s.includes(s)) return;
    const mine = range(0, libraryIds.length).filter((k) => L.s[k] === s);
    view.append(h("h2", {}, "Single cells"), h("p", { class: "say" }, "Libraries of this patient: ", mine.flatMap((k, j) => [j ? ", " : "", libraryLink(libraryIds[k])]), ". Shares are of cells that count: of good quality, and no doublets."));
    stackedBars("All cells", rowsOf(s, "cells"), LINEAGE_NAMES(), LINEAGE_COLOUR, populationName);
    stackedBars("B cells", rowsOf(s, "b"), Object.keys(B_COLOUR), B_COLOUR, populationName, "Within B cells.");
    carOverTime(s);
    stackedBars("States of CAR+ T cells", rowsOf(s, "car_t"), STATE_NAMES(), STATE_COLOURS, populationName, "Within cells called CAR+.");
    const shown = rowsOf(s, "car_t").filter((r) => ["cd4", "cd8"].includes(T(C.population[r])));
    if (shown.length) {
      view.append(h("details", {}, h("summary", {}, "CD4+ and CD8+ of CAR+ T cells"), table([
        { label: "Sample", cls: "text", cell: whenOf, sort: (r) => C.day[r] },
        { label: "Population", cls: "text", cell: (r) => T(C.population[r]).toUpperCase() + "+", sort: (r) => T(C.population[r]) },
        { label: "Share", unit: "%", n: true, cell: (r) => share(C.percent[r], C.lower[r], C.upper[r]) || (T(C.reason[r]) ? explain(h("span", { class: "ne" }, "not estimable"), T(C.reason[r])) : "–"), sort: (r) => C.percent[r] },
        { label: "Cells", n: true, cell: (r) => (C.count[r] === null ? "–" : `${num(C.count[r])} of ${num(C.total[r], 9)}`), sort: (r) => C.count[r] },
      ], shown, { tight: true, label: "CD4 and CD8 of CAR+ T cells" })));
    }
    picture_(range(0, CELLS.picture ? CELLS.picture.x.length : 0).filter((i) => CELLS.picture.s[i] === s), s);
  }
  /** CAR+ share of T cells by library, with its limits. */
  function carOverTime(s) {
    const mine = range(0, libraryIds.length).filter((k) => L.s[k] === s && L.day[k] !== null && T(L.verdict[k]) !== "rejected");
    const known = mine.filter((k) => L.car_fraction[k] !== null || L.car_upper[k] !== null);
    if (!known.length) return;
    const bars = [...known].sort((a, b) => (/product/i.test(T(L.matrix[a])) ? 0 : 1) - (/product/i.test(T(L.matrix[b])) ? 0 : 1) || L.day[a] - L.day[b]);
    const height_ = 90 + 30 * bars.length;
    const plot = figure("CAR+ share of T cells", height_);
    view.append(h("figure", {}, h("figcaption", {}, h("b", {}, "CAR+ share of T cells"), " Ambient and dropout taken out; a line is the interval, an open mark an upper limit, a cross the share by flow cytometry where the sheet gives one."), plot));
    const y = bars.map((_, k) => k), value = bars.map((k) => (L.car_fraction[k] === null ? L.car_upper[k] : L.car_fraction[k]));
    const bound = bars.map((k) => L.car_fraction[k] === null);
    const traces = [{
      type: "scatter", mode: "markers", name: "CAR+ of T", x: value, y, marker: { color: FAMILY.expansion, size: 10, symbol: bound.map((b) => (b ? "triangle-left-open" : "circle")) }, showlegend: false,
      error_x: { type: "data", symmetric: false, array: bars.map((k, j) => (bound[j] ? 0 : Math.max(0, L.car_upper[k] - value[j]))), arrayminus: bars.map((k, j) => (bound[j] ? 0 : Math.max(0, value[j] - L.car_lower[k]))), color: FAMILY.expansion, thickness: 1.6, width: 5 },
      hoverinfo: "text", text: bars.map((k, j) => `${plain(libraryIds[k])}<br>${bound[j] ? `at most ${num(value[j])} %` : `${share(value[j], L.car_lower[k], L.car_upper[k])} %`}<br>any CAR UMI: ${num(L.car_naive_percent[k])} %`),
    }, {
      type: "scatter", mode: "markers", name: "Any CAR UMI", x: bars.map((k) => L.car_naive_percent[k]), y, marker: { color: SOFT, size: 8, symbol: "line-ns", line: { width: 2, color: SOFT } }, hoverinfo: "text", text: bars.map((k) => `any CAR UMI: ${num(L.car_naive_percent[k])} %`), showlegend: false,
    }];
    draw(plot, traces, {
      height: height_, xaxis: axis("% of T cells", { rangemode: "tozero" }),
      yaxis: axis("", { tickmode: "array", tickvals: y, ticktext: bars.map((k) => plain(shorten(`${T(L.matrix[k])}, day ${days(L.day[k])}${T(L.sort[k]) === "none" ? "" : ", " + T(L.sorted[k])}`, narrow() ? 24 : 44))), range: [bars.length - 0.5, -0.5], ticks: "" }),
    });
    plot.closest("figure").querySelector("figcaption").lastChild.textContent = " Ambient and dropout taken out. A line is the interval, an open mark an upper limit, a stroke the share of T cells with any CAR UMI.";
  }
  /** All cells in two dimensions, coloured by type, CAR call, state or time. */
  function picture_(points, s = null) {
    const U = CELLS.picture;
    if (!U || points.length < 20) return;
    const size = 460;
    const plot = figure("Cells in two dimensions", size);
    const said = h("p", { class: "say" }, `${num(points.length, 9)} cells of ${s === null ? `${num(U.of, 9)}; ` : ""}a sketch (UMAP). Near cells express alike; distances between groups mean nothing, and no number rests on it.`);
    const libraries = unique(points.map((i) => U.library[i])).filter((k) => k >= 0).sort((a, b) => (L.day[a] ?? 0) - (L.day[b] ?? 0));
    const ways = {
      type: [(i) => U.type[i], unique(points.map((i) => U.type[i])).sort((a, b) => a - b).map((t) => [t, t < 0 ? "unknown" : CELLS.types[t], typeColour(t)])],
      call: [(i) => U.call[i], CELLS.calls.map((c, k) => [k, words(c), CALL_COLOUR[c]]).reverse()],
      state: [(i) => U.state[i], [[-1, "no T cell", "#eceff2"], ...CELLS.state_names.map((c, k) => [k, CELLS.states[k], STATE_COLOUR[c]])]],
      time: [(i) => U.library[i], libraries.map((k, j) => [k, s === null ? libraryIds[k] : `${T(L.matrix[k])}, day ${days(L.day[k])}`, TIME_COLOUR[j % TIME_COLOUR.length]])],
    };
    const fill = (way) => {
      const [value, kinds] = ways[way];
      if (plot.nextSibling && plot.nextSibling.className === "key") plot.nextSibling.remove();
      const traces = kinds.map(([v, name, colour]) => {
        const mine = points.filter((i) => value(i) === v);
        return { type: "scattergl", mode: "markers", name: plain(capital(name)), x: mine.map((i) => U.x[i]), y: mine.map((i) => U.y[i]), marker: { color: colour, size: 4, opacity: 0.75, symbol: "circle" }, hoverinfo: "text", text: mine.map((i) => `${plain(U.type[i] < 0 ? "" : CELLS.types[U.type[i]])}<br>${plain(libraryIds[U.library[i]] || "")}`) };
      }).filter((t) => t.x.length);
      const bare = { visible: false, range: [-300, 10300] };
      draw(plot, traces, { height: size, xaxis: bare, yaxis: { ...bare, scaleanchor: "x" } });
    };
    view.append(h("h3", {}, "The cells"), h("div", { class: "controls" }, segments("Colour by", [["type", "Type"], ["call", "CAR"], ["state", "T-cell state"], ["time", s === null ? "Library" : "Time"]], "type", fill)), h("figure", {}, plot), said);
    fill("type");
  }
  const TYPE_SHADE = { cd4_t: "#56B4E9", cd8_t: "#0072B2", treg: "#332288", gamma_delta_t: "#117a8b", double_negative_t: "#8fb8d6", unassigned_t: "#bcd4e6", nk: "#44AA99", transitional_b: "#b7e4c7", naive_b: "#52b788", non_switched_memory_b: "#2d6a4f", switched_memory_b: "#1b4332", double_negative_b: "#95d5b2", unassigned_b: "#d8f3dc", plasmablast: "#e5989b", plasma_cell: "#CC79A7", cd14_monocyte: "#E69F00", cd16_monocyte: "#b47800", macrophage: "#7A5200", unassigned_monocyte: "#f2d08a", conventional_dendritic: "#D55E00", plasmacytoid_dendritic: "#ff9e6b", unassigned_dendritic: "#f7c6a8", progenitor: "#882255", platelet: "#9aa5b1", erythroid: "#9c2a00", unassigned: "#d4dae0" };
  const typeColour = (t) => (t < 0 ? "#d4dae0" : TYPE_SHADE[CELLS.type_names[t]] || "#5B5B5B");
