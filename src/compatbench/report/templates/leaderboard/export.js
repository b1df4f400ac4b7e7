// A table as it is shown, to take away: CSV, LaTeX, the papers of its rows as BibTeX, and the address of this view.
function exportButtons(found) {
  const said = h("output", { class: "caption", "aria-live": "polite" });
  const copy = (text, what) => navigator.clipboard.writeText(text).then(() => { said.textContent = `${what} copied`; }, () => { said.textContent = "the browser did not allow copying"; });
  const download = () => {
    const link = h("a", { href: URL.createObjectURL(new Blob([asCsv(found)], { type: "text/csv" })), download: `${current().suite}-${found.table.title.replace(/[^A-Za-z0-9]+/g, "-").toLowerCase()}.csv` });
    link.click();
    URL.revokeObjectURL(link.href);
    said.textContent = "CSV saved";
  };
  return h("div", { class: "exports", role: "group", "aria-label": "Take the table away" },
    h("button", { type: "button", click: download }, "CSV"),
    h("button", { type: "button", click: () => copy(asLatex(found), "LaTeX") }, "LaTeX"),
    h("button", { type: "button", click: () => copy(asBibtex(found), "BibTeX") }, "BibTeX"),
    h("button", { type: "button", click: () => { remember(); copy(location.href, "link"); } }, "Copy link"),
    said);
}

function linesOf({ groups }) {
  return groups.flatMap(({ title, lines }) => lines.map((line) => ({ ...line, title })));
}

function asCsv(found) {
  const heads = found.shown.flatMap((index) => [found.columns[index].key, ...(wide(found, index) ? [`${found.columns[index].key}_low`, `${found.columns[index].key}_high`] : [])]);
  const lines = linesOf(found).map(({ title, cells }) => [title, ...found.shown.flatMap((index) => [cells[index].value, ...(wide(found, index) ? [cells[index].low, cells[index].high] : [])])]);
  const quoted = (value) => {
    if (typeof value !== "string") return value ?? "";
    const safe = /^[=+\-@]/.test(value) ? `'${value}` : value; // spreadsheets would run it
    return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return `${[["group", ...heads], ...lines].map((line) => line.map(quoted).join(",")).join("\n")}\n`;
}

function wide(found, index) {
  return linesOf(found).some(({ cells }) => cells[index].low !== null);
}

const LATEX = { "\\": "\\textbackslash{}", "−": "$-$", "–": "--", "×": "$\\times$", Γ: "$\\Gamma$", Φ: "$\\Phi$", "↑": "$\\uparrow$", "↓": "$\\downarrow$", "→": "$\\to$", "*": "$*$", "†": "$\\dagger$", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}" };

function latex(text) {
  return [...text].map((sign) => LATEX[sign] ?? ("&%$#_{}".includes(sign) ? `\\${sign}` : sign)).join("");
}

function asLatex(found) {
  const { columns, shown } = found;
  const cell = (one, column) => {
    const text = latex(number(one.value, column.unit));
    const range = interval(one.low, one.high, column.unit);
    return [one.bold ? `\\textbf{${text}}` : text, range ? `{\\scriptsize ${latex(range)}}` : "", ...one.marks.filter((mark) => mark !== "n.s.").map(latex)].filter(Boolean).join(" ");
  };
  const body = found.groups.filter(({ lines }) => lines.length).map(({ title, lines }) =>
    `\\midrule\n\\multicolumn{${shown.length}}{l}{\\textit{${latex(title)}}} \\\\\n${lines.map(({ cells }) => shown.map((index) => cell(cells[index], columns[index])).join(" & ")).join(" \\\\\n")} \\\\`).join("\n");
  const heads = shown.map((index) => latex(columns[index].title)).join(" & ");
  return `% needs booktabs\n\\begin{tabular}{${shown.map((index) => (columns[index].unit === "text" ? "l" : "r")).join("")}}\n\\toprule\n${heads} \\\\\n${body}\n\\bottomrule\n\\end{tabular}\n`;
}

function asBibtex(found) {
  const labels = new Set(linesOf(found).filter(({ row }) => row).map(({ row }) => row.label));
  const rows = data.scenarios.filter((one) => one.suite === current().suite).flatMap(({ rows: all }) => all).filter(({ label }) => labels.has(label));
  const papers = new Map(rows.flatMap(({ papers: several, summary, name }) => several.map(([id, link]) => [id, { link, summary, name }])));
  const entries = [...papers].map(([id, { link, summary, name }]) => `@misc{${name},\n  title = {${latex(summary.split("(")[0].trim())}},\n  note = {${latex(summary)}},\n  eprint = {${id}},\n  archivePrefix = {arXiv},\n  url = {${link}}\n}`);
  const own = `@software{compatbench,\n  title = {CompatBench: backward-compatible retrieval under one protocol},\n  note = {Board ${latex(current().suite)}, protocol ${current().protocol}, ${latex(suite().facts.origin)}}\n}`;
  return `${[own, ...entries].join("\n\n")}\n`;
}
