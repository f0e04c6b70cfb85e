  // ---------------------------------------------------------------- one tube

  function tubePage(k) {
    const id = tubeIds[k], part = FLOW.parts[k], verdict = T(F.verdict[k]);
    const next = (j, arrow) => { const a = tubeLink(tubeIds[j]); a.textContent = arrow < 0 ? `← ${tubeIds[j]}` : `${tubeIds[j]} →`; a.rel = arrow < 0 ? "prev" : "next"; return a; };
    view.append(
      h("div", { class: "turn" }, k > 0 ? next(k - 1, -1) : null, h("a", { href: "#/tubes" }, "All tubes"), k < tubeIds.length - 1 ? next(k + 1, 1) : null),
      h("h1", { tabindex: "-1" }, id));
    const facts = (list) => h("div", { class: "facts" }, list.filter((f) => f && f[1] !== "" && f[1] !== null).map(([label, value]) => h("span", {}, label ? label + " " : "", h("b", {}, value))));
    const subject = F.s[k] >= 0 ? subjectLink(F.s[k]) : "";
    view.append(facts([["", capital(T(F.what[k]))], ["Sample", T(F.sample_id[k])], ["Patient", subject], ["Day", F.day[k] === null ? "" : `${days(F.day[k])}${F.infusion[k] > 1 ? ` of infusion ${F.infusion[k]}` : ""}`], ["Visit", T(F.visit[k])], ["Panel", T(F.panel_name[k])], ["Batch", T(F.batch[k])]]));
    view.append(h("div", { class: "notice" }, judged(verdict), " ", verdict === "control" ? "This tube is no sample: it sets thresholds and background of others, and gives no result. Its own gates are shown to be looked at; one that needs a control is not set." : T(F.says[k]) ? capital(T(F.says[k])) + "." : verdict === "accepted" ? "No rule of the tube is broken." : "",
      populationsOf(k) ? h("div", {}, h("b", {}, capital(populationsOf(k))), ", each with its reason below.") : null,
      T(F.reason[k]) ? h("div", {}, capital(T(F.reason[k]))) : null));

    const used = controlsOf(k), serves = range(0, tubeIds.length).filter((j) => controlsOf(j).includes(id)).map((j) => tubeIds[j]);
    const share = (n) => (F.events[k] ? ` (${num((100 * n) / F.events[k], 2)} %)` : "");
    const gone = [[F.unstable_events[k], "while the acquisition was unstable"], [F.margin_events[k], "at the margin of a scatter channel"]].filter(([n]) => n).map(([n, where]) => `${num(n, 9)}${share(n)} ${where}`);
    const slopes = [[F.over_compensation[k], "pulls another one down"], [F.under_compensation[k], "lifts another one"]].filter(([x]) => x).map(([x, does]) => `${does} by ${num(x, 2)}`);
    const checked = F.over_compensation[k] !== null || F.under_compensation[k] !== null;
    const rows = [
      ["Events", `${num(F.gated_events[k], 9)} gated of ${num(F.events[k], 9)}`, gone.length ? `Left out: ${gone.join(", ")}.` : "Nothing was left out."],
      ["Acquisition", F.duration_s[k] === null ? "no usable clock" : `${num(F.duration_s[k])} s`, [F.duration_s[k] === null && F.kept_time_share[k] === 1 ? "" : `${num(100 * F.kept_time_share[k])} % of the time was kept`, F.volume_ul[k] === null ? "" : `the instrument acquired ${num(F.volume_ul[k])} µL`].filter(Boolean).map((s) => capital(s) + ".").join(" ")],
      ["Compensation", capital(T(F.compensated[k])), slopes.length ? `A bright channel ${slopes.join(", and one ")} of its signal.` : checked ? "Checked: no channel pulls or lifts another one." : "Too few bright events to check it."],
      F.bead_events[k] === null ? null : ["Counting beads", `${num(F.bead_events[k], 9)} events`, ""],
      used.length ? ["Controls", tubeLinks(used), "They set thresholds, and tell what the gates catch where nothing is."] : null,
      serves.length ? ["Control of", tubeLinks(serves.slice(0, 40)), serves.length > 40 ? `and ${serves.length - 40} more` : ""] : null,
      ["File", T(F.fcs_version[k]).replace("FCS", "FCS "), `${plural(F.n_channels[k], "channel")}${F.data_set[k] > 1 ? `, data set ${F.data_set[k]} of the file` : ""}.`],
    ].filter(Boolean);
    view.append(table([{ label: "What", cell: (r) => r[0] }, { label: "Found", cls: "text panel", cell: (r) => r[1] }, { label: "Remark", cls: "wide text", cell: (r) => r[2] }], rows, { label: "What was acquired" }));

    view.append(h("h2", {}, "Gates"), h("p", { class: "say" }, "One plot for each gate, in the order of the strategy: the events of its parent, the darker the more (square root), and the edge of the gate. ",
      `Below the name: events in the gate of those in its parent, with the exact interval at ${num(100 * FLOW.confidence)} %.`));
    gateFigure(view, k);
    reviewBox(k);
    populationTable(unpack(part.populations));
    thresholdTable(unpack(part.thresholds));
    backgroundTable(unpack(part.background));
    vendorTable(unpack(part.gates));
    acquisitionFigure(part.acquisition);
    const found = findingsOf(id);
    view.append(h("h2", {}, "Findings"));
    const serious = found.filter((r) => SEVERITY[T(Q.verdict[r])] < 2), rest = found.filter((r) => SEVERITY[T(Q.verdict[r])] >= 2);
    if (serious.length) view.append(findings(serious));
    else view.append(h("p", { class: "notice" }, rest.length ? "No check failed or warned about this tube." : "No check found anything about this tube."));
    if (rest.length) view.append(h("details", {}, h("summary", {}, plural(rest.length, "note")), findings(rest)));
  }

  /** What the review sheet says, the hash that it has to name, and a line to paste into it. */
  function reviewBox(k) {
    const hash = FLOW.sha256[k], said = T(F.review[k]);
    const line = (verdict) => [tubeIds[k], verdict, hash].join("\t");
    const field = h("textarea", { readonly: true, rows: 1, "aria-label": "Line for the gate review sheet", onfocus: (e) => e.target.select() });
    const told = h("span", { class: "say", role: "status" });
    let verdict = "accepted";
    const fill = () => { field.value = line(verdict); told.textContent = ""; };
    fill();
    const copied = (ok) => { told.textContent = ok ? "Copied." : "Select the line and copy it."; };
    const copy = () => {
      field.select();
      // The clipboard is closed to some browsers when a page is opened from a disk.
      const old = () => { try { copied(document.execCommand("copy")); } catch { copied(false); } };
      if (navigator.clipboard) navigator.clipboard.writeText(field.value).then(() => copied(true), old);
      else old();
    };
    view.append(h("h2", {}, "Review"),
      h("p", {}, h("b", {}, capital(FLOW.reviews[said])), T(F.reviewer_remark[k]) ? `: ${T(F.reviewer_remark[k]).replace(/\.$/, "")}.` : ".", said === "not_asked" ? " You can still accept or reject them." : "", said === "changed" ? " All counts of this tube are flagged until the sheet names the hash of these gates." : FLOW.review_required && waiting(k) ? " The CAR counts of this tube are flagged until these gates are accepted." : ""),
      h("p", { class: "hash" }, "Hash of the gates shown here: ", h("code", {}, hash)),
      h("div", { class: "controls review" }, segments("Verdict of the reviewer", [["accepted", "Accept"], ["rejected", "Reject"]], verdict, (v) => { verdict = v; fill(); }),
        h("label", {}, "Line for the gate review sheet (file_id, verdict, gates_sha256)", field), h("button", { type: "button", onclick: copy }, "Copy line"), told));
  }

  const percentOf = (t, r) => [T(t.of[r]).split(" / ").pop() || "all gated events"];
  /** A number of a population with its interval; what is not quantified shows its limit, a rejected number is in italics. */
  function counted(t, r, key, unit, lod, lloq) {
    const v = t[key][r], seen = T(t.detection[r]);
    if (v === null) return h("span", { class: "nothing" }, "–");
    const between = interval(t[key + "_lower"]?.[r] ?? null, t[key + "_upper"]?.[r] ?? null);
    const rejected = T(t.verdict[r]) === "rejected" ? "Rejected, not used. " : "";
    const said = `${num(v)} ${unit}${between}`;
    if (!seen || seen === "quantified") return rejected ? explain(h("span", { class: "ne" }, num(v)), rejected + said) : [num(v), h("div", {}, h("small", {}, between))];
    const limit = { BLQ: t[lloq][r], BLD: t[lod][r] }[seen];
    return limit === null || limit === undefined ? explain(h("span", { class: "ne" }, DETECTION[seen]), `${rejected}Computed: ${said}`)
      : explain(h("span", { class: "bound" }, `< ${num(limit)}`), `${rejected}${capital(DETECTION[seen])}. Computed: ${said}`);
  }
  function populationTable(t) {
    view.append(h("h2", {}, "Populations"));
    if (!t.rows.length) { view.append(h("p", { class: "notice" }, "No population of the panel was counted in this tube.")); return; }
    const limits = (r) => [["LOB", t.lob_events], ["LOD", t.lod_events], ["LLOQ", t.lloq_events]].filter(([, c]) => c[r] !== null).map(([name, c]) => h("div", {}, h("small", {}, `${name} ${num(c[r])}`)));
    const ways = (r) => [["counting beads", t.cells_per_ul_beads], ["acquired volume", t.cells_per_ul_volume], ["blood count", t.cells_per_ul_blood_count]].filter(([name, c]) => c[r] !== null && name !== T(t.count_method[r]));
    const by = (r) => (T(t.count_method[r]) ? [h("div", {}, h("small", {}, `by ${T(t.count_method[r])}`)), ...ways(r).map(([name, c]) => h("div", {}, h("small", {}, `${name}: ${num(c[r])}`)))] : []);
    const absolute = t.rows.some((r) => t.cells_per_ul[r] !== null);
    view.append(h("p", { class: "say" }, `Intervals are exact and at ${num(100 * FLOW.confidence)} %. Limits of blank (LOB), detection (LOD) and quantification (LLOQ) are in events of this tube; LOD and LLOQ are beyond the background. A dotted number tells the computed one on hover and on focus.`), table([
      { label: "Population", cls: "text panel", cell: (r) => [T(t.population[r]), T(t.analyte[r]).toLowerCase() === T(t.population[r]).toLowerCase() ? null : noted(T(t.analyte[r]))].filter(Boolean), sort: (r) => T(t.population[r]) },
      { label: "Events", n: true, cls: "fold", cell: (r) => (t.events[r] === null ? h("span", { class: "nothing" }, "–") : [num(t.events[r], 9), t.of_events[r] === null ? null : h("div", {}, h("small", {}, `of ${num(t.of_events[r], 9)}`))].filter(Boolean)), sort: (r) => t.events[r] },
      { label: "Share", unit: "%", n: true, cls: "fold", cell: (r) => [counted(t, r, "percent", "%", "lod_percent", "lloq_percent"), h("div", {}, h("small", {}, "of ", percentOf(t, r)))].flat(), sort: (r) => t.percent[r] },
      ...(absolute ? [{ label: "Cells", unit: "per µL", n: true, cls: "fold", cell: (r) => [counted(t, r, "cells_per_ul", "cells/µL", "lod_cells_per_ul", "lloq_cells_per_ul"), by(r)].flat(), sort: (r) => t.cells_per_ul[r] }] : []),
      { label: "Background", unit: "events expected", n: true, cls: "fold", cell: (r) => (t.background_events[r] === null ? h("span", { class: "nothing" }, "–") : explain(h("span", {}, num(t.background_events[r])), `${num(t.background_percent[r])} % of the parent in ${T(t.background_source[r]).split(";").join(", ")}`)), sort: (r) => t.background_events[r] },
      { label: "Detection", unit: "limits in events", cls: "panel", cell: (r) => [capital(DETECTION[T(t.detection[r])] || ""), ...limits(r)], sort: (r) => T(t.detection[r]) },
      { label: "Verdict", cls: "wide text spoken", cell: (r) => [judged(T(t.verdict[r])), noted(t.events[r] === null && T(t.reason[r]) ? "" : capital(T(t.says[r]))), noted(capital(T(t.reason[r])))].filter(Boolean), sort: (r) => TUBE_RANK[T(t.verdict[r])] },
    ], t.rows, { label: "Populations of the tube", tight: true, sticky: true, limit: 100 }));
  }

  function thresholdTable(t) {
    if (!t.rows.length) return;
    view.append(h("h2", {}, "Thresholds"), h("p", { class: "say" }, "Where each marker turns from negative to positive, and how that was found. Values are on the linear, compensated scale."), table([
      { label: "Threshold", cls: "text", cell: (r) => T(t.threshold[r]), sort: (r) => T(t.threshold[r]) },
      { label: "Marker", cls: "text", cell: (r) => [T(t.marker[r]), noted(T(t.channel[r]) === T(t.marker[r]) ? "" : T(t.channel[r]))].filter(Boolean), sort: (r) => T(t.marker[r]) },
      { label: "Inside", cls: "text panel", cell: (r) => T(t.population[r]).split(" / ").pop() || "all gated events" },
      { label: "Set by", cls: "panel", cell: (r) => (T(t.method[r]) ? capital(T(t.method[r])) : h("span", { class: "ne" }, "not set")), sort: (r) => T(t.method[r]) },
      { label: "From", cls: "line", cell: (r) => (T(t.control[r]) ? tubeLinks(T(t.control[r]).split(";")) : T(t.method[r]) ? (t.n_events[r] === null ? "panel file" : "this tube") : "") },
      { label: "Events", n: true, tip: "Events that it was set from", cell: (r) => num(t.n_events[r], 9), sort: (r) => t.n_events[r] },
      { label: "Value", n: true, cell: (r) => num(t.value[r], 4), sort: (r) => t.value[r] },
      { label: "Remark", cls: "wide text", cell: (r) => T(t.reason[r]) },
    ], t.rows, { label: "Thresholds", limit: 100 }));
  }

  function backgroundTable(t) {
    if (!t.rows.length) return;
    const box = h("details", {}, h("summary", {}, "Every gate in every control ", h("small", {}, plural(t.rows.length, "row"))));
    // Gates times controls: made when it is asked for.
    box.addEventListener("toggle", () => {
      if (!box.open || box.children.length > 1) return;
      box.append(table([
        { label: "Gate", cls: "text", cell: (r) => T(t.gate[r]), sort: (r) => T(t.gate[r]) },
        { label: "Control", cls: "text", cell: (r) => tubeLink(T(t.control[r])), sort: (r) => T(t.control[r]) },
        { label: "What it is", cls: "text", cell: (r) => capital(T(t.what[r])), sort: (r) => T(t.what[r]) },
        { label: "Events", n: true, cell: (r) => num(t.events[r], 9), sort: (r) => t.events[r] },
        { label: "Of parent", n: true, cell: (r) => num(t.parent_events[r], 9), sort: (r) => t.parent_events[r] },
        { label: "Share", unit: "%", n: true, cell: (r) => num(t.percent[r]), sort: (r) => t.percent[r] },
      ], t.rows, { label: "Background", plain: true, limit: 200 }));
    });
    view.append(h("h2", {}, "Background"), h("p", { class: "say" }, "What the gates of this tube catch in its controls."), box);
  }

  function vendorTable(G) {
    const rows = G.rows.filter((r) => G.vendor_events[r] !== null);
    if (!rows.length) return;
    view.append(h("h2", {}, "Comparison with FlowJo"), h("p", { class: "say" }, "FlowJo's own counts, as the workspace holds them. FlowJo bins polygons, so that a few events of a large gate may differ."), table([
      { label: "Gate", cls: "text", cell: (r) => T(G.gate[r]), sort: (r) => T(G.gate[r]) },
      { label: "Events here", n: true, cell: (r) => num(G.events[r], 9), sort: (r) => G.events[r] },
      { label: "FlowJo", n: true, cell: (r) => num(G.vendor_events[r], 9), sort: (r) => G.vendor_events[r] },
      { label: "Difference", n: true, cell: (r) => (G.events[r] === null ? "–" : signed(G.events[r] - G.vendor_events[r], 9)), sort: (r) => (G.events[r] === null ? null : Math.abs(G.events[r] - G.vendor_events[r])) },
      { label: "Difference", unit: "%", n: true, cell: (r) => (G.vendor_percent[r] === null ? "–" : signed(G.vendor_percent[r])), sort: (r) => (G.vendor_percent[r] === null ? null : Math.abs(G.vendor_percent[r])) },
    ], rows, { label: "Comparison with FlowJo", limit: 100 }));
  }
  const signed = (x, digits = 3) => (x > 0 ? "+" : "") + num(x, digits);

  /** Flow rate over time; stretches that were left out have a ground and stand below in words. */
  function acquisitionFigure(a) {
    if (!a.start.length) return;
    const clock = a.rate.some((r) => r !== null), out = range(0, a.out.start.length);
    const unit = clock ? " s" : "";
    view.append(h("h2", {}, "Acquisition"));
    const why = (j) => T(a.out.reason[j]) || "unstable";
    if (clock) {
      const plot = figure(`Flow rate over the acquisition, ${out.length ? `${plural(out.length, "stretch", "stretches")} left out` : "nothing left out"}.`, 220);
      Object.assign(plot.dataset, { paper: 200, screen: 220 });
      view.append(plot);
      const top = 1.08 * Math.max(...a.rate.filter((r) => r !== null));
      const end = a.end[a.end.length - 1];
      draw(plot, [
        ...(out.length ? [{ type: "scatter", mode: "lines", x: out.flatMap((j) => [a.out.start[j], a.out.start[j], a.out.end[j], a.out.end[j], null]), y: out.flatMap(() => [0, top, top, 0, null]), fill: "toself", fillcolor: wash("#d14900", 0.16), line: { width: 0 }, hoverinfo: "skip", name: "Left out", legendrank: 300 }] : []),
        { type: "scatter", mode: "lines", x: [...a.start, end], y: [...a.rate, a.rate[a.rate.length - 1]], line: { shape: "hv", color: COLOURS[0], width: 1.6 }, name: "Events per second", hovertemplate: "%{x:.4~g} s: %{y:.4~g} events/s<extra></extra>" },
      ], { height: 220, xaxis: axis("Time (s)", { range: [a.start[0], end] }), yaxis: axis("Events per second", { range: [0, top] }) });
    } else view.append(h("p", { class: "say" }, "There is no usable clock: places are numbers of events."));
    if (!out.length) { view.append(h("p", { class: "say" }, "No stretch was left out.")); return; }
    view.append(table([
      { label: "Left out", cls: "line", cell: (j) => `${num(a.out.start[j], clock ? 4 : 9)} to ${num(a.out.end[j], clock ? 4 : 9)}${unit}`, sort: (j) => a.out.start[j] },
      { label: "Events", cls: "line", cell: (j) => num(a.out.events[j], 9), sort: (j) => a.out.events[j] },
      { label: "Why", cls: "wide text", cell: (j) => capital(why(j)), sort: why },
    ], out, { label: "Stretches left out", plain: true, limit: 20 }));
  }
