  // ---------------------------------------------------------------- plates: the list, what is to be repeated, control charts

  const PCR = D.pcr, IMM = D.immunoassay;
  /** What opens the page of a plate. */
  const plateOpeners = new Map([...(PCR ? PCR.plates : []).map((p, k) => [p.id, () => platePage(k)]), ...(IMM ? IMM.plates : []).map((p, k) => [p.id, () => immunoassayPage(k)])]);
  const plateLink = (id) => (plateOpeners.has(id) ? h("a", { href: `#/plate/${encodeURIComponent(id)}` }, id) : id);
  /** A column that is the same in every row travels as one value: give each row its own again. */
  function unpack(pack) {
    return Object.fromEntries(Object.entries(pack).map(([k, v]) => [k, k === "rows" ? range(0, v) : Array.isArray(v) ? v : Array(pack.rows).fill(v)]));
  }
  const judged = (v) => h("span", { class: `verdict ${v}` }, words(v));
  const RANK = { rejected: 0, flagged: 1, accepted: 2, not_used: 3 };
  // One line for each curve of the plate; the target says which where there are several.
  const curveCell = (p, text) => {
    const c = unpack(p.curves);
    return c.rows.map((r) => h("div", {}, text(c, r), c.rows.length > 1 ? h("small", {}, ` ${T(c.target[r])}`) : null));
  };
  const findingsOf = (id) => range(0, Q.check.length).filter((r) => T(Q.source_file[r]) === id);

  function platesPage() {
    const kinds = [[PCR, "PCR plates", pcrSection], [IMM, "Immunoassay plates", immunoassaySection]].filter(([set]) => set);
    const headings = kinds.map(([, name]) => h("h2", { tabindex: "-1" }, name));
    view.append(h("h1", { tabindex: "-1" }, "Plates"),
      h("p", { class: "lead" }, "The plates behind the results, from the instruments' own files. A plate's page shows its curve, its wells and its samples."));
    if (kinds.length > 1) view.append(h("div", { class: "controls" }, kinds.map(([set, name], k) => h("button", { type: "button", onclick: () => { headings[k].scrollIntoView(); headings[k].focus({ preventScroll: true }); } }, `${name} (${set.plates.length})`))));
    const serious = new Map();
    range(0, Q.check.length).filter((r) => SEVERITY[T(Q.verdict[r])] < 2).forEach((r) => serious.set(Q.source_file[r], (serious.get(Q.source_file[r]) || 0) + 1));
    const noted = new Map([...serious].map(([i, n]) => [T(i), n]));
    kinds.forEach(([, , fill], k) => { view.append(headings[k]); fill(noted); });
  }
  function plateNumbers(set, what) {
    const total = (v) => set.plates.reduce((n, p) => n + p.counts[v], 0);
    view.append(h("ul", { class: "numbers" }, [[set.plates.length, set.plates.length === 1 ? "plate" : "plates"], [total("accepted"), `${what} accepted`], [total("flagged"), "flagged"], [total("rejected"), "rejected"], [set.repeats.sample.length, "to be repeated"]]
      .map(([n, text]) => h("li", {}, h("b", {}, n.toLocaleString("en-US")), h("span", {}, text)))));
  }
  const countColumn = (v) => ({ label: capital(v), n: true, cell: (p) => (p.counts[v] ? num(p.counts[v]) : h("span", { class: "nothing" }, "0")), sort: (p) => p.counts[v] });
  const findingsColumn = (noted) => ({ label: "Findings", n: true, tip: "Checks that failed or warned", cell: (p) => (noted.get(p.id) ? num(noted.get(p.id)) : h("span", { class: "nothing" }, "0")), sort: (p) => noted.get(p.id) || 0 });
  /** A field that narrows a long list of plates. */
  function findPlate(all, list, text) {
    if (all.length > 10) view.append(h("div", { class: "controls" }, h("label", {}, "Find a plate", h("input", { type: "search", oninput: (e) => { const w = e.target.value.trim().toLowerCase(); list.update(all.filter((p) => text(p).toLowerCase().includes(w))); } }))));
  }
  function pcrSection(noted) {
    const all = PCR.plates;
    plateNumbers(PCR, "samples");
    const worst = (p) => Math.min(9, ...unpack(p.curves).verdict.map((v) => RANK[T(v)]));
    const first = (p, key) => unpack(p.curves)[key]?.[0] ?? null;
    const list = table([
      { label: "Plate", cls: "text", cell: (p) => plateLink(p.id), sort: (p) => p.id },
      { label: "Assay", cell: (p) => ASSAY[p.assay] || p.assay, sort: (p) => p.assay },
      { label: "Method", cell: (p) => p.method, sort: (p) => p.method },
      ...["accepted", "flagged", "rejected"].map(countColumn),
      { label: "Slope", n: true, tip: "Slope of the standard curve, Cq per decade", cell: (p) => curveCell(p, (c, r) => num(c.slope[r])), sort: (p) => first(p, "slope") },
      { label: "r²", n: true, cell: (p) => curveCell(p, (c, r) => num(c.r2[r], 4)), sort: (p) => first(p, "r2") },
      { label: "Efficiency", unit: "%", n: true, cell: (p) => curveCell(p, (c, r) => num(c.efficiency_percent[r])), sort: (p) => first(p, "efficiency_percent") },
      { label: "Curve", cell: (p) => curveCell(p, (c, r) => judged(T(c.verdict[r]))), sort: worst },
      findingsColumn(noted),
    ], all, { label: "Plates", limit: 50 });
    view.append(h("h3", {}, "To be repeated"));
    repeatList(PCR, "To be repeated", "cartrace_repeats.csv");
    view.append(h("h3", {}, "All plates"));
    findPlate(all, list, (p) => `${p.id} ${p.assay} ${p.method}`);
    view.append(list);
    controlCharts(PCR);
  }
  const ASSAY = { qpcr: "qPCR", ddpcr: "ddPCR" };

  function repeatList(set, label, file) {
    const R = set.repeats, rows = range(0, R.sample.length);
    if (!rows.length) {
      view.append(h("p", { class: "notice" }, "No sample needs to be repeated."));
      return;
    }
    view.append(h("p", { class: "say" }, "For the bench: what to measure again, why, and what to do. A sample that another plate has answered is not listed. Print this page, or download the list."),
      h("div", { class: "controls" }, h("button", {
        type: "button", onclick: () => {
          const keys = ["plate", "sample", "target", "wells", "verdict", "flags", "repeat_reason"];
          download(file, keys, rows.map((r) => keys.map((k) => T(R[k][r]))));
        },
      }, "Download the list as CSV")),
      table([
        { label: "Plate", cls: "text", cell: (r) => plateLink(T(R.plate[r])), sort: (r) => T(R.plate[r]) },
        { label: "Sample", cls: "text name", cell: (r) => sampleName(R, r), sort: (r) => T(R.sample[r]) },
        { label: "Target", cell: (r) => T(R.target[r]), sort: (r) => T(R.target[r]) },
        { label: "Wells", cls: "text", cell: (r) => T(R.wells[r]) },
        { label: "Verdict", cell: (r) => judged(T(R.verdict[r])), sort: (r) => RANK[T(R.verdict[r])] },
        { label: "Why, and what to do", cls: "wide text", cell: (r) => T(R.repeat_reason[r]) || T(R.flags[r]) },
        { label: "Done", cls: "paper", cell: () => "☐" },
      ], rows, { plain: true, label, limit: 200 }));
  }
  const sampleName = (t, r) => [T(t.sample[r]), t.s[r] >= 0 && D.subjects[t.s[r]].id !== T(t.sample[r]) ? h("div", { class: "say line" }, subjectLink(t.s[r])) : null].filter(Boolean);

  // ---------------------------------------------------------------- control charts (Levey-Jennings)

  function controlCharts(set) {
    const C = set.controls, rows = range(0, C.plate.length);
    if (!rows.length) return;
    const chartOf = (r) => [C.assay, C.target, C.control, C.quantity].map((k) => k[r]).join();
    const charts = unique(rows.map(chartOf)).map((k) => rows.filter((r) => chartOf(r) === k));
    const judgedPoints = rows.filter((r) => C.z[r] !== null);
    const broken = rows.filter((r) => T(C.rules[r])).sort((a, b) => C.order[a] - C.order[b]);
    view.append(h("h3", {}, "Controls over the plates"),
      h("p", { class: "say" }, "Levey-Jennings charts. Centre and standard deviation come from the accepted plates before each point; Westgard rules that a point breaks stand beside it.",
      ` ${judgedPoints.length === rows.length ? `All ${num(rows.length)}` : `${num(judgedPoints.length)} of ${num(rows.length)}`} points are judged${judgedPoints.length === rows.length ? "" : `: the others have fewer than ${plural(set.min_plates, "accepted plate")} before them (or equal values only)`}.`));
    if (broken.length) {
      view.append(table([
        { label: "Plate", cls: "text", cell: (r) => plateLink(T(C.plate[r])), sort: (r) => C.order[r] },
        { label: "Control", cls: "text", cell: (r) => `${T(C.control[r])}, ${T(C.target[r])}`, sort: (r) => T(C.control[r]) },
        { label: "Quantity", cell: (r) => T(C.quantity[r]), sort: (r) => T(C.quantity[r]) },
        { label: "Value", n: true, cell: (r) => num(C.value[r]), sort: (r) => C.value[r] },
        { label: "SD from centre", n: true, cell: (r) => num(C.z[r]), sort: (r) => C.z[r] },
        { label: "Rule", cls: "wide text", cell: (r) => T(C.rules_in_words[r]) },
        { label: "Verdict", cell: (r) => verdicts(T(C.verdict[r])), sort: (r) => SEVERITY[T(C.verdict[r])] },
      ], broken, { plain: true, label: "Westgard rules that were broken", limit: 100 }));
    } else view.append(h("p", { class: "notice" }, judgedPoints.length ? "No judged point breaks a Westgard rule." : "Nothing is judged yet."));
    const group = (list) => `${ASSAY[T(C.assay[list[0]])] || T(C.assay[list[0]])}, ${T(C.target[list[0]])}`;
    const groups = unique(charts.map(group));
    const box = h("div", { class: "two" });
    const show = (name) => {
      renew(box);
      for (const list of charts.filter((x) => group(x) === name)) chart(box, C, list);
    };
    // The target that needs a look comes first.
    const start = group(charts.find((list) => list.some((r) => T(C.verdict[r]) === "fail")) || charts.find((list) => list.some((r) => T(C.rules[r]))) || charts.reduce((a, b) => (b.length > a.length ? b : a)));
    if (groups.length > 1) view.append(h("div", { class: "controls" }, choice("Assay and target", groups.map((g) => [g, g]), start, show)));
    view.append(box);
    setTimeout(() => { if (box.isConnected) show(start); });
  }
  const POINT = { pass: ["circle", "#00664a", "Within its limits"], note: ["circle-open", SOFT, "Too few plates before it"], warn: ["diamond", "#7a5200", "Warning"], fail: ["triangle-up", HARM, "Rule broken"] };
  // Plates of one assay differ at the end of their names.
  const shortId = (id) => (id.length > 13 ? `${id.slice(0, 3)}…${id.slice(-8)}` : id);
  function chart(into, C, list) {
    const [control, quantity] = [T(C.control[list[0]]), T(C.quantity[list[0]])];
    const name = capital(control);
    const box = h("figure", {}, h("h4", {}, name));
    into.append(box);
    const bad = list.filter((r) => T(C.rules[r]));
    const plot = figure(`Levey-Jennings chart of ${name}, ${plural(list.length, "plate")}. ${bad.length ? "Rules broken on " + bad.map((r) => `${T(C.plate[r])}: ${T(C.rules[r]).replace(/_/g, "-")}`).join(", ") : "No rule broken"}.`, 260);
    box.append(plot);
    const x = range(0, list.length);
    // Few plates set wide limits: the distances come from the control charts, and are no multiples of the SD.
    const off = (k, r) => (k === 0 ? 0 : Math.sign(k) * C[`limit_${Math.abs(k)}s`][r]);
    const at = (k) => list.map((r) => (C.centre[r] === null || C.limit_1s[r] === null ? null : C.centre[r] + off(k, r)));
    const line = (k, style, more) => ({ type: "scatter", mode: "lines", x, y: at(k), hoverinfo: "skip", line: { shape: "hvh", ...style }, ...more });
    const pair = (k, style, text) => [line(k, style, { name: text, legendrank: 300 + k }), line(-k, style, { showlegend: false })];
    const text = (r) => [T(C.plate[r]), `${T(C.quantity[r])} ${num(C.value[r], 4)}`, C.z[r] === null ? `no limits: ${plural(C.n[r], "plate")} before it` : `${num(C.z[r])} SD from the centre (${plural(C.n[r], "plate")} before it)`, T(C.rules_in_words[r])].filter(Boolean).map((s) => plain(shorten(s, 90))).join("<br>");
    const marks = Object.entries(POINT).map(([v, [symbol, colour, label]]) => {
      const k = x.filter((j) => T(C.verdict[list[j]]) === v);
      return k.length ? {
        type: "scatter", mode: "markers+text", x: k, y: k.map((j) => C.value[list[j]]), hovertext: k.map((j) => text(list[j])), hoverinfo: "text", name: label, legendrank: 200,
        text: k.map((j) => plain(T(C.rules[list[j]]).replace(/_/g, "-").replace(/;/g, ", "))), textposition: k.map((j) => (j > 0.8 * list.length ? "top left" : "top center")), textfont: { size: 11, color: colour }, cliponaxis: false,
        marker: { symbol, size: v === "fail" ? 11 : 9, color: colour, line: { color: colour, width: 1.5 } },
      } : null;
    }).filter(Boolean);
    draw(plot, [
      { type: "scatter", mode: "lines", x, y: list.map((r) => C.value[r]), hoverinfo: "skip", showlegend: false, line: { color: "#8b97a3", width: 1 } },
      ...(list.every((r) => C.centre[r] === null) ? [] : [line(0, { color: INK, width: 1.4 }, { name: "Centre", legendrank: 300 }),
      ...pair(1, { color: "#8b97a3", width: 0.8 }, "±1 SD"), ...pair(2, { color: "#7a5200", width: 1.2, dash: "dash" }, "±2 SD"), ...pair(3, { color: HARM, width: 1.2, dash: "dot" }, "±3 SD")]),
      ...marks,
    ], {
      height: 260,
      xaxis: axis("", { tickmode: "array", tickvals: x, ticktext: list.map((r) => plain(shortId(T(C.plate[r])))), showticklabels: list.length <= 40, tickangle: list.length > 6 ? -60 : 0, range: [-0.6, list.length - 0.4], showgrid: false }),
      yaxis: axis(plain(T(C.quantity[list[0]])), {}),
    });
    plot.on("plotly_click", (e) => {
      const r = list[e.points[0] && e.points[0].x];
      if (r !== undefined && plateOpeners.has(T(C.plate[r]))) location.hash = `#/plate/${encodeURIComponent(T(C.plate[r]))}`;
    });
  }
