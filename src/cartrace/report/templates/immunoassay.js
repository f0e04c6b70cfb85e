  // ---------------------------------------------------------------- immunoassay plates in lists

  /** A target with its wells: what is said of a well (sample, dilution) travels once for all targets of the plate. */
  function unpackTarget(plate, t) {
    const P_ = unpack(plate.places), W = unpack(t.wells);
    for (const name of Object.keys(P_).filter((n) => n !== "rows")) W[name] = W.place.map((p) => P_[name][p]);
    return { W, S: unpack(t.samples), N: unpack(t.standards) };
  }
  const levelsOf = (c) => (c.n_accepted === null ? "–" : `${c.n_accepted} of ${c.n_judged}`);
  const namesOf = (list, most) => list.slice(0, most).join(", ") + (list.length > most ? ` and ${list.length - most} more` : "");
  const withUnit = (text, unit) => (unit ? `${text} ${unit}` : text);
  /** One line for each curve of a plate of a few targets, else how many hold. */
  function curvesCell(p, text) {
    const shown = p.targets.filter((t) => t.curve);
    if (shown.length > 3) return "";
    return shown.map((t) => h("div", {}, text(t), p.targets.length > 1 ? h("small", {}, ` ${t.name}`) : null));
  }
  function verdictsCell(p) {
    const shown = p.targets.filter((t) => t.curve), lost = p.targets.filter((t) => t.curve_lost).length;
    const without = lost ? h("div", {}, h("span", { class: "verdict rejected" }, lost > 1 || shown.length ? `${lost} without a curve` : "no curve")) : null;
    if (!shown.length) return without || h("span", { class: "nothing" }, p.targets.some((t) => t.readout === "concentration") ? "the instrument's" : "not needed");
    if (shown.length <= 3) return [...curvesCell(p, (t) => judged(t.curve.verdict)), without].filter(Boolean);
    return [without, ...["accepted", "flagged", "rejected"].map((v) => [v, shown.filter((t) => t.curve.verdict === v).length]).filter(([, n]) => n).map(([v, n]) => h("div", {}, judged(v), ` ${n}`))].filter(Boolean);
  }
  const worstCurve = (p) => Math.min(9, ...p.targets.map((t) => (t.curve_lost ? 0 : t.curve ? RANK[t.curve.verdict] : 9)));

  function immunoassaySection(noted) {
    const all = IMM.plates;
    plateNumbers(IMM, "results");
    const names = (p) => p.targets.map((t) => t.name);
    const list = table([
      { label: "Plate", cls: "text", cell: (p) => plateLink(p.id), sort: (p) => p.id },
      { label: "Assay", cell: (p) => p.assay, sort: (p) => p.assay },
      { label: "Targets", cls: "text panel", cell: (p) => namesOf(names(p), 3), sort: (p) => names(p).join() },
      ...["accepted", "flagged", "rejected"].map(countColumn),
      { label: "Curve", cell: verdictsCell, sort: worstCurve },
      { label: "Standards", tip: "Levels within tolerance, of those that are judged", cell: (p) => curvesCell(p, (t) => levelsOf(t.curve)), sort: (p) => (p.targets[0] && p.targets[0].curve ? p.targets[0].curve.n_accepted : null) },
      { label: "Limits", tip: "Lower and upper limit of quantification, in the well", cls: "text panel", cell: (p) => curvesCell(p, (t) => withUnit(`${num(t.curve.lloq)} to ${num(t.curve.uloq)}`, t.unit)) },
      findingsColumn(noted),
    ], all, { label: "Immunoassay plates", limit: 50 });
    view.append(h("h3", {}, "To be repeated"));
    repeatList(IMM, "Immunoassays to be repeated", "cartrace_immunoassay_repeats.csv");
    view.append(h("h3", {}, "All plates"));
    findPlate(all, list, (p) => `${p.id} ${p.assay} ${names(p).join(" ")}`);
    view.append(list);
    controlCharts(IMM);
  }

  /** Which of the patient's samples stood on which immunoassay plate, and what became of them there. */
  function immunoassaysOf(s) {
    const rows = (IMM ? IMM.plates : []).flatMap((plate) => plate.targets.flatMap((t) => {
      const S_ = unpack(t.samples);
      return S_.rows.filter((r) => S_.s[r] === s && T(S_.task[r]) === "unknown").map((r) => ({
        plate, t, S: S_, r, sample: T(S_.sample[r]), wells: T(S_.wells[r]), verdict: T(S_.verdict[r]), flags: T(S_.flags[r]),
      }));
    }));
    if (!rows.length) return;
    view.append(h("h2", {}, "Immunoassay plates"), h("p", { class: "say" }, "Plates that hold samples of this patient: ", unique(rows.map((x) => x.plate.id)).flatMap((id, k) => [k ? ", " : "", plateLink(id)]), ". A rejected result enters no metric."),
      h("details", {}, h("summary", {}, "Each sample ", h("small", {}, plural(rows.length, "result"))), table([
        { label: "Plate", cls: "text", cell: (x) => plateLink(x.plate.id), sort: (x) => x.plate.id },
        { label: "Assay", cell: (x) => x.plate.assay, sort: (x) => x.plate.assay },
        { label: "Sample", cls: "text name", cell: (x) => x.sample, sort: (x) => x.sample },
        { label: "Target", cls: "text", cell: (x) => x.t.name, sort: (x) => x.t.name },
        { label: "Result", n: true, cls: "fold", cell: (x) => [resultNode(x.S, x.r, x.t), x.t.readout === "titre" ? null : h("div", {}, h("small", {}, x.t.unit))], sort: (x) => x.S.result[x.r] },
        { label: "Wells", cls: "text wells", cell: (x) => x.wells },
        { label: "Verdict", cls: "wide text", cell: (x) => [judged(x.verdict), noted(x.flags)].filter(Boolean), sort: (x) => RANK[x.verdict] },
      ], rows, { tight: true, label: "Samples on immunoassay plates", limit: 100 })));
  }
