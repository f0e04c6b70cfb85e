  // ---------------------------------------------------------------- metric cells

  const shares = new Set(D.metric_names.filter((m) => m.share).map((m) => m.name));
  const landmark = (name) => shares.has(name);
  /** How one metric row reads: [text, class, sentence, value to sort by]. */
  function reading(m) {
    const name = D.metric_names[M.name[m]].name;
    const unit = T(M.unit[m]);
    const shown = unit === "day" ? days : num;
    const why = T(M.reason[m]);
    const tail = why ? ": " + why : "";
    const withUnit = (x) => `${shown(x)}${unit ? " " + (unit === "day" ? (x === 1 ? "day" : "days") : unit) : ""}`;
    switch (M.status[m]) {
      case 0:
        if (landmark(name)) return [M.value[m] ? "Yes" : "No", "", why, M.value[m]];
        return [shown(M.value[m]), "", why, M.value[m]];
      case 1: {
        const bound = M.upper[m] === null ? M.value[m] : M.upper[m];
        return bound === null ? ["below a limit", "bound", "Known only as an upper bound" + tail, 0]
          : [`≤ ${shown(bound)}`, "bound", `At most ${withUnit(bound)}${tail}`, bound];
      }
      case 2: {
        const bound = M.lower[m] === null ? M.value[m] : M.lower[m];
        return bound === null ? ["above a limit", "bound", "Known only as a lower bound" + tail, Infinity]
          : [`≥ ${shown(bound)}`, "bound", `At least ${withUnit(bound)}${tail}`, bound];
      }
      case 3:
        return [`${shown(M.lower[m])} to ${shown(M.upper[m])}`, "bound", `Between ${shown(M.lower[m])} and ${withUnit(M.upper[m])}${tail}`, M.upper[m]];
      default: {
        const part = M.lower[m] === null ? "" : `. At least ${withUnit(M.lower[m])}`;
        return [landmark(name) ? "not assessable" : "not estimable", "ne", `Not ${landmark(name) ? "assessable" : "estimable"}${tail}${part}`, null];
      }
    }
  }
  function readingNode(m) {
    const [text, cls, why] = reading(m);
    if (!cls && !why) return document.createTextNode(text);
    return cls ? explain(h("span", { class: cls }, text), why) : h("span", { title: why }, text);
  }
  const metricOf = (course, name) => range(...course.m).find((m) => D.metric_names[M.name[m]].name === name);
  const link = (s) => `#/patient/${encodeURIComponent(D.subjects[s].id)}`;
  const subjectLink = (s) => (s < 0 ? "" : D.subject_pages ? h("a", { href: link(s) }, D.subjects[s].id) : D.subjects[s].id);

  /** A table that sorts. columns: {label, unit, n, tip, sort(row), cell(row)}; options.group(row) names the heading above it */
  function table(columns, rows, options = {}) {
    let by = options.by === undefined ? -1 : options.by;
    let up = options.up !== false;
    const body = h("tbody", {});
    const heads = columns.map((c, k) => {
      const inner = c.sort ? h("button", { type: "button", title: c.tip, "data-tip": c.tip, onclick: () => { up = by === k ? !up : true; by = k; fill(); } }, c.label) : c.label;
      return h("th", { scope: "col", class: [c.n ? "n" : "", c.cls === "line" ? "" : c.cls || ""].join(" ").trim() || null, title: c.sort ? null : c.tip }, inner, c.unit ? h("small", {}, c.unit) : null);
    });
    let current = rows, limit = options.limit || Infinity;
    const more = h("p", { class: "say" });
    function fill() {
      heads.forEach((th, k) => (columns[k].sort ? th.setAttribute("aria-sort", k === by ? (up ? "ascending" : "descending") : "none") : null));
      let list = current;
      if (by >= 0) {
        const keyed = current.map((r) => [columns[by].sort(r), r]);
        const empty = (v) => v === null || v === undefined || v === "";
        keyed.sort(([a], [b]) => {
          if (empty(a) || empty(b)) return empty(a) - empty(b);
          const d = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
          return up ? d : -d;
        });
        list = keyed.map(([, r]) => r);
      }
      const group = (r, before) => (options.group && by < 0 && (before === undefined || options.group(before) !== options.group(r))
        ? [h("tr", { class: "group" }, h("th", { scope: "colgroup", colspan: columns.length }, options.group(r)))] : []);
      body.replaceChildren(...list.slice(0, limit).flatMap((r, j) => [...group(r, list[j - 1]), h("tr", {}, columns.map((c, k) =>
        h(k === 0 && !options.plain ? "th" : "td", { scope: k === 0 && !options.plain ? "row" : null, class: [c.n ? "n" : "", c.cls || ""].join(" ").trim() || null }, c.cell(r))))]));
      more.replaceChildren();
      if (list.length > limit) {
        more.append(`Showing ${limit} of ${list.length}. `, h("button", { type: "button", onclick: () => { limit = Infinity; fill(); } }, "Show all"));
      }
    }
    fill();
    const node = h("div", {}, h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": options.label || "Table" },
      h("table", { class: [options.sticky ? "sticky" : "", options.tight ? "tight" : ""].join(" ").trim() || null }, h("thead", {}, h("tr", {}, heads)), body)), more);
    node.update = (list) => { current = list; fill(); };
    return node;
  }
