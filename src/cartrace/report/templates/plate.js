  // ---------------------------------------------------------------- one plate

  function platePage(k) {
    const plate = PCR.plates[k];
    const W = unpack(plate.wells), C = unpack(plate.curves), S_ = unpack(plate.samples);
    plateHead(PCR.plates, k);
    const volumes = unique(W.partition_volume_nl.filter((v) => v !== null));
    const facts = [[plate.method, ""], ASSAY[plate.assay] === plate.method ? null : [ASSAY[plate.assay] || plate.assay, "assay "], [plural(unique(W.well).length, "well"), ""],
      ...["accepted", "flagged", "rejected"].map((v) => [`${plate.counts[v]} ${v}`, v === "accepted" ? "samples: " : ""]),
      volumes.length ? [volumes.map((v) => `${num(v)} nL`).join(", "), "partition volume "] : null, plate.repeats ? [String(plate.repeats), "to be repeated "] : null].filter((f) => f && f[0]);
    view.append(h("div", { class: "facts" }, facts.map(([value, label]) => h("span", {}, label, h("b", {}, value)))));
    const found = findingsOf(plate.id);
    wholePlate(found, PCR.whole);
    const targets = unique([...C.target, ...W.target]);
    const role = (t) => T(W.role[W.target.indexOf(t)]);
    // The target that is reported comes first.
    targets.sort((a, b) => (role(b) === "transgene") - (role(a) === "transgene"));
    const body = h("div", {});
    const show = (t) => {
      renew(body);
      const mine = W.rows.filter((r) => W.target[r] === t);
      C.rows.filter((r) => C.target[r] === t).forEach((r) => curveFigureOf(body, plate, W, C, r, mine));
      plateMap(body, W, mine, { tasks: PCR.tasks, text: wellText, title: mine.length ? `Wells: ${T(t)}` : "Wells" });
      if (mine.some((r) => W.partitions[r] !== null)) partitionFigure(body, W, mine);
      plate.droplets.filter((d) => d.target === t).forEach((d) => dropletFigure(body, d));
    };
    if (targets.length > 1) view.append(h("div", { class: "controls" }, segments("Target", targets.map((t) => [t, T(t) + (role(t) && role(t) !== "transgene" ? ` (${words(role(t))})` : "")]), targets[0], show)));
    view.append(body);
    if (targets.length) show(targets[0]);
    if (C.rows.length) curveTable(C);
    sampleTables(S_);
    wellTable(W);
    plateFindings(found);
  }
  /** The way to the plates beside it, and its name. */
  function plateHead(all, k) {
    const next = (j, arrow) => { const a = plateLink(all[j].id); a.textContent = arrow < 0 ? `← ${all[j].id}` : `${all[j].id} →`; a.rel = arrow < 0 ? "prev" : "next"; return a; };
    view.append(
      h("div", { class: "turn" }, k > 0 ? next(k - 1, -1) : null, h("a", { href: "#/plates" }, "All plates"), k < all.length - 1 ? next(k + 1, 1) : null),
      h("h1", { tabindex: "-1" }, all[k].id));
  }
  /** What rejects every sample must not wait at the bottom of the page. */
  function wholePlate(found, checks, most = 5) {
    const whole = found.filter((r) => T(Q.verdict[r]) === "fail" && checks.includes(T(Q.check[r])));
    if (whole.length) view.append(h("div", { class: "notice" }, whole.slice(0, most).map((r) => h("div", {}, verdicts("fail"), " ", T(Q.message[r]))), whole.length > most ? h("div", {}, `and ${whole.length - most} more, among the findings below`) : null));
  }
  function plateFindings(found) {
    view.append(h("h2", {}, "Findings"));
    const serious = found.filter((r) => SEVERITY[T(Q.verdict[r])] < 2), rest = found.filter((r) => SEVERITY[T(Q.verdict[r])] >= 2);
    if (serious.length) view.append(findings(serious));
    else view.append(h("p", { class: "notice" }, rest.length ? "No check failed or warned about this plate." : "No check found anything about this plate."));
    if (rest.length) view.append(h("details", {}, h("summary", {}, plural(rest.length, "note")), findings(rest)));
  }
  const interval = (a, b, digits) => (a === null || b === null ? "" : ` (${num(a, digits)} to ${num(b, digits)})`);
  const task = (w, r) => PCR.tasks[T(w.task[r])][1];
  /** All that is known of one well and target, one thing a line. */
  function wellText(W, r) {
    const name = T(W.sample[r]) || T(W.sample_name[r]);
    const given = T(W.sample_name[r]) && T(W.sample_name[r]) !== name ? ` (on the plate: ${T(W.sample_name[r])})` : "";
    return [
      `${T(W.well[r])}: ${task(W, r)}${name ? ", " + name : ""}${given}`,
      `${T(W.target[r])}${T(W.reporter[r]) ? ", " + T(W.reporter[r]) : ""}`,
      W.cq[r] !== null ? `Cq ${num(W.cq[r], 4)}` : T(W.cq_kind[r]) === "undetermined" ? "no amplification" : "",
      W.partitions[r] !== null ? `${num(W.positives[r], 9)} of ${num(W.partitions[r], 9)} partitions positive${W.copies_per_partition[r] === null ? "" : `, λ ${num(W.copies_per_partition[r])}`}` : "",
      W.copies[r] !== null ? `${num(W.copies[r])} copies/reaction${interval(W.lower[r], W.upper[r])}` : "",
      W.nominal[r] !== null ? `expected ${num(W.nominal[r])}${W.recovery_percent[r] === null ? "" : `, found ${num(W.recovery_percent[r])} %`}${W.residual[r] === null ? "" : `, residual ${num(W.residual[r])} Cq`}` : "",
      W.implied_volume_nl[r] !== null ? `partition volume ${num(W.partition_volume_nl[r])} nL, the instrument's number implies ${num(W.implied_volume_nl[r])} nL` : "",
      T(W.vendor_status[r]) ? `instrument: ${T(W.vendor_status[r])}` : "",
      words(T(W.verdict[r])) + (T(W.flags[r]) ? ": " + T(W.flags[r]) : "") + (T(W.exclusion[r]) ? `: ${T(W.exclusion[r])}` : ""),
    ].filter(Boolean);
  }
  const hovering = (lines) => lines.map((s) => plain(shorten(s, 90))).join("<br>");
  const wellHover = (W, r) => hovering(wellText(W, r));

  function curveFigureOf(into, plate, W, C, c, mine) {
    const own = T(C.source[c]) === "plate";
    const band = plate.bands[c];
    into.append(h("h2", {}, `Standard curve of ${T(C.target[c])}`));
    if (!band) { into.append(h("p", { class: "notice" }, `No curve: ${T(C.flags[c]) || "it could not be fitted"}.`)); return; }
    const measured = mine.filter((r) => W.cq[r] !== null);
    const used = (r) => T(W.verdict[r]) !== "not_used" && !T(W.exclusion[r]);
    const standards = measured.filter((r) => T(W.task[r]) === "standard" && W.nominal[r] > 0);
    const residuals = standards.filter((r) => W.residual[r] !== null);
    into.append(h("p", { class: "say" }, `${own ? "Standards of this plate" : `Stored curve ${T(C.source[c])}`}. `,
      band.low ? `The band holds a single new well with a probability of ${num(100 * PCR.confidence)} %. ` : `No band is drawn: ${!own ? "it would need the plates of the stored curve" : T(C.weighting[c]) === "none" ? "the standards are too few" : "the standards are weighted, and scatter differs from level to level"}. `,
      residuals.length ? "Below: how far each standard lies from the line." : ""));
    const read = measured.filter((r) => T(W.task[r]) !== "standard" && W.copies[r] > 0 && used(r));
    const silent = mine.filter((r) => T(W.task[r]) === "unknown" && T(W.cq_kind[r]) === "undetermined").length;
    const plot = figure(`Standard curve of ${T(C.target[c])}: Cq over copies per reaction, slope ${num(C.slope[c])}, r² ${num(C.r2[c], 4)}, with ${standards.length} standards and ${read.length} other wells, and the residuals of the standards.`, 480);
    Object.assign(plot.dataset, { paper: 380, screen: 480 });
    into.append(plot);
    const mark = (list, y, symbol, name, colour, x, more) => (list.length ? [{ type: "scatter", mode: "markers", x: list.map(x), y: list.map(y), hovertext: list.map((r) => wellHover(W, r)), hoverinfo: "text", name, marker: { symbol, size: 9, color: colour, line: { color: colour, width: 1.5 } }, ...more }] : []);
    const nominal = (r) => W.nominal[r], cq = (r) => W.cq[r], residual = (r) => W.residual[r];
    const by = (v) => read.filter((r) => T(W.verdict[r]) === v);
    const values = [...band.x, ...standards.map(nominal)];
    draw(plot, [
      ...(band.low ? [{ type: "scatter", mode: "lines", x: band.x, y: band.low, line: { width: 0 }, hoverinfo: "skip", showlegend: false },
        { type: "scatter", mode: "lines", x: band.x, y: band.high, line: { width: 0 }, fill: "tonexty", fillcolor: "rgba(0,114,178,0.14)", hoverinfo: "skip", name: `${num(100 * PCR.confidence)} % prediction band`, legendrank: 310 }] : []),
      { type: "scatter", mode: "lines", x: band.x, y: band.fit, hoverinfo: "skip", name: `Cq = ${num(C.intercept[c], 4)} ${C.slope[c] < 0 ? "−" : "+"} ${num(Math.abs(C.slope[c]), 4)} log₁₀ copies`, legendrank: 300, line: { color: COLOURS[0], width: 2 } },
      ...mark(standards.filter(used), cq, "circle", "Standard", INK, nominal), ...mark(standards.filter((r) => !used(r)), cq, "x-thin-open", "Standard, not used", SOFT, nominal),
      ...mark(by("accepted"), cq, "diamond-open", "Sample or control", COLOURS[1], (r) => W.copies[r]),
      ...mark(by("flagged"), cq, "square-open", "Flagged", "#7a5200", (r) => W.copies[r]), ...mark(by("rejected"), cq, "triangle-up-open", "Rejected", HARM, (r) => W.copies[r]),
      ...mark(residuals.filter(used), residual, "circle", "", INK, nominal, { yaxis: "y2", showlegend: false }), ...mark(residuals.filter((r) => !used(r)), residual, "x-thin-open", "", SOFT, nominal, { yaxis: "y2", showlegend: false }),
    ], {
      height: 480,
      xaxis: logAxis("Copies per reaction", { range: logRange(values), anchor: "y2" }),
      yaxis: axis("Cq", { domain: [0.32, 1] }),
      yaxis2: axis("Residual (Cq)", { domain: [0, 0.22], zeroline: true, zerolinecolor: COLOURS[0], zerolinewidth: 1.5, nticks: 4 }),
    });
    if (silent) into.append(h("p", { class: "say" }, `${plural(silent, "well")} of samples without amplification ${silent === 1 ? "is" : "are"} not on the curve.`));
  }

  const PLACE = /^([A-Z]{1,2})(\d\d)$/;
  const rowNumber = (s) => [...s].reduce((n, c) => n * 26 + c.charCodeAt(0) - 64, 0) - 1;
  const rowName = (i) => (i < 26 ? String.fromCharCode(65 + i) : "A" + String.fromCharCode(65 + i - 26));
  /** The wells of one target. how: tasks (letter and words of each), text (lines on a well), title, shade (style and text of a well, or none) */
  function plateMap(into, W, mine, how) {
    const at = new Map();
    for (const r of mine) at.set(T(W.well[r]), [...(at.get(T(W.well[r])) || []), r]);
    const places = [...at.keys()].map((w) => PLACE.exec(w)).filter(Boolean).map((m) => [rowNumber(m[1]), Number(m[2])]);
    const off = [...at.keys()].filter((w) => !PLACE.test(w));
    if (how.title) into.append(h("h2", {}, how.title));
    if (!mine.length) { into.append(h("p", { class: "notice" }, "No well of this plate has this target.")); return; }
    const worst = (list) => T(W.verdict[list.slice().sort((a, b) => RANK[T(W.verdict[a])] - RANK[T(W.verdict[b])])[0]]);
    const letters = new Set();
    const cell = (list, name) => {
      const r = list[0], verdict = worst(list);
      letters.add(T(W.task[r]));
      const who = T(W.sample[r]) || T(W.sample_name[r]);
      const [letter, role] = how.tasks[T(W.task[r])], shade = how.shade && verdict !== "not_used" ? how.shade(list) : null;
      return { class: `well ${verdict}`, style: shade && shade.style, "data-tip": list.map((x) => how.text(W, x).join("\n")).join("\n\n"), "aria-label": `${name}: ${role}${who ? " " + who : ""}, ${words(verdict)}`, inner: [h("b", { "aria-hidden": "true" }, letter), h("small", { "aria-hidden": "true" }, shade ? shade.text : who)] };
    };
    if (places.length) {
      const [rows, columns] = [[8, 12], [16, 24], [32, 48]].find(([a, b]) => places.every(([i, j]) => i < a && j <= b)) || [52, 99];
      const grid = range(0, rows).map((i) => h("tr", { role: "row" }, h("th", { scope: "row", role: "rowheader" }, rowName(i)), range(1, columns + 1).map((j) => {
        const name = rowName(i) + String(j).padStart(2, "0"), list = at.get(name);
        if (!list) return h("td", { role: "gridcell", class: "well", "aria-label": `${name}: nothing` });
        const { inner, ...attributes } = cell(list, name);
        return h("td", { role: "gridcell", tabindex: "-1", ...attributes }, inner);
      })));
      const map = h("table", { class: `map${columns > 12 ? " dense" : ""}`, role: "grid", "aria-label": "Plate map" },
        h("thead", {}, h("tr", { role: "row" }, h("td", {}), range(1, columns + 1).map((j) => h("th", { scope: "col", role: "columnheader" }, j)))), h("tbody", {}, grid));
      // One stop for the tabulator; the arrows walk between the wells that hold something.
      map.querySelector("[data-tip]").tabIndex = 0;
      const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
      map.addEventListener("keydown", (e) => {
        const move = step[e.key], from = e.target.closest("td[data-tip]");
        if (!move || !from) return;
        e.preventDefault();
        let [i, j] = [from.parentNode.rowIndex - 1, from.cellIndex];
        do { i += move[0]; j += move[1]; } while (i >= 0 && j >= 1 && i < rows && j <= columns && !grid[i].cells[j].dataset.tip);
        const to = grid[i] && j >= 1 && grid[i].cells[j];
        if (!to) return;
        from.tabIndex = -1;
        to.tabIndex = 0;
        to.focus();
      });
      map.addEventListener("pointerover", (e) => { const well = e.target.closest("td[data-tip]"); if (well) showTip(well); });
      map.addEventListener("pointerout", () => (tip.hidden = true));
      into.append(h("p", { class: "say" }, "Point at a well, or walk with the arrow keys, for all that is known of it."), h("div", { class: "scroll" }, map));
    }
    if (off.length) {
      into.append(h("p", { class: "say" }, "Without a place on a plate of wells:"), h("ul", { class: "loose" }, off.map((name) => {
        const { inner, ...attributes } = cell(at.get(name), name);
        return h("li", { tabindex: "0", ...attributes, title: attributes["data-tip"] }, h("span", {}, name), inner);
      })));
    }
    const seen = unique([...at.values()].map(worst)).sort((a, b) => RANK[b] - RANK[a]);
    into.append(h("ul", { class: "key" }, seen.map((v) => h("li", {}, h("span", { class: `well ${v}`, style: how.shade && v !== "not_used" ? "background: #fff" : null, "aria-hidden": "true" }), words(v))),
      [...letters].map((t) => h("li", {}, h("b", {}, how.tasks[t][0]), how.tasks[t][1]))));
  }

  const wellAxis = (names) => axis("", { tickmode: "array", tickvals: range(0, names.length), ticktext: names.map((n) => plain(shorten(n, 10))), showticklabels: names.length <= 100, tickangle: names.length > (narrow() ? 6 : 12) ? -90 : 0, tickfont: { size: names.length > 48 ? 8 : 11 }, range: [-0.7, names.length - 0.3], showgrid: false, ticks: "" });
  function partitionFigure(into, W, mine) {
    const list = mine.filter((r) => W.partitions[r] !== null);
    into.append(h("h2", {}, "Partitions of each well"), h("p", { class: "say" }, "Accepted partitions, and those of them that are positive. An open square at the bottom is a well without any positive partition."));
    const plot = figure(`Accepted and positive partitions of ${plural(list.length, "well")}, logarithmic.`, 300);
    Object.assign(plot.dataset, { paper: 240, screen: 300 });
    into.append(plot);
    const x = range(0, list.length), text = list.map((r) => wellHover(W, r));
    const pick = (test) => x.filter((j) => test(list[j]));
    const of = (k, y, symbol, name, colour) => (k.length ? [{ type: "scatter", mode: "markers", x: k, y: k.map((j) => y(list[j])), hovertext: k.map((j) => text[j]), hoverinfo: "text", name, marker: { symbol, size: 8, color: colour, line: { color: colour, width: 1.5 } } }] : []);
    const bad = (r) => T(W.verdict[r]) === "rejected", out = (r) => T(W.verdict[r]) === "not_used", count = (r) => W.partitions[r] || 0.5;
    draw(plot, [
      ...of(pick((r) => !bad(r) && !out(r)), count, "circle-open", "Accepted partitions", INK), ...of(pick(bad), count, "triangle-up-open", "Accepted partitions, well rejected", HARM), ...of(pick(out), count, "x-thin-open", "Accepted partitions, well not used", SOFT),
      ...of(pick((r) => W.positives[r] > 0), (r) => W.positives[r], "circle", "Positive partitions", COLOURS[0]), ...of(pick((r) => W.positives[r] === 0), () => 0.5, "square-open", "No positive partition", COLOURS[0]),
    ], { height: 300, xaxis: wellAxis(list.map((r) => T(W.well[r]))), yaxis: logAxis("Partitions", { range: logRange([0.5, ...list.map((r) => W.partitions[r])]) }) });
  }
  function dropletFigure(into, d) {
    into.append(h("h2", {}, `Amplitudes of ${T(d.target)}`), h("p", { class: "say" }, "The darker, the more partitions of the well have that amplitude (logarithmic). The line is the threshold between negative and positive."));
    const plot = figure(`Amplitudes of the partitions in ${plural(d.wells.length, "well")}, with the threshold of each.`, 360);
    Object.assign(plot.dataset, { paper: 280, screen: 360 });
    // A few wells need no wide picture.
    if (d.wells.length < 10) plot.style.maxWidth = `${240 + 90 * d.wells.length}px`;
    into.append(plot);
    const text = d.counts.map((row, i) => row.map((n, j) => (n ? plain(`${d.wells[j]}, ${num(d.edges[i])} to ${num(d.edges[i + 1])}: ${plural(n, "partition")}`) : "")));
    const most = Math.max(1, ...d.counts.flat());
    const ticks = range(0, Math.floor(Math.log10(most)) + 1);
    const limit = { x: [], y: [], text: [] };
    d.thresholds.forEach((t, j) => { if (t !== null) { limit.x.push(j - 0.5, j + 0.5, null); limit.y.push(t, t, null); limit.text.push(plain(`${d.wells[j]}: threshold ${num(t)}`), plain(`${d.wells[j]}: threshold ${num(t)}`), null); } });
    draw(plot, [
      { type: "heatmap", x: range(0, d.wells.length + 1).map((j) => j - 0.5), y: d.edges, z: d.counts.map((row) => row.map((n) => (n ? Math.log10(n) : null))), zmin: -0.6, zmax: Math.max(1, Math.log10(most)), hovertext: text, hoverinfo: "text", xgap: 2, showlegend: false,
        colorscale: [[0, "#ffffff"], [0.3, "#a9cfe6"], [1, "#00304f"]], colorbar: { title: { text: "Partitions", side: "right", font: { size: 12, color: SOFT } }, tickvals: ticks, ticktext: ticks.map((t) => num(10 ** t, 5)), thickness: 12, outlinewidth: 0 } },
      ...(limit.x.length ? [{ type: "scatter", mode: "lines", ...limit, hoverinfo: "text", name: "Threshold", line: { color: HARM, width: 1.8 } }] : []),
    ], { height: 360, xaxis: wellAxis(d.wells), yaxis: axis("Amplitude", {}) });
  }

  function curveTable(C) {
    view.append(h("h2", {}, C.rows.length > 1 ? "Standard curves" : "Standard curve"), table([
      { label: "Target", cell: (r) => T(C.target[r]) },
      { label: "From", cls: "text", cell: (r) => (T(C.source[r]) === "plate" ? "this plate" : T(C.source[r])) },
      { label: "Slope", n: true, cell: (r) => [num(C.slope[r], 4), h("div", {}, h("small", {}, interval(C.slope_lower[r], C.slope_upper[r], 4)))] },
      { label: "Intercept", n: true, cell: (r) => [num(C.intercept[r], 4), h("div", {}, h("small", {}, interval(C.intercept_lower[r], C.intercept_upper[r], 4)))] },
      { label: "r²", n: true, cell: (r) => num(C.r2[r], 4) },
      { label: "Efficiency", unit: "%", n: true, cell: (r) => [num(C.efficiency_percent[r], 4), h("div", {}, h("small", {}, interval(C.efficiency_lower[r], C.efficiency_upper[r])))] },
      { label: "Standards", n: true, tip: "Wells in the fit, of all", cell: (r) => `${num(C.n_used[r])} of ${num(C.n_standards[r])}` },
      { label: "Levels", n: true, cell: (r) => num(C.n_levels[r]) },
      { label: "Range", unit: "copies/reaction", cell: (r) => `${num(C.lowest[r])} to ${num(C.highest[r])}` },
      { label: "Instrument", tip: "What the instrument's software printed", cell: (r) => (C.vendor_slope[r] === null ? "–" : h("small", {}, `slope ${num(C.vendor_slope[r], 4)}, intercept ${num(C.vendor_intercept[r], 4)}`)) },
      { label: "Verdict", cls: "wide text", cell: (r) => [judged(T(C.verdict[r])), h("div", { class: "say" }, T(C.flags[r]))] },
    ], C.rows, { label: "Standard curves" }));
  }

  const DETECTION = { quantified: "quantified", BLQ: "below quantification", BLD: "not detected", above_uloq: "above the range" };
  /** Copies in one unit with their interval; what is not quantified is never shown as a plain number. */
  function amount(t, r, key, unit) {
    const v = t[key][r], seen = T(t.detection[r]);
    if (v === null) return h("span", { class: "nothing" }, "–");
    const said = `${num(v)} ${unit}${interval(t[key + "_lower"]?.[r] ?? null, t[key + "_upper"]?.[r] ?? null)}`;
    const rejected = T(t.verdict[r]) === "rejected" ? "Rejected, not used. " : "";
    if (rejected && (!seen || seen === "quantified")) return explain(h("span", { class: "ne" }, num(v)), rejected + said);
    if (!seen || seen === "quantified") return [num(v), h("div", {}, h("small", {}, interval(t[key + "_lower"]?.[r] ?? null, t[key + "_upper"]?.[r] ?? null)))];
    const [sign, limit] = { BLQ: ["<", t.lloq[r]], BLD: ["<", t.lod[r]], above_uloq: [">", t.uloq[r]] }[seen];
    return key === "copies" && limit !== null ? explain(h("span", { class: "bound" }, `${sign} ${num(limit)}`), `${rejected}${capital(DETECTION[seen])}. Computed: ${said}`)
      : explain(h("span", { class: "ne" }, DETECTION[seen]), `${rejected}Computed: ${said}`);
  }
  function sampleTables(S_) {
    // The reaction's own interval has short names in the table.
    const t = { ...S_, copies_lower: S_.lower, copies_upper: S_.upper };
    const digital = S_.rows.some((r) => S_.partitions[r] !== null);
    const by = (test) => S_.rows.filter((r) => test(T(S_.task[r])));
    const unit = (key, label, text) => ({ label: "Copies", unit: label, n: true, cls: "fold", cell: (r) => amount(t, r, key, text), sort: (r) => S_[key][r] });
    const common = [
      { label: "Target", cell: (r) => T(S_.target[r]), sort: (r) => T(S_.target[r]) },
      { label: "Wells", cls: "text wells", cell: (r) => [T(S_.wells[r]), S_.n_used[r] === S_.n_wells[r] ? null : h("div", { class: "say line" }, `${S_.n_used[r]} used`)].filter(Boolean) },
      digital ? { label: "Positive", unit: "of partitions", n: true, cls: "fold", cell: (r) => (S_.partitions[r] === null ? "–" : [num(S_.positives[r], 9), h("div", {}, h("small", {}, `of ${num(S_.partitions[r], 9)}`))]), sort: (r) => S_.positives[r] }
        : { label: "Cq", unit: "mean ± SD", n: true, cls: "fold", cell: (r) => (S_.cq_mean[r] === null ? "–" : [num(S_.cq_mean[r], 4), h("div", {}, h("small", {}, S_.cq_sd[r] === null ? "" : `± ${num(S_.cq_sd[r], 2)}`))]), sort: (r) => S_.cq_mean[r] },
      unit("copies", "per reaction", "copies/reaction"),
    ];
    const verdict = { label: "Verdict", cls: "wide text", cell: (r) => [judged(T(S_.verdict[r])), T(S_.flags[r]) ? h("div", { class: "say" }, T(S_.flags[r])) : null].filter(Boolean), sort: (r) => RANK[T(S_.verdict[r])] };
    const samples = by((x) => x === "unknown"), controls = by((x) => x !== "unknown" && x !== "standard");
    view.append(h("h2", {}, "Samples"));
    if (samples.length) {
      view.append(h("p", { class: "say" }, `Intervals are at ${num(100 * PCR.confidence)} %. Numbers in italics come from a rejected measurement. A dash is a unit that was not computed; the findings say why.`), table([
        { label: "Sample", cls: "text name", cell: (r) => sampleName(S_, r), sort: (r) => T(S_.sample[r]) },
        ...common, unit("copies_per_ug", "per µg DNA", "copies/µg"), unit("copies_per_cell", "per cell", "copies/cell"), unit("copies_per_ul", "per µL blood", "copies/µL"),
        verdict,
      ], samples, { label: "Samples of the plate", tight: true, sticky: true, limit: 200 }));
    } else view.append(h("p", { class: "notice" }, "No sample is on this plate."));
    if (controls.length) {
      view.append(h("h2", {}, "Controls"), table([
        { label: "Control", cls: "text", cell: (r) => [T(S_.sample[r]), h("div", { class: "say" }, task(S_, r))], sort: (r) => T(S_.sample[r]) },
        ...common,
        { label: "Expected", unit: "per reaction", n: true, cell: (r) => num(S_.nominal[r]), sort: (r) => S_.nominal[r] },
        { label: "Found", unit: "% of expected", n: true, cell: (r) => num(S_.recovery_percent[r]), sort: (r) => S_.recovery_percent[r] }, verdict,
      ], controls, { label: "Controls of the plate" }));
    }
  }
  function wellTable(W) {
    const box = h("details", {}, h("summary", {}, "All wells as a table ", h("small", {}, plural(W.rows.length, "row"))));
    // Hundreds of rows: made when they are asked for.
    box.addEventListener("toggle", () => {
      if (!box.open || box.children.length > 1) return;
      const n = (label, key, digits) => ({ label, n: true, cell: (r) => num(W[key][r], digits), sort: (r) => W[key][r] });
      box.append(table([
        { label: "Well", cell: (r) => T(W.well[r]), sort: (r) => T(W.well[r]) },
        { label: "Sample", cls: "text", cell: (r) => T(W.sample[r]) || T(W.sample_name[r]), sort: (r) => T(W.sample[r]) || T(W.sample_name[r]) },
        { label: "Target", cell: (r) => T(W.target[r]), sort: (r) => T(W.target[r]) },
        { label: "Task", cell: (r) => task(W, r), sort: (r) => task(W, r) },
        ...[["Cq", "cq", 4], ["Expected", "nominal"], ["Copies", "copies"], ["Residual", "residual"], ["Found %", "recovery_percent"], ["Partitions", "partitions", 9], ["Positive", "positives", 9]].filter(([, key]) => W[key].some((v) => v !== null)).map(([label, key, digits]) => n(label, key, digits)),
        { label: "Row", n: true, tip: "Row of the file", cell: (r) => num(W.source_row[r], 9), sort: (r) => W.source_row[r] },
        { label: "Verdict", cls: "wide text", cell: (r) => [judged(T(W.verdict[r])), h("div", { class: "say" }, [T(W.flags[r]), T(W.exclusion[r])].filter(Boolean).join("; "))], sort: (r) => RANK[T(W.verdict[r])] },
      ], W.rows, { label: "Wells", tight: true, limit: 400 }));
    });
    view.append(h("h2", {}, "Well by well"), box);
  }
