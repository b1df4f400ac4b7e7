// Tables: headings that sort and explain, rows that open, columns to choose, and the table as text to take away.
function drawListing(found, place, { open, note = "" }) {
  const { table, groups } = found;
  const shown = groups.reduce((sum, { lines }) => sum + lines.length, 0);
  const all = groups.reduce((sum, group) => sum + group.all, 0);
  part(place).replaceChildren(
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": table.title }, tableElement(found, open, place)),
    groups.some(({ lines }) => lines.some(({ row }) => row)) ? "" : h("p", { class: "none" }, "No row matches what you chose above."),
    table.footnotes.length ? h("ul", { class: "footnotes" }, table.footnotes.map(([mark, text]) => h("li", {}, h("b", {}, mark), ` ${text}`))) : "",
    h("div", { class: "tools" }, columnChooser(found), exportButtons(found), h("span", { class: "caption" }, shown < all ? `${shown} of ${plural(all, "row")} shown` : plural(all, "row"), note)),
  );
}

function tableElement(found, open, place) {
  const { name, table, columns, label, shown, groups } = found;
  return h(
    "table",
    { id: place === "tables" ? "table" : `${name}-table` },
    h("caption", {}, h("details", {}, h("summary", {}, table.title), table.caption)),
    h("thead", {}, h("tr", {}, shown.map((index) => headElement(found, index, index === label, place)))),
    groups.filter(({ lines }) => lines.length).map(({ title, lines }) => {
      const role = Object.keys(data.roles).find((one) => data.roles[one] === title) ?? "method";
      const heading = h("tr", { class: "group" }, h("th", { scope: "rowgroup", colspan: shown.length }, h("span", {}, title)));
      return h("tbody", { class: role }, heading, lines.map((line) => lineElement(line, columns, label, shown, open)));
    }),
  );
}

function headElement({ name, columns, label }, index, isName, place) {
  const column = columns[index];
  const sort = state.sorts[name];
  const direction = sort && sort.key === column.key ? sort.direction : "none";
  const first = column.unit === "text" || ["rank", "mean_rank", "time"].includes(column.key) ? "ascending" : "descending";
  const turn = () => {
    state.sorts[name] = { key: column.key, direction: direction === first ? (first === "ascending" ? "descending" : "ascending") : first };
    redraw();
    part(place).querySelector(`th[data-key="${CSS.escape(column.key)}"] button`).focus();
  };
  return h(
    "th",
    { scope: "col", class: `${column.unit === "text" ? "left" : "right"}${isName ? " name" : ""}`, "data-key": column.key, "aria-sort": direction },
    h("span", { class: "head" }, h("button", { type: "button", class: "sort", click: turn }, column.title.replaceAll("_", "_\u200b")), termButton(column.title, column.term)),
  );
}

function lineElement(line, columns, label, shown, open) {
  const { row, cells } = line;
  // a row that did not run has a time all the same where the suite was timed
  const bare = row !== null && columns.every(({ key, unit }, index) => unit === "text" || key === "time" || cells[index].value === null);
  const verdict = columns.findIndex(({ key }) => key === "verdict");
  const to = row ? open(row) : null;
  const click = to ? (event) => {
    if (!event.target.closest("a, button") && getSelection().isCollapsed) location.hash = to;
  } : null;
  const content = bare && verdict >= 0
    ? [...shown.filter((index) => index < label).map(() => h("td", { class: "right" }, UNDEFINED)), nameCell(to, cells[label]), h("td", { class: "why", colspan: shown.filter((index) => index > label).length }, h("span", {}, cells[verdict].value))]
    : shown.map((index) => (index === label ? nameCell(to, cells[index]) : valueCell(to, cells[index], columns[index])));
  return h("tr", { class: row ? "row" : "fixed", click }, content);
}

function nameCell(to, cell) {
  const text = breakable(number(cell.value, "text"));
  return h("th", { scope: "row", class: "name" }, to ? h("a", { href: to, "aria-haspopup": "dialog" }, text) : text, marks(cell.marks));
}

// Lets a long label break before its parameters.
function breakable(label) {
  const at = label.indexOf("(");
  return at < 0 ? label : [label.slice(0, at), h("wbr"), label.slice(at)];
}

function valueCell(to, cell, column) {
  if (column.key === "verdict" || column.key === "ordering") return h("td", { class: "text verdict" }, verdictContent(cell.value));
  if (column.unit === "text") {
    const text = number(cell.value, "text");
    return h("td", { class: text.length > 28 ? "text long" : "text" }, text, marks(cell.marks));
  }
  const shown = number(cell.value, column.unit);
  const text = cell.bold ? h("b", {}, shown) : shown;
  const linked = to && cell.value !== null && column.key !== "rank" ? h("a", { class: "number", tabindex: "-1", href: to.replace(/(\?|$)/, "/records$1") }, text) : text;
  const range = interval(cell.low, cell.high, column.unit);
  const kind = cell.marks.includes("↑") ? " up" : cell.marks.includes("↓") ? " down" : "";
  return h("td", { class: `right${kind}` }, linked, marks(cell.marks), range ? h("small", {}, range) : null);
}

function verdictContent(text) {
  if (text === null) return UNDEFINED;
  return text in data.signs ? `${data.signs[text]} ${text}` : text;
}

function marks(several) {
  return several.map((mark) => (mark === "n.s." ? h("span", { class: "tag" }, mark) : "↑↓".includes(mark) ? ` ${mark}` : h("sup", {}, mark)));
}

function columnChooser({ name, table, columns, label, shown }) {
  const boxes = columns.map(({ key, title }, index) => {
    if (index === label) return null;
    const change = (event) => {
      const kept = columns.filter((_, other) => (other === index ? event.target.checked : shown.includes(other))).map((one) => one.key);
      state.columns[name] = kept;
      redraw();
      const again = document.querySelector(`details.columns[data-of="${CSS.escape(name)}"]`);
      again.open = true;
      again.querySelector(`input[value="${CSS.escape(key)}"]`).focus();
    };
    return h("label", {}, h("input", { type: "checkbox", value: key, checked: shown.includes(index), change }), title);
  });
  return h("details", { class: "columns", "data-of": name }, h("summary", {}, "Columns"), h("div", {}, boxes));
}
