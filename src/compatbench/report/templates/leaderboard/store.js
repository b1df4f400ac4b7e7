// What the records say, and what the reader chose to see of it; the address has the choices too.
const data = JSON.parse(await unpacked("data"));
const state = {
  scenario: 0, table: "Compatibility", league: "", words: [], without: new Set(), rankBy: data["rank by"][0][0],
  sorts: {}, columns: {}, beside: "", order: 0, curves: null, curvesOpen: false,
};

function current() {
  return data.scenarios[state.scenario];
}

function suite() {
  return data.suites.find(({ name }) => name === current().suite);
}

function choose(index) {
  if (index === state.scenario) return;
  const before = current().suite;
  state.scenario = index;
  state.order = 0;
  state.curves = null;
  if (current().suite !== before) state.sorts = {};
  if (!current().tables.some(([name]) => name === state.table)) state.table = current().tables[0][0];
}

function find(suiteName, scenario) {
  return data.scenarios.findIndex((one) => one.suite === suiteName && (!scenario || one.scenario === scenario));
}

// Addresses of scenarios and rows, with the reader's choices: #/suite/scenario/label?league=…&sort=….
function address(scenario, ...parts) {
  const choices = new URLSearchParams();
  const put = (name, value) => value && choices.set(name, value);
  put("league", state.league);
  put("q", state.words.join(" "));
  put("only", [...state.without].sort().join("."));
  put("by", state.rankBy === data["rank by"][0][0] ? "" : state.rankBy);
  put("table", state.table === current().tables[0][0] ? "" : state.table);
  for (const [name, sort] of Object.entries(state.sorts)) put(`sort.${name}`, sort && `${sort.key}.${sort.direction}`);
  for (const [name, keys] of Object.entries(state.columns)) put(`columns.${name}`, keys && keys.join(","));
  if (parts.length) put("beside", state.beside);
  const text = choices.toString();
  return `#/${[scenario.suite, scenario.scenario, ...parts].map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

function parsed(hash) {
  try {
    const [path, choices = ""] = hash.slice(2).split("?");
    const [suiteName, scenario, label, place] = path.split("/").map(decodeURIComponent);
    const index = find(suiteName, scenario);
    const row = index < 0 ? -1 : data.scenarios[index].rows.findIndex((one) => one.label === label);
    return { index, row, place, choices: new URLSearchParams(choices) };
  } catch {
    return { index: -1, row: -1 }; // what others append to an address need not be well formed
  }
}

// Takes over the choices of an address; what it does not name is as at first.
function adopt(choices) {
  state.league = data.leagues.some(([name]) => name === choices.get("league")) ? choices.get("league") : "";
  state.words = (choices.get("q") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  state.without = new Set((choices.get("only") ?? "").split(".").filter((one) => one in data.filters).map(Number));
  state.rankBy = data["rank by"].some(([name]) => name === choices.get("by")) ? choices.get("by") : data["rank by"][0][0];
  state.table = current().tables.some(([name]) => name === choices.get("table")) ? choices.get("table") : current().tables[0][0];
  state.beside = choices.get("beside") ?? "";
  state.sorts = {};
  state.columns = {};
  for (const [name, value] of choices) {
    const [kind, table] = [name.slice(0, name.indexOf(".")), name.slice(name.indexOf(".") + 1)];
    const [key, direction] = [value.slice(0, value.lastIndexOf(".")), value.slice(value.lastIndexOf(".") + 1)];
    if (kind === "sort" && ["ascending", "descending"].includes(direction)) state.sorts[table] = { key, direction };
    if (kind === "columns") state.columns[table] = value.split(",");
  }
}

// Writes the choices into the address, without a step to go back to.
function remember() {
  const { row, place } = parsed(location.hash);
  const open = part("details").open && row >= 0 ? [current().rows[row]?.label, ...(place ? [place] : [])].filter(Boolean) : [];
  history.replaceState(null, "", address(current(), ...open));
}

function fileLink(file) {
  return file.split("/").map(encodeURIComponent).join("/");
}

function recordLink(file) {
  return `${fileLink(data.records)}/${fileLink(file)}`;
}

// Hidden by the league or by what a method needs; references and controls belong to no league and stay.
function refused(row) {
  if (state.league && row.league && row.league !== state.league) return true;
  return [...state.without].some((number) => data.filters[number][1].some((need) => row.needs.includes(need)));
}
