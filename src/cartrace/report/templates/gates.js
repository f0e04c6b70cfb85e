  // ---------------------------------------------------------------- gate-review figure

  // Light to dark blue in even steps of lightness (OKLab 0.90 to 0.26): reads the same in grey, and orange stands out on it.
  const SHADES = (() => {
    const stops = ["#b7e7fa", "#89cfef", "#5eb7e1", "#399dcf", "#1b83b8", "#0d6a9c", "#11517c", "#153a5a", "#142537"].map((c) => [1, 3, 5].map((k) => parseInt(c.slice(k, k + 2), 16)));
    return range(0, 256).map((v) => {
      const at = ((v - 1) / 254) * (stops.length - 1), k = Math.min(stops.length - 2, Math.max(0, Math.floor(at)));
      return v ? stops[k].map((c, j) => Math.round(c + (at - k) * (stops[k + 1][j] - c))) : [255, 255, 255];
    });
  })();
  // The picture inside its frame, in units of the drawing; the rest holds ticks and names.
  const BOX = { width: 240, height: 222, left: 42, top: 8, right: 6, bottom: 38 };
  const INNER = { width: BOX.width - BOX.left - BOX.right, height: BOX.height - BOX.top - BOX.bottom };

  /** Every gate of a tube on its own plot, in the order of the strategy. */
  function gateFigure(into, k) {
    const part = FLOW.parts[k], G = unpack(part.gates);
    if (!G.rows.length) { into.append(h("p", { class: "notice" }, "No gate was applied to this tube.")); return; }
    const picture = new Map(part.plots.map((p) => [p.gate, p]));
    const canvases = [];
    const cards = G.rows.map((r) => {
      const p = picture.get(G.gate[r]), set = G.events[r] !== null;
      const name = T(G.name[r]), parent = T(G.parent[r]).split(" / ").pop();
      const counts = set ? `${num(G.events[r], 9)} of ${num(G.parent_events[r], 9)}${G.percent_of_parent[r] === null ? "" : ` = ${num(G.percent_of_parent[r])} %`}` : "";
      const between = set ? interval(G.lower[r], G.upper[r]) : "";
      const why = T(G.reason[r]) || (set ? "" : "it could not be set");
      const label = [`Gate ${name}, in ${parent || "all gated events"}`, set ? `${counts}${between}, events in the gate of those in its parent` : `not set: ${why}`, p ? (p.y === null ? `histogram of ${p.x}` : `${p.y} over ${p.x}`) : ""].filter(Boolean).join("; ");
      const card = h("figure", { class: set ? "gate" : "gate unset" },
        h("figcaption", {}, h("b", {}, name), h("small", {}, `in ${parent || "all gated events"} · ${words(T(G.kind[r]))}`), set ? h("span", {}, h("span", { class: "line" }, counts), h("span", { class: "line" }, between)) : null, why ? h("em", {}, set ? why : `Not set: ${why}`) : null));
      if (p) {
        const canvas = h("canvas", { role: "img", "aria-label": label });
        canvases.push([canvas, p]);
        card.append(h("div", { class: "picture" }, canvas, frameOf(p)));
      } else card.append(h("p", { class: "nopicture" }, T(G.kind[r]) === "boolean" ? "No picture: a boolean gate has no axes of its own." : "No picture."));
      return card;
    });
    into.append(h("div", { class: "gates" }, cards));
    if (!canvases.length) return;
    inflate(part.densities).then(
      (bytes) => canvases.forEach(([canvas, p]) => density(canvas, p, bytes)),
      () => into.prepend(h("p", { class: "notice" }, "This browser can't unpack the pictures of the events. Any browser from 2023 on can; numbers and outlines are shown.")));
  }

  /** Draw the density of the parent, or its histogram: height is the square root of the events, as the shade is. */
  function density(canvas, p, bytes) {
    const n = p.bins, flat = p.y === null;
    // Whole bins of several pixels each: sharp on paper and on fine screens.
    const fine = Math.ceil(512 / n);
    [canvas.width, canvas.height] = [n * fine, n * fine];
    const to = canvas.getContext("2d");
    if (flat) {
      to.fillStyle = "#5eb7e1";
      for (let i = 0; i < n; i++) {
        const height = Math.round((bytes[p.at + i] / 255) * 0.94 * canvas.height);
        to.fillRect(i * fine, canvas.height - height, fine, height);
      }
      return;
    }
    const source = h("canvas", { width: n, height: n });
    const from = source.getContext("2d"), image = from.createImageData(n, n);
    for (let j = 0; j < n; j++) {
      for (let i = 0; i < n; i++) {
        const v = bytes[p.at + j * n + i];
        // The lowest y comes first, and a picture begins at the top.
        if (v) image.data.set([...SHADES[v], 255], 4 * ((n - 1 - j) * n + i));
      }
    }
    from.putImageData(image, 0, 0);
    to.imageSmoothingEnabled = false;
    to.drawImage(source, 0, 0, canvas.width, canvas.height);
  }

  const svgNode = (name, attributes, ...children) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
    node.append(...children);
    return node;
  };
  let clips = 0;
  /** Frame, ticks, names of the axes, and the outline over the picture. */
  function frameOf(p) {
    const flat = p.y === null;
    const X = (x) => BOX.left + (INNER.width * (x - p.xr[0])) / (p.xr[1] - p.xr[0]);
    const Y = (y) => BOX.top + INNER.height * (1 - (y - p.yr[0]) / (p.yr[1] - p.yr[0]));
    const [left, right, top, bottom] = [BOX.left, BOX.left + INNER.width, BOX.top, BOX.top + INNER.height];
    const clip = `clip${clips++}`;
    const svg = svgNode("svg", { viewBox: `0 0 ${BOX.width} ${BOX.height}`, "aria-hidden": "true" },
      svgNode("clipPath", { id: clip }, svgNode("rect", { x: left, y: top, width: INNER.width, height: INNER.height })),
      svgNode("rect", { class: "frame", x: left, y: top, width: INNER.width, height: INNER.height }));
    for (const [place, label] of p.xt) {
      svg.append(svgNode("path", { class: "frame", d: `M${X(place)} ${bottom}v4` }), svgNode("text", { x: X(place), y: bottom + 14, "text-anchor": "middle" }, label));
    }
    for (const [place, label] of flat ? [] : p.yt) {
      svg.append(svgNode("path", { class: "frame", d: `M${left} ${Y(place)}h-4` }), svgNode("text", { x: left - 6, y: Y(place) + 3.5, "text-anchor": "end" }, label));
    }
    const middle = (top + bottom) / 2;
    svg.append(svgNode("text", { class: "axis", x: (left + right) / 2, y: BOX.height - 6, "text-anchor": "middle" }, shorten(p.x, 30)),
      svgNode("text", { class: "axis", x: 10, y: middle, "text-anchor": "middle", transform: `rotate(-90 10 ${middle})` }, flat ? "events (√)" : shorten(p.y, 26)));
    if (flat && p.fullest) svg.append(svgNode("text", { x: left - 6, y: top + 0.06 * INNER.height + 3.5, "text-anchor": "end" }, p.fullest >= 1e4 ? `${num(p.fullest / 1000)}k` : num(p.fullest, 9)), svgNode("text", { x: left - 6, y: bottom + 3.5, "text-anchor": "end" }, "0"));
    const edges = svgNode("g", { "clip-path": `url(#${clip})` });
    for (const corners of p.outline) {
      if (flat) {
        const [low, high] = [corners[0][0], corners[corners.length - 1][0]];
        const [a, b] = [low === null ? left : X(low), high === null ? right : X(high)];
        edges.append(svgNode("rect", { class: "within", x: a, y: top, width: Math.max(0, b - a), height: INNER.height }));
        for (const x of [low, high]) if (x !== null) edges.append(svgNode("path", { class: "edge", d: `M${X(x)} ${top}V${bottom}` }));
      } else edges.append(svgNode("path", { class: "edge", d: `M${corners.map(([x, y]) => `${X(x).toFixed(2)} ${Y(y).toFixed(2)}`).join("L")}Z` }));
    }
    svg.append(edges);
    if (!p.fullest) svg.append(svgNode("text", { class: "axis empty", x: (left + right) / 2, y: middle, "text-anchor": "middle" }, "no event"));
    return svg;
  }
