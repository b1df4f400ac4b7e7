// M(β) in the course of the backfill: chosen rows in colour, the others as a grey background.
const MOST_CURVES = 8;
const FIRST_CURVES = 5;

function drawBackfill() {
  const scenario = current();
  const orders = scenario.backfill;
  if (!orders.length) {
    part("backfill-body").replaceChildren(h("p", {}, "The records of this scenario hold no backfill curves."));
    return;
  }
  const order = orders[Math.min(state.order, orders.length - 1)];
  const rows = order.curves.map(([index]) => scenario.rows[index]).filter((row) => !refused(row));
  if (state.curves === null) state.curves = firstCurves(rows);
  const slots = state.curves;
  const choices = orders.map(({ title }, index) =>
    h("button", { type: "button", "aria-pressed": String(index === state.order), click: () => again(() => { state.order = index; }, title) }, title),
  );
  const chips = rows.map((row) => {
    const slot = slots.indexOf(row.label);
    const toggle = () => again(() => toggleCurve(row.label), row.label);
    return h("button", { type: "button", class: slot < 0 ? null : `on s${slot}`, "aria-pressed": String(slot >= 0), click: toggle }, row.label);
  });
  const chart = h("div");
  part("backfill-body").replaceChildren(
    h("div", { class: "choice", role: "group", "aria-label": "Order in which items are re-embedded" }, choices),
    h("figure", { class: "chart" }, chart, h("figcaption", {}, [
      h("a", { href: termLink("M(β)") }, "M(β)"),
      `: mean over seeds and repeats; bands: from the lowest to the highest backfill. Dashed: status quo M(o,o), in its own colour where a row has its own. Choose up to ${MOST_CURVES} rows; the others are grey.`,
    ])),
    h("div", { class: "chips", role: "group", "aria-label": "Curves to show" }, chips),
  );
  responsive(chart, (width) => backfillSvg(order, rows, slots, width));
}

function again(change, focused) {
  change();
  drawBackfill();
  [...part("backfill-body").querySelectorAll("button")].find((one) => one.textContent === focused)?.focus();
}

// The slots of colours: the first of each league, then the next best, and the one without any compatibility.
function firstCurves(rows) {
  const methods = rows.filter((row) => row.league);
  const leaders = methods.filter((row) => methods.find((one) => one.league === row.league) === row);
  const chosen = [...leaders, ...methods.filter((row) => !leaders.includes(row))].slice(0, FIRST_CURVES);
  const independent = rows.filter((row) => row.name === "independent");
  return [...chosen, ...independent].map((row) => row.label);
}

function toggleCurve(label) {
  const slot = state.curves.indexOf(label);
  if (slot >= 0) state.curves[slot] = null;
  else if (state.curves.includes(null)) state.curves[state.curves.indexOf(null)] = label;
  else if (state.curves.length < MOST_CURVES) state.curves.push(label);
  else state.curves[0] = label;
}

function backfillSvg(order, rows, slots, width) {
  const scenario = current();
  const curves = order.curves
    .map(([index, quo, mean, low, high]) => ({
      row: scenario.rows[index],
      quo: quo / 100,
      points: order.betas.map((beta, step) => ({ beta, mean: mean[step] / 100, low: (mean[step] - low[step]) / 100, high: (mean[step] + high[step]) / 100 })),
    }))
    .filter(({ row }) => rows.includes(row));
  const height = Math.round(Math.max(300, Math.min(460, width * 0.45)));
  const x = d3.scaleLinear();
  const chosen = curves.filter(({ row }) => slots.includes(row.label));
  const framed = (chosen.length ? chosen : curves).flatMap(({ points, quo }) => [quo, ...points.flatMap(({ low, high }) => [low, high])]);
  const y = d3.scaleLinear().domain(extent(framed, 0.06));
  const label = `Backfill curves of ${chosen.map(({ row }) => row.label).join(", ")}; their numbers are in the table Backfill.`;
  const svg = frame({ width, height, x, y, label, xTitle: "β: share of the gallery that holds new vectors", yTitle: "M(β), mAP points" });
  const clip = `clip-${state.order}`;
  const [bottom, top] = y.range();
  const [left, right] = x.range();
  svg.append(s("clipPath", { id: clip }, s("rect", { x: left, y: top, width: right - left, height: bottom - top })));
  const inside = s("g", { "clip-path": `url(#${clip})` });
  const line = d3.line(({ beta }) => x(beta), ({ mean }) => y(mean));
  const band = d3.area(({ beta }) => x(beta), ({ low }) => y(low), ({ high }) => y(high));
  const shared = d3.median(curves.filter(({ row }) => !row.needs.includes("own first generation")), ({ quo }) => quo);
  for (const { points, row } of curves) {
    if (!slots.includes(row.label)) inside.append(s("path", { class: "ghost", d: line(points) }, s("title", {}, row.label)));
  }
  if (shared !== undefined) inside.append(s("line", { class: "quo", x1: left, x2: right, y1: y(shared), y2: y(shared) }, s("title", {}, `status quo ${number(Number(shared.toFixed(1)), "points")}`)));
  for (const { points, row, quo } of chosen) {
    const group = s("g", { class: `s${slots.indexOf(row.label)}` }, s("title", {}, row.label), s("path", { class: "band", d: band(points) }), s("path", { class: "curve", d: line(points) }));
    if (row.needs.includes("own first generation")) group.append(s("line", { class: "curve", "stroke-dasharray": "6 4", x1: left, x2: right, y1: y(quo), y2: y(quo), opacity: 0.6 }));
    inside.append(group);
  }
  svg.append(inside);
  return svg;
}
