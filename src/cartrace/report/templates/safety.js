  // ---------------------------------------------------------------- safety

  const SAFE = D.safety;
  const [SU, TX, GR] = SAFE ? [SAFE.summary, SAFE.toxicity, SAFE.grades] : [null, null, null];
  // From pale to dark, so that the grades keep their order without colour; the digit stands in the tile where it fits.
  const GRADES = ["#e3e8ec", "#fbd9a5", "#f0993f", "#cc5a12", "#8a2c04", "#1b2229"];
  const termLabel = (term) => (SAFE.labels[term] || [term])[0];
  const shortTerm = (term) => (SAFE.labels[term] || [term, term])[1];
  const WHO = { computed: "computed", clinician: "clinicians", reported: "reported" };
  const between = (a, b) => (a === b ? num(a) : `${num(a)} to ${num(b)}`);
  const safetyState = { i: 1, cohort: "all", term: "", source: "" };
  const GROUPS = { crs: "Cytokine release and neurotoxicity", icans: "Cytokine release and neurotoxicity", infection: "Infections" };
  function groupOf(kind, term) {
    if (kind === "infection") return "Infections";
    if (kind === "any_event" || kind === "adverse_event") return "Reported events";
    if (kind === "drug") return "Drugs against toxicity";
    return GROUPS[term] || (term.startsWith("icaht") ? "Haematotoxicity: depth and duration of low counts" : "Blood counts (CTCAE)");
  }

  /** A tile of one day for each grade: bars of one day, so that they keep their width on every axis. */
  function gradeTraces(rows, day, lane, high, more = {}) {
    const kinds = [...range(0, 6), "open"];
    return kinds.map((g) => {
      const mine = rows.filter((r) => (g === "open" ? GR.grade[r] === null : GR.grade[r] === g));
      const open = g === "open";
      return {
        type: "bar", x: mine.map((r) => day(r) + 0.5), base: mine.map((r) => lane(r) - high / 2), y: mine.map(() => high), width: mine.map(() => 1),
        name: open ? "Grade open: an observation is missing" : `Grade ${g}`, legendrank: open ? 690 : 600 + g, showlegend: mine.length > 0,
        hoverinfo: "text", hovertext: mine.map(gradeHover), customdata: mine.map((r) => GR.s[r]),
        text: mine.map((r) => (open ? "?" : String(g))), textposition: "inside", insidetextanchor: "middle", textangle: 0, constraintext: "none",
        insidetextfont: { size: 10, color: g === 0 ? SOFT : g !== "open" && g >= 3 ? "#fff" : INK },
        marker: { color: open ? "#fff" : GRADES[g], line: { width: 0 }, ...(open ? { pattern: { shape: "/", fgcolor: "#8b97a3", bgcolor: "#fff", size: 6, solidity: 0.2 } } : {}) }, ...more,
      };
    }).filter((t) => t.x.length);
  }
  const gradeText = (r, of) => (of.grade[r] === null ? (of.least[r] === null ? "not assessed" : `grade ${between(of.least[r], of.most[r])}, open`) : `grade ${of.grade[r]}`);
  function gradeHover(r) {
    const lines = [D.subjects[GR.s[r]].id, `${termLabel(T(GR.term[r]))}, ${WHO[T(GR.source[r])]}, day ${days(GR.day[r])} of infusion ${GR.infusion[r]}`, gradeText(r, GR), T(GR.because[r]), T(GR.reason[r])];
    return lines.filter(Boolean).map((x) => plain(shorten(x, 100))).join("<br>");
  }

  function safetyPage() {
    view.append(h("h1", { tabindex: "-1" }, "Safety"), h("p", { class: "lead" }, "The highest grade of each patient after an infusion. Day 0 is the infusion."));
    const infusions = unique(SU.infusion).sort((a, b) => a - b);
    if (!infusions.includes(safetyState.i)) safetyState.i = infusions[0];
    const body = h("div", {});
    const fill = () => {
      renew(body);
      safetyBody(body);
    };
    if (infusions.length > 1 || cohorts.length > 1) {
      view.append(h("div", { class: "controls bar" },
        ...(infusions.length > 1 ? [choice("Infusion", infusions.map((i) => [i, `Infusion ${i}`]), safetyState.i, (v) => { safetyState.i = Number(v); fill(); })] : []),
        ...(cohorts.length > 1 ? [choice("Cohort", [["all", "All cohorts"], ...cohorts.map((c) => [c, c])], safetyState.cohort, (v) => { safetyState.cohort = v; fill(); })] : [])));
    }
    view.append(body);
    fill();
  }
  function safetyBody(into) {
    const rows = range(0, SU.cohort.length).filter((r) => T(SU.cohort[r]) === safetyState.cohort && SU.infusion[r] === safetyState.i);
    if (!rows.length) {
      into.append(h("p", { class: "notice" }, `No patient of this cohort had infusion ${safetyState.i}.`));
      return;
    }
    const member = (s) => safetyState.cohort === "all" || D.subjects[s].cohort === safetyState.cohort;
    const people = range(0, D.subjects.length).filter((s) => member(s) && D.subjects[s].infusions.some((i) => i.n === safetyState.i));
    toxicityTable(into, rows);
    daysFigure(into, people);
    onsetTable(into, rows);
    recoveryTable(into, people);
    highestTable(into, people);
    disagreements(into, people);
    standardsTable(into);
  }

  const termCell = (r) => {
    const [kind, term, source] = [T(SU.kind[r]), T(SU.term[r]), T(SU.source[r])];
    return kind === "graded" ? [termLabel(term) + " ", h("small", {}, WHO[source])] : capital(term);
  };
  const whole = (r) => (T(SU.basis[r]) === "treated" ? SU.n_total[r] : SU.n_assessed[r]);
  /** n (%) of a column of the table; bounds where grades are open. */
  function countCell(r, name) {
    const [least, most] = [SU[`n_${name}`][r], SU[`n_${name}_most`][r]];
    if (least === null) return T(SU.kind[r]) === "drug" ? "" : explain(h("span", { class: "ne" }, "–"), "Death from it: only clinicians can say so.");
    if (!whole(r)) return h("span", { class: "nothing" }, "–");
    // Whole percents, as key results print them.
    const percent = (n) => { const x = (100 * n) / whole(r); return `${x < 0.5 ? "< 1" : x >= 99.5 && x < 100 ? "> 99" : Math.round(x)} %`; };
    const [lower, upper] = [`percent_${name}_lower`, `percent_${name}_upper`].map((c) => (SU[c] ? SU[c][r] : null));
    const interval = lower === null || lower === undefined ? "" : `Exact 95 % interval ${num(lower)} to ${num(upper)} %. `;
    if (least !== most) return explain(h("span", { class: "bound" }, `${least} to ${most}`), `${interval}${plural(SU.n_open[r], "patient")} with an open grade. ${capital(T(SU.reason[r]))}`);
    if (!least) return h("span", { class: "nothing", title: interval }, "0");
    return h("span", { class: "whole", title: interval }, `${least} (${percent(least)})`);
  }
  function missingCell(r) {
    const n = SU.n_not_assessed[r];
    if (!n) return h("span", { class: "nothing" }, "0");
    const reports = T(SU.basis[r]) === "treated";
    return explain(h("span", { class: "ne" }, reports ? "–" : num(n)), reports ? `${plural(n, "patient")} without a report: the events sheet tells who had it, not whether the others had none or nobody asked.` : capital(T(SU.reason[r])));
  }
  function toxicityTable(into, rows) {
    const n = SU.n_total[rows[0]];
    into.append(h("h2", {}, "Highest grade by term"), h("p", { class: "say" }, `Patients by their highest grade, n (%), of ${plural(n, "patient")} with infusion ${safetyState.i}. Computed: from bedside observations and blood counts, by the tables at the end of this page; clinicians: as the doctors graded it. Percentages are of the patients in the second column: those assessed, or all with the infusion where the events sheet reports. Where an observation is missing, a patient's grade stays open between two; then the count is a range (purple). Patients who were not assessed never count as free of it.`));
    const grade = (g) => ({ label: `Grade ${g}`, n: true, cell: (r) => countCell(r, `grade_${g}`) });
    into.append(h("div", { class: "controls" }, h("button", { type: "button", class: "push", onclick: () => {
      const columns = Object.keys(SU);
      const texts = new Set(["cohort", "kind", "term", "source", "basis", "reason"]);
      download("cartrace_safety.csv", columns, rows.map((r) => columns.map((c) => (texts.has(c) ? T(SU[c][r]) : SU[c][r]))));
    } }, "Download as CSV")),
    table([
      { label: "Term", cls: "wide text", cell: termCell },
      { label: "Patients", n: true, tip: "Whom the percentages refer to", cell: (r) => num(whole(r)) },
      { label: "Any grade", n: true, cell: (r) => countCell(r, "any") },
      ...range(1, 6).map(grade),
      { label: "Grade ≥ 3", n: true, cell: (r) => countCell(r, "grade_3_plus") },
      { label: "Not assessed", n: true, cell: missingCell },
    ], rows, { sticky: true, tight: true, group: (r) => groupOf(T(SU.kind[r]), T(SU.term[r])), label: "Highest grade by term" }));
  }

  /** Grades by day: one row for each patient, one tile for each day. */
  function daysFigure(into, people) {
    const mine = range(0, GR.s.length).filter((r) => GR.infusion[r] === safetyState.i && people.includes(GR.s[r]) && SAFE.by_day.includes(T(GR.term[r])));
    const options = SAFE.by_day.flatMap((term) => ["computed", "clinician"].map((source) => [term, source])).filter(([term, source]) => mine.some((r) => T(GR.term[r]) === term && T(GR.source[r]) === source));
    if (!options.length) return;
    const key = ([term, source]) => `${term}|${source}`;
    const both = (term) => options.filter(([t]) => t === term).length > 1;
    let now = options.find((o) => key(o) === `${safetyState.term}|${safetyState.source}`) || options[0];
    const box = h("figure", {}), body = h("div", {});
    into.append(h("h2", {}, "Grades by day"), h("p", { class: "say" }, "One tile for each day that was observed; between two tiles nobody looked, or nobody reported. Hatched, with a question mark: an observation is missing, and the grade lies between two."), box);
    box.append(h("div", { class: "controls" }, segments("Term", options.map((o) => [o, `${shortTerm(o[0]).replace("\u200b", "")}${both(o[0]) || o[1] === "clinician" ? `, ${WHO[o[1]]}` : ""}`]), now, (o) => { now = o; [safetyState.term, safetyState.source] = o; show(); })), body);
    const show = () => {
      renew(body);
      const rows = mine.filter((r) => T(GR.term[r]) === now[0] && T(GR.source[r]) === now[1]);
      const end = Math.max(28, ...rows.map((r) => GR.day[r] + 1));
      const high = people.length <= 40 ? 20 : people.length <= 80 ? 13 : 9;
      const size = Math.max(200, people.length * high + 76);
      const plot = figure(`Grades of ${termLabel(now[0])} by day from the infusion, one row for each of ${people.length} patients. The highest grades are in the tables.`, size);
      const span = (z) => [-0.02 * (z === "all" ? end : z) - 0.2, (z === "all" ? end : z) * 1.01];
      // Counts go on for months; what a phase 1 trial asks for happens in the first weeks.
      const first = end > 45 ? 28 : "all";
      if (zooms(end).length > 1) body.append(h("div", { class: "controls" }, segments("Days shown", zooms(end), first, (z) => Plotly.relayout(plot, { "xaxis.range": span(z) }))));
      body.append(plot);
      const place = new Map(people.map((s, k) => [s, k]));
      const none = people.filter((s) => !rows.some((r) => GR.s[r] === s));
      draw(plot, gradeTraces(rows, (r) => GR.day[r], (r) => place.get(GR.s[r]), 0.86), {
        height: size, barmode: "overlay", bargap: 0, uniformtext: { minsize: 10, mode: "hide" },
        xaxis: axis("Days from infusion", { range: span(first) }),
        yaxis: axis("", { showticklabels: people.length <= 80, tickmode: "array", tickvals: range(0, people.length), ticktext: people.map((s) => plain(shorten(D.subjects[s].id, 14))), range: [people.length - 0.4, -0.6], showgrid: false, ticks: "", tickfont: { size: high < 20 ? 9 : 12 } }),
      }, true);
      if (none.length) body.append(h("p", { class: "say" }, `${now[1] === "computed" ? "Not assessed" : "Without a clinician's grade"}: ${none.map((s) => D.subjects[s].id).join(", ")}.`));
    };
    show();
  }

  /** Median and range of days that may be known between bounds only. */
  function daysText(r, name) {
    const of = (c) => SU[`${name}_${c}`][r];
    const n = SU[`n_${name}`][r];
    if (!n) return "–";
    const open = name === "duration" && SU.n_duration_open[r] ? "≥ " : "";
    const range_ = of("minimum") === of("maximum") ? open + days(of("minimum")) : `${days(of("minimum"))} to ${open}${days(of("maximum"))}`;
    if (of("median") !== null) return `${days(of("median"))} (${range_})`;
    if (of("median_lower") !== null) return [explain(h("span", { class: "bound" }, of("median_upper") === null ? `≥ ${days(of("median_lower"))}` : between(of("median_lower"), of("median_upper"))), "The median lies there: some days are known as bounds only"), ` (${range_})`];
    return range_;
  }
  function onsetTable(into, rows) {
    const some = rows.filter((r) => SU.n_onset[r]);
    if (!some.length) return;
    into.append(h("h2", {}, "Onset and duration"), h("p", { class: "say" }, `Days of those who had it: median (smallest to largest); of fewer than ${D.min_n} patients the range alone. Day 0 is the infusion. What lasts, or has no end in the sheets, is known from below.`), table([
      { label: "Term", cls: "wide text", cell: termCell },
      { label: "Patients", n: true, cell: (r) => num(SU.n_onset[r]), sort: (r) => SU.n_onset[r] },
      { label: "Onset", unit: "day", n: true, cell: (r) => daysText(r, "onset"), sort: (r) => SU.onset_median_lower[r] },
      { label: "Duration", unit: "days", n: true, cell: (r) => daysText(r, "duration"), sort: (r) => SU.duration_median_lower[r] },
      { label: "End not known", n: true, tip: "Patients in whom it lasted at the last observation, or whose event has no end", cell: (r) => (SU.n_duration[r] ? num(SU.n_duration_open[r]) : "") },
    ], some, { sticky: true, tight: true, group: (r) => groupOf(T(SU.kind[r]), T(SU.term[r])), label: "Onset and duration" }));
  }

  const RECOVERY = ["time_to_count_recovery", "low_count_days"];
  function recoveryTable(into, people) {
    const courses = D.courses.filter((c) => c.i === safetyState.i && people.includes(c.s) && RECOVERY.some((m) => metricOf(c, m) !== undefined));
    if (!courses.length) return;
    const types = unique(courses.map((c) => c.t));
    const columns = types.flatMap((t) => RECOVERY.map((name) => ({ t, name, of: (s) => { const c = courses.find((x) => x.s === s && x.t === t); return c === undefined ? undefined : metricOf(c, name); } }))).filter((c) => people.some((s) => c.of(s) !== undefined));
    const definition = (name) => (D.metric_names.find((m) => m.name === name) || { definition: "" }).definition;
    const label = (c) => `${D.types[c.t].name}${types.filter((t) => D.types[t].name === D.types[c.t].name).length > 1 ? `, ${D.types[c.t].method}` : ""}`;
    const place = (name) => D.metric_names.findIndex((m) => m.name === name);
    const lines = range(0, S.t.length).filter((r) => types.includes(S.t[r]) && S.infusion[r] === safetyState.i && T(S.cohort[r]) === safetyState.cohort && RECOVERY.some((n) => place(n) === S.name[r]));
    into.append(h("h2", {}, "Recovery of blood counts"), h("p", { class: "say" }, RECOVERY.map(definition).join(" ")));
    if (lines.length) {
      into.append(table([
        { label: "Count", cls: "wide", cell: (r) => [`${D.types[S.t[r]].name}: ${D.metric_names[S.name[r]].label.toLowerCase()}`] },
        { label: "Patients", n: true, cell: (r) => num(S.n[r]) },
        { label: "Known", n: true, cell: (r) => num(S.n_estimated[r]) },
        { label: "Bounds", n: true, cell: (r) => num(S.n_censored[r]) },
        { label: "Not estimable", n: true, cell: (r) => (S.n_not_estimable[r] && T(S.reasons[r]) ? explain(h("span", { class: "ne" }, num(S.n_not_estimable[r])), T(S.reasons[r])) : num(S.n_not_estimable[r])) },
        { label: "Median", unit: "days", n: true, cell: (r) => {
          const how = T(S.median_method[r]);
          if (how.includes("not reached")) return "not reached";
          if (S.median[r] === null) return "–";
          return how && how !== "sample" ? explain(h("span", { class: "bound" }, num(S.median[r])), how === "bounds" ? "Some values are only bounds" : "Median of the Kaplan-Meier curve: recovery at the first count that shows it") : num(S.median[r]);
        } },
      ], lines, { plain: true, tight: true, label: "Recovery over patients" }));
    }
    const box = h("details", {}, h("summary", {}, "Recovery of each patient"));
    box.addEventListener("toggle", () => {
      if (box.children.length > 1) return;
      box.append(table([
        { label: "Patient", sort: (s) => D.subjects[s].id, cell: subjectLink },
        ...columns.map((c) => ({ label: `${label(c)}: ${c.name === RECOVERY[0] ? "recovered on" : "low"}`, unit: c.name === RECOVERY[0] ? "day" : "days", n: true, tip: definition(c.name),
          sort: (s) => (c.of(s) === undefined ? null : reading(c.of(s))[3]), cell: (s) => (c.of(s) === undefined ? h("span", { class: "nothing" }, "–") : readingNode(c.of(s))) })),
      ], people, { sticky: true, tight: true, limit: 60, label: "Recovery of each patient" }));
    });
    into.append(box);
  }

  const toxicityOf = (s, i) => range(0, TX.s.length).filter((r) => TX.s[r] === s && (i === undefined || TX.infusion[r] === i));
  /** A patient's highest grade in a cell: the digit, bounds, or a dash with the reason. */
  function highestNode(r) {
    if (r === undefined) return null;
    const said = [T(TX.source[r]) === "clinician" ? "Clinicians" : "Computed", TX.onset_day[r] === null ? "" : `days ${days(TX.onset_day[r])} to ${days(TX.end_day[r])}`, T(TX.reason[r])].filter(Boolean).join("; ");
    if (TX.least[r] === null) return explain(h("span", { class: "ne" }, "–"), `Not assessed: ${T(TX.reason[r]) || "no reason given"}`);
    if (TX.grade[r] === null) return explain(h("span", { class: "bound" }, `${TX.least[r]} to ${TX.most[r]}`), said);
    return h("span", { title: said, class: TX.grade[r] ? "whole" : "nothing" }, String(TX.grade[r]));
  }
  function highestTable(into, people) {
    const mine = range(0, TX.s.length).filter((r) => TX.infusion[r] === safetyState.i && people.includes(TX.s[r]));
    if (!mine.length) return;
    const terms = Object.keys(SAFE.labels).filter((t) => mine.some((r) => T(TX.term[r]) === t));
    const of = (s, term, source) => mine.find((r) => TX.s[r] === s && T(TX.term[r]) === term && T(TX.source[r]) === source);
    const two = terms.some((t) => mine.some((r) => T(TX.term[r]) === t && T(TX.source[r]) === "computed") && mine.some((r) => T(TX.term[r]) === t && T(TX.source[r]) === "clinician"));
    into.append(h("h2", {}, "Highest grade of each patient"), h("p", { class: "say" }, `Hold the pointer or the keyboard focus on a grade for its days and reason. A dash: not assessed, or nothing reported.${two ? " Behind a stroke: the clinicians' grade." : ""}`), table([
      { label: "Patient", sort: (s) => D.subjects[s].id, cell: subjectLink },
      ...(cohorts.length ? [{ label: "Cohort", cls: "line", sort: (s) => D.subjects[s].cohort, cell: (s) => D.subjects[s].cohort }] : []),
      ...terms.map((term) => ({
        label: shortTerm(term), tip: termLabel(term), n: true,
        sort: (s) => { const r = of(s, term, "computed") ?? of(s, term, "clinician"); return r === undefined ? null : TX.most[r]; },
        cell: (s) => {
          const [own, said] = [of(s, term, "computed"), of(s, term, "clinician")];
          if (own === undefined && said === undefined) return explain(h("span", { class: "ne" }, "–"), "No report in the events sheet");
          return [highestNode(own), own !== undefined && said !== undefined ? " / " : null, highestNode(said)].filter((x) => x !== null);
        },
      })),
    ], people, { sticky: true, tight: true, limit: 80, label: "Highest grade of each patient" }));
  }

  function disagreements(into, people) {
    const found = range(0, Q.check.length).filter((r) => SAFE.checks.includes(T(Q.check[r])) && people.includes(Q.s[r]) && T(Q.message[r]).startsWith(`Infusion ${safetyState.i}:`));
    const serious = found.filter((r) => SEVERITY[T(Q.verdict[r])] < 2), notes = found.filter((r) => SEVERITY[T(Q.verdict[r])] >= 2);
    const both = unique(range(0, TX.s.length).filter((r) => T(TX.source[r]) === "clinician").map((r) => T(TX.term[r]))).some((term) => range(0, TX.s.length).some((r) => T(TX.source[r]) === "computed" && T(TX.term[r]) === term && TX.least[r] !== null));
    if (!found.length && !both) return;
    into.append(h("h2", {}, "Disagreements and gaps"));
    into.append(serious.length ? findings(serious) : h("p", { class: "notice" }, "No clinician's grade contradicts the computed ones."));
    if (notes.length) into.append(h("details", {}, h("summary", {}, plural(notes.length, "note")), findings(notes)));
  }
  function standardsTable(into) {
    const terms = Object.entries(SAFE.standards);
    if (!terms.length) return;
    into.append(h("h2", {}, "Thresholds"), h("p", { class: "say" }, "The tables of thresholds that graded, with the source that each was read in. A threshold marked [recalled] was read nowhere."),
      table([
        { label: "Term", cell: ([term]) => termLabel(term) },
        { label: "Standard and source", cls: "wide text", cell: ([, text]) => T(text) },
      ], terms, { tight: true, label: "Thresholds" }));
  }

  /** The patient's table of toxicity: every term that was graded, with its days and what it rests on. */
  function patientToxicity(s) {
    if (!SAFE) return;
    const rows = toxicityOf(s);
    if (!rows.length) return;
    const several = unique(rows.map((r) => TX.infusion[r])).length > 1;
    const because = (r) => {
      const mine = range(0, GR.s.length).filter((g) => GR.s[g] === s && GR.infusion[g] === TX.infusion[r] && GR.term[g] === TX.term[r] && GR.source[g] === TX.source[r] && GR.least[g] === TX.least[r] && GR.least[g] > 0);
      return mine.length ? T(GR.because[mine[0]]) : "";
    };
    view.append(h("h2", {}, "Toxicity"), h("p", { class: "say" }, "The highest grade of each term, days from the infusion. Grade 0: observed, and none. ", h("a", { href: "#/safety" }, "All patients")), table([
      { label: "Term", cls: "wide text", cell: (r) => [termLabel(T(TX.term[r])) + " ", h("small", {}, WHO[T(TX.source[r])])] },
      ...(several ? [{ label: "Infusion", n: true, cell: (r) => num(TX.infusion[r]) }] : []),
      { label: "Grade", n: true, cell: (r) => (TX.least[r] === null ? h("span", { class: "ne" }, "not assessed") : TX.grade[r] === null ? h("span", { class: "bound" }, `${TX.least[r]} to ${TX.most[r]}`) : num(TX.grade[r])) },
      { label: "Onset", unit: "day", n: true, cell: (r) => (TX.onset_day[r] === null ? "" : TX.onset_from[r] < TX.onset_day[r] ? h("span", { class: "bound" }, between(TX.onset_from[r], TX.onset_day[r])) : days(TX.onset_day[r])) },
      { label: "Last", unit: "day", n: true, cell: (r) => (TX.end_day[r] === null ? "" : days(TX.end_day[r])) },
      { label: "Duration", unit: "days", n: true, cell: (r) => {
        const [a, b] = [TX.duration_days[r], TX.duration_most[r]];
        return a === null ? "" : b === null ? h("span", { class: "bound" }, `≥ ${days(a)}`) : a === b ? days(a) : h("span", { class: "bound" }, `${days(a)} to ${days(b)}`);
      } },
      { label: "Because", cls: "remark", cell: (r) => [because(r), T(TX.reason[r]) ? h("small", {}, T(TX.reason[r])) : null].filter(Boolean) },
    ], rows, { plain: false, tight: true, label: "Toxicity" }));
  }
