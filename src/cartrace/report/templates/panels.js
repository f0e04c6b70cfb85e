  // ---------------------------------------------------------------- panels of the cohort page

  const caution = () => h("p", { class: "say caution" }, D.caution);
  const VERDICT = { 1: ["yes", "Yes"], 0: ["no", "No"], "-1": ["unknown", "not assessable"] };

  /** Who declined, who persisted, who relapsed: one dot for each patient. */
  function questionsPanel(into) {
    if (!D.questions.length) return;
    const people = range(0, D.subjects.length);
    const count = (q, v) => q.verdict.filter((x) => x === v).length;
    into.append(h("h2", {}, "Questions"), h("p", { class: "say" }, "One dot for each patient, in the order of the subjects sheet. Hold the pointer on a dot for what the answer rests on."),
      h("ul", { class: "key" }, [1, 0, -1].map((v) => h("li", {}, h("span", { class: `dot ${VERDICT[v][0]}` }), capital(VERDICT[v][1])))));
    const size = people.length > 60 ? " small" : "";
    into.append(h("div", { class: "questions" }, D.questions.map((q) => h("div", { class: "question" },
      h("div", {}, h("h3", {}, q.text), h("p", { class: "say" }, `${plural(count(q, 1), "yes", "yes")}, ${count(q, 0)} no, ${count(q, -1)} not assessable. ${q.rule}`)),
      h("div", { class: "dots" + size, "aria-hidden": "true" }, people.map((s) => {
        const title = `${D.subjects[s].id}: ${VERDICT[q.verdict[s]][1].toLowerCase()}. ${T(q.remark[s])}`;
        return D.subject_pages ? h("a", { class: `dot ${VERDICT[q.verdict[s]][0]}`, href: link(s), title, tabindex: "-1" }) : h("span", { class: `dot ${VERDICT[q.verdict[s]][0]}`, title });
      }))))));
    const box = h("details", {}, h("summary", {}, "Answers of each patient"));
    box.addEventListener("toggle", () => {
      if (box.children.length > 1) return;
      box.append(table([
        { label: "Patient", sort: (s) => D.subjects[s].id, cell: subjectLink },
        ...(cohorts.length ? [{ label: "Cohort", cls: "line", sort: (s) => D.subjects[s].cohort, cell: (s) => D.subjects[s].cohort }] : []),
        ...D.questions.map((q) => ({
          label: q.text, tip: q.rule, cls: "wide text", sort: (s) => (q.verdict[s] < 0 ? null : q.verdict[s]),
          cell: (s) => [h("span", { class: `answer ${VERDICT[q.verdict[s]][0]}` }, h("span", { class: `dot ${VERDICT[q.verdict[s]][0]}` }), VERDICT[q.verdict[s]][1]), h("div", { class: "say" }, T(q.remark[s]))],
        })),
      ], people, { sticky: true, limit: 60, label: "Answers of each patient" }));
    });
    into.append(box);
  }

  /** Table 1: one column for all patients and one for each cohort. */
  function characteristicsPanel(into) {
    const C = D.characteristics;
    if (!C.cohort || !C.cohort.length) return;
    const all = range(0, C.cohort.length);
    const groups = unique(all.map((r) => T(C.cohort[r])));
    const lines = [];
    for (const r of all) {
      const [variable, level] = [T(C.variable[r]), T(C.level[r])];
      let line = lines.find((x) => x.variable === variable && x.level === level);
      if (!line) lines.push((line = { variable, level, unit: T(C.unit[r]).replace(/^day$/, "days"), of: {} }));
      line.of[T(C.cohort[r])] = r;
    }
    const total = (g) => C.n_total[all.find((r) => T(C.cohort[r]) === g)];
    const cell = (r) => {
      if (r === undefined) return h("span", { class: "nothing" }, "–");
      if (T(C.level[r]) || C.percent[r] !== null) return `${num(C.n[r])} (${num(C.percent[r])} %)`;
      if (C.median[r] === null) return C.n[r] && T(C.variable[r]) === "Subjects" ? num(C.n[r]) : h("span", { class: "ne" }, "not known");
      const missing = C.n_total[r] - C.n[r];
      const text = C.minimum[r] === C.maximum[r] ? num(C.median[r]) : `${num(C.median[r])} (${num(C.minimum[r])} to ${num(C.maximum[r])})`;
      return missing > 0 ? [text, h("small", { class: "missing" }, ` ${missing} not known`)] : text;
    };
    into.append(h("h2", {}, "Table 1: the patients"), h("p", { class: "say" }, "Numbers are median (smallest to largest), one number where all are equal; categories are patients (share)."),
      table([
        { label: "Characteristic", cls: "wide", cell: (x) => (x.level ? [h("span", { class: "nothing" }, x.variable + ": "), x.level] : [x.variable, x.unit ? h("small", {}, " " + x.unit) : null].filter(Boolean)) },
        ...groups.map((g) => ({ label: g === "all" ? "All" : g, unit: `n = ${total(g)}`, n: true, cls: "fold", cell: (x) => (x.level && x.of[g] === undefined ? "0" : cell(x.of[g])) })),
      ], lines, { sticky: true, label: "Characteristics of the patients" }));
  }

  const SIGN = { spearman: "ρ", mann_whitney: "U", kruskal_wallis: "H" };
  const TEST = { spearman: "Spearman", mann_whitney: "Mann-Whitney", kruskal_wallis: "Kruskal-Wallis" };
  function associationsPanel(into) {
    const A = D.associations;
    if (!A.x || !A.x.length) return;
    const tested = (r) => T(A.status[r]) === "estimated";
    const rows = range(0, A.x.length).sort((a, b) => tested(b) - tested(a) || (A.p[a] === null ? 2 : A.p[a]) - (A.p[b] === null ? 2 : A.p[b]));
    const none = rows.filter((r) => !tested(r)).length;
    const families = unique(rows.map((r) => T(A.family[r])));
    const p = (x) => (x === null ? "–" : x < 0.001 ? "< 0.001" : num(x, 2));
    const more = (r) => [tested(r) ? T(A.reason[r]) : "", T(A.left_out[r]) ? `left out: ${T(A.left_out[r]).replace(/\bno x: /g, "no first value: ").replace(/\bno y: /g, "no second value: ")}` : ""].filter(Boolean).join("; ");
    into.append(h("h2", {}, "What goes with what"),
      h("p", { class: "say" }, `Rank tests over patients, first infusion. q is p corrected for the number of questions of its family (Benjamini-Hochberg); a q near 1 is what chance alone gives. An association is no cause. ${none ? `${plural(none, "question")} of ${rows.length} not tested; each says why.` : ""}`));
    const columns = [
      { label: "First", cls: "wide text", sort: (r) => T(A.x[r]), cell: (r) => T(A.x[r]) },
      { label: "Second", cls: "wide text", sort: (r) => T(A.y[r]), cell: (r) => [T(A.y[r]), T(A.groups[r]) ? h("div", { class: "say" }, T(A.groups[r])) : null].filter(Boolean) },
      { label: "n", n: true, sort: (r) => A.n[r], cell: (r) => num(A.n[r]) },
      { label: "Statistic", n: true, sort: (r) => A.statistic[r], cell: (r) => (tested(r) ? h("span", { title: TEST[T(A.method[r])] || T(A.method[r]) }, `${SIGN[T(A.method[r])] || T(A.method[r])} = ${num(A.statistic[r], 2)}`) : explain(h("span", { class: "ne" }, "not tested"), T(A.reason[r]))) },
      { label: "95 % interval", n: true, cell: (r) => (A.lower[r] === null || A.upper[r] === null ? "" : `${num(A.lower[r], 2)} to ${num(A.upper[r], 2)}`) },
      { label: "p", n: true, sort: (r) => A.p[r], cell: (r) => (tested(r) ? h("span", { title: T(A.p_method[r]) }, p(A.p[r])) : "") },
      { label: "q", n: true, sort: (r) => A.q[r], cell: (r) => (tested(r) ? p(A.q[r]) : "") },
      { label: "Remark", cls: "remark", cell: (r) => (tested(r) ? more(r) : [`Not tested: ${T(A.reason[r]).replace(/^not tested: /i, "")}`, more(r) ? h("small", {}, more(r)) : null].filter(Boolean)) },
    ];
    const list = table(columns, rows, { plain: true, tight: true, limit: 12, label: "Associations" });
    if (families.length > 1) {
      into.append(h("div", { class: "controls" }, choice("Family of questions", [["", "All"], ...families.map((f) => [f, words(f)])], "", (v) => list.update(rows.filter((r) => !v || T(A.family[r]) === v)))));
    }
    into.append(list);
  }

  // ---------------------------------------------------------------- curves of times to an event

  const DEPLETED = { name: "time_to_depletion", label: "Depleted", invert: true, x: "Days from infusion", y: "Patients depleted (%)", word: "depleted" };
  const DURATION = { name: "depletion_duration", label: "Duration", invert: false, x: "Days from the start of the depletion", y: "Patients still depleted (%)", word: "still depleted" };
  const back = (name, label) => ({ name: `time_to_reconstitution_${name}`, label, invert: true, x: "Days from infusion", y: "Patients reconstituted (%)", word: "reconstituted" });
  const fold = D.fold === 4 ? "Four-fold" : `${num(D.fold)}-fold`;
  const CURVES = {
    persistence: { title: "Persistence", options: [{ name: "time_to_loss", label: "Present", invert: false, x: "Days from infusion", y: "Patients with cells present (%)", word: "present" }],
      say: "Share of patients whose cells are still present. A loss lies between two samples: the stepped curve puts it at the later one, the slanted curve anywhere between.",
      none: "No persistence curve: too few patients with a time to loss in this course." },
    depletion: { title: "Depletion", options: [DEPLETED, DURATION],
      say: "A depletion begins and ends between two samples: the stepped curve puts it at the later one, the slanted curve anywhere between.", none: "No depletion curve: too few patients were depleted in this course." },
    reconstitution: { title: "Reconstitution", options: [back("threshold", "Above the threshold"), back("baseline", "Back to baseline"), back("normal", "Normal")],
      say: "Share of patients who have come back, by three definitions. Patients who never did are counted to their last sample.", none: "No reconstitution curve: too few patients with a time to it in this course." },
    antibody: { title: "Decline", options: [{ name: "time_to_fourfold_fall", label: `${fold} fall`, invert: true, x: "Days from infusion", y: `Patients with a ${fold.toLowerCase()} fall (%)`, word: "fallen" },
      { name: "time_to_seronegative", label: "Seronegative", invert: true, x: "Days from infusion", y: "Patients seronegative (%)", word: "seronegative" },
      { name: "time_to_seropositive_again", label: "Positive again", invert: true, x: "Days from infusion", y: "Seronegative patients positive again (%)", word: "positive again" },
      { name: "time_to_fourfold_rise", label: `${fold} rise`, invert: true, x: "Days from infusion", y: `Patients with a ${fold.toLowerCase()} rise (%)`, word: "risen" }],
      say: "Share of patients whose antibody fell, or went below the limit for good.", none: "No curve: too few patients with a time to a fall in this course." },
  };
  const chosenCurve = {};

  function curveFigure(into, which) {
    const spec = CURVES[which];
    const place = (name) => D.metric_names.findIndex((m) => m.name === name);
    const rowsOf = (name) => range(0, K.t.length).filter((r) => K.t[r] === state.t && K.infusion[r] === state.i && T(K.cohort[r]) === state.cohort && K.name[r] === place(name) && place(name) >= 0);
    const options = spec.options.filter((o) => rowsOf(o.name).length);
    const box = h("figure", {}, h("h2", {}, spec.title));
    into.append(box);
    if (!options.length) {
      box.append(h("p", { class: "notice" }, spec.none));
      return;
    }
    const body = h("div", {});
    box.append(h("p", { class: "say" }, spec.say));
    if (options.length > 1) {
      const now = options.find((o) => o.name === chosenCurve[which]) || options[0];
      box.append(h("div", { class: "controls" }, segments("Curve", options.map((o) => [o, o.label]), now, (o) => { chosenCurve[which] = o.name; show(o); })));
    }
    box.append(body);
    const show = (o) => {
      renew(body);
      curve(body, o, rowsOf(o.name));
      body.append(h("p", { class: "say" }, whoCounts(place(o.name))));
    };
    show(options.find((o) => o.name === chosenCurve[which]) || options[0]);
  }
  /** Who is in a curve and who is not, from the summary. */
  function whoCounts(name) {
    const r = range(0, S.t.length).find((k) => S.t[k] === state.t && S.infusion[k] === state.i && T(S.cohort[k]) === state.cohort && S.name[k] === name);
    if (r === undefined) return "";
    const out = S.n_not_estimable[r];
    const median = T(S.median_method[r]).includes("not reached") ? " Median not reached." : S.median[r] === null ? "" : ` Median ${days(S.median[r])} days.`;
    return `${S.n[r] - out} of ${plural(S.n[r], "course")} counted.${median}${out ? ` Not counted: ${T(S.reasons[r]) || out}.` : ""}`;
  }
  function curve(into, option, rows) {
    const of = (e) => rows.filter((r) => T(K.estimator[r]) === e).sort((a, b) => K.day[a] - K.day[b] || K.survival[b] - K.survival[a]);
    const km = of("kaplan_meier"), np = of("turnbull");
    const plot = figure(`${option.y} over ${option.x.toLowerCase()}: Kaplan-Meier and Turnbull curves.`, 340);
    Object.assign(plot.dataset, { paper: 260, screen: 340 });
    into.append(plot);
    const pct = (v) => (v === null ? null : option.invert ? 100 - v * 100 : v * 100);
    const full = pct(1);
    const starts = km.length && K.day[km[0]] > 0;
    const with0 = (first, list) => (starts ? [first, ...list] : list);
    const traces = [];
    if (km.length) {
      const dx = with0(0, km.map((r) => K.day[r]));
      const band = (key) => with0(full, km.map((r) => pct(K[key][r] === null ? K.survival[r] : K[key][r])));
      traces.push(
        { type: "scatter", mode: "lines", x: dx, y: band("upper"), line: { shape: "hv", width: 0 }, hoverinfo: "skip", showlegend: false },
        { type: "scatter", mode: "lines", x: dx, y: band("lower"), line: { shape: "hv", width: 0 }, fill: "tonexty", fillcolor: "rgba(0,114,178,0.14)", hoverinfo: "skip", name: "95 % confidence" },
        {
          type: "scatter", mode: "lines", x: dx, y: with0(full, km.map((r) => pct(K.survival[r]))), line: { shape: "hv", width: 2.4, color: COLOURS[0] },
          name: "Kaplan-Meier", hoverinfo: "text",
          text: with0(`day 0<br>${full} %`, km.map((r) => `day ${days(K.day[r])}<br>${num(pct(K.survival[r]))} % ${option.word}${K.n_at_risk[r] === null ? "" : `<br>at risk ${K.n_at_risk[r]}`}`)),
        });
    }
    if (np.length) {
      // A step of the Turnbull curve lies somewhere within its interval: it is drawn slanted across it.
      const line = { x: [0], y: [full], text: [`day 0<br>${full} %`] };
      let before = full;
      for (const r of np) {
        const [left, right, after] = [K.lower[r], K.day[r], pct(K.survival[r])];
        const put = (d, s) => { line.x.push(d); line.y.push(s); line.text.push(`${num(before)} to ${num(after)} % ${option.word}<br>changes between day ${days(left)} and ${right === null ? "later" : days(right)}`); };
        if (after === before) continue;
        if (left !== null) put(left, before);
        if (right !== null) { put(right, after); before = after; }
      }
      const end = Math.max(...line.x, ...km.map((r) => K.day[r]));
      if (end > line.x[line.x.length - 1]) { line.x.push(end); line.y.push(before); line.text.push(`${num(before)} % ${option.word}`); }
      traces.push({ type: "scatter", mode: "lines", ...line, line: { width: 2, color: COLOURS[1], dash: "dash" }, name: "Turnbull (intervals)", hoverinfo: "text" });
    }
    const last = Math.max(1, ...traces.flatMap((t) => t.x));
    draw(plot, traces, { height: 340, xaxis: axis(option.x, { range: [0, last * 1.06] }), yaxis: axis(option.y, { range: [-2, 103] }) });
  }

  // ---------------------------------------------------------------- antibodies

  const B = D.antibody_means, MEAN = "#6a1b5d";
  /** Each patient's fall: a bar as far as it is certain, a whisker as far as it may reach. */
  function waterfallFigure(into, member) {
    const w = D.waterfalls.find((x) => x.t === state.t && x.i === state.i);
    const box = h("figure", {}, h("h2", {}, "Fall of each patient"));
    into.append(box);
    const rows = w ? range(0, w.s.length).filter((k) => member(w.s[k])) : [];
    const shown = rows.filter((k) => w.known[k] !== "none"), none = rows.filter((k) => w.known[k] === "none");
    if (!shown.length) {
      box.append(h("p", { class: "notice" }, "No fall can be given in this course."));
      return;
    }
    box.append(h("p", { class: "say" }, "Change from baseline to the lowest later result, in log2 steps: −2 is a quarter. The bar is the measured change, the whisker what the dilutions leave open. Where only a bound is known the bar is pale and ends at a triangle: the fall was at least, or at most, so large."));
    const plot = figure("Waterfall of the change of the antibody from baseline in log2 steps, one bar for each patient.", 340);
    Object.assign(plot.dataset, { paper: 260, screen: 340 });
    box.append(plot);
    const bar = { x: [], y: [], text: [], customdata: [] }, sure = { x: [], y: [], text: [], customdata: [] }, whisker = { x: [], y: [], text: [], customdata: [] }, caps = { x: [], y: [], text: [], customdata: [] };
    const least = { x: [], y: [], text: [], customdata: [] }, most = { x: [], y: [], text: [], customdata: [] }, missing = { x: [], y: [], text: [], customdata: [] };
    const put = (to, x, y, text, s) => { to.x.push(x); to.y.push(y); to.text.push(text); to.customdata.push(s); };
    const span = (x, low, high, text, s) => {
      put(whisker, x, low, text, s); put(whisker, x, high, text, s); put(whisker, null, null, null, null);
      put(caps, x, low, text, s); put(caps, x, high, text, s);
    };
    [...shown, ...none].forEach((k, x) => {
      const [low, high, s] = [w.low[k], w.high[k], w.s[k]];
      const why = T(w.reason[k]) ? `<br>${plain(shorten(T(w.reason[k]), 80))}` : "";
      const name = plain(D.subjects[s].id);
      const say = (text) => `${name}<br>${text}${why}`;
      switch (w.known[k]) {
        case "value": {
          const range_ = low !== null && high !== null && low !== high;
          const text = say(`change ${num(w.value[k])}${range_ ? ` (${num(low)} to ${num(high)})` : ""}`);
          put(bar, x, w.value[k], text, s);
          if (range_) span(x, low, high, text, s);
          break;
        }
        case "interval": {
          const text = say(`change between ${num(low)} and ${num(high)}`);
          put(sure, x, high < 0 ? high : low > 0 ? low : 0, text, s);
          span(x, low, high, text, s);
          break;
        }
        case "at_least": put(sure, x, Math.min(0, high), say(`change ${num(high)} or a deeper fall`), s); put(least, x, high, say(`change ${num(high)} or a deeper fall`), s); break;
        case "at_most": put(most, x, low, say(`change ${num(low)} or a smaller fall`), s); break;
        default: put(missing, x, 0, say("not assessable"), s);
      }
    });
    const order = [...shown, ...none].map((k) => w.s[k]);
    const colour = FAMILY.antibody;
    const mark = (list, symbol, name, shade, size = 9) => (list.x.length ? [{ type: "scatter", mode: "markers", ...list, name, hoverinfo: "text", legendrank: 300, marker: { symbol, size, color: shade, line: { color: shade, width: 1.6 } } }] : []);
    draw(plot, [
      ...[[bar, "Measured change", 0.75], [sure, "Change that is certain", 0.3]].filter(([list]) => list.x.length).map(([list, name, alpha]) => ({ type: "bar", ...list, name, hoverinfo: "text", hovertext: list.text, textposition: "none", marker: { color: wash(colour, alpha) }, width: 0.72 })),
      ...(whisker.x.length ? [{ type: "scatter", mode: "lines", ...whisker, name: "Left open by the dilutions", hoverinfo: "text", connectgaps: false, line: { color: INK, width: 1.6 } }] : []),
      ...mark(caps, "line-ew-open", "", INK, 7).map((t) => ({ ...t, showlegend: false })),
      ...mark(least, "triangle-down-open", "Bound: at least this fall", INK), ...mark(most, "triangle-up-open", "Bound: at most this fall", INK), ...mark(missing, "x-thin-open", "Not assessable", SOFT),
      { type: "scatter", mode: "lines", x: [-0.7, order.length - 0.3], y: [-Math.log2(D.fold), -Math.log2(D.fold)], name: `${fold} fall`, hoverinfo: "skip", legendrank: 900, line: { color: SOFT, width: 1.2, dash: "dash" } },
    ], {
      height: 340, barmode: "overlay",
      xaxis: axis("", { tickmode: "array", tickvals: range(0, order.length), ticktext: order.map((s) => plain(shorten(D.subjects[s].id, 12))), showticklabels: order.length <= 40, tickangle: order.length > 8 ? -60 : 0, range: [-0.7, order.length - 0.3], showgrid: false, ticks: "" }),
      yaxis: axis("Change from baseline (log2)", { zeroline: true, zerolinecolor: "#8b97a3" }),
    }, true);
    if (none.length) box.append(h("p", { class: "say" }, "Not assessable: ", none.flatMap((k, j) => [j ? ", " : "", explain(h("span", { class: "ne" }, D.subjects[w.s[k]].id), T(w.reason[k]) || "no reason given")]), "."));
  }

  const meansOf = (quantity) => range(0, B.t.length).filter((r) => B.t[r] === state.t && B.infusion[r] === state.i && T(B.cohort[r]) === state.cohort && T(B.quantity[r]) === quantity);
  const meanText = (r) => `${num(B.geometric_mean[r])} (95 % ${num(B.geometric_lower[r])} to ${num(B.geometric_upper[r])})`;
  /** Mean levels with their limits, and the usual means of end points beside them, for the figure of the courses. */
  function meansTraces(type) {
    const rows = meansOf("level");
    const known = rows.filter((r) => B.geometric_mean[r] !== null), usual = rows.filter((r) => B.end_point_mean[r] !== null);
    const away = (key) => known.map((r) => (B[key][r] === null ? 0 : Math.abs(B[key][r] - B.geometric_mean[r])));
    const base = { type: "scatter", mode: "markers", hoverinfo: "text" };
    const say = (r, text) => plain(`${T(B.visit[r])}: ${text}`) + `<br>n = ${B.n[r]}, of these ${B.n_below[r]} below a limit`;
    return [
      ...(usual.length ? [{ ...base, name: type.titre ? "Usual mean of end points" : "Usual mean, half of a limit", legendrank: 111, x: usual.map((r) => B.day[r]), y: usual.map((r) => B.end_point_mean[r]),
        text: usual.map((r) => say(r, `usual mean ${num(B.end_point_mean[r])}`)), marker: { color: NIGHT, size: 8, symbol: "x-thin-open", line: { color: NIGHT, width: 1.6 } } }] : []),
      ...(known.length ? [{ ...base, name: "Geometric mean with 95 % limits", legendrank: 110, x: known.map((r) => B.day[r]), y: known.map((r) => B.geometric_mean[r]), text: known.map((r) => say(r, `geometric mean ${meanText(r)}`)),
        error_y: { type: "data", array: away("geometric_upper"), arrayminus: away("geometric_lower"), color: MEAN, thickness: 1.8, width: 5 }, marker: { color: MEAN, size: 10, symbol: "diamond", line: { color: "#fff", width: 1 } } }] : []),
    ];
  }
  /** Mean level and change at each visit, one line for each. */
  function meansTable(into) {
    const levels = meansOf("level");
    if (!levels.length) return;
    const change = new Map(meansOf("change").map((r) => [T(B.visit[r]), r]));
    const type = D.types[state.t];
    const beyond = (r) => [B.n_below[r] ? `${B.n_below[r]} below` : "", B.n_above[r] ? `${B.n_above[r]} above` : ""].filter(Boolean).join(", ") || "–";
    const mean = (r) => {
      if (r === undefined) return h("span", { class: "nothing" }, "–");
      return T(B.status[r]) === "estimated" ? meanText(r) : explain(h("span", { class: "ne" }, "not estimable"), T(B.reason[r]) || "no reason given");
    };
    const out = (r) => [T(B.left_out[r]), change.has(T(B.visit[r])) && B.n[change.get(T(B.visit[r]))] !== B.n[r] ? `change: n = ${B.n[change.get(T(B.visit[r]))]}${T(B.left_out[change.get(T(B.visit[r]))]) ? `; ${T(B.left_out[change.get(T(B.visit[r]))])}` : ""}` : ""].filter(Boolean).join(". ") || "–";
    into.append(h("h2", {}, "Mean level and change"),
      h("p", { class: "say" }, `Geometric means over patients, each result as the interval that it stands for${type.titre ? ": a titre of 40 in two-fold dilutions is anything from 40 up to 80, so the mean lies half a step above the usual one" : ""}. The change is the quotient to the baseline of the same patient. Patients who were negative at baseline are left out.`),
      table([
        { label: "Visit", cell: (r) => T(B.visit[r]) }, { label: "Day", n: true, cell: (r) => days(B.day[r]) },
        { label: "Patients", n: true, cell: (r) => num(B.n[r]) }, { label: "Beyond a limit", cell: beyond },
        { label: "Geometric mean", unit: type.unit, cls: "fold", cell: mean },
        { label: "Usual mean", unit: type.titre ? "of end points" : "half of a limit", n: true, cell: (r) => num(B.end_point_mean[r]) },
        { label: "Change", unit: "of baseline", cls: "fold", cell: (r) => mean(change.get(T(B.visit[r]))) },
        { label: "Left out", cls: "wide", cell: out },
      ], levels, { sticky: true, label: "Mean level and change at each visit" }));
  }

  const PARAMETER = { y0: "level on day 0", decay_rate: "rate of decay", half_life: "half-life" };
  /** The decay over all patients, as one line of text with its intervals. */
  function decaySay(into) {
    const m = D.models;
    const rows = range(0, m.t.length).filter((r) => m.t[r] === state.t);
    for (const model of unique(rows.map((r) => T(m.model[r])))) {
      const mine = rows.filter((r) => T(m.model[r]) === model);
      const known = mine.filter((r) => T(m.status[r]) === "estimated" && PARAMETER[T(m.parameter[r])]);
      const unit = (r) => ({ "1/day": " per day", day: " days", titre: "" })[T(m.unit[r])] ?? " " + T(m.unit[r]);
      const limits = (r) => (m.lower[r] === null ? "" : m.upper[r] === null ? ` (95 % ${num(m.lower[r])} or more)` : ` (95 % ${num(m.lower[r])} to ${num(m.upper[r])})`);
      const parts = known.length ? known.flatMap((r, k) => [k ? "; " : "", `${PARAMETER[T(m.parameter[r])]} `, h("b", {}, num(m.value[r]) + unit(r)), limits(r)])
        : [h("span", { class: "ne" }, "not estimable"), ` (${T(m.reason[mine[0]]) || "no reason given"})`];
      const odd = mine.filter((r) => T(m.status[r]) !== "estimated");
      if (known.length && odd.length) parts.push("; ", ...odd.flatMap((r, k) => [k ? ", " : "", explain(h("span", { class: "ne" }, `${words(T(m.parameter[r]))} not estimable`), T(m.reason[r]) || "no reason given")]));
      into.append(h("p", { class: "notice" }, `Decay over all patients (${words(model)}): `, ...parts,
        `. ${plural(m.n_subjects[mine[0]], "patient")}, ${plural(m.n_points[mine[0]], "result")}, of these ${m.n_censored[mine[0]]} below a limit.`));
    }
  }
  /** The same decay as a line with its interval, for the figure of the courses. */
  function decayTraces(end) {
    const m = D.models;
    const of = (name) => range(0, m.t.length).find((r) => m.t[r] === state.t && T(m.parameter[r]) === name && T(m.status[r]) === "estimated");
    const k = of("decay_rate"), y0 = of("y0");
    if (k === undefined || y0 === undefined) return [];
    const x = range(0, 41).map((j) => (j / 40) * end);
    const at = (rate) => x.map((d) => m.value[y0] * Math.exp(-rate * d));
    const base = { type: "scatter", mode: "lines", x, hoverinfo: "skip" };
    const band = m.lower[k] === null || m.upper[k] === null ? [] : [{ ...base, y: at(m.lower[k]), line: { width: 0 }, showlegend: false },
      { ...base, y: at(m.upper[k]), line: { width: 0 }, fill: "tonexty", fillcolor: "rgba(27,34,41,0.12)", name: "95 % interval of its rate", legendrank: 121 }];
    return [...band, { ...base, y: at(m.value[k]), name: "Decay over all patients", legendrank: 120, hoverinfo: "text", text: x.map((d) => `decay over all patients<br>day ${days(d)}`), line: { color: INK, width: 2.4, dash: "dash" } }];
  }
