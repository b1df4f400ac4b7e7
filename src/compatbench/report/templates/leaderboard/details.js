// Everything about one row, in a dialog.
function showDetails(scenario, row, place) {
  const dialog = part("details");
  dialog.replaceChildren(
    h(
      "header",
      {},
      h("div", {}, h("h2", { id: "details-title" }, row.label), h("p", { class: "caption" }, `${scenario.scenario} on ${scenario.dataset}, suite ${scenario.suite} · ${scenario.backbones}`)),
      h("button", { type: "button", "aria-label": "Close", click: () => dialog.close() }, "✕"),
    ),
    h("div", { class: "inside" }, facts(row), besides(scenario, row), seedNumbers(row), models(row), records(row), losses(row), examples(scenario.examples[scenario.rows.indexOf(row)])),
  );
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  if (place === "records") part("details-numbers").scrollIntoView();
}

function facts(row) {
  const papers = row.papers.map(([name, link], index) => [index ? ", " : "", h("a", { href: link, rel: "noopener" }, `arXiv ${name}`)]);
  const needs = row.needs.map((need, index) => {
    const term = data.terms[`needs: ${need}`];
    return [index ? ", " : "", need, term ? termButton(need, term) : null];
  });
  const params = row.params.map(([name, value], index) => [index ? ", " : "", h("code", {}, `${name} = ${JSON.stringify(value)}`)]);
  return h(
    "dl",
    { class: "facts-list" },
    fact("Method", row.summary || row.name),
    fact("Paper", papers.length ? papers : "none named by the method"),
    fact("Source", data.own ? `methods/${row.name}.py` : h("a", { href: `../methods/${encodeURIComponent(row.name)}.py` }, `methods/${row.name}.py`)),
    row.flips?.length ? fact("Flips", [h("a", { href: fileLink(row.flips[0]) }, "every query that flips"), row.flips[1] ? [", ", h("a", { href: fileLink(row.flips[1]) }, "the worst in pictures")] : null]) : null,
    fact("Kind", row.kind),
    fact("Role", row.league ? `${row.role}, ${row.ranked ? "ranked" : "not ranked"}` : `${row.role}, never ranked`),
    row.setting ? fact("Setting", `${row.setting[0]}: ${row.setting[1]}`) : null,
    fact("Parameters", params.length ? params : "none"),
    fact("Needs", needs.length ? needs : "nothing beyond the new training data"),
  );
}

// Two rows side by side: every number of the upgrade's first table, one line a number.
function besides(scenario, row) {
  const [, table] = scenario.tables[0];
  const lines = new Map(table.groups.flatMap(([, several]) => several).filter(([number]) => number !== null).map(([number, cells]) => [scenario.rows[number].label, cells.map(cellOf)]));
  const others = [...lines.keys()].filter((label) => label !== row.label);
  if (!lines.has(row.label) || !others.length) return null;
  const chosen = others.includes(state.beside) ? state.beside : "";
  const select = h("select", { change: (event) => {
    state.beside = event.target.value;
    remember();
    showDetails(scenario, row);
    part("details").querySelector("select").focus();
  } }, h("option", { value: "" }, "no other row"), others.map((label) => h("option", { value: label, selected: label === chosen }, label)));
  const shown = [row.label, ...(chosen ? [chosen] : [])];
  const numbers = table.columns.map((index, place) => [data.columns[index], shown.map((label) => lines.get(label)[place])]).filter(([[, , unit], cells]) => unit !== "text" && cells.some(({ value }) => value !== null));
  const head = h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "number"), shown.map((label) => h("th", { scope: "col", class: "right" }, breakable(label)))));
  const body = h("tbody", {}, numbers.map(([[, title, unit], cells]) => h("tr", {}, h("th", { scope: "row" }, title), cells.map(({ value, low, high }) => h("td", { class: "right" }, number(value, unit), h("small", {}, interval(low, high, unit)))))));
  return [h("h3", {}, "All numbers, beside another row"), h("label", { class: "field" }, h("span", {}, "Compare with "), select),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Two rows side by side" }, h("table", {}, h("caption", { class: "hidden-label" }, `${shown.join(" and ")} in ${scenario.scenario}`), head, body))];
}

function fact(name, content) {
  return [h("dt", {}, name), h("dd", {}, content)];
}

function seedNumbers(row) {
  const titles = ["M(o,o)", "M(n,o)", "M(n,n)", "M(*,*)", "Γ", "tax"];
  const files = new Map(row.records.map(([seed, , file]) => [seed, recordLink(file)]));
  const lines = row.seeds.map(([seed, ...values]) =>
    h("tr", {}, h("th", { scope: "row" }, `seed ${seed}`), values.map((value, index) =>
      h("td", { class: "right" }, h("a", { class: "number", href: files.get(seed) }, number(value, index === 4 ? "share" : "points"))),
    )),
  );
  const heads = ["seed", ...titles].map((title, index) => h("th", { scope: "col", class: index ? "right" : null }, title));
  const table = h("table", {}, h("caption", {}, h("span", {}, "On mAP, in points; each number links to the record that it comes from.")), h("thead", {}, h("tr", {}, heads)), h("tbody", {}, lines));
  return [
    h("h3", { id: "details-numbers" }, "What each seed gave"),
    lines.length ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Numbers of each seed" }, table) : h("p", {}, "No seed ended well; the reasons are below."),
  ];
}

function models(row) {
  if (!row.models.length) return null;
  const heads = ["seed", "generation", "training accuracy", "held-out accuracy", "converged"].map((title, index) => h("th", { scope: "col", class: index ? "right" : null }, title));
  const lines = row.models.map(([seed, generation, training, heldOut, converged]) =>
    h("tr", {}, h("th", { scope: "row" }, `seed ${seed}`), [`${Number(generation) + 1}`, number(training, "points"), number(heldOut, "points"), converged ? "yes" : "no"].map((text) => h("td", { class: "right" }, text))),
  );
  const table = h("table", {}, h("caption", {}, h("span", {}, "Of the last epoch, in percent.")), h("thead", {}, h("tr", {}, heads)), h("tbody", {}, lines));
  return [h("h3", {}, "How well its models learned"), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Accuracy of each model" }, table)];
}

function records(row) {
  const entries = row.records.map(([seed, status, file, command, reason, started, commit, machine, seconds]) => [
    h("h4", {}, `Seed ${seed}: `, h("a", { href: recordLink(file) }, "record"), " ", status === "ok" ? null : h("span", { class: status === "skipped" ? "tag" : "tag bad" }, status)),
    reason ? h("p", {}, reason) : null,
    h("pre", {}, command),
    h("p", { class: "caption" }, [started, commit ? `commit ${commit}` : "", machine, `${grouped(seconds)} s`].filter(Boolean).join(" · ")),
  ]);
  return [h("h3", {}, "Records and commands"), entries];
}

function losses(row) {
  const charts = lossCharts(row);
  if (!charts.length) return null;
  return [h("h3", {}, "Loss curves ", termButton("loss curve", data.terms["loss curve"])), h("div", { class: "small-charts" }, charts)];
}

function examples(sheets) {
  if (!sheets.length) return null;
  const cut = data["left out"] ? " Some examples are left out to keep the page small." : "";
  return [h("h3", {}, "Example retrievals"), h("p", { class: "caption" }, `The same queries for all rows of a scenario, drawn by the split alone; of the first seed. ✓ relevant, ✗ not.${cut}`), exampleSheets(sheets)];
}
