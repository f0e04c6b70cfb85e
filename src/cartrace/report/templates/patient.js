  // ---------------------------------------------------------------- patients

  // Once for a type, not for each patient: that would grow with the square of the cohort.
  const sparked = new Map();
  function pointsOf(t) {
    if (!sparked.has(t)) {
      const own = new Map();
      for (const c of D.courses) if (c.t === t) own.set(c.s, [...(own.get(c.s) || []), ...range(...c.p)]);
      const all = [...own.values()].flat();
      sparked.set(t, { own, limits: logRange(all.map((p) => height(D.types[t], p))) });
    }
    return sparked.get(t);
  }
  function spark(s) {
    const NS = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(NS, "svg");
    svg.setAttribute("viewBox", "0 0 200 58");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    const course = D.courses.find((c) => c.s === s && c.t === 0) || D.courses.find((c) => c.s === s && D.types[c.t].family === "expansion");
    if (!course) return svg;
    const type = D.types[course.t];
    const { own, limits: [lo, hi] } = pointsOf(course.t);
    const mine = own.get(s).filter((p) => P.status[p] !== REJECTED);
    const end = Math.max(28, ...mine.map((p) => P.study[p]));
    const start = Math.min(-5, ...mine.map((p) => P.study[p]));
    const X = (p) => 4 + (192 * (P.study[p] - start)) / (end - start);
    const Y = (p) => 54 - (50 * (Math.log10(height(type, p)) - lo)) / (hi - lo);
    let path = "", pen = false;
    const node = (name, attributes) => {
      const n = document.createElementNS(NS, name);
      for (const [k, v] of Object.entries(attributes)) n.setAttribute(k, v);
      n.setAttribute("vector-effect", "non-scaling-stroke");
      svg.append(n);
    };
    if (type.lloq.length) {
      const y = 54 - (50 * (Math.log10(type.lloq[0]) - lo)) / (hi - lo);
      node("line", { x1: 0, x2: 200, y1: y, y2: y, stroke: "#8b97a3", "stroke-dasharray": "4 3", "stroke-width": 1 });
    }
    for (const p of mine) {
      if (P.kind[p] === MEASURED) { path += `${pen ? "L" : "M"}${X(p).toFixed(1)} ${Y(p).toFixed(1)}`; pen = true; }
      else { pen = false; node("path", { d: `M${X(p) - 2.2} ${Y(p) - 2}h4.4l-2.2 4z`, fill: "none", stroke: SOFT, "stroke-width": 1 }); }
    }
    if (path) node("path", { d: path, fill: "none", stroke: COLOURS[0], "stroke-width": 2, "stroke-linejoin": "round", "stroke-linecap": "round" });
    return svg;
  }
  function patientsPage() {
    view.append(h("h1", { tabindex: "-1" }, "Patients"));
    const type = D.types[0];
    view.append(h("p", { class: "lead" }, type ? `${type.label}, all infusions, on one logarithmic scale. The dashed line is the limit of quantification.` : "No result was read."));
    if (!D.subject_pages) view.append(h("p", { class: "notice" }, "Pages for single patients are switched off in the configuration (report.subject_pages)."));
    const word = h("input", { type: "search" });
    const list = h("ul", { class: "cards" });
    const cards = range(0, D.subjects.length).map((s) => {
      const who = D.subjects[s];
      const inner = [h("b", {}, who.id), h("small", {}, [who.cohort, plural(who.infusions.length, "infusion")].filter(Boolean).join(" · ")), spark(s),
        h("small", {}, `${plural(who.results, "result")}${who.findings ? ` · ${plural(who.findings, "finding")}` : ""}`)];
      return h("li", {}, D.subject_pages ? h("a", { href: link(s) }, inner) : h("div", {}, inner));
    });
    word.addEventListener("input", () => cards.forEach((c, s) => (c.hidden = !(D.subjects[s].id + " " + D.subjects[s].cohort).toLowerCase().includes(word.value.trim().toLowerCase()))));
    list.append(...cards);
    view.append(h("div", { class: "controls" }, h("label", {}, "Find a patient or cohort", word)), list);
  }

  function patientPage(s) {
    const who = D.subjects[s];
    const n = D.subjects.length;
    view.append(
      h("div", { class: "turn" }, s > 0 ? h("a", { href: link(s - 1), rel: "prev" }, `← ${D.subjects[s - 1].id}`) : null, h("a", { href: "#/patients" }, "All patients"), s < n - 1 ? h("a", { href: link(s + 1), rel: "next" }, `${D.subjects[s + 1].id} →`) : null),
      h("h1", { tabindex: "-1" }, who.id));
    const fact = (label, value) => (value === null || value === "" ? null : h("span", {}, label + " ", h("b", {}, value)));
    view.append(h("div", { class: "facts" }, fact("Cohort", who.cohort), fact("Sex", who.sex), fact("Age", who.age === null ? "" : plural(who.age, "year")), fact("Weight", who.weight === null ? "" : num(who.weight) + " kg"),
      fact(who.end_known ? "Followed to day" : "Last result on day", who.end === null ? "" : days(who.end)), fact("Results", who.results)));
    view.append(h("div", { class: "facts" }, who.infusions.map((i) => h("span", {}, `Infusion ${i.n} `, h("b", {}, [i.product, i.dose === null ? "" : `${num(i.dose)} ${i.unit}`].filter(Boolean).join(", ") || "product not named"),
      ` on day ${days(i.day)}${i.ld === null ? "" : `, lymphodepletion from day ${days(i.day + i.ld)}`}`))));
    const courses = D.courses.filter((c) => c.s === s);
    const types = unique(courses.filter((c) => c.p[1] > c.p[0]).map((c) => c.t)).sort((a, b) => a - b);
    view.append(h("h2", {}, "Courses"));
    if (types.length) {
      view.append(h("p", { class: "say" }, "Each panel is one compartment, one assay and one unit; all share the time axis. Vertical lines are infusions; dashed lines the limit of quantification (of a titre: the starting dilution), dotted ones the limit of detection. Coloured ground: depleted; paler where the start or the end lies between two samples." + (types.some((t) => D.types[t].family === "expansion") ? " The orange window and line show which results made the half-life." : "")));
      const main = mainTypes(types, courses);
      const end = courses.flatMap((c) => range(...c.p)).reduce((a, p) => Math.max(a, P.study[p]), 0);
      const box = h("figure", {});
      const controls = h("div", { class: "controls" });
      view.append(controls, box);
      let zoom = "all", plot;
      const show = (list) => {
        renew(box);
        plot = figure(`Courses of patient ${who.id}: ${list.map((t) => D.types[t].label).join("; ")}. The numbers are in the table below.`, 200);
        box.append(plot);
        patientFigure(plot, who, courses, list, end, zoom);
        if (list.some((t) => D.types[t].family === "antibody")) box.append(caution());
      };
      controls.append(segments("Days shown", zooms(end), "all", (z) => { zoom = z; Plotly.relayout(plot, { "xaxis.range": window_(z, end) }); }));
      if (main.length < types.length) {
        const families = D.families.filter(([f]) => types.some((t) => D.types[t].family === f)).map(([f, label]) => [f, label, types.filter((t) => D.types[t].family === f)]);
        const lists = new Map([["main", main], ["all", types], ...families.map(([f, , list]) => [f, list])]);
        controls.append(choice("Panels", [["main", `Main panels (${main.length})`], ["all", `All (${types.length})`], ...families.map(([f, label, list]) => [f, `${label} (${list.length})`])], "main", (v) => show(lists.get(v))));
      }
      show(main);
    } else view.append(h("p", { class: "notice" }, "No result of this patient was read."));
    if (who.events.length) {
      view.append(h("h2", {}, "Events"), table([
        { label: "Day", n: true, cell: (e) => days(e.day) + (e.end === null || e.end === e.day ? "" : ` to ${days(e.end)}`), sort: (e) => e.day },
        { label: "Kind", cls: "line", cell: (e) => capital(kindLabel(e.kind)), sort: (e) => e.kind },
        { label: "What", cls: "text name", cell: (e) => e.label, sort: (e) => e.label },
        { label: "Grade", n: true, cell: (e) => (e.grade === null ? "" : num(e.grade)), sort: (e) => e.grade },
        { label: "Dose", n: true, cell: (e) => (e.dose === null ? "" : `${num(e.dose)} ${e.unit}`) },
        { label: "Effect on results", cls: "remark", cell: (e) => (e.mask ? `masks ${e.mask.analytes.map(analyteLabel).join(", ")} to day ${days((e.end === null ? e.day : e.end) + e.mask.days)}` : "") },
      ], who.events, { plain: true, label: "Events" }));
    }

    patientToxicity(s);
    platesOf(s);
    immunoassaysOf(s);
    tubesOf(s);
    cellsOf(s);
    clonesOf(s);
    view.append(h("h2", {}, "Metrics"), h("p", { class: "say" }, "One table for each course; open tables are printed. What can't be computed says why."));
    let first = true;
    // A library gives many shares of cells, and of clones: their courses wait under one line each.
    const waiting = new Map();
    const foldOf = (type) => (type.key[2] === "scRNA-seq" ? "Single cells" : type.family === "repertoire" ? familyLabel.repertoire : "");
    for (const c of courses.filter((x) => x.m[1] > x.m[0])) {
      const box = h("details", { open: first }, h("summary", {}, `${D.types[c.t].label}`, h("small", {}, `infusion ${c.i}`)));
      first = false;
      const fill = () => { if (box.children.length === 1) box.append(...[episodeTable(c), patientTable(c)].filter(Boolean)); };
      box.addEventListener("toggle", fill);
      if (box.open) fill();
      const fold = foldOf(D.types[c.t]);
      if (fold) waiting.set(fold, [...(waiting.get(fold) || []), box]);
      else view.append(box);
    }
    for (const [fold, boxes] of waiting) view.append(h("details", {}, h("summary", {}, `${fold} `, h("small", {}, plural(boxes.length, "course"))), boxes));
    if (!courses.some((x) => x.m[1] > x.m[0])) view.append(h("p", { class: "notice" }, "No metric is computed for the courses of this patient."));
    const found = range(0, Q.check.length).filter((r) => Q.s[r] === s);
    view.append(h("h2", {}, "Findings"));
    const serious = found.filter((r) => SEVERITY[T(Q.verdict[r])] < 2), notes = found.filter((r) => SEVERITY[T(Q.verdict[r])] >= 2);
    if (serious.length) view.append(findings(serious));
    else view.append(h("p", { class: "notice" }, notes.length ? "No check failed or warned about this patient." : "No check found anything about this patient."));
    if (notes.length) view.append(h("details", {}, h("summary", {}, plural(notes.length, "note")), findings(notes)));
  }
  /** Which of the patient's samples stood on which PCR plate, and what became of them there. */
  function platesOf(s) {
    const rows = (PCR ? PCR.plates : []).flatMap((plate) => {
      const t = unpack(plate.samples);
      return t.rows.filter((r) => t.s[r] === s && T(t.task[r]) === "unknown" && T(t.role[r]) === "transgene").map((r) => ({
        plate, sample: T(t.sample[r]), target: T(t.target[r]), wells: T(t.wells[r]), verdict: T(t.verdict[r]), flags: T(t.flags[r]),
      }));
    });
    if (!rows.length) return;
    view.append(h("h2", {}, "PCR plates"), h("p", { class: "say" }, "Plates that hold samples of this patient: ", unique(rows.map((x) => x.plate.id)).flatMap((id, k) => [k ? ", " : "", plateLink(id)]), ". A rejected result enters no metric."),
      h("details", {}, h("summary", {}, "Each sample ", h("small", {}, plural(rows.length, "result"))), table([
        { label: "Plate", cls: "text", cell: (x) => plateLink(x.plate.id), sort: (x) => x.plate.id },
        { label: "Assay", cell: (x) => ASSAY[x.plate.assay] || x.plate.assay, sort: (x) => x.plate.assay },
        { label: "Sample", cls: "text name", cell: (x) => x.sample, sort: (x) => x.sample },
        { label: "Target", cell: (x) => x.target, sort: (x) => x.target },
        { label: "Wells", cls: "text wells", cell: (x) => x.wells },
        { label: "Verdict", cls: "wide text", cell: (x) => [judged(x.verdict), x.flags ? h("div", { class: "say" }, x.flags) : null].filter(Boolean), sort: (x) => RANK[x.verdict] },
      ], rows, { tight: true, label: "Samples on PCR plates" })));
  }
  const analyteLabel = (name) => (D.types.find((t) => t.key[1] === name) || { name: words(name) }).name;
  const episodesOf = (c) => { const k = D.courses.indexOf(c); return range(0, E.c.length).filter((e) => E.c[e] === k); };
  // Results after the last depleted one, too few to confirm an end.
  const later = (c, day) => range(...c.p).some((p) => P.day[p] > day && P.status[p] < REJECTED);
  /** When a treatment answers for an analyte: [from, to, which], overlapping doses joined. */
  function maskedStretches(who, analyte) {
    const out = [];
    for (const e of who.events.filter((x) => x.mask && x.mask.analytes.includes(analyte))) {
      const until = (e.end === null ? e.day : e.end) + e.mask.days;
      const last = out[out.length - 1];
      if (last && e.day <= last[1] && last[2] === kindLabel(e.kind)) last[1] = Math.max(last[1], until);
      else out.push([e.day, until, kindLabel(e.kind)]);
    }
    return out;
  }
  /** One assay and unit for each analyte and compartment; parts of another analyte, and what is asked for second, wait.
   * So does a single share of cells from a library: the section on single cells shows it beside the others. */
  function mainTypes(all, courses) {
    const alone = (t) => D.types[t].key[2] === "scRNA-seq" && unique(courses.filter((c) => c.t === t).flatMap((c) => range(...c.p)).map((p) => P.study[p])).length < 2;
    const first = all.filter((t) => !D.types[t].on_demand && !alone(t)), types = first.length ? first : all;
    const seen = new Set();
    return types.filter((t) => {
      const { key, family, subset } = D.types[t];
      const name = `${key[0]}|${key[1]}`;
      if (seen.has(name) || (subset && types.some((u) => D.types[u].family === family && !D.types[u].subset))) return false;
      return !!seen.add(name);
    });
  }
  const HARMS = ["relapse", "progression", "death"];
  function eventMark(kind) {
    if (HARMS.includes(kind)) return { symbol: "diamond-tall", color: HARM };
    if (kind === "response") return { symbol: "circle", color: "#00664a" };
    if (kind === "infection" || kind === "adverse_event") return { symbol: "x-thin-open", color: "#7a5200" };
    return { symbol: kind === "ivig" || kind === "drug" ? "square" : "line-ns-open", color: NIGHT };
  }
  const DRUGS = ["drug", "ivig"];
  /** A lane for each drug, by name: a bar for its days, a mark for a single dose. */
  function drugBlock(who, from) {
    const lanes = new Map();
    const named = (e) => e.label || (e.kind === "ivig" ? "IVIG" : "drug without a name");
    for (const e of who.events.filter((x) => DRUGS.includes(x.kind))) {
      const key = named(e).toLowerCase().trim();
      if (!lanes.has(key)) lanes.set(key, { name: named(e), events: [] });
      lanes.get(key).events.push(e);
    }
    if (!lanes.size) return null;
    const listed = [...lanes.values()], most = 14;
    // The lanes that are left over share the last one; the table below names each.
    const rest = listed.length > most ? listed.splice(most - 1) : [];
    if (rest.length) listed.push({ name: plural(rest.length, "more drug"), events: rest.flatMap((l) => l.events) });
    const tip = (e) => plain(shorten(`${named(e)}${e.dose === null ? "" : `, ${num(e.dose)} ${e.unit}`}, day ${days(e.day)}${e.end === null || e.end === e.day ? "" : ` to ${days(e.end)}`}`, 90));
    const colour = "#5d7a8c";
    // What ended before the axis begins is told in words.
    const early = (l) => l.events.every((e) => (e.end === null ? e.day : e.end) < from);
    const span = (l) => `${days(l.events[0].day)} to ${days(Math.max(...l.events.map((e) => (e.end === null ? e.day : e.end))))}`;
    return { title: "Drugs", lanes: listed.map((l) => (early(l) ? `${shorten(l.name, 22)}, days ${span(l)}` : l.name)), draw: (axes) => {
      const all = listed.flatMap((l, k) => l.events.map((e) => ({ e, y: k + 0.22 })));
      const lasting = all.filter(({ e }) => e.end !== null && e.end > e.day), single = all.filter(({ e }) => !(e.end !== null && e.end > e.day));
      return [
        { type: "scatter", mode: "lines", ...axes, name: "Drug, from first to last day", legendrank: 700, showlegend: lasting.length > 0, hoverinfo: "text", connectgaps: false, line: { color: wash(colour, 0.75), width: 7 },
          x: lasting.flatMap(({ e }) => [e.day, e.end, null]), y: lasting.flatMap(({ y }) => [y, y, null]), text: lasting.flatMap(({ e }) => [tip(e), tip(e), null]) },
        { type: "scatter", mode: "markers", ...axes, name: "Drug, one day or no end given", legendrank: 701, showlegend: single.length > 0, hoverinfo: "text", marker: { symbol: "square", color: colour, size: 7, line: { width: 0 } },
          x: single.map(({ e }) => e.day), y: single.map(({ y }) => y), text: single.map(({ e }) => tip(e)) },
      ].filter((t) => t.x.length);
    } };
  }
  /** A lane for each term that was graded by day, computed and by clinicians. */
  function gradeBlock(s) {
    if (!SAFE) return null;
    const mine = range(0, GR.s.length).filter((r) => GR.s[r] === s && SAFE.by_day.includes(T(GR.term[r])));
    const lanes = SAFE.by_day.flatMap((term) => ["computed", "clinician"].map((source) => [term, source])).filter(([term, source]) => mine.some((r) => T(GR.term[r]) === term && T(GR.source[r]) === source));
    if (!lanes.length) return null;
    const place = new Map(lanes.map(([term, source], k) => [`${term}|${source}`, k]));
    const start = (r) => (D.subjects[s].infusions.find((i) => i.n === GR.infusion[r]) || { day: 0 }).day;
    return { title: "Toxicity grade by day", lanes: lanes.map(([term, source]) => `${SAFE.labels[term][1].replace("\u200b", "")}, ${WHO[source]}`),
      draw: (axes) => gradeTraces(mine, (r) => GR.day[r] + start(r), (r) => place.get(`${T(GR.term[r])}|${T(GR.source[r])}`) + 0.22, 0.4, { ...axes, text: null, customdata: null }) };
  }
  /** What stands in the strip above the panels, with a lane for each label so that none covers another. */
  function stripItems(who, xrange, width) {
    const items = who.infusions.flatMap((i) => [
      ...(i.ld === null ? [] : [{ day: i.day + i.ld, end: null, text: "lymphodepletion", symbol: "line-ns-open", color: SOFT, name: "", tip: `lymphodepletion from day ${days(i.day + i.ld)}` }]),
      { day: i.day, end: null, text: who.infusions.length > 1 ? `infusion ${i.n}` : "infusion", symbol: "triangle-right", color: INK, name: "", tip: `infusion ${i.n}${i.product ? " of " + i.product : ""} on day ${days(i.day)}` }]);
    // Drugs have lanes of their own.
    for (const e of who.events.filter((x) => !DRUGS.includes(x.kind))) {
      const known = e.label && (e.kind === "drug" || e.label.toLowerCase().startsWith(kindLabel(e.kind).toLowerCase()));
      const what = [known || (["adverse_event", "infection"].includes(e.kind) && e.label) ? "" : kindLabel(e.kind), e.label, e.grade === null ? "" : `grade ${num(e.grade)}`].filter(Boolean).join(" ");
      items.push({ day: e.day, end: e.end, text: shorten(what, 26), ...eventMark(e.kind), tip: `${kindLabel(e.kind)}: ${[e.label, e.grade === null ? "" : `grade ${num(e.grade)}`, e.dose === null ? "" : `${num(e.dose)} ${e.unit}`].filter(Boolean).join(", ")}, day ${days(e.day)}${e.end === null || e.end === e.day ? "" : ` to ${days(e.end)}`}` });
    }
    items.sort((a, b) => a.day - b.day);
    const lanes = [];
    const px = (d) => ((d - xrange[0]) / (xrange[1] - xrange[0])) * width;
    const most = 6;
    for (const item of items) {
      const wide = 14 + 6.3 * item.text.length;
      const at = px(item.day);
      item.left = at + wide > width && at > wide;
      const [from, to] = item.left ? [at - wide, at + 8] : [at - 8, Math.max(at + wide, item.end === null ? 0 : px(item.end) + 6)];
      let lane = lanes.findIndex((used) => used.every(([a, b]) => to < a || from > b));
      if (lane < 0 && lanes.length < most) lane = lanes.push([]) - 1;
      // No room for the words: the mark stays, and the table below names it.
      if (lane < 0) { lane = most - 1; item.text = ""; } else lanes[lane].push([from, to]);
      item.lane = lane;
    }
    return { items, lanes: Math.max(1, lanes.length) };
  }
  function patientFigure(plot, who, courses, types, end, zoom) {
    const traces = [], shapes = [], annotations = [];
    const layout = {};
    const xrange = window_("all", end);
    // No wider than the figure is on paper, so that the labels fit there too.
    const width = Math.max(200, Math.min(590, (plot.clientWidth || 900) - 90));
    const { items, lanes } = stripItems(who, xrange, width);
    const each = types.length > 12 ? 92 : types.length > 4 ? 116 : 160;
    const above = 24, apart = 12, strip = lanes * 17 + 8;
    const blocks = [gradeBlock(D.subjects.indexOf(who)), drugBlock(who, xrange[0])].filter(Boolean);
    const lane = 26;
    let inner = strip;
    blocks.forEach((b) => { inner += above + b.lanes.length * lane; });
    types.forEach((t, k) => { inner += each + above + (k && D.types[t].family !== D.types[types[k - 1]].family ? apart : 0); });
    const [top, bottom] = [narrow() ? 12 : 32, 54];
    const size = inner + top + bottom;
    plot.style.minHeight = `${size}px`;
    Object.assign(plot.dataset, { paper: Math.min(size, 1400), screen: size });
    const marks = new Set(), families = new Set();
    const noted = (name) => !marks.has(name) && !!marks.add(name);
    let y = strip;
    blocks.forEach((b, k) => {
      const name = `y${types.length + 2 + k}`, axes = { xaxis: "x", yaxis: name };
      y += above;
      const tall = b.lanes.length * lane;
      const domain = [Math.max(0, 1 - (y + tall) / inner), 1 - y / inner];
      y += tall;
      layout[`yaxis${types.length + 2 + k}`] = { domain, range: [b.lanes.length - 0.5, -0.5], showgrid: false, zeroline: false, showticklabels: false, ticks: "", showline: true, linecolor: "#8b97a3", fixedrange: true };
      traces.push(...b.draw(axes));
      b.lanes.forEach((text, at) => annotations.push({ xref: "paper", yref: name, x: 0, y: at - 0.22, xanchor: "left", yanchor: "middle", xshift: 3, showarrow: false, align: "left", text: plain(shorten(text, 44)), font: { size: 10.5, color: SOFT }, bgcolor: "rgba(255,255,255,0.75)", borderpad: 0 }));
      annotations.push({ xref: "paper", yref: "paper", x: 0, y: domain[1], xanchor: "left", yanchor: "bottom", showarrow: false, text: `<b>${plain(b.title)}</b>`, font: { size: 12.5, color: INK } });
    });
    types.forEach((t, k) => {
      const type = D.types[t];
      const colour = FAMILY[type.family] || COLOURS[0];
      const suffix = k === 0 ? "" : String(k + 1);
      y += above + (k && type.family !== D.types[types[k - 1]].family ? apart : 0);
      const domain = [Math.max(0, 1 - (y + each) / inner), 1 - y / inner];
      y += each;
      const mine = courses.filter((c) => c.t === t);
      const panel = { yaxis: "y" + suffix, xaxis: "x" };
      const ground = (x0, x1, alpha, edge = 0) => shapes.push({ type: "rect", xref: "x", yref: `y${suffix} domain`, x0, x1, y0: 0, y1: 1, fillcolor: wash(colour, alpha), line: { width: edge, color: wash(colour, 0.5), dash: "dot" }, layer: "below" });
      const note = (x, text, anchor, at = "top") => annotations.push({ xref: "x", yref: `y${suffix} domain`, x, y: at === "top" ? 1 : 0, xanchor: anchor, yanchor: at, showarrow: false, text, font: { size: 10.5, color: SOFT }, bgcolor: "rgba(255,255,255,0.7)", borderpad: 1 });
      mine.forEach((c) => {
        const shift = (who.infusions.find((i) => i.n === c.i) || { day: 0 }).day;
        for (const e of episodesOf(c)) {
          const [a0, a1, b0, b1] = [E.start_lower[e], E.start_upper[e], E.end_lower[e], E.end_upper[e]].map((d) => (d === null ? null : d + shift));
          ground(a1, b0, 0.2, a1 === b0 ? 1.5 : 0);
          if (a0 !== null && a0 < a1) ground(a0, a1, 0.07, 1);
          if (b1 !== null && b0 < b1) ground(b0, b1, 0.07, 1);
          if (b1 === null) note(b0, later(c, E.end_lower[e]) ? "end not confirmed ▸" : "still depleted ▸", "right");
          if (a0 === null) note(a1, "◂ from before", "left");
          if (noted("episode")) {
            const sample = { type: "scatter", mode: "lines", x: [null], y: [null], ...panel, hoverinfo: "skip", fill: "toself", line: { width: 0, color: "rgba(0,0,0,0)" }, legendrank: 600 };
            traces.push({ ...sample, name: "Depleted", fillcolor: wash(SOFT, 0.28) }, { ...sample, name: "Start or end between two samples", fillcolor: wash(SOFT, 0.08), meta: "uncertain", legendrank: 601 });
          }
        }
        const half = metricOf(c, "half_life");
        if (half === undefined || M.start[half] === null || M.end[half] === null || M.status[half] !== 0) return;
        const [a, b] = [M.start[half], M.end[half]];
        shapes.push({ type: "rect", xref: "x", yref: `y${suffix} domain`, x0: a + shift, x1: b + shift, y0: 0, y1: 1, fillcolor: "rgba(230,159,0,0.13)", line: { width: 0 }, layer: "below" });
        const slope = metricOf(c, "lambda_z"), at0 = metricOf(c, "lambda_z_intercept");
        if (slope === undefined || at0 === undefined || M.value[slope] === null || M.value[at0] === null) return;
        const line = [a, b].map((x) => intercept(at0) * Math.exp(-M.value[slope] * x));
        traces.push({
          ...panel, type: "scatter", mode: "lines", x: [a + shift, b + shift], y: line, line: { color: "#E69F00", width: 6 }, name: "Terminal phase", legendgroup: "terminal", showlegend: noted("terminal"),
          hoverinfo: "text", text: [1, 1].map(() => `half-life ${days(M.value[half])} days<br>from day ${days(a)} to ${days(b)} of infusion ${c.i}`),
        });
      });
      for (const [from, until, kind] of maskedStretches(who, type.key[1])) {
        shapes.push({ type: "rect", xref: "x", yref: `y${suffix} domain`, x0: from, x1: until, y0: 0, y1: 1, fillcolor: "rgba(82,96,109,0.13)", line: { width: 1, color: "rgba(82,96,109,0.5)", dash: "dot" }, layer: "below" });
        note(from, `masked after ${plain(kind)}`, "left", "bottom");
      }
      traces.push(...courseTraces(mine, type, { name: plain(familyLabel[type.family]), colour, shape: "circle", size: 6.5, width: 1.8, marks, legend: !families.has(type.family) }, "study", panel));
      families.add(type.family);
      limitTraces(type, [xrange[0] - 50, xrange[1] + 4000], { ...panel, showlegend: false }).forEach((x) => traces.push(x));
      const ys = mine.flatMap((c) => range(...c.p)).flatMap((p) => [height(type, p), P.top[p]]);
      layout["yaxis" + suffix] = valueAxis(type, plain(type.unit), [...ys, ...type.lloq.slice(0, 1)], { domain, title: { text: plain(shorten(type.unit, 14)), standoff: 6, font: { size: 11.5, color: SOFT } }, tickfont: { size: 11 } });
      annotations.push({ xref: "paper", yref: "paper", x: 0, y: domain[1], xanchor: "left", yanchor: "bottom", showarrow: false, align: "left", text: `<b>${plain(type.place ? `${type.name} in ${type.place}` : type.name)}</b>${type.method ? ", " + plain(type.method) : ""}`, font: { size: 12.5, color: INK } });
    });
    const last = String(types.length + 1);
    layout["yaxis" + last] = { domain: [1 - strip / inner, 1], range: [lanes - 0.4, -0.6], visible: false, fixedrange: true };
    const rail = { type: "scatter", xaxis: "x", yaxis: "y" + last, hoverinfo: "text", showlegend: false, cliponaxis: false };
    const lasted = items.filter((i) => i.end !== null && i.end > i.day);
    if (lasted.length) traces.push({ ...rail, mode: "lines", x: lasted.flatMap((i) => [i.day, i.end, null]), y: lasted.flatMap((i) => [i.lane + 0.42, i.lane + 0.42, null]), text: lasted.flatMap((i) => [plain(i.tip), plain(i.tip), null]), line: { color: "#9aa5b1", width: 3 } });
    for (const left of [false, true]) {
      const some = items.filter((i) => i.left === left);
      if (!some.length) continue;
      traces.push({
        ...rail, mode: "markers+text", x: some.map((i) => i.day), y: some.map((i) => i.lane), text: some.map((i) => plain(i.text)), hovertext: some.map((i) => plain(shorten(i.tip, 90))),
        textposition: left ? "middle left" : "middle right", textfont: { size: 11, color: some.map((i) => (i.color === HARM ? HARM : INK)) },
        marker: { symbol: some.map((i) => i.symbol), color: some.map((i) => i.color), size: some.map((i) => (i.symbol === "triangle-right" ? 11 : 9)), line: { width: some.map((i) => (/open/.test(i.symbol) ? 2 : 0)), color: some.map((i) => i.color) } },
      });
    }
    for (const i of who.infusions) shapes.push({ type: "line", xref: "x", yref: "paper", x0: i.day, x1: i.day, y0: 0, y1: 1, line: { color: NIGHT, width: 1.2 } });
    for (const e of who.events.filter((x) => HARMS.includes(x.kind))) shapes.push({ type: "line", xref: "x", yref: "paper", x0: e.day, x1: e.day, y0: 0, y1: 1, line: { color: HARM, width: 1.2, dash: "dot" } });
    draw(plot, traces, {
      ...layout, height: size, barmode: "overlay", bargap: 0, shapes, annotations, margin: { l: 12, r: 12, t: top, b: 8 },
      xaxis: axis("Days from the first infusion", { range: window_(zoom, end), anchor: "y" + (types.length > 1 ? types.length : "") }),
    });
  }
  // The intercept is stored in the unit of the course; a dimensionless one is its logarithm.
  const intercept = (m) => (T(M.unit[m]) ? M.value[m] : Math.exp(M.value[m]));

  /** When the analyte was depleted, with the samples between which it began and ended. */
  function episodeTable(c) {
    const list = episodesOf(c);
    if (!list.length) return null;
    const between = (a, b) => (a === b ? `day ${days(a)}` : `days ${days(a)} to ${days(b)}`);
    return h("div", {}, h("p", { class: "say" }, `Depletion: ${T(E.definition[list[0]])}. Days count from infusion ${c.i}.`), table([
      { label: "Episode", cell: (e) => num(E.episode[e]) },
      { label: "Began", cell: (e) => (E.start_lower[e] === null ? explain(h("span", { class: "bound" }, `by day ${days(E.start_upper[e])}`), "Depleted from the first sample on") : h("span", { class: "bound" }, between(E.start_lower[e], E.start_upper[e]))) },
      { label: "Ended", cell: (e) => (E.end_upper[e] === null ? explain(h("span", { class: "bound" }, `after day ${days(E.end_lower[e])}`), later(c, E.end_lower[e]) ? "Later results are too few to confirm an end" : "Still depleted at the last sample") : h("span", { class: "bound" }, between(E.end_lower[e], E.end_upper[e]))) },
      { label: "Lasted (days)", n: true, cell: (e) => {
        const least = E.end_lower[e] - E.start_upper[e];
        return h("span", { class: "bound" }, E.end_upper[e] === null || E.start_lower[e] === null ? `≥ ${days(least)}` : `${days(least)} to ${days(E.end_upper[e] - E.start_lower[e])}`);
      } },
      { label: "Results", n: true, cell: (e) => num(E.n_points[e]) },
    ], list, { plain: true, tight: true, label: "Episodes of depletion" }));
  }
  function patientTable(course) {
    const status = ["estimate", "upper bound", "lower bound", "interval", "no value"];
    const rows = range(...course.m);
    const groupOf = (m) => D.metric_names[M.name[m]].group;
    // A method stands once, at the first of the neighbours that share it.
    const method = (m) => (m > course.m[0] && M.method[m] === M.method[m - 1] && groupOf(m) === groupOf(m - 1) ? "" : T(M.method[m]));
    return table([
      { label: "Metric", cls: "wide", cell: (m) => h("span", { title: D.metric_names[M.name[m]].definition }, D.metric_names[M.name[m]].label) },
      { label: "Value", n: true, cell: (m) => { const [text, cls] = reading(m); return cls ? h("span", { class: cls }, text) : text; } },
      { label: "95 % interval", n: true, cell: (m) => (M.status[m] === 0 && M.lower[m] !== null && M.upper[m] !== null && M.lower[m] !== M.upper[m] ? `${num(M.lower[m])} to ${num(M.upper[m])}` : "") },
      { label: "Unit", cls: "line", cell: (m) => (M.status[m] === 4 ? "" : T(M.unit[m]).replace(/^day$/, "days")) },
      { label: "Known as", cls: "line", cell: (m) => status[M.status[m]] },
      { label: "Results", n: true, cell: (m) => (M.n[m] === null ? "" : num(M.n[m])) },
      { label: "Window (days)", n: true, cell: (m) => (M.start[m] === null || M.end[m] === null ? "" : `${days(M.start[m])} to ${days(M.end[m])}`) },
      { label: "Remark and method", cls: "remark", cell: (m) => [M.status[m] === 4 ? reading(m)[2] : T(M.reason[m]), method(m) ? h("small", {}, method(m)) : null].filter(Boolean) },
    ], rows, { sticky: true, group: (m) => capital(groupOf(m)), label: `Metrics, ${D.types[course.t].label}, infusion ${course.i}` });
  }
