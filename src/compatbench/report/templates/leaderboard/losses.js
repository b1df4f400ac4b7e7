// Loss curves of one row: a chart for each generation that it trained, a colour for each term, a line for each seed.
function lossCharts(row) {
  const generations = [...new Set(row.losses.flatMap((one) => Object.keys(one)))].sort();
  return generations.map((generation) => {
    const terms = [...new Set(row.losses.flatMap((one) => Object.keys(one[generation] ?? {})))];
    const curves = terms.flatMap((term, slot) =>
      row.losses.map((one) => one[generation]?.[term]).filter(Boolean).map((values) => ({ term, slot, values })),
    );
    const key = terms.map((term, slot) => h("li", {}, h("i", { class: `s${slot % 8}` }), term));
    return h("figure", { class: "chart" }, h("figcaption", {}, `Generation ${Number(generation) + 1}`), lossSvg(generation, curves, terms), h("ul", { class: "legend" }, key));
  });
}

// Epochs from left to right, from 0 to the highest loss; what is not finite breaks the line.
function lossSvg(generation, curves, terms) {
  const [width, height, left, bottom] = [320, 150, 34, 18];
  const longest = Math.max(2, ...curves.map(({ values }) => values.length));
  const finite = curves.flatMap(({ values }) => values).filter((value) => value !== null);
  const [low, high] = [Math.min(0, ...finite), Math.max(0, ...finite)];
  const x = (epoch) => left + ((width - left - 4) * epoch) / (longest - 1);
  const y = (value) => height - bottom - ((height - bottom - 10) * (value - low)) / (high - low || 1);
  const text = (at, up, words, anchor) => s("text", { x: at, y: up, "text-anchor": anchor }, words);
  const axis = s("g", { class: "axis" }, s("line", { x1: left, x2: width - 4, y1: y(0), y2: y(0) }), text(left - 4, y(high) + 4, String(Number(high.toPrecision(3))), "end"), text(left - 4, y(0) + 4, "0", "end"), text(left, height - 4, "epoch 1", "start"), text(width - 4, height - 4, String(longest), "end"));
  const lines = curves.map(({ values, slot, term }) => {
    const steps = values.map((value, epoch) => (value === null ? "" : `${(values[epoch - 1] ?? null) === null ? "M" : "L"}${x(epoch)} ${y(value)}`));
    return s("g", { class: `s${slot % 8}` }, s("title", {}, term), s("path", { class: "line", d: steps.join("") }));
  });
  return s("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Losses of generation ${Number(generation) + 1} by epoch: ${terms.join(", ")}` }, axis, lines);
}
