  // ---------------------------------------------------------------- clones

  const CLONES = D.clones;
  const AT = CLONES ? CLONES.samples : null;
  const CLONE_COLOUR = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#332288", "#882255", "#117a8b", "#8a8a00", "#AA4499", "#7A5200"];
  // Clones after the twelfth begin the colours anew, paler.
  const cloneColour = (j) => (j < CLONE_COLOUR.length ? CLONE_COLOUR[j] : blend(CLONE_COLOUR[j % CLONE_COLOUR.length], 0.45));
  const blend = (colour, part) => `#${[1, 3, 5].map((k) => Math.round(parseInt(colour.slice(k, k + 2), 16) * (1 - part) + 255 * part).toString(16).padStart(2, "0")).join("")}`;
  const REST = "#e3e7eb";
  const SIZE_COLOUR = ["#dde2e7", "#a6cbe3", "#56B4E9", "#0072B2", "#003f6b", "#001d33"];
  const ofSubject = (columns, s, more = () => true) => (columns[Object.keys(columns)[0]] || []).map((_, r) => r).filter((r) => columns.s[r] === s && more(r));
  const levelWords = () => `${num(100 * CLONES.confidence)} %`;
  const isProduct = (k) => Boolean(AT.product[k]);
  const sampleOf = (k) => (k < 0 ? "a sample without a place in time" : when(T(AT.matrix[k]), AT.day[k], AT.infusion[k], ""));
  const sampleAt = (k) => started(sampleOf(k));
  /** A sample below an axis: two short lines. */
  const sampleTick = (k) => plain(isProduct(k) ? `product${AT.infusion[k] > 1 ? ` ${AT.infusion[k]}` : ""}` : `day ${days(AT.day[k])}${AT.infusion[k] > 1 ? ` (${AT.infusion[k]})` : ""}`) + (isProduct(k) || T(AT.matrix[k]) === "blood" ? "" : `<br>${plain(T(AT.matrix[k]))}`);
  const cellsIn = (cells, total) => `${num(cells, 9)} of ${num(total, 9)} cells`;
  const statesOf = (text) => text.split(";").filter(Boolean).map((part) => part.split(":")).map(([name, n]) => `${words(name)} ${n}`).join(", ");
  const untold = (why) => explain(h("span", { class: "ne" }, "not estimable"), capital(why || "no reason given"));
  const cdr3Of = (n) => T(CLONES.named.cdr3_aa[n]);
  const patch = (colour) => h("span", { class: "patch", style: `background:${colour}` });
  const columnsBelow = (ticks, plot) => axis("", { tickmode: "array", tickvals: ticks.map((_, j) => j), ticktext: ticks, range: [-0.55, ticks.length - 0.45], showgrid: false, ticks: "", tickangle: crowded(ticks, plot) ? -60 : 0 });
  const crowded = (ticks, plot) => (plot.clientWidth || 900) / ticks.length < 92;

  /** Shares of named clones, or sites, by sample: bars, joined where neighbours both have one; a sample without shares stays empty.
   * lanes: {tick, why}; series: {name, colour, share[], text[]}; rest: {name, share[], text[]} */
  function streams(into, title, note, lanes, series, rest, unit) {
    const sums = lanes.map((_, j) => series.reduce((a, x) => a + (x.share[j] || 0), 0));
    const most = Math.max(...sums, 0), close = most > 0 && most < 60;
    const size = narrow() ? 360 : 420;
    const plot = figure(`${title}: a column for each sample. The numbers are in the table below.`, size);
    const controls = h("div", { class: "controls" });
    into.append(h("figure", { class: "spaced" }, h("figcaption", {}, h("b", {}, title), ` ${note}`), controls, plot));
    const wide = 0.21, shapes = [];
    const foot = lanes.map(() => 0);
    for (const x of series) {
      const top = lanes.map((_, j) => foot[j] + (x.share[j] || 0));
      for (const j of range(0, lanes.length - 1)) {
        if (!(x.share[j] > 0 && x.share[j + 1] > 0)) continue;
        const [a, b, m] = [j + wide, j + 1 - wide, j + 0.5];
        shapes.push({ type: "path", layer: "below", line: { width: 0 }, fillcolor: wash(x.colour, 0.32),
          path: `M ${a},${foot[j]} C ${m},${foot[j]} ${m},${foot[j + 1]} ${b},${foot[j + 1]} L ${b},${top[j + 1]} C ${m},${top[j + 1]} ${m},${top[j]} ${a},${top[j]} Z` });
      }
      top.forEach((y, j) => { foot[j] = y; });
    }
    const bar = (x, more) => {
      const at = range(0, lanes.length).filter((j) => x.share[j] > 0);
      return { type: "bar", name: plain(x.name), width: 2 * wide, x: at, y: at.map((j) => x.share[j]), hoverinfo: "text", hovertext: at.map((j) => x.text[j]), textposition: "none", ...more };
    };
    const edge = { color: "#fff", width: 0.6 };
    const traces = [...series.map((x) => bar(x, { marker: { color: x.colour, line: edge } })), bar(rest, { marker: { color: REST, line: edge } })].filter((t) => t.x.length);
    const ends = close ? most * 1.15 : 100.5;
    const empty = lanes.map((lane, j) => (lane.why ? { x: j, y: 0, yanchor: "bottom", yshift: 6, showarrow: false, textangle: -90, text: "no shares", font: { size: 11, color: SOFT } } : null)).filter(Boolean);
    draw(plot, traces, { barmode: "stack", height: size, shapes, annotations: empty, bargap: 0, xaxis: columnsBelow(lanes.map((lane) => lane.tick), plot), yaxis: axis(unit, { range: [0, ends] }) });
    if (close) controls.append(segments("Height of the figure", [["near", "The named ones"], ["all", "All, to 100 %"]], "near", (v) => Plotly.relayout(plot, { "yaxis.range": [0, v === "near" ? ends : 100.5] })));
    else controls.remove();
    return plot;
  }
  /** Points with their intervals, a column for each sample. */
  function pointsBySample(into, title, note, ks, traces, yTitle, size = 250, why = []) {
    const plot = figure(`${title}, by sample`, size);
    into.append(h("figure", {}, h("figcaption", {}, h("b", {}, title), note ? ` ${note}` : ""), plot));
    const empty = why.map((text, j) => (text ? { x: j, y: 0, yref: "paper", yanchor: "bottom", yshift: 6, showarrow: false, textangle: -90, text, font: { size: 10.5, color: SOFT } } : null)).filter(Boolean);
    const ticks = ks.map(sampleTick);
    draw(plot, traces.filter((t) => t.x.length), { height: size + (crowded(ticks, plot) ? 50 : 0), annotations: empty, xaxis: columnsBelow(ticks, plot), yaxis: axis(yTitle, { rangemode: "tozero" }) });
  }
  const withLimits = (t, rows, value = "value") => ({ type: "data", symmetric: false, array: rows.map((r) => (t.upper[r] === null ? 0 : t.upper[r] - t[value][r])), arrayminus: rows.map((r) => (t.lower[r] === null ? 0 : t[value][r] - t.lower[r])), thickness: 1.6, width: 4 });

  /** Clones of one patient: tracking, changes, sizes, persistence, diversity, overlap; then B cells and sites. */
  function clonesOf(s) {
    if (!CLONES) return;
    const totals = ofSubject(CLONES.totals, s), back = ofSubject(CLONES.b_return, s), sites = ofSubject(CLONES.site_totals, s), alarms = ofSubject(CLONES.alarms, s);
    if (!totals.length && !back.length && !sites.length && !alarms.length) return;
    view.append(h("h2", {}, "Clones"));
    if (totals.length) {
      const pops = range(0, CLONES.populations.length).filter((p) => totals.some((r) => CLONES.totals.pop[r] === p));
      view.append(h("p", { class: "say" }, "Cells with the same receptor are one clone. Columns are samples in the order of time, the product first; the distance between them means nothing."));
      const box = h("div", {});
      if (pops.length > 1) view.append(h("div", { class: "controls" }, segments("Whose clones", pops.map((p) => [p, CLONES.populations[p]]), pops[0], (p) => { renew(box); population_(box, s, p); })));
      view.append(box);
      population_(box, s, pops[0]);
    }
    if (back.length) bCellsBack(s, back);
    if (sites.length || alarms.length) sitesOf(s, sites, alarms);
  }
  function population_(box, s, p) {
    const U = CLONES.totals, N = CLONES.named, V = CLONES.seen;
    const lanes = ofSubject(U, s, (r) => U.pop[r] === p).sort((a, b) => U.k[a] - U.k[b]).map((r) => ({ r, k: U.k[r], tick: sampleTick(U.k[r]), why: T(U.verdict[r]) === "rejected" ? T(U.reason[r]) || "no reason given" : "" }));
    const place = new Map(lanes.map((lane, j) => [lane.k, j]));
    const clones = ofSubject(N, s, (n) => N.pop[n] === p);
    const rowsOfClone = new Map(clones.map((n) => [n, []]));
    ofSubject(V, s, (r) => rowsOfClone.has(V.n[r])).sort((a, b) => V.k[a] - V.k[b]).forEach((r) => rowsOfClone.get(V.n[r]).push(r));
    const whose = CLONES.populations[p];
    const total = (k) => (place.has(k) ? U.cells[lanes[place.get(k)].r] : null);
    const track = h("div", {});
    const fill = (way) => {
      renew(track);
      const tracked = clones.filter((n) => N[way][n]);
      const colourOf = new Map(tracked.map((n, j) => [n, cloneColour(j)]));
      const series = tracked.map((n) => {
        const x = { name: `${T(N.clonotype[n])}${cdr3Of(n) ? ` ${cdr3Of(n)}` : ""}`, colour: colourOf.get(n), share: lanes.map(() => null), text: lanes.map(() => "") };
        for (const r of rowsOfClone.get(n)) {
          const j = place.get(V.k[r]);
          if (j === undefined || V.percent[r] === null || lanes[j].why) continue;
          x.share[j] = V.percent[r];
          x.text[j] = [plain(T(N.clonotype[n])), plain(cdr3Of(n)), plain(sampleAt(V.k[r])), `${num(V.percent[r])} %${limits(V, r)}, ${cellsIn(V.cells[r], total(V.k[r]))}`, plain(statesOf(T(V.states[r])))].filter(Boolean).join("<br>");
        }
        return x;
      });
      const rest = { name: "All other clones", share: lanes.map((lane, j) => (lane.why ? null : Math.max(0, 100 - series.reduce((a, x) => a + (x.share[j] || 0), 0)))), text: [] };
      rest.text = lanes.map((lane, j) => (lane.why ? "" : `All other clones<br>${plain(sampleAt(lane.k))}<br>${num(rest.share[j])} % of ${num(U.cells[lane.r], 9)} cells, ${plural(U.clones[lane.r], "clone")} in all`));
      const note = way === "shown" ? `The ${plural(tracked.length, "clone")} with the surest large share in any sample.` : `The ${plural(tracked.length, "clone")} of the product with the surest large share in a later sample.`;
      if (lanes.some((lane) => !lane.why)) streams(track, way === "shown" ? `The largest clones of ${whose}` : `Clones of the product in ${whose}`, `${note} A band joins two samples where both have the clone.`, lanes, series, rest, `% of ${whose} with a clone`);
      lanes.filter((lane) => lane.why).forEach((lane) => track.append(h("p", { class: "say" }, `${sampleAt(lane.k)}: no shares, ${lane.why}.`)));
      namedTable(track, s, p, [...tracked, ...clones.filter((n) => !N[way][n])], rowsOfClone, lanes, colourOf);
    };
    if (clones.some((n) => N.traced[n])) box.append(h("div", { class: "controls" }, segments("Which clones", [["shown", "The largest in any sample"], ["traced", "Of the product, found later"]], "shown", fill)));
    box.append(track);
    fill("shown");
    testsOf(box, s, p, clones);
    sizesOf(box, lanes, whose);
    persistenceOf(box, s, p);
    diversityOf(box, s, "clonotype", CLONES.population_names[p], lanes.map((lane) => lane.k));
    overlapOf(box, s, "clonotype", CLONES.population_names[p], lanes.map((lane) => lane.k));
    const judgedLane = (r) => [judged(T(U.verdict[r])), T(U.reason[r]) ? h("div", { class: "say" }, capital(T(U.reason[r]))) : null].filter(Boolean);
    box.append(h("details", {}, h("summary", {}, "How much was seen ", h("small", {}, plural(lanes.length, "sample"))), table([
      { label: "Sample", cls: "text name", cell: (lane) => sampleAt(lane.k) },
      { label: "Visit", cell: (lane) => T(U.visit[lane.r]) },
      { label: "Libraries", cls: "text", cell: (lane) => T(U.libraries[lane.r]).split(";").flatMap((id, j) => [j ? ", " : "", libraryLink(id)]) },
      { label: "Cells", n: true, tip: `${whose} with a clone`, cell: (lane) => num(U.cells[lane.r], 9) },
      { label: "Clones", n: true, cell: (lane) => num(U.clones[lane.r], 9) },
      { label: "Expanded", n: true, tip: `Clones of ${CLONES.expanded_cells} cells or more in the sample`, cell: (lane) => num(U.expanded[lane.r], 9) },
      { label: "LOD", unit: "%", n: true, tip: "Share of a clone that would be seen with 95 % probability", cell: (lane) => num(U.lod[lane.r], 2) },
      { label: "Verdict", cls: "wide text", cell: (lane) => judgedLane(lane.r) },
    ], lanes, { plain: true, tight: true, label: "Samples with clones" })));
  }

  /** Share of a clone in one sample: a number, a bound where it was not seen, or why there is none. */
  function cloneShare(rows, lane) {
    const U = CLONES.totals, V = CLONES.seen;
    if (lane.why) return untold(lane.why);
    const r = rows.find((x) => V.k[x] === lane.k);
    if (r !== undefined) return explain(h("span", {}, `${num(V.percent[r])}${limits(V, r)}`), cellsIn(V.cells[r], U.cells[lane.r]));
    return explain(h("span", { class: "bound" }, U.lod[lane.r] === null ? "not seen" : `< ${num(U.lod[lane.r], 2)}`), `Not seen in ${num(U.cells[lane.r], 9)} cells${U.lod[lane.r] === null ? "" : "; such a share would be seen with 95 % probability"}`);
  }
  function namedTable(box, s, p, clones, rowsOfClone, lanes, colourOf) {
    const N = CLONES.named, V = CLONES.seen, X = CLONES.changes;
    const products = lanes.filter((lane) => isProduct(lane.k));
    const largest = (n) => topRow(rowsOfClone.get(n).filter((r) => V.percent[r] !== null), (r) => V.percent[r]);
    const inProduct = (n) => rowsOfClone.get(n).find((r) => isProduct(V.k[r]));
    const last = (n) => rowsOfClone.get(n).at(-1);
    const tests = new Map(clones.map((n) => [n, []]));
    ofSubject(X, s, (r) => tests.has(X.n[r]) && T(X.change[r]) !== "unchanged").forEach((r) => tests.get(X.n[r]).push(r));
    const surest = (n) => topRow(tests.get(n), (r) => -X.q[r]);
    const change = (n) => {
      const r = surest(n);
      if (r === undefined) return h("span", { class: "nothing" }, "none proven");
      return explain(h("span", { class: `change ${T(X.change[r])}` }, CLONES.change_words[T(X.change[r])]), `${sampleAt(X.a[r])}: ${cellsIn(X.from_cells[r], X.from_total[r])}. ${sampleAt(X.b[r])}: ${cellsIn(X.to_cells[r], X.to_total[r])}.${X.odds_ratio[r] === null ? "" : ` Odds ratio ${num(X.odds_ratio[r])}.`}`);
    };
    const pair = (r) => [h("div", { class: "say line" }, `q ${num(X.q[r], 2)}`), h("div", { class: "say" }, `${sampleOf(X.a[r])} to ${sampleOf(X.b[r])}`)];
    // A clone of old memory cells is no offspring of the product, however it stands beside it.
    const before = (n) => topRow(rowsOfClone.get(n).filter((r) => AT.day[V.k[r]] < 0 && V.percent[r] !== null), (r) => V.percent[r]);
    const known = (n) => (before(n) === undefined || !isProduct(X.a[surest(n)]) ? null : h("div", { class: "say" }, `${num(V.percent[before(n)], 2)} % before the infusion`));
    box.append(table([
      { label: "Clone", cls: "text", cell: (n) => h("span", { class: "whole" }, colourOf.has(n) ? patch(colourOf.get(n)) : null, T(N.clonotype[n])), sort: (n) => T(N.clonotype[n]) },
      { label: "Genes", cls: "text", cell: (n) => { const genes = [T(N.v_gene[n]), T(N.j_gene[n])].filter(Boolean); return genes.length ? genes.map((g) => h("div", { class: "whole" }, g)) : "–"; }, sort: (n) => T(N.v_gene[n]) },
      { label: "CDR3", unit: CLONES.population_names[p] === "b_cells" ? "heavy; light" : "beta; alpha", cls: "text", cell: (n) => [h("code", { class: "whole" }, shorten(cdr3Of(n) || "–", 32)), T(N.alpha_cdr3_aa[n]) ? h("div", { class: "say" }, h("code", { class: "whole" }, shorten(T(N.alpha_cdr3_aa[n]), 32))) : null].filter(Boolean), sort: cdr3Of },
      ...(products.length ? [{ label: "In the product", unit: "%", n: true, tip: `With its ${levelWords()} interval; a bound where it was not seen`, cell: (n) => products.flatMap((lane, j) => [j ? h("br", {}) : null, cloneShare(rowsOfClone.get(n), lane)]), sort: (n) => { const r = inProduct(n); return r === undefined ? 0 : V.percent[r]; } }] : []),
      { label: "Largest share", unit: "%", n: true, cell: (n) => { const r = largest(n); return r === undefined ? "–" : [`${num(V.percent[r])}${limits(V, r)}`, h("div", { class: "say" }, sampleAt(V.k[r]))]; }, sort: (n) => { const r = largest(n); return r === undefined ? null : V.percent[r]; } },
      { label: "Last seen", cls: "text panel", cell: (n) => (last(n) === undefined ? "–" : sampleAt(V.k[last(n)])), sort: (n) => (last(n) === undefined ? null : V.k[last(n)]) },
      ...(clones.some((n) => N.car_positive[n] !== null) ? [{ label: "CAR+", n: true, tip: "Cells of the clone called CAR+, of those called CAR+ or CAR-, in all samples", cell: (n) => (N.car_positive[n] === null ? explain(h("span", { class: "ne" }, "not known"), "None of its cells has a CAR call") : `${num(N.car_positive[n], 9)} of ${num(N.car_positive[n] + (N.car_negative[n] || 0), 9)}`), sort: (n) => N.car_positive[n] }] : []),
      { label: "Change", cls: "text name", tip: `The surest of its changes between two samples: Fisher's exact test, q by Benjamini and Hochberg below ${num(CLONES.fdr)}`, cell: (n) => (surest(n) === undefined ? change(n) : [change(n), ...pair(surest(n)), known(n)].filter(Boolean)), sort: (n) => (surest(n) === undefined ? null : X.q[surest(n)]) },
    ], clones, { tight: true, label: "Named clones", limit: CLONES.shown }));
  }
  /** How many clones each pair of samples tells of, and the tests of the named ones. */
  function testsOf(box, s, p, clones) {
    const W = CLONES.pairs, X = CLONES.changes, N = CLONES.named;
    const pairs = ofSubject(W, s, (r) => W.pop[r] === p);
    if (!pairs.length) return;
    const two = (t, r) => [h("span", {}, sampleAt(t.a[r])), h("div", { class: "say" }, `to ${sampleOf(t.b[r])}`)];
    const chosen = new Set(clones), tests = ofSubject(X, s, (r) => chosen.has(X.n[r])).sort((a, b) => X.q[a] - X.q[b]);
    box.append(h("details", {}, h("summary", {}, "Clones that grew or shrank ", h("small", {}, plural(pairs.length, "pair of samples", "pairs of samples"))),
      table([
        { label: "Samples", cls: "text name", cell: (r) => two(W, r), sort: (r) => W.b[r] },
        { label: "Tested", n: true, cell: (r) => num(W.tested[r], 9), sort: (r) => W.tested[r] },
        { label: "Expanded", n: true, cell: (r) => num(W.expanded[r], 9), sort: (r) => W.expanded[r] },
        { label: "Contracted", n: true, cell: (r) => num(W.contracted[r], 9), sort: (r) => W.contracted[r] },
      ], pairs, { plain: true, tight: true, label: "Pairs of samples" }),
      table([
        { label: "Clone", cls: "text line", cell: (r) => T(N.clonotype[X.n[r]]), sort: (r) => T(N.clonotype[X.n[r]]) },
        { label: "Samples", cls: "text name", cell: (r) => two(X, r), sort: (r) => X.b[r] },
        { label: "Before", n: true, cell: (r) => cellsIn(X.from_cells[r], X.from_total[r]), sort: (r) => X.from_cells[r] },
        { label: "After", n: true, cell: (r) => cellsIn(X.to_cells[r], X.to_total[r]), sort: (r) => X.to_cells[r] },
        { label: "Odds ratio", n: true, cell: (r) => num(X.odds_ratio[r]), sort: (r) => X.odds_ratio[r] },
        { label: "p", n: true, cell: (r) => num(X.p[r], 2), sort: (r) => X.p[r] },
        { label: "q", n: true, cell: (r) => num(X.q[r], 2), sort: (r) => X.q[r] },
        { label: "Change", cell: (r) => CLONES.change_words[T(X.change[r])], sort: (r) => T(X.change[r]) },
      ], tests, { tight: true, label: "Tests of the named clones", limit: 20 })));
  }
  const sizeName = (name) => (name === "1" ? "1 cell" : `${name.replace("-", " to ").replace("+", " or more")} cells`);
  /** Shares of the cells in clones by size. */
  function sizesOf(box, lanes, whose) {
    const U = CLONES.totals, names = CLONES.bin_names;
    const known = lanes.filter((lane) => U.bins[lane.r].some((x) => x !== null));
    if (!known.length) return;
    const size = 74 + 30 * lanes.length;
    const plot = figure(`${whose} in clones by size: a bar for each sample`, size);
    box.append(h("figure", { class: "spaced" }, h("figcaption", {}, h("b", {}, "Clonality"), ` ${whose} in small and in large clones. A sample of more cells finds larger clones.`), plot));
    draw(plot, names.map((name, b) => {
      const at = range(0, lanes.length).filter((j) => U.bins[lanes[j].r][b] > 0);
      const x = at.map((j) => U.bins[lanes[j].r][b]);
      return { type: "bar", orientation: "h", name: sizeName(name), width: 0.74, marker: { color: SIZE_COLOUR[b % SIZE_COLOUR.length], line: { color: "#fff", width: 0.7 } }, y: at, x, hoverinfo: "text", textposition: "none", hovertext: at.map((j, i) => `Clones of ${sizeName(name)}: ${num(x[i])} %<br>${plain(sampleAt(lanes[j].k))}, ${num(U.cells[lanes[j].r], 9)} cells`) };
    }).filter((t) => t.x.length), { barmode: "stack", height: size, xaxis: axis("% of the cells", { range: [0, 100.5] }), yaxis: lanes_(lanes), annotations: inLanes(lanes.map((lane) => (known.includes(lane) ? "" : lane.why || "no shares"))) });
  }
  const lanes_ = (listed) => lanes(listed.map((lane) => sampleAt(lane.k)));

  /** Clones of the product in later samples. */
  function persistenceOf(box, s, p) {
    const Y = CLONES.persistence;
    const all = ofSubject(Y, s, (r) => Y.pop[r] === p).sort((a, b) => Y.k[a] - Y.k[b]);
    for (const product of unique(all.map((r) => Y.product[r]))) {
      const rows = all.filter((r) => Y.product[r] === product), first = rows[0];
      box.append(h("h3", {}, unique(all.map((r) => Y.product[r])).length > 1 ? `Clones of the product of infusion ${AT.infusion[product]}` : "Clones of the product"),
        h("p", { class: "say" }, `${plural(Y.product_clones[first], "clone")} were seen in the product. A shallow sample finds few of them whatever happened: the open mark is how many it would have found, had every clone kept its share.`));
      const grid = h("div", { class: "two" }), ks = rows.map((r) => Y.k[r]), at = (list) => list.map((r) => ks.indexOf(Y.k[r]));
      box.append(grid);
      const tip = (r) => `${plain(sampleAt(Y.k[r]))}<br>${num(Y.found[r], 9)} of ${plural(Y.product_clones[r], "clone")} found${Y.expected_if_unchanged[r] === null ? "" : `<br>${num(Y.expected_if_unchanged[r])} expected, had nothing changed`}`;
      const told = rows.filter((r) => Y.percent[r] !== null), known = told.filter((r) => Y.expected_if_unchanged[r] !== null);
      pointsBySample(grid, "Clones found again", "", ks, [
        { type: "bar", name: "Found", x: at(told).map((x) => x - 0.14), y: told.map((r) => Y.found[r]), width: 0.36, marker: { color: FAMILY.repertoire }, hoverinfo: "text", text: told.map((r) => num(Y.found[r], 9)), textposition: "outside", textfont: { size: 11 }, cliponaxis: false, hovertext: told.map(tip) },
        { type: "scatter", mode: "markers", name: "Expected, had nothing changed", x: at(known).map((x) => x + 0.22), y: known.map((r) => Y.expected_if_unchanged[r]), marker: { symbol: "diamond-open", size: 10, color: INK, line: { width: 1.6, color: INK } }, hoverinfo: "text", text: known.map(tip) },
      ], "Clones", 250, rows.map((r) => (Y.percent[r] === null ? "not told" : "")));
      pointsBySample(grid, "Cells in clones of the product", `With ${levelWords()} intervals.`, ks, [
        { type: "scatter", mode: "markers", name: "Share of the cells", x: at(told), y: told.map((r) => Y.percent[r]), error_y: { ...withLimits(Y, told, "percent"), color: FAMILY.repertoire }, marker: { symbol: "circle", size: 9, color: FAMILY.repertoire }, hoverinfo: "text", text: told.map((r) => `${plain(sampleAt(Y.k[r]))}<br>${num(Y.percent[r])} %${limits(Y, r)}<br>${cellsIn(Y.cells[r], Y.total[r])}`) },
      ], "%", 250, rows.map((r) => (Y.percent[r] === null ? "no share" : "")));
      box.append(h("details", {}, h("summary", {}, "Persistence in numbers ", h("small", {}, plural(rows.length, "sample"))), table([
        { label: "Sample", cls: "text name", cell: (r) => sampleAt(Y.k[r]) },
        { label: "Landmark", cell: (r) => T(Y.landmark[r]) },
        { label: "Found", n: true, cell: (r) => `${num(Y.found[r], 9)} of ${num(Y.product_clones[r], 9)}` },
        { label: "Expected", n: true, tip: "Had every clone kept its share: the depth of the sample alone", cell: (r) => num(Y.expected_if_unchanged[r]) },
        { label: "Cells", n: true, cell: (r) => `${num(Y.cells[r], 9)} of ${num(Y.total[r], 9)}` },
        { label: "Share", unit: "%", n: true, cell: (r) => (Y.percent[r] === null ? untold(T(Y.reason[r])) : `${num(Y.percent[r])}${limits(Y, r)}`) },
      ], rows, { plain: true, tight: true, label: "Persistence of the product's clones" })));
    }
  }

  const HILL = ["hill_0", "hill_1", "hill_2"];
  /** Hill numbers at equal depth as small figures; every index in a table. */
  function diversityOf(box, s, unit, population, ks) {
    const I = CLONES.diversity, told = CLONES.indices[unit];
    const rows = ofSubject(I, s, (r) => T(I.unit[r]) === unit && T(I.population[r]) === population).sort((a, b) => I.index[a] - I.index[b] || I.rarefied[a] - I.rarefied[b] || I.k[a] - I.k[b]);
    if (!rows.length) return;
    const hill = rows.filter((r) => I.rarefied[r] && HILL.includes(CLONES.index_names[I.index[r]]));
    const shown = hill.filter((r) => I.value[r] !== null), depth = shown.length ? unique(shown.map((r) => I.depth[r])) : [];
    box.append(h("h3", {}, "Diversity"));
    box.append(h("p", { class: "say" }, !hill.length ? "No index at equal depth was computed: of unequal depth indices do not compare." : shown.length ? `At equal depth: ${depth.map((d) => num(d, 9)).join(" or ")} cells of each sample; bars are ${levelWords()} bootstrap intervals. Samples of fewer than ${CLONES.min_cells} cells are left out.` : capital(`${T(I.reason[hill[0]]) || "no index at equal depth can be told"}.`)));
    if (shown.length) {
      const grid = h("div", { class: "three" });
      box.append(grid);
      for (const name of HILL) {
        const j = CLONES.index_names.indexOf(name), all = hill.filter((r) => I.index[r] === j), mine = all.filter((r) => I.value[r] !== null);
        if (!mine.length) continue;
        const lost = ks.map((k) => (all.some((r) => I.k[r] === k && I.value[r] === null) ? "no value" : ""));
        pointsBySample(grid, told[j][0], CLONES.captions[unit][name], ks, [{ type: "scatter", mode: "markers", name: "", showlegend: false, x: mine.map((r) => ks.indexOf(I.k[r])), y: mine.map((r) => I.value[r]), error_y: { ...withLimits(I, mine), color: FAMILY.repertoire }, marker: { symbol: "circle", size: 9, color: FAMILY.repertoire }, hoverinfo: "text", text: mine.map((r) => `${plain(sampleAt(I.k[r]))}<br>${num(I.value[r])}${limits(I, r)} ${told[j][1]}<br>at ${num(I.depth[r], 9)} cells`) }], capital(told[j][1]), 220, lost);
      }
    }
    box.append(h("details", {}, h("summary", {}, "All indices in numbers ", h("small", {}, plural(rows.length, "value"))), table([
      { label: "Sample", cls: "text name", cell: (r) => sampleAt(I.k[r]), sort: (r) => I.k[r] },
      { label: "Value", n: true, cell: (r) => (I.value[r] === null ? untold(T(I.reason[r])) : `${num(I.value[r])}${limits(I, r)}`), sort: (r) => I.value[r] },
      { label: "Cells", n: true, cell: (r) => num(I.depth[r], 9), sort: (r) => I.depth[r] },
      { label: "Equal depth", cell: (r) => (I.rarefied[r] ? "yes" : "no"), sort: (r) => I.rarefied[r] },
    ], rows, { plain: true, tight: true, group: (r) => { const [name, unit_, note] = told[I.index[r]]; return `${name}${unit_ ? ` (${unit_})` : ""}. ${note}`; }, label: "Indices of diversity", limit: 60 })));
  }

  /** Morisita-Horn of each two samples as a square of numbers. */
  function overlapOf(box, s, unit, population, ks) {
    const O = CLONES.overlap;
    const rows = ofSubject(O, s, (r) => T(O.unit[r]) === unit && T(O.population_a[r]) === population && T(O.population_b[r]) === population);
    const listed = ks.filter((k) => rows.some((r) => O.a[r] === k || O.b[r] === k));
    const things = unit === "site" ? "sites" : "clones";
    if (listed.length > 1) {
      const at = (a, b) => rows.find((r) => (O.a[r] === a && O.b[r] === b) || (O.a[r] === b && O.b[r] === a));
      const cell = (a, b) => {
        if (a === b) return h("td", { class: "same" }, "");
        const r = at(a, b);
        if (r === undefined) return h("td", {}, "–");
        const [x, y] = O.a[r] === a ? [O.clones_a[r], O.clones_b[r]] : [O.clones_b[r], O.clones_a[r]];
        const say = `${sampleAt(a)} and ${sampleAt(b)}: ${num(O.shared[r], 9)} ${things} in both, of ${num(x, 9)} and ${num(y, 9)}.${O.jaccard[r] === null ? "" : ` Jaccard ${num(O.jaccard[r], 2)}.`}`;
        const v = O.morisita_horn[r];
        if (v === null) return h("td", {}, explain(h("span", { class: "ne" }, "n.e."), `Not estimable: ${T(O.reason[r]) || "no reason given"}. ${say}`));
        return h("td", { style: `background:${wash(FAMILY.repertoire, 0.08 + 0.72 * v)};color:${v > 0.62 ? "#fff" : INK}` }, explain(h("span", {}, num(v, 2)), say), h("small", {}, `${num(O.shared[r], 9)} in both`));
      };
      const name = (k) => [isProduct(k) ? "Product" : `Day ${days(AT.day[k])}`, isProduct(k) || T(AT.matrix[k]) === "blood" ? null : h("small", {}, T(AT.matrix[k]))].filter(Boolean);
      box.append(h("h3", {}, "Overlap of samples"), h("p", { class: "say" }, `Morisita-Horn overlap, 0 (nothing in common) to 1 (the same ${things} with the same shares), and how many ${things} both have.`),
        h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Overlap of ${things}` }, h("table", { class: "overlap" }, h("thead", {}, h("tr", {}, h("td", {}), listed.map((k) => h("th", { scope: "col" }, name(k))))),
          h("tbody", {}, listed.map((a) => h("tr", {}, h("th", { scope: "row" }, name(a)), listed.map((b) => cell(a, b))))))));
    }
    const across = ofSubject(O, s, (r) => T(O.unit[r]) === unit && T(O.population_a[r]) !== T(O.population_b[r]) && [T(O.population_a[r]), T(O.population_b[r])].includes(population));
    if (across.length) box.append(h("details", {}, h("summary", {}, unit === "site" ? "Shared with other cells " : "Shared with other populations ", h("small", {}, plural(across.length, "pair"))), table([
      { label: "First", cls: "text name", cell: (r) => `${populationLabel(T(O.population_a[r]))}, ${sampleAt(O.a[r])}`, sort: (r) => O.a[r] },
      { label: "Second", cls: "text name", cell: (r) => `${populationLabel(T(O.population_b[r]))}, ${sampleAt(O.b[r])}`, sort: (r) => O.b[r] },
      { label: "In both", n: true, cell: (r) => `${num(O.shared[r], 9)} of ${num(O.clones_a[r], 9)} and ${num(O.clones_b[r], 9)}`, sort: (r) => O.shared[r] },
      { label: "Morisita-Horn", n: true, cell: (r) => (O.morisita_horn[r] === null ? untold(T(O.reason[r])) : num(O.morisita_horn[r], 2)), sort: (r) => O.morisita_horn[r] },
      { label: "Jaccard", n: true, cell: (r) => num(O.jaccard[r], 2), sort: (r) => O.jaccard[r] },
    ], across, { plain: true, tight: true, label: `${capital(things)} in common` })));
  }
  const populationLabel = (name) => (CLONES.population_names.includes(name) ? CLONES.populations[CLONES.population_names.indexOf(name)] : name);

  const ISOTYPE_COLOUR = { ighm: "#0072B2", ighd: "#56B4E9", ighg: "#D55E00", igha: "#E69F00", ighe: "#882255" };
  const BACK = { naive: ["#009E73", "circle"], mutated: ["#D55E00", "square"], old_clones: ["#882255", "diamond"] };
  /** B cells that return: naive, mutated, isotypes, and whether the old clones came back. */
  function bCellsBack(s, all) {
    const R = CLONES.b_return, measure = (r) => CLONES.measure_names[R.measure[r]], label = (name) => CLONES.measures[CLONES.measure_names.indexOf(name)];
    const rows = [...all].sort((a, b) => R.k[a] - R.k[b] || R.measure[a] - R.measure[b]);
    const ks = unique(rows.map((r) => R.k[r])), lane = new Map(ks.map((k, j) => [k, j]));
    view.append(h("h3", {}, "B cells that return"));
    const old = rows.filter((r) => measure(r) === "old_clones"), known = old.filter((r) => T(R.verdict[r]) !== "rejected" && R.percent[r] !== null), last = known.at(-1);
    view.append(h("p", { class: "notice" }, h("b", {}, "Did the old clones come back? "),
      last !== undefined ? `${sampleAt(R.k[last])}: ${num(R.cells[last], 9)} of ${plural(R.total[last], "B cell")} ${R.cells[last] === 1 ? "is" : "are"} of clones from before the infusion, ${num(R.percent[last])} %${limits(R, last)}.` : `Not known: ${old.length ? T(R.reason[old.at(-1)]) || "no reason given" : "no B cell was seen both before and after the infusion"}.`,
      last !== undefined && T(R.verdict[last]) === "flagged" ? [" ", explain(h("span", { class: "verdict flagged" }, "flagged"), capital(T(R.reason[last])))] : null));
    const usable = rows.filter((r) => T(R.verdict[r]) !== "rejected" && R.percent[r] !== null);
    const tip = (r) => `${plain(label(measure(r)))}<br>${plain(sampleAt(R.k[r]))}<br>${num(R.percent[r])} %${limits(R, r)}<br>${cellsIn(R.cells[r], R.total[r])}${T(R.verdict[r]) === "flagged" ? `<br>flagged: ${plain(T(R.reason[r]))}` : ""}`;
    const why = (names) => ks.map((k) => { if (usable.some((r) => R.k[r] === k && names.includes(measure(r)))) return ""; const r = rows.find((x) => R.k[x] === k && names.includes(measure(x))); return r === undefined ? "not known" : T(R.reason[r]) || "not known"; });
    const named = ks.map((k) => ({ k }));
    const grid = h("div", { class: "two" });
    view.append(grid);
    const shares = usable.filter((r) => BACK[measure(r)]);
    if (shares.length) {
      const size = 84 + 44 * ks.length, plot = figure("Naive and mutated B cells, and those of old clones, by sample", size);
      grid.append(h("figure", {}, h("figcaption", {}, h("b", {}, "Naive, mutated, old"), ` Shares of B cells with ${levelWords()} intervals; open: few cells.`), plot));
      const set = (mine, j, more) => { const [, [colour]] = Object.entries(BACK)[j]; return { type: "scatter", mode: "markers", x: mine.map((r) => R.percent[r]), y: mine.map((r) => lane.get(R.k[r]) + (j - 1) * 0.22), error_x: { ...withLimits(R, mine, "percent"), color: colour }, hoverinfo: "text", text: mine.map(tip), ...more }; };
      const traces = Object.entries(BACK).flatMap(([name, [colour, symbol]], j) => [false, true].map((few) => set(shares.filter((r) => measure(r) === name && (T(R.verdict[r]) === "flagged") === few), j, { name: label(name) + (few ? ", few cells" : ""), marker: { color: colour, size: 9, symbol: few ? `${symbol}-open` : symbol, line: { width: 1.6, color: colour } } })));
      draw(plot, traces.filter((t) => t.x.length), { height: size, xaxis: axis("% of B cells", { range: [-2, 102] }), yaxis: lanes_(named), annotations: inLanes(why(Object.keys(BACK))) });
    }
    const types = usable.filter((r) => ISOTYPE_COLOUR[measure(r)]);
    if (types.length) {
      const size = 84 + 44 * ks.length, plot = figure("Isotypes of B cells by sample", size);
      grid.append(h("figure", {}, h("figcaption", {}, h("b", {}, "Isotypes"), " Of B cells with a known constant gene."), plot));
      draw(plot, Object.entries(ISOTYPE_COLOUR).map(([name, colour]) => {
        const mine = types.filter((r) => measure(r) === name && R.percent[r] > 0);
        return { type: "bar", orientation: "h", name: label(name), width: 0.6, x: mine.map((r) => R.percent[r]), y: mine.map((r) => lane.get(R.k[r])), marker: { color: colour, line: { color: "#fff", width: 0.7 } }, hoverinfo: "text", textposition: "none", hovertext: mine.map(tip) };
      }).filter((t) => t.x.length), { barmode: "stack", height: size, xaxis: axis("% of B cells", { range: [0, 100.5] }), yaxis: lanes_(named), annotations: inLanes(why(Object.keys(ISOTYPE_COLOUR))) });
    }
    view.append(h("details", {}, h("summary", {}, "Returning B cells in numbers ", h("small", {}, plural(rows.length, "share"))), table([
      { label: "Sample", cls: "text name", cell: (r) => sampleAt(R.k[r]), sort: (r) => R.k[r] },
      { label: "B cells", cls: "text", cell: (r) => label(measure(r)), sort: (r) => R.measure[r] },
      { label: "Share", unit: "%", n: true, cell: (r) => (R.percent[r] === null ? untold(T(R.reason[r])) : `${num(R.percent[r])}${limits(R, r)}`), sort: (r) => R.percent[r] },
      { label: "Cells", n: true, cell: (r) => `${num(R.cells[r], 9)} of ${num(R.total[r], 9)}`, sort: (r) => R.cells[r] },
      { label: "Verdict", cls: "wide text", cell: (r) => [judged(T(R.verdict[r])), T(R.reason[r]) ? h("div", { class: "say" }, T(R.reason[r])) : null].filter(Boolean), sort: (r) => RANK[T(R.verdict[r])] },
    ], rows, { plain: true, tight: true, label: "Returning B cells", limit: 40 })));
  }
