  // ---------------------------------------------------------------- one immunoassay plate

  function immunoassayPage(k) {
    const plate = IMM.plates[k];
    plateHead(IMM.plates, k);
    const wells = unique(unpack(plate.places).well);
    const facts = [["", plate.assay], ["read as ", plate.readouts.join(", ")], ["signal: ", plate.signal], ["", plural(plate.targets.length, "target")], ["", plural(wells.length, "well")]].filter(([, value]) => value);
    view.append(h("div", { class: "facts" }, facts.map(([label, value]) => h("span", {}, label, h("b", {}, value)))),
      h("p", { class: "verdictline" }, plate.say.join(" ")));
    const found = findingsOf(plate.id);
    wholePlate(found, IMM.whole);
    const body = h("div", {});
    const show = (i) => {
      renew(body);
      targetPart(body, plate, plate.targets[i]);
    };
    const several = plate.targets.length > 1;
    // The target that needs a look comes first.
    const start = Math.max(0, several ? plate.targets.findIndex((t) => t.curve && t.curve.verdict === "rejected") : 0);
    if (several) {
      const rows = range(0, plate.targets.length);
      let set = show;
      if (plate.targets.some((t) => t.curve)) view.append(h("h2", {}, "Calibration curves"), calibrationTable(plate, rows.filter((i) => plate.targets[i].curve), (i) => set(i)));
      const name = (i) => plate.targets[i].name + (plate.targets[i].curve && plate.targets[i].curve.verdict === "rejected" ? " (curve rejected)" : "");
      if (several && plate.targets.length <= 6) {
        const group = segments("Target", rows.map((i) => [i, name(i)]), start, show);
        set = (i) => { group.children[i].click(); group.scrollIntoView({ block: "start" }); };
        view.append(h("div", { class: "controls bar" }, group));
      } else {
        const chooser = choice("Target", rows.map((i) => [i, name(i)]), start, (v) => show(Number(v)));
        set = (i) => { chooser.querySelector("select").value = String(i); show(i); chooser.scrollIntoView({ block: "start" }); };
        view.append(h("div", { class: "controls bar" }, chooser));
      }
    }
    view.append(body);
    if (plate.targets.length) show(start);
    plateFindings(found);
  }

  /** All that depends on the target that is shown. */
  function targetPart(into, plate, t) {
    const { W, S, N } = unpackTarget(plate, t);
    const at = wellsAt(W);
    if (t.readout === "titre") titreTable(into, t, W, S, at);
    else if (t.curve || N.rows.length || t.readout === "concentration") {
      calibrationFigure(into, plate, t, W, N);
      levelsTable(into, t, N);
      if (t.curve && plate.targets.length === 1) into.append(h("h2", {}, "Curve"), calibrationTable(plate, [0]));
    }
    resultTables(into, plate, t, S);
    mapOf(into, plate, t, W);
    wellRows(into, plate, t, W);
  }
  /** Well -> its rows, in the order of the file. */
  function wellsAt(W) {
    const at = new Map();
    for (const r of W.rows) at.set(T(W.well[r]), [...(at.get(T(W.well[r])) || []), r]);
    return at;
  }
  const nameOfWell = (W, r) => T(W.sample[r]) || T(W.sample_name[r]);
  const roleOf = (w, r) => IMM.tasks[T(w.task[r])][1];
  const signalOf = (W, r) => (W.corrected[r] === null ? W.signal[r] : W.corrected[r]);

  /** All that is known of one well and target, one thing a line. */
  function immunoText(plate, t, W, r) {
    const name = nameOfWell(W, r), given = T(W.sample_name[r]);
    const unit = t.unit;
    return [
      `${T(W.well[r])}: ${roleOf(W, r)}${name ? ", " + name : ""}${given && given !== name ? ` (on the plate: ${given})` : ""}`,
      `${t.name}${W.dilution[r] !== null && (W.dilution[r] !== 1 || t.readout === "titre") ? `, diluted ${titreText(W.dilution[r])}` : ""}`,
      W.signal[r] === null ? "" : `signal ${num(W.signal[r], 4)}${W.corrected[r] === null ? "" : `, without the blank ${num(W.corrected[r], 4)}`}`,
      W.bead_count[r] === null ? "" : plural(W.bead_count[r], "bead"),
      T(W.reading[r]),
      W.concentration[r] === null ? (T(W.range[r]) ? IMM.ranges[T(W.range[r])] : "") : `${withUnit(num(W.concentration[r]), unit)} in the well${T(W.range[r]) ? `, ${IMM.ranges[T(W.range[r])]}` : ""}`,
      W.result[r] === null ? "" : `times the dilution ${withUnit(num(W.result[r]), unit)}`,
      W.nominal[r] === null ? "" : `expected ${withUnit(num(W.nominal[r]), unit)}${W.recovery_percent[r] === null ? "" : `, found ${num(W.recovery_percent[r])} %`}`,
      W.vendor_concentration[r] === null ? "" : `instrument's software: ${withUnit(num(W.vendor_concentration[r], 4), unit)}`,
      T(W.vendor_status[r]) ? `in the file: ${T(W.vendor_status[r])}` : "",
      words(T(W.verdict[r])) + (T(W.flags[r]) ? ": " + T(W.flags[r]) : "") + (T(W.exclusion[r]) ? `: ${T(W.exclusion[r])}` : ""),
    ].filter(Boolean);
  }

  function calibrationFigure(into, plate, t, W, N) {
    into.append(h("h2", {}, `Calibration curve of ${t.name}`));
    const c = t.curve, band = t.band;
    const left = (r) => T(W.verdict[r]) === "not_used" || Boolean(T(W.exclusion[r]));
    const y = (r) => signalOf(W, r);
    const read = W.rows.filter((r) => y(r) !== null);
    const standards = read.filter((r) => T(W.task[r]) === "standard" && W.nominal[r] !== null);
    const level = (r) => N.rows.find((n) => Math.abs(N.nominal[n] - W.nominal[r]) <= 2e-3 * N.nominal[n]);
    const judgedAs = (r) => { const n = level(r); return left(r) ? "out" : n === undefined ? "used" : T(N.verdict[n]) !== "accepted" ? "out" : N.anchor[n] ? "anchor" : "used"; };
    const positive = standards.map((r) => W.nominal[r]).filter((x) => x > 0);
    if (!positive.length && !band) {
      into.append(h("p", { class: "notice" }, c ? "The concentrations are those of the instrument's software; the file has no readings of standards to draw." : t.samples.rows ? "No curve, and no standard with a signal and a concentration to draw." : "Nothing to draw."));
      return;
    }
    const [lowest, highest] = band ? [band.x[0], band.x[band.x.length - 1]] : [Math.min(...positive) / 4, Math.max(...positive) * 4];
    const say = !c ? "No curve could be made of these standards: the findings say why."
      : c.model === "vendor" ? "The concentrations are those of the instrument's software, whose curve is not in the file."
      : !band ? "The curve can't be drawn."
      : band.low ? `The band holds a single new well with a probability of ${num(100 * IMM.confidence)} %.` : "No band is drawn: the fit does not tell how sure it is.";
    const place = (r) => {
      const x = W.concentration[r];
      if (x === null) return { below_curve: lowest, above_curve: highest }[T(W.range[r])] ?? null;
      return x <= lowest ? lowest : x >= highest ? highest : x;
    };
    const beyond = (r) => place(r) === lowest || place(r) === highest;
    const others = read.filter((r) => ["unknown", "control", "positive_control", "negative_control"].includes(T(W.task[r])) && !left(r) && place(r) !== null);
    const atEdge = others.filter(beyond), inside = others.filter((r) => !beyond(r));
    const zero = standards.filter((r) => W.nominal[r] === 0), blanks = read.filter((r) => T(W.task[r]) === "blank" && !left(r));
    const edge = [...atEdge, ...zero, ...blanks];
    into.append(h("p", { class: "say" }, say, edge.length ? " What lies beyond the curve, a blank or a standard of concentration 0 stands at its edge." : "", N.rows.length ? " Below: what comes back of each level, in % of its concentration." : ""));
    const ys = [...(band ? band.fit : []), ...read.filter((r) => !left(r) || T(W.task[r]) === "standard").map(y)].filter((v) => v !== null);
    const [ymin, ymax] = [Math.min(...ys), Math.max(...ys)];
    const log = ymin > 0 && ymax / ymin > 100;
    const bottom = log ? ymin / 1.6 : ymin - 0.05 * (ymax - ymin), top = log ? ymax * 1.6 : ymax + 0.08 * (ymax - ymin);
    const clip = (v) => (v === null ? null : Math.min(Math.max(v, bottom), top));
    const plot = figure(`Calibration curve of ${t.name}: signal over concentration, with ${standards.length} standards and ${others.length} other wells.`, 500);
    Object.assign(plot.dataset, { paper: 400, screen: 500 });
    into.append(plot);
    const hover = (r) => hovering(immunoText(plate, t, W, r));
    const mark = (list, symbol, name, colour, x, height, more) => (list.length ? [{ type: "scatter", mode: "markers", x: list.map(x), y: list.map(height), hovertext: list.map(more && more.text ? more.text : hover), hoverinfo: "text", name, cliponaxis: false, marker: { symbol, size: 9, color: colour, line: { color: colour, width: 1.5 } }, ...(more && more.trace) }] : []);
    const nominal = (r) => W.nominal[r], by = (v) => inside.filter((r) => T(W.verdict[r]) === v && T(W.task[r]) === "unknown" && T(W.range[r]) !== "hook");
    const above = standards.filter((r) => W.nominal[r] > 0);
    const line = (x, name, style, rank) => (x !== null && x > lowest && x < highest ? [{ type: "scatter", mode: "lines", x: [x, x], y: [bottom, top], hoverinfo: "skip", name: `${name} ${withUnit(num(x), t.unit)}`, legendrank: rank, line: style }] : []);
    const recovery = N.rows.filter((n) => N.recovery_percent[n] !== null && N.nominal[n] > 0);
    const found = recovery.map((n) => N.recovery_percent[n]);
    const levelText = (n) => hovering([`${withUnit(num(N.nominal[n]), t.unit)}: comes back as ${withUnit(num(N.back_mean[n]), t.unit)}, ${num(N.recovery_percent[n])} %`, `${N.n_used[n]} of ${plural(N.n[n], "well")} in the fit`, N.anchor[n] ? "anchor, not judged" : words(T(N.verdict[n])) + (T(N.flags[n]) ? `: ${T(N.flags[n])}` : "")]);
    const levels = (test, symbol, colour) => mark(recovery.filter(test), symbol, "", colour, (n) => N.nominal[n], (n) => N.recovery_percent[n], { text: levelText, trace: { yaxis: "y2", showlegend: false } });
    draw(plot, [
      ...(band && band.low ? [{ type: "scatter", mode: "lines", x: band.x, y: band.low.map(clip), line: { width: 0 }, hoverinfo: "skip", showlegend: false },
        { type: "scatter", mode: "lines", x: band.x, y: band.high.map(clip), line: { width: 0 }, fill: "tonexty", fillcolor: "rgba(0,114,178,0.14)", hoverinfo: "skip", name: `${num(100 * IMM.confidence)} % prediction band`, legendrank: 310 }] : []),
      ...(band ? [{ type: "scatter", mode: "lines", x: band.x, y: band.fit, hoverinfo: "skip", name: `Curve (${c.model_in_words}, ${c.weights})`, legendrank: 300, line: { color: COLOURS[0], width: 2, shape: "spline" } }] : []),
      ...(c ? [...line(c.lloq, "LLOQ", { color: SOFT, width: 1.4, dash: "dash" }, 320), ...line(c.uloq, "ULOQ", { color: SOFT, width: 1.4, dash: "dash" }, 321), ...line(c.lod, "LOD", { color: SOFT, width: 1.4, dash: "dot" }, 322)] : []),
      ...mark(above.filter((r) => judgedAs(r) === "used"), "circle", "Standard", INK, nominal, y), ...mark(above.filter((r) => judgedAs(r) === "anchor"), "circle-open", "Anchor, not judged", INK, nominal, y),
      ...mark(above.filter((r) => judgedAs(r) === "out"), "x-thin-open", "Standard, left out", HARM, nominal, y), ...mark(zero, "hexagon-open", "Standard of concentration 0", INK, () => lowest, y), ...mark(blanks, "line-ew-open", "Blank", SOFT, () => lowest, y),
      ...mark(inside.filter((r) => T(W.task[r]) !== "unknown"), "star-open", "Control", COLOURS[3], place, y),
      ...mark(by("accepted"), "diamond-open", "Sample", COLOURS[1], place, y), ...mark(by("flagged"), "square-open", "Sample, flagged", "#7a5200", place, y), ...mark(by("rejected"), "triangle-up-open", "Sample, rejected", HARM, place, y),
      ...mark(inside.filter((r) => T(W.task[r]) === "unknown" && T(W.range[r]) === "hook"), "circle-x-open", "May be past the hook, not used", "#7a5200", place, y),
      ...mark(atEdge.filter((r) => place(r) === lowest), "triangle-left-open", "Below the curve", COLOURS[1], place, y), ...mark(atEdge.filter((r) => place(r) === highest), "triangle-right-open", "Above the curve", COLOURS[1], place, y),
      ...(recovery.length ? [{ type: "scatter", mode: "lines", x: [lowest, highest], y: [100, 100], yaxis: "y2", hoverinfo: "skip", showlegend: false, line: { color: COLOURS[0], width: 1.5 } }] : []),
      ...levels((n) => T(N.verdict[n]) === "accepted" && !N.anchor[n], "circle", INK), ...levels((n) => N.anchor[n] && T(N.verdict[n]) === "accepted", "circle-open", INK), ...levels((n) => T(N.verdict[n]) !== "accepted", "x-thin-open", HARM),
    ], {
      height: 500,
      xaxis: logAxis(withUnit("Concentration in the well", t.unit ? `(${t.unit})` : ""), { range: [Math.log10(lowest) - 0.06, Math.log10(highest) + 0.06], anchor: recovery.length ? "y2" : "y" }),
      yaxis: log ? logAxis(capital(plate.signal), { range: [Math.log10(bottom), Math.log10(top)], domain: recovery.length ? [0.32, 1] : [0, 1] }) : axis(capital(plate.signal), { range: [bottom, top], domain: recovery.length ? [0.32, 1] : [0, 1] }),
      ...(recovery.length ? { yaxis2: axis("Found, %", { domain: [0, 0.22], nticks: 4, range: [Math.min(75, ...found) - 5, Math.max(125, ...found) + 5] }) } : {}),
    });
  }

  function levelsTable(into, t, N) {
    if (!N.rows.length) return;
    const n = (label, unit, key, more) => ({ label, unit, n: true, cell: (r) => num(N[key][r]), sort: (r) => N[key][r], ...more });
    into.append(h("h2", {}, "Standards"), table([
      n("Nominal", t.unit, "nominal"),
      { label: "Wells", unit: "in the fit", n: true, cell: (r) => `${N.n_used[r]} of ${N.n[r]}` },
      n("Signal", "mean", "signal_mean", { cell: (r) => num(N.signal_mean[r], 4) }), n("CV", "of the signal, %", "signal_cv_percent"),
      n("Comes back as", t.unit, "back_mean"), n("Recovery", "%", "recovery_percent"), n("CV", "of what comes back, %", "back_cv_percent"),
      { label: "Verdict", cls: "wide text", cell: (r) => (N.anchor[r] && T(N.verdict[r]) === "accepted" ? [h("span", { class: "nothing" }, N.nominal[r] === 0 ? "concentration 0, not judged" : "anchor, not judged")] : [judged(T(N.verdict[r])), T(N.verdict[r]) === "rejected" && N.n_used[r] === 0 ? noted("left out of the fit: " + T(N.flags[r])) : noted(T(N.flags[r]))].filter(Boolean)), sort: (r) => RANK[T(N.verdict[r])] },
    ], N.rows, { label: "Standards", tight: true }));
  }

  const PARAMETERS = [["bottom", "A (at concentration 0)"], ["top", "D (at infinity)"], ["ec50", "C"], ["slope", "B"], ["asymmetry", "G"]];
  function parametersOf(c) {
    if (c.model === "vendor") return h("span", { class: "nothing" }, "not in the file");
    const shown = c.model === "linear" ? [["intercept", "intercept"], ["slope", c.log_concentration ? "slope against ln concentration" : "slope"]] : PARAMETERS.filter(([key]) => key !== "asymmetry" || c.model === "5pl");
    return shown.map(([key, label]) => h("div", { class: "line" }, h("small", {}, label + " "), num(c[key], 4)));
  }
  function calibrationTable(plate, rows, open) {
    const of = (i) => plate.targets[i], curve = (i) => plate.targets[i].curve;
    const n = (label, key, more) => ({ label, n: true, cell: (i) => num(curve(i)[key]), sort: (i) => curve(i)[key], ...more });
    const compared = rows.some((i) => curve(i).vendor_n);
    return table([
      { label: "Target", cls: "text", cell: (i) => [open ? h("button", { type: "button", class: "plainbutton", onclick: () => open(i) }, of(i).name) : of(i).name, of(i).label && of(i).label !== of(i).name ? h("div", { class: "say" }, of(i).label) : null].filter(Boolean), sort: (i) => of(i).name },
      { label: "Verdict", cls: "wide text", cell: (i) => [judged(curve(i).verdict), noted(curve(i).flags)].filter(Boolean), sort: (i) => RANK[curve(i).verdict] },
      { label: "Standards", tip: "Levels within tolerance, of those that are judged", n: true, cell: (i) => levelsOf(curve(i)), sort: (i) => curve(i).n_accepted },
      { label: "Limits", cls: "text panel", tip: "Lower and upper limit of quantification, in the well", cell: (i) => [withUnit(`${num(curve(i).lloq)} to ${num(curve(i).uloq)}`, of(i).unit), noted(curve(i).limits_from)].filter(Boolean), sort: (i) => curve(i).lloq },
      n("LOD", "lod", { cell: (i) => (curve(i).lod === null ? "–" : withUnit(num(curve(i).lod), of(i).unit)), tip: "Limit of detection, in the well: mean of the blanks and so many of their standard deviations" }),
      { label: "Model", cls: "text panel", cell: (i) => [curve(i).model_in_words, noted(curve(i).weights)].filter(Boolean), sort: (i) => curve(i).model },
      { label: "Parameters", cell: (i) => parametersOf(curve(i)) },
      n("r²", "r2", { cell: (i) => (curve(i).r2 === null ? "–" : num(curve(i).r2, 5)) }),
      ...(compared ? [{ label: "Instrument", unit: "difference from ours", tip: "Between the concentrations that the instrument's software computed and ours, over the wells of samples and controls within the limits", n: true, cell: (i) => (curve(i).vendor_n ? [`${num(curve(i).vendor_median, 2)} %`, h("div", {}, h("small", {}, `median of ${plural(curve(i).vendor_n, "well")}; largest ${num(curve(i).vendor_most, 2)} %`))] : "–"), sort: (i) => curve(i).vendor_median }] : []),
    ], rows, { label: "Calibration curves", tight: true, limit: 12 });
  }

  // Dilutions are whole numbers and stand as they are; a mean of two has three digits.
  const dilution = (x) => num(x, Number.isInteger(x) ? 9 : 3);
  const titreText = (x) => `1:${dilution(x)}`;
  /** A result as people read it: what is not quantified shows its bound, a rejected number is in italics. */
  function resultNode(S, r, t) {
    const seen = T(S.detection[r]), rejected = T(S.verdict[r]) === "rejected", titre = t.readout === "titre";
    const show = titre ? titreText : (x) => num(x);
    const lost = rejected ? "Rejected, not used. " : "";
    if (!seen) return explain(h("span", { class: "ne" }, "no result"), `${lost}${T(S.flags[r]) || "Nothing could be computed"}.`);
    if (seen === "quantified") {
      const [low, high] = [S.lower[r], S.upper[r]];
      const between = titre ? (high === null ? "" : `from ${dilution(low)} up to ${dilution(high)}`) : low === null || high === null ? "" : `${num(low)} to ${num(high)}`;
      if (rejected) return explain(h("span", { class: "ne" }, show(S.result[r])), lost + withUnit(show(S.result[r]), titre ? "" : t.unit) + (between ? `, ${between}` : ""));
      return h("span", {}, show(S.result[r]), between ? h("div", {}, h("small", {}, between)) : null);
    }
    const above = seen === "above_uloq", bound = above ? S.lower[r] : S.upper[r];
    const what = { BLQ: titre ? "Negative from the starting dilution on" : "Below quantification", BLD: "Not detected", above_uloq: titre ? "Positive at every dilution" : "Above the range" }[seen];
    return explain(h("span", { class: rejected || bound === null ? "ne" : "bound" }, bound === null ? DETECTION[seen] : `${above ? (titre ? "≥" : ">") : "<"} ${show(bound)}`), `${lost}${what}.`);
  }
  function verdictColumn(S) {
    return { label: "Verdict, and why", cls: "wide text", cell: (r) => [judged(T(S.verdict[r])), noted(T(S.flags[r])), T(S.repeat_reason[r]) ? h("div", { class: "say" }, h("b", {}, "Repeat: "), T(S.repeat_reason[r])) : null].filter(Boolean), sort: (r) => RANK[T(S.verdict[r])] };
  }
  function dilutionCell(S, r) {
    const all = T(S.dilutions[r]).split(", ").filter(Boolean);
    const used = (d) => S.dilution_used[r] !== null && Math.abs(Number(d) / S.dilution_used[r] - 1) < 1e-4;
    if (!all.length) return "–";
    if (all.length === 1 && Number(all[0]) === 1) return "undiluted";
    return all.flatMap((d, k) => [k ? ", " : "", used(d) && all.length > 1 ? h("b", {}, `1:${d}`) : `1:${d}`]);
  }

  function resultTables(into, plate, t, S) {
    const titre = t.readout === "titre";
    const by = (test) => S.rows.filter((r) => test(T(S.task[r])));
    const samples = by((x) => x === "unknown"), controls = by((x) => x !== "unknown");
    const compared = !(t.curve && t.curve.model === "vendor");
    const result = { label: t.readout === "index" ? "Ratio" : titre ? "Titre" : "Result", unit: titre || t.readout === "index" ? "" : t.unit, n: true, cls: "fold", cell: (r) => resultNode(S, r, t), sort: (r) => S.result[r] };
    /** The columns that samples and controls share; one without a number is left out. */
    const common = (rows) => {
      const has = (key) => rows.some((r) => S[key][r] !== null);
      const n = (label, unit, key, tip) => (has(key) ? [{ label, unit, n: true, tip, cell: (r) => num(S[key][r]), sort: (r) => S[key][r] }] : []);
      return [
        result,
        { label: "Wells", cls: "text wells", cell: (r) => [T(S.wells[r]), S.n_used[r] === S.n_wells[r] ? null : h("div", { class: "say line" }, `${S.n_used[r]} used`)].filter(Boolean) },
        ...(titre || !has("dilution_used") ? [] : [{ label: "Dilution", cls: "text", tip: "The dilution that gives the result is bold where there are several", cell: (r) => dilutionCell(S, r), sort: (r) => S.dilution_used[r] }]),
        ...n("CV", "%", "cv_percent", "Between the wells of the dilution that gives the result"),
        ...n("Linearity", "%", "linearity_percent", "Largest deviation of a dilution from the median of the dilutions"),
        ...n("Parallelism", "p", "parallelism_p", "p of the test that the dilutions follow the standards' curve"),
        ...(compared && has("vendor") ? [{ label: "Instrument", unit: "% of ours", tip: "What the instrument's software computed for the wells behind the result", n: true, cell: (r) => (S.vendor_percent[r] === null ? "–" : explain(h("span", {}, num(S.vendor_percent[r], 4)), `In the well: ${withUnit(num(S.vendor[r], 4), t.unit)} by the instrument's software, ${withUnit(num(S.ours[r], 4), t.unit)} by ours`)), sort: (r) => S.vendor_percent[r] }] : []),
        ...n("Expected", withUnit("in the well,", t.unit), "nominal"), ...n("Found", "% of expected", "recovery_percent"),
        verdictColumn(S),
      ];
    };
    if (!titre) {
      into.append(h("h2", {}, "Samples"));
      if (samples.length) {
        into.append(h("p", { class: "say" }, `${t.readout === "concentration" ? `Intervals are at ${num(100 * IMM.confidence)} %: the curve and the scatter that its standards have. ` : ""}A result in italics comes from a rejected measurement; a dotted one is a bound. Both say why on hover.`), table([
          { label: "Sample", cls: "text name", cell: (r) => sampleName(S, r), sort: (r) => T(S.sample[r]) }, ...common(samples),
        ], samples, { label: "Samples of the plate", tight: true, sticky: true, limit: 200 }));
      } else into.append(h("p", { class: "notice" }, "No sample is on this plate."));
    }
    if (controls.length) {
      into.append(h("h2", {}, "Controls"), table([
        { label: "Control", cls: "text", cell: (r) => [T(S.sample[r]), h("div", { class: "say" }, roleOf(S, r))], sort: (r) => T(S.sample[r]) },
        ...common(controls),
      ], controls, { label: "Controls of the plate", tight: true }));
    }
  }

  const READ = { positive: "+", negative: "−", equivocal: "±" };
  /** The dilution series of each sample, with the end point as an interval. */
  function titreTable(into, t, W, S, at) {
    into.append(h("h2", {}, `Titres of ${t.name}`));
    const rows = S.rows.filter((r) => T(S.task[r]) === "unknown");
    if (!rows.length) { into.append(h("p", { class: "notice" }, "No sample is on this plate.")); return; }
    const wellsOf = (r) => T(S.wells[r]).split(", ").flatMap((w) => (at.get(w) || []).filter((x) => nameOfWell(W, x) === T(S.sample[r]) || T(S.task[r]) !== "unknown"));
    const cutoffs = unique(S.cutoff.filter((x) => x !== null));
    // Dilutions within 1 % are one, as in the computation.
    const dilutions = unique(rows.flatMap(wellsOf).map((x) => W.dilution[x]).filter((x) => x !== null)).sort((a, b) => a - b).filter((d, k, all) => !k || d / all[k - 1] > 1.01);
    const typed = (x) => W.dilution[x] === null || (!T(W.reading[x]) && T(W.vendor_status[x]));
    const reading = (x) => {
      const word = READ[T(W.reading[x])] || "?", out = T(W.verdict[x]) === "not_used";
      const said = [roleOf(W, x) === "sample" ? T(W.well[x]) : `${T(W.well[x])}, ${roleOf(W, x)}`, T(W.reading[x]) || "no reading", T(W.vendor_status[x]) && `in the file: ${T(W.vendor_status[x])}`, W.signal[x] !== null && `signal ${num(W.signal[x], 4)}`, out && `not used: ${T(W.exclusion[x]) || T(W.flags[x])}`].filter(Boolean);
      return explain(h("span", { class: `reading ${out ? "out" : T(W.reading[x]) || "none"}` }, word), said.join(", "));
    };
    const some = rows.some((r) => wellsOf(r).some(typed));
    into.append(h("p", { class: "say" }, `+ is positive, − negative, ± borderline; several signs of one dilution are several readers. ${cutoffs.length ? `Positive from a signal of ${cutoffs.map((x) => num(x, 4)).join(" or ")} on. ` : ""}The titre is the last positive dilution and lies from there up to the first negative one.`), table([
      { label: "Sample", cls: "text name", cell: (r) => sampleName(S, r), sort: (r) => T(S.sample[r]) },
      ...dilutions.map((d) => ({ label: titreText(d), cls: "series", cell: (r) => wellsOf(r).filter((x) => W.dilution[x] !== null && Math.abs(W.dilution[x] / d - 1) <= 0.01 && !typed(x)).map(reading) })),
      ...(some ? [{ label: "Typed", tip: "An end point, or a word that says neither + nor −", cls: "text", cell: (r) => wellsOf(r).filter(typed).map((x) => h("div", {}, T(W.vendor_status[x]) || "–")) }] : []),
      { label: "Titre", n: true, cls: "fold", cell: (r) => resultNode(S, r, t), sort: (r) => S.result[r] ?? S.upper[r] ?? S.lower[r] },
      verdictColumn(S),
    ], rows, { label: "Titres of the plate", tight: true, sticky: true, limit: 200 }));
  }

  function mapOf(into, plate, t, W) {
    const box = h("div", {});
    const signals = W.rows.filter((r) => T(W.verdict[r]) !== "not_used").map((r) => signalOf(W, r)).filter((x) => x !== null);
    const [low, high] = [Math.min(...signals), Math.max(...signals)];
    const log = low > 0 && high / low > 100;
    const part = (x) => (high > low ? (log ? Math.log(x / low) / Math.log(high / low) : (x - low) / (high - low)) : 0);
    const shade = (list) => {
      const x = signalOf(W, list[0]);
      return x === null ? { style: "background: #fff", text: T(W.vendor_status[list[0]]) } : { style: `background: ${wash(COLOURS[0], (0.04 + 0.5 * Math.min(1, Math.max(0, part(x)))).toFixed(3))}`, text: num(x) };
    };
    const fill = (by) => {
      box.replaceChildren();
      plateMap(box, W, W.rows, { tasks: IMM.tasks, text: (w, r) => immunoText(plate, t, w, r), title: "", shade: by === "signal" ? shade : null });
      if (by === "signal") box.append(h("p", { class: "say" }, `The darker, the stronger the signal (${log ? "logarithmic, " : ""}${num(low)} to ${num(high)}).`));
    };
    into.append(h("h2", {}, `Wells: ${t.name}`));
    if (signals.length) into.append(h("div", { class: "controls" }, segments("Ground of the wells", [["verdict", "Verdict"], ["signal", "Signal"]], "verdict", fill)));
    into.append(box);
    fill("verdict");
  }

  function wellRows(into, plate, t, W) {
    const box = h("details", {}, h("summary", {}, "All wells as a table ", h("small", {}, plural(W.rows.length, "row"))));
    // Hundreds of rows: made when they are asked for.
    box.addEventListener("toggle", () => {
      if (!box.open || box.children.length > 1) return;
      const n = (label, key, digits) => ({ label, n: true, cell: (r) => num(W[key][r], digits), sort: (r) => W[key][r] });
      const shown = [["Dilution", "dilution", 6], ["Signal", "signal", 4], ["Without blank", "corrected", 4], ["Beads", "bead_count", 6], ["Expected", "nominal"], [`In the well${t.unit ? ", " + t.unit : ""}`, "concentration"], ["Found %", "recovery_percent"], ["Times dilution", "result"], ["Instrument", "vendor_concentration", 4]].filter(([, key]) => W[key].some((v) => v !== null));
      box.append(table([
        { label: "Well", cell: (r) => T(W.well[r]), sort: (r) => T(W.well[r]) },
        { label: "Sample", cls: "text", cell: (r) => nameOfWell(W, r), sort: (r) => nameOfWell(W, r) },
        { label: "Task", cell: (r) => roleOf(W, r), sort: (r) => roleOf(W, r) },
        ...shown.map(([label, key, digits]) => n(label, key, digits)),
        ...(W.reading.some((i) => T(i)) ? [{ label: "Reading", cell: (r) => T(W.reading[r]), sort: (r) => T(W.reading[r]) }] : []),
        ...(W.vendor_status.some((i) => T(i)) ? [{ label: "In the file", cls: "text", cell: (r) => T(W.vendor_status[r]), sort: (r) => T(W.vendor_status[r]) }] : []),
        { label: "Row", n: true, tip: "Row of the file", cell: (r) => num(W.source_row[r], 9), sort: (r) => W.source_row[r] },
        { label: "Verdict", cls: "wide text", cell: (r) => [judged(T(W.verdict[r])), noted([IMM.ranges[T(W.range[r])], T(W.flags[r]), T(W.exclusion[r])].filter(Boolean).join("; "))].filter(Boolean), sort: (r) => RANK[T(W.verdict[r])] },
      ], W.rows, { label: "Wells", tight: true, limit: 400 }));
    });
    into.append(box);
  }
