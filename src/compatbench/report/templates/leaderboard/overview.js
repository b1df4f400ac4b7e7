// The first screen: which method, what it gains, what it costs, whether to believe it, and all rows of one suite.
function drawOverview() {
  const chosen = suite();
  drawSuites(chosen);
  part("facts").replaceChildren(
    h("p", {}, h("b", {}, "Data"), ` ${chosen.facts.data}. `, h("b", {}, "Scale"), ` ${chosen.facts.scale}. `, h("b", {}, "Origin"), ` ${chosen.facts.origin}; protocol ${current().protocol}; every number from `, h("a", { href: data.own ? "records/" : `${data.records}/` }, "records"), "."),
    h("details", {}, h("summary", {}, "What changes in each upgrade"), h("ul", {}, chosen.facts.upgrades.map(([name, words]) => h("li", {}, h("b", {}, name), `: ${words}`)))),
  );
  drawAnswers(chosen);
  drawLeagues(chosen);
  const first = (row) => data.scenarios.findIndex((one) => one.suite === chosen.name && one.rows.some(({ label }) => label === row.label));
  drawListing(overviewListing(), "overview-body", { open: (row) => address(data.scenarios[first(row)], row.label) });
  part("gaps").replaceChildren(gapsElement(chosen));
}

function drawSuites(chosen) {
  if (data.suites.length < 2) return;
  const buttons = data.suites.map(({ name, title }) => h("button", { type: "button", "aria-pressed": String(name === chosen.name), click: () => {
    choose(data.scenarios.findIndex((one) => one.suite === name));
    redraw();
    [...part("suites").querySelectorAll("button")].find((one) => one.textContent === title).focus();
  } }, title));
  part("suites").replaceChildren(h("div", { class: "choice", role: "group", "aria-label": "Board" }, buttons));
}

function drawAnswers(chosen) {
  const shown = chosen.answers.filter(({ league }) => !state.league || league === state.league);
  const heading = (league) => data.leagues.find(([name]) => name === league)[1];
  const each = (of, otherwise) => (shown.length ? h("ul", {}, shown.map((one) => h("li", {}, shown.length > 1 ? h("span", { class: "caption" }, `${heading(one.league)}: `) : null, of(one)))) : h("p", {}, otherwise));
  const closed = [...new Set(data.scenarios.filter((one) => one.suite === chosen.name).flatMap(({ unranked }) => unranked))];
  const sure = chosen.warnings.length || !chosen.checked.length;
  const belief = sure
    ? [h("p", { class: "no" }, chosen.warnings.length ? "✗ Not before this is explained:" : "✗ No control checks these tables."), h("ul", {}, chosen.warnings.slice(0, 3).map((one) => h("li", {}, one)), chosen.warnings.length > 3 ? h("li", {}, `and ${chosen.warnings.length - 3} more, below`) : null)]
    : [h("p", {}, `✓ ${chosen.checked.length === 1 ? "The one control behaves as it must" : `All ${chosen.checked.length} controls behave as they must`}. ↑ ↓: significant over seeds and queries, else undecided. `, h("code", {}, "compatbench verify"), " re-scores every row.")];
  const block = (title, ...content) => h("div", {}, h("h2", {}, title), ...content);
  part("answers").replaceChildren(
    block("Which method?", h("p", { class: "caption" }, `By ${chosen["ranked by"]}, over all rows; search and ranking change the tables alone.`), each(({ label, lead, tied }) => [lead, h("b", {}, label), tied.length ? `, not significantly ahead of ${tied.join(", ")}` : null], `No row is ranked here${closed.length ? `: ${closed.map((one) => one.replace(/^not ranked: /, "")).join("; ")}` : ""}.`)),
    block("What does it gain?", each(({ gain }) => gain, "The table has what each row gains on day one, upgrade by upgrade.")),
    block("What does it cost?", each(({ cost }) => cost, "The table has each row's tax, training time and needs.")),
    block("Can I believe it?", belief),
  );
}

function drawLeagues(chosen) {
  const count = (league) => chosen.rows.filter((row) => row.league && (!league || row.league === league)).length;
  const tabs = [["", "All leagues", "Ranks are within a league."], ...data.leagues].filter(([league]) => count(league));
  const turn = (league, title) => {
    state.league = league;
    redraw();
    [...part("leagues").querySelectorAll("button[aria-pressed]")].find((one) => one.textContent.startsWith(title)).focus();
  };
  const buttons = tabs.map(([league, title]) => h("button", { type: "button", "aria-pressed": String(state.league === league), click: () => turn(league, title) }, `${title} (${count(league)})`));
  const [, , sentence] = tabs.find(([league]) => league === state.league) ?? tabs[0];
  part("leagues").replaceChildren(h("div", { class: "choice", role: "group", "aria-label": "League" }, buttons, termButton("league", data.terms.league)), h("p", { class: "caption" }, sentence));
}

function gapsElement({ gaps }) {
  if (!gaps.length) return "";
  const reasons = new Map();
  for (const [label, scenario, why] of gaps) {
    const key = `${label}\n${why}`;
    reasons.set(key, [...(reasons.get(key) ?? []), scenario]);
  }
  const lines = [...reasons].map(([key, where]) => {
    const [label, why] = key.split("\n");
    return h("li", {}, h("b", {}, label), ` ${why} (${where.join(", ")})`);
  });
  return h("details", { class: "missing" }, h("summary", {}, `Not run, failed, skipped or unranked: ${plural(lines.length, "reason")}`), h("ul", {}, lines));
}
