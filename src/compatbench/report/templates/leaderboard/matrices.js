// Compatibility matrices as heat maps, all on one scale of colours; the numbers in them are text of tables.
const SHADE = d3.interpolateRgb("#e8f1fa", "#123f6d");

function drawMatrices() {
  const scenario = current();
  const matrices = scenario.matrices.filter(([index]) => !refused(scenario.rows[index]));
  const values = matrices.flatMap(([, entries]) => entries).filter((value) => value !== null);
  if (!values.length) {
    part("matrices-body").replaceChildren(h("p", {}, "No row has a matrix to draw."));
    return;
  }
  const [low, high] = d3.extent(values);
  const size = scenario.generations.length;
  const panels = Object.keys(data.roles).flatMap((role) => matrices.filter(([index]) => scenario.rows[index].role === role)).map(([index, entries, below]) =>
    h(
      "li",
      {},
      h("a", { href: address(scenario, scenario.rows[index].label), "aria-haspopup": "dialog" }, breakable(scenario.rows[index].label)),
      matrixElement(scenario.rows[index].label, entries, below, size, (value) => (high > low ? (value - low) / (high - low) : 0.5)),
    ),
  );
  part("matrices-body").replaceChildren(
    h("p", { class: "caption" }, [
      h("a", { href: termLink("compatibility matrix") }, "M(i,j)"),
      ": mAP in points of queries of generation i (line) on the gallery of generation j (column). One scale of colours for all. Red frame: below what the gallery's own generation scores on it, by more than the paired 95% interval.",
    ]),
    h("p", { class: "scale" }, number(low, "points"), h("span", { class: "ramp" }), number(high, "points")),
    h("ul", { class: size > 2 ? "panels many" : "panels" }, panels),
  );
}

function matrixElement(label, entries, below, size, shade) {
  const numbers = d3.range(1, size + 1);
  let place = 0;
  const lines = numbers.map((query) => {
    const cells = numbers.map((gallery) => {
      if (gallery > query) return h("td", { class: "void" });
      const value = entries[place];
      const cell = heatCell(value, shade, below.includes(place));
      place += 1;
      return cell;
    });
    return h("tr", {}, h("th", { scope: "row" }, `${query}`), cells);
  });
  return h(
    "table",
    { "aria-label": `compatibility matrix of ${label}` },
    h("thead", {}, h("tr", {}, h("td", { class: "void" }), numbers.map((gallery) => h("th", { scope: "col" }, `${gallery}`)))),
    h("tbody", {}, lines),
  );
}

function heatCell(value, shade, below) {
  const cell = h("td", { class: below ? "below" : null }, number(value, "points"), below ? h("span", { class: "hidden-label" }, " (below the gallery's own generation)") : null);
  if (value !== null) colour(cell, shade(value));
  return cell;
}

// Black or white text, whichever contrasts more with its own background.
function colour(element, share) {
  const background = d3.rgb(SHADE(share));
  const [r, g, b] = [background.r, background.g, background.b].map((one) => (one / 255 <= 0.04045 ? one / 255 / 12.92 : ((one / 255 + 0.055) / 1.055) ** 2.4));
  element.style.backgroundColor = background.formatHex();
  element.style.color = 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}
