  // ---------------------------------------------------------------- the laboratories' inboxes

  const INBOX = D.inbox;

  function inboxPage() {
    const R = INBOX.rows;
    const all = range(0, R.status.length);
    const of = Object.fromEntries(INBOX.statuses.map((s) => [s.status, s]));
    const sum = (key) => INBOX.inboxes.reduce((n, i) => n + i[key], 0);
    const mark = (s) => h("span", { class: `verdict ${s.for_a_person ? "warn" : "note"}` }, s.label);
    view.append(h("h1", { tabindex: "-1" }, "Inbox"),
      h("p", { class: "lead" }, "What the laboratories left in their folders, as this run found it. Nothing is dropped: a file that is not used is stored, or left where it is, and stands here with the reason."),
      h("ul", { class: "numbers" }, [[sum("sheet") + sum("pattern"), "used"], ...INBOX.statuses.map((s) => [s.n, s.label.toLowerCase()])]
        .map(([n, text]) => h("li", {}, h("b", {}, n.toLocaleString("en-US")), h("span", {}, text)))),
      h("h2", {}, "Not used"));
    if (!all.length) view.append(h("p", { class: "notice" }, "Every file is used."));
    else {
      view.append(table([
        { label: "Status", cell: mark },
        { label: "What it means, and what to do", cls: "wide text", cell: (s) => [s.means, h("div", {}, s.to_do)] },
      ], INBOX.statuses, { label: "What to do" }));
      let word = "", only = "";
      const text = all.map((r) => [R.inbox, R.name, R.file_id, R.detail, R.hint].map((c) => T(c[r])).join(" ").toLowerCase());
      const count = h("p", { class: "say", role: "status" });
      const chosen = () => all.filter((r) => text[r].includes(word) && (!only || T(R.status[r]) === only));
      const list = table([
        { label: "Inbox", cls: "text", cell: (r) => T(R.inbox[r]), sort: (r) => T(R.inbox[r]) },
        { label: "File", cls: "wide text", cell: (r) => [T(R.name[r]) || (T(R.file_id[r]) ? "(name not known)" : "(the folder itself)"), T(R.file_id[r]) ? h("div", { class: "say" }, T(R.file_id[r])) : null].filter(Boolean), sort: (r) => T(R.name[r]) },
        { label: "Why", cls: "remark", cell: (r) => [capital(T(R.detail[r])), T(R.hint[r]) ? h("div", { class: "say" }, capital(T(R.hint[r]))) : null].filter(Boolean) },
      ], all, { plain: true, limit: 200, label: "Files not used", group: (r) => of[T(R.status[r])].label });
      const fill = () => { const shown = chosen(); list.update(shown); count.textContent = `${plural(shown.length, "row")} shown.`; };
      view.append(h("div", { class: "controls" }, h("label", {}, "Find", h("input", { type: "search", oninput: (e) => { word = e.target.value.trim().toLowerCase(); fill(); } })),
        ...(INBOX.statuses.length > 1 ? [choice("Status", [["", "All"], ...INBOX.statuses.map((s) => [s.status, s.label])], "", (v) => { only = v; fill(); })] : []),
        h("button", {
          type: "button", class: "push", onclick: () => {
            const keys = ["inbox", "name", "status", "file_id", "detail", "hint"];
            download("cartrace_inbox.csv", keys, chosen().map((r) => keys.map((k) => T(R[k][r]))));
          },
        }, "Download as CSV")), count, list);
      fill();
    }
    const n = (label, key) => ({ label, n: true, cell: (i) => num(i[key], 9), sort: (i) => i[key] });
    view.append(h("h2", {}, "Used"),
      h("p", { class: "say" }, "By a row of a sheet, or by a pattern of the file's name. The exported table inbox names each of them."),
      table([
        { label: "Inbox", cls: "text", cell: (i) => T(i.inbox), sort: (i) => T(i.inbox) },
        n("By sheet", "sheet"), n("By pattern", "pattern"), n("Not used", "not_used"),
      ], INBOX.inboxes, { label: "Used of each inbox" }));
  }
