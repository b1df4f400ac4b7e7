// Which rows are shown, by words and by what a method needs, and which number ranks them.
const RANKINGS = { A: "on average while a backfill runs", Γ: "with no backfill", Φ: "after the backfill" };

function startFilters(changed, ranked) {
  const boxes = data.filters.map(([name], number) =>
    h(
      "label",
      {},
      h("input", {
        type: "checkbox",
        name: "without",
        value: name,
        change: (event) => {
          if (event.target.checked) state.without.add(number);
          else state.without.delete(number);
          changed();
        },
      }),
      h("span", {}, name),
      h("a", { class: "term", href: termLink(name), "aria-label": `definition of ${name}` }, "?"),
    ),
  );
  const search = h("input", {
    type: "search",
    id: "words",
    placeholder: "e.g. bct",
    autocomplete: "off",
    input: (event) => {
      state.words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      changed();
    },
  });
  const ranking = h(
    "select",
    { id: "rank-by", change: (event) => { state.rankBy = event.target.value; ranked(); } },
    data["rank by"].map(([name, sentence]) => h("option", { value: name, title: sentence }, `${name}: ${RANKINGS[name]}`)),
  );
  part("filters").replaceChildren(
    h("label", { class: "field" }, h("span", {}, "Rank by"), ranking),
    h("label", { class: "field" }, h("span", {}, "Find rows"), search),
    h("fieldset", {}, h("legend", {}, "Only methods with:"), boxes),
    h("output", { id: "count", "aria-live": "polite" }),
  );
  for (const form of ["filters", "picker"]) part(form).addEventListener("submit", (event) => event.preventDefault());
}

// Hides what the reader does not want to see, in the table and in the plots alike.
function applyFilters() {
  let shown = 0;
  let all = 0;
  for (const body of part("tables").querySelectorAll("tbody")) {
    let visible = 0;
    for (const line of body.querySelectorAll("tr:not(.group)")) {
      const text = line.textContent.toLowerCase();
      const row = line.dataset.row === undefined ? null : current().rows[line.dataset.row];
      line.hidden = !state.words.every((word) => text.includes(word)) || (row !== null && refused(row));
      visible += line.hidden ? 0 : 1;
      all += 1;
    }
    body.querySelector("tr.group").hidden = visible === 0;
    shown += visible;
  }
  part("count").textContent = shown < all ? `${shown} of ${plural(all, "row")} shown` : plural(all, "row");
}
