  // ---------------------------------------------------------------- integration sites

  const ALARM_CLASS = { dominant: "fail", growing: "warn", gene_of_concern: "warn" };
  const geneOf = (gene, distance) => (gene ? `${gene}${distance === null ? "" : distance === 0 ? " (inside)" : ` (${num(Math.abs(distance), 9)} bases)`}` : "–");
  /** Alarms of one patient: each site and kind once, with the first and the last sample that raised it. */
  function alarmsOf(s) {
    const A = CLONES.alarms, found = new Map();
    for (const r of ofSubject(A, s).sort((a, b) => A.k[a] - A.k[b])) {
      const name = [A.cell_type[r], A.site[r], A.alarm[r]].join("|");
      found.set(name, { first: found.has(name) ? found.get(name).first : r, last: r });
    }
    return [...found.values()];
  }
  /** Integration sites of one patient: alarms, the largest sites over time, indices, sites in common. */
  function sitesOf(s, totals, alarms) {
    const W = CLONES.site_totals, A = CLONES.alarms;
    view.append(h("h3", {}, "Integration sites"));
    if (alarms.length) {
      const order = Object.keys(ALARM_CLASS), latest = alarmsOf(s).sort((a, b) => order.indexOf(T(A.alarm[a.last])) - order.indexOf(T(A.alarm[b.last])) || A.k[b.last] - A.k[a.last]);
      view.append(h("ul", { class: "alarms" }, latest.map(({ first, last }) => h("li", {}, h("span", { class: `verdict ${ALARM_CLASS[T(A.alarm[last])]}` }, CLONES.alarm_words[T(A.alarm[last])]),
        h("span", {}, `${sampleAt(A.k[last])}: ${T(A.message[last])}${first === last ? "" : ` (first told of: ${sampleAt(A.k[first])})`}`)))));
    } else view.append(h("p", { class: "notice" }, "No alarm: no site is dominant or growing by the limits of the configuration."));
    if (!CLONES.genes_of_concern) view.append(h("p", { class: "say" }, "No list of genes of concern was given, so none was looked for."));
    const cells = (t) => totals.reduce((a, r) => a + (T(W.cell_type[r]) === t ? W.total[r] : 0), 0);
    const types = unique(totals.map((r) => T(W.cell_type[r]))).sort((a, b) => cells(b) - cells(a));
    if (!types.length) return;
    const box = h("div", {});
    const shown = types.length > 1 ? [...types, ""] : types;
    if (types.length > 1) view.append(h("div", { class: "controls" }, segments("Cells", shown.map((t) => [t, t || "All cells"]), shown[0], (t) => { renew(box); cellType(box, s, t); })));
    view.append(box);
    cellType(box, s, shown[0]);
  }
  /** Sites of one cell type; of all of them, sample beside sample, where none is named. */
  function cellType(box, s, type) {
    const W = CLONES.site_totals, Z = CLONES.sites;
    const mine = (t, r) => !type || T(t.cell_type[r]) === type;
    const at = (t, r) => `${t.k[r]}|${t.cell_type[r]}`;
    const label = (t, r) => `${sampleAt(t.k[r])}${type ? "" : `, ${T(t.cell_type[r])}`}`;
    const lanes = ofSubject(W, s, (r) => mine(W, r)).sort((a, b) => W.k[a] - W.k[b] || W.total[b] - W.total[a]).map((r) => ({ r, k: W.k[r], tick: sampleTick(W.k[r]) + (type ? "" : `<br>${plain(shorten(T(W.cell_type[r]), 14))}`), why: "" }));
    const place = new Map(lanes.map((lane, j) => [at(W, lane.r), j]));
    const order = type ? Z.place : Z.overall;
    const rows = ofSubject(Z, s, (r) => mine(Z, r)).sort((a, b) => order[a] - order[b] || place.get(at(Z, a)) - place.get(at(Z, b)));
    const listed = unique(rows.map((r) => T(Z.site[r])));
    const rowsOfSite = new Map(listed.map((site) => [site, []]));
    rows.forEach((r) => rowsOfSite.get(T(Z.site[r])).push(r));
    const first = (site) => rowsOfSite.get(site)[0], last = (site) => rowsOfSite.get(site).at(-1);
    const tracked = listed.filter((site) => order[first(site)] < CLONES.shown);
    const colourOf = new Map(tracked.map((site, j) => [site, cloneColour(j)]));
    const known = lanes.map((_, j) => rows.every((r) => place.get(at(Z, r)) !== j || Z.percent[r] !== null));
    lanes.forEach((lane, j) => { if (!known[j]) lane.why = "no shares"; });
    const series = tracked.map((site) => {
      const gene = T(Z.gene[first(site)]);
      const x = { name: gene ? `${site} ${gene}` : site, colour: colourOf.get(site), share: lanes.map(() => null), text: lanes.map(() => "") };
      for (const r of rowsOfSite.get(site)) {
        const j = place.get(at(Z, r));
        if (Z.percent[r] === null) continue;
        x.share[j] = Z.percent[r];
        x.text[j] = [plain(site), plain(geneOf(gene, Z.gene_distance[r])), plain(label(Z, r)), `${num(Z.percent[r])} %${limits(Z, r)}, ${cellsIn(Z.abundance[r], Z.total[r])}`].join("<br>");
      }
      return x;
    });
    const rest = { name: "All other sites", share: lanes.map((_, j) => (known[j] ? Math.max(0, 100 - series.reduce((a, x) => a + (x.share[j] || 0), 0)) : null)), text: [] };
    rest.text = lanes.map((lane, j) => `All other sites<br>${plain(label(W, lane.r))}<br>${num(rest.share[j])} % of ${num(W.total[lane.r], 9)} cells, ${plural(W.sites[lane.r], "site")} in all`);
    streams(box, type ? `The largest integration sites in ${type}` : "The largest integration sites", "A band joins two samples where both have the site.", lanes, series, rest, "% of the cells");
    const largest = (site) => topRow(rowsOfSite.get(site).filter((r) => Z.percent[r] !== null), (r) => Z.percent[r]);
    const concern = (site) => (rowsOfSite.get(site).some((r) => Z.of_concern[r]) ? h("span", { class: "verdict warn" }, "of concern") : null);
    const shareOfSite = (r) => (r === undefined || Z.percent[r] === null ? "–" : [explain(h("span", {}, `${num(Z.percent[r])}${limits(Z, r)}`), cellsIn(Z.abundance[r], Z.total[r])), h("div", { class: "say" }, label(Z, r))]);
    box.append(table([
      { label: "Site", cls: "text", cell: (site) => h("span", { class: "whole" }, colourOf.has(site) ? patch(colourOf.get(site)) : null, site), sort: (site) => site },
      { label: "Gene", cls: "text", cell: (site) => [geneOf(T(Z.gene[first(site)]), Z.gene_distance[first(site)]), concern(site) ? h("div", {}, concern(site)) : null].filter(Boolean), sort: (site) => T(Z.gene[first(site)]) },
      { label: "Largest share", unit: "%", n: true, cell: (site) => shareOfSite(largest(site)), sort: (site) => { const r = largest(site); return r === undefined ? null : Z.percent[r]; } },
      { label: "Last seen", unit: "%", n: true, cell: (site) => shareOfSite(last(site)), sort: (site) => Z.percent[last(site)] },
      { label: "Seen in", cls: "text", tip: "Cell types of a day in which the site was seen", cell: (site) => unique(rowsOfSite.get(site).flatMap((r) => T(Z.cell_types[r]).split(";"))).filter(Boolean).join(", "), sort: (site) => T(Z.cell_types[last(site)]) },
    ], listed, { tight: true, label: "Integration sites", limit: CLONES.shown }));
    const I = CLONES.diversity, value = new Map(ofSubject(I, s, (r) => T(I.unit[r]) === "site" && !I.rarefied[r]).map((r) => [`${I.k[r]}|${T(I.population[r])}|${CLONES.index_names[I.index[r]]}`, r]));
    const indexOf = (name) => {
      const found = (lane) => value.get(`${lane.k}|${T(W.cell_type[lane.r])}|${name}`), [text, unit_, note] = CLONES.indices.site[CLONES.index_names.indexOf(name)];
      return { label: text, unit: unit_ && unit_ !== "sites" ? unit_ : null, n: true, tip: note, cell: (lane) => { const r = found(lane); return r === undefined ? "–" : I.value[r] === null ? untold(T(I.reason[r])) : `${num(I.value[r])}${limits(I, r)}`; }, sort: (lane) => { const r = found(lane); return r === undefined ? null : I.value[r]; } };
    };
    box.append(h("h3", {}, "Clonality of each sample"), h("p", { class: "say" }, `Of all its cells, with ${levelWords()} bootstrap intervals: unequal depth moves most of these.`), table([
      { label: "Sample", cls: "text name", cell: (lane) => label(W, lane.r), sort: (lane) => lane.k },
      { label: "Sites", n: true, cell: (lane) => num(W.sites[lane.r], 9), sort: (lane) => W.sites[lane.r] },
      { label: "Cells", n: true, tip: "By sonic lengths or UMIs; fragments of a BAM", cell: (lane) => num(W.total[lane.r], 9), sort: (lane) => W.total[lane.r] },
      ...["shannon", "gini", "uc50", "chao1", "largest"].map(indexOf),
    ], lanes, { plain: true, tight: true, label: "Clonality of integration sites" }));
    if (!type) return;
    const ks = lanes.map((lane) => lane.k);
    diversityOf(box, s, "site", type, ks);
    overlapOf(box, s, "site", type, ks);
  }

  // ---------------------------------------------------------------- clones of all patients

  function clonesPage() {
    const W = CLONES.sharing;
    const found = range(0, W.shared.length).filter((r) => takenClass(r) === "fail" || T(W.taken_for[r]) === "public");
    const whoSites = unique(CLONES.site_totals.s), alarmed = unique(CLONES.alarms.s).reduce((n, s) => n + alarmsOf(s).length, 0);
    view.append(h("h1", { tabindex: "-1" }, "Clones"),
      h("p", { class: "lead" }, "Which clones of the product are still there, whether the B cells that return are new, and whether one integration site takes over. A patient's page shows the courses."),
      h("ul", { class: "numbers" }, [
        ...(CLONES.totals.s.length ? [[unique(CLONES.totals.s).length, "with clones"]] : []), ...(CLONES.b_return.s.length ? [[unique(CLONES.b_return.s).length, "with B-cell receptors"]] : []), ...(whoSites.length ? [[whoSites.length, "with integration sites"]] : []),
        ...(whoSites.length ? [[alarmed, alarmed === 1 ? "alarm" : "alarms"]] : []), ...(CLONES.compared ? [[found.length, found.length === 1 ? "pair of libraries shares too much" : "pairs of libraries share too much"]] : []),
      ].map(([n, text]) => h("li", {}, h("b", {}, n.toLocaleString("en-US")), h("span", {}, text)))));
    const pops = range(0, 2).filter((p) => CLONES.totals.pop.includes(p));
    view.append(h("h2", {}, "Each patient"));
    const box = h("div", {});
    if (pops.length > 1) view.append(h("div", { class: "controls" }, segments("Whose clones", pops.map((p) => [p, CLONES.populations[p]]), pops[0], (p) => overviewTable(box, p))));
    view.append(box);
    overviewTable(box, pops[0] ?? 0);
    sharedTable(found);
    qualityTable();
  }
  function overviewTable(box, p) {
    const O = CLONES.overview;
    const row = (t, s, pop) => range(0, t.s.length).find((r) => t.s[r] === s && (!pop || t.pop[r] === p));
    const people = unique([...CLONES.totals.s, ...CLONES.b_return.s, ...CLONES.site_totals.s]).filter((s) => s >= 0).sort((a, b) => a - b);
    const none = () => h("span", { class: "nothing" }, "–");
    const below = (text) => h("div", { class: "say" }, text);
    const on = (t, r) => below(sampleAt(t.k[r]));
    const cell = (t, pop, make) => (s) => { const r = row(t, s, pop); return r === undefined ? none() : make(r); };
    const value = (t, pop, key) => (s) => { const r = row(t, s, pop); return r === undefined ? null : t[key][r]; };
    const parts = (t, r) => explain(h("span", {}, `${num(t.percent[r])}${limits(t, r)}`), cellsIn(t.cells[r], t.total[r]));
    const share = (t, r) => (t.percent[r] === null ? none() : [parts(t, r), on(t, r)]);
    box.replaceChildren(table([
      { label: "Patient", cell: (s) => subjectLink(s), sort: (s) => D.subjects[s].id },
      { label: "Product clones", n: true, tip: "Clones seen in the last product, and its cells with a clone", cell: cell(O.products, true, (r) => [num(O.products.clones[r], 9), below(`of ${num(O.products.cells[r], 9)} cells`)]), sort: value(O.products, true, "clones") },
      { label: "Found again", n: true, tip: "Clones of the product seen at the last landmark; below, how many would be seen, had every clone kept its share", cell: cell(O.found, true, (r) => T(O.found.reason[r]) ? [untold(T(O.found.reason[r])), below(T(O.found.landmark[r]) || sampleAt(O.found.k[r]))] : [`${num(O.found.found[r], 9)} of ${num(O.found.product_clones[r], 9)}`, below(`${T(O.found.landmark[r]) || sampleAt(O.found.k[r])}${O.found.expected_if_unchanged[r] === null ? "" : `, ${num(O.found.expected_if_unchanged[r])} expected`}`)]), sort: (s) => { const r = row(O.found, s, true); return r === undefined || T(O.found.reason[r]) ? null : O.found.found[r]; } },
      { label: "Largest clone", unit: "%", n: true, tip: `Share in the last sample with enough cells, with its ${levelWords()} interval`, cell: cell(O.largest, true, (r) => share(O.largest, r)), sort: value(O.largest, true, "percent") },
      { label: "Large clones", n: true, tip: `Clones of ${CLONES.expanded_cells} cells or more in that sample`, cell: cell(O.last, true, (r) => [num(O.last.expanded[r], 9), below(`of ${num(O.last.clones[r], 9)}`)]), sort: value(O.last, true, "expanded") },
      ...(CLONES.b_return.s.length ? [{ label: "Old B clones", n: true, tip: "B cells of the last sample in clones from before the infusion", cell: cell(O.old, false, (r) => [`${num(O.old.cells[r], 9)} of ${num(O.old.total[r], 9)}`, below(`${num(O.old.percent[r])} %${limits(O.old, r)}`), on(O.old, r)]), sort: value(O.old, false, "percent") }] : []),
      ...(CLONES.site_totals.s.length ? [
        { label: "Largest site", unit: "%", n: true, tip: "Share of the largest integration site on the last day", cell: cell(O.site, false, (r) => [`${num(O.site.percent[r])}${limits(O.site, r)}`, below([T(O.site.gene[r]), T(O.site.cell_type[r])].filter(Boolean).join(", ")), on(O.site, r)]), sort: value(O.site, false, "percent") },
        { label: "Alarms", n: true, cell: (s) => { const mine = alarmsOf(s); return mine.length ? explain(h("span", { class: "verdict fail" }, num(mine.length)), mine.map(({ last }) => T(CLONES.alarms.message[last])).join("\n")) : row(CLONES.site_totals, s, false) === undefined ? none() : "none"; }, sort: (s) => alarmsOf(s).length },
      ] : []),
    ], people, { label: "Clones of each patient", sticky: true, limit: 100 }));
  }
  const TAKEN_CLASS = { swap: "fail", index_hopping: "fail", public: "note", unknown: "note", as_expected: "pass" };
  /** Clones that hopped into one library are shared with the other libraries of their owner as well. */
  const byWay = (r) => T(CLONES.sharing.taken_for[r]) === "index_hopping" && !CLONES.sharing.shared_barcodes[r];
  const takenClass = (r) => (byWay(r) ? "note" : TAKEN_CLASS[T(CLONES.sharing.taken_for[r])]);
  function sharedTable(found) {
    const W = CLONES.sharing;
    if (!CLONES.compared) return;
    view.append(h("h2", {}, "Clones that patients share"));
    if (!found.length) view.append(h("p", { class: "notice" }, W.shared.length ? "No two patients are known to share more clones than expected." : "No two patients have a clone in common."));
    if (!W.shared.length) return;
    view.append(h("p", { class: "say" }, "Pairs of libraries of two patients with a clone in common. The same clone with the same barcode in both is the mark of index hopping; a large overlap by cells, more than with the patient's own samples, that of exchanged samples. What is expected, the other pairs of patients tell."), table([
      { label: "Taken for", cls: "line", cell: (r) => { const how = h("span", { class: `verdict ${takenClass(r)}` }, CLONES.taken_for[T(W.taken_for[r])]); return byWay(r) ? [how, h("div", { class: "say" }, "by way of another library")] : how; }, sort: (r) => Object.keys(TAKEN_CLASS).indexOf(T(W.taken_for[r])) },
      { label: "Libraries", cls: "text line", cell: (r) => [h("div", {}, libraryLink(T(W.library_a[r])), " (", subjectLink(W.s_a[r]), ")"), h("div", {}, libraryLink(T(W.library_b[r])), " (", subjectLink(W.s_b[r]), ")")], sort: (r) => T(W.library_a[r]) },
      { label: "In both", n: true, cell: (r) => [num(W.shared[r], 9), h("div", { class: "say" }, `of ${num(W.clones_a[r], 9)} and ${num(W.clones_b[r], 9)} of ${T(W.receptor[r])} cells`)], sort: (r) => W.shared[r] },
      { label: "Expected", n: true, cell: (r) => num(W.expected[r], 2), sort: (r) => W.expected[r] },
      { label: "p", n: true, cell: (r) => num(W.p[r], 2), sort: (r) => W.p[r] },
      { label: "Same barcode", n: true, cell: (r) => num(W.shared_barcodes[r], 9), sort: (r) => W.shared_barcodes[r] },
      { label: "Morisita-Horn", n: true, cell: (r) => num(W.morisita_horn[r], 2), sort: (r) => W.morisita_horn[r] },
      { label: "Largest", cls: "text line", cell: (r) => { const list = T(W.clones[r]).split(";").filter(Boolean); return list.length > 1 ? explain(h("span", {}, `${list[0]}, ...`), list.join("\n")) : list[0] || "–"; } },
    ], range(0, W.shared.length), { plain: true, label: "Clones that patients share", limit: 30 }));
  }

  // ---------------------------------------------------------------- chain quality

  const CHAIN_NAMES = CLONES ? Object.keys(CLONES.pairings) : [];
  const receptorWords = { T: "T cells", B: "B cells", both: "both" };
  const chainShare = (t, r, names) => { const n = names.reduce((a, name) => a + t[name][r], 0); return n ? explain(h("span", {}, num((100 * n) / t.barcodes[r])), `${num(n, 9)} of ${num(t.barcodes[r], 9)} barcodes`) : h("span", { class: "nothing" }, "0"); };
  function qualityTable() {
    const R = CLONES.receptors, rows = range(0, R.library.length).filter((r) => T(R.receptor[r]) !== "both");
    if (!rows.length) return;
    const mixed = (r) => { const b = range(0, R.library.length).find((x) => T(R.receptor[x]) === "both" && R.library[x] === R.library[r]); return b === undefined ? 0 : R.barcodes[b]; };
    const part = (label, names, tip) => ({ label, unit: "%", n: true, tip, cell: (r) => chainShare(R, r, names), sort: (r) => names.reduce((a, name) => a + R[name][r], 0) / R.barcodes[r] });
    view.append(h("h2", {}, "Chain quality"), h("p", { class: "say" }, "Shares of the barcodes with a chain. Barcodes with more than two chains of a kind, or with chains of T and B cells, are two cells or more: they are of no clone."), table([
      { label: "Library", cls: "text", cell: (r) => libraryLink(T(R.library[r])), sort: (r) => T(R.library[r]) },
      { label: "Receptor", cell: (r) => receptorWords[T(R.receptor[r])], sort: (r) => T(R.receptor[r]) },
      { label: "Barcodes", n: true, tip: "With a chain that counts", cell: (r) => num(R.barcodes[r], 9), sort: (r) => R.barcodes[r] },
      part("One pair", ["single_pair"], "Alpha and beta, or heavy and light chain"),
      part("Beta or heavy alone", ["orphan_vdj"]), part("Alpha or light alone", ["orphan_vj"], "Without a beta or heavy chain: of no clone"),
      part("Extra chain", ["extra_vj", "extra_vdj", "two_full_chains"], "A second chain of a kind, or two pairs"), part("Multichain", ["multichain"], CLONES.pairings.multichain),
      { label: "T and B chains", n: true, tip: "Barcodes of the library with chains of both", cell: (r) => num(mixed(r), 9), sort: mixed },
    ], rows, { label: "Chain quality of each library", limit: 60 }));
  }
  /** Chain quality of one library, on its page. */
  function chainsOf(id) {
    if (!CLONES) return;
    const R = CLONES.receptors, rows = range(0, R.library.length).filter((r) => T(R.library[r]) === id);
    if (!rows.length) return;
    view.append(h("h2", {}, "Receptors"), h("p", { class: "say" }, "Barcodes with a chain of a T- or B-cell receptor that counts. Those with more than two chains of a kind, or with chains of both, are two cells or more: they are of no clone."));
    const lines = rows.flatMap((r) => CHAIN_NAMES.filter((name) => R[name][r]).map((name) => ({ r, name })));
    view.append(table([
      { label: "Chains", cell: (x) => capital(CLONES.pairings[x.name]) },
      { label: "Barcodes", n: true, cell: (x) => num(R[x.name][x.r], 9) },
      { label: "Share", unit: "%", n: true, cell: (x) => num((100 * R[x.name][x.r]) / R.barcodes[x.r]) },
    ], lines, { plain: true, group: (x) => `${{ T: "T-cell receptor", B: "B-cell receptor", both: "Both receptors" }[T(R.receptor[x.r])]}: ${plural(R.barcodes[x.r], "barcode")}`, label: "Chains of the library" }));
  }
