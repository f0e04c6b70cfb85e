  // ---------------------------------------------------------------- cohort page

  const cohorts = unique(D.subjects.map((s) => s.cohort).filter(Boolean));
  const state = { t: 0, i: 1, cohort: "all", zoom: "all", columns: "key" };

  function verdicts(v) { return h("span", { class: `verdict ${v}` }, v); }
  function numbers() {
    const c = D.counts;
    const item = (n, text, to) => {
      const inner = [h("b", {}, n.toLocaleString("en-US")), h("span", {}, text)];
      return h("li", {}, to ? h("a", { href: to }, inner) : inner);
    };
    return h("ul", { class: "numbers" },
      item(c.subjects, c.subjects === 1 ? "patient" : "patients", "#/patients"), item(c.infusions, c.infusions === 1 ? "infusion" : "infusions"),
      item(c.samples, c.samples === 1 ? "sample" : "samples"), item(c.results, c.results === 1 ? "result" : "results"),
      item(c.qc_fail, c.qc_fail === 1 ? "failed check" : "failed checks", "#/quality"), item(c.qc_warn, c.qc_warn === 1 ? "warning" : "warnings", "#/quality"),
      item(c.qc_note, c.qc_note === 1 ? "note" : "notes", "#/quality"));
  }
  function cohortPage() {
    const page = h("div", {}, h("h1", { tabindex: "-1" }, "Cohort"),
      h("p", { class: "lead" }, "All patients on one clock. Day 0 is the infusion."), numbers());
    view.append(page);
    if (!D.types.length) {
      page.append(h("p", { class: "notice" }, "No result was read, so there is nothing to draw. The Quality page says why."));
      return;
    }
    questionsPanel(page);
    const rest = h("div", {}), tail = h("div", {});
    const controls = h("div", { class: "controls bar" });
    page.append(h("h2", {}, "Courses and metrics"), controls, rest, tail);
    characteristicsPanel(tail);
    associationsPanel(tail);
    const refresh = () => {
      for (const div of plots) Plotly.purge(div);
      plots.clear();
      rest.replaceChildren();
      cohortBody(rest);
    };
    const rebuild = () => {
      const infusions = unique(D.courses.filter((c) => c.t === state.t).map((c) => c.i)).sort((a, b) => a - b);
      if (!infusions.includes(state.i)) state.i = infusions[0];
      const family = D.types[state.t].family;
      const families = D.families.filter(([f]) => D.types.some((t) => t.family === f));
      controls.replaceChildren(
        ...(families.length > 1 ? [h("div", { class: "families" }, segments("Family", families, family, (f) => { state.t = D.types.findIndex((t) => t.family === f); rebuild(); controls.querySelector("[aria-pressed=true]").focus(); }))] : []),
        choice("Course", D.types.map((t, k) => [k, t.label]).filter(([k]) => D.types[k].family === family), state.t, (v) => { state.t = Number(v); rebuild(); controls.querySelector("select").focus(); }),
        ...(infusions.length > 1 ? [choice("Infusion", infusions.map((i) => [i, `Infusion ${i}`]), state.i, (v) => { state.i = Number(v); refresh(); })] : []),
        ...(cohorts.length > 1 ? [choice("Cohort", [["all", "All cohorts"], ...cohorts.map((c) => [c, c])], state.cohort, (v) => { state.cohort = v; refresh(); })] : []));
      refresh();
    };
    rebuild();
  }
  function cohortBody(into) {
    const type = D.types[state.t];
    const member = (s) => state.cohort === "all" || D.subjects[s].cohort === state.cohort;
    const courses = D.courses.filter((c) => c.t === state.t && c.i === state.i && member(c.s));
    const group = state.cohort === "all" ? "" : ` of cohort ${state.cohort}`;
    into.append(h("h2", {}, type.place ? `${type.name} in ${type.place}` : type.name),
      h("p", { class: "say" }, `${plural(courses.length, "course")}${group}, infusion ${state.i}. ${type.linear ? "" : "Measured results are joined; open triangles stand at the limit and are not measurements. "}${D.subject_pages ? "Select a point to open the patient." : ""}`));
    const end = courses.flatMap((c) => range(...c.p)).reduce((a, p) => Math.max(a, P.day[p]), 0);
    const some = sample(courses);
    const plot = figure(`${type.label}: ${some.length} courses over days from infusion on a ${type.linear ? "linear" : "logarithmic"} axis. The numbers are in the tables below.`, 360);
    const shown = () => (state.zoom === "all" || state.zoom < end ? state.zoom : "all");
    const zoomTo = (z) => { state.zoom = z; Plotly.relayout(plot, { "xaxis.range": window_(z, end) }); };
    const box = h("figure", {}, plot);
    into.append(h("div", { class: "controls" }, segments("Days shown", zooms(end), shown(), zoomTo)), box);
    const part = drawnOf(courses, some, "course", () => {
      renew(box);
      box.append(plot);
      drawCourses(plot, courses, type, window_(shown(), end));
    });
    drawCourses(plot, some, type, window_(shown(), end));
    if (part) box.append(part);
    if (type.family === "antibody") into.append(caution());

    // The first figure is on the screen before the rest is drawn.
    const steps = [() => subjectTable(into, courses, type), () => summaryTable(into, type)];
    const two = h("div", { class: "two" });
    into.append(two);
    if (type.family === "expansion") steps.unshift(() => curveFigure(two, "persistence"), () => swimmer(two, type, member));
    else if (type.family === "antibody") steps.unshift(() => waterfallFigure(two, member), () => curveFigure(two, "antibody"), () => { two.after(caution()); decaySay(into); }, () => meansTable(into));
    else if (courses.some((c) => metricOf(c, "time_to_depletion") !== undefined)) steps.unshift(() => curveFigure(two, "depletion"), () => curveFigure(two, "reconstitution"));
    const next = () => {
      if (!plot.isConnected || !steps.length) return;
      steps.shift()();
      setTimeout(next, 0);
    };
    setTimeout(next, 0);
  }
  const window_ = (zoom, end) => (zoom === "all" ? [Math.min(-6, -end * 0.03), end * 1.03 + 1] : [-zoom * 0.05 - 1, zoom * 1.02]);

  function drawCourses(plot, courses, type, xrange) {
    const traces = [];
    const groups = cohorts.length ? [...cohorts, ""] : [""];
    const marks = new Set();
    const few = courses.length <= 30;
    groups.forEach((cohort, k) => {
      const mine = courses.filter((c) => D.subjects[c.s].cohort === cohort);
      if (!mine.length) return;
      const colour = COLOURS[k % COLOURS.length];
      traces.push(...courseTraces(mine, type, {
        name: plain(cohort || (cohorts.length ? "No cohort" : "Measured")), colour, shape: SHAPES[k % SHAPES.length], width: few ? 1.4 : 1, size: few ? 6 : 4,
        opacity: few ? 0.65 : 0.4, marks, bars: few,
      }, "day"));
    });
    const curve = D.medians.find((m) => m.t === state.t && m.i === state.i && m.cohort === state.cohort);
    if (curve && curve.median.some((v) => v !== null)) {
      traces.push({
        type: "scatter", mode: "lines+markers", name: D.by_visit ? "Median over nominal visits" : "Median over day bins", x: curve.day, y: curve.median, connectgaps: false, legendrank: 100,
        hoverinfo: "text", line: { color: INK, width: 3 }, marker: { color: INK, size: 7, symbol: "circle" },
        text: curve.day.map((_, k) => plain(`Median at ${curve.label[k]}`) + `<br>${plain(num(curve.median[k]) + " " + type.unit)}<br>n = ${curve.n[k]}, of these ${curve.below[k]} below a limit`),
      });
    }
    if (type.family === "antibody") traces.push(...meansTraces(type));
    if (type.family === "antibody") traces.push(...decayTraces(Math.max(28, ...courses.flatMap((c) => range(...c.p)).map((p) => P.day[p]))));
    traces.push(...limitTraces(type, [xrange[0] - 20, Math.max(xrange[1], 4000)]));
    const ys = courses.flatMap((c) => range(...c.p)).map((p) => height(type, p));
    draw(plot, traces, {
      height: narrow() ? 360 : 450,
      xaxis: axis("Days from infusion", { range: xrange }),
      yaxis: valueAxis(type, plain(narrow() ? type.unit : `${type.name} (${type.unit})`), [...ys, ...type.lloq]),
      shapes: [{ type: "line", xref: "x", yref: "paper", x0: 0, x1: 0, y0: 0, y1: 1, line: { color: NIGHT, width: 1 } }],
    }, true);
    if (curve) {
      const hidden = curve.median.filter((v) => v === null).length;
      const drawn = curve.n.filter((_, k) => curve.median[k] !== null);
      const least = drawn.length ? Math.min(...drawn) : 0, most = drawn.length ? Math.max(...drawn) : 0;
      plot.parentNode.append(h("p", { class: "say" }, `The black line is the median over patients at ${D.by_visit ? "nominal visits" : "fixed day bins"} (n from ${least} to ${most}). ` +
        (hidden ? `It is left out at ${plural(hidden, D.by_visit ? "visit" : "day bin")}, where fewer than ${D.min_n} patients have a result or half or more are below a limit.` : "")));
    }
  }

  function swimmer(into, type, member) {
    // Once for all: a search through the courses for each patient grows with the square of the cohort.
    const own = new Map();
    D.courses.forEach((c, k) => { if (c.t === state.t && member(c.s)) own.set(c.s, [...(own.get(c.s) || []), ...D.spans[k]]); });
    const people = [...own.keys()].sort((a, b) => a - b);
    const spans = (s) => own.get(s);
    const last = (s) => spans(s).reduce((a, [, b]) => Math.max(a, b), -1);
    people.sort((a, b) => last(a) - last(b) || D.subjects[a].end - D.subjects[b].end);
    const place = h("div", {});
    into.append(place);
    const some = sample(people);
    swimmerFigure(place, some, spans, last);
    const part = drawnOf(people, some, "patient", () => { renew(place); swimmerFigure(place, people, spans, last); });
    if (part) place.append(part);
  }
  function swimmerFigure(into, people, spans, last) {
    const box = h("figure", {}, h("h2", {}, "Follow-up of each patient"),
      h("p", { class: "say" }, "Grey: followed. Blue: between quantifiable results without one below the limit between them. Triangles: infusions." + (people.length > 80 ? " Hold the pointer on a bar for the patient." : "")));
    into.append(box);
    const row = people.length <= 40 ? 16 : people.length <= 80 ? 11 : 8;
    const size = Math.max(360, people.length * row + 80);
    const plot = figure("Swimmer plot: follow-up, infusions and quantifiable stretches of each patient.", size);
    box.append(plot);
    const line = (list, colour, width, name) => ({ type: "scatter", mode: "lines", name, line: { color: colour, width }, connectgaps: false, hoverinfo: "text", ...list });
    const lane = () => ({ x: [], y: [], text: [], customdata: [] });
    const put = (l, x, y, text, s) => { l.x.push(x); l.y.push(y); l.text.push(text); l.customdata.push(s); };
    const reach = people.reduce((a, s) => Math.max(a, D.subjects[s].end || 0, last(s)), 28);
    const bar = lane(), blue = lane(), dots = lane(), given = lane(), open = lane();
    const thick = Math.min(11, row - 3);
    people.forEach((s, y) => {
      const who = D.subjects[s];
      const name = plain(who.id);
      const end = who.end === null ? 0 : who.end;
      const followed = `${name}<br>${who.end_known ? "followed to" : "last result on"} day ${days(end)}`;
      put(bar, 0, y, followed, s); put(bar, end, y, followed, s); put(bar, null, null, null, null);
      if (!who.end_known) put(open, end, y, followed, s);
      for (const [a, b] of spans(s)) {
        const text = a === b ? `${name}<br>quantifiable on day ${days(a)}` : `${name}<br>quantifiable from day ${days(a)} to ${days(b)}`;
        if (a === b) put(dots, a, y, text, s);
        else { put(blue, a, y, text, s); put(blue, b, y, text, s); put(blue, null, null, null, null); }
      }
      for (const i of who.infusions) put(given, i.day, y, `${name}<br>infusion ${i.n}${i.product ? " of " + plain(i.product) : ""} on day ${days(i.day)}`, s);
    });
    const mark = (list, symbol, colour, s, name, legend) => ({ type: "scatter", mode: "markers", name, showlegend: legend, hoverinfo: "text", marker: { symbol, color: colour, size: s, line: { width: symbol.includes("open") ? 1.5 : 0 } }, ...list });
    draw(plot, [
      line(bar, "#cfd6dd", thick, "Followed"), line(blue, COLOURS[0], thick, "Quantifiable"), mark(dots, "square", COLOURS[0], thick, "Quantifiable once", false),
      mark(given, "triangle-right", INK, row < 16 ? 6 : 10, "Infusion", true), ...(open.x.length ? [mark(open, "circle-open", SOFT, 8, "Last result", true)] : []),
    ], {
      height: size, xaxis: axis("Days from the first infusion", { range: [-0.03 * reach, 1.02 * reach] }),
      yaxis: axis("", { showticklabels: people.length <= 80, tickmode: "array", tickvals: range(0, people.length), ticktext: people.map((s) => plain(shorten(D.subjects[s].id, 14))), range: [-0.8, people.length - 0.2], showgrid: false, ticks: "", tickfont: { size: row < 16 ? 9 : 12 } }),
    }, true);
  }

  function columnsOf(courses) {
    const used = unique(courses.flatMap((c) => range(...c.m).map((m) => M.name[m]))).sort((a, b) => a - b);
    const groups = unique(used.map((k) => D.metric_names[k].group));
    const key = used.filter((k) => D.key_metrics.includes(D.metric_names[k].name));
    return { used, groups, key: key.length ? key : used.slice(0, 8) };
  }
  function subjectTable(into, courses, type) {
    const { used, groups, key } = columnsOf(courses);
    into.append(h("h2", {}, "Metrics of each patient"));
    if (!used.length) {
      into.append(h("p", { class: "notice" }, "No metric is computed for this analyte; its course is drawn above."));
      return;
    }
    into.append(h("p", { class: "say" }, "Purple values are bounds or intervals, not measurements. Where a value is not estimable, hold the pointer or the keyboard focus on it for the reason."));
    if (state.columns !== "key" && state.columns !== "all" && !groups.includes(state.columns)) state.columns = "key";
    const names = () => (state.columns === "key" ? key : state.columns === "all" ? used : used.filter((k) => D.metric_names[k].group === state.columns));
    let word = "";
    const rows = () => courses.filter((c) => (D.subjects[c.s].id + " " + D.subjects[c.s].cohort).toLowerCase().includes(word));
    const place = h("div", {});
    let current;
    const build = () => {
      const columns = [
        { label: "Patient", sort: (c) => D.subjects[c.s].id, cell: (c) => subjectLink(c.s) },
        ...(cohorts.length ? [{ label: "Cohort", cls: "line", sort: (c) => D.subjects[c.s].cohort, cell: (c) => D.subjects[c.s].cohort }] : []),
        ...names().map((k) => {
          const of = (c) => range(...c.m).find((m) => M.name[m] === k);
          const first = courses.map(of).find((m) => m !== undefined && M.unit[m] >= 0);
          const info = D.metric_names[k];
          return {
            label: info.label, tip: info.definition, n: true, unit: landmark(info.name) ? null : first === undefined ? null : T(M.unit[first]).replace(/^day$/, "days"),
            sort: (c) => (of(c) === undefined ? null : reading(of(c))[3]),
            cell: (c) => (of(c) === undefined ? h("span", { class: "nothing" }, "–") : readingNode(of(c))),
          };
        }),
      ];
      current = table(columns, rows(), { sticky: true, limit: 200, label: "Metrics of each patient" });
      place.replaceChildren(current);
    };
    into.append(h("div", { class: "controls" },
      choice("Metrics shown", [["key", "Key metrics"], ...groups.map((g) => [g, capital(g)]), ["all", "All metrics"]], state.columns, (v) => { state.columns = v; build(); }),
      h("label", {}, "Find a patient or cohort", h("input", { type: "search", oninput: (e) => { word = e.target.value.trim().toLowerCase(); current.update(rows()); } })),
      h("button", {
        type: "button", class: "push", onclick: () => {
          const header = ["subject_id", "cohort", "infusion", "matrix", "analyte", "assay", "course_unit", "metric", "value", "lower", "upper", "unit", "status", "reason"];
          const chosen = new Set(names());
          const status = ["estimated", "left_censored", "right_censored", "interval_censored", "not_estimable"];
          download("cartrace_metrics.csv", header, rows().flatMap((c) => range(...c.m).filter((m) => chosen.has(M.name[m])).map((m) => [
            D.subjects[c.s].id, D.subjects[c.s].cohort, c.i, ...type.key, D.metric_names[M.name[m]].name, M.value[m], M.lower[m], M.upper[m], T(M.unit[m]), status[M.status[m]], T(M.reason[m])])));
        },
      }, "Download as CSV")), place);
    build();
  }

  function summaryTable(into, type) {
    const rows = range(0, S.t.length).filter((r) => S.t[r] === state.t && S.infusion[r] === state.i && T(S.cohort[r]) === state.cohort && S.name[r] >= 0).sort((a, b) => S.name[a] - S.name[b]);
    into.append(h("h2", {}, "Summary over patients"));
    if (!rows.length) {
      into.append(h("p", { class: "notice" }, "No summary for this choice."));
      return;
    }
    into.append(h("p", { class: "say" }, "Where some values are only bounds, the statistics that they leave open are missing, and a median may be an interval. The columns beside them say how many patients have a bound or no value. A share of patients stands with its exact 95 % interval instead of quartiles."));
    const pair = (a, b) => (a === null ? "–" : b === null ? num(a) : `${num(a)} (${num(b)})`);
    const span = (a, b) => (a === null ? (b === null ? "–" : `up to ${num(b)}`) : b === null ? `from ${num(a)}` : `${num(a)} to ${num(b)}`);
    const share = (r) => landmark(D.metric_names[S.name[r]].name);
    const pct = (x) => `${num(x * 100)} %`;
    into.append(table([
      { label: "Metric", sort: (r) => S.name[r], cell: (r) => [D.metric_names[S.name[r]].label + " ", h("small", {}, share(r) ? "share of patients" : T(S.unit[r]).replace(/^day$/, "days"))] },
      { label: "Estimated", n: true, cell: (r) => `${num(S.n_estimated[r])} of ${num(S.n[r])}`, sort: (r) => S.n_estimated[r] },
      { label: "Bounds", n: true, cell: (r) => num(S.n_censored[r]) },
      {
        label: "Not estimable", n: true, sort: (r) => S.n_not_estimable[r],
        cell: (r) => (T(S.reasons[r]) && S.n_not_estimable[r] ? explain(h("span", { class: "ne" }, num(S.n_not_estimable[r])), "Not estimable: " + T(S.reasons[r])) : num(S.n_not_estimable[r])),
      },
      { label: "Median or share", n: true, cell: (r) => {
        if (share(r)) return S.mean[r] === null ? "–" : pct(S.mean[r]);
        const how = T(S.median_method[r]);
        const curve = how.startsWith("turnbull") ? "Turnbull" : "Kaplan-Meier";
        if (how.includes("not reached")) return explain(h("span", { class: "bound" }, "not reached"), `The ${curve} curve stays above one half`);
        const limit = (c, open) => (S[c] && S[c][r] !== null ? num(S[c][r]) : open);
        if (how === "bounds") return explain(h("span", { class: "bound" }, limit("median_lower", "") && limit("median_upper", "") ? span(S.median_lower[r], S.median_upper[r]) : limit("median_upper", "") ? `≤ ${limit("median_upper", "")}` : `≥ ${limit("median_lower", "–")}`), "The median lies in this interval: some values are only bounds");
        if (!how || how === "sample" || S.median[r] === null) return num(S.median[r]);
        return explain(h("span", { class: "bound" }, num(S.median[r])), `Median of the ${curve} curve, 95 % interval ${limit("median_lower", "not known")} to ${limit("median_upper", "not reached")}`);
      } },
      { label: "Quartiles", tip: "For a share of patients: its 95 % interval, in purple", n: true, cell: (r) => (share(r) ? (S.share_lower && S.share_lower[r] !== null ? explain(h("span", { class: "bound" }, `${pct(S.share_lower[r])} to ${pct(S.share_upper[r])}`), "Exact 95 % interval of the share") : "–") : span(S.q1[r], S.q3[r])) },
      { label: "Mean (SD)", n: true, cell: (r) => (share(r) ? "–" : pair(S.mean[r], S.sd[r])) },
      { label: "Geo. mean (CV %)", tip: "Geometric mean and geometric coefficient of variation", n: true, cell: (r) => (share(r) ? "–" : pair(S.geometric_mean[r], S.geometric_cv_percent[r])) },
      { label: "Range", n: true, cell: (r) => (share(r) ? "–" : span(S.minimum[r], S.maximum[r])) },
    ], rows, { sticky: true, tight: true, label: "Summary over patients" }));
  }
