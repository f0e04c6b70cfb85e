  // ---------------------------------------------------------------- one library

  function libraryPage(k) {
    const id = libraryIds[k], part = CELLS.parts[k];
    const next = (j, arrow) => { const a = libraryLink(libraryIds[j]); a.textContent = arrow < 0 ? `← ${libraryIds[j]}` : `${libraryIds[j]} →`; a.rel = arrow < 0 ? "prev" : "next"; return a; };
    view.append(
      h("div", { class: "turn" }, k > 0 ? next(k - 1, -1) : null, h("a", { href: "#/libraries" }, "All libraries"), k < libraryIds.length - 1 ? next(k + 1, 1) : null),
      h("h1", { tabindex: "-1" }, id));
    const facts = [["Sample", T(L.sample_id[k])], ["Patient", L.s[k] >= 0 ? subjectLink(L.s[k]) : ""], ["Day", L.day[k] === null ? "" : `${days(L.day[k])}${L.infusion[k] > 1 ? ` of infusion ${L.infusion[k]}` : ""}`], ["From", `${T(L.matrix[k])}, ${T(L.sorted[k])}`], ["Chemistry", T(L.chemistry[k])], ["Counted by", T(L.source[k])]];
    view.append(h("div", { class: "facts" }, facts.filter(([, v]) => v !== "" && v !== null).map(([label, v]) => h("span", {}, label + " ", h("b", {}, v)))));
    const verdict = T(L.verdict[k]);
    view.append(h("div", { class: "notice" }, judged(verdict), " ", verdict === "accepted" ? "No rule of the library is broken." : h("span", {}, [T(L.reason[k]), T(L.doubts[k])].filter(Boolean).map((w) => capital(w) + ".").join(" ")), verdict === "rejected" ? h("div", {}, "None of its shares goes into measurements.") : null));
    const n = (x, digits = 4) => num(x, digits), limit = CELLS.limits, broken = T(L.broken[k]).split(";");
    const kept = (r) => (broken.includes(r[4]) ? h("span", { class: `verdict ${verdict === "rejected" ? "fail" : "warn"}` }, r[1]) : r[1]);
    const rows = [
      ["Cells", `${n(L.cells_passed[k], 9)} of ${n(L.barcodes[k], 9)}`, limit.cells, "Barcodes of the filtered matrix that keep the limits of quality. No limit looks at the CAR.", "cells"],
      ["UMIs and genes", `${n(L.median_umis[k])} and ${n(L.median_genes[k])}`, limit.umis, "Medians of its barcodes.", "umis"],
      ["Mitochondrial", L.median_mito_percent[k] === null ? "–" : `${n(L.median_mito_percent[k], 2)} %`, "", "Median share of UMIs."],
      ["Ambient", L.ambient_percent[k] === null ? "not estimable" : `${n(L.ambient_percent[k], 2)} %`, limit.ambient, L.ambient_percent[k] === null ? "There is no raw matrix, or nothing in it to tell the share by." : `Of a cell's UMIs; ${n(L.ambient_lower[k], 2)} to ${n(L.ambient_upper[k], 2)} %, from ${n(L.empty_droplets[k], 9)} empty droplets.`, "ambient"],
      ["Doublets", L.doublet_percent[k] === null ? "–" : `${n(L.doublet_percent[k], 2)} %`, "", "Of cells of good quality; they count nowhere."],
      ["CAR in the matrix", T(L.car_features[k]) || "no feature", "", L.car_umis[k] === null ? "" : `${n(L.car_umis[k], 9)} UMIs in all barcodes, raw.`],
    ];
    view.append(h("h2", {}, "Quality"), table([{ label: "What", cell: (r) => r[0] }, { label: "Value", cls: "text cellvalue", cell: kept }, { label: "Allowed", cls: "text wide", cell: (r) => r[2] }, { label: "", cls: "wide text", cell: (r) => r[3] }], rows, { label: "Quality of the library" }));
    carSection(k, part);
    cellSection(k, part);
    chainsOf(id);
    const found = findingsOf(id);
    view.append(h("h2", {}, "Findings"));
    const serious = found.filter((r) => SEVERITY[T(Q.verdict[r])] < 2).sort((a, b) => SEVERITY[T(Q.verdict[a])] - SEVERITY[T(Q.verdict[b])]), rest = found.filter((r) => SEVERITY[T(Q.verdict[r])] >= 2);
    if (serious.length) view.append(findings(serious));
    else view.append(h("p", { class: "notice" }, rest.length ? "No check failed or warned about this library." : "No check found anything about this library."));
    if (rest.length) view.append(h("details", {}, h("summary", {}, plural(rest.length, "note")), findings(rest)));
  }

  function carSection(k, part) {
    view.append(h("h2", {}, "CAR+ T cells"));
    const evidence = { molecules: "It rests on CAR molecules told from reads.", counts: "It rests on the counts of the CAR feature: there are no reads, so that molecules in domains shared with endogenous genes may be theirs.", none: "Nothing in the library counts the CAR." }[T(L.car_evidence[k])] || "";
    const verdict = T(L.car_verdict[k]), calibrated = { flow: "the share by flow cytometry", pre_infusion: "libraries from before the infusion" };
    const by = (T(L.car_calibrated_by[k]) || "").split(";").filter(Boolean).map((w) => calibrated[w] || words(w));
    const estimated = L.car_upper[k] !== null;
    view.append(h("p", { class: "say" }, "CAR+ share of T cells: ", h("b", {}, carShare(k)), estimated ? " %. " : ". ", estimated || T(L.car_evidence[k]) === "none" ? evidence : "",
      by.length ? ` Calibrated by ${by.join(" and ")}${L.car_uncalibrated_fraction[k] === null ? "" : `; without flow ${num(L.car_uncalibrated_fraction[k])} %`}.` : ""));
    if (verdict && verdict !== "accepted") view.append(h("div", { class: "notice" }, judged(verdict), ` ${capital(T(L.car_reason[k]) || T(L.car_says[k]))}.`));
    if (!estimated && !L.car_t_cells[k]) return readsSection(k, part);
    const source = { empty_droplets: "from empty droplets", other_cells: "from cells that cannot carry the CAR", both: "from empty droplets and from cells that cannot carry the CAR", none: "believed, with a wide spread: nothing in the library tells it" }[T(L.car_ambient_source[k])] || "";
    const rows = [
      ["T cells", num(L.car_t_cells[k], 9), estimated ? `${num(L.car_positive[k], 9)} called positive, ${num(L.car_negative[k], 9)} negative, ${num(L.car_undetermined[k], 9)} undetermined.` : "No call."],
      ...(estimated ? [
        ["Any CAR UMI", L.car_naive_percent[k] === null ? "–" : `${num(L.car_naive_percent[k])} %`, "Of T cells: what a rule of more than 0 would call CAR+."],
        ["Limit of detection", L.car_lod[k] === null ? "–" : `${num(L.car_lod[k], 2)} %`, "Smallest share that would be seen."],
        ["Above ambient", `${num(L.car_above_threshold[k], 9)} T cells`, `With ${num(L.car_threshold[k])} CAR molecules or more. Ambient predicts ${num(L.car_blank_expected[k], 2)}; up to ${num(L.car_blank_limit[k])} would still be a library without CAR.`],
        ["CAR molecules", L.car_mean_molecules[k] === null ? "–" : num(L.car_mean_molecules[k]), "Mean in a CAR+ cell of median depth, by the model."],
        ["Ambient", L.car_ambient_rate[k] === null ? "–" : num(L.car_ambient_rate[k], 2), `CAR molecules that a cell of median depth catches from the suspension${L.car_ambient_lower[k] === null ? "" : ` (${num(L.car_ambient_lower[k], 2)} to ${num(L.car_ambient_upper[k], 2)})`}; ${source}.`],
      ] : []),
      ...(L.car_other_positive[k] === null ? [] : [["Cells that cannot carry it", L.car_other_cells[k] ? `${num(L.car_other_positive[k], 9)} of ${num(L.car_other_cells[k], 9)}` : "none", "Have a CAR molecule all the same: ambient RNA, doublets, or a transduced cell of another lineage."]]),
    ];
    view.append(table([{ label: "What", cell: (r) => r[0] }, { label: "Value", cls: "text cellvalue", cell: (r) => r[1] }, { label: "", cls: "wide text", cell: (r) => r[2] }], rows, { label: "CAR+ T cells" }));
    const { t, other } = part.molecules;
    const total = (list) => list.reduce((a, b) => a + b, 0);
    if (total(t) >= 10) {
      const plot = figure("CAR molecules in T cells and in other cells", 280);
      view.append(h("figure", {}, h("figcaption", {}, h("b", {}, "CAR molecules in a cell"), " Share of T cells, and of all other cells, with so many."), plot));
      const bar = (list, name, colour) => ({ type: "bar", name, x: list.map((_, j) => j), y: list.map((v) => (100 * v) / total(list)), marker: { color: colour }, hoverinfo: "text", textposition: "none", text: list.map((v, j) => `${j === 20 ? "20 or more" : j} molecules<br>${num(v, 9)} cells`) });
      const most = Math.max(t.length, other.length);
      draw(plot, [bar(t, "T cells", LINEAGE_COLOUR.t), ...(total(other) ? [bar(other, "Other cells", LINEAGE_COLOUR.monocyte)] : [])], { barmode: "group", height: 280, xaxis: axis("CAR molecules", { dtick: most > 12 ? 5 : 1 }), yaxis: axis("% of the cells", { rangemode: "tozero" }) });
    }
    readsSection(k, part);
  }
  /** What the reads say of each construct. */
  function readsSection(k, part) {
    const R = part.reads;
    const constructs = range(0, R.construct.length);
    if (!constructs.length) return;
    view.append(h("h3", {}, "Its reads"), table([
      { label: "Construct", cls: "text", cell: (r) => T(R.construct[r]), sort: (r) => T(R.construct[r]) },
      { label: "In the product", cell: (r) => (R.in_product[r] ? "yes" : R.support[r] > 0.2 ? h("span", { class: "verdict fail" }, "no, but in the reads") : "no"), sort: (r) => Number(R.in_product[r]) },
      { label: "Molecules", n: true, cell: (r) => num(R.molecules[r], 9), sort: (r) => R.molecules[r] },
      { label: "Cells", n: true, tip: "Barcodes with such a molecule", cell: (r) => num(R.cells[r], 9), sort: (r) => R.cells[r] },
      { label: "Chimeras", n: true, tip: "Molecules left out: the same one in several cells", cell: (r) => num(R.chimeric_molecules[r], 9), sort: (r) => R.chimeric_molecules[r] },
      { label: "Sense", unit: "%", n: true, tip: "Reads in the direction that the chemistry asks for", cell: (r) => (R.molecules[r] ? num(R.sense_percent[r]) : "–"), sort: (r) => R.sense_percent[r] },
      { label: "Support", unit: "%", n: true, tip: "Of the molecules that tell constructs apart, those that fit this one", cell: (r) => (R.support[r] === null ? "–" : num(100 * R.support[r])), sort: (r) => R.support[r] },
    ], constructs, { label: "Constructs in the reads" }));
    for (const r of constructs) if (R.molecules[r] > 0) coveragePlot(T(R.construct[r]), k, part);
    const V = part.variants, found = range(0, V.position.length);
    if (found.length) view.append(h("h3", {}, "Where the reads differ from the registered sequence"), table([
      { label: "Construct", cls: "text", cell: (r) => T(V.construct[r]) },
      { label: "Position", n: true, cell: (r) => num(V.position[r], 9), sort: (r) => V.position[r] },
      { label: "Registered", cls: "text", cell: (r) => h("code", {}, shorten(T(V.reference[r]) || "–", 20)) },
      { label: "Reads", cls: "text", cell: (r) => h("code", {}, shorten(T(V.observed[r]) || "–", 20)) },
      { label: "Molecules", n: true, cell: (r) => `${num(V.molecules[r], 9)} of ${num(V.depth[r], 9)}`, sort: (r) => V.molecules[r] },
      { label: "Effect", cls: "wide text", cell: (r) => T(V.effect[r]) },
    ], found, { label: "Variants", limit: 30 }));
  }
  const REGION_COLOUR = { discriminative: "#009E73", ambiguous: "#E69F00", endogenous_like: "#D55E00" };
  const REGION_TEXT = { discriminative: "tells the CAR", ambiguous: "partly shared", endogenous_like: "reads like an endogenous gene" };
  function coveragePlot(name, k, part) {
    const V = part.coverage, built = CELLS.constructs[name];
    const bins = range(0, V.start.length).filter((r) => T(V.construct[r]) === name);
    if (!bins.length || !built) return;
    const plot = figure(`Coverage of ${name}`, 330);
    view.append(h("figure", {}, h("figcaption", {}, h("b", {}, `Coverage of ${name}`), " Molecules over each position; below, what reads there can tell, and the domains."), plot));
    const middle = bins.map((r) => (V.start[r] + V.end[r]) / 2);
    const line = (y, n_, colour) => ({ type: "scatter", mode: "lines", name: n_, x: middle, y, line: { color: colour, width: 1.6, shape: "hvh" }, fill: "tozeroy", fillcolor: wash(colour, 0.2), hoverinfo: "text", text: bins.map((r, j) => `${V.start[r]} to ${V.end[r]}<br>${num(y[j])} molecules`) });
    const shapes = [], annotations = [], inside = 0.9 * (plot.clientWidth || 900);
    const G = built.regions;
    range(0, G.start.length).filter((r) => T(G.chemistry[r]) === T(L.chemistry[k])).forEach((r) => shapes.push({ type: "rect", xref: "x", yref: "y2", x0: G.start[r], x1: G.end[r], y0: 1.1, y1: 1.9, fillcolor: REGION_COLOUR[T(G.class[r])], line: { width: 0 } }));
    const N = built.domains;
    range(0, N.start.length).forEach((r, j) => {
      shapes.push({ type: "rect", xref: "x", yref: "y2", x0: N.start[r], x1: N.end[r], y0: 0.1, y1: 0.9, fillcolor: j % 2 ? "#dde2e7" : "#c3ccd5", line: { width: 0.5, color: "#8b97a3" } });
      const wide = ((N.end[r] - N.start[r]) / built.length) * inside;
      const label = words(T(N.domain[r]));
      if (wide > 6.5 * Math.min(label.length, 6)) annotations.push({ xref: "x", yref: "y2", x: (N.start[r] + N.end[r]) / 2, y: 0.5, showarrow: false, text: plain(shorten(label, Math.max(3, Math.floor(wide / 6.5)))), font: { size: 10 } });
    });
    const seen = Object.keys(REGION_COLOUR).filter((c) => G.class.some((x) => T(x) === c));
    const traces = [line(bins.map((r) => V.unique[r]), "Molecules that prove the CAR", FAMILY.expansion)];
    if (bins.some((r) => V.ambiguous[r])) traces.push(line(bins.map((r) => V.ambiguous[r]), "Ambiguous molecules", "#E69F00"));
    for (const c of seen) traces.push({ type: "bar", name: capital(REGION_TEXT[c]), x: [null], y: [null], marker: { color: REGION_COLOUR[c] }, hoverinfo: "skip" });
    draw(plot, traces, { height: 330, shapes, annotations, xaxis: axis("Position in the construct", { range: [0, built.length], anchor: "y2" }), yaxis: axis("Molecules", { domain: [0.3, 1], rangemode: "tozero" }), yaxis2: { domain: [0, 0.24], range: [0, 2], visible: false, fixedrange: true } });
  }

  function cellSection(k, part) {
    const list = part.types.map((n_, t) => [t, n_]).filter(([, n_]) => n_).sort((a, b) => b[1] - a[1]);
    view.append(h("h2", {}, "Its cells"));
    if (!list.length) { view.append(h("p", { class: "say" }, "No cell counts.")); return; }
    const total = list.reduce((a, [, n_]) => a + n_, 0);
    const height_ = 70 + 22 * list.length;
    const plot = figure("Types of cells", height_);
    view.append(h("figure", {}, h("figcaption", {}, h("b", {}, "Types"), ` ${num(total, 9)} cells that count.`), plot));
    draw(plot, [{ type: "bar", orientation: "h", y: list.map(([t]) => plain(started(CELLS.types[t]))), x: list.map(([, n_]) => (100 * n_) / total), marker: { color: list.map(([t]) => typeColour(t)) }, hoverinfo: "text", textposition: "none", text: list.map(([t, n_]) => `${plain(CELLS.types[t])}: ${num(n_, 9)} cells`), showlegend: false }], { height: height_, xaxis: axis("% of cells", { rangemode: "tozero" }), yaxis: axis("", { range: [list.length - 0.45, -0.6], ticks: "", showgrid: false }) });
    picture_(range(0, CELLS.picture ? CELLS.picture.x.length : 0).filter((i) => CELLS.picture.library[i] === k), L.s[k], true);
  }

  // ---------------------------------------------------------------- cells of the whole trial

  function cellsPage() {
    view.append(h("h1", { tabindex: "-1" }, "Cells"), h("p", { class: "lead" }, "What the CAR-T cells of all patients look like over time, and which genes differ. The shares of one patient stand on the patient's page; how good each library is, on the page of ", h("a", { href: "#/libraries" }, "libraries"), "."));
    statesOverTime();
    const tested = CELLS.contrasts.filter((c) => c.refused < 0 && c.genes), refused = CELLS.contrasts.filter((c) => !tested.includes(c));
    if (CELLS.contrasts.length) view.append(h("h2", {}, "Genes that differ"), h("p", { class: "say" }, "Counts of the cells of one patient are added up (pseudobulk), and patients are compared with themselves: patients are the replicates, never cells."));
    tested.forEach((c, k) => {
      const box = h("details", { open: k === 0 }, h("summary", {}, capital(T(c.name)), " ", h("small", {}, `${num(c.found, 9)} of ${plural(c.genes, "gene")} with q below 0.05`)));
      view.append(box);
      const fill = () => { if (box.open && box.children.length === 1) contrastSection(c, box); };
      box.addEventListener("toggle", fill);
      fill();
    });
    if (refused.length) view.append(table([
      { label: "Not compared", cls: "text", cell: (c) => capital(T(c.name)) },
      { label: "Because", cls: "wide text", cell: (c) => T(c.refused) || "no gene could be tested" },
    ], refused, { plain: true, label: "Contrasts that were refused" }));
    picture_(range(0, CELLS.picture ? CELLS.picture.x.length : 0));
  }
  /** A small figure for each state: all patients over time, the product left of day 0. */
  function statesOverTime() {
    const rows = rowsOf(null, "car_t").filter((r) => T(C.population[r]).startsWith("state_") && T(C.population[r]) !== "state_unassigned" && C.upper[r] !== null && C.s[r] >= 0);
    view.append(h("h2", {}, "States of CAR+ T cells over time"));
    if (!rows.length) { view.append(h("p", { class: "notice" }, "No sample holds enough CAR+ T cells for their states.")); return; }
    view.append(h("p", { class: "say" }, "Shares of T cells called CAR+. A point is one sample, a shape one patient; a line joins the product and the blood of a patient. An open triangle is an upper limit: none of the cells was in that state."));
    const last = rows.reduce((a, r) => Math.max(a, C.day[r]), 14), place = -last / (narrow() ? 4 : 8);
    const first = Math.min(place, ...rows.map((r) => C.day[r]));
    const x = (r) => (ofProduct(T(C.matrix[r])) ? place : C.day[r]);
    const step = [2, 5, 7, 14, 28, 60, 90, 180, 360].find((d) => last / d <= 5) || 720;
    const ticks = range(0, Math.floor(last / step) + 1).map((k) => k * step);
    const course = (r) => `${C.s[r]}|${C.infusion[r]}|${ofProduct(T(C.matrix[r])) ? "blood" : T(C.matrix[r])}`;
    const courses = unique(rows.map(course)), subjects = unique(rows.map((r) => C.s[r])).sort((a, b) => a - b);
    const shapeOf = (s) => SHAPES[subjects.indexOf(s) % SHAPES.length];
    if (subjects.length <= SHAPES.length) view.append(key(subjects.map((s) => ({ type: "scatter", mode: "markers", name: plain(D.subjects[s].id), marker: { color: SOFT, symbol: shapeOf(s) } }))));
    const grid = h("div", { class: "two" });
    view.append(grid);
    for (const name of CELLS.state_names.filter((n_) => rows.some((r) => T(C.population[r]) === `state_${n_}` && C.percent[r] > 0))) {
      const plot = figure(`Share of CAR+ T cells in the state ${words(name)}, over time`, 240);
      grid.append(h("figure", {}, h("figcaption", {}, h("b", {}, capital(CELLS.states[CELLS.state_names.indexOf(name)]))), plot));
      const mine = rows.filter((r) => T(C.population[r]) === `state_${name}`);
      const told = (r) => C.percent[r] !== null;
      const tip = (r) => `${plain(D.subjects[C.s[r]].id)}, ${plain(whenOf(r))}<br>${told(r) ? `${num(C.percent[r])} %${limits(C, r)}` : `at most ${num(C.upper[r], 2)} %`}<br>${num(C.count[r])} of ${num(C.total[r], 9)} cells`;
      // A bound is never joined, and breaks the line.
      const lines = courses.map((c) => {
        const of = mine.filter((r) => course(r) === c).sort((a, b) => x(a) - x(b));
        return { type: "scatter", mode: "lines", showlegend: false, connectgaps: false, hoverinfo: "skip", x: of.map(x), y: of.map((r) => (told(r) ? C.percent[r] : null)), line: { color: wash(STATE_COLOUR[name], 0.6), width: 1.4 } };
      });
      const traces = [...lines, { type: "scatter", mode: "markers", showlegend: false, x: mine.map(x), y: mine.map((r) => (told(r) ? C.percent[r] : C.upper[r])), customdata: mine.map((r) => C.s[r]), hoverinfo: "text", text: mine.map(tip),
        marker: { color: STATE_COLOUR[name], size: 8, symbol: mine.map((r) => (told(r) ? shapeOf(C.s[r]) : "triangle-down-open")), line: { width: mine.map((r) => (told(r) ? 0 : 1.5)), color: STATE_COLOUR[name] } } }];
      draw(plot, traces, { height: 240, xaxis: axis("Days from the infusion", { range: [first - last / 20, last * 1.05], tickmode: "array", tickvals: [place, ...ticks], ticktext: ["product", ...ticks.map(String)] }), yaxis: axis("% of CAR+ T", { rangemode: "tozero" }) }, true);
    }
  }
  function contrastSection(c, box) {
    box.append(h("p", { class: "say" }, `${plural(c.n, "patient")} with both sides; ${plural(c.genes, "gene")} tested, ${num(c.found, 9)} with q below 0.05.${c.x.length < c.genes ? ` The picture shows ${num(c.x.length, 9)} of them, the smallest p first.` : ""}`));
    const plot = figure(`Genes of ${T(c.name)}`, 360);
    box.append(h("figure", {}, plot));
    const most = c.y.reduce((a, b) => Math.max(a, b), 1);
    const hit = (j) => c.q[j] !== null && c.q[j] < 0.05;
    const set = (keep, name, colour) => { const at = range(0, c.x.length).filter(keep); return { type: "scatter", mode: "markers", name, x: at.map((j) => c.x[j]), y: at.map((j) => c.y[j]), marker: { color: colour, size: 5, opacity: 0.7, symbol: "circle" }, hoverinfo: "text", text: at.map((j) => plain(T(c.symbol[j]))) }; };
    const named = range(0, c.x.length).filter(hit).sort((a, b) => c.y[b] - c.y[a]).slice(0, narrow() ? 5 : 12);
    draw(plot, [set((j) => !hit(j), "q of 0.05 or more", "#9aa5b1"), set(hit, "q below 0.05", "#D55E00")], { height: 360, xaxis: axis("log₂ fold change"), yaxis: axis("−log₁₀ p", { range: [-0.04 * most, 1.1 * most] }), annotations: named.map((j) => ({ x: c.x[j], y: c.y[j], text: plain(T(c.symbol[j])), showarrow: false, yshift: 9, font: { size: 10.5, color: INK } })) });
    const G = c.top;
    box.append(table([
      { label: "Gene", cls: "text", cell: (r) => T(G.symbol[r]) || T(G.gene[r]), sort: (r) => T(G.symbol[r]) },
      { label: "log₂ fold change", n: true, cell: (r) => num(G.log2_fold_change[r]), sort: (r) => G.log2_fold_change[r] },
      { label: "SE", n: true, cell: (r) => num(G.se[r], 2), sort: (r) => G.se[r] },
      { label: "p", n: true, cell: (r) => num(G.p[r], 2), sort: (r) => G.p[r] },
      { label: "q", n: true, cell: (r) => num(G.q[r], 2), sort: (r) => G.q[r] },
      { label: "Mean", n: true, cell: (r) => num(G.mean[r]), sort: (r) => G.mean[r] },
    ], range(0, G.gene.length), { tight: true, label: `Genes of ${T(c.name)}`, limit: 10 }));
  }
