// The lines of a table that are shown, with ranks and bold among them alone.
function listing(name, table, rows, ranking) {
  const columns = table.columns.map((index) => {
    const [key, title, unit, term] = data.columns[index];
    return { key, title, unit, term };
  });
  const chosen = state.columns[name] ?? columns.map(({ key }) => key).filter((key) => !table.hidden.includes(key));
  const label = Math.max(0, columns.findIndex(({ unit }) => unit === "text"));
  const shown = columns.map((_, index) => index).filter((index) => index === label || chosen.includes(columns[index].key));
  const groups = table.groups.map(([title, raw]) => {
    const lines = raw.map(([number, cells]) => ({ row: number === null ? null : rows[number], cells: cells.map(cellOf) }));
    const kept = lines.filter((line) => wanted(line, columns));
    return { title, all: lines.length, lines: sorted(name, ranking ? ranked(kept, columns, ranking) : kept, columns) };
  });
  return { name, table, columns, label, shown, groups };
}

// The status quo and the full backfill, which are no row of a method, always stay.
function wanted({ row, cells }, columns) {
  if (!row) return true;
  const text = [...cells.filter((_, index) => columns[index].unit === "text").map(({ value }) => value), row.label, row.role, row.league, ...row.needs].join(" ").toLowerCase();
  return state.words.every((word) => text.includes(word)) && !refused(row);
}

// `ranking` gives the two numbers of a row that decide, whether it is ranked, and whether another is ahead of it.
function ranked(lines, columns, { numbers, competes, ahead, bold }) {
  const place = columns.findIndex(({ key }) => key === "rank");
  const rivals = lines.filter(({ row }) => row && competes(row));
  const value = ({ row }) => (row ? numbers(row)[0] : null);
  for (const line of rivals) {
    const [first, second] = numbers(line.row);
    const above = rivals.filter(({ row }) => numbers(row)[0] > first || (numbers(row)[0] === first && numbers(row)[1] > second)).length;
    const equal = rivals.filter(({ row }) => numbers(row)[0] === first && numbers(row)[1] === second).length;
    line.rank = above + (1 + equal) / 2;
  }
  const best = rivals.find(({ rank }) => rank === Math.min(...rivals.map((one) => one.rank)));
  const all = lines.map((line) => {
    const cells = line.cells.map((cell, index) => {
      if (index === place) return { ...cell, value: line.rank ?? null };
      if (bold !== columns[index].key) return cell;
      const tied = line.rank !== undefined && rivals.length > 1 && (line === best || !ahead(line.row, best.row));
      return { ...cell, bold: tied, marks: cell.marks.filter((mark) => mark !== "n.s.").concat(tied && line !== best ? ["n.s."] : []) };
    });
    return { ...line, cells };
  });
  if (all.every(({ row }) => row?.league)) all.sort((a, b) => compared(a.rank ?? null, b.rank ?? null, 1) || compared(value(a), value(b), -1));
  const own = all.filter(({ row }) => !row || !row.under);
  const published = all.filter((one) => !own.includes(one));
  const together = own.flatMap((one) => [one, ...published.filter(({ row }) => one.row && row.under === one.row.label)]);
  return [...together, ...published.filter((one) => !together.includes(one))];
}

function sorted(name, lines, columns) {
  const sort = state.sorts[name];
  const index = sort ? columns.findIndex(({ key }) => key === sort.key) : -1;
  if (index < 0) return lines;
  const sign = sort.direction === "ascending" ? 1 : -1;
  const fixed = lines.filter(({ row }) => !row);
  return [...fixed, ...lines.filter(({ row }) => row).sort((a, b) => compared(a.cells[index].value, b.cells[index].value, sign))];
}

// What is undefined stays last either way.
function compared(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  return sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en"));
}

function overviewListing() {
  const by = state.rankBy;
  const { overview, rows } = suite();
  const ranking = {
    numbers: (row) => [row.means[by]?.[0] ?? null, 0],
    competes: (row) => row.ahead[by] !== null,
    ahead: (row, other) => row.ahead[by].some((number) => rows[number] === other),
    bold: "mean",
  };
  const found = listing("overview", overview, rows, ranking);
  const mean = found.columns.findIndex(({ key }) => key === "mean");
  found.columns[mean].title = `mean ${by}`;
  for (const { lines } of found.groups) for (const line of lines) if (line.row) {
    const [value, low, high] = line.row.means[by] ?? [null, null, null];
    line.cells[mean] = { ...line.cells[mean], value, low, high };
  }
  return found;
}

function scenarioListing() {
  const scenario = current();
  const [by, second] = data["rank by"].find(([name]) => name === state.rankBy);
  const table = scenario.tables.find(([name]) => name === state.table)[1];
  const ranks = state.table === scenario.tables[0][0];
  const ranking = { numbers: (row) => [row.shares[by], row.shares[second]], competes: ({ ranked: one }) => one, ahead: () => true, bold: null };
  const found = listing(state.table, table, scenario.rows, ranks ? ranking : null);
  if (ranks) for (const group of found.groups) boldOfShown(group, found.columns);
  return found;
}

// Where the best of a column is hidden, nobody compared the others with the best that is left.
function boldOfShown({ all, lines }, columns) {
  if (all === lines.length) return;
  columns.forEach((_, index) => {
    if (lines.some(({ cells }) => cells[index].bold && !cells[index].marks.includes("n.s."))) return;
    for (const line of lines) line.cells[index] = { ...line.cells[index], bold: false, marks: line.cells[index].marks.filter((mark) => mark !== "n.s.") };
  });
}
