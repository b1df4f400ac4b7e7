// The view over all scenarios: mean ranks with intervals, and every row's place in every scenario.
const SIGNS = { "not ranked": "·", unfinished: "fail", missing: "?", "not planned": "" };

function drawStanding() {
  const { rows, scenarios, contests, missing } = data.standings[state.rankBy];
  const methods = rows.filter((row) => row.role === "method");
  const worst = Math.max(1, ...rows.flatMap((row) => row.rank ?? []).filter((value) => value !== null));
  const suites = new Set(scenarios.map(([suite]) => suite)).size;
  const heads = [
    standingHead("place", "place"), standingHead("method", "method", "name"), standingHead("needs", "needs"), standingHead("mean rank", "mean rank"),
    standingHead(`mean ${state.rankBy}`, "mean share"), standingHead("competed", "competed"), standingHead("compatible", "compatible in"),
    ...scenarios.map(([suite, scenario]) => scenarioHead(suite, scenario, suites > 1)),
  ];
  const sections = [...data.leagues.map(([league, title]) => [title, (row) => row.league === league, contests[league] ?? 0]), ...["reference", "control"].map((role) => [data.roles[role], (row) => row.role === role, 0])];
  const groups = sections.map(([title, belongs, several]) => {
    const members = rows.filter(belongs);
    const lines = members.map((row) => standingRow(row, worst, several));
    return lines.length ? h("tbody", { class: members[0].role }, h("tr", { class: "group" }, h("th", { scope: "rowgroup", colspan: heads.length }, h("span", {}, title))), lines) : null;
  });
  const ranked = methods.filter((row) => row.place !== null).length;
  part("standing-body").replaceChildren(
    h("p", { class: "caption" }, "Methods are ranked among those that ask the same of the serving system, their ", h("a", { href: termLink("league") }, "league"), `, by ${state.rankBy}. ${plural(ranked, "method")} of ${methods.length} competed in all scenarios of the league with a rival and ${ranked === 1 ? "has" : "have"} a `, h("a", { href: termLink("mean rank") }, "mean rank"), ", with its 95% bootstrap interval over scenarios, seeds and queries. In the columns of scenarios: the rank there, and M(n,o) − M(o,o) in points; without a rank ✓ or ✗ for compatible or not, skip, fail, or ? for not run. ", h("span", { class: "tag good" }, "tied with first"), ": not significantly behind the first of the league."),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Standing over all scenarios" },
      h("table", { class: "standing" }, h("caption", { class: "hidden-label" }, "Mean ranks over all scenarios, and the rank in each"), h("thead", {}, h("tr", {}, heads)), groups)),
    missingCells(rows, scenarios, missing),
  );
}

function standingHead(title, term, kind = "left") {
  return h("th", { scope: "col", class: kind }, h("span", { class: "head" }, title, h("a", { class: "term", href: termLink(term), "aria-label": `definition of ${title}` }, "?")));
}

function scenarioHead(suite, scenario, several) {
  const known = find(suite, scenario);
  const text = scenario.replaceAll("_", " ");
  const name = known < 0 ? text : h("a", { href: address(data.scenarios[known]) }, text);
  return h("th", { scope: "col", class: "scenario" }, name, several ? h("small", { class: "caption" }, ` ${suite}`) : null);
}

