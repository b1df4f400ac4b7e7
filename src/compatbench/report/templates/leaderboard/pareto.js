// Γ against tax with both intervals; what lies far outside is named below, not drawn.
const LOWEST_GAIN = -1;
const LOWEST_TAX = -30;

function drawPareto() {
  const rows = current().rows.filter((row) => row.league && row.point && !refused(row));
  const points = rows.map((row) => ({ row, gain: row.point[0], tax: row.point[1] }));
  const shown = points.filter(({ gain, tax }) => gain[0] >= LOWEST_GAIN && tax[0] >= LOWEST_TAX);
  const outside = points.filter((point) => !shown.includes(point));
  if (!shown.length) {
    part("pareto-body").replaceChildren(h("p", {}, "No method with a defined Γ to draw."));
    return;
  }
  const best = data.leagues.flatMap(([league]) => front(shown.filter(({ row }) => row.league === league)));
  const unnamed = h("span");
  const chart = h("div");
  const caption = [
    "Up and to the right is better. Bars: 95% intervals. ",
    h("a", { href: termLink("Pareto front") }, "Dashed line"),
    ": the methods that no other one of their league beats in both. Hollow: fewer seeds than a rank needs. ",
    outside.length ? `Outside the frame: ${outside.map(({ row, gain, tax }) => `${row.label} (Γ ${number(gain[0], "times").slice(1)}, tax ${number(Number(tax[0].toFixed(1)), "points")})`).join(", ")}. ` : "",
    unnamed,
  ];
  const leagues = data.leagues.map(([league, title], slot) => [shown.some(({ row }) => row.league === league), title, slot]).filter(([there]) => there);
  const key = h("ul", { class: "legend" }, leagues.map(([, title, slot]) => h("li", {}, h("i", { class: `s${slot}` }), title)));
  part("pareto-body").replaceChildren(h("figure", { class: "chart" }, chart, key, h("figcaption", {}, caption)));
  responsive(chart, (width) => paretoSvg(shown, best, width, unnamed));
}

function front(points) {
  const beats = (a, b) => a.tax[0] >= b.tax[0] && a.gain[0] >= b.gain[0] && (a.tax[0] > b.tax[0] || a.gain[0] > b.gain[0]);
  return points.filter((point) => !points.some((other) => beats(other, point))).sort((a, b) => a.tax[0] - b.tax[0]);
}

function paretoSvg(points, best, width, unnamed) {
  const height = Math.round(Math.max(340, Math.min(560, width * 0.55)));
  const x = d3.scaleLinear().domain(extent(points.map(({ tax }) => tax[0]), 0.1));
  const y = d3.scaleLinear().domain(extent(points.map(({ gain }) => gain[0]), 0.1));
  const label = `Update gain against tax of ${points.length} methods. On the Pareto front: ${best.map(({ row }) => row.label).join(", ")}.`;
  const svg = frame({ width, height, x, y, label, xTitle: "tax: M(n,n) − M(*,*), mAP points", yTitle: "update gain Γ" });
  const [x0, x1] = x.range();
  const [y1, y0] = y.range();
  const inX = (value) => Math.max(x0, Math.min(x1, x(value)));
  const inY = (value) => Math.max(y0, Math.min(y1, y(value)));
  if (y.domain()[0] < 0 && y.domain()[1] > 0) svg.append(s("line", { class: "zero", x1: x0, x2: x1, y1: y(0), y2: y(0) }));
  if (x.domain()[0] < 0 && x.domain()[1] > 0) svg.append(s("line", { class: "zero", x1: x(0), x2: x(0), y1: y0, y2: y1 }));
  const slot = (row) => data.leagues.findIndex(([league]) => league === row.league);
  data.leagues.forEach(([league], place) => {
    const own = best.filter(({ row }) => row.league === league);
    if (own.length) svg.append(s("g", { class: `s${place}` }, s("path", { class: "staircase", d: d3.line(({ tax }) => x(tax[0]), ({ gain }) => y(gain[0]))(own) })));
  });
  for (const { row, gain, tax } of points) {
    const kind = `dot s${slot(row)}`;
    const [cx, cy] = [x(tax[0]), y(gain[0])];
    const text = `${row.label}: Γ ${number(Number(gain[0].toFixed(2)), "share")} ${interval(...gain.slice(1).map((value) => value && Number(value.toFixed(2))), "share")}, tax ${number(Number(tax[0].toFixed(1)), "points")} ${interval(...tax.slice(1).map((value) => value && Number(value.toFixed(1))), "points")}`;
    svg.append(
      s(
        "g",
        { class: kind, click: () => { location.hash = address(current(), row.label); } }, // a mouse's short way; the table has the links
        s("title", {}, text),
        tax[1] === null ? null : s("line", { class: "bar", x1: inX(tax[1]), x2: inX(tax[2]), y1: cy, y2: cy }),
        gain[1] === null ? null : s("line", { class: "bar", x1: cx, x2: cx, y1: inY(gain[1]), y2: inY(gain[2]) }),
        s("circle", { cx, cy, r: 4, "stroke-width": 1.5, "fill-opacity": row.ranked ? 1 : 0 }),
      ),
    );
  }
  const ordered = [...best, ...points.filter((point) => !best.includes(point))];
  const wanted = ordered.map(({ row, gain, tax }) => ({ x: x(tax[0]), y: y(gain[0]), text: row.label }));
  const named = placeLabels(wanted, { x0: x0 + 2, x1: x1 + 10, y0, y1 });
  for (const { x: px, y: py, dx, dy, anchor, text } of named) {
    if (Math.abs(dy) > 11) svg.append(s("line", { class: "leader", x1: px, y1: py, x2: px + dx, y2: py + dy }));
    svg.append(s("text", { class: "label", x: px + dx, y: py + dy, dy: "0.34em", "text-anchor": anchor }, text));
  }
  const missing = wanted.filter(({ text }) => !named.some((one) => one.text === text)).map(({ text }) => text);
  unnamed.replaceChildren(missing.length ? `Not named for want of room: ${missing.join(", ")}.` : "");
  return svg;
}
