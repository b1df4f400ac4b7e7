// The upgrades of the suite, in plain words.
function drawPicker() {
  const chosen = current();
  const buttons = data.scenarios.map((one, index) => one.suite === chosen.suite
    ? h("button", { type: "button", "aria-pressed": String(one === chosen), title: one.words, click: () => {
      choose(index);
      redraw();
      part("picker").querySelector('[aria-pressed="true"]').focus();
    } }, one.scenario.replaceAll("_", " "))
    : null);
  part("picker").replaceChildren(h("div", { class: "choice", role: "group", "aria-label": "Upgrade" }, buttons));
}

function drawHead() {
  const scenario = current();
  const wrong = scenario.problems.length > 0;
  const banner = h(
    "div",
    { class: `banner ${wrong ? "red" : "green"}` },
    h("strong", {}, `${wrong ? "✗" : "✓"} ${scenario.headline}`),
    wrong ? h("ul", {}, scenario.problems.map((one) => h("li", {}, one))) : null,
  );
  const steps = scenario.generations.map((settings, number) =>
    h("li", {}, settings.map(([name, value]) => `${name.replaceAll("_", " ")} ${shownSetting(value)}`).join(", ") || "–", number === 0 ? " (old)" : ""),
  );
  part("scenario-head").replaceChildren(
    h("p", {}, h("b", {}, scenario.scenario), `: ${scenario.words}. `, h("span", { class: "caption" }, `${scenario.dataset}, ${scenario.backbones}, ${plural(scenario.seeds.length, "seed")}`)),
    banner,
    ...(scenario.unranked.length ? [h("ul", { class: "limits" }, scenario.unranked.map((one) => h("li", {}, one)))] : []),
    h("details", {}, h("summary", {}, `Settings of the ${scenario.generations.length} generations`), h("ol", { class: "caption" }, steps)),
  );
}

function shownSetting(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function drawTables() {
  const scenario = current();
  const buttons = scenario.tables.map(([name]) =>
    h("button", { type: "button", "aria-pressed": String(name === state.table), click: () => {
      state.table = name;
      redraw();
      [...part("table-choice").querySelectorAll("button")].find((one) => one.textContent === name).focus();
    } }, name),
  );
  part("table-choice").replaceChildren(h("div", { class: "choice", role: "group", "aria-label": "Table to show" }, buttons));
  drawListing(scenarioListing(), "tables", { open: (row) => address(scenario, row.label) });
}
