// Which rows are shown, by words and by what a method needs, and which number ranks them; for all tables and plots.
const RANKINGS = { A: "while a backfill runs", Γ: "without any backfill", Φ: "after the backfill" };

function drawFilters() {
  const boxes = data.filters.map(([name, needs], number) =>
    h("label", { title: `Hides rows that need ${needs.join(", ")}` }, h("input", { type: "checkbox", checked: state.without.has(number), change: (event) => {
      if (event.target.checked) state.without.add(number);
      else state.without.delete(number);
      redraw();
    } }), name),
  );
  const search = h("input", { type: "search", id: "words", placeholder: "e.g. bct", autocomplete: "off", value: state.words.join(" "), input: (event) => {
    state.words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    redraw();
  } });
  const ranking = h("select", { id: "rank-by", change: (event) => {
    state.rankBy = event.target.value;
    state.sorts = {};
    redraw();
  } }, data["rank by"].map(([name, , sentence]) => h("option", { value: name, title: sentence, selected: name === state.rankBy }, `${name}: ${RANKINGS[name]}`)));
  part("filters").replaceChildren(
    h("label", { class: "field" }, h("span", {}, "Find rows"), search),
    h("label", { class: "field" }, h("span", {}, "Rank by"), ranking),
    h("fieldset", {}, h("legend", {}, "Only with:"), boxes),
  );
}
