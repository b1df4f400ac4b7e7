// Loss curves of one row: a chart for each generation that it trained, a colour for each term, a line for each seed.
function lossCharts(row) {
  const generations = [...new Set(row.losses.flatMap((one) => Object.keys(one)))].sort();
  return generations.map((generation) => {
    const terms = [...new Set(row.losses.flatMap((one) => Object.keys(one[generation] ?? {})))];
    const curves = terms.flatMap((term, slot) =>
      row.losses.map((one) => one[generation]?.[term]).filter(Boolean).map((values) => ({ term, slot, values })),
    );
    const chart = h("div");
    responsive(chart, (width) => lossSvg(generation, curves, terms, width));
    const key = terms.map((term, slot) => h("li", {}, h("i", { class: `s${slot % 8}` }), term));
    return h("figure", { class: "chart" }, h("figcaption", {}, `Generation ${Number(generation) + 1}`), chart, h("ul", { class: "legend" }, key));
  });
}

function lossSvg(generation, curves, terms, width) {
  const longest = d3.max(curves, ({ values }) => values.length) ?? 1;
  const finite = curves.flatMap(({ values }) => values).filter((value) => value !== null);
  const x = d3.scaleLinear().domain([1, Math.max(2, longest)]);
  const y = d3.scaleLinear().domain(extent([0, ...finite], 0.05));
  const label = `Losses of generation ${Number(generation) + 1} by epoch: ${terms.join(", ")}`;
  const svg = frame({ width, height: 190, x, y, label, xTitle: "epoch", yTitle: "mean loss", ticks: Math.min(8, longest - 1), whole: true });
  const line = d3.line((value, epoch) => x(epoch + 1), (value) => y(value)).defined((value) => value !== null);
  for (const { values, slot, term } of curves) {
    svg.append(s("g", { class: `s${slot % 8}` }, s("title", {}, term), s("path", { class: "curve", d: line(values), "stroke-width": 1.4 })));
  }
  return svg;
}
