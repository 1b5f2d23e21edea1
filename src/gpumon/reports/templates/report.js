"use strict";
/* Draws the report from the JSON in #data. Text enters the page only as text nodes and plain attributes: nothing here
   parses markup, asks the network or stores anything. */
(() => {
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const STATUSES = Object.keys(DATA.statuses); // gravest first
  const spoken = (metric) => metric.replaceAll("_", " ");
  const METRIC = spoken(DATA.metric);
  const COLUMNS = DATA.columns.map((column, rank) => ({
    ...column,
    rank,
    kind: DATA.words[column.kind],
    role: DATA.words[column.role],
    score: real(column.score),
    find: column.name.toLowerCase(),
  }));
  const FIRST_ROWS = 30;
  const NEXT_ROWS = 100;
  const PRINTED_ROWS = 500;

  // ---- elements

  const byId = (id) => document.getElementById(id);

  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, value);
    node.append(...children.filter((child) => child !== null));
    return node;
  }
  const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

  function sized(node, property, value) {
    node.style.setProperty(property, value);
    return node;
  }
  function button(words, pressed, attributes = {}) {
    const node = el("button", { type: "button", ...attributes }, words);
    node.addEventListener("click", pressed);
    return node;
  }
  const name = (text) => el("bdi", { title: text }, text || "(no name)");
  const icon = (status) =>
    svg("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("use", { href: `#icon-${status}` }));
  const badge = (status) => el("span", { class: `status-${status}` }, icon(status), DATA.statuses[status]);

  // ---- numbers, written as figures.py writes them

  function real(value) {
    return value === null ? null : Number(value); // infinity travels as a word
  }
  const trimmed = (value) => String(Number(value.toPrecision(3)));
  const prefix = (thousands) => (thousands ? ` ${"kMGT"[thousands - 1]}` : "");

  function number(value) {
    if (value === null) return "–";
    const size = Math.abs(value);
    const sign = value < 0 ? "−" : "";
    if (size === Infinity) return sign + "∞";
    if (size === 0) return "0";
    if (size < 1e-3 || size >= 1e15) {
      const [digits, power] = size.toExponential(2).split("e");
      return `${sign}${Number(digits)}e${Number(power)}`;
    }
    if (size < 1e4) return sign + (size >= 1e3 ? Math.round(size) : trimmed(size));
    const rounded = Number(size.toPrecision(3));
    const thousands = Math.min(Math.floor(Math.log10(rounded) / 3), 4);
    return sign + trimmed(rounded / 1000 ** thousands) + prefix(thousands);
  }
  function percent(share) {
    if (share === null) return "–";
    const hundredths = 100 * share;
    if (hundredths > 0 && hundredths < 0.1) return "<0.1 %";
    return `${hundredths.toFixed(hundredths >= 10 || hundredths === 0 ? 0 : 1)} %`;
  }
  const count = (value) => value.toLocaleString("en");
  const signed = (value) => (value > 0 ? "+" : "") + number(value);
  const change = (reference, current) => `${percent(reference)} → ${percent(current)}`;

  function ticks(low, high, about) {
    const rough = (high - low) / about;
    if (!(rough > 0 && Number.isFinite(rough))) return [low];
    const magnitude = 10 ** Math.floor(Math.log10(rough));
    const step = magnitude * [1, 2, 5, 10].find((m) => m * magnitude >= rough * 0.8);
    const first = Math.ceil(low / step - 1e-9);
    const last = Math.floor(high / step + 1e-9);
    return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  }
  function tickWords(values) {
    const top = Math.max(...values.map(Math.abs));
    if (values.length < 2 || top === 0) return values.map(number);
    const power = Math.floor(Math.log10(top));
    const thousands = top < 1e4 ? 0 : Math.min(Math.floor(power / 3), 4);
    const plain = top >= 1e-3 && top < 1e15;
    const [unit, suffix] = plain ? [1000 ** thousands, prefix(thousands)] : [10 ** power, `e${power}`];
    const decimals = Math.max(0, -Math.floor(Math.log10((values[1] - values[0]) / unit) + 1e-9));
    const sign = (value) => (value < 0 ? "−" : "");
    return values.map((value) => (value ? sign(value) + Math.abs(value / unit).toFixed(decimals) + suffix : "0"));
  }

  // ---- figures: each draws into an empty <figure> that stands in the page already

  const linear = ([low, high], [start, end]) => {
    const slope = (end - start) / (high - low || 1);
    return (value) => start + (value - low) * slope;
  };
  const shares = (values) => values.map((value) => value / 1e5);
  const path = (points) => "M" + points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
  const steps = (x, y, edges, values, floor) =>
    `M${x(edges[0]).toFixed(1)} ${floor}` +
    values.map((value, i) => `V${y(value).toFixed(1)}H${x(edges[i + 1]).toFixed(1)}`).join("") +
    `V${floor}`;

  function sparkline({ histogram, categories }) {
    if (!histogram && !categories) return el("span", { class: "kind" }, "nothing to draw");
    const reference = histogram ? histogram.reference : categories.map((row) => row[1]);
    const current = histogram ? histogram.current : categories.map((row) => row[2]);
    const edges = [...reference.keys(), reference.length];
    const x = linear([0, reference.length], [1, 119]);
    const y = linear([0, Math.max(...reference, ...current) || 1], [31, 2]);
    return svg("svg", { width: 120, height: 32, viewBox: "0 0 120 32", "aria-hidden": "true" },
      svg("path", { class: "filled", d: steps(x, y, edges, current, 31) }),
      svg("path", { class: "outline", d: steps(x, y, edges, reference, 31) }));
  }

  /* A chart with axes and nothing in it yet, as wide as its place: x and y turn data into pixels.
     `inset` keeps room for tails at both ends. */
  function chart(host, { caption, xs, ys, inset = 0, xTicks = null, xWords = tickWords, yWords = null }) {
    const width = Math.max(280, host.clientWidth);
    const height = width > 700 ? 150 : 210;
    const [left, right, floor] = [46, width - 8, height - 24];
    const x = linear(xs, [left + inset, right - inset]);
    const y = linear(ys, [floor, 8]);
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });

    const up = ticks(...ys, 4);
    const upWords = yWords ? yWords(up) : up.map(percent);
    up.forEach((value, i) => picture.append(
      svg("line", { class: "grid", x1: left, x2: right, y1: y(value), y2: y(value) }),
      svg("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, upWords[i])));
    const along = xTicks ?? ticks(...xs, width > 420 ? 6 : 4);
    const alongWords = xWords(along);
    const clear = inset && inset + 16; // where the tails' own words stand
    along.forEach((value, i) => {
      if (x(value) < left + clear || x(value) > right - clear) return;
      picture.append(svg("text", { x: x(value), y: height - 6, "text-anchor": "middle" }, alongWords[i]));
    });
    picture.append(svg("line", { class: "axis", x1: left, x2: right, y1: floor, y2: floor }));

    const told = el("span", { class: "told", "aria-hidden": "true" });
    host.append(el("figcaption", {}, caption, told), picture);
    return { picture, told, x, y, left, right, floor };
  }

  /* Tells what is nearest to the pointer: `places` in pixels, `words(i)` for the i-th of them. */
  function probe({ picture, floor, told }, places, words) {
    const atRest = told.textContent;
    const guide = svg("line", { class: "guide", y1: 8, y2: floor, visibility: "hidden" });
    picture.append(guide);
    picture.addEventListener("pointermove", (event) => {
      const box = picture.getBoundingClientRect();
      const pointer = ((event.clientX - box.left) / box.width) * picture.viewBox.baseVal.width;
      const distances = places.map((place) => Math.abs(place - pointer));
      const nearest = distances.indexOf(Math.min(...distances));
      fill(guide, { x1: places[nearest], x2: places[nearest], visibility: "visible" }, []);
      told.textContent = words(nearest);
    });
    picture.addEventListener("pointerleave", () => {
      guide.setAttribute("visibility", "hidden");
      told.textContent = atRest;
    });
  }

  function histogram(host, { histogram: { edges, reference, current, below, above }, density }) {
    const [r, c] = [shares(reference), shares(current)];
    const [low, high] = [edges[0], edges.at(-1)];
    const tails = Math.max(...below, ...above) > 0;
    const top = Math.max(...r, ...c, ...below, ...above) || 1;
    const plot = chart(host, { caption: "Histogram", xs: [low, high], ys: [0, top], inset: tails ? 30 : 0 });
    const { picture, told, x, y, left, right, floor } = plot;
    picture.append(
      svg("path", { class: "filled", d: steps(x, y, edges, c, floor) }),
      svg("path", { class: "outline", d: steps(x, y, edges, r, floor) }));
    if (density) for (const side of ["current", "reference"]) {
      const points = shares(density[side]).map((value, i) => [x(density.x[i]), Math.max(y(value), y(top))]);
      picture.append(svg("path", { class: `curve smooth ${side}`, d: path(points) }));
    }

    const places = r.map((_, i) => x((edges[i] + edges[i + 1]) / 2));
    const words = r.map((_, i) => `${number(edges[i])} to ${number(edges[i + 1])}: ${change(r[i], c[i])}`);
    const bar = (paint, start, share) =>
      svg("rect", { class: paint, x: start, width: 16, y: y(share), height: floor - y(share) });
    const tail = (side, start, edge, [before, after]) => {
      picture.append(bar("filled", start, after), bar("outline", start, before),
        svg("text", { x: start + 8, y: floor + 18, "text-anchor": "middle" }, side));
      places.push(start + 8);
      words.push(`${side} ${number(edge)}: ${change(before, after)}`);
    };
    if (tails) {
      tail("below", left + 3, low, below);
      tail("above", right - 19, high, above);
    }
    told.textContent = "share of rows in each bin";
    picture.setAttribute("aria-label", `Histogram from ${number(low)} to ${number(high)}; ` +
      `below: ${change(...below)}, above: ${change(...above)}`);
    probe(plot, places, (i) => words[i]);
  }

  function ecdf(host, { ecdf: { x: at, reference, current } }) {
    const [r, c] = [shares(reference), shares(current)];
    const plot = chart(host, { caption: "Cumulative distribution", xs: [at[0], at.at(-1)], ys: [0, 1] });
    const points = (values) => values.map((value, i) => [plot.x(at[i]), plot.y(value)]);
    const gaps = r.map((value, i) => Math.abs(value - c[i]));
    const widest = gaps.indexOf(Math.max(...gaps));
    const [[x, y1], [, y2]] = [points(r)[widest], points(c)[widest]];
    plot.picture.append(
      svg("path", { class: "between", d: path(points(r).concat(points(c).reverse())) + "Z" }),
      svg("path", { class: "curve reference", d: path(points(r)) }),
      svg("path", { class: "curve current", d: path(points(c)) }),
      svg("line", { class: "gap", x1: x, x2: x, y1, y2 }));
    plot.told.textContent = `${number(gaps[widest])} apart at ${number(at[widest])}`;
    plot.picture.setAttribute("aria-label", `Cumulative distributions, at most ${plot.told.textContent}`);
    probe(plot, at.map(plot.x), (i) => `≤ ${number(at[i])}: ${change(r[i], c[i])}`);
  }

  function categories(host, { categories: rows, other, missing }) {
    const rest = [["all others", ...other], ["missing", ...missing]].filter(([, before, after]) => before || after);
    const widest = Math.max(...rows.flatMap((row) => [row[1], row[2]])) || 1; // all others may run out at the right
    const bar = (side, share) => {
      const paint = share > widest ? `${side} cut` : share ? side : "";
      return sized(el("i", { class: paint }), "width", `clamp(2px, ${(100 * share) / widest}%, 100%)`);
    };
    const fates = [null, ["tag", "new"], ["tag gone", "gone"]];
    const row = ([category, before, after, fate], kind) => el("tr", { class: kind },
      el("th", { scope: "row" }, name(category)),
      el("td", { "aria-hidden": "true" }, bar("reference", before), bar("current", after)),
      el("td", {}, change(before, after), fate ? el("span", { class: fates[fate][0] }, fates[fate][1]) : null));
    const head = el("tr", {},
      el("th", { scope: "col" }, "Category"), el("td"), el("th", { scope: "col" }, "Reference → current"));
    host.append(
      el("figcaption", {}, "Categories", el("span", { class: "told" }, "share of rows")),
      el("table", { class: "bars" }, el("thead", { class: "said" }, head),
        el("tbody", {}, ...rows.map((each) => row(each, null)), ...rest.map((each) => row(each, "rest")))));
  }

  function cameAndWent(host, { new: fresh, vanished, unnamed }) {
    const said = (lead, names, left) => (names.length ? el("p", {}, el("b", {}, lead),
      el("bdi", {}, names.join(", ") + (left ? `, and ${count(left)} more` : ""))) : null);
    const called = (text) => text || "(no name)";
    const told = el("div", { class: "words" },
      said("New in the current data: ", fresh.map(([each, rows]) => `${called(each)} (${count(rows)})`), unnamed[0]),
      said("Gone from it: ", vanished.map(called), unnamed[1]));
    if (!told.children.length) told.append("None.");
    host.append(el("figcaption", {}, "New and vanished categories"), told);
  }

  /* The score of one column in each window, with its threshold where one is known. */
  function course(host, { metric, labels, values, status, rows, threshold }) {
    const finite = values.filter(Number.isFinite);
    const bottom = Math.min(0, ...finite);
    const top = Math.max(0, ...finite);
    const limit = threshold !== null && threshold < 20 * top ? threshold : null;
    const every = Math.ceil(labels.length / 5);
    const plot = chart(host, {
      caption: `${metric} by window`,
      xs: [-0.5, labels.length - 0.5],
      ys: [bottom, Math.max(top, limit ?? 0) * 1.05 || 1],
      xTicks: [...labels.keys()].filter((i) => i % every === 0),
      xWords: (places) => places.map((i) => (labels[i].length > 11 ? labels[i].slice(0, 10) + "…" : labels[i])),
      yWords: tickWords,
    });
    const { picture, told, x, y, left, right } = plot;
    const width = Math.max(2, Math.min(34, (x(1) - x(0)) * 0.7));
    values.forEach((value, i) => {
      const end = y(Math.min(Math.max(value ?? 0, bottom), top));
      const box = { x: x(i) - width / 2, width, y: Math.min(end, y(0)), height: Math.abs(end - y(0)), rx: 1.5 };
      picture.append(svg("rect", { class: `pole status-${status[i]}`, ...box }));
    });
    if (limit !== null) {
      picture.append(svg("line", { class: "limit", x1: left, x2: right, y1: y(limit), y2: y(limit) }));
      told.textContent = `threshold ${number(limit)}`;
    }
    picture.setAttribute("aria-label", `${metric} in ${labels.length} windows from ${labels[0]} to ${labels.at(-1)}`);
    probe(plot, labels.map((_, i) => x(i)), (i) =>
      `${labels[i]}: ${number(values[i])}, ${DATA.statuses[status[i]]}, ${count(rows[i])} rows`);
  }

  // ---- a column's detail

  function between(lower, upper) {
    if (lower === null && upper === null) return "";
    if (lower === upper) return "exact";
    if (number(lower) === number(upper)) return `± ${number((upper - lower) / 2)}`;
    return `${number(lower)} … ${number(upper)}`;
  }

  function metricsTable(column) {
    const figure = (value, words) =>
      el("td", { class: "figure", title: value === null ? null : String(value).replace("-", "−") }, words);
    const optional = (value) => figure(value, value === null ? "" : number(value));
    const rows = column.metrics.map((each) => {
      const [metric, value, lower, upper, unit, reference, p, q, threshold, status, method] = each;
      const measure = value === null || /^(1|column.*|)$/.test(DATA.words[unit]) ? "" : ` ${DATA.words[unit]}`;
      return el("tr", {},
        el("th", { scope: "row" }, DATA.words[metric].replaceAll("_", " ")),
        figure(real(value), number(real(value)) + measure),
        el("td", { class: "figure" }, between(real(lower), real(upper))),
        ...[reference, threshold, p, q].map((each) => optional(real(each))),
        el("td", {}, badge(DATA.words[status])),
        el("td", { class: "method" }, DATA.words[method]));
    });
    const heads = ["Metric", "Value", "Bounds", "Reference", "Threshold", "p", "q", "Status", "Method"];
    const head = heads.map((words, i) => el("th", { scope: "col", class: i > 0 && i < 7 ? "figure" : null }, words));
    return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `All metrics of ${column.name}` },
      el("table", { class: "metrics" }, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)));
  }

  function ownCourse(column) {
    const { windows } = DATA;
    const place = windows ? windows.columns.indexOf(column.rank) : -1;
    if (place < 0 || windows.labels.length < 2) return null;
    const [{ metric, values, status, limits }] = windows.maps;
    return {
      ...windows,
      metric: spoken(metric),
      values: values[place].map(real),
      status: [...status[place]].map((code) => STATUSES[code]),
      threshold: real(limits[place]),
    };
  }

  /* The row that opens below a column's row; `draw` needs it to stand in the page, to know how wide it is. */
  function detail(column) {
    const parts = [
      [histogram, column.histogram && column],
      [ecdf, column.ecdf && column],
      [categories, column.categories && column],
      [cameAndWent, column.categories && column],
      [course, ownCourse(column)],
    ].filter(([, data]) => data);
    const hosts = parts.map(() => el("figure"));
    const lead = el("p", {}, el("bdi", {}, column.reason),
      el("span", { class: "whole" }, el("bdi", {}, column.name), `, missing ${change(...column.missing)}`));
    const close = button("Close", () => shut(column, true), { class: "quiet", title: "Escape" });
    const row = el("tr", { class: "detail", role: "row", "data-detail": column.rank },
      el("td", { role: "cell", colspan: 7 }, el("section", { "aria-label": `Detail of ${column.name}` },
        el("header", {}, lead, close), el("div", { class: "figures" }, ...hosts), metricsTable(column))));
    return { row, draw: () => parts.forEach(([figure, data], i) => figure(hosts[i], data)) };
  }

  // ---- the ranked table

  const ranking = byId("ranking");
  const state = {
    find: "", statuses: new Set(), kind: "", // what is asked for
    key: "rank", direction: 1, // in which order
    list: [], drawn: 0, open: new Set(), // the columns that fit, how many of them have a row, the ranks with a detail
  };
  const largest = Math.max(0, ...COLUMNS.map((column) => Math.abs(column.score)).filter(Number.isFinite)) || 1;
  const NAMES = new Intl.Collator("en", { numeric: true });
  const KEYS = { // what each heading sorts by, and its first direction
    rank: [(column) => column.rank, 1],
    status: [(column) => STATUSES.indexOf(column.status), 1],
    name: [(column) => column.name, 1],
    score: [(column) => column.score, -1],
    missing: [(column) => column.missing[1], -1],
  };

  function compare(a, b) {
    const [x, y] = [a, b].map(KEYS[state.key][0]);
    if (x === null || y === null) return (x === null) - (y === null) || a.rank - b.rank; // not known: last either way
    return state.direction * (typeof x === "string" ? NAMES.compare(x, y) : x - y) || a.rank - b.rank;
  }

  function rowOf(column) {
    const cell = (kind, ...children) => el("td", { class: kind, role: "cell" }, ...children);
    const part = Number.isFinite(column.score) ? Math.abs(column.score) / largest : 0;
    const bar = el("span", { class: `bar status-${column.status}`, "aria-hidden": "true" },
      sized(el("i"), "width", `${100 * part}%`));
    const kind = ["feature", ""].includes(column.role) ? column.kind : `${column.kind}, ${column.role}`;
    return el("tr", { class: "row", role: "row", "data-rank": column.rank, "data-status": column.status },
      cell("rank", count(column.rank + 1)),
      cell("state", badge(column.status)),
      el("th", { class: "name", role: "rowheader", scope: "row" },
        el("button", { type: "button", class: "opener", "aria-expanded": "false" }, name(column.name)),
        el("span", { class: "kind" }, kind)),
      cell("spark", sparkline(column)),
      cell("score", el("b", {}, number(column.score)), bar),
      cell("missing", column.missing.every((share) => share === 0) ? "none" : change(...column.missing)),
      cell("reason", el("span", { title: column.reason }, column.reason)));
  }

  const found = (column) => ranking.querySelector(`tr[data-rank="${column.rank}"]`);
  function mark(row, open) {
    row.classList.toggle("open", open);
    row.querySelector(".opener").setAttribute("aria-expanded", open);
  }
  function expand(column) {
    const row = found(column);
    const below = detail(column);
    state.open.add(column.rank);
    mark(row, true);
    row.after(below.row);
    below.draw();
  }
  function shut(column, focus) {
    const row = found(column);
    state.open.delete(column.rank);
    mark(row, false);
    row.nextElementSibling.remove();
    if (focus) row.querySelector(".opener").focus();
  }

  /* Buttons for the rows that are not drawn yet. */
  function offerMore(host, left, draw) {
    host.replaceChildren();
    if (left > 0) host.append(button(`Show ${count(Math.min(left, NEXT_ROWS))} more`, () => draw(NEXT_ROWS)));
    if (left > NEXT_ROWS) host.append(button(`Show all ${count(left)} others`, () => draw(left)));
  }
  function drawRows(extra) {
    const next = state.list.slice(state.drawn, state.drawn + extra);
    state.drawn += next.length;
    ranking.append(...next.map(rowOf));
    next.filter((column) => state.open.has(column.rank)).forEach(expand);
    offerMore(byId("more"), state.list.length - state.drawn, drawRows);
  }

  function fits(column) {
    return (!state.statuses.size || state.statuses.has(column.status)) &&
      (!state.kind || column.kind === state.kind) &&
      column.find.includes(state.find.trim().toLowerCase());
  }
  function apply() {
    state.list = COLUMNS.filter(fits).sort(compare);
    state.drawn = 0;
    ranking.replaceChildren();
    drawRows(FIRST_ROWS);
    const all = state.list.length === COLUMNS.length;
    byId("found").textContent = all ? "" : `${count(state.list.length)} of ${count(COLUMNS.length)} columns`;
    if (!state.list.length) ranking.append(emptyRow());
    for (const head of document.querySelectorAll(".ranking th[data-key]")) {
      if (head.dataset.key !== state.key) head.removeAttribute("aria-sort");
      else head.setAttribute("aria-sort", state.direction > 0 ? "ascending" : "descending");
    }
    maps.forEach((map) => map.refresh());
  }
  function emptyRow() {
    const words = COLUMNS.length
      ? ["No column fits these filters. ", button("Show all columns", clear, { class: "quiet" })]
      : ["No column was compared."];
    return el("tr", { role: "row" }, el("td", { class: "empty", role: "cell", colspan: 7 }, ...words));
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
    const column = COLUMNS[rank];
    if (!state.list.includes(column)) clear();
    const place = state.list.indexOf(column);
    if (place >= state.drawn) drawRows(place - state.drawn + 10);
    if (!state.open.has(rank)) expand(column);
    found(column).querySelector(".opener").focus({ preventScroll: true });
    found(column).scrollIntoView({ block: "start" });
  }

  function chip(status, columns) {
    const node = button(badge(status), () => {
      if (!state.statuses.delete(status)) state.statuses.add(status);
      node.setAttribute("aria-pressed", state.statuses.has(status));
      apply();
    }, { "aria-pressed": "false", class: `status-${status}` });
    node.append(el("span", { class: "tally" }, count(columns)));
    return node;
  }

  function listen() {
    byId("find").addEventListener("input", (event) => {
      state.find = event.target.value;
      apply();
    });
    byId("kind").addEventListener("change", (event) => {
      state.kind = event.target.value;
      apply();
    });
    const kinds = [...new Set(COLUMNS.map((column) => column.kind))].sort();
    byId("kinds").hidden = kinds.length < 2;
    byId("kind").append(...kinds.map((kind) => el("option", { value: kind }, kind)));
    for (const status of STATUSES) {
      const columns = COLUMNS.filter((column) => column.status === status).length;
      if (columns) byId("statuses").append(chip(status, columns));
    }
    for (const head of document.querySelectorAll(".ranking th[data-key]")) {
      const { key } = head.dataset;
      head.firstElementChild.addEventListener("click", () => {
        Object.assign(state, { key, direction: state.key === key ? -state.direction : KEYS[key][1] });
        apply();
      });
    }
    ranking.addEventListener("click", (event) => {
      const row = event.target.closest("tr.row");
      if (row) (row.classList.contains("open") ? shut : expand)(COLUMNS[row.dataset.rank]);
    });
    ranking.addEventListener("keydown", (event) => {
      const { rank, detail } = event.target.closest("[data-rank], [data-detail]")?.dataset ?? {};
      if (event.key === "Escape" && state.open.has(Number(rank ?? detail))) shut(COLUMNS[rank ?? detail], true);
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step || !event.target.matches(".opener")) return;
      const openers = [...ranking.querySelectorAll(".opener")];
      event.preventDefault();
      openers[openers.indexOf(event.target) + step]?.focus();
    });
  }

  // ---- heat maps

  const maps = [];
  const NAMES_WIDTH = 116; // px, at least

  function whenNear(node, draw) {
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      draw();
    }, { rootMargin: "600px" });
    observer.observe(node);
    return observer;
  }

  /* A table of coloured cells that is one tab stop: arrow keys move, a line above tells, Enter opens the column.
     rows: [{ title, rank }]; cell(row, j): { paint, words, told }, or null for a blank one. */
  function heat(host, label, { rows, labels, cell, dense, square = false }) {
    const readout = el("p", { class: "readout", "aria-hidden": "true" },
      "Point at a cell, or move with the arrow keys; Enter opens its column.");
    const body = el("tbody");
    const heads = labels.map((words) => el("th", { scope: "col" }, name(words)));
    const table = el("table", { class: `heat${dense ? " dense" : ""}`, role: "grid", "aria-label": label },
      el("colgroup", {}, el("col", { class: "head" })), el("thead", {}, el("tr", {}, el("td"), ...heads)), body);
    if (square) sized(table, "width", `${NAMES_WIDTH + labels.length * 23}px`);
    else {
      sized(table, "min-width", `${NAMES_WIDTH + labels.length * (dense ? 16 : 72)}px`);
      sized(table, "max-width", `${190 + labels.length * 150}px`);
    }
    const more = el("div", { class: "more" });
    host.replaceChildren(readout, el("div", { class: "pan" }, table), more);

    const told = new WeakMap();
    function cellOf(row, j) {
      const drawn = cell(row, j);
      if (!drawn) return el("td", { class: "cell blank" });
      const aria = { role: "gridcell", tabindex: "-1", "aria-label": drawn.told.join(", ") };
      const node = el("td", { class: `cell ${drawn.paint}`, ...aria }, drawn.words);
      told.set(node, drawn.told);
      return node;
    }
    function draw(extra) {
      const start = body.rows.length;
      for (const row of rows.slice(start, start + extra)) {
        const head = el("th", { scope: "row", "data-go": row.rank }, name(row.title));
        body.append(el("tr", {}, head, ...labels.map((_, j) => cellOf(row, j))));
      }
      if (start === 0) body.querySelector("td[tabindex]")?.setAttribute("tabindex", "0");
      offerMore(more, rows.length - body.rows.length, draw);
    }

    const tell = (event) => {
      const words = told.get(event.target.closest("td"));
      if (words) readout.replaceChildren(el("b", {}, el("bdi", {}, words[0])), ` · ${words.slice(1).join(" · ")}`);
    };
    const open = (event) => {
      const rank = event.target.closest("tbody tr")?.cells[0].dataset.go;
      if (rank !== undefined) show(Number(rank));
    };
    table.addEventListener("pointerover", tell);
    table.addEventListener("click", open);
    table.addEventListener("focusin", (event) => {
      body.querySelector("td[tabindex='0']")?.setAttribute("tabindex", "-1");
      event.target.setAttribute("tabindex", "0");
      tell(event);
    });
    table.addEventListener("keydown", (event) => {
      const { cellIndex, parentNode: { sectionRowIndex } } = event.target;
      const move = {
        ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1],
        Home: [0, 1 - cellIndex], End: [0, labels.length - cellIndex],
      }[event.key];
      if (!move && event.key !== "Enter") return;
      event.preventDefault(); // Enter would press the button that gets the focus, arrows would scroll
      if (!move) return open(event);
      const cellAt = (times) => body.rows[sectionRowIndex + times * move[0]]?.cells[cellIndex + times * move[1]];
      const target = cellAt(1)?.classList.contains("blank") ? cellAt(2) : cellAt(1);
      if (target?.matches("[tabindex]")) target.focus();
    });
    return draw;
  }

  /* Swatches from the first paint to the last, each bound written under its seam. */
  function scale(caption, paints, bounds) {
    const swatch = (paint, i) =>
      el("li", {}, el("i", { class: paint }), i < bounds.length ? el("span", {}, number(bounds[i])) : null);
    return el("div", {}, el("span", {}, caption),
      el("ol", { "aria-label": `Bounds of the colours of ${caption}` }, ...paints.map(swatch)));
  }
  const legend = (...parts) => el("div", { class: "legend" }, ...parts);
  const MARKS = { alert: "l0 mark-alert", warning: "l0 mark-warn", "no data": "void", error: "void mark-error" };

  /* Columns by windows or segments, in the order and with the filters of the ranked table, of a metric to be chosen. */
  function grid(id, what) {
    const { labels, columns, rows: sizes, maps: metrics } = DATA[id];
    const host = byId(id).querySelector(".drawn");
    const body = el("div");
    const colours = el("div");
    const marks = Object.entries(MARKS).map(([words, paint]) => el("li", {}, el("i", { class: paint }), words));
    const choice = el("select", {}, ...metrics.map(({ metric }, i) => el("option", { value: i }, spoken(metric))));
    const chosen = el("p", { class: "choice" }, el("label", {}, "Show ", choice));
    chosen.hidden = metrics.length < 2;
    host.append(chosen, body, colours);

    let metric, values, status, levels, pale;
    function choose() {
      ({ metric, values, status, levels } = metrics[Number(choice.value || 0)]);
      metric = spoken(metric);
      pale = 7 - levels.length; // the strongest paint is l7 however few levels there are
      const paints = [...levels, 0].map((_, i) => `l${pale + i}`);
      colours.replaceChildren(legend(scale(metric, paints, levels), el("ul", {}, ...marks)));
    }
    choose();

    const places = new Map(columns.map((column, place) => [column, place]));
    const unranked = columns.filter((column) => typeof column === "string");
    const strangers = unranked.map((title) => ({ title, rank: null, key: title }));
    function listed() {
      const known = state.list.filter((column) => places.has(column.rank));
      const rows = known.map((column) => ({ title: column.name, rank: column.rank, key: column.rank }));
      return state.list.length === COLUMNS.length ? rows.concat(strangers) : rows;
    }
    function cell({ title, key }, j) {
      const value = real(values[places.get(key)][j]);
      const now = STATUSES[status[places.get(key)][j]];
      const level = pale + levels.filter((bound) => Math.abs(value) >= bound).length;
      return {
        paint: `${value === null ? "void" : `l${level}`} mark-${now}`,
        words: now === "error" && value === null ? "" : number(value),
        told: [title, labels[j], `${metric} ${number(value)}`, DATA.statuses[now], `${count(sizes[j])} rows`],
      };
    }
    const draw = (rows) => {
      const dense = NAMES_WIDTH + labels.length * 76 > host.clientWidth;
      heat(body, `${metric} of each column by ${what}`, { rows: listed(), labels, cell, dense })(rows);
    };
    let waiting = null;
    const refresh = () => {
      waiting?.disconnect();
      waiting = whenNear(byId(id), () => draw(FIRST_ROWS));
    };
    choice.addEventListener("change", () => {
      choose();
      draw(Math.max(FIRST_ROWS, body.querySelectorAll("tbody tr").length));
    });
    maps.push({ refresh, print: () => draw(PRINTED_ROWS) });
  }

  function correlations() {
    const { columns, reference, current, method, pairs, left_out: leftOut } = DATA.correlations;
    const rank = (column) => (typeof column === "number" ? column : null);
    const title = (column) => (rank(column) === null ? column : COLUMNS[column].name);
    const bounds = [0.02, 0.05, 0.1, 0.25];
    const paint = (moved) => `m${4 + Math.sign(moved) * bounds.filter((bound) => Math.abs(moved) >= bound).length}`;

    function cell({ title: first, place }, j) {
      if (place === j) return null;
      const [before, after] = [real(reference[place][j]), real(current[place][j])];
      const moved = before === null || after === null ? null : after - before;
      return {
        paint: moved === null ? "void" : paint(moved),
        words: moved === null ? "–" : signed(moved),
        told: [`${first} × ${title(columns[j])}`, `r ${number(before)} → ${number(after)}`,
          moved === null ? "no data" : `change ${signed(moved)}`],
      };
    }
    const track = linear([-1, 1], [4, 116]);
    function pair([a, b, before, after]) {
      const side = (column) =>
        rank(column) === null ? name(column) : button(name(title(column)), () => show(column));
      const told = `${method} r from ${number(before)} to ${number(after)}`;
      return el("li", {}, el("span", { class: "two" }, side(a), " × ", side(b)),
        svg("svg", { viewBox: "0 0 120 16", role: "img", "aria-label": told },
          svg("title", {}, told),
          svg("line", { class: "grid", x1: 4, x2: 116, y1: 8, y2: 8 }),
          svg("line", { class: "grid", x1: 60, x2: 60, y1: 3, y2: 13 }),
          svg("line", { class: "curve current", x1: track(before), x2: track(after), y1: 8, y2: 8 }),
          svg("circle", { cx: track(before), cy: 8, r: 3.6 }),
          svg("circle", { class: "full", cx: track(after), cy: 8, r: 3.6 })),
        el("b", {}, signed(after - before)));
    }

    const body = el("div");
    const seams = [...bounds.map((bound) => -bound).reverse(), ...bounds];
    const colours = legend(scale(`change of ${method} r`, [...seams, 0].map((_, i) => `m${i}`), seams));
    const note = leftOut ? `The ${columns.length} columns that moved most; ${count(leftOut)} others are left out.` : "";
    const moved = pairs.length ? el("ul", { class: "pairs" }, ...pairs.map(pair)) : el("p", {}, "No pair moved.");
    byId("correlations").querySelector(".drawn").append(el("div", { class: "bonds" },
      el("div", {}, body, colours, el("p", { class: "told" }, note)),
      el("div", {}, el("h3", {}, "Moved most"), moved)));
    const rows = columns.map((column, place) => ({ title: title(column), rank: rank(column), place }));
    const looks = { dense: true, square: true };
    heat(body, `Change of ${method} correlation`, { rows, labels: columns.map(title), cell, ...looks })(rows.length);
  }

  // ---- the page

  function theme() {
    const node = byId("theme");
    const wanted = matchMedia("(prefers-color-scheme: dark)");
    const now = () => document.documentElement.dataset.theme ?? (wanted.matches ? "dark" : "light");
    const other = () => (now() === "dark" ? "light" : "dark");
    const label = () => {
      node.textContent = other() === "dark" ? "Dark" : "Light";
      node.setAttribute("aria-label", `Change to ${other()} colours`);
    };
    node.addEventListener("click", () => {
      document.documentElement.dataset.theme = other();
      label();
    });
    wanted.addEventListener("change", label);
    label();
    node.hidden = false;
  }

  /* report.html#dep_delay opens that column. */
  function followAddress() {
    const column = COLUMNS.find((each) => each.name && `#${encodeURIComponent(each.name)}` === location.hash);
    if (column && !byId(column.name)) show(column.rank);
  }

  /* A turned phone, a dragged window: what was drawn to fit is drawn anew. */
  function refitWith(width) {
    addEventListener("resize", () => {
      if (width === innerWidth) return;
      width = innerWidth;
      const drawn = state.list.slice(0, state.drawn);
      drawn.filter((column) => state.open.has(column.rank)).forEach((column) => {
        shut(column, false);
        expand(column);
      });
      maps.forEach((map) => map.refresh());
    });
  }

  theme();
  byId("explorer").hidden = false;
  for (const part of ["windows", "segments", "correlations"]) if (DATA[part]) byId(part).hidden = false;
  listen();
  if (DATA.windows) grid("windows", "window");
  if (DATA.segments) grid("segments", "segment");
  if (DATA.correlations) whenNear(byId("correlations"), correlations);
  apply();
  performance.mark("gpumon-rows");
  followAddress();
  addEventListener("hashchange", followAddress);
  refitWith(innerWidth);
  addEventListener("beforeprint", () => {
    drawRows(PRINTED_ROWS);
    maps.forEach((map) => map.print());
  });
})();