function standingRow(row, worst, contests) {
  const { scenarios } = data.standings[state.rankBy];
  const first = scenarios.map(([suite, scenario]) => find(suite, scenario)).find((index) => index >= 0 && data.scenarios[index].rows.some((one) => one.label === row.label));
  const label = first === undefined ? breakable(row.label) : h("a", { href: address(data.scenarios[first], row.label), "aria-haspopup": "dialog" }, breakable(row.label));
  const method = row.role === "method";
  const [sure, unsure] = row.compatible;
  return h(
    "tr",
    {},
    h("td", { class: "right" }, row.place === null ? UNDEFINED : `${row.place}`),
    h("th", { scope: "row", class: "name" }, label, row.tied && row.place !== null ? h("span", { class: "tag good" }, row.place === 1 ? "first" : "tied with first") : null),
    h("td", { class: "needs" }, h("small", {}, row.needs.join(", ") || "nothing")),
    h("td", {}, row.rank ? h("span", { class: "with-spread" }, spread(row.rank, worst), h("b", {}, number(row.rank[0], "share")), h("small", {}, interval(row.rank[1], row.rank[2], "share"))) : UNDEFINED),
    h("td", { class: "right" }, row.share ? [number(row.share[0], "share"), h("small", {}, interval(row.share[1], row.share[2], "share"))] : UNDEFINED),
    h("td", {}, method ? `${row.competed} of ${contests}` : "never ranked"),
    h("td", {}, `${sure} of ${row.measured}`, unsure ? h("small", {}, `and ${unsure} undecided`) : null),
    row.cells.map((cell, index) => placeCell(row, cell, scenarios[index])),
  );
}

function placeCell(row, [kind, rank, competitors, why, verdict, , gain], [suite, scenario]) {
  const index = find(suite, scenario);
  const there = index >= 0 && data.scenarios[index].rows.some((one) => one.label === row.label);
  const words = [`${row.label} in ${scenario}`, rank === null ? why || kind : `rank ${rank} of ${competitors}`, verdict].filter(Boolean).join(": ");
  const skipped = why.startsWith("skipped");
  const shown = rank !== null ? String(rank) : skipped ? "skip" : kind === "not ranked" && verdict ? data.signs[verdict] ?? SIGNS[kind] : SIGNS[kind];
  const cell = h("td", { class: "place", title: words }, there
    ? h("a", { href: address(data.scenarios[index], row.label), class: rank === null ? "none" : null, "aria-label": words, tabindex: "-1" }, shown)
    : h("span", { "aria-label": words, role: "img" }, shown),
    gain === null ? null : h("small", {}, `${gain > 0 ? "+" : ""}${number(gain, "points")}`));
  if (rank !== null && competitors > 1) colour(cell, 1 - (rank - 1) / (competitors - 1));
  return cell;
}

function spread([mean, low, high], worst) {
  const x = d3.scaleLinear().domain([1, worst]).range([4, 108]);
  return s("svg", { class: "spread", viewBox: "0 0 112 16", "aria-hidden": "true" },
    s("line", { class: "grid", x1: 4, x2: 108, y1: 8, y2: 8 }),
    low === null ? null : s("line", { class: "dot", "stroke-width": 3, opacity: 0.45, x1: x(low), x2: x(high), y1: 8, y2: 8 }),
    s("circle", { class: "dot", cx: x(mean), cy: 8, r: 4 }));
}

function missingCells(rows, scenarios, missing) {
  const lines = rows.flatMap((row) => {
    const reasons = new Map();
    row.cells.forEach(([kind, , , why, , seeds], index) => {
      const parts = [kind === "unfinished" || (kind === "not ranked" && why) ? why : "", seeds.length ? `seed ${seeds.join(", ")} not run` : ""].filter(Boolean).join("; ");
      if (parts) reasons.set(parts, [...(reasons.get(parts) ?? []), scenarios[index][1]]);
    });
    return [...reasons].map(([reason, where]) =>
      h("tr", {}, h("th", { scope: "row", class: "name" }, breakable(row.label)), h("td", { class: "text long" }, where.join(", ")), h("td", { class: "text" }, reason)),
    );
  });
  if (!lines.length) return h("p", { class: "caption" }, "No cell is missing, failed or skipped.");
  const heads = ["method", "scenarios", "why it has no rank"].map((title, index) => h("th", { scope: "col", class: index ? null : "name" }, title));
  return h("details", { class: "missing" },
    h("summary", {}, `Missing, failed, skipped and unranked: ${plural(lines.length, "entry", "entries")}, ${plural(missing, "planned cell")} not run`),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Missing, failed, skipped and unranked" }, h("table", {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, lines))));
}
