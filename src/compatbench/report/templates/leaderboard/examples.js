// What one query finds: in the old system, with new queries on old vectors, and after the full backfill.
const SYSTEMS = ["Old system, first 5", "New queries on old vectors, first 5", "New system, first 5"];

function exampleSheets(sheets) {
  const called = (generation) => (current().generations.length > 2 ? generation : Number(generation) ? "n" : "o");
  return sheets.map(([queries, gallery, query, ...lines], number) =>
    h(
      "div",
      { class: "sheet", role: "group", "aria-label": `Example ${number + 1}` },
      h("div", { class: "line" }, h("b", {}, "Query"), h("ul", {}, picture(query, null))),
      lines.map(([items, right], place) =>
        h(
          "div",
          { class: "line" },
          h("span", {}, SYSTEMS[place], h("small", { class: "caption" }, ` M(${called(place === 0 ? gallery : queries)},${called(place === 2 ? queries : gallery)})`)),
          h("ol", {}, items.map((item, rank) => picture(item, right[rank] === 1))),
        ),
      ),
    ),
  );
}

function picture(item, right) {
  const [label, sample, source] = item === null ? ["no picture", null, null] : data.pictures[item];
  const verdict = right === null ? "" : right ? "relevant" : "not relevant";
  const image = source ? h("img", { src: source, alt: `${label}, sample ${sample}`, loading: "lazy" }) : h("span", { class: "no-picture" });
  return h(
    "li",
    { class: right === null ? null : right ? "right" : "wrong" },
    image,
    right === null ? null : h("b", {}, h("span", { "aria-hidden": "true" }, right ? "✓ " : "✗ "), h("span", { class: "hidden-label" }, `${verdict}: `)),
    label,
  );
}
