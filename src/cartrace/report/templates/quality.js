  // ---------------------------------------------------------------- quality

  // A check of the table's cells must not read as one of the patient's.
  const checkLabel = (name) => (name === "cell" ? "table cell" : words(name));
  const SEVERITY = { fail: 0, warn: 1, note: 2, pass: 3 };
  function findings(list, options = {}) {
    const where = (r) => [T(Q.source_file[r]), Q.source_row[r] === null ? "" : `row ${Q.source_row[r]}`, T(Q.source_column[r])].filter(Boolean).join(", ");
    return table([
      { label: "Verdict", cell: (r) => verdicts(T(Q.verdict[r])), sort: (r) => SEVERITY[T(Q.verdict[r])] },
      { label: "Check", cell: (r) => checkLabel(T(Q.check[r])), sort: (r) => T(Q.check[r]) },
      { label: "What was found", cls: "wide text", cell: (r) => [T(Q.message[r]), T(Q.suggestion[r]) ? h("div", { class: "say" }, "Suggested reading, not applied: " + T(Q.suggestion[r])) : null].filter(Boolean) },
      { label: "Patient", cell: (r) => (Q.s[r] >= 0 ? subjectLink(Q.s[r]) : T(Q.subject_id[r])), sort: (r) => T(Q.subject_id[r]) },
      { label: "Where", cls: "text", cell: (r) => (T(Q.source_file[r]) ? [evidenceLink(T(Q.source_file[r])), where(r).slice(T(Q.source_file[r]).length)] : where(r)), sort: where },
      { label: "Value", cls: "text cellvalue", cell: (r) => T(Q.value[r]) },
      { label: "Allowed", cls: "text", cell: (r) => [T(Q.limit[r]), T(Q.limit_source[r]) ? h("div", { class: "say" }, T(Q.limit_source[r])) : null].filter(Boolean) },
    ], list, { plain: true, limit: 200, label: "Findings", ...options });
  }
  function qualityPage() {
    const all = range(0, Q.check.length);
    const c = D.counts;
    view.append(h("h1", { tabindex: "-1" }, "Quality"));
    if (!(c.qc_fail + c.qc_warn + c.qc_note)) {
      view.append(h("p", { class: "notice" }, `Nothing to look at: no check failed, warned or noted anything${c.qc_pass ? ` (${plural(c.qc_pass, "check")} passed)` : ""}.`));
      if (!all.length) return;
    } else view.append(h("p", { class: "lead" }, "Every finding of every check, with its place in the laboratory's file. A suggested reading is never applied: correct the file, and the next run takes it up."));
    // What needs a decision first; notes, which may be hundreds, on demand.
    const chosen = new Set(["fail", "warn"].filter((v) => c["qc_" + v]));
    if (!chosen.size) chosen.add(c.qc_note ? "note" : "pass");
    let check = "", word = "";
    const text = all.map((r) => [Q.message, Q.subject_id, Q.source_file, Q.value, Q.check, Q.suggestion].map((k) => T(k[r])).join(" ").toLowerCase());
    const filtered = () => all.filter((r) => chosen.has(T(Q.verdict[r])) && (!check || T(Q.check[r]) === check) && text[r].includes(word))
      .sort((a, b) => SEVERITY[T(Q.verdict[a])] - SEVERITY[T(Q.verdict[b])]);
    const count = h("p", { class: "say", role: "status" });
    const list = findings(filtered());
    const update = () => { const f = filtered(); list.update(f); count.textContent = `${plural(f.length, "finding")} shown.`; };
    const chips = h("div", { class: "chips", role: "group", "aria-label": "Verdicts shown" }, ["fail", "warn", "note", "pass"].map((v) => h("button", {
      type: "button", "aria-pressed": String(chosen.has(v)),
      onclick: (e) => { chosen.has(v) ? chosen.delete(v) : chosen.add(v); e.currentTarget.setAttribute("aria-pressed", String(chosen.has(v))); update(); },
    }, verdicts(v), ` ${c["qc_" + v].toLocaleString("en-US")}`)));
    const names = unique(all.map((r) => T(Q.check[r]))).sort();
    const per = names.map((n) => {
      const mine = all.filter((r) => T(Q.check[r]) === n);
      return { n, total: mine.length, ...Object.fromEntries(["fail", "warn", "note", "pass"].map((v) => [v, mine.filter((r) => T(Q.verdict[r]) === v).length])) };
    });
    const picker = choice("Check", [["", "All checks"], ...names.map((n) => [n, checkLabel(n)])], "", (v) => { check = v; update(); });
    view.append(h("h2", {}, "Findings of each check"), table([
      { label: "Check", cell: (r) => checkLabel(r.n), sort: (r) => r.n },
      ...["fail", "warn", "note", "pass"].map((v) => ({ label: v.charAt(0).toUpperCase() + v.slice(1), n: true, cell: (r) => (r[v] ? num(r[v]) : h("span", { class: "nothing" }, "0")), sort: (r) => r[v] })),
      { label: "Total", n: true, cell: (r) => num(r.total), sort: (r) => r.total },
    ], per, { label: "Findings of each check" }),
    h("h2", {}, "All findings"), chips,
    h("div", { class: "controls" }, picker, h("label", {}, "Find", h("input", { type: "search", oninput: (e) => { word = e.target.value.trim().toLowerCase(); update(); } })),
      h("button", {
        type: "button", class: "push", onclick: () => {
          const keys = ["check", "verdict", "source_file", "source_row", "source_column", "subject_id", "sample_id", "analyte", "value", "limit", "limit_source", "message", "suggestion"];
          download("cartrace_findings.csv", keys, filtered().map((r) => keys.map((k) => (k === "source_row" ? Q[k][r] : T(Q[k][r])))));
        },
      }, "Download as CSV")), count, list);
    update();
  }
