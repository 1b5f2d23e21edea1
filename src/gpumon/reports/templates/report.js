"use strict";
/* Draws the report from the JSON in #data. Text enters the page only as text nodes and plain attributes: nothing here
   parses markup, asks the network or stores anything. */
(() => {
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const STATUSES = Object.keys(DATA.statuses);                       // gravest first
  const COLUMNS = DATA.columns.map((column, rank) => ({ ...column, rank, kind: DATA.words[column.kind], role: DATA.words[column.role], missing: column.missing.map(real), score: real(column.score), find: column.name.toLowerCase() }));
  const METRIC = DATA.metric.replaceAll("_", " ");
  const FIRST_ROWS = 30, NEXT_ROWS = 100, PRINTED_ROWS = 500;
  const byId = (id) => document.getElementById(id);

  // ---- elements

  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
    node.append(...children.filter((child) => child !== null));
    return node;
  }
  const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
  const name = (text) => el("bdi", { title: text }, text || "(no name)");
  const icon = (status) => svg("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("use", { href: `#icon-${status}` }));
  const badge = (status) => el("span", { class: `status-${status}` }, icon(status), DATA.statuses[status]);
  const button = (words, pressed, attributes = {}) => { const node = el("button", { type: "button", ...attributes }, words); node.addEventListener("click", pressed); return node; };
  const sized = (node, property, value) => { node.style.setProperty(property, value); return node; };

  // ---- numbers (as in figures.py)

  function real(value) { return value === null ? null : Number(value); }   // infinity travels as a word
  const trimmed = (value) => String(Number(value.toPrecision(3)));
  function number(value) {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value), sign = value < 0 ? "−" : "";
    if (size === Infinity) return sign + "∞";
    if (size === 0) return "0";
    if (size < 1e-3 || size >= 1e15) { const [digits, power] = size.toExponential(2).split("e"); return `${sign}${Number(digits)}e${Number(power)}`; }
    if (size < 1e4) return sign + (size >= 1e3 ? Math.round(size) : trimmed(size));
    const rounded = Number(size.toPrecision(3)), thousands = Math.min(Math.floor(Math.log10(rounded) / 3), 4);
    return `${sign}${trimmed(rounded / 1000 ** thousands)} ${"kMGT"[thousands - 1]}`;
  }
  function percent(share) {
    if (share === null || share === undefined) return "–";
    const hundredths = 100 * share;
    if (hundredths > 0 && hundredths < 0.1) return "<0.1 %";
    return `${hundredths.toFixed(hundredths >= 10 || hundredths === 0 ? 0 : 1)} %`;
  }
  const count = (value) => value.toLocaleString("en");
  const signed = (value) => (value > 0 ? "+" : "") + number(value);
  function ticks(low, high, about) {
    const rough = (high - low) / about;
    if (!(rough > 0 && Number.isFinite(rough))) return [low];
    const magnitude = 10 ** Math.floor(Math.log10(rough)), step = magnitude * [1, 2, 5, 10].find((m) => m * magnitude >= rough * 0.8);
    const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
    return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  }
  function tickWords(values) {
    const top = Math.max(...values.map(Math.abs));
    if (values.length < 2 || top < 1e-3 || top >= 1e15) return values.map(number);
    const thousands = top < 1e4 ? 0 : Math.min(Math.floor(Math.log10(top) / 3), 4);
    const decimals = Math.max(0, -Math.floor(Math.log10((values[1] - values[0]) / 1000 ** thousands) + 1e-9));
    return values.map((value) => (value / 1000 ** thousands).toFixed(decimals).replace("-", "−").replace(/^−(0\.?0*)$/, "$1") + (thousands ? ` ${"kMGT"[thousands - 1]}` : ""));
  }

  // ---- figures

  const linear = ([low, high], [start, end]) => (value) => start + ((value - low) / (high - low || 1)) * (end - start);
  const path = (points) => "M" + points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
  const steps = (x, y, edges, shares, floor) => `M${x(edges[0]).toFixed(1)} ${floor}` + shares.map((share, i) => `V${y(share).toFixed(1)}H${x(edges[i + 1]).toFixed(1)}`).join("") + `V${floor}`;

  function sparkline(column) {
    const pictured = column.histogram ?? (column.categories ? { reference: column.categories.map((row) => row[1]), current: column.categories.map((row) => row[2]) } : null);
    if (!pictured) return el("span", { class: "kind" }, "nothing to draw");
    const { reference, current } = pictured, bins = reference.map((_, i) => i).concat(reference.length);
    const x = linear([0, reference.length], [1, 119]), y = linear([0, Math.max(...reference, ...current) || 1], [31, 2]);
    return svg("svg", { width: 120, height: 32, viewBox: "0 0 120 32", "aria-hidden": "true" },
      svg("path", { class: "filled", d: steps(x, y, bins, current, 31) }), svg("path", { class: "outline", d: steps(x, y, bins, reference, 31) }));
  }

  /* An empty chart with axes, as wide as its place: x and y turn data into pixels; `inset` keeps room for tails. */
  function chart(host, caption, xs, ys, { yWords = (values) => values.map(percent), inset = 0, xWords = tickWords, xTicks = null } = {}) {
    const width = Math.max(280, host.clientWidth || 460), height = width > 700 ? 150 : 210, left = 46, bottom = 24, floor = height - bottom;
    const x = linear(xs, [left + inset, width - 8 - inset]), y = linear(ys, [floor, 8]);
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
    const up = ticks(...ys, 4), upWords = yWords(up);
    up.forEach((value, i) => picture.append(
      svg("line", { class: "grid", x1: left, x2: width - 8, y1: y(value), y2: y(value) }),
      svg("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, upWords[i])));
    const along = xTicks ?? ticks(...xs, width > 420 ? 6 : 4), words = xWords(along), clear = inset && inset + 16;
    along.forEach((value, i) => (x(value) >= left + clear && x(value) <= width - 8 - clear) && picture.append(svg("text", { x: x(value), y: height - 6, "text-anchor": "middle" }, words[i])));
    picture.append(svg("line", { class: "axis", x1: left, x2: width - 8, y1: floor, y2: floor }));
    const told = el("span", { class: "told", "aria-hidden": "true" });
    host.append(el("figcaption", {}, caption, told), picture);
    return { picture, x, y, floor, left, right: width - 8, told };
  }

  /* Tells what is under the pointer: `places` in pixels, words(i) for the i-th. */
  function probe({ picture, floor, told }, places, words) {
    const guide = svg("line", { class: "guide", y1: 8, y2: floor, visibility: "hidden" }), rest = told.textContent;
    picture.append(guide);
    picture.addEventListener("pointermove", (event) => {
      const box = picture.getBoundingClientRect(), at = ((event.clientX - box.left) / box.width) * picture.viewBox.baseVal.width;
      const nearest = places.reduce((best, place, i) => (Math.abs(place - at) < Math.abs(places[best] - at) ? i : best), 0);
      fill(guide, { x1: places[nearest], x2: places[nearest], visibility: "visible" }, []);
      told.textContent = words(nearest);
    });
    picture.addEventListener("pointerleave", () => { guide.setAttribute("visibility", "hidden"); told.textContent = rest; });
  }
  const change = (reference, current) => `${percent(reference)} → ${percent(current)}`;

  function histogram(host, { histogram: { edges, reference, current, below, above } }) {
    const [r, c] = [reference, current].map((shares) => shares.map((share) => share / 1e5));
    const tails = Math.max(...below, ...above) > 0, inset = tails ? 30 : 0;
    const plot = chart(host, "Histogram", [edges[0], edges.at(-1)], [0, Math.max(...r, ...c, ...below, ...above) || 1], { inset });
    const { picture, x, y, floor, left, right } = plot;
    picture.setAttribute("aria-label", `Histogram from ${number(edges[0])} to ${number(edges.at(-1))}; below: ${change(...below)}, above: ${change(...above)}`);
    picture.append(svg("path", { class: "filled", d: steps(x, y, edges, c, floor) }), svg("path", { class: "outline", d: steps(x, y, edges, r, floor) }));
    const places = r.map((_, i) => x((edges[i] + edges[i + 1]) / 2));
    const words = r.map((_, i) => `${number(edges[i])} to ${number(edges[i + 1])}: ${change(r[i], c[i])}`);
    if (tails) for (const [shares, start, side] of [[below, left + 3, "below"], [above, right - 19, "above"]]) {
      picture.append(
        svg("rect", { class: "filled", x: start, width: 16, y: y(shares[1]), height: floor - y(shares[1]) }),
        svg("rect", { class: "outline", x: start, width: 16, y: y(shares[0]), height: floor - y(shares[0]) }),
        svg("text", { x: start + 8, y: floor + 18, "text-anchor": "middle" }, side));
      places.push(start + 8);
      words.push(`${side} ${number(side === "below" ? edges[0] : edges.at(-1))}: ${change(...shares)}`);
    }
    plot.told.textContent = "share of rows in each bin";
    probe(plot, places, (i) => words[i]);
  }

  function ecdf(host, { ecdf: { x: at, reference, current } }) {
    const [r, c] = [reference, current].map((shares) => shares.map((share) => share / 1e5));
    const plot = chart(host, "Cumulative distribution", [at[0], at.at(-1)], [0, 1]);
    const [lineR, lineC] = [r, c].map((values) => values.map((value, i) => [plot.x(at[i]), plot.y(value)]));
    const widest = r.reduce((best, _, i) => (Math.abs(r[i] - c[i]) > Math.abs(r[best] - c[best]) ? i : best), 0);
    plot.picture.append(
      svg("path", { class: "between", d: path(lineR.concat(lineC.toReversed())) + "Z" }),
      svg("path", { class: "curve reference", d: path(lineR) }), svg("path", { class: "curve current", d: path(lineC) }),
      svg("line", { class: "gap", x1: lineR[widest][0], x2: lineR[widest][0], y1: lineR[widest][1], y2: lineC[widest][1] }));
    plot.told.textContent = `${number(Math.abs(r[widest] - c[widest]))} apart at ${number(at[widest])}`;
    plot.picture.setAttribute("aria-label", `Cumulative distributions, at most ${plot.told.textContent}`);
    probe(plot, at.map(plot.x), (i) => `≤ ${number(at[i])}: ${change(r[i], c[i])}`);
  }

  function categories(host, { categories: rows, other, missing }) {
    const rest = [["all others", ...other, 0, "rest"], ["missing", ...missing, 0, "rest"]].filter((row) => row[1] || row[2]);
    const all = rows.concat(rest), widest = Math.max(...all.flatMap((row) => [row[1], row[2]])) || 1;
    const bar = (side, share) => sized(el("i", { class: share ? side : "" }), "width", `max(2px, ${(100 * share) / widest}%)`);
    host.append(el("figcaption", {}, "Categories", el("span", { class: "told" }, "share of rows")), el("table", { class: "bars" },
      el("thead", { class: "said" }, el("tr", {}, el("th", { scope: "col" }, "Category"), el("td"), el("th", { scope: "col" }, "reference → current"))),
      el("tbody", {}, ...all.map(([category, reference, current, fate, rest = ""]) => el("tr", { class: rest },
        el("th", { scope: "row" }, name(category)),
        el("td", { "aria-hidden": "true" }, bar("reference", reference), bar("current", current)),
        el("td", {}, change(reference, current), fate ? el("span", { class: fate === 1 ? "tag" : "tag gone" }, fate === 1 ? "new" : "gone") : null))))));
  }

  function cameAndWent(host, { new: fresh, vanished, unnamed }) {
    const more = (left) => (left ? `, and ${count(left)} more` : "");
    const told = [
      fresh.length ? ["New in the current data: ", fresh.map(([category, rows]) => `${category || "(no name)"} (${count(rows)})`), more(unnamed[0])] : null,
      vanished.length ? ["Gone from it: ", vanished.map((category) => category || "(no name)"), more(unnamed[1])] : null,
    ].filter(Boolean);
    host.append(el("figcaption", {}, "New and vanished categories"), el("div", { class: "words" },
      ...(told.length ? told.map(([lead, list, end]) => el("p", {}, el("b", {}, lead), el("bdi", {}, list.join(", ") + end))) : [el("p", {}, "none")])));
  }

  function course(host, { labels, values, status, rows }, limit) {
    const finite = values.filter(Number.isFinite), bottom = Math.min(0, ...finite), top = Math.max(0, ...finite);
    const shown = limit !== null && limit < 20 * top ? limit : 0;
    const every = Math.ceil(labels.length / 5), marked = labels.map((_, i) => i).filter((i) => i % every === 0);
    const plot = chart(host, `${METRIC} by window`, [-0.5, labels.length - 0.5], [bottom, Math.max(top, shown) * 1.05 || 1],
      { yWords: tickWords, xTicks: marked, xWords: (at) => at.map((i) => (labels[i].length > 11 ? labels[i].slice(0, 10) + "…" : labels[i])) });
    const { picture, x, y, left, right } = plot, wide = Math.max(2, Math.min(34, (x(1) - x(0)) * 0.7));
    values.forEach((value, i) => {
      const end = y(Math.min(Math.max(value ?? 0, bottom), top));
      picture.append(svg("rect", { class: `pole status-${status[i]}`, x: x(i) - wide / 2, width: wide, y: Math.min(end, y(0)), height: Math.abs(end - y(0)), rx: 1.5 }));
    });
    if (shown) picture.append(svg("line", { class: "limit", x1: left, x2: right, y1: y(limit), y2: y(limit) }));
    plot.told.textContent = shown ? `threshold ${number(limit)}` : "";
    picture.setAttribute("aria-label", `${METRIC} in ${labels.length} windows from ${labels[0]} to ${labels.at(-1)}`);
    probe(plot, labels.map((_, i) => x(i)), (i) => `${labels[i]}: ${number(values[i])}, ${DATA.statuses[status[i]]}, ${count(rows[i])} rows`);
  }

  // ---- a column's detail

  function metricsTable(column) {
    const cell = (value, words = number) => el("td", { class: "figure", title: value === null ? null : String(value).replace("-", "−") }, words(value));
    const rows = column.metrics.map(([metric, value, lower, upper, unit, reference, p, q, threshold, status, method]) => {
      const [v, l, u] = [value, lower, upper].map(real), measure = DATA.words[unit];
      return el("tr", {}, el("th", { scope: "row" }, DATA.words[metric].replaceAll("_", " ")),
        cell(v, (shown) => number(shown) + (shown === null || measure === "1" || measure === "" ? "" : ` ${measure}`)),
        el("td", { class: "figure" }, l === null && u === null ? "" : `${number(l)} … ${number(u)}`),
        ...[reference, threshold, p, q].map((other) => cell(real(other), (shown) => (shown === null ? "" : number(shown)))),
        el("td", {}, badge(DATA.words[status])), el("td", { class: "method" }, DATA.words[method]));
    });
    const heads = [["Metric"], ["Value", "figure"], ["Bounds", "figure"], ["Reference", "figure"], ["Threshold", "figure"], ["p", "figure"], ["q", "figure"], ["Status"], ["Method"]];
    return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `All metrics of ${column.name}` }, el("table", { class: "metrics" },
      el("thead", {}, el("tr", {}, ...heads.map(([words, kind]) => el("th", { scope: "col", class: kind }, words)))), el("tbody", {}, ...rows)));
  }

  function detail(column) {
    const close = button("Close", () => shut(column, true), { class: "quiet", title: "Escape" });
    const figures = el("div", { class: "figures" });
    const inside = el("section", { "aria-label": `Detail of ${column.name}` },
      el("header", {}, el("p", {}, el("bdi", {}, column.reason), el("span", { class: "whole" }, el("bdi", {}, column.name), `, missing ${change(...column.missing)}`)), close), figures, metricsTable(column));
    const row = el("tr", { class: "detail", role: "row", "data-detail": column.rank }, el("td", { role: "cell", colspan: 7 }, inside));
    const draw = () => {                                             // once it stands in the page and has a width
      const parts = [];
      if (column.histogram) parts.push([histogram, column]);
      if (column.ecdf) parts.push([ecdf, column]);
      if (column.categories) parts.push([categories, column], [cameAndWent, column]);
      const at = DATA.windows ? DATA.windows.columns.indexOf(column.rank) : -1;
      if (at >= 0 && DATA.windows.labels.length > 1) {
        const named = column.metrics.find((metric) => DATA.words[metric[0]] === DATA.metric);
        parts.push([course, { ...DATA.windows, values: DATA.windows.values[at].map(real), status: [...DATA.windows.status[at]].map((code) => STATUSES[code]) }, named ? real(named[8]) : null]);
      }
      const hosts = parts.map(() => el("figure"));
      figures.append(...hosts);
      parts.forEach(([figure, ...arguments_], i) => figure(hosts[i], ...arguments_));
    };
    return { row, draw };
  }

  // ---- the ranked table

  const state = { find: "", statuses: new Set(), kind: "", key: "rank", direction: 1, open: new Set(), list: [], drawn: 0 };
  const ranking = byId("ranking"), largest = Math.max(...COLUMNS.map((column) => (Number.isFinite(column.score) ? Math.abs(column.score) : 0))) || 1;
  const NAMES = new Intl.Collator("en", { numeric: true });
  const KEYS = {                                                     // what each heading sorts by, and its first direction
    rank: [(column) => column.rank, 1], status: [(column) => STATUSES.indexOf(column.status), 1], name: [(column) => column.name, 1],
    score: [(column) => column.score, -1], missing: [(column) => column.missing[1], -1],
  };

  function compare(a, b) {
    const value = KEYS[state.key][0], [x, y] = [value(a), value(b)];
    if (x === null || y === null) return (x === null) - (y === null) || a.rank - b.rank;   // unknown always last
    return state.direction * (typeof x === "string" ? NAMES.compare(x, y) : x - y) || a.rank - b.rank;
  }

  function rowOf(column) {
    const cell = (kind, ...children) => el("td", { class: kind, role: "cell" }, ...children);
    const [before, after] = column.missing, part = Number.isFinite(column.score) ? Math.abs(column.score) / largest : 0;
    const row = el("tr", { class: "row", role: "row", "data-rank": column.rank, "data-status": column.status },
      cell("rank", count(column.rank + 1)), cell("state", badge(column.status)),
      el("th", { class: "name", role: "rowheader", scope: "row" },
        el("button", { type: "button", class: "opener", "aria-expanded": "false" }, name(column.name)),
        el("span", { class: "kind" }, column.role === "feature" || column.role === "" ? column.kind : `${column.kind}, ${column.role}`)),
      cell("spark", sparkline(column)),
      cell("score", el("b", {}, number(column.score)), el("span", { class: `bar status-${column.status}`, "aria-hidden": "true" }, sized(el("i"), "width", `${100 * part}%`))),
      cell("missing", before === 0 && after === 0 ? "none" : change(before, after)),
      cell("reason", el("span", { title: column.reason }, column.reason)));
    return row;
  }

  const found = (rank) => ranking.querySelector(`tr[data-rank="${rank}"]`);
  function expand(column) {
    const row = found(column.rank), { row: below, draw } = detail(column);
    state.open.add(column.rank);
    row.classList.add("open");
    row.querySelector(".opener").setAttribute("aria-expanded", "true");
    row.after(below);
    draw();
  }
  function shut(column, focus) {
    const row = found(column.rank);
    state.open.delete(column.rank);
    row.classList.remove("open");
    row.querySelector(".opener").setAttribute("aria-expanded", "false");
    row.nextElementSibling.remove();
    if (focus) row.querySelector(".opener").focus();
  }
  const toggle = (column) => (state.open.has(column.rank) ? shut(column, false) : expand(column));

  function drawRows(upTo) {
    const next = state.list.slice(state.drawn, upTo);
    ranking.append(...next.map(rowOf));
    state.drawn += next.length;
    next.filter((column) => state.open.has(column.rank)).forEach(expand);
    offerMore(byId("more"), state.list.length - state.drawn, (extra) => drawRows(state.drawn + extra));
  }
  function offerMore(host, left, draw) {
    host.replaceChildren(...(left > 0 ? [button(`Show ${count(Math.min(left, NEXT_ROWS))} more`, () => draw(NEXT_ROWS))] : []),
      ...(left > NEXT_ROWS ? [button(`Show all ${count(left)} others`, () => draw(left))] : []));
  }

  function apply() {
    const wanted = state.find.trim().toLowerCase();
    state.list = COLUMNS.filter((column) => (!state.statuses.size || state.statuses.has(column.status)) && (!state.kind || column.kind === state.kind) && (!wanted || column.find.includes(wanted))).sort(compare);
    state.drawn = 0;
    ranking.replaceChildren();
    drawRows(FIRST_ROWS);
    byId("found").textContent = state.list.length === COLUMNS.length ? "" : `${count(state.list.length)} of ${count(COLUMNS.length)} columns`;
    if (!state.list.length) ranking.append(el("tr", { role: "row" }, el("td", { class: "empty", role: "cell", colspan: 7 }, COLUMNS.length ? "No column fits these filters. " : "No column was compared. ", COLUMNS.length ? button("Show all columns", clear, { class: "quiet" }) : null)));
    for (const head of document.querySelectorAll(".ranking th[data-key]")) {
      if (head.dataset.key === state.key) head.setAttribute("aria-sort", state.direction > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    }
    maps.forEach((map) => map.refresh());
  }

  function clear() {
    state.statuses.clear();
    Object.assign(state, { find: "", kind: "" });
    byId("find").value = byId("kind").value = "";
    for (const chip of byId("statuses").children) chip.setAttribute("aria-pressed", "false");
    apply();
    byId("find").focus();
  }

  /* Goes to a column from anywhere in the page, whatever is filtered. */
  function show(rank) {
    if (!state.list.includes(COLUMNS[rank])) clear();
    const place = state.list.indexOf(COLUMNS[rank]);
    if (place >= state.drawn) drawRows(place + 10);
    if (!state.open.has(rank)) expand(COLUMNS[rank]);
    found(rank).querySelector(".opener").focus({ preventScroll: true });
    found(rank).scrollIntoView({ block: "start" });
  }

  function listen() {
    byId("find").addEventListener("input", (event) => { state.find = event.target.value; apply(); });
    byId("kind").addEventListener("change", (event) => { state.kind = event.target.value; apply(); });
    const kinds = [...new Set(COLUMNS.map((column) => column.kind))].sort();
    byId("kinds").hidden = kinds.length < 2;
    byId("kind").append(...kinds.map((kind) => el("option", { value: kind }, kind)));
    for (const status of STATUSES) {
      const columns = COLUMNS.filter((column) => column.status === status).length;
      if (!columns) continue;
      const chip = button(badge(status), () => {
        state.statuses[state.statuses.has(status) ? "delete" : "add"](status);
        chip.setAttribute("aria-pressed", state.statuses.has(status));
        apply();
      }, { "aria-pressed": "false", class: `status-${status}` });
      chip.append(el("span", { class: "tally" }, count(columns)));
      byId("statuses").append(chip);
    }
    for (const head of document.querySelectorAll(".ranking th[data-key]")) head.firstElementChild.addEventListener("click", () => {
      const { key } = head.dataset;
      Object.assign(state, { key, direction: state.key === key ? -state.direction : KEYS[key][1] });
      apply();
    });
    ranking.addEventListener("click", (event) => {
      const row = event.target.closest("tr.row");
      if (row) toggle(COLUMNS[row.dataset.rank]);
    });
    ranking.addEventListener("keydown", (event) => {
      const row = event.target.closest("tr"), rank = row.dataset.rank ?? row.dataset.detail ?? event.target.closest("tr.detail")?.dataset.detail;
      if (event.key === "Escape" && state.open.has(Number(rank))) shut(COLUMNS[rank], true);
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step && event.target.matches(".opener")) {
        const rows = [...ranking.querySelectorAll(".opener")], to = rows[rows.indexOf(event.target) + step];
        if (to) { event.preventDefault(); to.focus(); }
      }
    });
  }

  // ---- heat maps

  const maps = [], SIDE = 116;                                       // px for the names at least
  const whenNear = (node, draw) => {
    const observer = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) { observer.disconnect(); draw(); } }, { rootMargin: "600px" });
    observer.observe(node);
    return observer;
  };

  /* A grid of coloured cells with one tab stop, arrow keys, a read-out, and Enter to go on.
     rows: [{ title, rank }]; cell(row, j): { paint, words, told } or null for a blank one. */
  function heat(host, label, { rows, labels, cell, dense, square }) {
    const readout = el("p", { class: "readout", "aria-hidden": "true" }, "Point at a cell, or move with the arrow keys; Enter opens its column.");
    const body = el("tbody"), head = el("tr", {}, el("td"), ...labels.map((words) => el("th", { scope: "col" }, name(words))));
    const table = el("table", { class: `heat${dense ? " dense" : ""}${square ? " square" : ""}`, role: "grid", "aria-label": label }, el("colgroup", {}, el("col", { class: "head" })), el("thead", {}, head), body);
    if (square) sized(table, "width", `${SIDE + labels.length * 23}px`);
    else sized(sized(table, "min-width", `${SIDE + labels.length * (dense ? 16 : 72)}px`), "max-width", `${190 + labels.length * 150}px`);
    const more = el("div", { class: "more" });
    host.replaceChildren(readout, el("div", { class: "pan" }, table), more);

    const told = new WeakMap();
    function draw(extra) {
      const start = body.rows.length;
      body.append(...rows.slice(start, start + extra).map((row) => el("tr", {}, el("th", { scope: "row", "data-rank": row.rank }, name(row.title)),
        ...labels.map((_, j) => {
          const drawn = cell(row, j);
          if (!drawn) return el("td", { class: "cell blank" });
          const node = el("td", { class: `cell ${drawn.paint}`, role: "gridcell", tabindex: "-1", "aria-label": drawn.told.join(", ") }, drawn.words);
          told.set(node, drawn.told);
          return node;
        }))));
      if (start === 0) body.querySelector("td[tabindex]")?.setAttribute("tabindex", "0");
      offerMore(more, rows.length - body.rows.length, draw);
    }
    const tell = (event) => {
      const words = told.get(event.target.closest("td"));
      if (words) readout.replaceChildren(el("b", {}, el("bdi", {}, words[0])), ` · ${words.slice(1).join(" · ")}`);
    };
    const open = (event) => {
      const rank = event.target.closest("tr")?.firstElementChild.dataset.rank;
      if (rank !== undefined && event.target.closest("tbody")) show(Number(rank));
    };
    table.addEventListener("pointerover", tell);
    table.addEventListener("focusin", (event) => {
      body.querySelector("td[tabindex='0']")?.setAttribute("tabindex", "-1");
      event.target.setAttribute("tabindex", "0");
      tell(event);
    });
    table.addEventListener("click", open);
    table.addEventListener("keydown", (event) => {
      const cellNow = event.target.closest("td"), row = cellNow.parentNode;
      if (event.key === "Enter") { event.preventDefault(); return open(event); }   // lest it press the button that gets the focus
      const [down, right] = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1], Home: [0, 1 - cellNow.cellIndex], End: [0, labels.length - cellNow.cellIndex] }[event.key] ?? [];
      if (down === undefined) return;
      event.preventDefault();
      let target = body.rows[row.sectionRowIndex + down]?.cells[cellNow.cellIndex + right];
      if (target?.classList.contains("blank")) target = body.rows[target.parentNode.sectionRowIndex + down]?.cells[target.cellIndex + right];
      if (target?.matches("td[tabindex]")) target.focus();
    });
    return { draw };
  }

  /* Swatches from the first paint to the last, each bound written under its seam. */
  const scale = (caption, paints, bounds) => el("div", {}, el("span", {}, caption),
    el("ol", { "aria-label": `Bounds of the colours of ${caption}` }, ...paints.map((paint, i) => el("li", {}, el("i", { class: paint }), i < bounds.length ? el("span", {}, number(bounds[i])) : null))));
  const MARKS = [["l0 mark-alert", "alert"], ["l0 mark-warn", "warning"], ["void", "no data"], ["void mark-error", "error"]];
  const legend = (...scales) => el("div", { class: "legend" }, ...scales);

  /* Columns by windows or segments, in the order and with the filters of the ranked table. */
  function grid(id, what) {
    const host = byId(id).querySelector(".drawn"), data = DATA[id], { labels, columns, values, status, rows: sizes, levels } = data;
    const base = 8 - levels.length - 1, body = el("div");
    const places = new Map(columns.map((column, place) => [column, place]));
    const marks = el("ul", {}, ...MARKS.map(([paint, words]) => el("li", {}, el("i", { class: paint }), words)));
    host.append(body, legend(scale(METRIC, levels.concat(0).map((_, i) => `l${base + i}`), levels), marks));
    let waiting = null;
    const draw = (rows) => {
      const strangers = state.list.length === COLUMNS.length ? columns.filter((column) => typeof column === "string") : [];
      const listed = state.list.filter((column) => places.has(column.rank)).map((column) => ({ title: column.name, rank: column.rank, place: places.get(column.rank) }))
        .concat(strangers.map((title) => ({ title, rank: null, place: places.get(title) })));
      heat(body, `${METRIC} of each column by ${what}`, { rows: listed, labels, dense: SIDE + labels.length * 76 > host.clientWidth, cell: ({ title, place }, j) => {
        const value = real(values[place][j]), now = STATUSES[status[place][j]];
        const level = base + levels.filter((bound) => Math.abs(value) >= bound).length;
        const paint = value === null ? "void" : `l${level}`, words = value === null ? (now === "error" ? "" : "–") : number(value);
        return { paint: `${paint} mark-${now}`, words, told: [title, labels[j], `${METRIC} ${number(value)}`, DATA.statuses[now], `${count(sizes[j])} rows`] };
      } }).draw(rows);
    };
    maps.push({ refresh: () => { waiting?.disconnect(); waiting = whenNear(byId(id), () => draw(FIRST_ROWS)); }, print: () => draw(PRINTED_ROWS) });
  }

  function correlations() {
    const { columns, reference, current, method, pairs, left_out } = DATA.correlations, host = byId("correlations").querySelector(".drawn");
    const title = (column) => (typeof column === "number" ? COLUMNS[column].name : column), rank = (column) => (typeof column === "number" ? column : null);
    const bounds = [0.02, 0.05, 0.1, 0.25], body = el("div"), map = el("div", {}, body);
    const paint = (moved) => `m${4 + Math.sign(moved) * bounds.filter((bound) => Math.abs(moved) >= bound).length}`;
    map.append(legend(scale(`change of ${method} r`, Array.from({ length: 9 }, (_, i) => `m${i}`), bounds.toReversed().map((bound) => -bound).concat(bounds))));
    if (left_out) map.append(el("p", { class: "told" }, `The ${columns.length} columns that moved most; ${count(left_out)} others are left out.`));
    const track = linear([-1, 1], [4, 116]);
    const list = el("ul", { class: "pairs" }, ...pairs.map(([a, b, before, after]) => {
      const side = (column) => (rank(column) === null ? name(title(column)) : button(name(title(column)), () => show(column)));
      return el("li", {}, el("span", { class: "two" }, side(a), " × ", side(b)),
        svg("svg", { viewBox: "0 0 120 16", role: "img", "aria-label": `from ${number(before)} to ${number(after)}` },
          svg("title", {}, `${method} r from ${number(before)} to ${number(after)}`),
          svg("line", { class: "grid", x1: 4, x2: 116, y1: 8, y2: 8 }), svg("line", { class: "grid", x1: 60, x2: 60, y1: 3, y2: 13 }),
          svg("line", { class: "curve current", x1: track(before), x2: track(after), y1: 8, y2: 8 }),
          svg("circle", { class: "hollow", cx: track(before), cy: 8, r: 3.6 }), svg("circle", { class: "full", cx: track(after), cy: 8, r: 3.6 })),
        el("b", {}, signed(after - before)));
    }));
    host.append(el("div", { class: "bonds" }, map, el("div", {}, el("h3", {}, "Moved most"), pairs.length ? list : el("p", {}, "No pair moved."))));
    heat(body, `Change of ${method} correlation`, { rows: columns.map((column, place) => ({ title: title(column), rank: rank(column), place })), labels: columns.map(title), dense: true, square: true,
      cell: ({ title: first, place }, j) => {
        if (place === j) return null;
        const [r, c] = [real(reference[place][j]), real(current[place][j])], known = r !== null && c !== null, moved = c - r;
        return { paint: known ? paint(moved) : "void", words: known ? signed(moved) : "–", told: [`${first} × ${title(columns[j])}`, `r ${number(r)} → ${number(c)}`, known ? `change ${signed(moved)}` : "no data"] };
      } }).draw(columns.length);
  }

  // ---- the page

  const theme = byId("theme"), dark = matchMedia("(prefers-color-scheme: dark)");
  function themed(to) {
    if (to) document.documentElement.dataset.theme = to;
    const now = document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
    theme.textContent = now === "dark" ? "Light" : "Dark";
    theme.setAttribute("aria-label", `Change to ${now === "dark" ? "light" : "dark"} colours`);
    return now;
  }
  theme.hidden = false;
  theme.addEventListener("click", () => themed(themed() === "dark" ? "light" : "dark"));
  dark.addEventListener("change", () => themed());
  themed();

  byId("explorer").hidden = false;
  listen();
  for (const part of ["windows", "segments", "correlations"]) if (DATA[part]) byId(part).hidden = false;
  if (DATA.windows) grid("windows", "window");
  if (DATA.segments) grid("segments", "segment");
  if (DATA.correlations) whenNear(byId("correlations"), correlations);
  apply();
  performance.mark("gpumon-rows");

  const linked = () => {                                             // report.html#dep_delay opens that column
    const column = COLUMNS.find((each) => each.name && `#${encodeURIComponent(each.name)}` === location.hash);
    if (column && !byId(column.name)) show(column.rank);
  };
  addEventListener("hashchange", linked);
  linked();
  let width = innerWidth;                                            // a turned phone, a dragged window: figures fit anew
  addEventListener("resize", () => {
    if (width === innerWidth) return;
    width = innerWidth;
    for (const column of state.list.slice(0, state.drawn).filter((each) => state.open.has(each.rank))) { shut(column, false); expand(column); }
    maps.forEach((map) => map.refresh());
  });
  addEventListener("beforeprint", () => { drawRows(PRINTED_ROWS); maps.forEach((map) => map.print()); });
})();
