  // ---------------------------------------------------------------- flow tubes

  const FLOW = D.flow;
  const F = FLOW ? FLOW.tubes : null;
  const tubeIds = FLOW ? F.tube.map((i) => T(i)) : [];
  const tubeNumber = new Map(tubeIds.map((id, k) => [id, k]));
  const tubeLink = (id) => (tubeNumber.has(id) ? h("a", { href: `#/tube/${encodeURIComponent(id)}` }, id) : id);
  const tubeLinks = (ids) => ids.flatMap((id, k) => [k ? ", " : "", tubeLink(id)]);
  const controlsOf = (k) => T(F.controls[k]).split(";").filter(Boolean);
  const reviewed = (k) => FLOW.reviews[T(F.review[k])];
  const waiting = (k) => ["missing", "changed"].includes(T(F.review[k])) && T(F.verdict[k]) !== "control";
  const isControl = (k) => T(F.verdict[k]) === "control";
  /** The page behind a finding: of a plate, of a tube, of a library, or none. */
  const evidenceLink = (id) => (plateOpeners.has(id) ? plateLink(id) : tubeNumber.has(id) ? tubeLink(id) : libraryLink(id));
  const TUBE_RANK = { ...RANK, control: 4 };
  /** What became of a tube's reported populations, where it is not plain from the tube's own verdict. */
  function populationsOf(k) {
    if (isControl(k)) return "";
    const said = [["rejected", F.reported_rejected[k]], ["flagged", F.reported_flagged[k]]].filter(([v, n]) => n && !(n === F.reported[k] && v === T(F.verdict[k])));
    return said.length ? `${said.map(([v, n]) => `${n} ${v}`).join(", ")} of ${plural(F.reported[k], "population")}` : "";
  }
  const noted = (words_) => (words_ ? h("div", { class: "say" }, words_) : null);

  function tubesPage() {
    const all = range(0, tubeIds.length);
    const count = (v) => all.filter((k) => T(F.verdict[k]) === v).length;
    const open = all.filter(waiting);
    view.append(h("h1", { tabindex: "-1" }, "Tubes"),
      h("p", { class: "lead" }, "The flow cytometry tubes behind the results, from the instruments' own files. A tube's page shows every gate with the events that it was set on."),
      h("ul", { class: "numbers" }, [[all.length, all.length === 1 ? "tube" : "tubes"], [count("accepted"), "accepted"], [all.filter((k) => T(F.verdict[k]) === "accepted" && F.reported_rejected[k]).length, "of them with rejected populations"], [count("flagged"), "flagged"], [count("rejected"), "rejected"], [count("control"), count("control") === 1 ? "control" : "controls"], ...(open.length || FLOW.review_required ? [[open.length, "gates to be reviewed"]] : [])]
        .filter(([n, text]) => n || !text.startsWith("of them")).map(([n, text]) => h("li", {}, h("b", {}, n.toLocaleString("en-US")), h("span", {}, text)))));
    const who = (k) => [T(F.sample_id[k]), F.s[k] >= 0 && D.subjects[F.s[k]].id !== T(F.sample_id[k]) ? h("div", { class: "say line" }, subjectLink(F.s[k])) : null].filter(Boolean);
    const n = (label, key, more) => ({ label, n: true, cell: (k) => num(F[key][k], key === "events" ? 9 : 3), sort: (k) => F[key][k], ...more });
    const list = table([
      { label: "Tube", cls: "text", cell: (k) => tubeLink(tubeIds[k]), sort: (k) => tubeIds[k] },
      { label: "Kind", cls: "text panel", cell: (k) => capital(T(F.what[k])), sort: (k) => T(F.what[k]) },
      { label: "Sample", cls: "text name", cell: who, sort: (k) => T(F.sample_id[k]) },
      { label: "Day", n: true, tip: "Day from the infusion", cell: (k) => (F.day[k] === null ? "" : days(F.day[k])), sort: (k) => F.day[k] },
      { label: "Verdict", cls: "wide text", cell: (k) => [judged(T(F.verdict[k])), noted(T(F.says[k])), noted(populationsOf(k))].filter(Boolean), sort: (k) => TUBE_RANK[T(F.verdict[k])] },
      n("Events", "events"),
      n("Left out", "left_out_percent", { unit: "%", tip: "Events left out before gating: unstable acquisition, or at the margin of a scatter channel", cell: (k) => num(F.left_out_percent[k], 2) }),
      { label: "Gates", tip: "What the review sheet says, and the first characters of the hash of the gates", cell: (k) => [T(F.review[k]) === "not_asked" ? null : h("div", {}, capital(reviewed(k))), h("code", { class: "line" }, FLOW.sha256[k].slice(0, 8))].filter(Boolean), sort: (k) => [T(F.review[k]), FLOW.sha256[k]].join() },
      { label: "Batch", cls: "text", cell: (k) => T(F.batch[k]), sort: (k) => T(F.batch[k]) },
      { label: "Panel", cls: "text panel", cell: (k) => T(F.panel_name[k]), sort: (k) => T(F.panel_name[k]) },
    ], all, { label: "Tubes", limit: 100 });
    view.append(h("h2", {}, "All tubes"));
    if (all.length > 6) {
      let word = "", only = "";
      const text = all.map((k) => [F.tube, F.batch, F.panel_name, F.what, F.sample_id, F.says].map((c) => T(c[k])).concat(populationsOf(k)).concat(F.s[k] >= 0 ? D.subjects[F.s[k]].id : "").join(" ").toLowerCase());
      const said = h("p", { class: "say", role: "status" });
      const fill = () => {
        const shown = all.filter((k) => text[k].includes(word) && (!only || (only === "waiting" ? waiting(k) : T(F.verdict[k]) === only)));
        list.update(shown);
        said.textContent = `${plural(shown.length, "tube")} shown.`;
      };
      const kinds = [["", "All"], ...["accepted", "flagged", "rejected", "control"].filter(count).map((v) => [v, v === "control" ? "Controls" : capital(v)]), ...(open.length ? [["waiting", "To be reviewed"]] : [])];
      view.append(h("div", { class: "controls" }, h("label", {}, "Find a tube, sample or patient", h("input", { type: "search", oninput: (e) => { word = e.target.value.trim().toLowerCase(); fill(); } })),
        segments("Tubes shown", kinds, "", (v) => { only = v; fill(); })), said);
    }
    view.append(list);
  }

  /** Which of the patient's samples were measured in which tube. */
  function tubesOf(s) {
    const mine = range(0, tubeIds.length).filter((k) => F.s[k] === s);
    if (!mine.length) return;
    view.append(h("h2", {}, "Flow tubes"), table([
      { label: "Tube", cls: "text", cell: (k) => tubeLink(tubeIds[k]), sort: (k) => tubeIds[k] },
      { label: "Day", n: true, cell: (k) => (F.day[k] === null ? "" : days(F.day[k])), sort: (k) => F.day[k] },
      { label: "Panel", cls: "text panel", cell: (k) => T(F.panel_name[k]), sort: (k) => T(F.panel_name[k]) },
      { label: "Kind", cls: "text panel", cell: (k) => capital(T(F.what[k])), sort: (k) => T(F.what[k]) },
      { label: "Verdict", cls: "wide text", cell: (k) => [judged(T(F.verdict[k])), noted(T(F.says[k])), noted(populationsOf(k))].filter(Boolean), sort: (k) => TUBE_RANK[T(F.verdict[k])] },
      ...(mine.some((k) => T(F.review[k]) !== "not_asked") ? [{ label: "Gates", cls: "text", cell: (k) => (isControl(k) ? "" : capital(reviewed(k))), sort: (k) => T(F.review[k]) }] : []),
    ], mine, { tight: true, label: "Flow tubes of the patient", limit: 20 }));
  }
