// The tables of one scenario: one at a time, sorted within the groups.
function drawTables() {
  const scenario = current();
  const names = scenario.tables.map(([name]) => name);
  const buttons = names.map((name) =>
    h(
      "button",
      {
        type: "button",
        "aria-pressed": String(name === state.table),
        click: () => {
          state.table = name;
          state.sort = null;
          drawTables();
          [...part("tables").querySelectorAll(".choice button")].find((one) => one.textContent === name).focus();
        },
      },
      name,
    ),
  );
  const table = scenario.tables.find(([name]) => name === state.table)[1];
  part("tables").replaceChildren(
    h("div", { class: "choice", role: "group", "aria-label": "Table to show" }, buttons),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": table.title }, tableElement(table)),
    h("ul", { class: "footnotes" }, table.footnotes.map(([mark, text]) => h("li", {}, h("b", {}, mark), ` ${text}`))),
  );
  applyFilters();
}

function tableElement(table) {
  const columns = table.columns.map((index) => {
    const [key, title, unit, term] = data.columns[index];
    return { key, title, unit, term };
  });
  const name = Math.max(0, columns.findIndex((column) => column.unit === "text"));
  const bodies = table.groups.map(([title, lines]) => bodyElement(title, lines, columns, name));
  return h(
    "table",
    { id: "table" },
    h("caption", {}, h("span", {}, h("b", {}, table.title), `. ${table.caption}`)),
    h("thead", {}, h("tr", {}, columns.map((column, index) => headElement(column, index, index === name)))),
    bodies,
  );
}

function headElement(column, index, isName) {
  const sorted = state.sort && state.sort.index === index ? state.sort.direction : "none";
  const first = column.unit === "text" || column.key === "rank" ? "ascending" : "descending";
  const turn = () => {
    const other = first === "ascending" ? "descending" : "ascending";
    state.sort = { index, direction: sorted === first ? other : first };
    drawTables();
    part("table").tHead.rows[0].cells[index].querySelector("button").focus();
  };
  return h(
    "th",
    { scope: "col", class: `${column.unit === "text" ? "left" : "right"}${isName ? " name" : ""}`, "aria-sort": sorted },
    h(
      "span",
      { class: "head" },
      h("button", { type: "button", class: "sort", click: turn }, column.title),
      h("a", { class: "term", href: `#${column.term}`, "aria-label": `definition of ${column.title}` }, "?"),
    ),
  );
}

function bodyElement(title, lines, columns, name) {
  const place = columns.findIndex(({ key }) => key === "rank");
  const rows = sortedLines(ranked(lines, place)).map(([number, cells]) => {
    const row = number === null ? null : current().rows[number];
    const listed = cells.map(cellOf);
    const bare = row !== null && columns.every(({ unit }, index) => unit === "text" || listed[index].value === null);
    const content = bare && columns.some(({ key }) => key === "verdict") ? reasonCells(row, listed, columns, name) : null;
    return h(
      "tr",
      { class: row ? "row" : null, "data-row": number, click: row ? (event) => openRow(event, row) : null },
      content ?? listed.map((cell, index) => (index === name ? nameCell(row, cell) : valueCell(row, cell, columns[index]))),
    );
  });
  const role = Object.keys(data.roles).find((one) => data.roles[one] === title) ?? "method";
  const heading = h("tr", { class: "group" }, h("th", { scope: "rowgroup", colspan: columns.length }, h("span", {}, title)));
  return h("tbody", { class: role }, heading, rows);
}

// Lines in the order of the number that the reader ranks by, with the places that it gives.
function ranked(lines, place) {
  if (place < 0) return lines;
  const placed = lines.map(([number, cells]) => {
    const row = number === null ? null : current().rows[number];
    return { number, cells: cells.with(place, row?.ranks[state.rankBy] ?? null), rank: row?.ranks[state.rankBy] ?? null, share: row?.shares[state.rankBy] ?? null, method: row?.role === "method" };
  });
  if (placed.every(({ method }) => method)) placed.sort((a, b) => compared(a.rank, b.rank, 1) || compared(a.share, b.share, -1));
  const own = placed.filter(({ number }) => number === null || !current().rows[number].under);
  const published = placed.filter((one) => !own.includes(one));
  const together = own.flatMap((one) => [one, ...published.filter(({ number }) => one.number !== null && current().rows[number].under === current().rows[one.number].label)]);
  return [...together, ...published.filter((one) => !together.includes(one))].map(({ number, cells }) => [number, cells]);
}

function sortedLines(lines) {
  if (!state.sort) return lines;
  const { index, direction } = state.sort;
  const sign = direction === "ascending" ? 1 : -1;
  const value = ([, cells]) => cellOf(cells[index]).value;
  return [...lines].sort((a, b) => compared(value(a), value(b), sign));
}

// What is undefined stays last either way.
function compared(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  return sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en"));
}

function openRow(event, row) {
  if (!event.target.closest("a, button") && getSelection().isCollapsed) location.hash = address(current(), row.label);
}

function nameCell(row, cell) {
  const text = breakable(number(cell.value, "text"));
  const link = row ? h("a", { href: address(current(), row.label), "aria-haspopup": "dialog" }, text) : text;
  return h("th", { scope: "row", class: "name" }, link, marks(cell.marks));
}

// Lets a long label break before its parameters.
function breakable(label) {
  const at = label.indexOf("(");
  return at < 0 ? label : [label.slice(0, at), h("wbr"), label.slice(at)];
}

function reasonCells(row, cells, columns, name) {
  const verdict = cells[columns.findIndex(({ key }) => key === "verdict")].value;
  const before = cells.slice(0, name).map(() => h("td", { class: "right" }, UNDEFINED));
  const rest = columns.length - name - 1;
  return [...before, nameCell(row, cells[name]), h("td", { class: "why", colspan: rest }, h("span", {}, verdict))];
}

function valueCell(row, cell, column) {
  if (column.key === "verdict" || column.key === "ordering") return h("td", { class: "text" }, verdictContent(cell.value));
  if (column.unit === "text") {
    const text = number(cell.value, "text");
    return h("td", { class: text.length > 28 ? "text long" : "text" }, text, marks(cell.marks));
  }
  const shown = number(cell.value, column.unit);
  const text = cell.bold ? h("b", {}, shown) : shown;
  const links = row && cell.value !== null && column.key !== "rank";
  const linked = links ? h("a", { class: "number", tabindex: "-1", href: address(current(), row.label, "records") }, text) : text;
  const range = interval(cell.low, cell.high, column.unit);
  return h("td", { class: "right" }, linked, marks(cell.marks), range ? h("small", {}, range) : null);
}

function verdictContent(text) {
  if (text === null) return UNDEFINED;
  return text in data.signs ? `${data.signs[text]} ${text}` : text;
}

function marks(several) {
  return several.map((mark) => (mark === "n.s." ? h("span", { class: "tag" }, mark) : h("sup", {}, mark)));
}
