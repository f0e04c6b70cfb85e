  // ---------------------------------------------------------------- efficacy

  const EFFICACY = D.efficacy;
  const shownOf = { group: "all", curve: "relapse_free_survival", score: 0, change: "", clock: "day" };

  function efficacyPage() {
    view.append(h("h1", { tabindex: "-1" }, "Efficacy"),
      h("p", { class: "lead" }, "Key results, relapses, clinical scores, and whether expansion goes with response. Day 0 is the first infusion."));
    keyResults(view);
    relapseFree(view);
    scoresPanel(view);
    againstResponse(view);
    againstAntibody(view);
  }

  // ---------------------------------------------------------------- key results

  function keyResults(into) {
    const K = EFFICACY.key;
    const all = range(0, K.cohort.length);
    if (!all.length) return;
    const groups = unique(all.map((r) => T(K.cohort[r])));
    const of = (g) => all.filter((r) => T(K.cohort[r]) === g);
    const refused = (r) => T(K.status[r]) !== "estimated";
    const source = (r) => `Table ${words(T(K.source_table[r]))}${T(K.source_metric[r]) ? ": " + words(T(K.source_metric[r])) : ""}`;
    const remark = (r) => (T(K.text[r]).includes(T(K.reason[r])) ? "" : T(K.reason[r]));
    // A narrow window has no room for a third column.
    const small = narrow();
    const list = table([
      { label: "Result", cls: small ? "text" : "roomy text", cell: (r) => h("span", { title: source(r) }, T(K.result[r])) },
      { label: "Value", cls: small ? "text fits" : "wide text", cell: (r) => [refused(r) ? h("span", { class: "ne" }, T(K.text[r])) : T(K.text[r]), small && remark(r) ? h("div", { class: "say" }, remark(r)) : null].filter(Boolean) },
      ...(small ? [] : [{ label: "Remark", cls: "remark", cell: remark }]),
    ], of("all"), { group: (r) => `${T(K.section[r])}${T(K.course[r]) ? ": " + T(K.course[r]) : ""}`, tight: true, label: "Key results" });
    into.append(h("h2", {}, "Key results"),
      h("p", { class: "say" }, "What an abstract prints. Shares are n of those who could be assessed (percent; exact 95 % confidence interval); who could not be is counted beside them. Numbers are median (smallest to largest). Hold the pointer on a result for the table that it comes from."),
      h("div", { class: "controls" },
        ...(groups.length > 1 ? [choice("Group", groups.map((g) => [g, g === "all" ? "All patients" : g]), "all", (g) => list.update(of(g)))] : []),
        h("button", {
          type: "button", class: "push", onclick: () => {
            const names = Object.keys(K);
            download("cartrace_key_results.csv", names, all.map((r) => names.map((n) => (TEXT_COLUMNS.has(n) ? T(K[n][r]) : K[n][r]))));
          },
        }, "Download as CSV")),
      list);
  }
  const TEXT_COLUMNS = new Set(["cohort", "section", "result", "course", "text", "unit", "status", "reason", "source_table", "source_metric"]);

  // ---------------------------------------------------------------- relapse-free survival and follow-up

  function outcomeRow(cohort, outcome, statistic, day = null) {
    const O = EFFICACY.outcomes;
    return range(0, O.cohort.length).find((r) => T(O.cohort[r]) === cohort && T(O.outcome[r]) === outcome && T(O.statistic[r]) === statistic && (day === null || O.day[r] === day));
  }
  function relapseFree(into) {
    const O = EFFICACY.outcomes, C = EFFICACY.curves;
    if (!O.cohort.length) return;
    const kinds = [["relapse_free_survival", "Relapse-free"], ["follow_up", "Follow-up"]];
    const all = range(0, C.cohort.length);
    const groups = unique(all.map((r) => T(C.cohort[r])));
    const body = h("div", {});
    const named = unique(range(0, O.cohort.length).map((r) => T(O.cohort[r]))).filter((g) => g !== "all");
    const choices = [["all", "All patients"], ...named.map((g) => [g, g]), ...(named.length > 1 ? [["each", "Each cohort"]] : [])];
    const what = EFFICACY.kinds.join(" or ");
    into.append(h("h2", {}, "Relapse-free survival and follow-up"),
      h("p", { class: "say" }, `Kaplan-Meier from the first infusion. An event is a ${what}${EFFICACY.death === "event" ? ", or death" : "; death ends the follow-up"}. Who had none is followed to the last contact (a tick on the curve). The follow-up curve is the reverse: there the last contact is the event.`));
    if (!groups.length) {
      const r = outcomeRow("all", "relapse_free_survival", "median");
      into.append(h("p", { class: "notice" }, `No curve: ${r === undefined ? "no table" : T(O.reason[r])}.`));
      return;
    }
    if (!choices.some(([g]) => g === shownOf.group)) shownOf.group = "all";
    const show = () => {
      renew(body);
      const chosen = shownOf.group === "each" ? named : [shownOf.group];
      outcomeCurve(body, shownOf.curve, chosen.filter((g) => groups.includes(g)));
      for (const g of chosen) body.append(outcomeSays(g, shownOf.curve, chosen.length > 1));
    };
    into.append(h("div", { class: "controls" }, segments("Curve", kinds, shownOf.curve, (k) => { shownOf.curve = k; show(); }),
      ...(choices.length > 1 ? [choice("Group", choices, shownOf.group, (g) => { shownOf.group = g; show(); })] : [])), body);
    show();
  }
  function outcomeSays(group, outcome, name) {
    const O = EFFICACY.outcomes;
    const m = outcomeRow(group, outcome, "median"), plainShare = outcomeRow(group, "relapse_free", "share");
    const low = outcomeRow(group, "follow_up", "minimum"), high = outcomeRow(group, "follow_up", "maximum");
    if (m === undefined) return h("p", { class: "say" }, `${group}: no row.`);
    const ends = (r) => `${O.lower[r] === null ? "not reached" : days(O.lower[r])} to ${O.upper[r] === null ? "not reached" : days(O.upper[r])}`;
    const median = T(O.status[m]) === "estimated" ? `Median ${days(O.value[m])} days (95 % limits ${ends(m)}).` : T(O.reason[m]).startsWith("not reached") ? `Median ${T(O.reason[m])}.` : `Median not estimable: ${T(O.reason[m])}.`;
    const out = O.n_left_out[m] ? ` Left out: ${T(O.left_out[m])}.` : "";
    const counts = outcome === "follow_up" ? `${plural(O.n[m], "patient")} followed, ${plural(O.n_events[m], "death")}; observed from ${low === undefined ? "–" : days(O.value[low])} to ${high === undefined ? "–" : days(O.value[high])} days.`
      : `${plural(O.n[m], "patient")}, ${O.n_events[m]} with an event.${plainShare !== undefined && T(O.reason[plainShare]) && T(O.status[plainShare]) === "estimated" ? ` ${capital(T(O.reason[plainShare]))}.` : ""}`;
    const method = T(O.method[m]);
    return h("p", { class: "say" }, name ? h("b", {}, `${group}: `) : null, `${counts} ${median}${out}`, name ? null : ` ${capital(method)}.`);
  }
  function outcomeCurve(into, outcome, groups) {
    const C = EFFICACY.curves;
    const rowsOf = (g) => range(0, C.cohort.length).filter((r) => T(C.cohort[r]) === g && T(C.outcome[r]) === outcome).sort((a, b) => C.day[a] - C.day[b]);
    const drawn = groups.filter((g) => rowsOf(g).length);
    if (!drawn.length) {
      into.append(h("p", { class: "notice" }, "No curve: too few patients were followed, or the events sheet says nothing about relapses."));
      return;
    }
    const what = outcome === "follow_up" ? "still followed" : "relapse-free";
    const end = Math.max(28, ...drawn.flatMap((g) => rowsOf(g).map((r) => C.day[r])));
    const most = narrow() ? 4 : 9;
    const step = [7, 14, 28, 30, 60, 90, 180, 365, 730, 1460].find((s) => end / s <= most) || 3650;
    const ticks = range(0, Math.floor(end / step) + 1).map((k) => k * step);
    const lines = drawn.length;
    const size = 330 + 18 * lines;
    const plot = figure(`Patients ${what} over days from the first infusion, with the number at risk. The numbers are in the table of key results.`, size);
    into.append(h("figure", {}, plot));
    const traces = [];
    const part = (16 + 18 * lines) / size;
    drawn.forEach((g, k) => {
      const colour = lines > 1 ? COLOURS[k % COLOURS.length] : COLOURS[0];
      const rows = rowsOf(g);
      const name = plain(lines > 1 ? g : capital(what));
      const x = rows.map((r) => C.day[r]), pct = (v) => (v === null ? null : 100 * v);
      const said = (r) => `${lines > 1 ? plain(g) + "<br>" : ""}day ${days(C.day[r])}<br>${num(pct(C.survival[r]))} % ${what}${C.lower[r] === null ? "" : `<br>95 % limits ${num(pct(C.lower[r]))} to ${C.upper[r] === null ? "–" : num(pct(C.upper[r]))} %`}<br>at risk ${C.n_at_risk[r]}`;
      if (lines === 1) {
        const edge = (key) => rows.map((r) => pct(C[key][r] === null ? C.survival[r] : C[key][r]));
        traces.push(
          { type: "scatter", mode: "lines", x, y: edge("upper"), line: { shape: "hv", width: 0 }, hoverinfo: "skip", showlegend: false },
          { type: "scatter", mode: "lines", x, y: edge("lower"), line: { shape: "hv", width: 0 }, fill: "tonexty", fillcolor: wash(colour, 0.14), hoverinfo: "skip", name: "95 % limits (none before the first event)" });
      }
      traces.push({ type: "scatter", mode: "lines", x, y: rows.map((r) => pct(C.survival[r])), line: { shape: "hv", width: 2.4, color: colour }, name, hoverinfo: "text", text: rows.map(said) });
      const cut = rows.filter((r) => C.n_censored[r] > 0);
      traces.push({
        type: "scatter", mode: "markers", x: cut.map((r) => C.day[r]), y: cut.map((r) => pct(C.survival[r])), hoverinfo: "text", name: outcome === "follow_up" ? "Death" : "Last contact without an event", showlegend: k === 0,
        text: cut.map((r) => `${said(r)}<br>${plural(C.n_censored[r], "patient")} censored`), marker: { symbol: "line-ns-open", size: 11, color: colour, line: { width: 1.8, color: colour } },
      });
      // Who has a time of that day or later is at risk just before it.
      const left = ticks.map((d) => { const r = rows.find((q) => C.day[q] >= d); return r === undefined ? 0 : C.n_at_risk[r]; });
      traces.push({ type: "scatter", mode: "text", x: ticks, y: ticks.map(() => -k), yaxis: "y2", text: left.map(String), textfont: { size: 12, color: lines > 1 ? colour : INK }, hoverinfo: "skip", showlegend: false });
    });
    draw(plot, traces, {
      height: size,
      xaxis: axis("Days from the first infusion", { range: [-0.03 * end, 1.03 * end], tickmode: "array", tickvals: ticks, anchor: "y2" }),
      yaxis: axis(`Patients ${what} (%)`, { range: [-2, 104], domain: [part + 0.03, 1] }),
      yaxis2: { domain: [0, part], range: [-lines + 0.4, 0.9], showticklabels: false, showgrid: false, zeroline: false, ticks: "", fixedrange: true, title: { text: "At risk", font: { size: 12, color: SOFT } }, automargin: true },
    });
  }

  // ---------------------------------------------------------------- scores

  function scoresPanel(into) {
    const scores = EFFICACY.scores;
    into.append(h("h2", {}, "Clinical scores"));
    if (!scores.length) {
      into.append(h("p", { class: "notice" }, "No clinical score was read."));
      return;
    }
    const body = h("div", {});
    const show = () => {
      renew(body);
      scoreCourses(body, scores[shownOf.score]);
      scoreChanges(body, scores[shownOf.score]);
    };
    if (shownOf.score >= scores.length) shownOf.score = 0;
    if (scores.length > 1) into.append(h("div", { class: "controls" }, choice("Score", scores.map((s, k) => [k, s.place ? `${s.label} (${s.place})` : s.label]), shownOf.score, (k) => { shownOf.score = Number(k); show(); })));
    into.append(body);
    show();
  }
  function scoreCourses(into, score) {
    const first = score.courses.filter((c) => c.i === 1);
    into.append(h("p", { class: "say" }, `${score.label}, ${score.better} is better: ${plural(first.length, "patient")}, first infusion. The smallest change that counts is ${num(score.minimal)}. Crosses are relapses, at the last score before them.`));
    const plot = figure(`${score.label} of each patient over days from the infusion, with the median over visits.`, 360);
    into.append(h("figure", {}, plot));
    const traces = [];
    const groups = cohorts.length ? [...cohorts, ""] : [""];
    groups.forEach((cohort, k) => {
      const mine = first.filter((c) => D.subjects[c.s].cohort === cohort);
      if (!mine.length) return;
      const line = { x: [], y: [], text: [], customdata: [] };
      for (const c of mine) {
        c.day.forEach((d, j) => {
          line.x.push(d); line.y.push(c.value[j]); line.customdata.push(c.s);
          line.text.push([plain(D.subjects[c.s].id), `day ${days(d)}${c.visit[j] ? ", " + plain(c.visit[j]) : ""}`, `${plain(score.label)} ${num(c.value[j])}`].join("<br>"));
        });
        for (const key in line) line[key].push(null);
      }
      const colour = COLOURS[k % COLOURS.length];
      traces.push({ type: "scatter", mode: "lines+markers", ...line, connectgaps: false, hoverinfo: "text", opacity: first.length <= 30 ? 0.65 : 0.4, name: plain(cohort || (cohorts.length ? "No cohort" : "Patients")), line: { color: colour, width: 1.4 }, marker: { color: colour, symbol: SHAPES[k % SHAPES.length], size: 6 } });
    });
    const median = score.medians.find((m) => m.cohort === "all");
    if (median && median.median.some((v) => v !== null)) {
      traces.push({
        type: "scatter", mode: "lines+markers", x: median.day, y: median.median, name: D.by_visit ? "Median over nominal visits" : "Median over day bins", connectgaps: false, legendrank: 100, hoverinfo: "text",
        line: { color: INK, width: 3 }, marker: { color: INK, size: 7, symbol: "circle" }, text: median.day.map((_, k) => `Median at ${plain(median.label[k])}<br>${num(median.median[k])} ${plain(score.unit)}<br>n = ${median.n[k]}`),
      });
    }
    const hit = { x: [], y: [], text: [], customdata: [] };
    for (const c of first) {
      for (const e of D.subjects[c.s].events.filter((x) => EFFICACY.kinds.includes(x.kind) && x.day > 0)) {
        const before = range(0, c.study.length).filter((j) => c.study[j] <= e.day).pop();
        if (before === undefined) continue;
        hit.x.push(e.day); hit.y.push(c.value[before]); hit.customdata.push(c.s);
        hit.text.push(`${plain(D.subjects[c.s].id)}<br>${plain(words(e.kind))}${e.label ? ": " + plain(shorten(e.label, 60)) : ""}<br>day ${days(e.day)}`);
      }
    }
    if (hit.x.length) traces.push({ type: "scatter", mode: "markers", ...hit, name: capital(EFFICACY.kinds.map(words).join(" or ")), hoverinfo: "text", legendrank: 300, marker: { symbol: "x-thin-open", size: 12, color: HARM, line: { width: 2.6, color: HARM } } });
    const values = first.flatMap((c) => c.value);
    const [a, b] = values.length ? [Math.min(...values), Math.max(...values)] : score.range;
    const pad = Math.max((b - a) * 0.08, score.minimal / 2);
    const y = [Math.max(score.range[0] - score.minimal / 4, a - pad), Math.min(score.range[1] + score.minimal / 4, b + pad)];
    draw(plot, traces, {
      height: narrow() ? 340 : 400, xaxis: axis("Days from infusion", {}),
      yaxis: axis(`${plain(score.label)} (${score.better} is better)`, { range: y }),
      shapes: [{ type: "line", xref: "x", yref: "paper", x0: 0, x1: 0, y0: 0, y1: 1, line: { color: NIGHT, width: 1 } }],
    }, true);
  }
  function scoreChanges(into, score) {
    if (!score.changes.length) {
      into.append(h("p", { class: "notice" }, "No change from the baseline is known at any landmark."));
      return;
    }
    const named = (c) => (c.name === "best" ? "Best change" : c.name);
    const body = h("div", {});
    // At first the last landmark that at least half of the patients reached.
    const most = Math.max(...score.changes.map((c) => c.n));
    const now = score.changes.find((c) => c.name === shownOf.change) || score.changes.filter((c) => c.name !== "best" && 2 * c.n >= most).pop() || score.changes[0];
    const unknown = (c, none) => unique(none.map((k) => T(c.reason[k]) || "no reason given")).map((why) => {
      const who = none.filter((k) => (T(c.reason[k]) || "no reason given") === why);
      return `${who.length > 4 ? plural(who.length, "patient") : who.map((k) => D.subjects[c.s[k]].id).join(", ")} (${why})`;
    }).join("; ");
    const show = (c) => {
      shownOf.change = c.name;
      renew(body);
      const known = range(0, c.s.length).filter((k) => c.value[k] !== null), none = range(0, c.s.length).filter((k) => c.value[k] === null);
      const plot = figure(`Change of ${score.label} of each patient, from best to worst.`, 320);
      const sign = score.better === "lower" ? -1 : 1;
      const kinds = [["Improved", COLOURS[0], (v) => v >= score.minimal - 1e-9], ["Less than the smallest change that counts", "#8b97a3", (v) => Math.abs(v) < score.minimal - 1e-9], ["Worsened", COLOURS[1], (v) => v <= -score.minimal + 1e-9]];
      const traces = kinds.map(([name, colour, is]) => {
        const mine = known.filter((k) => is(sign * c.value[k]));
        return { type: "bar", name, x: mine.map((k) => known.indexOf(k)), y: mine.map((k) => c.value[k]), width: 0.8, customdata: mine.map((k) => c.s[k]), marker: { color: colour }, hoverinfo: "text", text: mine.map((k) => `${plain(D.subjects[c.s[k]].id)}<br>${c.value[k] > 0 ? "+" : ""}${num(c.value[k])} ${plain(score.unit)}`), textposition: "none" };
      }).filter((t) => t.x.length);
      // No change is no bar: a mark on the line says that it was seen.
      const still = known.filter((k) => c.value[k] === 0);
      if (still.length) traces.push({ type: "scatter", mode: "markers", name: "No change", x: still.map((k) => known.indexOf(k)), y: still.map(() => 0), customdata: still.map((k) => c.s[k]), hoverinfo: "text", text: still.map((k) => `${plain(D.subjects[c.s[k]].id)}<br>no change`), marker: { symbol: "line-ew-open", size: 12, color: SOFT, line: { width: 2, color: SOFT } } });
      body.append(h("figure", {}, plot));
      draw(plot, traces, {
        height: 320, barmode: "overlay",
        xaxis: axis("", { tickmode: "array", tickvals: range(0, known.length), ticktext: known.map((k) => plain(shorten(D.subjects[c.s[k]].id, 12))), showticklabels: known.length <= 40, showgrid: false, ticks: "", range: [-0.7, Math.max(known.length, 4) - 0.3] }),
        yaxis: axis(`Change (${plain(score.unit)})`, { zeroline: true, zerolinecolor: "#8b97a3" }),
        shapes: [-1, 1].map((k) => ({ type: "line", xref: "paper", yref: "y", x0: 0, x1: 1, y0: k * score.minimal, y1: k * score.minimal, line: { color: SOFT, width: 1, dash: "dot" } })),
      }, true);
      const share = c.name === "best" ? "The best of several scores looks better than any one of them: for a share of improved patients take a landmark. " : `${c.improved} of ${c.n} improved and ${c.worsened} worsened by ${num(score.minimal)} or more (dotted lines). `;
      body.append(h("p", { class: "say" }, `${share}${none.length ? `Not known: ${unknown(c, none)}.` : ""}`));
    };
    into.append(h("h3", {}, "Change from baseline"), h("div", { class: "controls" }, segments("Change", score.changes.map((c) => [c, named(c)]), now, show)), body);
    show(now);
  }

  // ---------------------------------------------------------------- expansion against outcomes

  const pText = (x) => (x === null ? "–" : x < 0.001 ? "< 0.001" : `= ${num(x, 2)}`);
  /** Known values as dots, intervals as lines between their ends; open ends reach the edge of the figure. */
  function ends(plots_) {
    const seen = plots_.flatMap((v) => v).filter((v) => v !== null && v > 0);
    return seen.length ? [Math.min(...seen), Math.max(...seen)] : [1, 10];
  }
  function spread(k, n) {
    // Dots of one group stand side by side in a fixed order: no drawn lot moves them from run to run.
    return n < 2 ? 0 : ((k % 5) - 2) * Math.min(0.09, 0.4 / n);
  }
  function courseChoice(into, list, draw_) {
    const courses = unique(list.map((p) => p.course));
    const body = h("div", { class: "two" });
    const show = (course) => {
      renew(body);
      list.filter((p) => p.course === course).forEach((p) => draw_(body, p));
    };
    // The course with the most patients comes first.
    const by = (course) => Math.max(...list.filter((p) => p.course === course).map((p) => p.s.length));
    courses.sort((a, b) => by(b) - by(a));
    if (courses.length > 1) into.append(h("div", { class: "controls" }, choice("Expansion course", courses.map((c) => [c, c]), courses[0], show)));
    into.append(body);
    show(courses[0]);
  }
  function againstResponse(into) {
    const R = EFFICACY.response;
    into.append(h("h2", {}, "Expansion against response"));
    if (!R) {
      into.append(h("p", { class: "notice" }, "Not shown: the events sheet holds no response, or no expansion was computed."));
      return;
    }
    const most = R.plots.reduce((a, p) => (p.s.length > a.s.length ? p : a));
    into.append(h("p", { class: "say" }, `${R.name}. ${R.missing ? `${plural(R.missing, "patient")} without a response that counts. ` : ""}Rank tests of the cohort page; q is p corrected for all questions about response. An effect of 50 % is none, 100 % means that every one of the first group lies above every one of the second.`),
      h("p", { class: "notice" }, `${R.few ? `With ${R.groups.map((g, k) => `${most.sizes[k]} (${g})`).join(" and ")} patients ${most.least_p === null ? "there is no test" : `p cannot fall below ${num(most.least_p, 2)}, whatever the cells did`}. So few patients show only a nearly complete separation: a p above 0.05 is no sign that expansion does not matter. ` : ""}A small p is no cause, since dose and disease differ too.`));
    courseChoice(into, R.plots, (box, p) => {
      const plot = figure(`${p.metric} by response group.`, 320);
      const t = p.test;
      const line = t.tested ? `n = ${t.n}; effect ${t.effect === null ? "–" : `${num(100 * t.effect, 2)} %`}; p ${pText(t.p)} (${T(t.p_method)}); q ${pText(t.q)}. ${capital(T(t.reason))}${T(t.reason) ? "." : ""}` : `Not tested: ${T(t.reason)}.`;
      box.append(h("figure", {}, h("h3", {}, p.metric), plot, h("p", { class: "say" }, line, T(t.left_out) ? ` Left out: ${T(t.left_out).replace(/\bno x: /g, "no expansion: ").replace(/\bno y: /g, "no response: ")}.` : "")));
      const [a, b] = ends([p.low, p.high]);
      const counts = R.groups.map(() => 0);
      const dot = { x: [], y: [], text: [], customdata: [] }, bar = { x: [], y: [], text: [], customdata: [] };
      p.s.forEach((s, k) => {
        const x = p.group[k] + spread(counts[p.group[k]]++, p.sizes[p.group[k]]);
        const text = `${plain(D.subjects[s].id)}<br>${plain(R.groups[p.group[k]])}<br>${valueText(p.low[k], p.high[k])}`;
        const to = p.low[k] === p.high[k] ? dot : bar;
        if (to === dot) { dot.x.push(x); dot.y.push(p.low[k]); dot.text.push(text); dot.customdata.push(s); }
        else for (const y of [p.low[k] === null || p.low[k] <= 0 ? a / 3 : p.low[k], p.high[k] === null ? b * 3 : p.high[k], null]) { bar.x.push(y === null ? null : x); bar.y.push(y); bar.text.push(text); bar.customdata.push(s); }
      });
      const traces = [];
      if (dot.x.length) traces.push({ type: "scatter", mode: "markers", ...dot, name: "Known", hoverinfo: "text", marker: { color: COLOURS[0], symbol: "circle", size: 9, opacity: 0.85 } });
      if (bar.x.length) traces.push({ type: "scatter", mode: "lines", ...bar, name: "Known as an interval", connectgaps: false, hoverinfo: "text", line: { color: COLOURS[0], width: 3, dash: "dot" } });
      draw(plot, traces, {
        height: 320, xaxis: axis("", { tickmode: "array", tickvals: range(0, R.groups.length), ticktext: R.groups.map((g, k) => `${plain(shorten(g, 22))}<br>n = ${p.sizes[k]}`), range: [-0.5, R.groups.length - 0.5], showgrid: false, ticks: "" }),
        yaxis: logAxis(plain(p.unit ? `${p.metric} (${p.unit})` : p.metric), { range: logRange([a, b]) }),
      }, true);
    });
  }
  const valueText = (low, high) => (low === high ? num(low) : low === null ? `at most ${num(high)}` : high === null ? `at least ${num(low)}` : `${num(low)} to ${num(high)}`);

  function againstAntibody(into) {
    const list = EFFICACY.antibody;
    if (!list.length) return;
    into.append(h("h2", {}, "Expansion against the fall of the antibody"), caution());
    const falls = unique(list.map((p) => p.fall));
    const place = h("div", {});
    const show = (fall) => {
      renew(place);
      courseChoice(place, list.filter((p) => p.fall === fall), (box, p) => antibodyPlot(box, p));
    };
    if (falls.length > 1) into.append(h("div", { class: "controls" }, choice("Antibody", falls.map((f) => [f, f]), falls[0], show)));
    into.append(place);
    show(falls[0]);
  }
  function antibodyPlot(box, p) {
    const plot = figure(`${p.metric} against the fall of the antibody in two-fold steps.`, 320);
    const t = p.test;
    const limits = t.lower === null || t.upper === null ? "" : ` (95 % limits ${num(t.lower, 2)} to ${num(t.upper, 2)})`;
    box.append(h("figure", {}, h("h3", {}, p.metric), plot, h("p", { class: "say" }, t.tested ? `n = ${t.n}; Spearman ρ = ${num(t.statistic, 2)}${limits}; p ${pText(t.p)} (${T(t.p_method)}); q ${pText(t.q)}. ${capital(T(t.reason))}${T(t.reason) ? "." : ""}` : `Not tested: ${T(t.reason)}.`)));
    const finite = [...p.fall_low, ...p.fall_high].filter((v) => v !== null);
    const top = (finite.length ? Math.max(...finite) : 1) + 1.5, bottom = Math.min(0, ...finite) - 0.5;
    const dot = { x: [], y: [], text: [], customdata: [] }, bar = { x: [], y: [], text: [], customdata: [] }, open = { x: [], y: [], text: [], customdata: [] };
    p.s.forEach((s, k) => {
      const exact = p.low[k] === p.high[k];
      const x = exact ? p.low[k] : p.low[k] === null || p.low[k] <= 0 ? p.high[k] : p.low[k];
      if (x === null || x <= 0) return;
      const text = `${plain(D.subjects[s].id)}<br>${plain(p.metric)} ${valueText(p.low[k], p.high[k])}<br>fall ${valueText(p.fall_low[k], p.fall_high[k])} steps`;
      const put = (to, y) => { to.x.push(y === null ? null : x); to.y.push(y); to.text.push(text); to.customdata.push(s); };
      if (p.fall_low[k] === p.fall_high[k]) put(dot, p.fall_low[k]);
      else if (p.fall_low[k] !== null && p.fall_high[k] !== null) [p.fall_low[k], p.fall_high[k], null].forEach((y) => put(bar, y));
      else {
        put(open, p.fall_low[k] === null ? p.fall_high[k] : p.fall_low[k]);
        [p.fall_low[k] === null ? bottom : p.fall_low[k], p.fall_high[k] === null ? top : p.fall_high[k], null].forEach((y) => put(bar, y));
      }
    });
    const traces = [];
    if (bar.x.length) traces.push({ type: "scatter", mode: "lines", ...bar, name: "Where the fall may lie", connectgaps: false, hoverinfo: "text", line: { color: FAMILY.antibody, width: 2, dash: "dot" } });
    if (dot.x.length) traces.push({ type: "scatter", mode: "markers", ...dot, name: "Known", hoverinfo: "text", marker: { color: FAMILY.antibody, symbol: "circle", size: 9 } });
    if (open.x.length) traces.push({ type: "scatter", mode: "markers", ...open, name: "At least (the nadir lies below the limit)", hoverinfo: "text", marker: { color: FAMILY.antibody, symbol: "triangle-up-open", size: 10, line: { width: 1.6, color: FAMILY.antibody } } });
    draw(plot, traces, { height: 320, xaxis: logAxis(plain(p.unit ? `${p.metric} (${p.unit})` : p.metric), { range: logRange(ends([p.low, p.high])) }), yaxis: axis("Fall (log2 steps)", { range: [bottom, top] }) }, true);
  }
