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
  /** What a population is called: of a lineage, a type, a state or a group of types. */
  const populationName = (name) => {
    const [of, at] = name.startsWith("state_") ? [CELLS.states, CELLS.state_names.indexOf(name.slice(6))]
      : CELLS.lineage_names.includes(name) ? [CELLS.lineages, CELLS.lineage_names.indexOf(name)] : [CELLS.types, CELLS.type_names.indexOf(name)];
    return started(at < 0 ? CELLS.groups[name] || words(name) : of[at]);
  };
  // A Greek letter stays small.
  const started = (s) => (/^[a-z]/.test(s) ? capital(s) : s);
  const share = (value, lower, upper) => (value === null ? null : `${num(value)} (${num(lower, 2)} to ${num(upper, 2)})`);
  /** The CAR+ share of a library as people write it: a number with its limits, a bound, or why there is none. */
  function carShare(k) {
    const seen = T(L.car_detection[k]);
    if (L.car_fraction[k] !== null) return h("span", {}, share(L.car_fraction[k], L.car_lower[k], L.car_upper[k]));
    if (seen === "BLD" || seen === "BLQ") return explain(h("span", { class: "bound" }, `< ${num(L.car_upper[k], 2)}`), seen === "BLD" ? "Not detected: no more than ambient RNA explains. The upper limit is shown" : `Detected, below quantification. The share lies between ${num(L.car_lower[k], 2)} and ${num(L.car_upper[k], 2)} %`);
    const why = T(L.car_reason[k]) || T(L.reason[k]);
    return why ? explain(h("span", { class: "ne" }, "not estimable"), why) : "–";
  }
  const fromWhere = (k) => [capital(T(L.matrix[k])), T(L.sort[k]) === "none" ? null : h("div", { class: "say" }, T(L.sorted[k]))].filter(Boolean);
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
      { label: "Sample", cls: "text", cell: placed, sort: (k) => T(L.sample_id[k]) },
      { label: "Day", n: true, tip: "Day from the infusion", cell: (k) => (L.day[k] === null ? "" : days(L.day[k])), sort: (k) => L.day[k] },
      { label: "From", cls: "from", cell: fromWhere, sort: (k) => T(L.matrix[k]) },
      { label: "Verdict", cls: "wide text", cell: (k) => [judged(T(L.verdict[k])), noted(T(L.says[k]))].filter(Boolean), sort: (k) => RANK[T(L.verdict[k])] },
      { label: "CAR+ of T cells", unit: "%", n: true, tip: `With its ${num(100 * CELLS.confidence)} % interval, corrected for ambient RNA and dropout; below, the smallest share that would be seen (LOD)`, cell: (k) => [carShare(k), L.car_lod[k] === null ? null : h("div", { class: "say" }, `LOD ${num(L.car_lod[k], 2)}`), T(L.car_verdict[k]) === "flagged" ? h("div", { class: "say" }, explain(h("span", { class: "verdict flagged" }, "flagged"), capital(T(L.car_says[k])))) : null].filter(Boolean), sort: (k) => L.car_fraction[k] ?? L.car_upper[k] },
      n("Cells", "cells_passed", { tip: "Barcodes that keep the limits of quality", cell: (k) => num(L.cells_passed[k], 9) }),
      n("UMIs", "median_umis", { tip: "Median of its barcodes", cell: (k) => num(L.median_umis[k], 4) }),
      n("Genes", "median_genes", { tip: "Median of its barcodes" }),
      n("Ambient", "ambient_percent", { unit: "%", tip: "Estimated share of a cell's UMIs that floated in the suspension", cell: (k) => num(L.ambient_percent[k], 2) }),
      n("Doublets", "doublet_percent", { unit: "%", tip: "Of cells of good quality", cell: (k) => num(L.doublet_percent[k], 2) }),
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
  const ofProduct = (matrix) => /product/i.test(matrix);
  const when = (matrix, day, infusion, sort) => `${matrix}${ofProduct(matrix) ? "" : `, day ${days(day)}`}${infusion > 1 ? ` of infusion ${infusion}` : ""}${sort ? `, ${sort}` : ""}`;
  const whenOf = (r) => when(T(C.matrix[r]), C.day[r], C.infusion[r], T(C.sorted[r]));
  const whenMade = (k) => when(T(L.matrix[k]), L.day[k], L.infusion[k], T(L.sort[k]) === "none" ? "" : T(L.sorted[k]));
  /** By infusion; the product first, then time, then compartment. */
  const inTime = (of) => (a, b) => {
    const [x, y] = [of(a), of(b)];
    return x.infusion - y.infusion || Number(ofProduct(y.matrix)) - Number(ofProduct(x.matrix)) || x.day - y.day || x.matrix.localeCompare(y.matrix);
  };
  const byTime = inTime((r) => ({ infusion: C.infusion[r], matrix: T(C.matrix[r]), day: C.day[r] }));
  const librariesByTime = inTime((k) => ({ infusion: L.infusion[k], matrix: T(L.matrix[k]), day: L.day[k] }));
  const pool = (r) => T(C.library[r]);
  const lanes = (labels) => axis("", { tickmode: "array", tickvals: labels.map((_, k) => k), ticktext: labels.map((t) => plain(shorten(t, narrow() ? 20 : 44))), range: [labels.length - 0.45, -0.6], ticks: "", showgrid: false });
  /** Words in the lane of a bar that has no number. */
  const inLanes = (list) => list.map((text, k) => (text ? { xref: "paper", x: 0, y: k, xanchor: "left", xshift: 4, showarrow: false, text: plain(shorten(text, narrow() ? 36 : 110)), font: { size: 11, color: SOFT } } : null)).filter(Boolean);
  /** A share as people write it; what is not quantified is a bound. */
  function shareOf(r) {
    const seen = T(C.detection[r]), counted = C.count[r] === null ? "" : `${num(C.count[r])} of ${num(C.total[r], 9)} cells`;
    if (seen === "BLD") return explain(h("span", { class: "bound" }, `< ${num(C.upper[r], 2)}`), `Not detected: ${counted || "no more than ambient RNA explains"}. The upper limit is shown`);
    if (seen === "BLQ") return explain(h("span", { class: "bound" }, `< ${num(C.upper[r], 2)}`), `Detected, below quantification: ${C.percent[r] === null ? "" : `${num(C.percent[r])} %`}${limits(C, r)}${counted ? `, ${counted}` : ""}`);
    if (C.percent[r] !== null) return `${num(C.percent[r])}${limits(C, r)}`;
    return T(C.reason[r]) ? explain(h("span", { class: "ne" }, "not estimable"), T(C.reason[r])) : "–";
  }
  /** Stacked bars of parts of one parent, a bar for each sample. */
  function stackedBars(title, rows, names, colours, note = "") {
    const first = new Map();
    for (const r of rows) if (!first.has(pool(r))) first.set(pool(r), r);
    const bars = [...first.values()].sort(byTime), at = new Map(bars.map((r, k) => [pool(r), k]));
    const told = rows.filter((r) => C.percent[r] > 0 && names.includes(T(C.population[r])));
    if (!told.length) return;
    const size = 74 + 30 * bars.length;
    const plot = figure(`${title}: a bar for each sample. The numbers are in the table below.`, size);
    view.append(h("figure", {}, h("figcaption", {}, h("b", {}, title), note ? ` ${note}` : ""), plot));
    const why = bars.map((b) => {
      if (told.some((r) => pool(r) === pool(b))) return "";
      const lost = rows.find((r) => pool(r) === pool(b) && T(C.reason[r]));
      return lost === undefined ? "none seen" : T(C.reason[lost]);
    });
    const traces = names.map((name) => {
      const mine = told.filter((r) => T(C.population[r]) === name);
      return {
        type: "bar", orientation: "h", name: plain(populationName(name)), width: 0.74, marker: { color: colours[name], line: { color: "#fff", width: 0.7 } },
        y: mine.map((r) => at.get(pool(r))), x: mine.map((r) => C.percent[r]), hoverinfo: "text", textposition: "none",
        text: mine.map((r) => `${plain(populationName(name))}: ${num(C.percent[r])} %${limits(C, r)}<br>${num(C.count[r])} of ${num(C.total[r], 9)} cells${T(C.detection[r]) === "BLQ" ? "<br>below quantification" : ""}`),
      };
    }).filter((t) => t.x.length);
    draw(plot, traces, { barmode: "stack", height: size, xaxis: axis("%", { range: [0, 100.5] }), yaxis: lanes(bars.map(whenOf)), annotations: inLanes(why) });
  }
  const STATE_NAMES = () => CELLS.state_names.map((n) => `state_${n}`);
  const STATE_COLOURS = Object.fromEntries(Object.entries(STATE_COLOUR).map(([k, v]) => [`state_${k}`, v]));
  const T_NAMES = ["cd4", "cd8", "gamma_delta_t", "double_negative_t", "unassigned_t"];
  const T_COLOURS = { cd4: "#56B4E9", cd8: "#0072B2", gamma_delta_t: "#117a8b", double_negative_t: "#8fb8d6", unassigned_t: "#d4dae0" };

  /** Cells of one patient: composition, B cells, CAR-T cells over time, the picture. */
  function cellsOf(s) {
    if (!CELLS || !L.s.includes(s)) return;
    const mine = range(0, libraryIds.length).filter((k) => L.s[k] === s);
    const lost = mine.filter((k) => T(L.verdict[k]) === "rejected");
    view.append(h("h2", {}, "Single cells"), h("p", { class: "say" }, "Libraries of this patient: ", mine.flatMap((k, j) => [j ? ", " : "", libraryLink(libraryIds[k])]), `. Shares are of cells that count: of good quality, and no doublets.${lost.length ? ` ${plural(lost.length, "library", "libraries")} failed.` : ""}`));
    stackedBars("All cells", rowsOf(s, "cells"), CELLS.lineage_names, LINEAGE_COLOUR);
    stackedBars("B cells", rowsOf(s, "b"), Object.keys(B_COLOUR), B_COLOUR, "Within B cells.");
    carOverTime(mine);
    stackedBars("CD4+ and CD8+ of CAR+ T cells", rowsOf(s, "car_t"), T_NAMES, T_COLOURS, "Within T cells called CAR+.");
    stackedBars("States of CAR+ T cells", rowsOf(s, "car_t"), STATE_NAMES(), STATE_COLOURS, "Within T cells called CAR+.");
    const shown = ["cells", "t", "car_t", "b"].flatMap((parent) => rowsOf(s, parent).filter((r) => T(C.population[r]) !== "b_lineage" && !(parent === "cells" && CELLS.type_names.includes(T(C.population[r])) && !CELLS.lineage_names.includes(T(C.population[r]))) && (C.percent[r] !== null || T(C.detection[r]) || T(C.population[r]) === "car_t")).sort(byTime));
    view.append(h("details", {}, h("summary", {}, "The shares in numbers ", h("small", {}, plural(shown.length, "share"))), table([
      { label: "Sample", cls: "text name", cell: whenOf, sort: (r) => C.day[r] },
      { label: "Population", cls: "text", cell: (r) => populationName(T(C.population[r])), sort: (r) => populationName(T(C.population[r])) },
      { label: "Share", unit: "%", n: true, cell: shareOf, sort: (r) => C.percent[r] },
      { label: "Cells", n: true, cell: (r) => (C.count[r] === null ? "–" : `${num(C.count[r])} of ${num(C.total[r], 9)}`), sort: (r) => C.count[r] },
      { label: "Blood", unit: "cells/µL", n: true, cell: (r) => (C.cells_per_ul[r] === null ? "" : `${num(C.cells_per_ul[r])} (${num(C.cells_per_ul_lower[r], 2)} to ${num(C.cells_per_ul_upper[r], 2)})`), sort: (r) => C.cells_per_ul[r] },
      { label: "Remark", cls: "remark", cell: (r) => T(C.says[r]) },
    ], shown, { tight: true, plain: true, group: (r) => `Of ${CELLS.parents[T(C.parent[r])]}`, label: "Shares of cells", limit: 60 })));
    picture_(range(0, CELLS.picture ? CELLS.picture.x.length : 0).filter((i) => CELLS.picture.s[i] === s), s, true);
  }
  /** CAR+ share of T cells of some libraries, with its limits. */
  function carOverTime(all) {
    const listed = all.filter((k) => T(L.verdict[k]) !== "rejected" && L.day[k] !== null).sort(librariesByTime);
    const known = listed.filter((k) => L.car_upper[k] !== null);
    if (!known.length) return;
    const lane = new Map(listed.map((k, j) => [k, j]));
    const size = 74 + 30 * listed.length;
    const plot = figure("CAR+ share of T cells by library", size);
    view.append(h("figure", {}, h("figcaption", {}, h("b", {}, "CAR+ share of T cells"), ` Corrected for ambient RNA and dropout, with its ${num(100 * CELLS.confidence)} % interval.`), plot));
    const told = known.filter((k) => L.car_fraction[k] !== null), bounds = known.filter((k) => L.car_fraction[k] === null);
    const naive = known.filter((k) => L.car_naive_percent[k] !== null);
    const tip = (k) => `${plain(libraryIds[k])}<br>${L.car_fraction[k] === null ? `at most ${num(L.car_upper[k], 2)} %` : `${share(L.car_fraction[k], L.car_lower[k], L.car_upper[k])} %`}<br>any CAR UMI: ${num(L.car_naive_percent[k])} %`;
    const marks = (list, name, x, more) => ({ type: "scatter", mode: "markers", name, x: list.map(x), y: list.map((k) => lane.get(k)), hoverinfo: "text", text: list.map(tip), ...more });
    draw(plot, [
      { type: "scatter", mode: "lines", name: "Between the limits", x: bounds.flatMap((k) => [L.car_lower[k], L.car_upper[k], null]), y: bounds.flatMap((k) => [lane.get(k), lane.get(k), null]), line: { color: wash(FAMILY.expansion, 0.5), width: 1.6, dash: "dot" }, hoverinfo: "skip", showlegend: false },
      marks(told, "CAR+ share", (k) => L.car_fraction[k], { marker: { color: FAMILY.expansion, size: 10, symbol: "circle" }, error_x: { type: "data", symmetric: false, array: told.map((k) => L.car_upper[k] - L.car_fraction[k]), arrayminus: told.map((k) => L.car_fraction[k] - L.car_lower[k]), color: FAMILY.expansion, thickness: 1.6, width: 4 } }),
      marks(bounds, "Upper limit: not detected, or too few", (k) => L.car_upper[k], { marker: { color: FAMILY.expansion, size: 11, symbol: "triangle-left-open", line: { width: 1.8, color: FAMILY.expansion } } }),
      marks(naive, "Cells with any CAR UMI", (k) => L.car_naive_percent[k], { marker: { color: "#D55E00", size: 10, symbol: "x-thin-open", line: { width: 2, color: "#D55E00" } } }),
    ].filter((t) => t.x.length), {
      height: size, xaxis: axis("% of T cells", { rangemode: "tozero" }), yaxis: lanes(listed.map(whenMade)),
      annotations: inLanes(listed.map((k) => (L.car_upper[k] === null ? T(L.car_reason[k]) || "no CAR calls" : ""))),
    });
  }
  /** Cells in two dimensions, coloured by type, CAR call, state or time. */
  function picture_(points, s = null, sub = false) {
    const U = CELLS.picture;
    if (!U || points.length < 20) return;
    const size = narrow() ? 340 : 460;
    const plot = figure("Cells in two dimensions", size);
    const said = h("p", { class: "say" }, `${num(points.length, 9)} cells${s === null ? ` of ${num(U.of, 9)}` : ""}, as a picture only (UMAP): near cells express alike, distances between groups mean nothing, and no number rests on it.`);
    const libraries = unique(points.map((i) => U.library[i])).filter((k) => k >= 0).sort(librariesByTime);
    // Over all subjects time is what matters; of one subject each library is a time.
    const spans = [["product", (k) => ofProduct(T(L.matrix[k]))], ["before the infusion", (k) => L.day[k] < 0], ["day 0 to 14", (k) => L.day[k] <= 14], ["day 15 to 60", (k) => L.day[k] <= 60], ["later", () => true]];
    const span = libraryIds.map((_, k) => spans.findIndex(([, test]) => test(k)));
    const kinds = {
      type: [(i) => U.type[i], unique(points.map((i) => U.type[i])).sort((a, b) => a - b).map((t) => [t, t < 0 ? "unknown" : CELLS.types[t], typeColour(t)])],
      call: [(i) => U.call[i], CELLS.calls.map((c, k) => [k, { positive: "CAR+", negative: "CAR-", undetermined: "undetermined", not_assessed: "not assessed: no T cell, or no call" }[c], CALL_COLOUR[c]]).reverse()],
      state: [(i) => U.state[i], [[-1, "no T cell", "#eceff2"], ...CELLS.state_names.map((c, k) => [k, CELLS.states[k], STATE_COLOUR[c]])]],
      time: s === null ? [(i) => span[U.library[i]], spans.map(([name], k) => [k, name, TIME_COLOUR[k]])]
        : [(i) => U.library[i], libraries.map((k, j) => [k, whenMade(k), TIME_COLOUR[j % TIME_COLOUR.length]])],
    };
    const dot = points.length < 500 ? 6 : points.length < 1500 ? 5 : 4;
    const fill = (way) => {
      const [value, listed] = kinds[way];
      if (plot.nextSibling) plot.nextSibling.remove();
      const traces = listed.map(([v, name, colour]) => {
        const mine = points.filter((i) => value(i) === v);
        return { type: "scatter", mode: "markers", name: plain(started(name)), x: mine.map((i) => U.x[i]), y: mine.map((i) => U.y[i]), marker: { color: colour, size: dot, opacity: 0.8, symbol: "circle" }, hoverinfo: "text", text: mine.map((i) => `${plain(U.type[i] < 0 ? "" : started(CELLS.types[U.type[i]]))}<br>${plain(libraryIds[U.library[i]] || "")}`) };
      }).filter((t) => t.x.length);
      const bare = { visible: false, range: [-300, 10300] };
      draw(plot, traces, { height: size, xaxis: bare, yaxis: bare });
    };
    const ways = [["type", "Type"], ["call", "CAR"], ["state", "T-cell state"], ["time", "Time"]].filter(([way]) => way !== "time" || libraries.length > 1);
    view.append(h(sub ? "h3" : "h2", {}, "Picture of the cells"), h("div", { class: "controls" }, segments("Colour by", ways, "type", fill)), h("figure", { class: "map2d" }, plot), said);
    fill("type");
  }
  const TYPE_SHADE = { cd4_t: "#56B4E9", cd8_t: "#0072B2", treg: "#332288", gamma_delta_t: "#117a8b", double_negative_t: "#8fb8d6", unassigned_t: "#bcd4e6", nk: "#44AA99", transitional_b: "#b7e4c7", naive_b: "#52b788", non_switched_memory_b: "#2d6a4f", switched_memory_b: "#1b4332", double_negative_b: "#95d5b2", unassigned_b: "#d8f3dc", plasmablast: "#e5989b", plasma_cell: "#CC79A7", cd14_monocyte: "#E69F00", cd16_monocyte: "#b47800", macrophage: "#7A5200", unassigned_monocyte: "#f2d08a", conventional_dendritic: "#D55E00", plasmacytoid_dendritic: "#ff9e6b", unassigned_dendritic: "#f7c6a8", progenitor: "#882255", platelet: "#9aa5b1", erythroid: "#9c2a00", unassigned: "#d4dae0" };
  const typeColour = (t) => (t < 0 ? "#d4dae0" : TYPE_SHADE[CELLS.type_names[t]] || "#5B5B5B");
