// Dataset, scenario, backbones and suite: each offers what is there under the choices before it.
const PICKS = [["dataset", "Dataset"], ["scenario", "Scenario"], ["backbones", "Backbones, old → new"], ["suite", "Suite"]];

function drawPicker(changed) {
  const chosen = current();
  let left = data.scenarios;
  const fields = PICKS.map(([key, title], place) => {
    const options = [...new Set(left.map((one) => one[key]))];
    left = left.filter((one) => one[key] === chosen[key]);
    const select = h(
      "select",
      { id: `pick-${key}`, change: (event) => pick(place, event.target.value, changed) },
      options.map((value) => h("option", { value, selected: value === chosen[key] }, value)),
    );
    return h("label", { class: "field" }, h("span", {}, title), select);
  });
  part("picker").replaceChildren(...fields);
}

// Keeps as many of the later choices as the new one allows.
function pick(place, value, changed) {
  const wanted = PICKS.map(([key]) => current()[key]);
  wanted[place] = value;
  const agreement = (one) => {
    const same = PICKS.map(([key], number) => one[key] === wanted[number]);
    if (!same.slice(0, place + 1).every(Boolean)) return -1;
    return same.filter(Boolean).length;
  };
  const best = data.scenarios.reduce((found, one, index) => (agreement(one) > agreement(data.scenarios[found]) ? index : found), 0);
  choose(best);
  changed();
  part(`pick-${PICKS[place][0]}`).focus();
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
    banner,
    ...(scenario.unranked.length ? [h("ul", { class: "limits" }, scenario.unranked.map((one) => h("li", {}, one)))] : []),
    h("p", { class: "caption" }, `Suite “${scenario["suite title"]}” · ${plural(scenario.seeds.length, "seed")} · protocol ${scenario.protocol}`),
    h("details", {}, h("summary", {}, `What the ${scenario.generations.length} generations are`), h("ol", { class: "caption" }, steps)),
  );
}

function shownSetting(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
