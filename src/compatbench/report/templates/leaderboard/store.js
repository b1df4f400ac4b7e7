// What the records say, and what the reader chose to see of it.
const data = JSON.parse(part("data").textContent);
const state = { scenario: 0, table: "Compatibility", sort: null, words: [], without: new Set(), order: 0, curves: null, rankBy: data["rank by"][0][0] };

function current() {
  return data.scenarios[state.scenario];
}

function choose(index) {
  if (index === state.scenario) return;
  state.scenario = index;
  state.sort = null;
  state.order = 0;
  state.curves = null;
  if (!current().tables.some(([name]) => name === state.table)) state.table = current().tables[0][0];
}

function find(suite, scenario) {
  return data.scenarios.findIndex((one) => one.suite === suite && one.scenario === scenario);
}

// Addresses of scenarios and rows: #/suite/scenario/label.
function address(scenario, ...parts) {
  return `#/${[scenario.suite, scenario.scenario, ...parts].map(encodeURIComponent).join("/")}`;
}

function parsed(hash) {
  try {
    const [suite, scenario, label, place] = hash.slice(2).split("/").map(decodeURIComponent);
    const index = find(suite, scenario);
    const row = index < 0 ? -1 : data.scenarios[index].rows.findIndex((one) => one.label === label);
    return { index, row, place };
  } catch {
    return { index: -1, row: -1 }; // what others append to an address need not be well formed
  }
}

function recordLink(file) {
  return [data.records, ...file.split("/")].map(encodeURIComponent).join("/");
}

function termLink(name) {
  return `#${data.terms[name]}`;
}

function refused(row) {
  return [...state.without].some((number) => data.filters[number][1].some((need) => row.needs.includes(need)));
}
