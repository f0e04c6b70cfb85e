  // Text of the laboratory reaches the page only through textContent (h) or plain (plotly).
  const source = document.getElementById("cartrace-data");
  if (source.dataset.packed && !("DecompressionStream" in window)) {
    document.getElementById("view").textContent = "This report is large and needs a newer browser: Chrome or Edge 80, Firefox 113, Safari 16.4, or later.";
    return;
  }
  const D = JSON.parse(source.dataset.packed ? new TextDecoder().decode(await inflate(source.textContent)) : source.textContent);
  const P = D.points, M = D.metrics, S = D.summary, K = D.survival, Q = D.qc;
  const T = (i) => (i === undefined || i < 0 ? "" : D.texts[i]);
  const view = document.getElementById("view");
  const methods = document.getElementById("methods");
  const tip = document.getElementById("tip");
  const [MEASURED, BLQ, BLD, ABOVE, ZERO] = [0, 1, 2, 3, 4];
  const REJECTED = 2, MASKED = 3;
  const E = D.episodes;
  // Okabe and Ito's colours without yellow, which is too light for lines on white.
  const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5B5B5B"];
  const SHAPES = ["circle", "square", "diamond", "cross", "star", "hexagon", "pentagon"];
  // One colour for each family of analytes, the same on every page of a patient.
  const FAMILY = { expansion: "#0072B2", cells: "#009E73", antibody: "#D55E00", immunoglobulin: "#CC79A7", bcma: "#56B4E9", lymphocyte: "#332288", tumour: "#7A5200", haematology: "#882255", score: "#6f6b00", repertoire: "#117a8b", biomarker: "#3d4852" };
  const familyLabel = Object.fromEntries(D.families);
  const HARM = "#9c2a00";
  const INK = "#1b2229", SOFT = "#52606d", LINE = "#dde2e7", NIGHT = "#3d4852";
  const narrow = () => view.clientWidth < 560;
  const plots = new Set();

  // ---------------------------------------------------------------- small tools

  /** The bytes behind deflated ones in base64. */
  async function inflate(text) {
    const letters = atob(text);
    // A loop: of a large report these are millions.
    const bytes = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  function h(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "class") node.className = value;
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
    return node;
  }
  // Plotly reads a little HTML in its texts: show it as it is written instead.
  const plain = (s) => String(s).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const shorten = (s, n) => (s.length > n ? s.slice(0, n - 1) + "…" : s);
  function range(a, b) {
    const out = [];
    for (let k = a; k < b; k++) out.push(k);
    return out;
  }
  const unique = (list) => [...new Set(list)];
  /** The first of the rows with the largest value; undefined without rows. */
  const topRow = (rows, value) => rows.reduce((a, r) => (a === undefined || value(r) > value(a) ? r : a), undefined);
  const plural = (n, one, many) => `${n.toLocaleString("en-US")} ${n === 1 ? one : many || one + "s"}`;
  const SUPER = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

  // A formatter costs more than a thousand numbers that it writes: one for each number of places.
  const formatters = new Map();
  function formatter(least, most) {
    const name = `${least} ${most}`;
    if (!formatters.has(name)) formatters.set(name, new Intl.NumberFormat("en-US", { minimumFractionDigits: least, maximumFractionDigits: most }));
    return formatters.get(name);
  }
  /** Three significant digits, 5.00 for a rounded 5.0012; numbers that are shorter stay as they are. */
  function num(x, digits = 3) {
    if (x === null || x === undefined) return "–";
    if (x === 0) return "0";
    const size = Math.abs(x);
    if (size >= 1e7 || size < 1e-3) {
      const [m, e] = x.toExponential(digits - 1).split("e");
      return `${m} × 10${String(Number(e)).replace(/./g, (c) => SUPER[c])}`.replace("-", "−");
    }
    const places = Math.min(Math.max(0, digits - 1 - Math.floor(Math.log10(size))), 10);
    const rounded = Number(x.toPrecision(digits));
    return formatter(Math.abs(rounded - x) < size * 1e-9 ? 0 : places, places).format(rounded).replace("-", "−");
  }
  const days = (x) => (x === null || x === undefined ? "–" : num(x, Math.abs(x) >= 1000 ? 4 : 3));

  /** The interval of a row, as it follows its number. */
  const limits = (t, r) => (t.lower[r] === null ? "" : ` (${num(t.lower[r], 2)} to ${num(t.upper[r], 2)})`);
  const wash = (colour, alpha) => `rgba(${[1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16)).join(",")},${alpha})`;
  const words = (s) => s.replace(/_/g, " ");
  const capital = (s) => s.charAt(0).toUpperCase() + s.slice(1);

  // A tool tip that keyboard users get too.
  function explain(node, text) {
    node.title = text;
    node.tabIndex = 0;
    node.dataset.tip = text;
    return node;
  }
  function showTip(node) {
    tip.textContent = node.dataset.tip;
    tip.hidden = false;
    const at = node.getBoundingClientRect();
    tip.style.left = `${Math.max(12, Math.min(at.left, innerWidth - tip.offsetWidth - 12))}px`;
    const below = at.bottom + 8;
    tip.style.top = `${below + tip.offsetHeight > innerHeight ? at.top - tip.offsetHeight - 8 : below}px`;
    node.setAttribute("aria-describedby", "tip");
  }
  document.addEventListener("focusin", (e) => (e.target.dataset && e.target.dataset.tip ? showTip(e.target) : (tip.hidden = true)));
  document.addEventListener("keydown", (e) => { if (e.key === "Escape") tip.hidden = true; });
  addEventListener("scroll", () => (tip.hidden = true), { passive: true });

  function choice(label, options, value, change) {
    const select = h("select", { onchange: (e) => change(e.target.value) },
      options.map(([v, text]) => h("option", { value: v, selected: String(v) === String(value) }, text)));
    return h("label", {}, label, select);
  }
  function segments(label, options, value, change) {
    const group = h("div", { class: "segments", role: "group", "aria-label": label });
    for (const [v, text] of options) {
      group.append(h("button", {
        type: "button", "aria-pressed": String(v === value),
        onclick: (e) => {
          for (const b of group.children) b.setAttribute("aria-pressed", String(b === e.currentTarget));
          change(v);
        },
      }, text));
    }
    return group;
  }

  // A spreadsheet must not run a cell: the same rule as cartrace.tables.defuse.
  const FORMULA = /^(?:[\s\x00-\x1f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r])/;
  const defuse = (s) => (FORMULA.test(s) ? "'" + s : s);
  function download(name, header, rows) {
    const cell = (c) => {
      if (c === null || c === undefined) return "";
      if (typeof c === "number") return String(c);
      const s = defuse(String(c));
      return /[",\n\r]/.test(s) || s !== s.trim() ? `"${s.replace(/"/g, '""')}"` : s;
    };
    const text = "\ufeff" + [header, ...rows].map((r) => r.map(cell).join(",")).join("\r\n") + "\r\n";
    const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    const link = h("a", { href: url, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }
